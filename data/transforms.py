"""From a picture to a tensor in [-1, 1]: small picklable steps, put together by `build`.

Every step is a frozen dataclass, so worker processes can be started in any way (also spawn).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from util.errors import BadImage
from util.images.convert import scaled_size
from util.images.levels import Levels
from util.images.picture import Picture, Planes
from util.lazy import Lazy, torch

vision = Lazy("torchvision.transforms")  # for rare modes; it takes as long to import as torch

PREPROCESS_MODES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none",
                    "scale_shorter_and_crop", "scale_longer", "keep")  # fmt: skip
NONE_MULTIPLE = 4  # `--preprocess none` rounds both sides to a multiple of this, as published

Transform = Callable[[Picture], object]


@dataclass(frozen=True)
class Resize:
    """To exactly `size` = (width, height) px."""

    size: tuple[int, int]
    method: Image.Resampling

    def __call__(self, image: Picture) -> Picture:
        return image if image.size == self.size else image.resize(self.size, self.method)


@dataclass(frozen=True)
class ScaleWidth:
    """To `width` px, keeping the aspect, but at least `min_height` px high."""

    width: int
    min_height: int
    method: Image.Resampling

    def __call__(self, image: Picture) -> Picture:
        width, height = image.size
        if width == self.width and height >= self.min_height:
            return image
        target_height = int(max(self.width * height / width, self.min_height))
        return image.resize((self.width, target_height), self.method)


@dataclass(frozen=True)
class ScaleSide:
    """The shorter side, or the longer one, to `size` px, keeping the aspect."""

    size: int
    longer: bool
    method: Image.Resampling

    def __call__(self, image: Picture) -> Picture:
        return Resize(scaled_size(image.size, self.size, self.longer), self.method)(image)


@dataclass(frozen=True)
class Crop:
    """A square of `size` px; its upper left corner (x, y) px is drawn anew where none is given."""

    size: int
    position: tuple[int, int] | None = None

    def __call__(self, image: Picture) -> Picture:
        if min(image.size) < self.size:
            raise smaller_than_crop(image.info.get("path", "image"), image.size, self.size)
        if image.size == (self.size, self.size):  # nothing to cut, wherever the position is
            return image
        x, y = self.position or (random.randint(0, side - self.size) for side in image.size)
        return image.crop((x, y, x + self.size, y + self.size))


def smaller_than_crop(path: str, size: tuple[int, int], crop_size: int) -> BadImage:
    """What is wrong with an image of `size` px."""
    return BadImage(
        path, f"{size[0]}x{size[1]} px is smaller than --crop_size {crop_size}",
        "use a smaller one, or a --preprocess that scales",
    )  # fmt: skip


@dataclass(frozen=True)
class RoundSides:
    """Both sides to the nearest multiple of `multiple` px."""

    multiple: int
    method: Image.Resampling

    def __call__(self, image: Picture) -> Picture:
        sides = (max(1, round(side / self.multiple)) * self.multiple for side in image.size)
        return Resize(tuple(sides), self.method)(image)


@dataclass(frozen=True)
class FlipLeftRight:
    """Mirror the image."""

    def __call__(self, image: Picture) -> Picture:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


@dataclass(frozen=True)
class RandomFlip:
    """Mirror the image in half of the calls."""

    def __call__(self, image: Picture) -> Picture:
        return FlipLeftRight()(image) if torch.rand(1) < 0.5 else image


def pil_resampling(
    method: Image.Resampling | vision.InterpolationMode | int,
) -> Image.Resampling:
    """PIL's name of an interpolation given in PIL's or torchvision's form."""
    return Image.Resampling(method) if isinstance(method, int) else Image.Resampling[method.name]


def size_before_crop(preprocess: str, size: tuple[int, int], load_size: int) -> tuple[int, int]:
    """(width, height) px after the scaling step of a mode, for choosing a crop's position."""
    width, height = size
    if preprocess == "resize_and_crop":
        return load_size, load_size
    if preprocess == "scale_width_and_crop":
        return load_size, load_size * height // width
    if preprocess == "scale_shorter_and_crop":
        return scaled_size(size, load_size, longer=False)
    return width, height


def build(
    preprocess: str,
    load_size: int,
    crop_size: int,
    flip: bool,
    crop_position: tuple[int, int] | None = None,
    random_flip: bool = False,
    grayscale: bool = False,
    method: Image.Resampling = Image.Resampling.BICUBIC,
    convert: bool = True,
) -> Transform:
    """The steps of one `--preprocess` mode.

    Args:
        preprocess: one of PREPROCESS_MODES.
        load_size, crop_size: px.
        flip: mirror; with random_flip: in half of the calls.
        crop_position: (x, y) px; None draws one at each call.
        grayscale: to one channel first.
        convert: end with a float tensor (C, H, W) in [-1, 1]; else the result is a PIL image.
    """
    steps: list[Transform] = [Grayscale()] if grayscale else []
    steps += scaling(preprocess, load_size, crop_size, method)
    steps += cutting(preprocess, crop_size, flip, crop_position, random_flip)
    if convert:
        steps += [ToTensor(), Normalize()]
    return Compose(tuple(steps))


def scaling(
    preprocess: str, load_size: int, crop_size: int, method: Image.Resampling
) -> list[Transform]:
    """The steps of `build` that leave nothing to chance."""
    if "resize" in preprocess:
        return [Resize((load_size, load_size), method)]
    if "scale_width" in preprocess:
        return [ScaleWidth(load_size, crop_size, method)]
    if preprocess in ("scale_shorter_and_crop", "scale_longer"):
        return [ScaleSide(load_size, preprocess == "scale_longer", method)]
    return [RoundSides(NONE_MULTIPLE, method)] if preprocess == "none" else []


def cutting(
    preprocess: str,
    crop_size: int,
    flip: bool,
    crop_position: tuple[int, int] | None = None,
    random_flip: bool = False,
) -> list[Transform]:
    """The steps of `build` that chance decides."""
    steps: list[Transform] = [Crop(crop_size, crop_position)] if "crop" in preprocess else []
    if random_flip:
        steps.append(RandomFlip())
    elif flip:
        steps.append(FlipLeftRight())
    return steps


@dataclass(frozen=True)
class Compose:
    """One step after the other."""

    transforms: tuple[Transform, ...]

    def __call__(self, image: Picture) -> object:
        for transform in self.transforms:
            image = transform(image)
        return image


@dataclass(frozen=True)
class Grayscale:
    """To one channel."""

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.convert("L")


@dataclass(frozen=True)
class ToTensor:
    """To (C, H, W) in [0, 1]."""

    def __call__(self, image: Picture) -> torch.Tensor:
        if isinstance(image, Planes):
            return Levels.of(image).values
        if image.mode not in ("L", "RGB"):
            return vision.functional.to_tensor(image)
        levels = torch.from_numpy(np.array(image)).view(image.height, image.width, -1)
        return levels.permute(2, 0, 1).contiguous().float().div_(255)


@dataclass(frozen=True)
class Normalize:
    """[0, 1] to [-1, 1], for any number of channels."""

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.sub_(0.5).div_(0.5)
