"""Style transfer on demo data: a photograph painted as stained glass, in about a minute.

    python scripts/demo_style.py [--weights FILE] [--out .]

SqueezeNet's weights (torchvision's squeezenet1_0) come from --weights, from the environment's
PERCEPTUAL_WEIGHTS, or from torch's download folder; without them random ones are used, and that is
said: the picture is plainer then.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import _root

from scripts.demo import run
from util.lazy import torch

NAME = "demo_style"


def find_weights(given: str | None) -> str:
    """A file of SqueezeNet's weights, or "random"."""
    if given:
        return given
    downloads = Path(torch.hub.get_dir()) / "checkpoints"
    found = sorted(downloads.glob("squeezenet1_0-*.pth"))
    if found:
        return str(found[0])
    print("no weights of SqueezeNet (--weights FILE, or PERCEPTUAL_WEIGHTS): using random ones")
    return "random"


def main(argv: list[str] | None = None) -> int:
    """Make the data and the picture; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default=os.environ.get("PERCEPTUAL_WEIGHTS"))
    parser.add_argument("--out", type=Path, default=Path("."), help="where the results go")
    parser.add_argument("--image_size", default="256", help="px of the picture's longer side")
    parser.add_argument("--n_evaluations", default="200", help="fewer for a quick look")
    args = parser.parse_args(argv)
    data, started = args.out / "datasets" / "demo", time.time()
    run("datasets/make_demo_data.py", "--out", data)
    run("train.py", "--model", "neural_style", "--name", NAME, "--overwrite",
        "--dataroot", data / "photos" / "train" / "chelsea.png",
        "--style_image", data / "styles" / "stained_glass.png",
        "--perceptual_net", "squeezenet1_0", "--perceptual_weights", find_weights(args.weights),
        "--image_size", args.image_size, "--n_evaluations", args.n_evaluations, "--seed", "1",
        "--checkpoints_dir", args.out / "checkpoints")  # fmt: skip
    run_dir = (args.out / "checkpoints" / NAME).resolve()
    print(f"\nThe demo took {time.time() - started:.0f} s. The picture, and how it came about:")
    print(run_dir / "pictures" / "chelsea.png", run_dir / "web" / "index.html", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
