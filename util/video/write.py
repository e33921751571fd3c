"""A video file from frames, with the streams that are taken over from another."""

from __future__ import annotations

import contextlib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from util.errors import UserError, warn
from util.video import colours
from util.video.kinds import CONTAINERS, Codec, Container, check_codec
from util.video.library import av_library

OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")  # as metadata
BITS_PER_S = 0  # of encoders that have a constant quality: they decide


class Encoding(NamedTuple):
    """How a video is written.

    Args:
        container: the kind of file.
        codec: of its frames.
        crf: their quality; None: the codec has none.
    """

    container: Container
    codec: Codec
    crf: int | None

    @classmethod
    def of(cls, ending: str, codec: str = "auto", crf: int | None = None) -> Encoding:
        """As flags say, for files with an ending, e.g. ".mp4"; see `kinds.check_codec`.

        Raises:
            UserError: they do not fit each other, or PyAV is not here.
        """
        av = av_library()
        chosen, crf = check_codec(codec, crf, ending)
        if chosen.encoder not in av.codecs_available:
            raise UserError(f"--codec {codec}: this PyAV has no {chosen.encoder}; give another one")
        return cls(CONTAINERS[ending.lower()], chosen, crf)


class VideoWriter:
    """A file that gets frames and packets, and is whole when it is closed.

    Args:
        path: of the file.
        encoding: how it is written.
        like: the reader of the video that it is made of, which has given its first frame.
        name: of the file, for messages.
    """

    def __init__(self, path: Path, encoding: Encoding, like: Any, name: str) -> None:
        self.encoding, self.like, self.name = encoding, like, name
        self.stream: Any = None
        self.copies: dict[Any, Any] = {}  # stream of the other video -> its place here
        self.early: list[Any] = []  # packets that came before the first frame
        self.padded = (0, 0)  # columns and rows more than a frame has
        self.quantiser: Any = None
        av = av_library()
        options = dict(encoding.container.options)
        self.container = av.open(str(path), "w", encoding.container.muxer, options=options)

    def close(self) -> None:
        """Write what is held back. Only then the file is whole."""
        for packet in self.stream.encode(None) if self.stream else ():
            self.container.mux(packet)
        self.container.close()

    def drop(self) -> None:
        """Let go of a file that will not be whole."""
        with contextlib.suppress(Exception):  # what went wrong is told by whoever drops it
            self.container.close()

    def write(self, pixels: np.ndarray, time: int, duration: int) -> None:
        """Add a frame (H, W, 3) uint8, or (H, W, 1), at a time of the other's `time_base`."""
        if pixels.shape[2] not in (1, 3):
            raise UserError(f"{self.name}: {pixels.shape[2]} channels; videos hold 1 or 3 here")
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        if self.stream is None:
            self._begin(pixels.shape[1], pixels.shape[0])
        right, below = self.padded
        if right or below:
            pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)), "edge")
        frame = self._frame(pixels)
        frame.pts, frame.duration, frame.time_base = time, duration, self.like.time_base
        for packet in self.stream.encode(frame):
            self.container.mux(packet)

    def copy(self, packet: Any) -> None:
        """Add a packet of the other video as it is, if there is room for its stream."""
        if self.stream is None:
            self.early.append(packet)
        elif packet.stream in self.copies and packet.dts is not None:
            packet.stream = self.copies[packet.stream]
            self.container.mux(packet)

    def _begin(self, width: int, height: int) -> None:
        codec, crf = self.encoding.codec, self.encoding.crf
        if codec.even:
            self.padded = width % 2, height % 2
        if any(self.padded):
            wide, high = width + self.padded[0], height + self.padded[1]
            warn(
                f"{self.name}: written as {wide}x{high} px, its last column or row twice: "
                f"{codec.encoder} wants even sides (from {width}x{height})"
            )
        options = codec.options | ({} if crf is None else {"crf": str(crf)})
        self.stream = self.container.add_stream(codec.encoder, options=options)
        context = self.stream.codec_context
        context.width, context.height = width + self.padded[0], height + self.padded[1]
        context.pix_fmt, context.time_base = codec.pixels, self.like.time_base
        self.stream.time_base = self.like.time_base
        context.bit_rate = BITS_PER_S
        if rate := self.like.rate:
            context.framerate = Fraction(rate).limit_denominator(100_000)
        self.colours = self.like.colours.written(context.width, context.height)
        if codec.pixels.startswith("yuv"):
            colours.tag(context, self.colours, self.like.aspect)
        elif self.like.aspect:
            context.sample_aspect_ratio = self.like.aspect
        if (aspect := self.like.aspect or 1) != 1 and not codec.aspect:
            warn(
                f"{self.name}: {codec.encoder} has no place for the shape of a pixel, here "
                f"{aspect.numerator}:{aspect.denominator}; it is shown as if they were square"
            )
        self._take_over()
        for packet in self.early:
            self.copy(packet)
        self.early = []

    def _take_over(self) -> None:
        """Places for the streams of the other video, its chapters, and what it tells of itself."""
        given = getattr(self.like, "container", None)
        if given is None or not self.encoding.container.keeps_streams:
            if sounds := [s for s in self.like.others if s.type == "audio"]:
                warn(f"{self.name}: no room for sound ({sounds[0].codec_context.name}); give .mp4")
            return
        left_out: Counter = Counter()
        for stream in self.like.others:
            codec = stream.codec_context.codec.canonical_name if stream.codec_context else ""
            if stream.type in ("audio", "subtitle") and codec in self.container.supported_codecs:
                self.copies[stream] = self.container.add_stream_from_template(stream)
                self.copies[stream].metadata.update(stream.metadata)
                self.copies[stream].disposition = stream.disposition
            else:
                left_out[f"{stream.type} ({codec or 'of no known kind'})"] += 1
        if left_out:
            told = ", ".join(f"{count} {kind}" for kind, count in left_out.items())
            warn(f"{self.name}: left out, there is no room for it in this kind of file: {told}; "
                 ".mkv holds most")  # fmt: skip
        told = {k: v for k, v in given.metadata.items() if k.lower() not in OF_THE_FILE}
        self.container.metadata.update(told)
        if chapters := given.chapters():
            self.container.set_chapters(chapters)

    def _frame(self, pixels: np.ndarray) -> Any:
        if self.encoding.codec.pixels != "pal8":
            return colours.from_rgb(pixels, self.colours, self.encoding.codec.pixels)
        return paletted(pixels)


def paletted(pixels: np.ndarray) -> Any:
    """(H, W, 3) uint8 as a frame of 256 colours, chosen for it alone and mixed by dots."""
    av = av_library()
    graph = av.filter.Graph()
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    split, choose = graph.add("split"), graph.add("palettegen", "stats_mode=single")
    use, sink = graph.add("paletteuse", "dither=bayer:new=1"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(choose, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    return graph.pull()
