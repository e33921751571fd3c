"""A line that is drawn anew: as long as the terminal is wide, and no longer."""

import os
import sys
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm
from tqdm.utils import disp_len, disp_trim

UNKNOWN_COLUMNS = 80  # a notebook's, or those of a terminal that does not say


def live_stream() -> TextIO | None:
    """Where a line can be drawn anew: a terminal, or a notebook's cell; None: only lines.

    With stdout in a pipe (`| tee log`) whoever reads it would write into the drawn line.
    """
    if type(sys.stdout).__module__.startswith("ipykernel"):
        return sys.stdout
    terminal = sys.stdout.isatty() and sys.stderr.isatty()
    return sys.stderr if terminal and os.environ.get("TERM") != "dumb" else None


def columns(stream: TextIO) -> int:
    """That a line may take: the last one stays free, or terminals would begin another line."""
    try:
        wide = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except OSError:  # the terminal has gone
        wide = 0
    return (wide or UNKNOWN_COLUMNS) - 1


class LiveLine(tqdm):
    """Of tqdm: when it is drawn, and that other lines pass above it.

    Nothing but carriage returns and spaces is sent besides the text, so that every terminal
    understands it. A line that does not fit after all is cut.

    Args:
        text: gives the line for a number of columns and an encoding.
    """

    monitor_interval = 0  # no thread

    def __init__(self, stream: TextIO, text: Callable[[int, str], str]) -> None:
        self.text, self.stream = text, stream
        pause_s = 0.1 if stream.isatty() else 0.5  # a notebook keeps what it is sent for long
        super().__init__(file=stream, leave=False, miniters=1, mininterval=pause_s)

    def __str__(self) -> str:
        wide, encoding = columns(self.stream), self.stream.encoding or "ascii"
        line = self.text(wide, encoding).encode(encoding, "replace").decode(encoding)
        return disp_trim(line, wide)

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        drawn = 0

        def draw(line: str) -> None:
            nonlocal drawn
            rest = min(drawn, columns(file)) - disp_len(line)  # of a terminal made narrower
            file.write("\r" + line + " " * max(0, rest))
            file.flush()
            drawn = disp_len(line)

        return draw


def fit(parts: list[tuple[int, str]], wide: int) -> str:
    """A line of those parts that have room, in their order, two spaces between.

    Args:
        parts: (importance, text) each; 0 is taken first.
        wide: columns of the line.
    """
    taken: set[int] = set()
    for i in sorted(range(len(parts)), key=lambda i: parts[i][0]):
        room = wide - sum(disp_len(parts[j][1]) + 2 for j in taken)
        if parts[i][1] and (not taken or disp_len(parts[i][1]) <= room):
            taken.add(i)
    return "  ".join(parts[i][1] for i in sorted(taken))


def bar(share: float, cells: int, encoding: str) -> str:
    """How much of something is done, in blocks, or in ASCII where the encoding has none."""
    full = round(share * cells)
    blocks = "█" * full + "░" * (cells - full)
    try:
        blocks.encode(encoding)
    except UnicodeEncodeError:
        return f"[{'#' * full}{'-' * (cells - full)}]"
    return blocks
