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
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from options.test_options import TestOptions, describe_sizes
from util.direction import oriented
from util.errors import UserError, one_line_errors, say
from util.health import check_pictures
from util.lazy import torch
from util.padding import cut_back, pad_batch
from util.results import Results, command_line
from util.seed import mix, seed_everything


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Test; returns the exit code."""
    options = TestOptions()
    opt = options.parse(argv)
    seed_everything(opt.seed)
    dataset = create_dataset(opt)
    model = create_model(opt)
    model.setup(opt)
    mode = model.test_mode(opt.eval)
    total, count = len(dataset), dataset.limit(opt.num_test)
    say(options.describe(opt.verbose))
    say(f"norm and dropout: {mode}")
    say(f"testing {count} of {total} images on {opt.device}; {describe_sizes(opt)}")
    iteration = f"_iter{opt.load_iter}" if opt.load_iter > 0 else ""
    folder = Path(opt.results_dir) / opt.name / f"{opt.phase}_{opt.epoch}{iteration}"
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
    results = Results(
        folder, f"{opt.name}: {opt.phase}", facts, opt.display_winsize, opt.aspect_ratio,
        opt.direction, opt.value_range, details, opt.dataroot,
    )  # fmt: skip
    with tqdm(total=count, unit="img", dynamic_ncols=True, disable=None) as bar:
        try:
            for files, pictures in translate(opt, dataset, model):
                results.add(files, pictures)
                bar.update()
        except UserError as error:
            error.exit_code = 1  # there are results already
            raise
    for path, why in dataset.bad.items():
        results.add_unreadable(path, why)
    return results


def translate(
    opt: argparse.Namespace, dataset: Loader, model: BaseModel
) -> Iterator[tuple[dict[str, str], dict[str, torch.Tensor]]]:
    """(side -> file, label -> image (1, C, H, W)) of every image; side "A" is the source."""
    source, target = oriented(opt.direction, "A_paths", "B_paths")
    for step, batch in enumerate(dataset):
        seed_everything(mix(opt.seed, step))  # dropout's noise does not depend on what came before
        padded, boxes = pad_batch(batch, *model.accepted_sides)
        model.set_input(padded)
        model.test()
        visuals = {
            name: cut_back(images, boxes) for name, images in model.get_current_visuals().items()
        }
        paths = model.get_image_paths()
        check_pictures(visuals, paths)
        targets = batch.get(target) if source in batch else None
        for i, path in enumerate(paths):
            files = {"A": path} | ({"B": targets[i]} if targets else {})
            yield files, {label: images[i : i + 1] for label, images in visuals.items()}


if __name__ == "__main__":
    sys.exit(main())
