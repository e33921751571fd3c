"""Train an image-to-image translation model.

    python train.py --dataroot ./datasets/maps --name maps --model cycle_gan
    python train.py --dataroot ./datasets/facades --name facades --model pix2pix --direction BtoA
    python train.py --name facades --continue_train

The run's folder, checkpoints/<name>, holds options, weights, logs and web/index.html.
`--model X --help` lists the flags of model X; docs/training_and_testing.md explains the rest.
"""

import argparse
import sys
import time

import torch

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from models.schedulers import describe_schedule, schedule_settings
from options.train_options import TrainOptions
from util import distributed
from util.errors import UserError, one_line_errors
from util.seed import mix, seed_everything
from util.visualizer import Visualizer, crossed, describe_step


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Train; returns the exit code."""
    options = TrainOptions()
    opt = options.parse(argv)
    writes = distributed.start(torch.device(opt.device))
    opt.seed = options.values["seed"] = distributed.from_rank_0(opt.seed)
    seed_everything(opt.seed)
    dataset = create_dataset(opt)
    model = create_model(opt)
    if writes:
        print(options.describe(opt.verbose or opt.dry_run))
        model.print_networks(opt.verbose)
        print(f"training on {opt.device}; {len(dataset)} images an epoch")
    if opt.dry_run:
        return dry_run(opt, dataset, model)
    model.setup(opt)  # with --continue_train: weights, epoch and schedule of the checkpoint
    images, last = model.images_seen, opt.n_epochs + opt.n_epochs_decay
    if opt.epoch_count > last:
        print(f"already complete (epoch {last} of {last}); raise --n_epochs to go on")
        return 0
    model.set_input(dataset.peek())  # what does not fit ends here, before anything is written
    if writes:
        options.save(opt.run_dir)
    first = opt.epoch_count if opt.continue_train else None
    page = {"html": not opt.no_html, "winsize": opt.display_winsize, "continued_from": first}
    view = Visualizer(opt.run_dir, opt.name, last, writes, **page)
    try:
        for epoch in range(opt.epoch_count, last + 1):
            images = train_epoch(opt, dataset, model, view, epoch, images)
            if epoch % opt.save_epoch_freq == 0:
                model.save_checkpoint(str(epoch), epoch + 1, images)
            if epoch % opt.save_epoch_freq == 0 or epoch == last:
                model.save_checkpoint("latest", epoch + 1, images)
    except (KeyboardInterrupt, UserError) as stop:
        if model.has_learned:
            model.save_checkpoint("latest", epoch, images)
            view.say(f"stopped in epoch {epoch}, saved as `latest`; --continue_train takes it up")
            stop.exit_code = 1  # of a UserError, now that the run has begun
        raise
    view.say(f"finished: weights, logs and web/index.html are in {opt.run_dir}")
    return 0


def train_epoch(
    opt: argparse.Namespace, dataset: Loader, model: BaseModel, view: Visualizer,
    epoch: int, before: int,
) -> int:  # fmt: skip
    """One pass over the data. `before`: images seen until now. Returns: images seen then."""
    started, images, step = time.time(), before, opt.batch_size * distributed.world_size()
    seed_everything(mix(opt.seed, epoch, distributed.rank()))
    dataset.set_epoch(epoch)
    for batch in view.epoch(dataset, epoch, step):
        model.set_input(batch)
        model.optimize_parameters()
        model.after_step()
        last, images = images, min(images + step, before + len(dataset))
        save = crossed(last, images, opt.update_html_freq)
        if save or crossed(last, images, opt.display_freq):
            view.show(model, epoch, save)
        if crossed(last, images, opt.print_freq):
            view.log_losses(model, epoch, images - before, images)
        if crossed(last, images, opt.save_latest_freq):
            model.save_checkpoint(f"iter_{images}" if opt.save_by_iter else "latest", epoch, before)
    view.show(model, epoch, save=True)
    view.end_epoch(epoch, time.time() - started, *model.update_learning_rate())
    return images


def dry_run(opt: argparse.Namespace, dataset: Loader, model: BaseModel) -> int:
    """Take one step on one sample, and tell what training would do."""
    model.setup(opt)
    model.set_input(sample := dataset.peek())
    model.optimize_parameters()
    lines = [describe_step(model, sample), describe_schedule(opt.lr, **schedule_settings(opt))]
    if distributed.rank() == 0:
        print(*lines, "all is in order; nothing was written (--dry_run)", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
