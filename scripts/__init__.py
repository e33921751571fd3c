"""Commands around training: demo, documentation, downloads."""
