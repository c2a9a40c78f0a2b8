"""Monitoring measured: sets whose truth is known, shifts of known size, ours and the peers on the same windows.

`evidently_drift`, `nannyml_drift` and `speed_peer` run in their own environments, which have no tenure in them; the
others run in ours.
"""
