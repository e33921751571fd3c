"""Image folders: Pillow reads, torchvision's transforms give float tensors in [-1, 1]."""

import argparse
import random
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

ENDINGS = {".jpg", ".jpeg", ".png"}


def images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)


class ImageFolders(Dataset):
    """aligned: <dataroot>/<phase>, A and B side by side; unaligned: <phase>A, <phase>B;
    single: <dataroot>."""

    def __init__(self, opt: argparse.Namespace) -> None:
        self.opt, root = opt, Path(opt.dataroot)
        if opt.dataset_mode == "unaligned":
            self.A, self.B = (images_in(root / (opt.phase + side)) for side in "AB")
        else:
            self.A = images_in(root / opt.phase if opt.dataset_mode == "aligned" else root)
            self.B = []

    def __len__(self) -> int:
        return max(len(self.A), len(self.B))

    def __getitem__(self, index: int) -> dict:
        path = self.A[index % len(self.A)]
        picture = Image.open(path).convert("RGB")
        if self.opt.dataset_mode == "single":
            return {"A": self.transform()(picture), "A_paths": str(path)}
        if self.opt.dataset_mode == "unaligned":
            other = random.choice(self.B)
            B = self.transform()(Image.open(other).convert("RGB"))
            return {"A": self.transform()(picture), "B": B,
                    "A_paths": str(path), "B_paths": str(other)}  # fmt: skip
        width, height = picture.size
        both = self.transform()  # the same crop for A and B
        sides = {
            side: both(picture.crop((x, 0, x + width // 2, height)))
            for side, x in (("A", 0), ("B", width // 2))
        }
        return sides | {"A_paths": str(path), "B_paths": str(path)}

    def transform(self) -> transforms.Compose:
        """Scaling, and one random crop and flip."""
        load, crop = self.opt.load_size, self.opt.crop_size
        x, y = (random.randint(0, max(0, load - crop)) for _ in range(2))
        flip = not self.opt.no_flip and random.random() < 0.5
        steps = [
            transforms.Resize([load, load], transforms.InterpolationMode.BICUBIC),
            transforms.Lambda(lambda image: image.crop((x, y, x + crop, y + crop))),
        ]
        if flip:
            steps.append(transforms.Lambda(lambda image: image.transpose(Image.FLIP_LEFT_RIGHT)))
        steps += [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
        return transforms.Compose(steps)


def create_dataset(opt: argparse.Namespace) -> DataLoader:
    torch.manual_seed(opt.seed)
    return DataLoader(
        ImageFolders(opt),
        batch_size=opt.batch_size,
        shuffle=not opt.serial_batches,
        num_workers=opt.num_threads,
    )
