"""One file for each robustness check."""
