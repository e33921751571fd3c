"""Draw the edges of photographs, for edges -> photo translation.

    python scripts/edges.py --photos photos/train --out datasets/edges2photo/train --pairs

--method canny draws thin black lines on white, without specks; sobel a soft pencil drawing, the
darker the stronger the edge. --sigma blurs first: more of it leaves fewer lines. --pairs writes
drawing and photograph side by side (--dataset_mode aligned); else drawings alone are written.
Either has the photograph's name and sub-folder.
"""

import math
import sys
from pathlib import Path

import _root

import numpy as np
import skimage
from PIL import Image

from data.image_folder import some_images
from scripts.tool import (
    ToolParser,
    eight_bit_header,
    for_each,
    glue,
    refuse_inside,
    save_picture,
)
from util.errors import UserError, choose, one_line_errors, say, shown
from util.images.read import load_image

SPECK = 20  # px: a line that is no longer is dropped


def lines(photo: np.ndarray, sigma: float = 2.0) -> np.ndarray:
    """Thin lines (Canny 1986), without specks.

    Args:
        photo: (H, W, 3) uint8.
        sigma: px of blur beforehand; more of it leaves fewer lines.

    Returns:
        (H, W, 3) uint8, 0 or 255.
    """
    found = skimage.feature.canny(skimage.color.rgb2gray(photo), sigma=sigma)
    found = skimage.morphology.remove_small_objects(found, max_size=SPECK, connectivity=2)
    return _on_paper(found.astype(float))


def pencil(photo: np.ndarray, sigma: float = 0.0) -> np.ndarray:
    """A soft drawing, the darker the stronger the edge (Sobel); arguments as of `lines`."""
    grey = skimage.color.rgb2gray(photo)
    strength = skimage.filters.sobel(skimage.filters.gaussian(grey, sigma) if sigma else grey)
    return _on_paper(np.clip(4 * strength, 0, 1))


def _on_paper(ink: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.repeat(((1 - ink) * 255).round().astype(np.uint8)[..., None], 3, axis=2)


METHODS = {"canny": lines, "sobel": pencil}
SIGMA = {"canny": 2.0, "sobel": 0.0}


def parser() -> ToolParser:
    parser = ToolParser(__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of the photographs")
    parser.add_argument("--out", type=Path, required=True, help="where the drawings go")
    parser.add_argument("--method", default="canny", help="canny or sobel; canny")
    parser.add_argument("--sigma", type=float, help="px of blur; 2 for canny, 0 for sobel")
    parser.add_argument("--pairs", action="store_true", help="drawing and photograph in one file")
    return parser


def draw(photo: Path, out: Path, method: str, sigma: float, pairs: bool) -> None:
    """Write the drawing of one photograph."""
    picture = load_image(str(photo))
    edges = Image.fromarray(METHODS[method](np.asarray(picture), sigma))
    save_picture(glue(edges, picture) if pairs else edges, out)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Draw; returns the exit code."""
    args = parser().parse_args(argv)
    choose("method", args.method, METHODS)
    sigma = SIGMA[args.method] if args.sigma is None else args.sigma
    if not (math.isfinite(sigma) and sigma >= 0):
        raise UserError(f"--sigma {sigma}: accepted: 0 or more (px)")
    refuse_inside(args.out, args.photos, "--out")
    photos = [Path(p) for p in some_images(str(args.photos))]
    for photo in photos:
        eight_bit_header(str(photo), "convert it to 8 bits first")
    targets = [args.out / photo.relative_to(args.photos) for photo in photos]
    look = (args.method, sigma, args.pairs)
    for_each(draw, [(*job, *look) for job in zip(photos, targets, strict=True)])
    say(shown(f"{len(photos)} {'pairs' if args.pairs else 'drawings'} in {args.out}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
