"""Score a table of any size in parts, in bounded memory, so that a job that was cut off goes on where it stood."""
