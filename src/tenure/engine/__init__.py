"""Order and time: the plan, the runner, the loop."""
