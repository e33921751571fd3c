"""From an image file to a picture of the wanted channels."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from util.atomic import not_regular, refuse_special
from util.errors import BadImage, UserError, did_you_mean, warn
from util.images.formats import format_named
from util.images.header import ORIENTATION, Header, read_header
from util.images.picture import Picture, grey, on_white

RETRY_AFTER_S = (0.1, 0.5, 2.0)  # network folders hiccup
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip

Range = tuple[float, float]  # values that stand for -1 and 1


def range_of(flag: Sequence[float] | None, side: str) -> Range | None:
    """What `--value_range LOW HIGH [LOW_B HIGH_B]` says about a side; four numbers say nothing of
    images besides A and B."""
    if flag is None or (side not in ("A", "B") and len(flag) > 2):
        return None
    return tuple(flag[-2:]) if side == "B" else tuple(flag[:2])


def read_bytes(path: str) -> bytes:
    """All bytes of a file; what a disk or a network refuses is tried again a few times.

    Raises:
        BadImage: this file may not be read.
        UserError: it has gone away, or its disk fails.
    """
    if kind := not_regular(path):
        raise BadImage(path, kind)
    for wait_s in (*RETRY_AFTER_S, None):
        try:
            with open(path, "rb") as file:
                return file.read()
        except (PermissionError, IsADirectoryError) as error:
            raise BadImage(path, f"cannot be read ({error.strerror})") from error
        except OSError as error:
            if wait_s is None:
                raise UserError(
                    f"{path}: cannot be read ({error.strerror}), tried {len(RETRY_AFTER_S) + 1} "
                    "times; is the disk or the folder still there?"
                ) from error
            time.sleep(wait_s)
    raise AssertionError


def read_picture(
    path: str,
    channels: int | None,
    value_range: Range | None = None,
    min_size: tuple[int, int] | None = None,
) -> Picture:
    """Read an image, upright, with so many channels; None: grey or coloured, as it is.

    1 and 3 are made from each other and from what has alpha, which is laid on white; with 2 and 4
    an alpha channel is kept; any other number has to be the file's own.

    Args:
        value_range: of files that are not 8-bit; by default (0, 65535) for 16-bit, (0, 1) for
            floats. Values outside are cut off, and that is said once.
        min_size: a JPEG may be decoded at a fraction of its size, faster, but to no less than so
            many px (width, height).

    Returns: uint8 if the file has 8 bits a value and channels is 1 or 3, else float32.

    Raises:
        BadImage: the file is damaged, or has other channels or values.
        UserError: it has gone away, or its disk fails.
    """
    return decode_picture(path, read_bytes(path), channels, value_range, min_size)


def decode_picture(
    path: str,
    data: bytes,
    channels: int | None,
    value_range: Range | None = None,
    min_size: tuple[int, int] | None = None,
) -> Picture:
    """`read_picture` of bytes that are at hand; `path` is their name."""
    header = read_header(path, data)
    channels = channels or header.own_channels
    with _damage_told(path):
        image, turned = _decode(data, header, min_size)
        picture = picture_of(path, image, header, channels, value_range)
        return picture.transpose(UPRIGHT[turned]) if turned in UPRIGHT else picture


def decode_stored(
    path: str, data: bytes, change: Callable[[np.ndarray | Image.Image], np.ndarray]
) -> Picture:
    """The values of an image as its file holds them, upright.

    Args:
        change: from the image that a format gives to values (H, W, C).

    Raises:
        BadImage: it is damaged, or from `change`.
    """
    header = read_header(path, data)
    with _damage_told(path):
        image, turned = _decode(data, header)
        picture = Picture(change(image), {"path": path})
        return picture.transpose(UPRIGHT[turned]) if turned in UPRIGHT else picture


def picture_of(
    path: str, image: np.ndarray | Image.Image, header: Header, channels: int,
    value_range: Range | None = None,
) -> Picture:  # fmt: skip
    """`read_picture` of what is decoded: an array (H, W, C) of the header's type if it is deep,
    else PIL's image or uint8; `path` is its name."""
    if header.deep:
        values = _scaled(path, image, value_range)
        picture = Picture(_chosen(path, values, header, channels))
    else:
        picture = _with_channels(path, image, header, channels)
    picture.info["path"] = path  # for messages of the transforms
    return picture


def check_pixels(path: str, value_range: Range | None = None, values_too: bool = False) -> Header:
    """Decode all of a file; raises BadImage if that fails.

    Args:
        values_too: also see whether its values are in their range.
    """
    data = read_bytes(path)
    header = read_header(path, data)
    with _damage_told(path):
        values, _ = _decode(data, header)
        if header.deep:
            _scaled(path, values, value_range) if values_too else _finite_limits(path, values)
    return header


@contextlib.contextmanager
def _damage_told(path: str) -> Iterator[None]:
    """Decoders raise anything over damaged bytes."""
    try:
        yield
    except BadImage:
        raise
    except MemoryError as error:
        raise BadImage(path, "it does not fit into memory", "scale it down") from error
    except Exception as error:
        why = f"cannot be read as an image ({' '.join(str(error).split())})"
        raise BadImage(path, why) from error


