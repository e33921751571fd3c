"""Helpers without knowledge of options, data or models: each module stands alone."""
