"""A trained generator as one file that runs without this project.

    python scripts/export.py horse2zebra --format onnx
    python scripts/export.py checkpoints/facades --format pt2 --direction BtoA -o facades.pt2
    python scripts/export.py horse2zebra --format onnx --images photos --int8
    python scripts/export.py horse2zebra --format onnx --page
    python scripts/export.py horse2zebra --format hub --license cc-by-4.0

The file takes pictures (N, H, W, C) of any number and size, uint8, and gives pictures of the same
size: scaling, layout, the sides that the network wants, and of colorizations Lab, are inside. It is
compared with the network on pictures of three sizes, one and three at once; if it differs, nothing
is written and the exit code is 1. Epoch, direction, options and licence are in it as metadata.
--format hub is a folder of weights for a model hub instead. docs/deploy.md shows how to use each.
"""

import argparse
import functools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import _root

import numpy as np

from options.runs import run_or_file
from scripts import examples
from scripts.tool import ToolParser
from util import atomic
from util.checkpoints import exports
from util.direction import DIRECTIONS
from util.errors import UserError, begun, one_line_errors, say, warn
from util.lazy import Lazy

files, facts, int8 = map(Lazy, ("models.export.files", "models.export.facts", "models.export.int8"))
norms, picture_net = Lazy("models.compute.norms"), Lazy("models.export.picture_net")
configure, colour = Lazy("models.compute.configure"), Lazy("models.export.colour")
hub_folder, page = Lazy("scripts.hub_folder"), Lazy("models.export.page")
translate, verify = Lazy("translate"), Lazy("models.export.verify")

SIZES = ((256, 256), (303, 201), (128, 192))  # (width, height) px, of the comparison
AT_ONCE = (1, 3)
FORMATS = ("onnx", "pt2", "hub")


def parser() -> ToolParser:
    """Of the command line."""
    parser = ToolParser(__doc__)
    add = parser.add_argument
    # fmt: off
    add("run", metavar="RUN", help="a run's name, its folder, or a published <epoch>_net_G*.pth")
    add("--format", choices=FORMATS, required=True,
        help="onnx: for onnxruntime, also in browsers; pt2: for torch; hub: a folder with "
        "safetensors, config.json and a model card")
    add("-o", "--output", type=Path, metavar="FILE",
        help="if absent RUN.<format> or RUN_hub, with the epoch in it if one is given")
    add("--epoch", default="latest", help="which weights: latest, 5, ...")
    add("--direction", choices=DIRECTIONS, help="of CycleGAN's two generators; as trained")
    add("--eval", action="store_true",
        help="running statistics, as test.py --eval; the default is as in training")
    add("--no_dropout", action="store_true", help="for U-Nets without options beside their weights")
    add("--style_index", type=int, help="of a run with several styles, from 0")
    add("--style_blend", nargs="+", type=float, metavar="WEIGHT", help="a mixture of its styles")
    add("--float", action="store_true",
        help="float32 pictures in [0, 1] in the place of uint8, for those of more than 8 bits")
    add("--license", default="", metavar="TEXT", help="of the weights, for the metadata, e.g. mit")
    add("--images", metavar="FOLDER",
        help="to compare on; the data that the run was trained on, or generated pictures")
    add("--int8", nargs="?", const="gain", choices=("gain", "keep"),
        help="also FILE_int8.onnx, in 8 bits by the images' ranges, if it is faster; keep: anyhow")
    add("--page", nargs="?", const="npm", metavar="FOLDER",
        help="also a page, FILE_page, that runs it in browsers, with the files of the npm package "
        "onnxruntime-web; FOLDER: that package's, ./node_modules/onnxruntime-web if absent")
    # fmt: on
    return parser


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Export; returns the exit code: 1 if the file is not the network."""
    args = parser().parse_args(argv)
    for flag in ("int8", "page"):
        if getattr(args, flag) and args.format != "onnx":
            raise UserError(f"--{flag}: of onnxruntime; give --format onnx, not {args.format}")
    if args.format == "onnx":
        files.check_packages("onnx", "onnxscript", "onnxruntime")
    path = run_or_file("RUN", args.run, "checkpoints")
    out = output(path, args)
    runtime = page_runtime(args, out) if args.page else None
    translator = loaded(path, args)
    shown = examples.Examples.of(args.images, translator.opt)
    if args.format == "hub":
        hub_folder.write(translator, args, out, shown)
        return 0
    pictures = shown.load(translator, max(AT_ONCE))
    write(translator, args, out, pictures, shown.where)
    if args.int8:
        int8_beside(translator, out, shown, args.int8 == "keep")
    if runtime:
        page_beside(out, runtime, translator.channels)
    return 0


def output(path: str, args: argparse.Namespace) -> Path:
    """Where the export goes.

    Raises:
        UserError: it does not fit the format, or is something else already.
    """
    ending = "_hub" if args.format == "hub" else f".{args.format}"
    name = Path(path).resolve().name.removesuffix(".pth")
    label = "" if args.epoch == "latest" else f"_{args.epoch}"
    out = args.output or Path(f"{name}{label}{ending}")
    if not out.absolute().parent.is_dir():
        raise UserError(f"-o {out}: there is no folder {out.parent}")
    if args.format == "hub":
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise UserError(f"-o {out}: there already; delete it, or give another")
    elif out.suffix.lower() != ending:
        raise UserError(f"-o {out}: --format {args.format} wants a name that ends in {ending}")
    elif out.is_dir():
        raise UserError(f"-o {out}: a folder; give a file")
    return out


def page_runtime(args: argparse.Namespace, out: Path) -> Path:
    """The folder of what the page runs with.

    Raises:
        UserError: it is not there, or there can be no page.
    """
    if args.float:
        raise UserError("--page: browsers' pictures are uint8; leave --float out")
    if (folder := page_of(out)).exists():
        raise UserError(f"--page: {folder} is there already; delete it")
    return page.runtime_folder(Path(args.page) if args.page != "npm" else None)


def page_of(out: Path) -> Path:
    """The folder of a file's page."""
    return out.with_name(f"{out.stem}_page")


