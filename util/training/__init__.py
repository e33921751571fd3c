"""The life of a run: assembled from its options, stepped, guarded, saved, stopped, told."""
