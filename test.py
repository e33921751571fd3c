"""Translate images with a trained model, and write a page of the results.

    python test.py --dataroot ./datasets/facades --name facades
    python test.py --dataroot ./photos --name horse2zebra --model test --direction AtoB
    python test.py --dataroot ./photos --name a_download --model test --no_dropout

Networks and scale come from the run's own options (checkpoints/<name>/train_opt.yaml); for weights
from elsewhere, without them, give the flags they were trained with. The page is
results/<name>/<phase>_<epoch>/index.html; docs/training_and_testing.md explains the rest.
"""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from util import signals

if __name__ == "__main__":
    signals.guard_start()  # the imports take a while

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from models.compute.process import tune_process
from models.padding import pad_batch
from models.translation import tile_model, translate
from options.test_options import TestOptions, describe_sizes
from util.atomic import inside
from util.errors import begun, one_line_errors, say
from util.images.write import Encoding
from util.labels.colours import legend
from util.machine import memory_errors
from util.record import command_line, counted
from util.results.rules import PictureRules, Sources
from util.results.writer import PageInfo, Results
from util.seed import seed_everything


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Test; returns the exit code."""
    options = TestOptions()
    with memory_errors(vars(options.parse(argv))):
        return run(options, sys.argv[1:] if argv is None else argv)


def run(options: TestOptions, words: list[str]) -> int:
    """Test as the command line's words want it; returns the exit code."""
    opt = options.opt
    seed_everything(opt.seed)
    tune_process(opt.device, opt.precision, "crop" in opt.preprocess, opt.deterministic)
    dataset, model = create_dataset(opt, singles=True), create_model(opt)
    model.setup(opt)
    mode = model.test_mode(opt.eval)
    tile_model(model, vars(opt))
    total, count = len(dataset), dataset.limit(opt.num_test)
    say(f"{options.describe(opt.verbose)}\nnorm and dropout: {mode}")
    say(f"testing {count} of {counted(total, 'image')} on {opt.device}; {describe_sizes(opt)}")
    label = f"{opt.phase}_{opt.epoch}" + f"_iter{opt.load_iter}" * (opt.load_iter > 0)
    folder = inside(opt.results_dir, opt.name, label, what="folder of results")
    # What does not fit ends here, before anything is written.
    rules = picture_rules(opt, dataset, model)
    rules.check_encoding(dataset.dataset.checked_files())
    model.set_input(pad_batch(dataset.peek(), *model.accepted_sides)[0])
    weights = f"{opt.run_dir}, epoch {opt.epoch_label}"
    facts = {"model": opt.model, "norm and dropout": mode, "weights": weights, "data": opt.dataroot}
    command = command_line(["python", "test.py", *words])
    details = {"command": command, "options": options.describe()}
    page = PageInfo(f"{opt.name}: {opt.phase}", facts, details, opt.display_winsize,
                    model.visual_groups, legend(rules.labels))  # fmt: skip
    results = Results(folder, page, rules).begin()
    write_results(options, dataset, model, results, count)
    results.finish(opt.dataroot, opt.overwrite)
    return 1 if results.unreadable else 0


def picture_rules(opt: argparse.Namespace, dataset: Loader, model: BaseModel) -> PictureRules:
    """How pictures are written, as flags, data and model want it."""
    read = dataset.dataset
    cropped = "crop" in opt.preprocess and opt.crop_size != opt.load_size
    sources = Sources(read.folders, read.images_per_file == 2, cropped)
    return PictureRules(
        opt.direction, opt.value_range, opt.aspect_ratio, model.visual_sides,
        tuple(model.translation_names), Encoding.of(opt.format) if opt.format else None,
        opt.results_layout == "flat", sources, dataset.labels,
    )  # fmt: skip


def write_results(
    options: TestOptions, dataset: Loader, model: BaseModel, results: Results, count: int
) -> None:
    """Translate `count` images; write <stem>_<visual>.png each, the page, and the options."""
    bar = tqdm(total=count, unit="img", dynamic_ncols=True, disable=None)
    with results, bar, begun():
        if not results.rules.flat:
            options.save(results.folder)
        given = dataset, dataset.collate, options.opt.seed, options.opt.direction, dataset.bad
        for files, pictures in translate(model, *given):
            results.add(files, pictures)
            bar.update()
    for path, why in dataset.bad.items():
        results.add_unreadable(path, why)


if __name__ == "__main__":
    sys.exit(main())
