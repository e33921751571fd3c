"""A model to start your own from: copy it to models/<name>_model.py, see docs/new_model.md.

As it stands it learns G: A -> B from pairs by the L1 loss alone.
"""

from __future__ import annotations

import argparse

from models.base_model import DISCRIMINATOR_FLAGS, BaseModel
from util.lazy import torch


class TemplateModel(BaseModel):
    """Found by its file's name: `--model template`."""

    # What the training page says of the losses.
    loss_help = {"G": "Distance of the output from the target. Should fall fast, then slowly."}
    visual_sides = {"output": "B"}  # test writes it with the depth of the target's files

    # Flags that it does not read; take out those that you come to use.
    no_use_for = dict.fromkeys(DISCRIMINATOR_FLAGS, "with a discriminator: --model pix2pix")
    translates_alone = True  # test.py translates A alone, too

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Add your flags; new defaults for existing flags go into `set_defaults`."""
        parser.set_defaults(dataset_mode="aligned")
        if is_train:
            parser.add_argument(
                "--lambda_regression", type=float, default=1.0, help="weight of the L1 loss"
            )
        return parser

    @staticmethod
    def loss_weights(opt: argparse.Namespace) -> dict[str, float]:
        """G is logged times lambda_regression; runs are compared without it."""
        return {"G": opt.lambda_regression}

    def __init__(self, opt: argparse.Namespace) -> None:
        """Name what is logged, shown and saved; make networks, losses and optimizers."""
        super().__init__(opt)
        self.loss_names = ["G"]  # self.loss_G
        self.visual_names = ["data_A", "data_B", "output"]
        self.model_names = ["G"]  # self.netG
        self.netG = self.generator(opt.input_nc, opt.output_nc)
        if self.isTrain:
            self.criterionLoss = torch.nn.L1Loss()
            self.optimizer = self.adam(self.netG)

    def set_input(self, input: dict) -> None:
        """Unpack a batch: data_A (N, input_nc, H, W), data_B (N, output_nc, H, W) in [-1, 1]."""
        self.data_A, self.data_B = self.source_and_target(input)

    def forward(self) -> None:
        """output = G(A), (N, output_nc, H, W) in [-1, 1]; test calls this too."""
        self.output = self.netG(self.data_A)

    def backward(self) -> None:
        """The loss, lambda_regression * |G(A) - B|, and its gradients."""
        self.loss_G = self.criterionLoss(self.output, self.data_B) * self.opt.lambda_regression
        self.loss_G.backward()

    def optimize_parameters(self) -> None:
        """One training step."""
        self.forward()
        self.optimizer.zero_grad()
        self.backward()
        self.optimizer.step()
