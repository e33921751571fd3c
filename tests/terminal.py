"""A pseudo-terminal to run things in."""

import os
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Terminal:
    """`stream` writes to it; `text` is what came, `screen()` what stands there."""

    def __init__(self, columns: int, encoding: str = "utf-8") -> None:
        self.master, self.slave = os.openpty()
        self.resize(columns)
        self.stream = os.fdopen(self.slave, "w", encoding=encoding, closefd=False)
        self._received: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def resize(self, columns: int) -> None:
        termios.tcsetwinsize(self.slave, (24, columns))

    def _read(self) -> None:
        try:
            while data := os.read(self.master, 65536):
                self._received.append(data)
        except OSError:  # the other end is closed
            pass

    def close(self) -> str:
        """Everything that came."""
        self.stream.close()
        os.close(self.slave)
        self._reader.join()
        os.close(self.master)
        return b"".join(self._received).decode()


def screen(text: str, columns: int) -> list[str]:
    """Lines as a terminal shows them: a carriage return overwrites, what is too long wraps."""
    rows: list[list[str]] = [[]]
    place = 0
    for char in text:
        if char == "\r":
            place = 0
        elif char == "\n":
            rows.append([])
            place = 0
        else:
            if place == columns:
                rows.append([])
                place = 0
            rows[-1][place : place + 1] = [char]
            place += 1
    return ["".join(row).rstrip() for row in rows]


@contextmanager
def in_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, encoding: str = "utf-8"
) -> Iterator[Terminal]:
    """stdout and stderr are a terminal; `.text` afterwards is what was sent to it."""
    terminal = Terminal(columns, encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal.stream)
        patch.setattr(sys, "stderr", terminal.stream)
        patch.setenv("TERM", "xterm")
        try:
            yield terminal
        finally:
            terminal.text = terminal.close()
