"""Live views elsewhere, one file each, never in the training's way."""
