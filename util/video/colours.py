"""How the numbers of a video's frames stand for colours, on the way in and out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from util.images.picture import on_white
from util.video.library import av_library

# FFmpeg's numbers (AVColorSpace, AVColorRange, AVColorTransferCharacteristic), as in H.273.
RGB, BT709, UNKNOWN, BT470BG, SMPTE170M = 0, 1, 2, 5, 6
LIMITED, FULL = 1, 2  # Y from 16 to 235; from 0 to 255
HDR = {16: "PQ", 18: "HLG"}
HD = (1280, 576)  # wider, or higher: untagged videos are BT.709, as players have it
# Bicubic, and as exact as it can be: chroma at full resolution, no short cuts in rounding.
EXACT = 0x4 | 0x2000 | 0x4000 | 0x40000


class Colours(NamedTuple):
    """The tags of a video.

    Args:
        matrix: from RGB to Y, U and V; RGB: there is none.
        full: whether Y has all 256 levels.
        primaries, transfer: which are kept as they are; UNKNOWN: nobody says.
    """

    matrix: int
    full: bool
    primaries: int = UNKNOWN
    transfer: int = UNKNOWN

    @classmethod
    def of(cls, frame: Any) -> Colours:
        """Those of a decoded frame; what is not tagged is taken as players take it."""
        matrix = frame.colorspace
        if frame.format.is_rgb or frame.format.name in ("pal8", "gray", "graya"):
            matrix, full = RGB, True
        else:
            full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
            if matrix in (RGB, UNKNOWN):
                matrix = usual_matrix(frame.width, frame.height)
        return cls(matrix, full, frame.color_primaries, frame.color_trc)

    def written(self, width: int, height: int) -> Colours:
        """Those of a video of this size that is made of such frames: RGB becomes Y, U and V."""
        if self.matrix != RGB:
            return self
        return self._replace(matrix=usual_matrix(width, height), full=False)


def usual_matrix(width: int, height: int) -> int:
    """Of a video that does not say."""
    return BT709 if width >= HD[0] or height > HD[1] else SMPTE170M


def _known_to_scaler(matrix: int) -> int:
    """The scaler's number of a matrix: its two names for BT.601 are one."""
    return {SMPTE170M: BT470BG, RGB: BT709, 10: 9}.get(matrix, matrix)


def to_rgb(frame: Any, colours: Colours, size: tuple[int, int]) -> tuple[np.ndarray, bool]:
    """A decoded frame as (H, W, 3) uint8 of `size` (width, height) px, what is transparent laid on
    white; and whether anything is."""
    alpha = any(component.is_alpha for component in frame.format.components)
    made = av_library().video.reformatter.VideoReformatter().reformat(
        frame, *size, "rgba" if alpha else "rgb24", interpolation=EXACT,
        src_colorspace=_known_to_scaler(colours.matrix),
        dst_colorspace=_known_to_scaler(colours.matrix),
        src_color_range=FULL if colours.full else LIMITED, dst_color_range=FULL,
    )  # fmt: skip
    values = made.to_ndarray()
    if not alpha:
        return values, False
    if values[..., 3].min() == 255:
        return np.ascontiguousarray(values[..., :3]), False
    laid = on_white(values.astype(np.float32) / 255)
    return (laid * 255).round().astype(np.uint8), True


def from_rgb(pixels: np.ndarray, colours: Colours, pixel_format: str) -> Any:
    """(H, W, 3) uint8 as a frame that an encoder takes."""
    av = av_library()
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
    if pixel_format == "bgr0":  # nothing is lost
        return frame.reformat(format="bgr0")
    matrix = _known_to_scaler(colours.matrix)
    made = av.video.reformatter.VideoReformatter().reformat(
        frame, None, None, pixel_format, interpolation=EXACT, src_colorspace=matrix,
        dst_colorspace=matrix, src_color_range=FULL,
        dst_color_range=FULL if colours.full else LIMITED,
    )  # fmt: skip
    made.colorspace, made.color_range = colours.matrix, FULL if colours.full else LIMITED
    made.color_primaries, made.color_trc = colours.primaries, colours.transfer
    return made


def tag(codec_context: Any, colours: Colours, aspect: Fraction | None) -> None:
    """Let an encoder write down what its frames' numbers stand for, and the shape of a pixel."""
    codec_context.colorspace = colours.matrix
    codec_context.color_range = FULL if colours.full else LIMITED
    codec_context.color_primaries, codec_context.color_trc = colours.primaries, colours.transfer
    if aspect:
        codec_context.sample_aspect_ratio = aspect