def load_image(path: str, mode: str = "RGB", value_range: Range | None = None) -> Image.Image:
    """Read an image upright as 8-bit RGB, or L; deeper ones are rounded to that."""
    picture = read_picture(path, 1 if mode == "L" else 3, value_range)
    if picture.values.dtype != np.uint8:
        picture = Picture((picture.values * 255).round().clip(0, 255).astype(np.uint8))
    image = picture.pil()
    return image if image.mode == mode else image.convert(mode)


def load_given(flag: str, path: str) -> Image.Image:
    """`load_image` of the file that a flag names."""
    refuse_special(path, flag)
    if not os.path.isfile(path):
        near = (
            did_you_mean(os.path.basename(path), os.listdir(os.path.dirname(path) or "."))
            if os.path.isdir(os.path.dirname(path) or ".")
            else ""
        )
        raise UserError(f"--{flag} {path}: no such file{near}")
    return load_image(path)


def value_limits(dtype: str, value_range: Range | None) -> Range | None:
    """The values of a type that stand for -1 and 1; None if nobody has said."""
    if dtype == "uint8":
        return 0, 255
    if value_range is not None:
        return value_range
    return {"uint16": (0, 65535), "bool": (0, 1)}.get(dtype, (0, 1) if "float" in dtype else None)


def _decode(
    data: bytes, header: Header, min_size: tuple[int, int] | None = None
) -> tuple[np.ndarray | Image.Image, int]:
    """(image as stored, its EXIF orientation); (H, W, C) if the file is deep."""
    image = format_named(header.kind).decode(data, header, min_size)
    if isinstance(image, Image.Image):
        return image, image.getexif().get(ORIENTATION, 1)
    if header.deep:
        image = image.reshape(*image.shape[:2], header.channels)
    return image, header.turned


def _with_channels(
    path: str, image: np.ndarray | Image.Image, header: Header, channels: int
) -> Picture:
    if channels not in (1, 3):
        mode = {2: "LA", 4: "RGBA"}.get(header.channels)
        values = np.asarray(image.convert(mode) if mode else image)
        values = values.reshape(*values.shape[:2], -1).astype(np.float32) / 255
        return Picture(_chosen(path, values, header, channels))
    if isinstance(image, np.ndarray):
        if image.shape[-1] == channels:
            return Picture(image)
        image = Picture(image).pil()
    if header.alpha:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "RGB" if channels == 3 else "L"
    return Picture.of(image if image.mode == mode else image.convert(mode))


def _scaled(path: str, values: np.ndarray, value_range: Range | None) -> np.ndarray:
    """float32 in [0, 1]."""
    limits = value_limits(values.dtype.name, value_range)
    low, high = _finite_limits(path, values)
    if limits is None:
        raise without_range(path, f"{values.dtype}, here {low} to {high},")
    if low < limits[0] or high > limits[1]:
        told = f"values from {low:g} to {high:g}"
        if value_range is None:
            raise BadImage(path, f"{told}, not within 0 and 1", "give --value_range LOW HIGH")
        _say_cut(f"{path}: {told} are cut to --value_range {limits[0]:g} {limits[1]:g}")
    exact = np.float32 if values.itemsize <= 2 or values.dtype == np.float32 else np.float64
    scaled = (values.astype(exact) - exact(limits[0])) / exact(limits[1] - limits[0])
    return scaled.clip(0, 1).astype(np.float32)


def without_range(path: str, values: str) -> BadImage:
    """What is wrong with whole numbers of which nobody knows what they may be."""
    why = f"values of type {values} have no range of their own"
    return BadImage(path, why, "give one: --value_range LOW HIGH")


def _finite_limits(path: str, values: np.ndarray) -> tuple[np.generic, np.generic]:
    low, high = values.min(), values.max()
    if not np.isfinite([low, high]).all():
        raise BadImage(path, "it holds NaN or infinite values")
    return low, high


_said: list[str] = []  # once is enough; worker processes inherit it


def _say_cut(message: str) -> None:
    if not _said:
        _said.append(message)
        warn(f"{message}; so are others, if they lie outside")


def _chosen(path: str, values: np.ndarray, header: Header, channels: int) -> np.ndarray:
    """(H, W, channels) in [0, 1]."""
    if not header.gives(channels):
        raise wrong_channels(path, header, channels)
    if values.shape[-1] == channels:
        return values
    values = on_white(values) if header.alpha else values
    if values.shape[-1] == 3 and channels == 1:
        return grey(values)
    return np.repeat(values, channels // values.shape[-1], axis=-1)


def wrong_channels(path: str, header: Header, channels: int) -> BadImage:
    """What is wrong with a file that does not give so many channels."""
    return BadImage(
        path, f"it has {header.channels} channels, expected are {channels}",
        "the run's --input_nc and --output_nc say how many; or remove the file",
    )  # fmt: skip
