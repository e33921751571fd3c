"""Try trained networks in a browser, or let other programs use them: a page, and images by HTTP.

    python scripts/serve.py horse2zebra
    python scripts/serve.py checkpoints/facades edges2shoes latest_net_G.pth --port 8000

A RUN is a folder, a name in --checkpoints_dir, or what `Translator.load` takes besides: a published
<epoch>_net_G*.pth or an export. The page is for this machine alone, works offline, and nothing that
is sent is written to a disk:

    curl -F image=@photo.jpg http://127.0.0.1:8000/translate -o translation.png
    curl http://127.0.0.1:8000/runs

Ctrl-C answers what has come, and ends. docs/serve.md tells of the endpoint and its limits.
"""

import argparse
import sys
from pathlib import Path

import _root

from models.compute.process import tune_process
from options import types
from scripts.served_runs import find_runs
from scripts.tool import ToolParser
from util.errors import UserError, one_line_errors, say, warn
from util.machine import resolve_device
from util.serving.limits import Limits

# Flags of test.py that are handed on for all runs.
OF_TEST = ("device", "precision", "direction", "eval", "tile", "tile_memory", "value_range")


def parser() -> argparse.ArgumentParser:
    """The script's flags."""
    parser = ToolParser(__doc__)
    usual, add = Limits(), parser.add_argument
    # fmt: off
    add("runs", nargs="+", metavar="RUN", help="a run's folder, its name, or a file of weights")
    add("--checkpoints_dir", type=Path, default=Path("checkpoints"),
        help="where names are looked for")
    add("--port", type=types.whole_number(0, 65535), default=8000,
        help="0, or where it is taken: a free one")
    add("--host", default="127.0.0.1",
        help="address to listen at; 0.0.0.0: all, and whoever reaches this machine may use it")
    add("--allow_hosts", nargs="+", default=[], metavar="NAME",
        help="by which the server may be called, besides its own address")
    limits = parser.add_argument_group("limits").add_argument
    limits("--max_mb", type=types.number(0, above=True), default=usual.bytes / 1e6,
        help="of an image file, in 10^6 bytes; else 413")
    limits("--max_mp", type=types.number(0, above=True), default=usual.pixels / 1e6,
        help="of an image, in 10^6 pixels; else 413")
    limits("--queue", type=types.positive_int, default=usual.queue,
        help="requests at a time; else 503")
    limits("--upload_s", type=types.number(0, above=True), default=usual.upload_s,
        help="seconds for an image to arrive; else 408")
    limits("--wait_s", type=types.number(0, above=True), default=usual.wait_s,
        help="seconds that an image may wait for its turn; else 504")
    limits("--batch_size", type=types.positive_int, default=usual.batch,
        help="images of one size that go through a network together")
    limits("--models", type=types.positive_int, default=usual.models,
        help="networks in memory; the last used stay")
    network = parser.add_argument_group("networks, as of test.py").add_argument
    network("--device", help="auto, cpu, cuda, cuda:N or mps")
    network("--precision", help="auto, fp32, bf16, ...")
    network("--direction", help="AtoB or BtoA")
    network("--eval", action="store_true", help="no dropout, running statistics")
    network("--tile", help="auto, off, or px")
    network("--tile_memory", help="GB for one image")
    network("--value_range", nargs="+", help="LOW HIGH of deep images")
    # fmt: on
    return parser


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Serve until a signal comes; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        from util.serving.server import LOCAL, Serving, open_port
    except ModuleNotFoundError as missing:
        raise UserError(f"{missing}; pip install -r requirements-serve.txt") from None
    flags = {flag: given for flag in OF_TEST if (given := getattr(args, flag))}
    runs = find_runs(args.runs, args.checkpoints_dir, flags)
    limits = Limits(
        bytes=int(args.max_mb * 1e6), pixels=int(args.max_mp * 1e6), queue=args.queue,
        upload_s=args.upload_s, wait_s=args.wait_s, batch=args.batch_size, models=args.models,
    )  # fmt: skip
    tune_process(resolve_device(args.device or "auto", None), args.precision or "auto")
    serving = Serving(runs, limits, open_port(args.host, args.port), args.allow_hosts)
    if args.host not in LOCAL:
        warn(f"--host {args.host}: whoever reaches this machine may use it; there is no password")
    say(f"{', '.join(run.name for run in runs)}: {serving.address} (Ctrl-C ends)")
    serving.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
