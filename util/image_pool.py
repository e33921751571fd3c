"""A history of generated images for the discriminator (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

import random

from util.lazy import torch


class ImagePool:
    """Shows the discriminator old fakes among new ones, so that it does not forget them.

    Until the pool holds `pool_size` images each image is stored and returned; after that it is,
    with probability 0.5, exchanged for a random stored one. Size 0 turns the pool off.
    """

    def __init__(self, pool_size: int) -> None:
        self.pool_size = pool_size
        self.images: list[torch.Tensor] = []  # each (1, C, H, W), detached

    def query(self, images: torch.Tensor) -> torch.Tensor:
        """Args: images (N, C, H, W). Returns: a batch of the same shape, without gradient."""
        if self.pool_size == 0:
            return images
        return torch.cat([self._exchange(image) for image in images.detach().split(1)])

    def _exchange(self, image: torch.Tensor) -> torch.Tensor:
        if len(self.images) < self.pool_size:
            self.images.append(image)
            return image
        if random.random() < 0.5:
            return image
        slot = random.randrange(self.pool_size)
        stored, self.images[slot] = self.images[slot], image
        return stored

    def state_dict(self) -> dict:
        """The stored images, which nobody writes to."""
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict) -> None:
        """Take `state_dict()` back."""
        self.images = list(state["images"])[: self.pool_size]
