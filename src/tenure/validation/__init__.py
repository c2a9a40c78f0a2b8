"""From clean rows to a validation plan."""
