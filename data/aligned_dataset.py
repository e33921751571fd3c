"""Pairs, A and B: side by side in one file, in two folders, or named by a table (pix2pix)."""

import argparse
import os

from data.base_dataset import BaseDataset, get_params
from data.layout import domain_folders
from data.pairs import Pair, pair_by_stem, read_pairs
from util.errors import BadImage, warn
from util.image_header import Header
from util.planes import Picture


class AlignedDataset(BaseDataset):
    """A and B of a pair share crop and flip. Where pairs come from, the first that is there:

    --pairs FILE                             a table of the files of A and B
    <dataroot>/<phase>/1.jpg                 A|B side by side
    <dataroot>/<phase>A/1.jpg, <phase>B/1.png    of equal names
    <dataroot>/A/<phase>/1.jpg, B/<phase>/1.png  of equal names
    """

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        parser.add_argument(
            "--pairs", metavar="FILE",
            help="CSV file of pairs: columns A, B and maybe phase; files relative to --dataroot, "
            "by default the table's folder",
        )  # fmt: skip
        return parser

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.AB_paths: list[str] = []  # of pairs in one file
        self.pairs = self._find_pairs()

    def _find_pairs(self) -> list[Pair]:
        root, phase = self.root, self.opt.phase
        if self.opt.pairs:
            return read_pairs(self.opt.pairs, root, phase)
        together, folders = os.path.join(root, phase), domain_folders(root, phase)
        expected = (
            f"{together}/*.jpg, each A|B side by side, or {together}A and {together}B with equal "
            "names (--dataset_mode aligned)"
        )
        if os.path.isdir(together) or not folders:
            self.AB_paths = self.images_in(together, expected)
            if folders:
                warn(
                    f"{together}: pairs are read from here, A|B in one file; not from {folders[0]}"
                )
            return [(path, path) for path in self.AB_paths]
        A, B = (self.images_in(folder, expected, limit=False) for folder in folders)
        skip = self.opt.bad_images == "skip"
        return pair_by_stem(A, folders[0], B, folders[1], skip_alone=skip)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict:
        A_path, B_path = self.pairs[index]
        A, B = self._halves(A_path) if A_path == B_path else self._two_files(A_path, B_path)
        params = get_params(self.opt, A.size)
        A, B = self.transform_for("A", params)(A), self.transform_for("B", params)(B)
        if A.shape[1:] != B.shape[1:]:
            raise BadImage(A_path, _differ(A.shape[:0:-1], B_path, B.shape[:0:-1]), REMEDY)
        return {"A": A, "B": B, "A_paths": A_path, "B_paths": B_path}

    def _halves(self, path: str) -> tuple[Picture, Picture]:
        left = right = self.picture(path, "A")
        if len(set(self.channels())) > 1 or self.opt.value_range:
            right = self.picture(path, "B")
        width, height = left.size
        if width % 2:
            raise BadImage(path, _odd(left.size))
        return left.crop((0, 0, width // 2, height)), right.crop((width // 2, 0, width, height))

    def _two_files(self, A_path: str, B_path: str) -> tuple[Picture, Picture]:
        return self.picture(A_path, "A"), self.picture(B_path, "B")

    def files(self) -> dict[str, list[str]]:
        if self.AB_paths:
            return {"AB": self.AB_paths}
        return {"A": [A for A, _ in self.pairs], "B": [B for _, B in self.pairs]}

    def own_problems(self, headers: dict[str, Header]) -> dict[str, str]:
        found = {p: _odd(headers[p].size) for p in self.AB_paths
                 if p in headers and headers[p].size[0] % 2}  # fmt: skip
        if not self.AB_paths and self.opt.preprocess != "resize_and_crop":
            for A, B in self.pairs:
                if A in headers and B in headers and headers[A].size != headers[B].size:
                    found[A] = f"{_differ(headers[A].size, B, headers[B].size)}; {REMEDY}"
        return found


REMEDY = "make them equal, or use --preprocess resize_and_crop"


def _odd(size: tuple[int, int]) -> str:
    return (
        f"{size[0]}x{size[1]} px has no two halves; aligned files hold A and B of equal width "
        "side by side"
    )


def _differ(A_size: tuple[int, int], B_path: str, B_size: tuple[int, int]) -> str:
    return f"{A_size[0]}x{A_size[1]} px, but its partner {B_path} has {B_size[0]}x{B_size[1]}"
