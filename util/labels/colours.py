"""Label maps in colours: a fixed palette, pictures for the eye, files of ids, and a legend."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from util import atomic
from util.images.convert import png_bytes, save_image, tensor2im
from util.images.formats import format_named
from util.images.header import Header
from util.lazy import torch

if TYPE_CHECKING:
    from util.labels.table import Labels

Colour = tuple[int, int, int]  # R, G and B, 0 to 255
VOID_COLOUR = (224, 224, 192)  # as in PASCAL VOC
MOST_SHOWN = 300  # classes in a legend
NOWHERE = -0.999  # all channels are as low as that where an image is void


def palette(count: int) -> tuple[Colour, ...]:
    """PASCAL VOC's colours, which spread the bits of a number over R, G and B."""
    return tuple(_voc(number) for number in range(count))


def _voc(number: int) -> Colour:
    colour = [0, 0, 0]
    for bit in range(8):
        for part in range(3):
            colour[part] |= (number >> (3 * bit + part) & 1) << (7 - bit)
    return tuple(colour)


def parse_colour(value: Any) -> Colour:
    """#rrggbb, or three numbers.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str):
        digits = value.removeprefix("#")
        if value.startswith("#") and len(digits) == 6:
            return tuple(bytes.fromhex(digits))
        value = [int(word) for word in value.strip("()[] ").replace(",", " ").split()
                 if word.isdigit()]  # fmt: skip
    parts = value if isinstance(value, (list, tuple)) and len(value) == 3 else [None]
    if all(type(part) is int and 0 <= part <= 255 for part in parts):
        return tuple(parts)
    raise ValueError(f"{value!r}: neither an id nor a colour, #rrggbb or three numbers up to 255")


def packed(colour: Colour) -> int:
    """R * 65536 + G * 256 + B."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def class_map(images: torch.Tensor) -> np.ndarray:
    """The class (H, W) with the highest channel of the first of images (N, C, H, W) in [-1, 1]; -1,
    void, where all channels are -1."""
    image = images.detach()[0].float().cpu()
    highest, classes = image.max(0)
    return np.where(highest.numpy() < NOWHERE, -1, classes.numpy())


def in_colours(images: torch.Tensor, labels: Labels) -> np.ndarray:
    """The first image of a batch, its classes in their colours: (H, W, 3) uint8."""
    return coloured(class_map(images), labels)


def coloured(classes: np.ndarray, labels: Labels) -> np.ndarray:
    """Numbers of classes (H, W), any others for void, as (H, W, 3) uint8."""
    table = np.array([*labels.colours, VOID_COLOUR], np.uint8)
    is_class = (classes >= 0) & (classes < labels.count)
    return table[np.where(is_class, classes, labels.count).astype(np.int64)]


def shown(images: torch.Tensor | np.ndarray, labels: Labels | None) -> np.ndarray:
    """`tensor2im`, or in colours where the images are label maps: (H, W, 3) uint8."""
    if labels is None or isinstance(images, np.ndarray) or images.shape[1] != labels.count:
        return tensor2im(images)
    return in_colours(images, labels)


def values_like_files(classes: np.ndarray, labels: Labels) -> np.ndarray:
    """Numbers of classes (H, W), -1 for void, as their files hold them: (H, W, 1) ids, uint8 or
    uint16, or (H, W, 3) uint8 colours."""
    values = np.array([labels.value_of(number) for number in [*range(labels.count), -1]])[classes]
    if labels.by_colour:
        return np.stack([values >> 16, values >> 8 & 255, values & 255], -1).astype(np.uint8)
    return values[..., None].astype(np.uint8 if values.max() <= 255 else np.uint16)


def with_palette(ids: np.ndarray, labels: Labels) -> Image.Image:
    """(H, W, 1) uint8 ids as a picture whose palette has the classes' colours."""
    image = Image.fromarray(ids[..., 0], "P")
    colours = {value: VOID_COLOUR if number < 0 else labels.colours[number]
               for value, number in labels.values}  # fmt: skip
    image.putpalette(b"".join(bytes(colours.get(value, (0, 0, 0))) for value in range(256)))
    return image


def encode_labels(values: np.ndarray, labels: Labels) -> tuple[str, bytes]:
    """A label map of `values_like_files` as a file that can be read as one again, its extension and
    its content: a PNG of colours, or with a palette, whose indices are the ids; of ids above 255 a
    TIFF."""
    if values.dtype != np.uint8:
        header = Header(values.shape[1::-1], 1, "uint16", "tiff")
        return ".tif", format_named("tiff").encode(values, header)
    if values.shape[-1] == 3:
        return ".png", png_bytes(values)
    content = io.BytesIO()
    with_palette(values, labels).save(content, "png")
    return ".png", content.getvalue()


def save_labels(images: torch.Tensor, path: Path, labels: Labels, aspect_ratio: float) -> Path:
    """Write a label map as `encode_labels` does; of ids above 255 a PNG of colours beside it.

    Args:
        path: without extension.

    Returns: the PNG.
    """
    picture, classes = path.with_name(path.name + ".png"), class_map(images)
    if aspect_ratio != 1:
        classes = _stretched(classes, aspect_ratio)
    extension, content = encode_labels(values_like_files(classes, labels), labels)
    atomic.write(path.with_name(path.name + extension), content, durable=False)
    if extension != ".png":
        save_image(coloured(classes, labels), picture)
    return picture


def _stretched(classes: np.ndarray, aspect_ratio: float) -> np.ndarray:
    height, width = classes.shape
    if aspect_ratio > 1:
        width = int(width * aspect_ratio)
    else:
        height = int(height / aspect_ratio)
    image = Image.fromarray(classes.astype(np.int32)).resize((width, height), Image.NEAREST)
    return np.asarray(image)


def legend(labels: Mapping[str, Labels]) -> str:
    """HTML: a table of class, name and colour for each side; empty without label maps."""
    return "".join(_legend_of(side, each) for side, each in labels.items())


def _legend_of(side: str, labels: Labels) -> str:
    rows = [(number, labels.names[number], colour, labels.value_of(number))
            for number, colour in enumerate(labels.colours[:MOST_SHOWN])]  # fmt: skip
    rows += [("void", "", VOID_COLOUR, value) for value, own in labels.values if own < 0][:1]
    head = "".join(f"<th>{word}</th>" for word in ("class", "name", "colour", "value in files"))
    body = "".join(
        f'<tr><td>{number}</td><td>{html.escape(name)}</td><td><span style="display:inline-block;'
        f'width:2.5em;height:1em;border:1px solid #8888;background:#{packed(colour):06x}"></span> '
        f"#{packed(colour):06x}</td><td>{labels.describe(value)}</td></tr>"
        for number, name, colour, value in rows
    )
    more = f"<p>and {labels.count - MOST_SHOWN} more</p>" if labels.count > MOST_SHOWN else ""
    return (
        f'<details class="labels" open><summary>Classes of {html.escape(side)} '
        f"({html.escape(labels.given)})</summary><table><tr>{head}</tr>{body}</table>{more}"
        "</details>"
    )
