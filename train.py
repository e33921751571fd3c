"""Train an image-to-image translation model.

    python train.py --dataroot ./datasets/maps --name maps --model cycle_gan
    python train.py --dataroot ./datasets/facades --name facades --model pix2pix --direction BtoA
    python train.py --name facades --continue_train

The run's folder, checkpoints/<name>, holds options, weights, logs and web/index.html.
`--model X --help` lists the flags of model X; docs/training_and_testing.md explains the rest.
"""

from __future__ import annotations

import sys
from argparse import Namespace

from util import signals

if __name__ == "__main__":
    signals.guard_start()  # the imports take a while

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from models.compute.process import tune_process
from models.schedulers import describe_schedule, schedule_settings
from options.train_options import TrainOptions
from util import distributed
from util.checkpoints.state import first_epoch
from util.errors import one_line_errors, say, warn
from util.lazy import Lazy
from util.machine import memory_errors
from util.seed import seed_everything
from util.trackers import missing_packages
from util.training.run_folder import run_lock

# The life of a run is no part of --help.
session, summary = Lazy("util.training.session"), Lazy("util.training.summary")


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Train; returns the exit code."""
    options = TrainOptions()
    opt = options.parse(argv)
    writes = distributed.start(opt.device)
    lock = run_lock(opt.run_dir, writes and not opt.dry_run)
    with signals.SignalHandler(opt.requeue) as asked, lock, memory_errors(vars(opt)):
        seed_everything(opt.seed)
        tune_process(opt.device, opt.precision, "crop" in opt.preprocess, opt.deterministic)
        dataset, model = create_dataset(opt), create_model(opt)
        dataset.repeat_samples(model.steps_per_image)
        model.check_sizes(dataset.sizes)
        if writes:
            say(options.describe(opt.verbose or opt.dry_run))
            model.print_networks(opt.verbose)
            session.say_disk_use(opt, model, dataset)
            say(f"training on {opt.device}; {dataset.describe()}")
        if opt.dry_run:
            return dry_run(opt, dataset, model)
        # With --continue_train `setup` gives what else the checkpoint holds.
        with session.Session(opt, options, model, dataset, model.setup(opt), asked) as run:
            for epoch in run.epochs():
                for batch in run.batches(epoch):
                    with run.step(batch):  # guards, counts, logs, shows, saves, stops
                        model.set_input(batch)
                        model.optimize_parameters()
    return 0


def dry_run(opt: Namespace, dataset: Loader, model: BaseModel) -> int:
    """Take one step on one sample, and tell what training would do."""
    state = model.setup(opt)
    model.set_input(sample := dataset.peek())
    model.optimize_parameters()
    first = first_epoch(state, opt.epoch_count, opt.epoch_count_given)
    schedule = describe_schedule(opt.lr, **schedule_settings(opt) | {"epoch_count": first})
    for line in missing_packages(vars(opt)):
        warn(line)
    last = opt.n_epochs + opt.n_epochs_decay
    plan = schedule if first <= last else summary.nothing_left(last)
    lines = [summary.describe_step(model, sample), plan]
    say("\n".join([*lines, "all is in order; nothing was written (--dry_run)"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
