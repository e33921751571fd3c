"""The two logs of a training: loss_log.txt to read, metrics.jsonl for programs."""

import json
import math
import time
from pathlib import Path

import numpy as np

from util.errors import warn

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

    def log(self, line: str, record: dict[str, float]) -> None:
        """Write one line of losses, in both forms; what is not finite becomes null."""
        finite = {key: value if math.isfinite(value) else None for key, value in record.items()}
        self._append("loss_log.txt", line)
        self._append("metrics.jsonl", json.dumps(finite))

    def _append(self, file: str, line: str) -> None:
        with open(self.folder / file, "a") as log:
            log.write(line + "\n")


def _cut(file: Path, size: int) -> None:
    """Shorten a file to `size` bytes; a new one is empty."""
    with open(file, "ab") as log:
        log.truncate(min(size, log.tell()))


Columns = dict[str, np.ndarray]


def read_metrics(file: Path) -> Columns:
    """Name -> (N,) float64, NaN where a line has null or nothing.

    The last line may be cut off (a run that was killed, or is writing it); others that are not
    such objects are left out with a warning.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    parsed = [(number, _record(line)) for number, line in enumerate(lines, 1) if line.strip()]
    bad = [number for number, record in parsed if record is None and number < len(lines)]
    if bad:
        warn(f"{file}: line {bad[0]} is no record of losses ({len(bad)} such lines left out)")
    records = [record for _, record in parsed if record is not None]
    names = dict.fromkeys(name for record in records for name in record)
    return {name: np.array([_number(r.get(name)) for r in records]) for name in names}


def _record(line: str) -> dict | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and _number(record.get("images")) >= 0 else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
