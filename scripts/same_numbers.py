"""Whether another version computes the same numbers: the proof that a refactoring changed nothing.

    git worktree add ../before HEAD~1
    python scripts/same_numbers.py ../before [--cases pix2pix cycle_gan]

Every model is trained for a few seeded steps in both versions, each in processes of its own, on the
same small photographs, and tested; its losses, weights and result pictures are compared bit by bit.
Then this version takes up a run that the other one has begun, and must end like the other's own
uninterrupted run. Exit code 1 if anything differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _root import ROOT

import models
from scripts.tool import ToolParser, reports
from util.checkpoints.weights import load_state_dict
from util.errors import UserError, begun, one_line_errors, say

PX = 64
SMALL = ["--ngf", "16", "--ndf", "16", "--load_size", "68", "--crop_size", "64", "--seed", "3",
         "--device", "cpu", "--num_threads", "0", "--print_freq", "1"]  # fmt: skip
RESNET = ["--netG", "resnet_6blocks"]
STYLE = ["--style_image", "data/trainB/00000.jpg", "--perceptual_net", "squeezenet1_0",
         "--perceptual_weights", "random"]  # fmt: skip
# Case -> its flags; of other models the default is --model NAME, SMALL and RESNET.
CASES = {
    "style": ["--model", "style", "--dataroot", "data/trainA", *SMALL, *STYLE, "--batch_size", "1"],
    "neural_style": ["--model", "neural_style", "--dataroot", "data/testA", "--seed", "3", *STYLE,
                     "--device", "cpu", "--image_size", "48", "64", "--n_evaluations", "6",
                     "--step_evaluations", "3"],
    # Wide enough for the forms of large convolutions, see models/compute/rules.py.
    "wide_unet": ["--model", "pix2pix", "--dataroot", "data", *SMALL, "--netG", "unet_128",
                  "--ngf", "64", "--load_size", "136", "--crop_size", "128", "--norm", "instance"],
    "wide_resnet": ["--model", "pix2pix", "--dataroot", "data", *SMALL, *RESNET, "--ngf", "64",
                    "--load_size", "136", "--crop_size", "128", "--batch_size", "4"],
}  # fmt: skip
UNTRAINED = {"test"}
WHOLE, BEGUN = ["--n_epochs", "2", "--n_epochs_decay", "0"], ["--n_epochs", "1",
                                                              "--n_epochs_decay", "0"]  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = ToolParser(__doc__)
    result.add_argument("other", type=Path, help="folder of the other version")
    names = [name for name in models.registry.names() if name not in UNTRAINED]
    names += [name for name in CASES if name not in names]
    result.add_argument(
        "--cases", nargs="+", choices=names, default=names, metavar="CASE",
        help=f"of {', '.join(names)} (all)",
    )  # fmt: skip
    return result


@reports
@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Compare; returns the exit code."""
    args = parser().parse_args(argv)
    other = args.other.resolve()
    if not (other / "train.py").is_file():
        raise UserError(f"{args.other}: no train.py there; give the folder of a version")
    differing = []
    with begun(), tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_data(work / "data")
        for case in args.cases:
            found = compare(case, other, work)
            say(f"{case}: " + (", ".join(found) + " differ" if found else "the same"))
            differing += found
    return int(bool(differing))


def make_data(root: Path) -> None:
    """Photographs in the layout of every dataset."""
    from benchmarks.photos import make_photos

    make_photos(root, 4, PX)
    for name in ("test", "testB"):
        (root / name).symlink_to("train" if name == "test" else "trainB")


def compare(case: str, other: Path, work: Path) -> list[str]:
    """What differs between this version and the other one; empty if nothing does."""
    flags = CASES.get(case, ["--model", case, "--dataroot", "data", *SMALL, *RESNET])
    names = {other: f"{case}_before", ROOT: f"{case}_after"}
    for version, name in names.items():
        run(version, work, "train.py", [*flags, "--name", name, *WHOLE])
    resumed = f"{case}_resumed"
    run(other, work, "train.py", [*flags, "--name", resumed, *BEGUN])
    run(ROOT, work, "train.py", ["--name", resumed, "--continue_train", "--device", "cpu", *WHOLE])
    if case != "neural_style":  # which has nothing to test
        for version, name in names.items():
            test = ["--dataroot", flags[flags.index("--dataroot") + 1], "--name", name]
            run(version, work, "test.py", [*test, "--device", "cpu"])
    before, after, again = (digests(work, name) for name in (names[other], names[ROOT], resumed))
    found = [part for part in before if after[part] != before[part]]
    kept = ("losses", "weights", "pictures")
    return found + [f"{part} of a resumed run" for part in kept if again[part] != before[part]]


def run(version: Path, work: Path, script: str, flags: list[str]) -> None:
    """A command of a version, in the work folder; UserError if it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    command = [sys.executable, str(version / script), *flags]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{version / script} {' '.join(flags)}: {last}")


def digests(work: Path, name: str) -> dict[str, object]:
    """What a run has left: losses line by line (means of epochs are made of these, and older
    versions have none), and digests of weights and pictures."""
    folder = work / "checkpoints" / name
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    weights = {
        path.name: _digest(b"".join(t.numpy().tobytes() for t in load_state_dict(path).values()))
        for path in sorted(folder.glob("latest_net_*.pth"))
    }
    results = sorted((work / "results" / name).glob("*/images/*"))
    return {
        "losses": [{k: v for k, v in line.items() if not k.endswith(("_s", "_mib"))
                    and not k.startswith("weight/")}
                   for line in lines if "mean_over" not in line],
        "weights": weights,
        "pictures": {p.name: _digest(p.read_bytes()) for p in sorted(folder.glob("pictures/*"))},
        "results": {path.name: _digest(path.read_bytes()) for path in results},
    }  # fmt: skip


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