def loaded(path: str, args: argparse.Namespace) -> "translate.Translator":
    """The run's generator on the CPU, by torch's own layers, which round the least, and without
    noise."""
    flags = {"eval": True} if args.eval else {}
    flags |= {"no_dropout": True} if args.no_dropout else {}
    flags |= {"style_index": args.style_index} if args.style_index is not None else {}
    flags |= {"style_blend": args.style_blend} if args.style_blend else {}
    translator = translate.Translator.load(
        path, args.epoch, args.direction, device="cpu", precision="fp32", tile="off", **flags
    )
    if not (one := translator.model.one_network()):
        raise UserError(f"RUN {args.run}: an export is of one generator, which this run has not")
    if args.page and translator.channels not in (1, 3):
        raise UserError(
            f"--page: browsers show 1 channel or 3, not {translator.channels}; leave it out"
        )
    if translator.opt.labels and args.format != "hub":
        raise UserError(
            f"RUN {args.run}: label maps (--label_{next(iter(translator.opt.labels))}) are neither "
            "read nor made inside a file; give --format hub, or use Translator"
        )
    net = one.net
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
    one, opt = translator.model.one_network(), translator.opt
    plain = picture_net.exportable(one.net)
    around = (colour.LabAround(plain) if translator.in_lab
              else picture_net.Around(plain, one.options, one.finish))  # fmt: skip
    whole = picture_net.PictureNet(around, translator.model.accepted_sides, args.float)
    program = files.taken_down(whole, translator.channels)
    given = vars(opt), opt.trained, one.net, translator.channels, args.float, args.license
    known = facts.of_run(*given)
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


@begun()
def page_beside(out: Path, runtime: Path, channels: int) -> None:
    """A page that runs the file in a browser; it appears when it is whole."""
    folder = page_of(out)
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".export") as spare:
        part = Path(spare, folder.name)
        part.mkdir()
        page.write(part, out, runtime, exports.read_facts(out), channels)
        part.rename(folder)
    say(
        f"written: {folder} (onnxruntime-web {page.version_of(runtime)}); to open it: python -m "
        f"http.server -b 127.0.0.1 -d {folder} 8000, then http://127.0.0.1:8000"
    )


if __name__ == "__main__":
    sys.exit(main())
