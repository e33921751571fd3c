"""Networks on images of any size in bounded memory: layer by layer, in tiles, exactly."""
