"""A trained generator as one file that runs without this project.

    python scripts/export.py horse2zebra --format onnx
    python scripts/export.py checkpoints/facades --format pt2 --direction BtoA -o facades.pt2
    python scripts/export.py horse2zebra --format onnx --images photos --int8

The file takes pictures (N, H, W, C) of any number and size, uint8, and gives pictures of the same
size: scaling, layout, the sides that the network wants, and of colorizations Lab, are inside. It is
compared with the network on pictures of three sizes, one and three at once; if it differs, nothing
is written and the exit code is 1. Epoch, direction, options and licence are in it as metadata.
docs/deploy.md shows how to use it.
"""

import argparse
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import _root

import numpy as np

from options.runs import run_or_file
from scripts import examples
from scripts.tool import ToolParser
from util import atomic
from util.direction import DIRECTIONS
from util.errors import UserError, begun, one_line_errors, say, warn
from util.lazy import Lazy

files, facts, int8 = map(Lazy, ("models.export.files", "models.export.facts", "models.export.int8"))
norms, picture_net = Lazy("models.compute.norms"), Lazy("models.export.picture_net")
configure = Lazy("models.compute.configure")
translate, verify = Lazy("translate"), Lazy("models.export.verify")

SIZES = ((256, 256), (303, 201), (128, 192))  # (width, height) px, of the comparison
AT_ONCE = (1, 3)
FORMATS = ("onnx", "pt2")


def parser() -> ToolParser:
    """Of the command line."""
    parser = ToolParser(__doc__)
    add = parser.add_argument
    # fmt: off
    add("run", metavar="RUN", help="a run's name, its folder, or a published <epoch>_net_G*.pth")
    add("--format", choices=FORMATS, required=True,
        help="onnx: for onnxruntime, also in browsers; pt2: for torch")
    add("-o", "--output", type=Path, metavar="FILE",
        help="if absent RUN.<format>, with the epoch in it if one is given")
    add("--epoch", default="latest", help="which weights: latest, 5, ...")
    add("--direction", choices=DIRECTIONS, help="of CycleGAN's two generators; as trained")
    add("--eval", action="store_true",
        help="running statistics, as test.py --eval; the default is as in training")
    add("--no_dropout", action="store_true", help="for U-Nets without options beside their weights")
    add("--float", action="store_true",
        help="float32 pictures in [0, 1] in the place of uint8, for those of more than 8 bits")
    add("--license", default="", metavar="TEXT", help="of the weights, for the metadata, e.g. mit")
    add("--images", metavar="FOLDER",
        help="to compare on; the data that the run was trained on, or generated pictures")
    add("--int8", nargs="?", const="gain", choices=("gain", "keep"),
        help="also FILE_int8.onnx, in 8 bits by the images' ranges, if it is faster; keep: anyhow")
    # fmt: on
    return parser


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Export; returns the exit code: 1 if the file is not the network."""
    args = parser().parse_args(argv)
    if args.int8 and args.format != "onnx":
        raise UserError(f"--int8: of onnxruntime; give --format onnx, not {args.format}")
    path = run_or_file("RUN", args.run, "checkpoints")
    out = args.output or examples.default_output(path, args.epoch, args.format)
    if out.suffix.lower() != f".{args.format}":
        raise UserError(
            f"-o {out}: --format {args.format} wants a name that ends in .{args.format}"
        )
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f"-o {out}: {'a folder' if out.is_dir() else 'no such folder'}")
    if args.format == "onnx":
        files.check_packages("onnx", "onnxscript", "onnxruntime")
    translator = loaded(path, args)
    shown = examples.Examples.of(args.images, translator.opt)
    pictures = shown.load(translator, max(AT_ONCE))
    write(translator, args, out, pictures, shown.where)
    if args.int8:
        int8_beside(translator, out, shown, args.int8 == "keep")
    return 0


def loaded(path: str, args: argparse.Namespace) -> "translate.Translator":
    """The run's generator on the CPU, by torch's own layers, which round the least, and without
    noise."""
    flags = {"eval": True} if args.eval else {}
    flags |= {"no_dropout": True} if args.no_dropout else {}
    translator = translate.Translator.load(
        path, args.epoch, args.direction, device="cpu", precision="fp32", tile="off", **flags
    )
    nets = translator.model.networks()
    if len(nets) != 1:
        raise UserError(f"RUN {args.run}: {len(nets)} networks; an export is of one generator")
    (net,) = nets.values()
    configure.undo(net, "speed", "memory_format")
    noisy = [module for module in net.modules() if norms.drops(module)]
    for module in noisy:
        module.eval()
    if noisy:
        warn(
            f"{args.run}: in test its dropout draws noise (pix2pix, section 3.4); an export has "
            "none, and gives the network's picture without noise"
        )
    return translator


@begun()
def write(translator: "translate.Translator", args: argparse.Namespace, out: Path,
          pictures: list[examples.Picture], where: str) -> None:  # fmt: skip
    """The file, once it is compared."""
    (net,) = translator.model.networks().values()
    around = picture_net.PictureNet(
        picture_net.exportable(net), translator.model.accepted_sides, args.float, translator.in_lab
    )
    program = files.taken_down(around, translator.channels)
    opt = translator.opt
    known = facts.of_run(vars(opt), opt.trained, net, translator.channels, args.float, args.license)
    make = files.write_onnx if args.format == "onnx" else files.write_pt2
    with atomic.replacing(out) as part:
        make(program, part, known)
        atomic.sync(part)
        file = files.opened(part, kind=args.format)
        batches = batches_of(pictures, args.float)
        found = verify.difference(
            file.run, functools.partial(examples.reference, translator), batches
        )
        found.check()
    sizes = ", ".join(f"{width}x{height}" for width, height in SIZES)
    say(f"compared on {where}: {sizes} px, one and three at once\n{found.describe()}")
    kind = f"opset {files.OPSET}, " if args.format == "onnx" else ""
    say(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB, {kind}run by {file.runtime})")


def batches_of(pictures: list[examples.Picture], floats: bool) -> Iterator[np.ndarray]:
    """What the comparison is made on."""
    for size in SIZES:
        for count in AT_ONCE:
            yield examples.batch(pictures[:count], size, floats)


@begun()
def int8_beside(
    translator: "translate.Translator", out: Path, shown: examples.Examples, keep: bool
) -> None:
    """FILE_int8.onnx, if it gains or is wanted anyhow."""
    pictures = shown.load(translator, int8.CALIBRATION)
    floats = files.opened(out).floats
    batches = [examples.batch([picture], SIZES[0], floats) for picture in pictures]
    target = out.with_name(f"{out.stem}_int8.onnx")
    with atomic.replacing(target) as part:
        int8.quantize(out, part, batches)
        gain = int8.compare(out, part, batches)
        say(gain.describe())
        if not keep and gain.speed_up <= 1:
            raise UserError(f"{target}: not written, as it is not faster; --int8 keep writes it")
    say(f"written: {target} ({target.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    sys.exit(main())
