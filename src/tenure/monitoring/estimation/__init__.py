"""What the metric of a window is thought to be before its outcomes are known."""
