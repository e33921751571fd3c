"""Small videos, made frame by frame."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.helpers import photo


def pan(count: int = 6, size: tuple[int, int] = (48, 32)) -> list[np.ndarray]:
    """Frames (H, W, 3) of a camera that goes over a photograph; the size is (width, height) px."""
    wide = np.asarray(photo(1, (size[0] + 2 * count, size[1])))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + size[0]]) for n in range(count)]


def write_clip(
    path: Path, frames: list[np.ndarray], codec: str = "ffv1", pixels: str = "bgr0",
    times: list[int] | None = None, time_base: Fraction = Fraction(1, 25), sound: bool = False,
    subtitles: Path | None = None, rotation: int = 0, **context: Any,
) -> Path:  # fmt: skip
    """A video of frames.

    Args:
        times: of the frames, in `time_base`; None: 0, 1, 2, ...
        sound: a tone of half a second beside it.
        subtitles: an .srt file that is put in.
        context: attributes of the codec's context: color_range, colorspace, ...
    """
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], pixels
        stream.codec_context.time_base = stream.time_base = time_base
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = out.add_stream("aac", rate=8000, layout="mono") if sound else None
        lines = av.open(str(subtitles)) if subtitles else None
        said = out.add_stream_from_template(lines.streams[0]) if lines else None
        matrix, full = context.get("colorspace", 5), context.get("color_range") == 2
        for time, values in zip(times or range(len(frames)), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(values, "rgb24").reformat(
                format=pixels, src_colorspace=matrix, dst_colorspace=matrix, src_color_range=2,
                dst_color_range=2 if full or pixels == "bgr0" else 1,
            )  # fmt: skip
            frame.pts, frame.time_base = time, time_base
            out.mux(stream.encode(frame))
        if tone:
            wave = (np.sin(np.arange(4000) / 5) * 9000).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
            samples.rate, samples.pts = 8000, 0
            out.mux([*tone.encode(samples), *tone.encode(None)])
        for packet in lines.demux() if lines else ():
            if packet.dts is not None:
                packet.stream = said
                out.mux(packet)
        out.mux(stream.encode(None))
    return path


def read_clip(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """(times in s, frames) as any program decodes them, colours as its tags say."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    pictures = [
        frame.to_ndarray(format="rgb24", src_colorspace=1 if frame.colorspace == 1 else 5,
                         dst_colorspace=1 if frame.colorspace == 1 else 5,
                         src_color_range=frame.color_range or 1, dst_color_range=2)
        for frame in frames
    ]  # fmt: skip
    return [round(float(frame.pts * frame.time_base), 4) for frame in frames], pictures


def packets(path: Path, kind: str) -> list[bytes]:
    """The packets of the first stream of a kind, as they are."""
    with av.open(str(path)) as file:
        stream = next(s for s in file.streams if s.type == kind)
        return [bytes(packet) for packet in file.demux(stream) if packet.size]
