"""Pairs, A and B: side by side in one file, in two folders, or named by a table (pix2pix)."""

import argparse
import functools
import os

from data.base_dataset import SIDES, BaseDataset
from data.image_folder import list_images
from data.layout import are_pairs, domain_folders, one_input
from data.pair_rules import SIDE_BY_SIDE, parse_rule
from data.pairs import Pair, pair_by_stem, read_pairs
from data.samples import REMEDY, differ, refuse_another_size
from data.side_by_side import refuse_singles
from data.standard import standard
from util.errors import BadImage, warn
from util.images.header import Header
from util.images.picture import Picture


class AlignedDataset(BaseDataset):
    """A and B of a pair share crop and flip. Where pairs come from, the first that is there:

    --pairs FILE                             a table of the files of A and B
    --pairs RULE                             of folders as below, how the names differ
    <dataroot>/<phase>/1.jpg                 A|B side by side
    <dataroot>/<phase>A/1.jpg, <phase>B/1.png    of equal names
    <dataroot>/A/<phase>/1.jpg, B/<phase>/1.png  of equal names
    """

    reads_pairs = True

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.AB_paths: list[str] = []  # of pairs in one file
        self.pairs = self._find_pairs()
        self.images_per_file = 2 if self.AB_paths else 1

    @classmethod
    def images_alone(cls, root: str, phase: str, side: str) -> str | None:
        """Images without partners, and not such as may be pairs side by side."""
        images = one_input(root, phase, side)
        return None if images and are_pairs(images) else images

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.pairs)

    def load(self, index: int) -> dict:
        """A and B, pictures of one size.

        Raises:
            BadImage: one cannot be read, or they differ in size.
        """
        A_path, B_path = self.pairs[index]
        if self.AB_paths:
            kept = self.cached(A_path, "AB", lambda: self._halves(A_path))
            A, B = (
                Picture(p.held, p.info | {"side": side})
                for p, side in zip(kept, SIDES, strict=True)
            )
        else:
            A, B = self.read(A_path, "A"), self.read(B_path, "B")
        refuse_another_size(A, B)
        return {"A": A, "B": B, "A_paths": A_path, "B_paths": B_path}

    def augment(self, sample: dict) -> dict:
        """One crop and one flip for both, and for all that a plug-in's `load` adds to them."""
        return self.augment_together(sample)

    def _halves(self, path: str) -> list[Picture]:
        left = right = self.picture(path, "A")
        if len(set(self.channels())) > 1 or self.opt.value_range or self.labels:
            right = self.picture(path, "B")
        if left.width % 2:
            raise BadImage(path, _odd(left.size))
        return [self.resize(_half(left, "A"), "A"), self.resize(_half(right, "B"), "B")]

    def whole(self, path: str, side: str) -> Picture:
        """The image of one side as its file holds it, where that holds both: its half."""
        picture = self.picture(path, side)
        return _half(picture, side) if self.AB_paths else picture

    def _find_pairs(self) -> list[Pair]:
        root, phase = self.root, self.opt.phase
        rule = parse_rule(self.opt.pairs or "")
        sure = self.opt.pairs == SIDE_BY_SIDE
        if self.opt.pairs and not (rule or sure):
            pairs = read_pairs(self.opt.pairs, root, phase)
            self.folders = (os.path.commonpath([os.path.dirname(A) for A, _ in pairs]),)
            return pairs
        together, folders = os.path.join(root, phase), domain_folders(root, phase)
        expected = (
            f"{together}/*.jpg, each A|B side by side, or {together}A and {together}B with equal "
            "names (--dataset_mode aligned)"
        )
        skip = self.opt.bad_images == "skip"
        if rule and os.path.isdir(together) and not folders:  # of one folder, told by their names
            self.folders = (together,)
            both = self.images_in(together, expected, limit=False)
            A, B = ([p for p in both if rule.key(s, p, together) is not None] for s in "AB")
            return pair_by_stem(A, together, B, together, skip, rule)
        filled = os.path.isdir(together) and bool(list_images(together).images)
        if sure or not rule and (filled or not folders):
            self.AB_paths = self.images_in(together, expected)
            if not sure:
                refuse_singles(together, self.AB_paths)
            if folders:
                warn(
                    f"{together}: pairs are read from here, A|B in one file; not from {folders[0]}"
                )
            return [(path, path) for path in self.AB_paths]
        A, B = (self.images_in(folder, expected, limit=False)
                for folder in folders or (together + "A", together + "B"))  # fmt: skip
        return pair_by_stem(A, folders[0], B, folders[1], skip, rule)

    @standard
    def checked_files(self) -> dict[str, list[str]]:
        """The files of both sides, under "AB" where one file holds a pair."""
        if self.AB_paths:
            return {"AB": self.AB_paths}
        return {"A": [A for A, _ in self.pairs], "B": [B for _, B in self.pairs]}

    def checked_problems(self, headers: dict[str, Header]) -> dict[str, str]:
        """Files that have no two halves, and pairs of different sizes."""
        found = {p: _odd(headers[p].size) for p in self.AB_paths
                 if p in headers and headers[p].size[0] % 2}  # fmt: skip
        if not self.AB_paths:
            resized = functools.cache(self.size_after_resize)
            for A, B in self.pairs:
                if not (A in headers and B in headers):
                    continue
                if resized(headers[A].size) != resized(headers[B].size):
                    found[A] = f"{differ(headers[A].size, B, headers[B].size)}; {REMEDY}"
        return found

    def checked_doubts(self, headers: dict[str, Header]) -> list[str]:
        """Pairs of two sizes, which `--preprocess` brings to one."""
        if self.AB_paths:
            return []
        pairs = [(A, B) for A, B in self.pairs if A in headers and B in headers]
        unequal = [(A, B) for A, B in pairs if headers[A].size != headers[B].size]
        unequal = [(A, B) for A, B in unequal
                   if self.size_after_resize(headers[A].size)
                   == self.size_after_resize(headers[B].size)]  # fmt: skip
        squashed = [(A, B) for A, B in unequal if _other_shape(headers[A].size, headers[B].size)]
        if not unequal:
            return []
        A, B = (squashed or unequal)[0]
        sizes = differ(headers[A].size, B, headers[B].size)
        width, height = self.size_after_resize(headers[A].size)
        count = f"{len(squashed or unequal)} of {len(pairs)} pairs"
        both = f"--preprocess {self.opt.preprocess} makes both {width}x{height} px"
        if not squashed:
            return [f"{count} are of two sizes, e.g. {A}: {sizes}; {both}"]
        return [
            f"{count} are of two shapes, e.g. {A}: {sizes}; {both}: one is squashed against the "
            "other, and places in A are not those in B; cut them to one shape first"
        ]


def _other_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether width / height differs by more than what rounding to whole px explains."""
    (a, b), (c, d) = size, other
    return abs(a * d - b * c) > max(a, b, c, d)


def _half(picture: Picture, side: str) -> Picture:
    """The left one is A."""
    left = 0 if side == "A" else picture.width // 2
    return picture.crop((left, 0, left + picture.width // 2, picture.height))


def _odd(size: tuple[int, int]) -> str:
    return (
        f"{size[0]}x{size[1]} px has no two halves; aligned files hold A and B of equal width "
        "side by side"
    )
