"""Programs of others, and programs that mean ill, on a running server of ours."""
