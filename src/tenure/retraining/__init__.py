"""Retraining: would a new model pay, learned from which rows, and how sure is that."""
