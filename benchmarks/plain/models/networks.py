"""The published networks: the same layers in the same order, so the same weights fit."""

import argparse

import torch
from torch import nn


def norm_layer(norm: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels)


class ResnetBlock(nn.Module):
    def __init__(self, nc: int, norm: str, dropout: bool) -> None:
        super().__init__()
        bias = norm == "instance"
        layers = [nn.ReflectionPad2d(1), nn.Conv2d(nc, nc, 3, bias=bias), norm_layer(norm, nc),
                  nn.ReLU(True)]  # fmt: skip
        layers += [nn.Dropout(0.5)] if dropout else []
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(nc, nc, 3, bias=bias), norm_layer(norm, nc)]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


class Resnet(nn.Module):
    def __init__(self, opt: argparse.Namespace, n_blocks: int) -> None:
        super().__init__()
        norm, ngf, bias = opt.norm, opt.ngf, opt.norm == "instance"
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(opt.input_nc, ngf, 7, bias=bias),
                  norm_layer(norm, ngf), nn.ReLU(True)]  # fmt: skip
        for nc in (ngf, 2 * ngf):
            layers += [nn.Conv2d(nc, 2 * nc, 3, 2, 1, bias=bias), norm_layer(norm, 2 * nc),
                       nn.ReLU(True)]  # fmt: skip
        layers += [ResnetBlock(4 * ngf, norm, not opt.no_dropout) for _ in range(n_blocks)]
        for nc in (2 * ngf, ngf):
            layers += [nn.ConvTranspose2d(2 * nc, nc, 3, 2, 1, output_padding=1, bias=bias),
                       norm_layer(norm, nc), nn.ReLU(True)]  # fmt: skip
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, opt.output_nc, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class UnetLevel(nn.Module):
    """Down, what is inside, up, joined with the input. `outer` and `inner` are channels."""

    def __init__(self, outer: int, inner: int, norm: str, inside: nn.Module | None = None,
                 input_nc: int | None = None, dropout: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.outermost = input_nc is not None
        bias = norm == "instance"
        down = nn.Conv2d(input_nc or outer, inner, 4, 2, 1, bias=bias)
        up = nn.ConvTranspose2d(inner if inside is None else 2 * inner, outer, 4, 2, 1,
                                bias=bias or self.outermost)  # fmt: skip
        if self.outermost:
            layers = [down, inside, nn.ReLU(True), up, nn.Tanh()]
        elif inside is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, norm_layer(norm, outer)]
        else:
            layers = [nn.LeakyReLU(0.2, True), down, norm_layer(norm, inner), inside,
                      nn.ReLU(True), up, norm_layer(norm, outer)]  # fmt: skip
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class Unet(nn.Module):
    def __init__(self, opt: argparse.Namespace, num_downs: int) -> None:
        super().__init__()
        norm, ngf = opt.norm, opt.ngf
        level = UnetLevel(8 * ngf, 8 * ngf, norm)
        for _ in range(num_downs - 5):
            level = UnetLevel(8 * ngf, 8 * ngf, norm, level, dropout=not opt.no_dropout)
        for nc in (4 * ngf, 2 * ngf, ngf):
            level = UnetLevel(nc, 2 * nc, norm, level)
        self.model = UnetLevel(opt.output_nc, ngf, norm, level, input_nc=opt.input_nc)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class PatchGAN(nn.Module):
    def __init__(self, input_nc: int, ndf: int, norm: str) -> None:
        super().__init__()
        layers = [nn.Conv2d(input_nc, ndf, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for nc, stride in ((ndf, 2), (2 * ndf, 2), (4 * ndf, 1)):
            layers += [nn.Conv2d(nc, 2 * nc, 4, stride, 1, bias=norm == "instance"),
                       norm_layer(norm, 2 * nc), nn.LeakyReLU(0.2, True)]  # fmt: skip
        self.model = nn.Sequential(*layers, nn.Conv2d(8 * ndf, 1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


GENERATORS = {
    "resnet_9blocks": lambda opt: Resnet(opt, 9),
    "resnet_6blocks": lambda opt: Resnet(opt, 6),
    "unet_256": lambda opt: Unet(opt, 8),
    "unet_128": lambda opt: Unet(opt, 7),
}


def drawn(net: nn.Module) -> nn.Module:
    """With weights from N(0, 0.02)."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    return net
