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
from pathlib import Path

from tqdm import tqdm

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from models.compute.process import tune_process
from models.padding import pad_batch
from models.translation import translate
from options.test_options import TestOptions, describe_sizes
from util.atomic import inside
from util.errors import begun, one_line_errors, say
from util.results.writer import PageInfo, PictureRules, Results, command_line
from util.seed import seed_everything


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Test; returns the exit code."""
    options = TestOptions()
    opt = options.parse(argv)
    seed_everything(opt.seed)
    tune_process(opt.device, opt.precision, "crop" in opt.preprocess, opt.deterministic)
    dataset, model = create_dataset(opt, singles=True), create_model(opt)
    model.setup(opt)
    mode = model.test_mode(opt.eval)
    total, count = len(dataset), dataset.limit(opt.num_test)
    say(options.describe(opt.verbose))
    say(f"norm and dropout: {mode}")
    say(f"testing {count} of {total} images on {opt.device}; {describe_sizes(opt)}")
    iteration = f"_iter{opt.load_iter}" if opt.load_iter > 0 else ""
    label = f"{opt.phase}_{opt.epoch}{iteration}"
    folder = inside(opt.results_dir, opt.name, label, what="folder of results")
    # What does not fit ends here, before anything is written.
    model.set_input(pad_batch(dataset.peek(), *model.accepted_sides)[0])
    options.save(folder)
    details = {"command": command_line("test.py", argv), "options": options.describe()}
    results = write_results(opt, dataset, model, folder, count, mode, details)
    results.finish()
    return 1 if results.unreadable else 0


def write_results(
    opt: argparse.Namespace, dataset: Loader, model: BaseModel, folder: Path, count: int, mode: str,
    details: dict[str, str],
) -> Results:  # fmt: skip
    """Translate `count` images; write <stem>_<visual>.png each, and the page."""
    facts = {
        "model": opt.model,
        "norm and dropout": mode,
        "weights": f"{opt.run_dir}, epoch {opt.epoch_label}",
        "data": opt.dataroot,
    }
    page = PageInfo(f"{opt.name}: {opt.phase}", facts, details, opt.display_winsize)
    sides = model.visual_sides
    rules = PictureRules(opt.direction, opt.value_range, opt.aspect_ratio, sides)
    results = Results(folder, page, rules).begin(opt.dataroot)
    bar = tqdm(total=count, unit="img", dynamic_ncols=True, disable=None)
    with results, bar, begun():
        for files, pictures in translate(model, dataset, dataset.collate, opt.seed, opt.direction):
            results.add(files, pictures)
            bar.update()
    for path, why in dataset.bad.items():
        results.add_unreadable(path, why)
    return results


if __name__ == "__main__":
    sys.exit(main())
