"""From a gate decision to versions and aliases, and back."""
