"""Train an image-to-image translation model.

    python train.py --dataroot ./datasets/maps --name maps --model cycle_gan
    python train.py --dataroot ./datasets/facades --name facades --model pix2pix --direction BtoA
    python train.py --name facades --continue_train

The run's folder, checkpoints/<name>, holds options, weights, logs and web/index.html.
`--model X --help` lists the flags of model X; docs/training_and_testing.md explains the rest.
"""

import sys
import time
from argparse import Namespace

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from models.schedulers import describe_schedule, schedule_settings
from options.train_options import TrainOptions, keeping, showing
from util import distributed
from util.errors import one_line_errors, say
from util.seed import seed_everything
from util.training.checkpointer import Checkpointer, resumed_progress
from util.training.run_folder import make_room, run_lock
from util.training.signals import SignalHandler
from util.training.visualizer import Visualizer, describe_step


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Train; returns the exit code."""
    options = TrainOptions()
    opt = options.parse(argv)
    writes = distributed.start(opt.device)
    opt.seed = options.values["seed"] = distributed.from_rank_0(opt.seed)
    with SignalHandler(opt.requeue) as signals, run_lock(opt.run_dir, writes and not opt.dry_run):
        return run(opt, options, writes, signals)


def run(opt: Namespace, options: TrainOptions, writes: bool, signals: SignalHandler) -> int:
    """All epochs, from the first one or from where a checkpoint left off. Returns: exit code."""
    seed_everything(opt.seed)
    dataset, model = create_dataset(opt), create_model(opt)
    model.check_sizes(dataset.sizes)
    if writes:
        print(options.describe(opt.verbose or opt.dry_run))
        model.print_networks(opt.verbose)
        print(f"training on {opt.device}; {dataset.describe()}")
    if opt.dry_run:
        return dry_run(opt, dataset, model)
    model.setup(opt)  # with --continue_train everything that the checkpoint holds
    at = resumed_progress(model.resumed, opt.epoch_count, len(dataset), opt.allow_changed)
    last, view_state = opt.n_epochs + opt.n_epochs_decay, None
    if at.epoch > last:
        say(f"already complete (epoch {last} of {last}); raise --n_epochs to go on")
        return 0
    if opt.continue_train:
        say(f"going on with epoch {at.epoch} of {last}, after {at.images} {dataset.unit}")
        view_state = (model.resumed or {}).get("view", {"row": at.epoch - 1})
    dataset.set_epoch(at.epoch, at.seen // distributed.world_size())
    model.set_input(dataset.peek())  # what does not fit ends here, before anything is written
    signals.stop_before_start()
    if writes:
        make_room(opt.run_dir, opt.overwrite, keep=opt.continue_train)
        options.save(opt.run_dir)
    shown = showing(opt, options, dataset, model)
    view = Visualizer(n_epochs=last, writes=writes, resumed=view_state, **shown)
    with view, Checkpointer(model, view, at, len(dataset), signals, **keeping(opt)) as checkpointer:
        for epoch in range(at.epoch, last + 1):
            train_epoch(opt, dataset, model, view, checkpointer)
            checkpointer.end_epoch(last=epoch == last)
    view.finish(dataset.describe_bad())
    return 0


def train_epoch(
    opt: Namespace, dataset: Loader, model: BaseModel, view: Visualizer, checkpointer: Checkpointer
) -> None:
    """One pass over the data, or the rest of one."""
    started, at, step = time.time(), checkpointer.at, opt.batch_size * distributed.world_size()
    checkpointer.begin_epoch()
    dataset.set_epoch(at.epoch, at.seen // distributed.world_size())
    for batch in view.epoch(dataset, at.epoch, step, at.seen):
        checkpointer.begin_step(batch)
        model.set_input(batch)
        model.optimize_parameters()
        checkpointer.check_step()
        model.after_step()
        before = checkpointer.advance(step)
        view.end_step(model, at.epoch, at.seen, before, at.images)  # logs and shows, if it is time
        checkpointer.end_step(before)  # saves and stops, if it is time
    view.show(model, at.epoch, save=True)
    view.end_epoch(at.epoch, time.time() - started, *model.update_learning_rate())


def dry_run(opt: Namespace, dataset: Loader, model: BaseModel) -> int:
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
