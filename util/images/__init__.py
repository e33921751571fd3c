"""An image file in, a picture or a tensor; and out again as it came."""
