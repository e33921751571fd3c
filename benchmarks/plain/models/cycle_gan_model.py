"""CycleGAN (Zhu et al. 2017)."""

import argparse
import random

import torch
from torch import nn

from .base_model import BaseModel


class ImagePool:
    """Earlier fakes, for D."""

    def __init__(self, size: int) -> None:
        self.size, self.images = size, []

    def query(self, images: torch.Tensor) -> torch.Tensor:
        if self.size == 0:
            return images
        chosen = []
        for image in images.detach().split(1):
            if len(self.images) < self.size:
                self.images.append(image)
            elif random.random() > 0.5:
                slot = random.randrange(self.size)
                image, self.images[slot] = self.images[slot].clone(), image
            chosen.append(image)
        return torch.cat(chosen, 0)


class CycleGANModel(BaseModel):
    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.loss_names = ["D_A", "G_A", "cycle_A", "idt_A", "D_B", "G_B", "cycle_B", "idt_B"]
        self.model_names = ["G_A", "G_B", "D_A", "D_B"]
        self.netG_A, self.netG_B = self.generator(), self.generator()
        self.netD_A, self.netD_B = self.discriminator(opt.output_nc), self.discriminator(3)
        self.pool_A, self.pool_B = ImagePool(opt.pool_size), ImagePool(opt.pool_size)
        self.criterion = nn.L1Loss()
        self.optimizer_G = self.adam(self.netG_A, self.netG_B)
        self.optimizer_D = self.adam(self.netD_A, self.netD_B)

    def optimize_parameters(self) -> None:
        o, A, B = self.opt, self.real_A, self.real_B
        fake_B = self.netG_A(A)
        rec_A = self.netG_B(fake_B)
        fake_A = self.netG_B(B)
        rec_B = self.netG_A(fake_A)
        # G_A and G_B
        self.set_requires_grad([self.netD_A, self.netD_B], False)
        self.optimizer_G.zero_grad()
        self.loss_idt_A = self.loss_idt_B = 0.0
        if o.lambda_identity > 0:
            self.loss_idt_A = self.criterion(self.netG_A(B), B) * o.lambda_B * o.lambda_identity
            self.loss_idt_B = self.criterion(self.netG_B(A), A) * o.lambda_A * o.lambda_identity
        self.loss_G_A = self.gan_loss(self.netD_A(fake_B), True)
        self.loss_G_B = self.gan_loss(self.netD_B(fake_A), True)
        self.loss_cycle_A = self.criterion(rec_A, A) * o.lambda_A
        self.loss_cycle_B = self.criterion(rec_B, B) * o.lambda_B
        loss_G = self.loss_G_A + self.loss_G_B + self.loss_cycle_A + self.loss_cycle_B
        (loss_G + self.loss_idt_A + self.loss_idt_B).backward()
        self.optimizer_G.step()
        # D_A and D_B
        self.set_requires_grad([self.netD_A, self.netD_B], True)
        self.optimizer_D.zero_grad()
        self.loss_D_A = self.backward_D(self.netD_A, B, self.pool_B.query(fake_B))
        self.loss_D_B = self.backward_D(self.netD_B, A, self.pool_A.query(fake_A))
        self.optimizer_D.step()

    def backward_D(self, netD: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        real_loss = self.gan_loss(netD(real), True)
        loss = (real_loss + self.gan_loss(netD(fake.detach()), False)) * 0.5
        loss.backward()
        return loss
