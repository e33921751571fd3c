"""Contrastive losses between places of two images (Park et al. 2020)."""

from util.lazy import Lazy

patch_nce = Lazy("models.contrast.patch_nce")  # imported when it is used
