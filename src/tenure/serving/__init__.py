"""Predictions and outcomes over HTTP."""
