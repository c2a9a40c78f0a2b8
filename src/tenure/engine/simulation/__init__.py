"""The flight simulator: a project's own history through the code that runs live, under one policy or another."""
