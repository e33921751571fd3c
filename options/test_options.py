"""The options of test.py, and of translate.py, which are the same without a data set."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import data
import models
from data.transforms import without_crop
from models.generators import describe_generator
from options import saved, types
from options.base_options import BaseOptions
from options.lives import FIXED, OWN
from options.parser import OptionParser
from util import distributed
from util.checkpoints.exports import is_export, is_file, read_facts
from util.checkpoints.weights import epoch_label, load_state_dict, saved_epochs, weights_path
from util.direction import oriented
from util.errors import UserError, say, warn
from util.video import kinds


class TestOptions(BaseOptions):
    """The flags of test.py."""

    isTrain = False
    command = "test"

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument_group("test").add_argument
        # fmt: off
        add("--results_dir", life="place", default="./results/", help="where result pages go")
        add("--results_layout", life="place", default="page", choices=("page", "flat"),
            help="page: every visual in images/, and index.html; flat: translations alone, called "
            "as the images that they are made of")
        add("--format", life="run", type=types.image_encoding,
            help="of result files: png, jpg, webp, with a quality jpg:95, webp:80; default: PNG, "
            "or as the images came where PNG cannot hold it")
        add("--overwrite", life="call", action="store_true",
            help="delete earlier results of this place; else those that are not equal are kept as "
            "<phase>_<epoch>.1, .2, ...")
        add("--aspect_ratio", life="run", type=types.positive, default=1.0,
            help="width / height that result images are stretched to")
        add("--eval", life="run", action="store_true",
            help="no dropout, running statistics; the default is as in training")
        add("--num_test", life="run", type=types.count_or_inf, default=float("inf"),
            help="how many images")
        add("--tile", life="machine", type=types.tile_side, default="auto",
            help="compute large images in tiles, exactly: auto: where memory does not hold them "
            "whole, in tiles as large as it allows; off; or the side of a tile in px")
        add("--tile_memory", life="machine", type=types.non_negative, default=0.0, metavar="GB",
            help="that one image may take; beyond it tiles and scratch files; 0: half of what is "
            "free")
        add("--tile_scratch", life="place", default="", metavar="DIR",
            help="folder of scratch files, for what --tile_memory does not hold; default: that of "
            "temporary files (TMPDIR)")
        add("--tile_precision", life="run", default="fp32", choices=("fp32", "bf16"),
            help="of what is kept between tiles; bf16 takes half of the memory and of the disk, "
            "not equal")
        add("--tile_approximate", life="run", action="store_true",
            help="tiles by the norms' statistics of a small copy of the image: faster, not equal")
        # fmt: on
        size = parser.get_default("crop_size")
        parser.set_defaults(model="test", load_size=size, seed=0, bad_images="skip")

    def run_options(self, early: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The run's own; of an export those that it was made with; for weights from elsewhere, what
        can be read from them."""
        if is_export(file := Path(early["checkpoints_dir"], early["name"])):
            return read_facts(file)["options"]
        return super().run_options(early, given) or read_from_weights(early)

    def run_layer(
        self, parser: OptionParser, trained: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """The network, and the scale of its images; flags of the run's model and dataset too."""
        if given.get("model", trained.get("model")) != trained.get("model"):
            trained = {key: value for key, value in trained.items() if key != "dataset_mode"}
        lives = parser.lives
        layer = {k: v for k, v in trained.items() if k in lives and lives[k].test != OWN}
        if "preprocess" in layer:
            layer["preprocess"] = without_crop(layer["preprocess"])
            if "scale_width" not in layer["preprocess"]:
                layer["load_size"] = layer["crop_size"]
        return layer

    def replaced(self, trained: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Where only the images of one side are there, what `--model test` does with them."""
        if is_file(file := Path(given.get("checkpoints_dir", "."), given.get("name", ""))):
            raise UserError(
                f"--name {file}: an export, which has no run's data and page; translate.py takes "
                f"it: python translate.py --name {file} IMAGE -o OUT"
            )
        of_run = trained | given
        name, mode = of_run.get("model"), of_run.get("dataset_mode", "aligned")
        root, phase = given.get("dataroot"), given.get("phase", self.command)
        if not root or not name or not models.registry.find(name).translates_alone:
            return {}
        side = oriented(of_run.get("direction", "AtoB"), "A", "B")[0]
        images = data.registry.find(mode).images_alone(root, phase, side)
        if images is None or given.get("pairs"):
            return {}
        say(
            f"--dataroot {root}: images of {side} alone: translated by the generator of --model "
            f"{name}, as --model test --dataroot {images} does"
        )
        return {"model": "test", "dataset_mode": "single", "dataroot": images}

    def decide_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> dict[str, Any]:
        """Images one by one, whole, and in one size where the flags name one."""
        sizes = {flag: vars(opt)[flag] for flag in ("preprocess", "load_size", "crop_size")}
        alone = data.registry.find(opt.dataset_mode).images_alone(opt.dataroot, opt.phase, "A")
        if (opt.model == "test" or alone) and not explicit.keys() & sizes.keys():
            sizes["preprocess"] = "keep"  # each image comes out in its own size
        if sizes["preprocess"] == "resize_and_crop":  # one size given means both: whole images
            if "load_size" not in explicit:
                sizes["load_size"] = opt.crop_size
            elif "crop_size" not in explicit:
                sizes["crop_size"] = opt.load_size
        return {"serial_batches": True, "no_flip": True, **sizes}

    def check_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> None:
        """One line for a flag that says something else than the run was trained with."""
        distributed.refuse_several("test.py")
        if opt.results_layout == "flat" and Path(opt.results_dir).resolve().is_relative_to(
            Path(opt.dataroot).resolve()
        ):
            raise UserError(
                f"--results_dir {opt.results_dir}: inside --dataroot {opt.dataroot}; with "
                "--results_layout flat nothing tells results from data, and the next test would "
                "translate them again: give another --results_dir"
            )
        trained_model = opt.trained.get("model", opt.model)
        if opt.model not in (trained_model, "test"):
            raise UserError(
                f"run {opt.name} was trained with --model {trained_model}, got {opt.model}; "
                "leave the flag out, or use --model test for one generator on a folder"
            )
        two_generators = opt.model == "test" and saved_epochs(Path(opt.run_dir), "G_B")
        known = saved.digests_of(opt.run_dir) if self.from_run else {}
        for flag in sorted(explicit.keys() & self.from_run.keys()):
            given, was = explicit[flag], self.from_run[flag]
            chooses_generator = flag == "direction" and two_generators
            same_maths = {str(given), str(was)} == {"batch", "syncbatch"}
            same_maths |= saved.same_files(given, was, known.get(flag, {}))
            free = self.lives[flag].test != FIXED
            if free or given == was or chooses_generator or same_maths:
                continue
            if isinstance(was, bool):
                trained_as, got = f"with{'' if was else 'out'} --{flag}", f"--{flag}"
            else:
                trained_as, got = f"with --{flag} {was}", f"{given}"
            raise UserError(
                f"run {opt.name} was trained {trained_as}, got {got}; "
                "leave the flag out: test takes it from the run"
            )


def describe_sizes(opt: argparse.Namespace) -> str:
    """How large results are, compared with the images."""
    if opt.preprocess == "keep":
        return "results have the images' own sizes"
    cut = f", cut to {opt.crop_size}" if opt.crop_size != opt.load_size else ""
    how = {
        "resize_and_crop": f"images are scaled to {opt.load_size}x{opt.load_size} px{cut}",
        "crop": f"images are cut to {opt.crop_size} px",
        "none": "sides are rounded to multiples of 4 px",
    }.get(opt.preprocess, "images are scaled")
    return f"{how} (--preprocess {opt.preprocess}; keep would keep their sizes)"


def _described(path: Path, network: str) -> dict[str, Any]:
    """Flags of the generator in a file, and what they are told to the user as."""
    weights = load_state_dict(path, network=network, score=lambda w: len(describe_generator(w)))
    flags = describe_generator(weights)
    if flags:
        told = ", ".join(f"{flag} {value}" for flag, value in flags.items())
        warn(f"{path}: no options beside it; read from the weights: {told}")
        if "no_dropout" not in flags:
            warn(f"{path}: dropout leaves no trace in a U-Net: on, as published, or --no_dropout")
    return flags


def read_from_weights(early: dict[str, Any]) -> dict[str, Any]:
    """Options of a generator without a run, from `<epoch>_net_G*`; empty if there is none."""
    folder = Path(early["checkpoints_dir"]) / early["name"]
    label = epoch_label(early["epoch"], early["load_iter"])
    for name in ("G", "G_A", "G_B"):
        path = weights_path(folder, label, name)
        if path.is_file() and (flags := _described(path, name)):
            if name == "G_B":  # the run's own options are those of G_A
                flags["input_nc"], flags["output_nc"] = flags["output_nc"], flags["input_nc"]
            return {"name": path.name, **flags}
    return {}


# Flags that say how a network computes, or which one: decided in a file that computes by itself.
OF_EXPORT = ("epoch", "load_iter", "eval", "precision", "memory_format", "compile", "tile",
             "tile_memory", "tile_approximate", "direction", "no_dropout")  # fmt: skip
# Flags of test.py that mean nothing here -> what does.
OF_TEST = dict.fromkeys(("results_dir", "results_layout", "overwrite"), "-o says where images go")
OF_TEST |= dict.fromkeys(("dataroot", "phase", "num_test"), "files and folders follow the flags")


class TranslateOptions(TestOptions):
    """Images come one by one, from anywhere, and keep their sizes.

    Attributes:
        images: words of the command line that belong to no flag: files, folders, patterns.
    """

    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        """The flags of test.py, and where images go."""
        super().initialize(parser)
        add = parser.add_argument_group("translate").add_argument
        # fmt: off
        add("-o", "--output", life="place", metavar="OUT",
            help="a file for one image, whose ending tells the format; a folder for several; - for "
            "standard output")
        add("--max_megapixels", life="call", type=types.non_negative, default=0.0, metavar="N",
            help="decode images of up to so many million pixels, where that is more than 178; "
            "larger ones are taken for damage, or for malice")
        add("--skip_existing", life="call", action="store_true",
            help="leave out images that are translated already")
        add("--steady", life="call", action="store_true",
            help="for frames: norms by the statistics of a few of them, and the same noise for all")
        add("--codec", life="call", default="auto", choices=("auto", *kinds.CODECS),
            help="of videos; auto: what the ending usually holds")
        add("--crf", life="call", type=types.non_negative_int,
            help="quality of videos, 0 the best: by default 18 for h264, 20 hevc, 24 vp9 and av1")
        # fmt: on

    def common_parser(self) -> OptionParser:
        """One that takes words without flags, too."""
        parser = super().common_parser()
        parser.usage = "python translate.py --name NAME IMAGE ... -o OUT [--flag value ...]"
        parser.words = self.images = []
        return parser

    def replaced(self, trained: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """One generator on images of one side; colours without lightness, and several styles, need
        their own model."""
        for flag in given.keys() & OF_TEST.keys():
            raise UserError(f"--{flag} {given[flag]}: of test.py; here {OF_TEST[flag]}")
        place, name = given.get("checkpoints_dir", "."), given.get("name", "")
        if is_file(Path(place, name)) and (flags := [f for f in OF_EXPORT if f in given]):
            raise UserError(
                f"--{flags[0]} {given[flags[0]]}: {name} was written for one answer to this; leave "
                "the flag out, or export the run anew with it: python scripts/export.py RUN"
            )
        nowhere = {"dataroot": os.devnull}
        own = trained.get("model") == "colorization" or len(trained.get("style_image", [])) > 1
        if "model" in given or own:
            return nowhere
        return nowhere | {"model": "test", "dataset_mode": "single"}

    def decide_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> dict[str, Any]:
        """Each image comes out in its own size."""
        return super().decide_options(opt, explicit) | {"preprocess": "keep"}


def words_of(flags: Mapping[str, Any]) -> list[str]:
    """Flag -> value, as on a command line: True is the flag alone, a list several values."""
    words = []
    for flag, value in flags.items():
        if isinstance(value, bool):
            words += [f"--{flag}"] * value
        else:
            values = value if isinstance(value, (list, tuple)) else [value]
            words += [f"--{flag}", *map(str, values)]
    return words
