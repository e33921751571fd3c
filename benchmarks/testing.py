"""Seconds that test.py takes from start to end, and of each of its stages.

    python benchmarks/testing.py [--rounds 3] [--images 100] [--nets ...] [--against PATH]

Networks of drawn weights translate 256 px JPEGs; times are of the process, and of all its threads
and workers (CPU). --against PATH runs the test.py of another checkout in turn, with the same flags,
weights and images, and prints ratios. Compare within one run only.
"""

import argparse
import functools
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _root import ROOT

import skimage.data
import torch
from PIL import Image

from benchmarks.timing import interleaved, row
from data import create_dataset
from models import create_model, networks
from models.compute.process import tune_process
from options.test_options import TestOptions
from util.images.write import save_like
from util.results.gallery import ResultPage

NETS = {  # name -> netG, ngf, norm
    "resnet_6blocks_16": ("resnet_6blocks", 16, "instance"),
    "unet_256_16": ("unet_256", 16, "batch"),
    "resnet_9blocks_64": ("resnet_9blocks", 64, "instance"),
}
SMALL = ["resnet_6blocks_16", "unet_256_16"]


def make(root: Path, images: int, nets: list[str]) -> None:
    """Pieces of a photograph, and runs that hold weights and options."""
    photo = Image.fromarray(skimage.data.astronaut())
    (root / "photos").mkdir()
    for i in range(images):
        x, y = 7 * i % 200, 11 * i % 200
        piece = photo.crop((x, y, x + 300, y + 300)).resize((256, 256))
        piece.save(root / "photos" / f"{i:04d}.jpg", quality=90)
    for name in nets:
        netG, ngf, norm = NETS[name]
        torch.manual_seed(0)
        run = root / "runs" / name
        run.mkdir(parents=True)
        net = networks.define_G(3, 3, ngf, netG, norm, False)
        torch.save(net.state_dict(), run / "latest_net_G.pth")
        (run / "train_opt.yaml").write_text(
            f"name: {name}\nmodel: pix2pix\nnetG: {netG}\nngf: {ngf}\nnorm: {norm}\n"
            "no_dropout: true\n"
        )


def arguments(root: Path, net: str, flags: list[str]) -> list[str]:
    """Of test.py."""
    return ["--dataroot", f"{root}/photos", "--name", net, "--checkpoints_dir", f"{root}/runs",
            "--results_dir", f"{root}/results", "--model", "test", *flags]  # fmt: skip


def run(checkout: Path, argv: list[str], cpu_s: list[float]) -> None:
    """test.py of a checkout, in a process of its own; adds the CPU time it took."""
    before = os.times()
    subprocess.run(
        [sys.executable, "test.py", *argv], cwd=checkout, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(checkout)},
    )  # fmt: skip
    after = os.times()
    cpu_s.append(
        after.children_user - before.children_user + after.children_system - before.children_system
    )


def stages(root: Path, net: str, flags: list[str]) -> dict[str, Callable[[], object]]:
    """Each stage by itself, in this process, for all images."""
    opt = TestOptions().parse(arguments(root, net, ["--num_threads", "0", *flags]))
    tune_process(opt.device, opt.precision, "crop" in opt.preprocess, opt.deterministic)
    model, dataset = create_model(opt), create_dataset(opt)
    model.setup(opt)
    model.test_mode(opt.eval)
    batches = list(dataset)
    model.set_input(batches[0])
    model.test()
    pictures = [images.cpu() for images in model.get_current_visuals().values()]

    def translate() -> None:
        for batch in batches:
            model.set_input(batch)
            model.test()
        pictures[0].sum().item()

    def write() -> None:
        for _ in batches:
            for number, picture in enumerate(pictures):
                save_like(picture, root / f"picture{number}")

    def write_page() -> None:
        page = ResultPage(root / "index.html", "results", {}, {}, 256)
        for number in range(len(batches)):
            page.add_row(str(number), {"real": "picture0.png", "fake": "picture1.png"})

    return {
        f"{net}: read images": lambda: list(dataset),
        f"{net}: network": translate,
        f"{net}: write pictures, one thread": write,
        f"{net}: write the page": write_page,
    }


def measure(rounds: int, nets: list[str] = SMALL, images: int = 100) -> dict[str, list[float]]:
    """Name -> seconds of each round: test.py whole, and its stages."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root, images, nets)
        cases: dict[str, Callable[[], object]] = {}
        for net in nets:
            argv = arguments(root, net, [])
            cases[f"{net}: test.py"] = functools.partial(run, ROOT, argv, [])
            cases |= stages(root, net, [])
        return interleaved(cases, rounds)


def compare(nets: list[str], images: int, rounds: int, other: Path, flags: list[str]) -> None:
    """Print this checkout's and another's times in turn, and the ratios of each round."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root, images, nets)
        cpu: dict[str, list[float]] = {}
        cases = {}
        for net in nets:
            for name, checkout in (("other", other.resolve()), ("this", ROOT)):
                cpu[f"{net}: {name}"] = []
                cases[f"{net}: {name}"] = functools.partial(
                    run, checkout, arguments(root, net, flags), cpu[f"{net}: {name}"]
                )
        wall = interleaved(cases, rounds)
    for name in cases:
        print(row(name, wall[name], "s"), row("", cpu[name][1:], "s CPU").strip())
    for net in nets:
        for what, times in (("time", wall), ("CPU time", cpu)):
            pairs = zip(times[f"{net}: other"], times[f"{net}: this"], strict=True)
            ratios = [a / b for a, b in pairs][-rounds:]
            print(row(f"{net}: {what}, other / this", ratios, "x"))


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=SMALL)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--flags", type=shlex.split, default=[], help="more flags of test.py")
    args = parser.parse_args(argv)
    if args.against:
        compare(args.nets, args.images, args.rounds, args.against, args.flags)
        return 0
    for name, times in measure(args.rounds, args.nets, args.images).items():
        speed = args.images / statistics.median(times)
        print(row(name, times, "s"), f"{speed:8.1f} images/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
