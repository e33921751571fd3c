"""Translation in one direction with one trained generator (`test.py --model test`)."""

import argparse
from typing import Any

from models.base_model import BaseModel
from models.translation import OneNetwork
from util.checkpoints.weights import weights_path
from util.errors import UserError


class TestModel(BaseModel):
    """Loads <epoch>_net_G<model_suffix>.pth and feeds it the images of one folder."""

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        if is_train:
            raise UserError("--model test: cannot be trained; it is for test.py")
        parser.set_defaults(dataset_mode="single")
        parser.add_argument(
            "--model_suffix", type="name_part", default="",
            help="load <epoch>_net_G<model_suffix>.pth; if absent and there is no _net_G.pth, "
            "`_A` or `_B` by --direction",
        )  # fmt: skip
        return parser

    @staticmethod
    def decide_options(opt: argparse.Namespace) -> dict[str, Any]:
        """Which of CycleGAN's two generators it is, and the side of its images."""
        saved = {name: weights_path(opt.run_dir, opt.epoch_label, name).is_file()
                 for name in ("G", "G_A", "G_B")}  # fmt: skip
        same_way = opt.direction == opt.trained.get("direction", "AtoB")
        suffix = opt.model_suffix
        if not suffix and not saved["G"] and (saved["G_A"] or saved["G_B"]):
            suffix = "_A" if same_way else "_B"
        decided = {"model_suffix": suffix}
        if suffix == "_B" and same_way:  # it takes the images that G_A gives, with their range
            decided["direction"] = "BtoA" if opt.direction == "AtoB" else "AtoB"
        if suffix == "_B" and opt.trained:  # G_B's channels are G_A's exchanged
            decided |= {"input_nc": opt.output_nc, "output_nc": opt.input_nc}
        return decided

    @staticmethod
    def check_options(opt: argparse.Namespace) -> None:
        """Refuse runs whose networks need their own model."""
        if len(opt.trained.get("style_image", [])) > 1:
            raise UserError(
                f"--model test: run {opt.name} has {len(opt.trained['style_image'])} styles; leave "
                "--model out, and choose with --style_index or --style_blend"
            )
        if opt.trained.get("dataset_mode") == "colorization":
            raise UserError(
                f"--model test: the network of run {opt.name} gives colours without lightness, "
                "which are no picture; leave --model out to test with the model it was trained as"
            )

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.visual_names = ["real", "fake"]
        name = "G" + opt.model_suffix
        self.model_names = [name]
        self.netG = self.generator(opt.input_nc, opt.output_nc)
        setattr(self, "net" + name, self.netG)  # under the name that its file has

    def set_input(self, input: dict) -> None:
        self.real = self.images(input, "A", self.opt.input_nc)
        self.image_paths = input["A_paths"]

    def forward(self) -> None:
        self.fake = self.netG(self.real)

    def one_network(self) -> OneNetwork:
        return OneNetwork(self.netG)

    def optimize_parameters(self) -> None:
        """Nothing to train."""
