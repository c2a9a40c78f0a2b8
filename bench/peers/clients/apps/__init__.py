"""Scripts that run in the environments of the clients; each prints one JSON list a line: what, seen, kept."""
