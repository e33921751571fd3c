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

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from data.image_folder import make_dataset  # noqa: E402
from scripts import drawing  # noqa: E402
from scripts.side_by_side import eight_bit_header, glue, save  # noqa: E402
from scripts.tool import ToolParser, for_each, refuse_inside, some  # noqa: E402
from util.errors import UserError, choose, one_line_errors  # noqa: E402
from util.images.read import load_image  # noqa: E402

METHODS = {"canny": drawing.lines, "sobel": drawing.pencil}
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
    save(glue(edges, picture) if pairs else edges, out)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Draw; returns the exit code."""
    args = parser().parse_args(argv)
    choose("method", args.method, METHODS)
    sigma = SIGMA[args.method] if args.sigma is None else args.sigma
    if not (math.isfinite(sigma) and sigma >= 0):
        raise UserError(f"--sigma {sigma}: accepted: 0 or more (px)")
    refuse_inside(args.out, args.photos, "--out")
    photos = [Path(p) for p in some(make_dataset(str(args.photos)), str(args.photos))]
    for photo in photos:
        eight_bit_header(str(photo), "convert it to 8 bits first")
    targets = [args.out / photo.relative_to(args.photos) for photo in photos]
    look = (args.method, sigma, args.pairs)
    for_each(draw, [(*job, *look) for job in zip(photos, targets, strict=True)])
    print(f"{len(photos)} {'pairs' if args.pairs else 'drawings'} in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
