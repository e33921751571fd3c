"""Flags that train and test share, and how a value is decided.

Precedence, lowest first: built-in < train/test < model < dataset < the run's own options (in test
and with `--continue_train`) < `--config` files in order < command line.
"""

import argparse
import glob
import math
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import data
import models
from data.transforms import PREPROCESS_MODES
from models.compute import MEMORY_FORMATS, PRECISIONS
from models.discriminators import DISCRIMINATORS
from models.generators import GENERATORS
from models.layers import INIT_TYPES, NORMS
from options import checks, types
from options.parser import OptionParser
from options.saved import NOT_SAVED, load_config, option_table, save_options
from util import distributed, trackers
from util.checkpoints.weights import epoch_label
from util.device import DEVICE_HELP, resolve_device
from util.direction import DIRECTIONS
from util.errors import UserError, warn
from util.seed import draw_seed


class BaseOptions(ABC):
    """`parse(argv)` gives one `opt`; `save(opt)` and `describe()` tell how it came about."""

    isTrain: bool
    command: str  # "train" or "test", also the name of the flags' owner

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}  # flag -> value, as `--config` takes it
        self.set_by: dict[str, str] = {}  # flag -> who set the value
        self.builtin: dict[str, Any] = {}  # flag -> built-in default
        self.text: dict[tuple[str, str], str] = {}  # as in OptionParser
        self.run_name = ""  # of the run whose options are taken over

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags that train and test share."""
        self._add_run_flags(parser.add_argument_group("run").add_argument)
        self._add_network_flags(parser.add_argument_group("model and networks").add_argument)
        self._add_data_flags(parser.add_argument_group("data").add_argument)
        self._add_speed_flags(parser.add_argument_group("speed").add_argument)
        self._add_view_flags(parser.add_argument_group("live views and old scripts"))

    # fmt: off
    def _add_run_flags(self, add) -> None:
        add("--dataroot", help="folder of the images (needed)")
        add("--name", type=types.folder_name, default="experiment_name",
            help="the run's name: its folder in checkpoints_dir and results_dir")
        add("--checkpoints_dir", default="./checkpoints", help="where runs are kept")
        add("--suffix", default="",
            help="appended to the name, e.g. {model}_{netG}_size{load_size}")
        add("--config", nargs="+", action="extend", default=[], metavar="FILE",
            help="YAML files of options; the later wins, the command line wins over all")
        add("--device", default="auto", help=DEVICE_HELP)
        add("--gpu_ids", help="old form of --device: -1 is the CPU, 0 or 0,1 the first of them")
        add("--seed", type=types.seed, help="of every random draw; drawn and recorded if absent")
        add("--deterministic", action="store_true",
            help="the same numbers on a GPU each time, at some cost of speed; the CPU's are anyway")
        add("--verbose", action="store_true", help="print the networks' layers and all options")
        add("--debug", action="store_true", help="show the trace of an error")

    def _add_network_flags(self, add) -> None:
        add("--model", default="cycle_gan", choices=models.registry.names(), help="the method")
        add("--input_nc", type=types.positive_int, default=3, help="channels that G takes")
        add("--output_nc", type=types.positive_int, default=3, help="channels that G gives")
        add("--ngf", type=types.positive_int, default=64, help="channels of G's first layer")
        add("--ndf", type=types.positive_int, default=64, help="channels of D's first layer")
        add("--netG", default="resnet_9blocks", choices=GENERATORS, help="generator")
        add("--netD", default="basic", choices=DISCRIMINATORS,
            help="discriminator: basic is the 70x70 PatchGAN, n_layers takes --n_layers_D")
        add("--n_layers_D", type=types.positive_int, default=3, help="layers of --netD n_layers")
        add("--norm", default="instance", choices=NORMS, help="normalisation of G and D")
        add("--no_dropout", action="store_true", help="no dropout in G")
        add("--init_type", default="normal", choices=INIT_TYPES, help="how weights are drawn")
        add("--init_gain", type=types.positive, default=0.02, help="scale of drawn weights")
        add("--epoch", default="latest", help="which weights to load: latest, 5, ...")
        add("--load_iter", type=types.non_negative_int, default=0,
            help="load iter_<load_iter> instead of --epoch, if above 0")

    def _add_data_flags(self, add) -> None:
        add("--dataset_mode", default="unaligned", choices=data.registry.names(),
            help="how the folder is read")
        add("--phase", type=types.folder_name, default=self.command,
            help="the data's folder: train, val, test, ...")
        add("--direction", default="AtoB", choices=DIRECTIONS, help="which side is G's input")
        add("--preprocess", default="resize_and_crop", choices=PREPROCESS_MODES,
            help="scaling and cropping; none only rounds the sides to multiples of 4, keep does "
            "nothing")
        add("--load_size", type=types.positive_int, default=286, help="px to scale to")
        add("--crop_size", type=types.positive_int, default=256, help="px of the square to cut out")
        add("--no_flip", action="store_true", help="do not mirror images at random")
        add("--batch_size", type=types.positive_int, default=1, help="images per step")
        add("--serial_batches", action="store_true", help="in the order of the names, no shuffling")
        add("--num_threads", type=types.count_or_auto, default=4,
            help="loader processes; auto: by the cores that are free for them")
        add("--fast_decode", action="store_true",
            help="--preprocess resize_and_crop: decode larger JPEGs at a fraction of their size; "
            "pixels differ a little")
        add("--cache", default="ram", choices=("ram", "disk", "off"),
            help="training keeps images that were decoded and scaled: in memory that the loader "
            "processes share, or in a folder that runs may share")
        add("--cache_gb", type=types.positive, default=2.0,
            help="GB (10^9 bytes) that it may hold, in memory at most a quarter of what is free; "
            "further images are read as usual")
        add("--cache_dir", metavar="FOLDER",
            help="of --cache disk (default: .image_cache in --checkpoints_dir)")
        add("--pairs", metavar="FILE",
            help="aligned: a CSV file of pairs, columns A, B and maybe phase; its files are "
            "relative to --dataroot, by default to the table")
        add("--label_A", action="store_true",
            help="images of A are label maps: scaled without mixing labels")
        add("--label_B", action="store_true", help="images of B are label maps")
        add("--value_range", nargs="+", type=types.number(-math.inf), metavar="LOW HIGH",
            help="values that stand for black and white in files that are not 8-bit (default: all "
            "of 16 bits, 0 1 for floats); four numbers: those of A, then of B")
        add("--bad_images", default="stop", choices=("stop", "skip"),
            help="a damaged image ends the run, or is left out and told")
        add("--max_dataset_size", type=types.count_or_inf, default=float("inf"),
            help="use the first so many images only")

    def _add_speed_flags(self, add) -> None:
        add("--precision", default="auto", choices=PRECISIONS,
            help="number format of networks: auto is fp32, with tf32 in a GPU's convolutions; bf16 "
            "and fp16 change the results a little")
        add("--memory_format", default="auto", choices=MEMORY_FORMATS,
            help="order of images in memory; auto is what measured faster for the network")
        add("--compile", action="store_true",
            help="compile the networks, which takes a minute and gains in bf16 or small sizes")

    def _add_view_flags(self, group) -> None:
        add = group.add_argument
        add("--display_winsize", type=types.positive_int, default=256,
            help="px of an image on the pages")
        add("--track", nargs="*", choices=trackers.registry.names(), default=[],
            help="show a training in these too, where there is a server or a package for it")
        trackers.add_tracker_flags(group)
    # fmt: on

    @abstractmethod
    def run_layer(
        self, parser: OptionParser, trained: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Values taken over from the run's own options, `trained` (empty if there are none).

        Args:
            given: values of the config files and the command line, as far as known.
        """

    @abstractmethod
    def finish(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> None:
        """Derive what the command needs, check flags against each other."""

    def parse(self, argv: list[str] | None = None) -> argparse.Namespace:
        """Decide every option; raises UserError for what a user can mend. Writes nothing."""
        argv = sys.argv[1:] if argv is None else list(argv)
        parser, configs, trained = self._gather(argv)
        command_line, unknown = parser.explicit(argv)
        parser.refuse_unknown(unknown)
        layers = [(file, parser.from_config(values, file)) for file, values in configs.items()]
        layers += [("command line", command_line)]
        explicit = {key: value for _, layer in layers for key, value in layer.items()}
        from_run = parser.from_config(self.run_layer(parser, trained, explicit), "train_opt.yaml")
        layers = [(f"run {trained.get('name')}", from_run), *layers]
        parser.refuse_missing(explicit.keys() | from_run.keys())
        self.builtin, self.text = parser.builtin, parser.text
        self.values, self.set_by = parser.defaults(), dict(parser.owner)
        for who, layer in layers:
            self.values |= layer
            self.set_by |= dict.fromkeys(layer, who)
        return self._make_opt(explicit, trained)

    def common_parser(self) -> OptionParser:
        """The parser before model and dataset have added their flags."""
        parser = OptionParser(self.command, sys.modules[type(self).__module__].__doc__)
        with parser.set_by("default"):
            BaseOptions.initialize(self, parser)
        with parser.set_by(self.command):
            self.initialize(parser)
        return parser

    def _gather(self, argv: list[str]) -> tuple[OptionParser, dict[str, dict], dict[str, Any]]:
        """(parser with all flags, config file -> values, the run's own options)."""
        parser = self.common_parser()
        with parser.before_plugins():
            given = parser.explicit([word for word in argv if word not in ("-h", "--help")])[0]
            configs = {file: load_config(file) for file in given.get("config", [])}
            early = {}
            for file, values in configs.items():
                known = {key: value for key, value in values.items() if key in parser.flags()}
                early |= parser.from_config(known, file)
        early |= given
        trained = self.run_options(parser.defaults() | early, early)
        for key, registry in (("model", models.registry), ("dataset_mode", data.registry)):
            own = self.run_layer(parser, trained, early)
            name = early.get(key, own.get(key, parser.get_default(key)))
            with parser.set_by(f"{registry.suffix} {name}"):
                registry.find(name).modify_commandline_options(parser, self.isTrain)
        parser.warn_of_idle_defaults()
        parser.offer_help()
        if {"-h", "--help"} & set(argv):
            parser.print_help()
            sys.exit(0)
        return parser, configs, trained

    def run_options(self, early: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The options that the run was trained with; empty if it left none.

        Args:
            early: flag -> value as far as known, defaults included; given: without defaults.
        """
        runs = Path(early["checkpoints_dir"])
        pattern = glob.escape(early["name"]) + ("_*" if early["suffix"] else "")
        found = {f.parent.name: load_config(f) for f in runs.glob(f"{pattern}/train_opt.yaml")}
        if early["suffix"]:  # {flag}s in it were filled in with values that only the run knows
            wanted = [early["name"], early["suffix"]]
            found = {
                name: options
                for name, options in found.items()
                if [options.get("name"), options.get("suffix")] == wanted
                or name == "_".join(wanted)
            }
            meant = [n for n, o in found.items() if n == early["name"] + suffix_of(o | given)]
            found = {name: found[name] for name in meant or found}
        if len(found) > 1:
            raise UserError(
                f"--suffix {early['suffix']}: several runs fit: {', '.join(sorted(found))}; "
                "give one of them as --name, without --suffix"
            )
        for self.run_name, options in found.items():
            return options
        return {}

    def _make_opt(self, explicit: dict[str, Any], trained: dict[str, Any]) -> argparse.Namespace:
        if not self.values["dataroot"] and self.values["pairs"]:
            self.values["dataroot"] = str(Path(self.values["pairs"]).parent)
        if not self.values["dataroot"]:
            raise UserError("--dataroot is needed: the folder of the images")
        if self.values["seed"] is None:
            self.values["seed"] = draw_seed()
            self.set_by["seed"] = "drawn"
        if self.run_name == self.values["name"]:  # given as the folder's name: keep both its parts
            self.values |= {key: trained[key] for key in ("name", "suffix") if key in trained}
        opt = argparse.Namespace(**self.values, isTrain=self.isTrain, trained=trained)
        opt.name = self.run_name or opt.name + suffix_of(vars(opt))
        opt.run_dir = str(Path(opt.checkpoints_dir) / opt.name)
        opt.epoch_label = epoch_label(opt.epoch, opt.load_iter)
        self.finish(opt, explicit)
        checks.check(opt)
        _choose_device(opt)  # imports torch: what can be refused without it has been by now
        models.registry.find(opt.model).check_options(opt)
        for flag in self.values.keys() - {"name", "device", "gpu_ids"}:
            if self.values[flag] != getattr(opt, flag):
                self.values[flag], self.set_by[flag] = getattr(opt, flag), self.command
        return opt

    def describe(self, all_options: bool = False) -> str:
        """A table of the options; without all_options only those that differ from the default."""
        return option_table(self.values, self.builtin, self.set_by, all_options)

    def differing(self) -> list[tuple[str, str, str]]:
        """(flag, value, default) of the run's options that differ from the default."""
        return [
            (flag, str(value), str(self.builtin[flag]))
            for flag, value in sorted(self.values.items())
            if value != self.builtin[flag] and flag not in NOT_SAVED
        ]

    def save(self, folder: str | Path) -> None:
        """Write <command>_opt.txt to read and <command>_opt.yaml for `--config`."""

        def as_given(flag: str, value: Any) -> Any:
            if (flag, repr(value)) in self.text:
                return self.text[flag, repr(value)]
            return [as_given(flag, v) for v in value] if type(value) is list else value

        values = {flag: as_given(flag, value) for flag, value in self.values.items()}
        save_options(Path(folder), f"{self.command}_opt", values, self.describe(True))


def _choose_device(opt: argparse.Namespace) -> None:
    """From the flags' text to the device's name, and the list that plug-ins know."""
    device = resolve_device(opt.device, opt.gpu_ids)
    several = device.type == "cuda" and "," in (opt.gpu_ids or "")
    if several and distributed.world_size() == 1:
        warn(f"--gpu_ids {opt.gpu_ids}: using {device}; for several GPUs use torchrun")
    opt.device, opt.gpu_ids = str(device), [device.index] if device.type == "cuda" else []


def suffix_of(options: dict[str, Any]) -> str:
    """What `--suffix` adds to the name, with {flag} filled in."""
    if not options["suffix"]:
        return ""
    try:
        return "_" + types.folder_name(options["suffix"].format(**options))
    except (LookupError, ValueError, AttributeError, argparse.ArgumentTypeError) as error:
        raise UserError(
            f"--suffix {options['suffix']}: {error}; accepted: text with {{flag}}s, e.g. {{netG}}"
        ) from None
