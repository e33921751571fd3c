"""The frames of a video, upright and in RGB, one after the other; and what lies between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from util.errors import BadImage, warn
from util.video.colours import HDR, UNKNOWN, Colours, to_rgb
from util.video.library import REMEDY, av_library, damage_told

SHORT_S, SHORT_PART = 1.0, 0.02  # that a whole video may end before it says
Turn = Callable[[np.ndarray], np.ndarray]


class Frame(NamedTuple):
    """A picture of a video.

    Args:
        pixels: (H, W, 3) uint8, upright.
        time, duration: in the video's `time_base`; a duration of 0 is not known.
    """

    pixels: np.ndarray
    time: int
    duration: int


class VideoReader:
    """A video file, read from its beginning to its end.

    Args:
        path: of the file.
        tells: say what is lost on the way: depth, opacity, fields.

    Attributes:
        time_base: s, the unit of all times.
        count: of frames, as far as the file tells; 0: it does not.
        aspect: width / height of a pixel, upright; None: square, or not told. Known after the first
            frame, like `colours`.
        others: streams besides the pictures: sound, subtitles, data.

    Raises:
        BadImage: it is no video.
        UserError: PyAV is not installed.
    """

    def __init__(self, path: str, tells: bool = True) -> None:
        self.path, self.tells = path, tells
        av = av_library()
        with damage_told(path):
            self.container = av.open(path, metadata_errors="replace")
        pictures = [s for s in self.container.streams.video if not _is_cover(s)]
        if not pictures:
            self.container.close()
            raise BadImage(path, "no video in it, sound alone" * bool(self.container.streams.audio)
                           or "no video in it")  # fmt: skip
        self.stream = self.container.streams.best("video")
        self.stream = self.stream if self.stream in pictures else pictures[0]
        self.others = [s for s in self.container.streams if s is not self.stream]
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.options = {"err_detect": "crccheck+buffer+explode"}
        self.time_base: Fraction = self.stream.time_base
        self.rate: Fraction | None = self.stream.average_rate or self.stream.guessed_rate
        self.count = self.stream.frames or self._expected_count()
        self.aspect: Fraction | None = None
        self.colours = Colours(UNKNOWN, False)
        self._size = (0, 0)  # of the first frame, as it is stored
        self.said: set[str] = set()
        self._turn: Turn = lambda values: values
        self._last = 0  # time of the frame before
        self._reached = 0.0  # s

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[Frame | Any]:
        """Frames, and FFmpeg's packets of `others` between them, in the order of the file.

        Raises:
            BadImage: the file is damaged, or ends before it should.
        """
        packets, found = self._packets(), False
        for packet in packets:
            if packet.stream is not self.stream:
                if packet.size:
                    yield packet
                continue
            with damage_told(self.path, self._where()):
                frames = packet.decode()
            for frame in frames:
                if frame.is_corrupt:
                    raise BadImage(self.path, f"damaged {self._where()}", REMEDY)
                found = True
                yield self._taken(frame)
        if not found:
            raise BadImage(self.path, "no frame in it", REMEDY)
        self._check_end()

    def _packets(self) -> Iterator[Any]:
        packets = self.container.demux()
        while True:
            with damage_told(self.path, self._where()):
                packet = next(packets, None)
            if packet is None:
                return
            if packet.is_corrupt and packet.stream is self.stream:
                raise BadImage(self.path, f"damaged {self._where()}", REMEDY)
            if packet.pts is not None:
                end = packet.pts + (packet.duration or 0)
                self._reached = max(self._reached, float(end * packet.time_base))
            yield packet

    def _taken(self, frame: Any) -> Frame:
        if not self._size[0]:
            self._begin(frame)
        elif (frame.width, frame.height) != self._size:
            self._tell("frames change their size: all are brought to that of the first")
        pixels, transparent = to_rgb(frame, self.colours, self._size)
        if transparent:
            self._tell("transparent places are laid on white: a video has no opacity here")
        duration = frame.duration or 0
        usual = duration or (round(1 / (self.rate * self.time_base)) if self.rate else 1)
        time = self._last + max(1, usual) if frame.pts is None else frame.pts
        self._last = time = max(time, self._last + 1)  # each frame is later than the one before
        return Frame(np.ascontiguousarray(self._turn(pixels)), time, duration)

    def _begin(self, frame: Any) -> None:
        """What the first frame says of all."""
        self._size = frame.width, frame.height
        self.colours = Colours.of(frame)
        self._turn, swaps = _upright(frame, self._tell)
        aspect = self.stream.sample_aspect_ratio
        self.aspect = (1 / aspect if swaps else aspect) if aspect else None
        self._last = -1 if frame.pts is None else frame.pts - 1
        bits = max(component.bits for component in frame.format.components)
        if curve := HDR.get(frame.color_trc):
            self._tell(f"HDR ({curve}): the network sees its numbers as they are, in 8 bits; for "
                       "colours as it was trained on map the tones to SDR first")  # fmt: skip
        elif bits > 8:
            self._tell(f"{bits} bits: taken and written in 8")
        if frame.interlaced_frame:
            self._tell("interlaced: both fields are translated as one picture; take them apart "
                       "first (ffmpeg -vf yadif)")  # fmt: skip

    def _tell(self, what: str) -> None:
        if self.tells and what not in self.said:
            self.said.add(what)
            warn(f"{self.path}: {what}")

    def _where(self) -> str:
        return f"at {self._reached:.1f} s"

    def _duration_s(self) -> float:
        """As the file tells; 0: it does not."""
        micro = self.container.duration
        start = self.container.start_time or 0
        return (micro + max(start, 0)) / 1e6 if micro else 0.0

    def _expected_count(self) -> int:
        return round(self._duration_s() * self.rate) if self.rate else 0

    def _check_end(self) -> None:
        """Raise BadImage if a part of the file is missing at its end."""
        told = self._duration_s()
        if self._reached and told - self._reached > max(SHORT_S, SHORT_PART * told):
            raise BadImage(
                self.path, f"cut off: it ends at {self._reached:.1f} s of {told:.1f} s", REMEDY
            )


def _is_cover(stream: Any) -> bool:
    """Whether a stream is a picture that a player shows in a list."""
    return bool(stream.disposition & stream.disposition.attached_pic)


def _upright(frame: Any, tell: Callable[[str], None]) -> tuple[Turn, bool]:
    """(from a frame as it is stored to how players show it, whether width and height change
    places)."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return lambda values: values, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5] / 65536
    swaps = abs(b) > abs(a)
    if min(abs(a) + abs(d), abs(b) + abs(c)) > 0.1:
        tell("turned by no multiple of 90 degrees: brought to the nearest one")
    rows, columns = (np.sign(b), np.sign(c)) if swaps else (np.sign(d), np.sign(a))

    def turn(values: np.ndarray) -> np.ndarray:
        values = values.swapaxes(0, 1) if swaps else values
        return values[:: int(rows) or 1, :: int(columns) or 1]

    return turn, bool(swaps)
