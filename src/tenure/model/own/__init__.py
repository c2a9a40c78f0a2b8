"""Models of the owner's own: how their code is found, and how what they learned is kept as data."""
