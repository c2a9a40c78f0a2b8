"""Tables larger than memory: how many rows there are and where they lie is found first, then they are read in parts."""
