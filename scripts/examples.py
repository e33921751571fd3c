"""Pictures to try a network on: those of a folder, of its run's own data, or generated ones."""

import argparse
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from data.image_folder import list_images
from data.layout import are_pairs, domain_folders
from translate import Translator
from util.direction import oriented
from util.errors import UserError
from util.images.picture import Picture
from util.images.read import read_picture

PHASES = ("test", "val", "train")


class Examples(NamedTuple):
    """Where pictures come from.

    Args:
        files: image files; none: generated pictures.
        half: 0 or 1 where each file is A and B side by side, and this one is meant.
        where: for people.
    """

    files: list[str]
    half: int | None
    where: str

    @classmethod
    def of(cls, given: str | None, opt: argparse.Namespace) -> "Examples":
        """Of a folder or file that was given, or else of the data that the run was trained on.

        Raises:
            UserError: there is no image in what was given.
        """
        if given:
            if not os.path.exists(given):
                raise UserError(f"--images {given}: no such folder or file")
            files = [given] if os.path.isfile(given) else list_images(given).images
            if not files:
                raise UserError(f"--images {given}: no image in it")
            return cls(files, None, given)
        return cls._of_data(opt.trained.get("dataroot") or "", opt.direction) or cls(
            [], None, "generated pictures: the run's own data are not there; --images FOLDER"
        )

    @classmethod
    def _of_data(cls, root: str, direction: str) -> "Examples | None":
        for phase in PHASES if os.path.isdir(root) else ():
            if folders := domain_folders(root, phase):
                folder = oriented(direction, *folders)[0]
            else:
                folder = os.path.join(root, phase)
            if os.path.isdir(folder) and (files := list_images(folder).images):
                half = oriented(direction, 0, 1)[0] if not folders and are_pairs(folder) else None
                return cls(files, half, folder)
        if os.path.isdir(root) and (files := list_images(root).images):
            return cls(files, None, root)
        return None

    def load(self, translator: Translator, count: int) -> list[Picture]:
        """So many, at equal distances, as the network takes them; the same again where there are
        fewer."""
        if not self.files:
            return [generated(number, translator.channels) for number in range(count)]
        chosen = self.files[:: -(-len(self.files) // count)][:count]
        pictures = [self._read(path, translator) for path in chosen]
        return [pictures[number % len(pictures)] for number in range(count)]

    def _read(self, path: str, translator: Translator) -> Picture:
        picture = read_picture(path, translator.channels, translator.value_range)
        if self.half is None:
            return picture
        middle = picture.width // 2
        return picture.crop((self.half * middle, 0, middle + self.half * middle, picture.height))


def generated(number: int, channels: int) -> Picture:
    """Waves of several lengths and some noise, (300, 400, channels), another for each number."""
    draw = np.random.default_rng(number)
    y, x = np.mgrid[:300, :400][..., None] / 400
    values = np.zeros((300, 400, channels))
    for waves in (2, 5, 11, 23):
        fx, fy = draw.uniform(-waves, waves, (2, channels))
        phase = draw.uniform(0, 2 * np.pi, channels)
        values += np.sin(2 * np.pi * (fx * x + fy * y) + phase) / waves
    values = 128 + 90 * values + draw.normal(0, 6, values.shape)
    return Picture(values.round().clip(0, 255).astype(np.uint8))


def batch(pictures: list[Picture], size: tuple[int, int], floats: bool) -> np.ndarray:
    """Pictures scaled to (width, height) px: (N, H, W, C), uint8 or float32 in [0, 1]."""
    resized = [picture.resize(size, Image.Resampling.BICUBIC).values for picture in pictures]
    values = np.stack(resized)
    unit = values / np.float32(255) if values.dtype == np.uint8 else values.clip(0, 1)
    if floats:
        return np.ascontiguousarray(unit, np.float32)
    return np.ascontiguousarray((unit * 255).round().astype(np.uint8))


def reference(translator: Translator, pictures: np.ndarray) -> np.ndarray:
    """What the network makes of pictures (N, H, W, C), one after the other: (N, H, W, C') in
    [-1, 1]."""
    made = [translator.translate(Picture(picture)) for picture in pictures]
    return np.concatenate([each.numpy().transpose(0, 2, 3, 1) for each in made])
