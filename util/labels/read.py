"""The values of label maps, as their files hold them."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from util.errors import BadImage
from util.images.picture import Picture
from util.images.read import decode_stored, read_bytes

REMEDY = "convert it to a grey or palette PNG of ids"


def read_values(path: str, by_colour: bool = False) -> Picture:
    """`decode_values` of a file."""
    return decode_values(path, read_bytes(path), by_colour)


def decode_values(path: str, data: bytes, by_colour: bool = False) -> Picture:
    """The values of a label map, upright: ids, of a palette file its indices.

    Args:
        by_colour: its colours instead, R * 65536 + G * 256 + B.

    Returns: (H, W, 1) of uint8 or int32.

    Raises:
        BadImage: it is damaged, or holds something else.
    """
    return decode_stored(path, data, functools.partial(values_of, path, by_colour=by_colour))


def values_of(path: str, image: np.ndarray | Image.Image, by_colour: bool = False) -> np.ndarray:
    """`decode_values` of an image that is decoded, as it is stored; `path` is its name."""
    return (_colours if by_colour else _ids)(path, image)


def palette_of(path: str) -> list[tuple[int, int, int]]:
    """The colours of a palette file by index; empty for any other, and for one that is damaged."""
    try:
        with Image.open(path) as image:
            values = (image.getpalette("RGB") or []) if image.mode == "P" else []
    except (OSError, ValueError, SyntaxError):  # reading tells what is wrong
        return []
    return list(zip(*[iter(values)] * 3, strict=False))


def _ids(path: str, image: np.ndarray | Image.Image) -> np.ndarray:
    if isinstance(image, Image.Image):
        if image.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA"):
            raise BadImage(path, f"{image.mode} holds no ids of classes", REMEDY)
        image = np.asarray(image)
    values = _opaque(path, np.atleast_3d(image))
    if values.shape[-1] == 3 and (values == values[..., :1]).all():
        values = values[..., :1]
    if values.shape[-1] != 1:
        what = "colours" if values.shape[-1] == 3 else f"{values.shape[-1]} channels"
        remedy = "give a table of colours as --label_A or --label_B (docs/labels.md), or " + REMEDY
        raise BadImage(path, f"{what}, where an id of a class is wanted", remedy)
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        raise BadImage(path, "values that are no whole numbers, and so no ids", REMEDY)
    return values.astype(np.uint8 if values.dtype in (np.uint8, bool) else np.int32)


def _colours(path: str, image: np.ndarray | Image.Image) -> np.ndarray:
    if isinstance(image, Image.Image):
        if image.mode == "P":
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        if image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
            raise BadImage(path, f"{image.mode} where colours are wanted", REMEDY)
        image = np.asarray(image.convert("L") if image.mode == "1" else image)
    values = _opaque(path, np.atleast_3d(image))
    if values.dtype != np.uint8 or values.shape[-1] not in (1, 3):
        what = f"{values.shape[-1]} x {values.dtype}, where colours of 3 x uint8 are wanted"
        raise BadImage(path, what, "convert it to an RGB PNG")
    red, green, blue = (
        values[..., place % values.shape[-1]].astype(np.int32) for place in range(3)
    )
    return (red << 16 | green << 8 | blue)[..., None]


def _opaque(path: str, values: np.ndarray) -> np.ndarray:
    """Without an alpha channel that says nothing."""
    if values.shape[-1] not in (2, 4):
        return values
    if values[..., -1].min() < (255 if values.dtype == np.uint8 else values[..., -1].max()):
        raise BadImage(path, "transparent places, which have no label", "flatten it first")
    return values[..., :-1]
