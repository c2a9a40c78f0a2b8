"""Policies of retraining on streams in order of time, whose labels come late."""
