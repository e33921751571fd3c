"""The page that a training writes, with its scripts."""
