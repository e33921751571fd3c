"""Repeat a run from its saved options: the same seed gives the same weights on one machine.

    python scripts/rerun.py checkpoints/NAME [--name NEW] [train.py's flags]

Ends with the SHA-256 of both runs' latest weights, and says whether they are the same.
"""

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import _root

import train
from options.runs import run_or_file
from options.saved import FILE, file_of
from scripts.tool import reports
from util.atomic import check_readable
from util.checkpoints.checkpoint import list_checkpoints
from util.checkpoints.weights import load_state_dict, published
from util.errors import UserError, one_line_errors, say, shown


def weights_hash(run_dir: Path) -> str:
    """One digest over the latest weights of all networks of a run, or its pictures."""
    digest = hashlib.sha256()
    for path in sorted(run_dir.glob("pictures/**/*.png")):
        digest.update(path.name.encode() + path.read_bytes())
    for (label, _), path in published(run_dir).items():
        if label != "latest" or path.suffix != ".pth":
            continue
        digest.update(path.name.encode())
        for key, value in load_state_dict(path).items():
            digest.update(key.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def progress(run_dir: Path) -> str:
    """Where a run's newest checkpoint was taken."""
    units = list_checkpoints(run_dir)
    if not units:
        raise UserError(f"{run_dir}: no checkpoint in it to compare with")
    return units[0].describe()


@reports
@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Train anew; returns the exit code, 1 if the weights differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="the run's folder, or its name in ./checkpoints")
    parser.add_argument("--name", help="of the new run; NAME_again if absent")
    args, more = parser.parse_known_args(argv)
    args.run = Path(run_or_file("RUN", args.run, "checkpoints"))
    check_readable(args.run / FILE)
    name = args.name or f"{args.run.resolve().name}_again"
    with tempfile.TemporaryDirectory() as spare:
        options = file_of(args.run, Path(spare))
        if options is None:
            raise UserError(f"{args.run}: no {FILE} in it; give the folder of a run")
        flags = ["--name", name, "--checkpoints_dir", str(args.run.parent), "--suffix", ""]
        if code := train.main(["--config", str(options), *flags, *more]):
            return code
    ends = [progress(run) for run in (args.run, args.run.parent / name)]
    if ends[0] != ends[1]:
        raise UserError(
            f"{args.run}: stopped at {ends[0]}, its repetition at {ends[1]}: let it finish first "
            "(--continue_train), then compare"
        )
    before, after = weights_hash(args.run), weights_hash(args.run.parent / name)
    say(f"{before}  {shown(args.run)}\n{after}  {shown(args.run.parent / name)}")
    say("the same weights" if before == after else "other weights")
    return int(before != after)


if __name__ == "__main__":
    sys.exit(main())
