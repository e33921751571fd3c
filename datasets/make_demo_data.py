"""Small data sets to try things on, from the photographs that come with scikit-image.

    python datasets/make_demo_data.py [--out ./datasets/demo]

Makes, the same at every call:
    edges2photo/{train,test}          A|B side by side: edges, photograph (--dataset_mode aligned)
    photo2sepia/{train,test}{A,B}     unpaired: photographs, old sepia prints (unaligned)
    photos/{train,test}               photographs, for style transfer
    pieces/{train,test}               pieces of photographs, for colorization
    styles/                           two paintings of ours: stained glass, dots of colour
Training and test crops come from different photographs. For edges2photo and pieces these are the
two views of a stereo pair: the same scene, photographed from two places.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import _root

import numpy as np
import scipy
import skimage
from PIL import Image, ImageDraw

from scripts.edges import pencil

SIZE = 128  # px of a crop
PAPER = np.array([243, 229, 196])  # sepia print: its white
INK = np.array([46, 30, 18])  # and its black
PALETTE = [
    (196, 36, 40),
    (236, 164, 32),
    (28, 84, 168),
    (20, 132, 96),
    (240, 226, 190),
    (120, 40, 120),
    (60, 160, 200),
]  # of stained glass


def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-image, (H, W, 3) or grey (H, W), uint8."""
    if name.startswith("motorcycle"):
        left, right, _ = skimage.data.stereo_motorcycle()
        return left if name == "motorcycle_left" else right
    return getattr(skimage.data, name)()


def crops(name: str, scale: float, stride: int) -> Iterator[tuple[str, np.ndarray]]:
    """(file stem, crop of SIZE x SIZE px) on a grid over a photograph scaled by `scale`."""
    image = Image.fromarray(photograph(name))
    size = (round(image.width * scale), round(image.height * scale))
    pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    for y in range(0, pixels.shape[0] - SIZE + 1, stride):
        for x in range(0, pixels.shape[1] - SIZE + 1, stride):
            yield f"{name}_{y:03d}_{x:03d}", pixels[y : y + SIZE, x : x + SIZE]


def sepia(grey: np.ndarray) -> np.ndarray:
    """A grey photograph (H, W) as a print in brown ink: (H, W, 3) uint8."""
    share = grey[..., None] / 255
    return (INK + (PAPER - INK) * share).round().astype(np.uint8)


def save(folder: Path, stem: str, pixels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{stem}.png")


def make_pairs(out: Path) -> None:
    plan = {
        "train": [("motorcycle_left", 0.6, 16)],
        "test": [("motorcycle_right", 0.6, 43)],
    }
    for phase, sources in plan.items():
        for source in sources:
            for stem, photo in crops(*source):
                save(out / phase, stem, np.concatenate([pencil(photo), photo], axis=1))


def make_unpaired(out: Path) -> None:
    colour = {"train": ["astronaut", "coffee", "chelsea"], "test": ["motorcycle_left", "rocket"]}
    grey = {"train": ["camera", "coins", "gravel"], "test": ["brick", "moon"]}
    stride = {"train": 32, "test": 96}
    for phase in ("train", "test"):
        for name in colour[phase]:
            for stem, photo in crops(name, 0.5, stride[phase]):
                save(out / f"{phase}A", stem, photo)
        for name in grey[phase]:
            for stem, photo in crops(name, 0.5, stride[phase]):
                save(out / f"{phase}B", stem, sepia(photo))


def make_photos(out: Path) -> None:
    plan = {
        "train": ["astronaut", "coffee", "chelsea", "motorcycle_left", "immunohistochemistry"],
        "test": ["rocket", "hubble_deep_field"],
    }
    for phase, names in plan.items():
        for name in names:
            image = Image.fromarray(photograph(name))
            image.thumbnail((512, 512), Image.Resampling.LANCZOS)
            save(out / phase, name, np.asarray(image))


def make_pieces(out: Path) -> None:
    plan = {"train": ("motorcycle_left", 0.6, 24), "test": ("motorcycle_right", 0.6, 86)}
    for phase, source in plan.items():
        for stem, photo in crops(*source):
            save(out / phase, stem, photo)


def stained_glass(pixels: int, panes: int, leading: float) -> np.ndarray:
    """Panes of strong colours in dark leading: (pixels, pixels, 3) uint8."""
    random = np.random.default_rng(0)
    centres = random.uniform(0, pixels, (panes, 2))
    palette = np.array(PALETTE)[random.integers(len(PALETTE), size=panes)]
    grid = np.stack(np.mgrid[:pixels, :pixels], -1).reshape(-1, 2)
    distance, nearest = scipy.spatial.cKDTree(centres).query(grid, k=2)
    shade = random.uniform(0.75, 1.1, panes)[nearest[:, 0], None]
    glass = palette[nearest[:, 0]] * shade
    glass[distance[:, 1] - distance[:, 0] < leading] = (24, 20, 26)
    return glass.clip(0, 255).reshape(pixels, pixels, 3).astype(np.uint8)


def dots(photo: np.ndarray, step: int) -> np.ndarray:
    """A photograph in overlapping dots of its own colours, a little livelier."""
    random = np.random.default_rng(0)
    picture = Image.fromarray(np.full_like(photo, 235))
    draw = ImageDraw.Draw(picture)
    places = random.uniform(0, 1, (4 * photo.shape[0] * photo.shape[1] // step**2, 2))
    for y, x in places * photo.shape[:2]:
        colour = photo[int(y), int(x)] + random.normal(0, 28, 3)
        radius = random.uniform(0.5, 0.9) * step
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=tuple(int(c) for c in colour.clip(0, 255)))
    return np.asarray(picture)


def make_styles(out: Path) -> None:
    save(out, "stained_glass", stained_glass(384, panes=160, leading=2.5))
    save(out, "dots", dots(photograph("coffee"), step=9))


def main(argv: list[str] | None = None) -> int:
    """Write the sets; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "demo")
    out = parser.parse_args(argv).out
    make_pairs(out / "edges2photo")
    make_unpaired(out / "photo2sepia")
    make_photos(out / "photos")
    make_pieces(out / "pieces")
    make_styles(out / "styles")
    folders = {file.parent for file in out.rglob("*.png")}
    for folder in sorted(folders):
        print(f"{folder}: {len(list(folder.iterdir()))} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
