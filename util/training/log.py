"""The two logs of a training: loss_log.txt to read, metrics.jsonl for programs; and the means of an
epoch's losses, which are a line of both."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import BinaryIO

from util import atomic, distributed
from util.errors import UserError, readable, warn
from util.lazy import torch
from util.record import Figures, Record

LOGS = ("loss_log.txt", "metrics.jsonl")


class RunLog:
    """Appends to the logs in a run's folder; every line is on disk when `log` returns.

    Args:
        folder: the run's.
        resumed: `state_dict()` of the session to go on from: what came after it is cut off. Logs
            that it does not name are kept whole, but for a line that a power cut has cut. None:
            begin anew.
    """

    def __init__(self, folder: Path, resumed: dict | None) -> None:
        self.folder = folder
        for file in LOGS:
            _cut(folder / file, 0 if resumed is None else resumed.get(file))
        self._append("loss_log.txt", f"{'=' * 16} Training Loss ({time.strftime('%c')}) {'=' * 16}")

    def state_dict(self) -> dict[str, int]:
        """Bytes of each log. They are on disk: after a power cut a checkpoint finds its lines."""
        files = {file: self.folder / file for file in LOGS}
        for path in files.values():
            atomic.sync(path)
        return {file: path.stat().st_size for file, path in files.items() if path.is_file()}

    def log(self, record: Record) -> None:
        """Write a record to both."""
        self._append("loss_log.txt", record.to_text())
        self._append("metrics.jsonl", record.to_line())

    def _append(self, file: str, line: str) -> None:
        try:
            with atomic.open_here(self.folder / file, "ab") as log:
                log.write((readable(line) + "\n").encode("utf-8", "backslashreplace"))
        except FileNotFoundError as error:
            raise UserError(
                f"{self.folder}: not there any more, moved or deleted while the training runs; "
                "move it back, or go on where it is now, from its last checkpoint"
            ) from error


def _cut(file: Path, size: int | None) -> None:
    """Shorten a log to `size` bytes (None: as long as it is) and then to its last whole line.

    A power cut may leave the end of a line out, or zeros in its place, or more. Where the log is a
    link, a file takes its place, and what it leads to stays as it is.
    """
    if size is None and not file.exists():
        return
    if kind := atomic.not_regular(file):
        raise UserError(f"{file}: {kind}; move it away: a log of the training belongs there")
    if file.is_symlink():
        atomic.write(file, file.read_bytes() if size != 0 and file.is_file() else b"")
    with atomic.open_here(file, "r+b" if file.exists() else "xb") as log:
        there = log.seek(0, os.SEEK_END)
        if size is not None and there < size:
            warn(f"{file}: {size - there} bytes shorter than when the checkpoint was saved, as "
                 "after a power cut; the lines that were there are lost")  # fmt: skip
        kept = there if size is None else min(size, there)
        whole = _whole_lines(log, kept) if kept else 0
        if whole < kept:
            warn(f"{file}: its last {kept - whole} bytes are no whole line, as after a power cut; "
                 "they are cut off")  # fmt: skip
        log.truncate(whole)


def _whole_lines(log: BinaryIO, size: int) -> int:
    """Bytes of the first `size` up to the end of the last line that has an end, and no zeros."""
    log.seek(0)
    data = log.read(size)
    end = data.rfind(b"\n") + 1
    while end and b"\0" in data[(begin := data.rfind(b"\n", 0, end - 1) + 1) : end]:
        end = begin
    return end


class EpochMeans:
    """Means of the losses over an epoch, all steps counting alike. They are summed where they are
    computed, so that no step waits for a GPU. A loss that is not finite counts for nothing."""

    def __init__(self) -> None:
        self.totals: dict[str, tuple[float, float]] = {}  # name -> (sum, steps), on the host
        self.names: list[str] = []  # of the losses that are summed on a GPU
        self.sums: torch.Tensor | None = None  # (2, len(names)): their sums, and their steps

    def add(self, losses: dict[str, torch.Tensor | float]) -> None:
        """Count a step's losses, of one element each."""
        on_gpu = {}
        for name, loss in losses.items():
            total, steps = self.totals.setdefault(name, (0.0, 0.0))
            if isinstance(loss, torch.Tensor) and loss.device.type != "cpu":
                on_gpu[name] = loss.detach().reshape(())
            elif math.isfinite(value := float(loss)):
                self.totals[name] = total + value, steps + 1
        if on_gpu:
            self._add_on_gpu(list(on_gpu), torch.stack(list(on_gpu.values())))

    def _add_on_gpu(self, names: list[str], losses: torch.Tensor) -> None:
        if names != self.names:
            self._collect()
            fine = torch.float32 if losses.device.type == "mps" else torch.float64
            self.names, self.sums = names, torch.zeros_like(losses, dtype=fine).repeat(2, 1)
        finite = torch.isfinite(losses)
        self.sums += torch.stack([torch.where(finite, losses, 0), finite])

    def _collect(self) -> None:
        """Bring the sums to the host; waits for the device."""
        sums = [] if self.sums is None else self.sums.T.tolist()
        for name, (total, steps) in zip(self.names, sums, strict=True):
            before = self.totals[name]
            self.totals[name] = before[0] + total, before[1] + steps
        self.names, self.sums = [], None

    def state_dict(self) -> dict[str, tuple[float, float]]:
        """Name -> (sum, steps) of this process."""
        self._collect()
        return dict(self.totals)

    def load_state_dict(self, state: dict[str, tuple[float, float]]) -> None:
        """Take `state_dict()` back."""
        self.totals, self.names, self.sums = dict(state), [], None

    def take(self) -> Figures:
        """The means over the steps of all processes, NaN where none was finite; empty on another
        rank than 0. A new epoch begins. All processes have to call it."""
        sums: dict[str, tuple[float, float]] = {}
        for state in distributed.gathered(self.state_dict()):
            for name, (total, steps) in state.items():
                before = sums.get(name, (0.0, 0.0))
                sums[name] = before[0] + total, before[1] + steps
        self.load_state_dict({})
        return {name: total / steps if steps else math.nan for name, (total, steps) in sums.items()}
