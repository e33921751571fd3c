"""CycleGAN's generator. Layer order, and with it every state_dict key, is that of the published
weights."""

import torch
from torch import nn

from models.antialias import Downsample, Upsample
from models.features import ChainNet, Layer
from models.layers import NormLayer, needs_bias


class ResnetBlock(nn.Module):
    """x + F(x), two 3x3 convolutions, no ReLU after the addition (He et al. 2016; Johnson 2016)."""

    def __init__(self, dim: int, norm_layer: NormLayer, use_dropout: bool, use_bias: bool) -> None:
        super().__init__()
        layers = [
            nn.ReflectionPad2d(1),
            nn.Conv2d(dim, dim, 3, bias=use_bias),
            norm_layer(dim),
            nn.ReLU(True),
        ]
        if use_dropout:
            layers.append(nn.Dropout(0.5))
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3, bias=use_bias), norm_layer(dim)]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x + F(x), (N, dim, H, W) as x."""
        return x + self.conv_block(x)


class ResnetGenerator(ChainNet):
    """CycleGAN's generator (section 7.1): two halving convolutions, residual blocks, two doubling.

    Args:
        input_nc, output_nc: channels of the images that go in and come out.
        ngf: channels after the first layer.
        n_blocks: residual blocks; 6 for 128 px, 9 for 256 px and more in the paper.
        antialias: as CUT has it (Park et al. 2020): convolutions of stride 1, with a blur that
            halves behind their ReLU, or one that doubles before them.

    (N, input_nc, H, W) -> (N, output_nc, H, W), both in [-1, 1]. Height and width must be multiples
    of 4 for an output of the input's size.

    Its layers are those of the chain `self.model`, by number: 0 is the padded image, 1 the first
    convolution, 4 and 7 the halving ones, from 10 on the residual blocks, then the way back. With
    `antialias` the halving ones are 4 and 8, and the blocks begin with 12.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int = 64,
        norm_layer: NormLayer = nn.BatchNorm2d,
        use_dropout: bool = False,
        n_blocks: int = 6,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        bias = needs_bias(norm_layer)
        layers = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(input_nc, ngf, 7, bias=bias),
            norm_layer(ngf),
            nn.ReLU(True),
        ]
        self.halving: list[Layer] = []
        for nc in (ngf, 2 * ngf):
            self.halving.append(len(layers))
            conv = nn.Conv2d(nc, 2 * nc, 3, 1 if antialias else 2, padding=1, bias=bias)
            layers += [conv, norm_layer(2 * nc), nn.ReLU(True)]
            layers += [Downsample(2 * nc)] if antialias else []
        self.blocks: list[Layer] = list(range(len(layers), len(layers) + n_blocks))
        layers += [ResnetBlock(4 * ngf, norm_layer, use_dropout, bias) for _ in range(n_blocks)]
        for nc in (4 * ngf, 2 * ngf):
            up = [nn.ConvTranspose2d(nc, nc // 2, 3, 2, padding=1, output_padding=1, bias=bias)]
            if antialias:
                up = [Upsample(nc), nn.Conv2d(nc, nc // 2, 3, padding=1, bias=bias)]
            layers += [*up, norm_layer(nc // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, output_nc, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    @property
    def contrast_layers(self) -> list[Layer]:
        """CUT's five: the padded image, both halving convolutions, blocks 1 and 5 (or the last)."""
        return [0, *self.halving, self.blocks[0], self.blocks[:5][-1]]
