"""Train and test pix2pix on demo data: a page of translated photographs in a few minutes.

    python scripts/demo.py [--out .]

Learns from drawings of one view of a scene, and translates drawings of another view. A small
network, and few epochs: about two minutes of training on two cores.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from _root import ROOT

NAME = "demo_edges2photo"
# Batches of four, hence --eval in the test: the running statistics are those of batches too.
TRAIN = """--model pix2pix --netG unet_128 --ngf 24 --ndf 16 --no_dropout --no_flip
    --load_size 136 --crop_size 128 --batch_size 4 --lr 0.001 --n_epochs 10 --n_epochs_decay 10
    --print_freq 220 --seed 1 --num_threads 1"""


def run(script: str, *argv: str | Path) -> None:
    """Show and run one command of the project; stop where it fails."""
    command = [script, *map(str, argv)]
    print(f"\n$ python {' '.join(command)}", flush=True)
    done = subprocess.run([sys.executable, ROOT / script, *command[1:]])
    if done.returncode:
        sys.exit(done.returncode)


def main(argv: list[str] | None = None) -> int:
    """Make the data, train, test; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("."), help="where the results go")
    parser.add_argument("--epochs", type=int, help="fewer epochs, for a quick look")
    args = parser.parse_args(argv)
    data, started = args.out / "datasets" / "demo", time.time()
    where = ["--checkpoints_dir", args.out / "checkpoints"]
    shorter = ["--n_epochs", args.epochs, "--n_epochs_decay", 0] if args.epochs else []
    run("datasets/make_demo_data.py", "--out", data)
    pairs = ["--dataroot", data / "edges2photo", "--name", NAME, *where]
    run("train.py", *pairs, *TRAIN.split(), *shorter)
    run("test.py", *pairs, "--eval", "--results_dir", args.out / "results")
    page = (args.out / "results" / NAME / "test_latest" / "index.html").resolve()
    print(f"\nThe demo took {time.time() - started:.0f} s. Open this page in a browser:\n{page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
