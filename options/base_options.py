"""Flags that train and test share, and how a value is decided.

Precedence, lowest first: built-in < train/test < model < dataset < the run's own options (in test
and with `--continue_train`) < `--config` files in order < command line.
"""

from __future__ import annotations

import argparse
import glob
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import data
import models
from options import checks, counts, former_flags, runs, saved
from options.lives import Life
from options.parser import OptionParser
from options.shared_flags import add_shared_flags
from util import distributed
from util.atomic import check_readable
from util.checkpoints.weights import epoch_label
from util.errors import UserError, refuse_kernel_arguments, warn
from util.labels import flags
from util.machine import chosen_device
from util.registry import Registry
from util.seed import draw_seed

REGISTRIES = {"model": models.registry, "dataset_mode": data.registry}  # flag -> its values


class BaseOptions(ABC):
    """`parse(argv)` gives one `opt`, which nobody writes afterwards; `describe()` and
    `save(folder)` tell what it holds and who set it."""

    isTrain: bool
    command: str  # "train" or "test", also the name of the flags' owner

    def __init__(self) -> None:
        self.opt = argparse.Namespace()  # the one, once it is parsed
        self.set_by: dict[str, str] = {}  # flag -> who set the value
        self.lives: dict[str, Life] = {}  # flag -> its kind
        self.needs: dict[str, counts.Needs] = {}  # flag -> what it needs to have an effect
        self.typed: dict[str, Any] = {}  # flag -> value that counts as typed by somebody
        self.builtin: dict[str, Any] = {}  # flag -> built-in default
        self.text: dict[tuple[str, str], str] = {}  # as in OptionParser
        self.given: dict[str, Any] = {}  # flag -> what was given, where `opt` has what it led to
        self.instead: dict[str, Any] = {}  # see `replaced`
        self.run_name = ""  # of the run whose options are taken over
        self.from_run: dict[str, Any] = {}  # flag -> value taken over from it
        self.lost: UserError | None = None  # the run that is to be taken up is not there
        # While it is parsed: the command line without --help, what the config files hold, and the
        # model and dataset that they name.
        self.words: list[str] = []
        self.configs: dict[str, dict[str, Any]] = {}
        self.chosen: dict[str, str] = {}

    @property
    def values(self) -> dict[str, Any]:
        """Flag -> the value in `opt`, as `--config` takes it."""
        return {flag: self.given.get(flag, getattr(self.opt, flag)) for flag in self.set_by}

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags that train and test share."""
        add_shared_flags(parser, phase=self.command)

    @abstractmethod
    def run_layer(
        self, parser: OptionParser, trained: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Values taken over from the run's own options, `trained` (empty if there are none).

        Args:
            given: values of the config files and the command line, as far as known.
        """

    def replaced(self, trained: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Values that take the place of what is given, decided before the flags of model and
        dataset are known, as they may change both.

        Args:
            trained, given: as of `run_layer`.
        """
        return {}

    @abstractmethod
    def decide_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> dict[str, Any]:
        """Values that follow from the others for this command.

        Args:
            explicit: what config files and command line gave.
        """

    @abstractmethod
    def check_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> None:
        """Raise UserError for what contradicts the run that is taken up or tested."""

    def parse(self, argv: list[str] | None = None) -> argparse.Namespace:
        """Decide every option; raises UserError for what a user can mend. Writes nothing."""
        if argv is None:
            refuse_kernel_arguments(sys.argv[1:])
        argv = sys.argv[1:] if argv is None else list(argv)
        parser, configs, trained = self._gather(argv)
        command_line, unknown = parser.explicit(argv)
        parser.refuse_unknown(unknown)
        parser.warn_of_repeated(argv)
        layers = [(file, parser.from_config(values, file)) for file, values in configs.items()]
        layers += [("command line", command_line), (self.command, self.instead)]
        explicit = {key: value for _, layer in layers for key, value in layer.items()}
        run_layer = self.run_layer(parser, trained, explicit)
        self.from_run = parser.from_config(run_layer, "train_opt.yaml")
        layers = [(f"run {self.run_name or trained.get('name')}", self.from_run), *layers]
        parser.refuse_missing(explicit.keys() | self.from_run.keys())
        self.builtin, self.text, self.lives = parser.builtin, parser.text, parser.lives
        self.file_flags = parser.file_flags()
        defaults, self.needs = parser.defaults(), parser.needs
        # A file may be the options of a whole run: what it leaves at its default is not meant.
        self.typed = {k: v for k, v in explicit.items() if v != defaults[k]} | command_line
        values, self.set_by = dict(defaults), dict(parser.owner)
        for who, layer in layers:
            values |= layer
            self.set_by |= dict.fromkeys(layer, who)
        self.opt, self.given = argparse.Namespace(**values), {}
        self.opt.isTrain, self.opt.trained = self.isTrain, trained
        chosen = [(f"--{flag} {values[flag]}", kind.find(values[flag]))
                  for flag, kind in REGISTRIES.items()]  # fmt: skip
        self.needs = self.needs | dict(counts.of_plugins(chosen, defaults))
        self._decide_place(self.opt)
        self._decide_rest(self.opt, explicit)
        return self.opt

    def common_parser(self) -> OptionParser:
        """The parser before model and dataset have added their flags."""
        parser = OptionParser(self.command, sys.modules[type(self).__module__].__doc__)
        parser.elsewhere = self.flags_elsewhere
        with parser.set_by("default"):
            BaseOptions.initialize(self, parser)
        with parser.set_by(self.command):
            self.initialize(parser)
        return parser

    def flags_elsewhere(self) -> dict[str, str]:
        """Flags of the other command, and of all models and datasets -> whose they are."""
        from options import test_options, train_options  # which import this file

        commands = [train_options.TrainOptions(), test_options.TestOptions()]
        commands.sort(key=lambda options: options.command != self.command)
        return former_flags.elsewhere(commands, REGISTRIES)

    def add_plugin_flags(self, parser: OptionParser, registry: Registry, name: str) -> None:
        """Add the flags of a model or dataset, and set its defaults."""
        with parser.set_by(f"{registry.suffix} {name}"):
            registry.find(name).modify_commandline_options(parser, self.isTrain)

    def _gather(self, argv: list[str]) -> tuple[OptionParser, dict[str, dict], dict[str, Any]]:
        """(parser with all flags, config file -> values, the run's own options)."""
        parser = self.common_parser()
        self.words = [word for word in argv if word not in ("-h", "--help")]
        with parser.before_plugins():
            given = parser.explicit(self.words)[0]
            files = given.get("config", [])
            self.configs = configs = {file: saved.load_config(file) for file in files}
            early = {}
            for file, values in configs.items():
                known = {key: value for key, value in values.items() if key in parser.flags()}
                early |= parser.from_config(known, file)
        early |= given
        self.chosen = {key: early[key] for key in REGISTRIES.keys() & early.keys()}
        trained = self.run_options(parser.defaults() | early, early)
        self.instead = self.replaced(trained, early)
        early |= self.instead
        for key, registry in REGISTRIES.items():
            own = self.run_layer(parser, trained, early)
            name = early.get(key, own.get(key, parser.get_default(key)))
            self.add_plugin_flags(parser, registry, name)
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
        place, name = Path(early["checkpoints_dir"]), early["name"]
        pattern = glob.escape(name) + ("_*" if early["suffix"] else "")
        if not early["suffix"]:
            check_readable(place / name / "train_opt.yaml", f"--name {name}")
        needed = self.isTrain and not given.get("config")
        found = saved.options_in(place, pattern, needed)
        if early["suffix"]:  # {flag}s in it are filled in with values that the flags may not tell
            wanted = [name, early["suffix"]]
            found = {
                folder: options
                for folder, options in found.items()
                if [options.get("name"), options.get("suffix")] == wanted
                or folder == "_".join(wanted)
            }
            found = self.choose_run(found, early)
        if len(found) > 1:
            raise UserError(
                f"--suffix {early['suffix']}: several runs fit: {', '.join(sorted(found))}; "
                "give one of them as --name, without --suffix, or the flags that tell them apart"
            )
        for self.run_name, options in found.items():
            return options
        return {}

    def choose_run(self, found: dict[str, dict], early: dict[str, Any]) -> dict[str, dict]:
        """Those of several runs with one `--name` and `--suffix` that the given flags name; all of
        them where they name none.

        Args:
            found: folder -> the run's options.
            early: as of `run_options`.
        """
        given: dict[tuple, dict[str, Any]] = {}  # model and dataset -> values of their flags too
        named = {}
        for folder, options in found.items():
            kind = tuple(options.get(key) for key in REGISTRIES)
            if kind not in given:
                given[kind] = self.known_values(early, options)[0]
            if runs.fits(folder, options, given[kind]):
                named[folder] = options
        return named or found

    def known_values(
        self, early: dict[str, Any], trained: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what config files and the command line give, the same and all defaults), with the flags
        of model and dataset.

        Args:
            early: as of `run_options`.
            trained: options of a run, which decide these two where nobody gives them.
        """
        parser, given = self.common_parser(), {}
        parser.tells = False  # once is enough
        wanted = {key: self.chosen.get(key, trained.get(key)) for key in REGISTRIES}
        for key, registry in REGISTRIES.items():
            name = wanted[key] or parser.get_default(key)
            if name in registry.names():
                self.add_plugin_flags(parser, registry, name)
        for file, values in self.configs.items():
            known = {key: value for key, value in values.items() if key in parser.flags()}
            given |= parser.from_config(known, file)
        given |= parser.explicit(self.words)[0]
        given |= {key: early[key] for key in ("name", "suffix")}
        return given, parser.defaults() | given

    def _set(self, who: str, decided: dict[str, Any]) -> None:
        """Take over values that were decided while parsing, and who decided them."""
        for name, value in decided.items():
            if name in self.set_by and getattr(self.opt, name) != value:
                self.set_by[name] = who
            setattr(self.opt, name, value)

    def _resolve(self, flag: str, value: Any) -> None:
        """Replace a text by what it leads to; what was given is what is shown and saved."""
        self.given.setdefault(flag, getattr(self.opt, flag))
        setattr(self.opt, flag, value)

    def _decide_place(self, opt: argparse.Namespace) -> None:
        """Where the images and the run are, and the seed, which may be part of the run's name."""
        if not opt.dataroot and opt.pairs and data.is_table(opt.pairs):
            self._set(self.command, {"dataroot": str(Path(opt.pairs).parent)})
        if not opt.dataroot:
            raise self.lost or UserError("--dataroot is needed: the folder of the images")
        if self.lost and Path(opt.dataroot).exists():  # else that is told first
            raise self.lost
        if opt.seed is None:
            self._set("drawn", {"seed": _drawn_seed(opt)})
        if self.run_name == opt.name:  # given as the folder's name: keep both its parts
            first = {"name": opt.name, "suffix": ""} | opt.trained
            if first["name"] + runs.suffix_of(first) != opt.name:  # it was renamed
                first |= {"name": opt.name, "suffix": ""}
            self.given["name"], opt.suffix = first["name"], first["suffix"]
        flags = {flag: vars(opt)[flag] for flag in self.set_by}
        self._resolve("name", self.run_name or opt.name + runs.suffix_of(flags))
        opt.run_dir = str(Path(opt.checkpoints_dir) / opt.name)
        opt.epoch_label = epoch_label(opt.epoch, opt.load_iter)

    def _decide_rest(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> None:
        """Values that follow from others, and the checks of flags against each other."""
        self._set(self.command, self.decide_options(opt, explicit))
        self.check_options(opt, explicit)
        unread = data.registry.find(opt.dataset_mode).no_use_for
        opt.labels, nc = flags.decide(vars(opt), explicit, self.from_run, unread)
        self._set("labels", nc)
        idle = list(counts.idle_flags(self.typed, self.needs, vars(opt)))
        checks.check(opt)
        checks.check_files(opt, self.file_flags)
        # This imports torch: what needs none has been refused by now.
        device = chosen_device(opt.device, opt.gpu_ids)
        self._resolve("device", device)
        self._resolve("gpu_ids", [device.index] if device.type == "cuda" else [])
        model = models.registry.find(opt.model)
        self._set(f"model {opt.model}", model.decide_options(opt))
        model.check_options(opt)
        for line in idle:  # what is refused gets its one line alone
            warn(line)
        decisive = [flag for flag in self.set_by if self.lives[flag].decides_pixels]
        opt.pixel_flags = sorted(decisive)  # what `--cache disk` asks for

    def describe(self, all_options: bool = False) -> str:
        """A table of the options; without all_options only those that differ from the default."""
        return saved.option_table(self.values, self.builtin, self.set_by, all_options)

    def differing(self) -> list[tuple[str, str, str]]:
        """(flag, value, default) of the run's options that differ from the default."""
        return [
            (flag, str(value), str(self.builtin[flag]))
            for flag, value in sorted(self.values.items())
            if value != self.builtin[flag] and self.lives[flag].saved
        ]

    def save(self, folder: str | Path) -> None:
        """Write <command>_opt.txt to read and <command>_opt.yaml for `--config`."""
        saved.save_options(Path(folder), f"{self.command}_opt", self.saved(), self.describe(True))
        flags.save_tables(self.opt.labels, Path(folder))

    def saved(self) -> dict[str, Any]:
        """Flag -> value, as a file or a checkpoint of the run has them."""

        def as_given(flag: str, value: Any) -> Any:
            if (flag, repr(value)) in self.text:
                return self.text[flag, repr(value)]
            return [as_given(flag, v) for v in value] if type(value) is list else value

        return saved.plain_values(
            {flag: as_given(flag, v) for flag, v in self.values.items() if self.lives[flag].saved}
        )


def _drawn_seed(opt: argparse.Namespace) -> int:
    """A fresh seed; several processes of one run meet, and take that of the first."""
    if distributed.world_size() == 1:
        return draw_seed()
    distributed.start(chosen_device(opt.device, opt.gpu_ids))
    return distributed.from_rank_0(draw_seed())
