"""Data sets and weights from their authors' servers, checked."""
