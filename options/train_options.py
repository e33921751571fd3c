"""Train an image-to-image translation model."""

import argparse
from pathlib import Path
from typing import Any

from models.losses import GAN_MODES
from models.schedulers import LR_POLICIES
from options import runs, saved, types
from options.base_options import REGISTRIES, BaseOptions
from options.lives import FIXED, OWN, Life
from options.parser import OptionParser
from util.checkpoints.checkpoint import list_checkpoints, saved_epoch
from util.checkpoints.weights import published
from util.errors import UserError, warn
from util.record import command_line
from util.trackers import asked_trackers


class TrainOptions(BaseOptions):
    """The flags of train.py."""

    isTrain = True
    command = "train"

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("logs and checkpoints")
        self._add_log_flags(group.add_argument)
        self._add_saving_flags(group.add_argument)
        self._add_schedule_flags(parser.add_argument_group("training").add_argument)

    # fmt: off
    def _add_log_flags(self, add) -> None:
        shown = ("without --no_html, or with --track",
                 lambda o: not o["no_html"] or bool(asked_trackers(o)))
        add("--display_freq", life="machine", type=types.positive_int, default=400,
            counts_with=shown,
            help="images of an epoch after which its pictures are shown for the first time, on the "
            "page and in live views; from then on --update_html_freq renews them")
        add("--print_freq", life="machine", type=types.positive_int, default=100,
            help="images between two lines of losses")
        add("--update_html_freq", life="machine", type=types.positive_int, default=1000,
            counts_with=shown,
            help="images after which the epoch's pictures are replaced by new ones, on the page "
            "and in live views")
        add("--no_html", life="machine", action="store_true", help="no training page")
        add("--on_nan", life="machine", choices=["stop", "skip"], default="stop",
            help="at a loss or gradient that is not finite: stop, or leave the step out")
        add("--dry_run", life="call", action="store_true",
            help="print options, networks and learning rates, check the data, and stop")

    def _add_saving_flags(self, add) -> None:
        goes_on = ("with --continue_train", lambda o: o["continue_train"] or bool(o["resume"]))
        add("--save_latest_freq", life="machine", type=types.positive_int, default=5000,
            help="images between two savings of `latest`")
        add("--save_epoch_freq", life="machine", type=types.positive_int, default=5,
            help="epochs between two savings under the epoch's number")
        add("--save_by_iter", life="machine", action="store_true",
            help="save under iter_<n> instead of `latest`")
        add("--save_every_minutes", life="machine", type=types.non_negative, default=15.0,
            help="minutes between two savings of `latest`; 0: by images and epochs only")
        add("--keep_last", life="machine", type=types.whole_number(2), default=2,
            help="checkpoints kept besides those with a number; the older is there in case the "
            "newer is damaged")
        add("--keep_checkpoints", life="machine", type=types.count_or_inf, default=float("inf"),
            help="checkpoints with a number that are kept besides --keep_last, the newest of them")
        add("--save_state", life="machine", choices=["latest", "all"], default="latest",
            help="which checkpoints keep optimizers, image pools and random numbers, so that a "
            "training goes on from them exactly: the last ones (--keep_last), or those with a "
            "number too; these are weights alone otherwise")
        add("--safetensors", life="machine", action="store_true",
            help="write weights as .safetensors too")
        add("--overwrite", life="call", action="store_true",
            counts_with=("in a new training; with --continue_train nothing is deleted",
                         lambda o: not o["continue_train"]),
            help="delete an earlier run of this name; else it is renamed to NAME.1, NAME.2, ...")
        add("--continue_train", life="call", action="store_true",
            help="go on with the run called --name where it stopped, with its own options, as if "
            "it had never stopped")
        add("--resume", life="call", nargs="?", const="always", choices=["always", "auto"],
            help="alone: the same as --continue_train. --resume auto: go on with the run if it is "
            "there, else begin it, so that one command starts and restarts it")
        add("--allow_changed", life="call", action="store_true", counts_with=goes_on,
            help="go on although options differ that change what comes out")
        add("--init_from", life="run", metavar="PATH",
            help="begin with the weights of a run's folder or a file")
        add("--init_partial", life="run", action="store_true",
            counts_with=("with --init_from", lambda o: bool(o["init_from"])),
            help="take those of --init_from that match by name and shape, of another network too, "
            "and draw the rest anew")
        add("--requeue", life="call", action="store_true",
            help="SIGUSR1 saves and stops; without it, saves and goes on")

    def _add_schedule_flags(self, add) -> None:
        add("--n_epochs", life="machine", type=types.non_negative_int, default=100,
            help="epochs with the initial learning rate")
        add("--n_epochs_decay", life="machine", type=types.non_negative_int, default=100,
            help="epochs over which it falls to zero")
        add("--epoch_count", life="call", type=types.positive_int, default=1,
            help="number of the first epoch; with --continue_train taken from the checkpoint")
        add("--lr", life="run", type=types.positive, default=0.0002,
            help="initial learning rate of Adam")
        add("--beta1", life="run", type=types.number(0, 1, below=True), default=0.5,
            help="Adam's momentum")
        add("--lr_policy", life="run", default="linear", choices=LR_POLICIES,
            help="learning-rate schedule")
        add("--lr_decay_iters", life="run", type=types.positive_int, default=50,
            counts_with={"lr_policy": "step"}, help="epochs between two falls of --lr_policy step")
        add("--gan_mode", life="run", default="lsgan", choices=GAN_MODES, help="the GAN objective")
        add("--lambda_gp", life="run", type=types.non_negative, default=10.0,
            counts_with={"gan_mode": "wgangp"},
            help="weight of the gradient penalty of --gan_mode wgangp; 0: none")
        add("--pool_size", life="run", type=types.non_negative_int, default=50,
            help="images in the history that D is shown; 0: none")
    # fmt: on

    def run_layer(
        self, parser: OptionParser, trained: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """All of the run's options, but where it is, what it runs on, and how it is taken up."""
        lives = parser.lives
        return {k: v for k, v in trained.items() if k in lives and lives[k].resume != OWN}

    def run_options(self, early: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The run's that is taken up; none for a new one, or if it is `lost`."""
        if not (early["continue_train"] or early["resume"]):
            return {}
        options = super().run_options(early, given)
        if options or early["resume"] == "auto":
            return options
        name = early["name"]
        if early["suffix"]:
            name += runs.suffix_of(self.known_values(early, {})[1])
        if not runs.is_run(Path(early["checkpoints_dir"], name)):
            flag = "--continue_train" if early["continue_train"] else "--resume"
            self.lost = runs.missing(flag, name, early["checkpoints_dir"])
        return {}

    def choose_run(self, found: dict[str, dict], early: dict[str, Any]) -> dict[str, dict]:
        """The one that a new training with the same command line would be, if it is there; with
        `--resume auto` no other one, for then it is to be begun."""
        new = self.known_values(early, {})[1]
        if not runs.fields_of(early["suffix"]).issubset(new):  # the run has to tell the model
            return super().choose_run(found, early)
        exact = {folder: o for folder, o in found.items() if runs.fits(folder, o, new)}
        return exact if exact or early["resume"] == "auto" else super().choose_run(found, early)

    def decide_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> dict[str, Any]:
        """Whether a run is taken up, and whether its checkpoint says in which epoch."""
        goes_on = opt.continue_train or bool(opt.resume)
        if opt.resume == "auto" and not has_checkpoint(opt.run_dir):
            warn(f"{opt.run_dir}: nothing to go on from yet; beginning anew (--resume auto)")
            goes_on = False
        given = self.set_by["epoch_count"] == "command line"
        decided = {"continue_train": goes_on, "epoch_count_given": given}
        if opt.init_from and not goes_on and Path(opt.dataroot).exists():
            path = runs.run_or_file("--init_from", opt.init_from, opt.checkpoints_dir)
            self._resolve("init_from", path)
        if goes_on and not given and (epoch := saved_epoch(opt.run_dir, opt.epoch_label)):
            decided["epoch_count"] = epoch  # for schedules that plug-ins make of opt
        repeated = [values for values in self.configs.values() if saved.is_of_a_run(values)]
        earlier = [opt.trained] if goes_on and opt.trained else repeated
        if earlier and all("file_order" not in values | explicit for values in earlier):
            decided["file_order"] = "plain"  # a run of an earlier version draws as it drew
        return decided

    def check_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> None:
        """Refuse what would turn the run into another one, and say how long it is now."""
        if opt.continue_train and "init_from" in explicit:
            raise UserError("--continue_train and --init_from both bring weights; give one of them")
        if opt.continue_train and not opt.allow_changed:
            self.refuse_changes(opt, explicit)
        planned = [
            f"{flag} {opt.trained[flag]} -> {getattr(opt, flag)}"
            for flag in ("n_epochs", "n_epochs_decay")
            if opt.trained.get(flag, getattr(opt, flag)) != getattr(opt, flag)
        ]
        if planned:
            warn(f"{', '.join(planned)}: the schedule is computed anew")

    def kept_in_checkpoints(self) -> dict[str, Any]:
        """What each checkpoint's manifest holds of the options: their values, and the digests of
        the files that those name which have to stay the same."""
        fixed = {f: v for f, v in self.values.items() if self.lives[f].resume == FIXED}
        return {"options": self.saved(), "given_files": saved.digests(fixed)}

    def refuse_changes(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> None:
        """One line for given options that would turn the run into another one. Where a value names
        a file, its contents count and not where it lies."""
        known = saved.digests_of(opt.run_dir)
        fixed = {flag for flag, life in self.lives.items() if life.resume == FIXED}
        changes = []
        for flag in sorted(fixed & self.from_run.keys() & (explicit.keys() | known.keys())):
            value, was = explicit.get(flag, self.from_run[flag]), self.from_run[flag]
            if not saved.same_files(value, was, known.get(flag, {})):
                told = "(other contents than it had)" if value == was else f"-> {value}"
                changes.append(f"--{flag} {opt.trained[flag]} {told}")
        if changes:
            raise UserError(
                f"--continue_train: run {opt.name} was trained otherwise: {', '.join(changes)}; "
                "leave the flags out, or give --allow_changed, or begin a new run with "
                + command_line([], {"init_from": opt.run_dir})
            )


def lives_of_run(options: dict[str, Any]) -> dict[str, Life]:
    """Flag -> its kind, for the saved options of a training; without those of a model or a dataset
    that is not here any more."""
    train = TrainOptions()
    parser = train.common_parser()
    for flag, registry in REGISTRIES.items():
        if options.get(flag) in registry.names():
            train.add_plugin_flags(parser, registry, options[flag])
    return parser.lives


def has_checkpoint(run_dir: str) -> bool:
    """Whether there is anything that `--continue_train` could take up."""
    return bool(list_checkpoints(run_dir) or published(run_dir))
