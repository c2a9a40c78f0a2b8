"""Columns to a column plan."""
