"""pix2pix: image-to-image translation with conditional GANs (Isola et al. 2017)."""

from __future__ import annotations

import argparse

from models import networks
from models.base_model import BaseModel
from util.lazy import torch


class Pix2PixModel(BaseModel):
    """Learns G: A -> B from pairs, against a D that judges (A, B) together (section 3.1).

    G* = arg min_G max_D  L_cGAN(G, D) + lambda_L1 * L1(G(A), B)
    """

    loss_help = {
        "G_GAN": "How well G fools D. It hovers or creeps up: it is a contest, not a descent.",
        "G_L1": "Distance of the output from the target, times --lambda_L1. Falls fast, then "
        "slowly; the one curve here that may be read as progress.",
        "D_real": "D's error on real images. Together with D_fake it tells who is winning.",
        "D_fake": "D's error on G's images: high while G fools it, near 0 when it sees through "
        "all.",
    }

    no_use_for = {"pool_size": "with --model cycle_gan"}
    translates_alone = True  # test.py translates A alone, too

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """The paper's networks and data, and the weight of its L1 loss."""
        parser.set_defaults(norm="batch", netG="unet_256", dataset_mode="aligned")
        if is_train:
            parser.set_defaults(pool_size=0, gan_mode="vanilla")
            parser.add_argument(
                "--lambda_L1", life="run", type=float, default=100.0, help="weight of the L1 loss"
            )
        return parser

    @staticmethod
    def loss_weights(opt: argparse.Namespace) -> dict[str, float]:
        """G_L1 is logged times lambda_L1."""
        return {"G_L1": opt.lambda_L1}

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.loss_names = ["G_GAN", "G_L1", "D_real", "D_fake"]
        self.loss_names += ["D_penalty"] if self.penalises_gradients else []
        self.visual_names = ["real_A", "fake_B", "real_B"]
        self.model_names = ["G", "D"] if self.isTrain else ["G"]
        self.netG = self.generator(opt.input_nc, opt.output_nc)
        if self.isTrain:
            self.netD = self.discriminator(opt.input_nc + opt.output_nc)
            self.criterionGAN = networks.GANLoss(opt.gan_mode)
            self.criterionL1 = torch.nn.L1Loss()
            self.optimizer_G = self.adam(self.netG)
            self.optimizer_D = self.adam(self.netD)

    def set_input(self, input: dict) -> None:
        """real_A (N, input_nc, H, W) and real_B (N, output_nc, H, W), pairs, in [-1, 1]."""
        self.real_A, self.real_B = self.source_and_target(input)

    def forward(self) -> None:
        """fake_B = G(A), (N, output_nc, H, W) in [-1, 1]."""
        self.fake_B = self.netG(self.real_A)

    def backward_D(self) -> None:
        """D tells (A, B) from (A, G(A)); its loss is halved to slow it down (section 3.3)."""
        real_AB = torch.cat([self.real_A, self.real_B], 1)
        fake_AB = torch.cat([self.real_A, self.fake_B.detach()], 1)
        self.loss_D_fake = self.criterionGAN(self.netD(fake_AB), False)
        self.loss_D_real = self.criterionGAN(self.netD(real_AB), True)
        self.loss_D_penalty = self.gradient_penalty(self.netD, real_AB, fake_AB)
        self.loss_D = 0.5 * (self.loss_D_fake + self.loss_D_real) + self.loss_D_penalty
        self.loss_D.backward()

    def backward_G(self) -> None:
        """G fools D and stays near B: GAN(D(A, G(A))) + lambda_L1 * |G(A) - B|."""
        fake_AB = torch.cat([self.real_A, self.fake_B], 1)
        self.loss_G_GAN = self.criterionGAN(self.netD(fake_AB), True)
        self.loss_G_L1 = self.criterionL1(self.fake_B, self.real_B) * self.opt.lambda_L1
        self.loss_G = self.loss_G_GAN + self.loss_G_L1
        self.loss_G.backward()

    def optimize_parameters(self) -> None:
        """A step of D, then a step of G."""
        self.forward()
        # D
        self.set_requires_grad(self.netD, True)
        self.optimizer_D.zero_grad()
        self.backward_D()
        self.optimizer_D.step()
        # G, with D frozen
        self.set_requires_grad(self.netD, False)
        self.optimizer_G.zero_grad()
        self.backward_G()
        self.optimizer_G.step()
