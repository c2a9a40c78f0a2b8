"""From traffic to a health report."""
