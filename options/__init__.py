"""Flags, config files and their precedence: `TrainOptions().parse()` gives one `opt`."""
