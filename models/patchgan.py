"""PatchGAN discriminators. Layer order, and with it every state_dict key, is that of the published
weights."""

from torch import nn

from models.antialias import Downsample
from models.features import ChainNet
from models.layers import NormLayer, needs_bias


class NLayerDiscriminator(ChainNet):
    """PatchGAN (pix2pix, section 3.2.2): one verdict per patch; n_layers 3 sees 70x70 px.

    Args:
        input_nc: channels it sees (for pix2pix those of input and output together).
        ndf: channels after the first layer.
        n_layers: convolutions between the first and the last; all but one of them halve.
        antialias: as CUT has it (Park et al. 2020): where a convolution halves, it has stride 1
            and a blur behind its LeakyReLU.

    Returns (N, 1, h, w) scores without sigmoid.
    """

    def __init__(
        self,
        input_nc: int,
        ndf: int = 64,
        n_layers: int = 3,
        norm_layer: NormLayer = nn.BatchNorm2d,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        bias, halving = needs_bias(norm_layer), 1 if antialias else 2
        layers = [nn.Conv2d(input_nc, ndf, 4, stride=halving, padding=1), nn.LeakyReLU(0.2, True)]
        layers += [Downsample(ndf)] if antialias else []
        widths = [ndf * min(2**n, 8) for n in range(n_layers + 1)]
        for n in range(1, n_layers + 1):
            stride = halving if n < n_layers else 1
            layers += [
                nn.Conv2d(widths[n - 1], widths[n], 4, stride=stride, padding=1, bias=bias),
                norm_layer(widths[n]),
                nn.LeakyReLU(0.2, True),
            ]
            layers += [Downsample(widths[n])] if antialias and n < n_layers else []
        layers += [nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1)]
        self.model = nn.Sequential(*layers)


class PixelDiscriminator(ChainNet):
    """1x1 PatchGAN (pix2pix, section 6.1.2): judges each pixel. Returns (N, 1, H, W) scores."""

    chain = "net"

    def __init__(
        self, input_nc: int, ndf: int = 64, norm_layer: NormLayer = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        bias = needs_bias(norm_layer)
        self.net = nn.Sequential(
            nn.Conv2d(input_nc, ndf, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            norm_layer(2 * ndf),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),
        )
