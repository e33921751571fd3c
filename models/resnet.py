"""CycleGAN's generator. Layer order, and with it every state_dict key, is that of the published
weights."""

import torch
from torch import nn

from models.features import ChainNet
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
    """CycleGAN's generator (section 7.1): two stride-2 convolutions, residual blocks, two up.

    Args:
        input_nc, output_nc: channels of the images that go in and come out.
        ngf: channels after the first layer.
        n_blocks: residual blocks; 6 for 128 px, 9 for 256 px and more in the paper.

    (N, input_nc, H, W) -> (N, output_nc, H, W), both in [-1, 1]. Height and width must be multiples
    of 4 for an output of the input's size.

    Its layers are those of the chain `self.model`, by number: 0 is the padded image, 1 the first
    convolution, 4 and 7 the halving ones, from 10 on the residual blocks, then the way back.
    CUT (Park et al. 2020) takes 0, 4, 7, 10, 14: of nine blocks the first and the fifth.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int = 64,
        norm_layer: NormLayer = nn.BatchNorm2d,
        use_dropout: bool = False,
        n_blocks: int = 6,
    ) -> None:
        super().__init__()
        bias = needs_bias(norm_layer)
        layers = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(input_nc, ngf, 7, bias=bias),
            norm_layer(ngf),
            nn.ReLU(True),
        ]
        for nc in (ngf, 2 * ngf):
            conv = nn.Conv2d(nc, 2 * nc, 3, stride=2, padding=1, bias=bias)
            layers += [conv, norm_layer(2 * nc), nn.ReLU(True)]
        layers += [ResnetBlock(4 * ngf, norm_layer, use_dropout, bias) for _ in range(n_blocks)]
        for nc in (4 * ngf, 2 * ngf):
            up = nn.ConvTranspose2d(nc, nc // 2, 3, 2, padding=1, output_padding=1, bias=bias)
            layers += [up, norm_layer(nc // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, output_nc, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
