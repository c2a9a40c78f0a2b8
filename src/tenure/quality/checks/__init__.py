"""One file for each data check."""
