"""Conformance kit for plug-in authors, and worlds with planted truths."""
