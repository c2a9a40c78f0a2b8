"""What is remembered: ledger, registry, traffic, artifacts, leases."""
