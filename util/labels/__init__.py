"""Label maps: which values of a file are which class, as channels and in colours."""
