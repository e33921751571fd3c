"""Checks of flags against each other: what was given, what is accepted, what to type."""

import argparse
from pathlib import Path

from util.atomic import refuse_special
from util.errors import UserError, did_you_mean, warn


def check(opt: argparse.Namespace) -> None:
    """Raise UserError for the first contradiction among the options.

    Whether crops fit the networks is checked where a model makes networks from flags
    (`BaseModel.generator`, `BaseModel.discriminator`): a plug-in may bring networks of its own.
    """
    scaled_then_cropped = opt.preprocess.endswith("_and_crop")
    if scaled_then_cropped and opt.crop_size > opt.load_size:
        raise UserError(
            f"--crop_size {opt.crop_size} is larger than --load_size {opt.load_size}; "
            f"use --load_size {opt.crop_size} or more, or --crop_size {opt.load_size} or less"
        )
    low_high = opt.value_range or (0, 1)
    if len(low_high) not in (2, 4) or any(
        a >= b for a, b in zip(*[iter(low_high)] * 2, strict=False)
    ):
        given = " ".join(f"{value:g}" for value in low_high)
        raise UserError(
            f"--value_range {given}: accepted: LOW HIGH, or LOW_A HIGH_A LOW_B HIGH_B, each LOW "
            "below its HIGH"
        )
    if opt.isTrain:
        _check_training(opt)


def check_files(opt: argparse.Namespace, flags: list[str]) -> None:
    """Raise UserError for the first file that is not there, of those that flags of `type="file"`
    name."""
    for flag in flags:
        given = getattr(opt, flag)
        for name in given if isinstance(given, list) else [given]:
            if not name:
                continue
            refuse_special(name, flag)
            path = Path(name)
            if not path.is_file():
                beside = [f.name for f in path.parent.glob("*") if f.is_file()]
                near = did_you_mean(path.name, beside)
                raise UserError(f"--{flag} {name}: no such file{near}; give a file that is there")


def _check_training(opt: argparse.Namespace) -> None:
    last_epoch = opt.n_epochs + opt.n_epochs_decay
    if opt.epoch_count > last_epoch and not opt.continue_train:
        raise UserError(
            f"--epoch_count {opt.epoch_count} is beyond the last epoch, {last_epoch} "
            "(--n_epochs + --n_epochs_decay); raise --n_epochs"
        )
    if opt.gan_mode == "wgangp" and opt.lambda_gp > 0 and opt.precision == "fp16":
        raise UserError(
            "--precision fp16 with --gan_mode wgangp: the gradient of a gradient is not scaled; "
            "use --precision bf16"
        )
    if opt.gan_mode == "wgangp" and opt.lambda_gp > 0 and "batch" in opt.norm:
        warn(
            f"--gan_mode wgangp with --norm {opt.norm}: the penalty is meant per image, and batch "
            "normalisation mixes images (WGAN-GP, section 4); --norm instance is the usual choice"
        )
