"""One file for each kind of fitted member; the file name is the kind."""
