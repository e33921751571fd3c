"""How fast training, loading, testing and starting are, here and in another checkout.

    python benchmarks/run.py --against ../other/checkout --only training test

Prints tables and writes JSON; docs/performance.md tells how it is measured.
"""

import argparse
import functools
import importlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _root import ROOT

import torch

from benchmarks import against, machine, report, train_step
from benchmarks.checkout import PLAIN, check_python, open_checkout
from benchmarks.photos import make_photos
from benchmarks.train_step import Effort
from benchmarks.turns import Failed
from util import atomic
from util.errors import one_line_errors, say
from util.machine import resolve_device

# Parts in which another checkout takes part.
COMPARED = {
    "training": train_step.measure,
    "loader": against.loader,
    "test": against.test,
    "start": against.start,
}
# Files here whose `measure(rounds)` gives label -> values -> their unit. No other checkout
# takes part. They are measured where `--only` names them.
OURS = {"layers": "ms", "saving": "s"}
DEFAULT = ("peak", *COMPARED)


def parser() -> argparse.ArgumentParser:
    """Flags of this script."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add(
        "--against",
        metavar="PATH",
        default=str(PLAIN),
        help="a checkout that understands the published command lines (default: a plain stand-in)",
    )
    add("--against_python", default=sys.executable, help="the interpreter that it needs")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: cuda if there")
    add(
        "--only",
        nargs="+",
        choices=(*DEFAULT, *OURS),
        default=DEFAULT,
        help=f"these parts (default: {' '.join(DEFAULT)})",
    )
    add("--rounds", type=int, default=5, help="turns that each side has")
    add("--quick", action="store_true", help="small networks, a few turns: does it work?")
    add("--json", type=Path, default=Path("benchmark.json"), help="file of the results")
    return made


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; returns the exit code: 1 if a side failed."""
    args = parser().parse_args(argv)
    device = "cuda" if args.device == "auto" and torch.cuda.is_available() else args.device
    device = resolve_device("cpu" if device == "auto" else device, None).type
    ours = open_checkout(ROOT, sys.executable, device)
    other = open_checkout(args.against, args.against_python, device, "--against")
    check_python(other)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what is stopped, too
    began = time.monotonic()
    found: dict[str, Any] = {
        "machine": machine.facts(device),
        "against": "the stand-in, benchmarks/plain" if other.folder == PLAIN else other.folder.name,
    }
    measured = effort(device, args.rounds, args.quick)
    with tempfile.TemporaryDirectory() as folder:
        make_photos(data := Path(folder), measured.images)
        compared = {name: functools.partial(part, ours, other, data, measured)
                    for name, part in COMPARED.items()}  # fmt: skip
        measure(found, args.only, compared, measured.rounds, device)
    found["took_s"] = round(time.monotonic() - began)
    atomic.write(args.json, json.dumps(found, indent=1).encode() + b"\n")
    print("", *report.sections(found), sep="\n")
    say(f"{found['took_s']} s; written: {args.json}")
    return 1 if failures(found) else 0


def effort(device: str, rounds: int, quick: bool) -> Effort:
    """How long to measure. A line of losses waits for a GPU, so there it is rarer."""
    every, images = (10, 4000) if device == "cuda" else (1, 400)
    if quick:
        return Effort(min(rounds, 2), 0.3, every, 20 * every, small=True)
    return Effort(rounds, every=every, images=images)


def measure(
    found: dict, only: list[str], compared: dict[str, Callable[[], Any]], rounds: int, device: str
) -> None:
    """Fill `found` with the parts asked for."""
    if "peak" in only:
        found["peak"] = machine.measure(rounds, device)
    for name, part in compared.items():
        if name in only:
            try:
                found[name] = part()
            except Failed as error:
                found[name] = [{"case": name, "sides": {}, "failed": {"all": str(error)}}]
    for name, unit in OURS.items():
        if name in only:
            print(name, flush=True)
            values = importlib.import_module(f"benchmarks.{name}").measure(rounds)
            found.setdefault("ours", {})[name] = {"unit": unit, "values": values}


def failures(found: dict) -> list[str]:
    """Why sides have no figures."""
    rows = [row for name in COMPARED for row in found.get(name, [])]
    return [why for row in rows for why in row["failed"].values()]


if __name__ == "__main__":
    sys.exit(main())
