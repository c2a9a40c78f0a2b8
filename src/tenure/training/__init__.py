"""From rows and a plan to a leaderboard."""
