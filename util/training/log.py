"""The two logs of a training: loss_log.txt to read, metrics.jsonl for programs."""

import time
from pathlib import Path

from util.record import Record

LOGS = ("loss_log.txt", "metrics.jsonl")


class RunLog:
    """Appends to the logs in a run's folder; every line is on disk when `log` returns.

    Args:
        folder: the run's.
        resumed: `state_dict()` of the session to go on from: what came after it is cut off. Logs
            that it does not name are kept whole. None: begin anew.
    """

    def __init__(self, folder: Path, resumed: dict | None) -> None:
        self.folder = folder
        for file in LOGS if resumed is None else resumed.keys() & set(LOGS):
            _cut(folder / file, (resumed or {}).get(file, 0))
        self._append("loss_log.txt", f"{'=' * 16} Training Loss ({time.strftime('%c')}) {'=' * 16}")

    def state_dict(self) -> dict[str, int]:
        """Bytes of each log."""
        files = {file: self.folder / file for file in LOGS}
        return {file: path.stat().st_size for file, path in files.items() if path.is_file()}

    def log(self, record: Record) -> None:
        """Write a record to both."""
        self._append("loss_log.txt", record.to_text())
        self._append("metrics.jsonl", record.to_line())

    def _append(self, file: str, line: str) -> None:
        with open(self.folder / file, "a") as log:
            log.write(line + "\n")


def _cut(file: Path, size: int) -> None:
    """Shorten a file to `size` bytes; a new one is empty."""
    with open(file, "ab") as log:
        log.truncate(min(size, log.tell()))
