"""Weights and training state on disk: whole, found, read, carried over."""
