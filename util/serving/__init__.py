"""Trained networks for a browser and for other programs: a page, uploads, their queue."""
