"""Servers that carry one and the same model, and the load that is put on them.

`apps` runs in the environments of the peers and knows nothing of ours.
"""
