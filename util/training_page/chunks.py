"""Data of a page that stays open: scripts, for a page opened from disk may fetch nothing else."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from util import atomic

CHUNK = 50  # items of a file


def script(function: str, value: Any) -> str:
    """A call of the page's function with a plain value, harmless whatever text is in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: no U+2028 either
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"training.{function}({text})\n"


def replace(path: Path, text: str) -> None:
    """A file that is whole whenever a reader comes. It can be made anew, so nobody waits for the
    disk."""
    atomic.write(path, text.encode("ascii"), durable=False)


class Chunks:
    """A list in files of CHUNK items each, so that a change costs the same at any length.

    Args:
        folder: where <name>_0.js, <name>_1.js, ... are.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.generation = time.time_ns() // 1000  # another one whenever old items change
        self.changes = self.count = 0

    def state(self) -> dict[str, int]:
        """What a reader compares with what it has."""
        return {"generation": self.generation, "changes": self.changes, "count": self.count}

    def load(self) -> list:
        """The items that an earlier session left, as far as they are whole."""
        items: list = []
        with contextlib.suppress(OSError, ValueError):
            for number in range(len(list(self.folder.glob(f"{self.name}_*.js")))):
                text = self._file(number).read_text(encoding="ascii")
                items += json.loads(text[text.index("(") + 1 : text.rindex(")")])[-1]
        return items

    def renew(self, items: list) -> None:
        """All items have changed."""
        self.generation += 1
        for number in range(-(-len(items) // CHUNK)):
            self._write(number, items)
        for file in self.folder.glob(f"{self.name}_*.js"):
            if int(file.stem.rpartition("_")[2]) * CHUNK >= len(items):
                file.unlink()
        self.count = len(items)

    def update(self, items: list) -> None:
        """The last item is new, or has changed."""
        self._write((len(items) - 1) // CHUNK, items)
        self.count = len(items)

    def _file(self, number: int) -> Path:
        return self.folder / f"{self.name}_{number}.js"

    def _write(self, number: int, items: list) -> None:
        self.changes += 1
        part = items[number * CHUNK : (number + 1) * CHUNK]
        replace(self._file(number), script("put", [self.name, self.generation, number, part]))
