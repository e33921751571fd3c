"""Two pictures in one file, left and right: checking, gluing and writing them."""

import io
from pathlib import Path

from PIL import Image

from scripts.tool import write
from util.errors import BadImage, UserError
from util.images.header import Header, read_header


def eight_bit_header(path: str, remedy: str) -> Header:
    """The header of a file that goes into an 8-bit colour picture as it is.

    Raises:
        BadImage: it cannot be read, or would lose bits or channels; ends with the remedy.
    """
    try:
        header = read_header(path)
    except OSError as error:
        raise BadImage(path, f"cannot be read ({error.strerror})") from error
    if header.deep:
        told = f"{header.describe()}, which would be cut to 8 bits a value and three channels"
        raise BadImage(path, told, remedy)
    return header


def glue(left: Image.Image, right: Image.Image) -> Image.Image:
    """Both of one size, in one RGB image of twice the width."""
    if left.size != right.size:
        raise UserError(f"{_px(left.size)} px and {_px(right.size)} px do not fit side by side")
    both = Image.new("RGB", (2 * left.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def _px(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def save(image: Image.Image, path: Path, quality: int = 95) -> None:
    """Write a picture whole or not at all; JPEG keeps full colour resolution, WebP all."""
    kind = Image.registered_extensions()[path.suffix.lower()]
    options = {"JPEG": {"quality": quality, "subsampling": 0}, "WEBP": {"lossless": True}}
    content = io.BytesIO()
    try:
        image.save(content, kind, **options.get(kind, {}))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be written as {kind} ({error})") from error
    write(path, content.getvalue())
