"""Records, ports and errors: what every room may import, and what imports none of ours."""
