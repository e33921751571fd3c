"""Seconds until train.py answers: --help, a wrong flag, and its first step.

    python benchmarks/first_step.py [--rounds 5] [--against CHECKOUT]

Processes of their own, from their start on; rounds go over all cases in turn, after one that warms
up the system's cache. The network and its flags are those of scripts/demo.py, on as many images;
the step is over when its losses are printed. Medians and the spread are printed, with --against
also those of another checkout's train.py, and how many times faster ours is.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import skimage.data
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.timing import interleaved, row  # noqa: E402
from scripts.demo import TRAIN  # noqa: E402

IMAGES, SIZE = 220, 128  # as in datasets/make_demo_data.py


def make(folder: Path) -> None:
    """Pairs of pieces of a photograph."""
    photo = Image.fromarray(skimage.data.astronaut())
    (folder / "train").mkdir()
    for number in range(IMAGES):
        x, y = 7 * number % 256, 11 * number % 256
        piece = photo.crop((x, y, x + 2 * SIZE, y + SIZE))
        piece.save(folder / "train" / f"{number:03d}.png")


def answer(checkout: Path, *flags: str) -> None:
    """Run a command that only prints."""
    command = [sys.executable, str(checkout / "train.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 2), done.stderr


def first_step(checkout: Path, data: Path) -> None:
    """Train until the losses of the first step are printed."""
    flags = ["--dataroot", data, "--name", "first_step", "--checkpoints_dir", data / "runs",
             "--overwrite", *TRAIN.split(), "--print_freq", "1"]  # fmt: skip
    command = [sys.executable, checkout / "train.py", *flags]
    with (
        open(data / "stderr.txt", "w+") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        ) as process,
    ):
        for line in process.stdout:
            if line.startswith("(epoch: 1, iters:"):
                os.killpg(process.pid, signal.SIGKILL)  # the loader's processes too
                return
        stderr.seek(0)
        raise RuntimeError(f"{checkout}: no step was taken\n{stderr.read()}")


def measure(rounds: int, against: Path | None = None) -> dict[str, list[float]]:
    """Case -> seconds in each round; those of another checkout are marked `before: `."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        cases = {}
        for mark, checkout in (("before: ", against), ("", ROOT)):
            if checkout is not None:
                cases |= {
                    f"{mark}--help": lambda c=checkout: answer(c, "--help"),
                    f"{mark}a wrong flag": lambda c=checkout: answer(c, "--netg", "unet_128"),
                    f"{mark}the first step": lambda c=checkout: first_step(c, folder),
                }
        return interleaved(cases, rounds)


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout of the project")
    args = parser.parse_args(argv)
    times = measure(args.rounds, args.against and args.against.resolve())
    for name, values in times.items():
        print(row(name, values, "s"))
        if before := times.get(f"before: {name}"):
            print(f"    {statistics.median(before) / statistics.median(values):.1f} times faster")
    return 0


if __name__ == "__main__":
    sys.exit(main())
