"""pix2pix (Isola et al. 2017)."""

import argparse

import torch
from torch import nn

from .base_model import BaseModel


class Pix2PixModel(BaseModel):
    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.loss_names = ["G_GAN", "G_L1", "D_real", "D_fake"]
        self.model_names = ["G", "D"]
        self.netG = self.generator()
        self.netD = self.discriminator(opt.input_nc + opt.output_nc)
        self.criterionL1 = nn.L1Loss()
        self.optimizer_G, self.optimizer_D = self.adam(self.netG), self.adam(self.netD)

    def optimize_parameters(self) -> None:
        fake_B = self.netG(self.real_A)
        # D
        self.set_requires_grad([self.netD], True)
        self.optimizer_D.zero_grad()
        fake_scores = self.netD(torch.cat((self.real_A, fake_B.detach()), 1))
        self.loss_D_fake = self.gan_loss(fake_scores, False)
        self.loss_D_real = self.gan_loss(self.netD(torch.cat((self.real_A, self.real_B), 1)), True)
        ((self.loss_D_fake + self.loss_D_real) * 0.5).backward()
        self.optimizer_D.step()
        # G
        self.set_requires_grad([self.netD], False)
        self.optimizer_G.zero_grad()
        self.loss_G_GAN = self.gan_loss(self.netD(torch.cat((self.real_A, fake_B), 1)), True)
        self.loss_G_L1 = self.criterionL1(fake_B, self.real_B) * self.opt.lambda_L1
        (self.loss_G_GAN + self.loss_G_L1).backward()
        self.optimizer_G.step()
