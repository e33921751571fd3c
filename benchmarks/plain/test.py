"""Translate a folder of images with one trained generator."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data import create_dataset
from models.networks import GENERATORS
from options.test_options import TestOptions


def save(image: torch.Tensor, path: Path) -> None:
    """(1, 3, H, W) in [-1, 1] as PNG."""
    array = image[0].cpu().float().numpy()
    array = (np.transpose(array, (1, 2, 0)) + 1) / 2.0 * 255.0
    Image.fromarray(array.astype(np.uint8)).save(path)


def main() -> None:
    opt = TestOptions().parse()
    opt.num_threads, opt.batch_size, opt.serial_batches, opt.no_flip = 0, 1, True, True
    dataset = create_dataset(opt)
    netG = GENERATORS[opt.netG](opt)
    weights = os.path.join(opt.checkpoints_dir, opt.name, f"{opt.epoch}_net_G.pth")
    netG.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    netG.to(opt.device)
    folder = Path(opt.results_dir) / opt.name / f"{opt.phase}_{opt.epoch}"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for i, batch in enumerate(dataset):
        if i >= opt.num_test:
            break
        real = batch["A"].to(opt.device)
        with torch.no_grad():
            fake = netG(real)
        stem = Path(batch["A_paths"][0]).stem
        if i % 5 == 0:
            print(f"processing ({i:04d})-th image... {batch['A_paths']}")
        for label, image in (("real", real), ("fake", fake)):
            save(image, folder / "images" / f"{stem}_{label}.png")
            rows.append(f'<p>{stem} {label}<br><img src="images/{stem}_{label}.png">')
    (folder / "index.html").write_text("\n".join(rows))


if __name__ == "__main__":
    main()
