"""From a leaderboard to a robustness report."""
