"""From a picture to a tensor in [-1, 1]: small picklable steps, put together by `build`.

Every step is a frozen dataclass, so worker processes can be started in any way (also spawn).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from util.errors import BadImage
from util.images.convert import scaled_size
from util.images.picture import Picture, in_unit
from util.lazy import Lazy, torch

vision = Lazy("torchvision.transforms")  # for rare modes; it takes as long to import as torch

PREPROCESS_MODES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none",
                    "scale_shorter_and_crop", "scale_longer", "keep")  # fmt: skip
# Mode with random crops -> the mode that leaves the scale which they are cut from.
WITHOUT_CROP = {"crop": "none", "scale_width_and_crop": "scale_width",
                "scale_shorter_and_crop": "keep"}  # fmt: skip
NONE_MULTIPLE = 4  # `--preprocess none` rounds both sides to a multiple of this, as published

AnyImage = Image.Image | Picture
Size = tuple[int, int]  # (width, height) px
Transform = Callable[[AnyImage], object]


def without_crop(mode: str) -> str:
    """The `--preprocess` in which test looks at the whole images of a training in `mode`."""
    return WITHOUT_CROP.get(mode, mode)


class Resizing:
    """A step whose result has a size that follows from the image's size."""

    method: Image.Resampling

    def size_of(self, size: Size) -> Size:
        """What (width, height) px come to."""
        raise NotImplementedError

    def __call__(self, image: AnyImage) -> AnyImage:
        size = self.size_of(image.size)
        return image if size == image.size else image.resize(size, self.method)


@dataclass(frozen=True)
class Resize(Resizing):
    """To exactly `size` = (width, height) px."""

    size: Size
    method: Image.Resampling

    def size_of(self, size: Size) -> Size:
        """`size`, whatever the image's is."""
        return self.size


@dataclass(frozen=True)
class ResizeWidth(Resizing):
    """To `width` px, keeping the aspect, but at least `min_height` px high."""

    width: int
    min_height: int
    method: Image.Resampling

    def size_of(self, size: Size) -> Size:
        """`width`, and a height that is rounded down."""
        width, height = size
        if width == self.width and height >= self.min_height:
            return size
        return self.width, int(max(self.width * height / width, self.min_height))


@dataclass(frozen=True)
class ResizeSide(Resizing):
    """The shorter side, or the longer one, to `side` px, keeping the aspect."""

    side: int
    longer: bool
    method: Image.Resampling

    def size_of(self, size: Size) -> Size:
        """One side is `side`, the other rounded."""
        return scaled_size(size, self.side, self.longer)


@dataclass(frozen=True)
class RoundSides(Resizing):
    """Both sides to the nearest multiple of `multiple` px."""

    multiple: int
    method: Image.Resampling

    def size_of(self, size: Size) -> Size:
        """The multiple nearest to each side."""
        width, height = (max(1, round(px / self.multiple)) * self.multiple for px in size)
        return width, height


@dataclass(frozen=True)
class Crop:
    """A square of `side` px; its upper left corner (x, y) px is drawn anew where none is given."""

    side: int
    position: tuple[int, int] | None = None

    def size_of(self, size: Size, path: str = "image") -> Size:
        """The size of the square cut from an image; BadImage if that is smaller."""
        if min(size) < self.side:
            raise BadImage(
                path, f"{size[0]}x{size[1]} px is smaller than --crop_size {self.side}",
                "use a smaller one, or a --preprocess that scales",
            )  # fmt: skip
        return self.side, self.side

    def __call__(self, image: AnyImage) -> AnyImage:
        if image.size == self.size_of(image.size, image.info.get("path", "image")):
            return image  # nothing to cut, wherever the position is
        x, y = self.position or (random.randint(0, px - self.side) for px in image.size)
        return image.crop((x, y, x + self.side, y + self.side))


@dataclass(frozen=True)
class FlipLeftRight:
    """Mirror the image."""

    def __call__(self, image: AnyImage) -> AnyImage:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


@dataclass(frozen=True)
class RandomFlip:
    """Mirror the image in half of the calls."""

    def __call__(self, image: AnyImage) -> AnyImage:
        return FlipLeftRight()(image) if torch.rand(1) < 0.5 else image


def pil_resampling(
    method: Image.Resampling | vision.InterpolationMode | int,
) -> Image.Resampling:
    """PIL's name of an interpolation given in PIL's or torchvision's form."""
    return Image.Resampling(method) if isinstance(method, int) else Image.Resampling[method.name]


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
    steps += resizing(preprocess, load_size, crop_size, method)
    steps += cropping_and_flipping(preprocess, crop_size, flip, crop_position, random_flip)
    if convert:
        steps += [ToTensor(), Normalize()]
    return Compose(tuple(steps))


def resizing(
    preprocess: str,
    load_size: int,
    crop_size: int,
    method: Image.Resampling = Image.Resampling.BICUBIC,
) -> list[Resizing]:
    """The steps of `build` that leave nothing to chance."""
    if "resize" in preprocess:
        return [Resize((load_size, load_size), method)]
    if "scale_width" in preprocess:
        return [ResizeWidth(load_size, crop_size, method)]
    if preprocess in ("scale_shorter_and_crop", "scale_longer"):
        return [ResizeSide(load_size, preprocess == "scale_longer", method)]
    return [RoundSides(NONE_MULTIPLE, method)] if preprocess == "none" else []


def cropping_and_flipping(
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


def size_after_resize(preprocess: str, load_size: int, crop_size: int, size: Size) -> Size:
    """What an image of (width, height) px comes to before it is cropped."""
    for step in resizing(preprocess, load_size, crop_size):
        size = step.size_of(size)
    return size


def size_after(preprocess: str, load_size: int, crop_size: int, size: Size, path: str) -> Size:
    """What the image of a file comes to in the end.

    Raises:
        BadImage: it is smaller than what is to be cropped from it.
    """
    size = size_after_resize(preprocess, load_size, crop_size, size)
    return Crop(crop_size).size_of(size, path) if "crop" in preprocess else size


@dataclass(frozen=True)
class Compose:
    """One step after the other."""

    transforms: tuple[Transform, ...]

    def __call__(self, image: AnyImage) -> object:
        for transform in self.transforms:
            image = transform(image)
        return image


@dataclass(frozen=True)
class Grayscale:
    """To one channel."""

    def __call__(self, image: AnyImage) -> Image.Image:
        return (image.pil() if isinstance(image, Picture) else image).convert("L")


@dataclass(frozen=True)
class ToTensor:
    """To (C, H, W) in [0, 1]."""

    def __call__(self, image: AnyImage) -> torch.Tensor:
        if isinstance(image, Picture):
            return in_unit(image.tensor())
        if image.mode not in ("L", "RGB"):
            return vision.functional.to_tensor(image)
        return in_unit(Picture.of(image).tensor())


@dataclass(frozen=True)
class Normalize:
    """[0, 1] to [-1, 1], for any number of channels."""

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.sub_(0.5).div_(0.5)
