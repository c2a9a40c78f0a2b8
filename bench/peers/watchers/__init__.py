"""What `bench/lease.py` is made of: planted causes, watcher processes, the torture, and the judge."""
