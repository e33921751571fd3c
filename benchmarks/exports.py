"""Seconds of a picture by plain torch, Translator, and the exports that scripts/export.py writes.

    python benchmarks/exports.py [--rounds 7] [--px 256] [--only resnet_9blocks]

Networks are of the usual width with drawn weights, on the CPU. All take and give bytes, in turns;
plain torch is the network as it is written, by torch's own layers.
"""

import argparse
import functools
import sys
import tempfile
from pathlib import Path

import _root

import numpy as np
import torch

from benchmarks.machine import facts
from benchmarks.timing import interleaved, ratios, row
from models.export import files
from models.export.picture_net import Around, PictureNet, exportable
from models.generators import GENERATORS
from models.networks import define_G
from scripts.examples import batch, generated
from translate import Translator

NETWORKS = {"resnet_9blocks": ("instance", 64), "unet_256": ("batch", 64)}  # norm and width


def cases(netG: str, folder: Path, px: int) -> dict:
    """Name of a way -> a function that translates one picture by it."""
    norm, ngf = NETWORKS[netG]
    torch.manual_seed(0)
    net = define_G(3, 3, ngf, netG, norm)
    torch.save(net.state_dict(), folder / "latest_net_G.pth")
    translator = Translator.load(folder, device="cpu", precision="fp32", eval=True, no_dropout=True)
    plain = PictureNet(Around(exportable(net.eval())), GENERATORS[netG].sides)
    program = files.taken_down(plain, 3)
    for write, kind in ((files.write_onnx, "onnx"), (files.write_pt2, "pt2")):
        write(program, folder / f"net.{kind}", {})
    picture = batch([generated(0, 3)], (px, px), floats=False)

    def run_plain() -> None:
        with torch.inference_mode():
            plain(torch.from_numpy(picture))

    return {
        "plain torch": run_plain,
        "Translator": functools.partial(translator, np.ascontiguousarray(picture[0])),
        "onnxruntime": functools.partial(files.opened(folder / "net.onnx").run, picture),
        "pt2": functools.partial(files.opened(folder / "net.pt2").run, picture),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--px", type=int, default=256)
    parser.add_argument("--only", choices=NETWORKS)
    args = parser.parse_args(argv)
    print(facts("cpu"))
    for netG in [args.only] if args.only else NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            times = interleaved(cases(netG, Path(folder), args.px), args.rounds)
        for name, seconds in times.items():
            faster, _, _ = ratios(times["plain torch"], seconds)
            print(row(f"{netG} {args.px} px, {name}", seconds, "s"), f"{faster:.2f} x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
