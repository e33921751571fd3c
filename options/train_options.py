"""Train an image-to-image translation model."""

import argparse
from typing import Any

from models.losses import GAN_MODES
from models.schedulers import LR_POLICIES
from options import types
from options.base_options import BaseOptions
from options.parser import OptionParser

# Not taken over from the run that `--continue_train` goes on with.
OF_THE_CALL = ("name", "checkpoints_dir", "suffix", "device", "gpu_ids", "continue_train", "epoch",
               "epoch_count", "load_iter")  # fmt: skip


class TrainOptions(BaseOptions):
    """The flags of train.py."""

    isTrain = True
    command = "train"

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        self._add_log_flags(parser.add_argument_group("logs and checkpoints").add_argument)
        self._add_schedule_flags(parser.add_argument_group("training").add_argument)

    # fmt: off
    def _add_log_flags(self, add) -> None:
        add("--display_freq", type=types.positive_int, default=400,
            help="images between two updates of the shown pictures")
        add("--print_freq", type=types.positive_int, default=100,
            help="images between two lines of losses")
        add("--update_html_freq", type=types.positive_int, default=1000,
            help="images between two savings of pictures to the page")
        add("--no_html", action="store_true", help="no training page")
        add("--save_latest_freq", type=types.positive_int, default=5000,
            help="images between two savings of `latest`")
        add("--save_epoch_freq", type=types.positive_int, default=5,
            help="epochs between two savings under the epoch's number")
        add("--save_by_iter", action="store_true", help="save under iter_<n> instead of `latest`")
        add("--continue_train", action="store_true",
            help="go on from --epoch: weights, epoch and schedule")
        add("--dry_run", action="store_true",
            help="print options, networks and learning rates, check the data, and stop")

    def _add_schedule_flags(self, add) -> None:
        add("--n_epochs", type=types.non_negative_int, default=100,
            help="epochs with the initial learning rate")
        add("--n_epochs_decay", type=types.non_negative_int, default=100,
            help="epochs over which it falls to zero")
        add("--epoch_count", type=types.positive_int, default=1,
            help="number of the first epoch; with --continue_train taken from the checkpoint")
        add("--lr", type=types.positive, default=0.0002, help="initial learning rate of Adam")
        add("--beta1", type=types.number(0, 1, below=True), default=0.5, help="Adam's momentum")
        add("--lr_policy", default="linear", choices=LR_POLICIES, help="learning-rate schedule")
        add("--lr_decay_iters", type=types.positive_int, default=50,
            help="epochs between two falls of --lr_policy step")
        add("--gan_mode", default="lsgan", choices=GAN_MODES, help="the GAN objective")
        add("--lambda_gp", type=types.non_negative, default=10.0,
            help="weight of the gradient penalty of --gan_mode wgangp; 0: none")
        add("--pool_size", type=types.non_negative_int, default=50,
            help="images in the history that D is shown; 0: none")
    # fmt: on

    def run_layer(
        self, parser: OptionParser, trained: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """All of the run's options, but where it is, what it runs on, and how it is taken up."""
        return {k: v for k, v in trained.items() if k in parser.flags() and k not in OF_THE_CALL}

    def run_options(self, early: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        return super().run_options(early, given) if early["continue_train"] else {}

    def finish(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> None:
        opt.epoch_count_given = self.set_by["epoch_count"] == "command line"
