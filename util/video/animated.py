"""Animated WebP, which FFmpeg does not read: by Pillow, with the face of a VideoReader."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from PIL import Image, ImageSequence

from util.errors import BadImage, warn
from util.images.picture import on_white
from util.video.colours import RGB, Colours
from util.video.read import Frame

USUAL_MS = 100  # of a picture without a duration


class AnimatedReader:
    """As `util.video.read.VideoReader`.

    Args:
        path: of the file.
        tells: say what is lost on the way.
    """

    time_base = Fraction(1, 1000)
    rate: Fraction | None = None
    aspect: Fraction | None = None
    others: tuple = ()
    colours = Colours(RGB, True)

    def __init__(self, path: str, tells: bool = True) -> None:
        self.path, self.tells = path, tells
        try:
            self.image = Image.open(path)
        except (OSError, ValueError, SyntaxError) as error:
            raise BadImage(path, f"cannot be read as an animated picture ({error})") from error
        self.count = getattr(self.image, "n_frames", 1)

    def __enter__(self) -> AnimatedReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.image.close()

    def __iter__(self) -> Iterator[Frame]:
        """One frame after the other, transparent places laid on white."""
        time, transparent = 0, False
        try:
            for image in ImageSequence.Iterator(self.image):
                values = np.asarray(image.convert("RGBA"))
                transparent |= bool(values[..., 3].min() < 255)
                laid = on_white(values.astype(np.float32) / 255)
                duration = round(image.info.get("duration") or USUAL_MS)
                yield Frame((laid * 255).round().astype(np.uint8), time, duration)
                time += duration
        except (OSError, ValueError, SyntaxError) as error:
            raise BadImage(self.path, f"damaged at {time / 1000:.1f} s ({error})") from error
        if transparent and self.tells:
            warn(f"{self.path}: transparent places are laid on white")
