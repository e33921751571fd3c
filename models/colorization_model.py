"""Colorization: pix2pix from lightness to colour, in Lab (Isola et al. 2017, section 4.2)."""

import argparse

from models.pix2pix_model import Pix2PixModel
from models.translation import OneNetwork
from util.errors import UserError
from util.lazy import Lazy

lab = Lazy("util.images.lab")


class ColorizationModel(Pix2PixModel):
    """real_A is L, (N, 1, H, W); real_B and fake_B are ab, (N, 2, H, W); shown in RGB."""

    healthy = [
        "G_L1 here is a distance of colours (ab of Lab); a low one with brownish pictures is a G "
        "that plays safe."
    ]

    no_use_for = Pix2PixModel.no_use_for
    translates_alone = False  # ab is no picture without L

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """pix2pix's flags, on photographs turned into L and ab."""
        Pix2PixModel.modify_commandline_options(parser, is_train)
        parser.set_defaults(dataset_mode="colorization")
        return parser

    @staticmethod
    def check_options(opt: argparse.Namespace) -> None:
        """Refuse channels and a direction other than from L to ab."""
        for flag, needed in (("input_nc", 1), ("output_nc", 2), ("direction", "AtoB")):
            if (given := getattr(opt, flag)) != needed:
                raise UserError(
                    f"--{flag} {given}: --model colorization goes from L (1 channel) to ab (2); "
                    f"accepted: {needed}, which is its default"
                )

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.visual_names = ["real_A", "real_B_rgb", "fake_B_rgb"]

    def one_network(self) -> OneNetwork:
        return OneNetwork(self.netG, finish=lambda given, ab: lab.lab_to_rgb(given(), ab))

    def compute_visuals(self) -> None:
        """L (N, 1, H, W) with the true and the given ab (N, 2, H, W), as RGB (N, 3, H, W)."""
        self.real_B_rgb = lab.lab_to_rgb(self.real_A, self.real_B)
        self.fake_B_rgb = lab.lab_to_rgb(self.real_A, self.fake_B)
