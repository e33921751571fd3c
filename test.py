"""Translate images with a trained model, and write a page of the results.

    python test.py --dataroot ./datasets/facades --name facades
    python test.py --dataroot ./photos --name horse2zebra --model test --direction AtoB
    python test.py --dataroot ./photos --name a_download --model test --no_dropout

Networks and scale come from the run's own options (checkpoints/<name>/train_opt.yaml); for weights
from elsewhere, without them, give the flags they were trained with. The page is
results/<name>/<phase>_<epoch>/index.html; docs/training_and_testing.md explains the rest.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from options.test_options import TestOptions
from util.errors import one_line_errors
from util.health import check_pictures
from util.html import Page
from util.image import save_image, tensor2im, unique_stems
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
    count = int(min(len(dataset), opt.num_test))
    print(options.describe(opt.verbose))
    print(f"norm and dropout: {mode}")
    print(f"testing {count} of {len(dataset)} images on {opt.device}")
    iteration = f"_iter{opt.load_iter}" if opt.load_iter > 0 else ""
    folder = Path(opt.results_dir) / opt.name / f"{opt.phase}_{opt.epoch}{iteration}"
    model.set_input(dataset.peek())  # what does not fit ends here, before anything is written
    options.save(folder)
    write_results(opt, dataset, model, folder, count, mode)
    print(f"results of {count} images: {folder / 'index.html'}")
    return 0


def write_results(
    opt: argparse.Namespace, dataset: Loader, model: BaseModel, folder: Path, count: int, mode: str
) -> None:
    """Translate the first `count` images; write <stem>_<visual>.png each, and the page."""
    facts = {
        "model": opt.model,
        "norm and dropout": mode,
        "weights": f"{opt.run_dir}, epoch {opt.epoch_label}",
        "data": opt.dataroot,
    }
    page = Page(folder / "index.html", f"{opt.name}: {opt.phase}", facts, opt.display_winsize)
    (folder / "images").mkdir(exist_ok=True)
    stem_of = unique_stems()
    with tqdm(total=count, unit="img", dynamic_ncols=True, disable=None) as bar:
        for number, path, pictures in translate(opt, dataset, model, count):
            stem = stem_of(path)
            files = [(label, f"images/{stem}_{label}.png") for label in pictures]
            for label, file in files:
                save_image(tensor2im(pictures[label]), folder / file, opt.aspect_ratio)
            page.add_row(number, stem, files)
            bar.update()


def translate(
    opt: argparse.Namespace, dataset: Loader, model: BaseModel, count: int
) -> Iterator[tuple[int, str, dict[str, torch.Tensor]]]:
    """(number from 1, file, label -> image (1, C, H, W)) of the first `count` images."""
    number = 0
    for step, batch in enumerate(dataset):
        seed_everything(mix(opt.seed, step))  # dropout's noise does not depend on what came before
        model.set_input(batch)
        model.test()
        visuals = model.get_current_visuals()
        check_pictures(visuals, model.get_image_paths())
        for i, path in enumerate(model.get_image_paths()):
            number += 1
            yield number, path, {label: images[i : i + 1] for label, images in visuals.items()}
            if number == count:
                return


if __name__ == "__main__":
    sys.exit(main())
