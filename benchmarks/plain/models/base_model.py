"""What the two methods share."""

import argparse

import torch
from torch import nn

from .networks import GENERATORS, PatchGAN, drawn


class BaseModel:
    def __init__(self, opt: argparse.Namespace) -> None:
        self.opt, self.device = opt, torch.device(opt.device)
        self.loss_names: list[str] = []
        self.model_names: list[str] = []

    def generator(self) -> nn.Module:
        return drawn(GENERATORS[self.opt.netG](self.opt)).to(self.device)

    def discriminator(self, input_nc: int) -> nn.Module:
        return drawn(PatchGAN(input_nc, self.opt.ndf, self.opt.norm)).to(self.device)

    def adam(self, *nets: nn.Module) -> torch.optim.Optimizer:
        params = [p for net in nets for p in net.parameters()]
        return torch.optim.Adam(params, lr=self.opt.lr, betas=(self.opt.beta1, 0.999))

    def gan_loss(self, scores: torch.Tensor, real: bool) -> torch.Tensor:
        loss = nn.BCEWithLogitsLoss() if self.opt.gan_mode == "vanilla" else nn.MSELoss()
        return loss(scores, torch.tensor(float(real), device=self.device).expand_as(scores))

    def set_requires_grad(self, nets: list[nn.Module], requires_grad: bool) -> None:
        for net in nets:
            for p in net.parameters():
                p.requires_grad = requires_grad

    def set_input(self, input: dict) -> None:
        sides = ("A", "B") if self.opt.direction == "AtoB" else ("B", "A")
        self.real_A, self.real_B = (input[side].to(self.device) for side in sides)

    def networks(self) -> dict[str, nn.Module]:
        return {name: getattr(self, "net" + name) for name in self.model_names}

    def get_current_losses(self) -> dict[str, float]:
        losses = {name: getattr(self, "loss_" + name) for name in self.loss_names}
        return {k: v.item() if isinstance(v, torch.Tensor) else v for k, v in losses.items()}
