"""One file for each drift test."""
