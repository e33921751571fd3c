"""Generators and discriminators, built from plain arguments.

Layer order, and with it every state_dict key, is that of the published pix2pix and CycleGAN
weights. Images are (N, C, H, W); generators end in tanh, so their output lies in [-1, 1].
"""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import init

from models.compute.sync_batch_norm import SyncBatchNorm2d
from models.losses import GANLoss, cal_gradient_penalty  # noqa: F401  (the plug-in contract)
from models.schedulers import get_scheduler  # noqa: F401  (the plug-in contract)
from models.style.net import StyleNet
from util.errors import UserError, choose

NormLayer = Callable[[int], nn.Module]  # channels -> layer

INIT_TYPES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "normal": lambda weight, gain: init.normal_(weight, 0.0, gain),
    "xavier": lambda weight, gain: init.xavier_normal_(weight, gain=gain),
    "kaiming": lambda weight, gain: init.kaiming_normal_(weight, a=0, mode="fan_in"),
    "orthogonal": lambda weight, gain: init.orthogonal_(weight, gain=gain),
}
NORMS: dict[str, NormLayer] = {
    # As partials of these classes: copied networks ask `norm_layer.func == nn.InstanceNorm2d`.
    "batch": functools.partial(nn.BatchNorm2d, affine=True, track_running_stats=True),
    "instance": functools.partial(nn.InstanceNorm2d, affine=False, track_running_stats=False),
    "syncbatch": SyncBatchNorm2d,
    "none": lambda channels: nn.Identity(),
}

Identity = nn.Identity  # the reference's name


def get_norm_layer(norm_type: str = "instance") -> NormLayer:
    """The function that makes a normalisation layer from a number of channels."""
    return choose("norm", norm_type, NORMS)


def _needs_bias(norm_layer: NormLayer) -> bool:
    """Whether the convolution before the norm has a bias; with `none` it has not, as published."""
    return isinstance(norm_layer(1), nn.InstanceNorm2d)


def init_weights(net: nn.Module, init_type: str = "normal", init_gain: float = 0.02) -> None:
    """Draw convolution weights by `init_type`, norm scales from N(1, init_gain), biases 0."""
    draw = choose("init_type", init_type, INIT_TYPES)
    for module in net.modules():
        if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
            draw(module.weight, init_gain)
        elif isinstance(module, nn.BatchNorm2d):
            init.normal_(module.weight, 1.0, init_gain)
        else:
            continue
        if module.bias is not None:
            init.zeros_(module.bias)


def init_net(
    net: nn.Module, init_type: str = "normal", init_gain: float = 0.02, gpu_ids: Sequence[int] = ()
) -> nn.Module:
    """Draw a network's weights; put it on the first of `gpu_ids`, if any (else
    `BaseModel.setup` moves it)."""
    init_weights(net, init_type, init_gain)
    return net.to(f"cuda:{gpu_ids[0]}") if gpu_ids else net


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
        return x + self.conv_block(x)


class ResnetGenerator(nn.Module):
    """CycleGAN's generator (section 7.1): two stride-2 convolutions, residual blocks, two up.

    Args:
        input_nc, output_nc: channels of the images that go in and come out.
        ngf: channels after the first layer.
        n_blocks: residual blocks; 6 for 128 px, 9 for 256 px and more in the paper.

    Height and width must be multiples of 4 for an output of the input's size.
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
        bias = _needs_bias(norm_layer)
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

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)


class UnetSkipConnectionBlock(nn.Module):
    """One level of the U-Net: down, the next level inside, up, joined with the level's input."""

    def __init__(
        self,
        outer_nc: int,
        inner_nc: int,
        input_nc: int | None = None,
        submodule: nn.Module | None = None,
        outermost: bool = False,
        norm_layer: NormLayer = nn.BatchNorm2d,
        use_dropout: bool = False,
    ) -> None:
        super().__init__()
        self.outermost = outermost
        bias = _needs_bias(norm_layer)
        conv = functools.partial(nn.Conv2d, kernel_size=4, stride=2, padding=1, bias=bias)
        up = functools.partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1)
        down_conv = conv(input_nc or outer_nc, inner_nc)
        # In place: the joined input below is LeakyReLU(x), as in the published weights' network.
        down_relu, up_relu = nn.LeakyReLU(0.2, inplace=True), nn.ReLU(inplace=True)
        if outermost:
            layers = [down_conv, submodule, up_relu, up(2 * inner_nc, outer_nc), nn.Tanh()]
        elif submodule is None:  # innermost
            up_conv = up(inner_nc, outer_nc, bias=bias)
            layers = [down_relu, down_conv, up_relu, up_conv, norm_layer(outer_nc)]
        else:
            layers = [
                down_relu, down_conv, norm_layer(inner_nc), submodule,
                up_relu, up(2 * inner_nc, outer_nc, bias=bias), norm_layer(outer_nc),
            ]  # fmt: skip
            if use_dropout:
                layers.append(nn.Dropout(0.5))
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UnetGenerator(nn.Module):
    """pix2pix's generator (section 6.1.1): an encoder-decoder with skips down to 1x1.

    Args:
        input_nc, output_nc: channels of the images that go in and come out.
        num_downs: halvings, 7 for unet_128 and 8 for unet_256; sides must be multiples of
            2 ** num_downs.
        ngf: channels of the outermost level.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        num_downs: int,
        ngf: int = 64,
        norm_layer: NormLayer = nn.BatchNorm2d,
        use_dropout: bool = False,
    ) -> None:
        super().__init__()
        self.size_multiple = 2**num_downs
        level = functools.partial(UnetSkipConnectionBlock, norm_layer=norm_layer)
        block = level(8 * ngf, 8 * ngf)
        for _ in range(num_downs - 5):
            block = level(8 * ngf, 8 * ngf, submodule=block, use_dropout=use_dropout)
        for nc in (4 * ngf, 2 * ngf, ngf):
            block = level(nc, 2 * nc, submodule=block)
        self.model = level(output_nc, ngf, input_nc=input_nc, submodule=block, outermost=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        height, width = image.shape[2:]
        if height % self.size_multiple or width % self.size_multiple:
            raise UserError(
                f"an image of {width}x{height} px does not fit this U-Net: accepted are sides of "
                f"multiples of {self.size_multiple}; use --preprocess resize_and_crop, or a resnet"
            )
        return self.model(image)


class NLayerDiscriminator(nn.Module):
    """PatchGAN (pix2pix, section 3.2.2): one verdict per patch; n_layers 3 sees 70x70 px.

    Args:
        input_nc: channels it sees (for pix2pix those of input and output together).
        ndf: channels after the first layer.

    Returns (N, 1, h, w) scores without sigmoid.
    """

    def __init__(
        self,
        input_nc: int,
        ndf: int = 64,
        n_layers: int = 3,
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        bias = _needs_bias(norm_layer)
        layers = [nn.Conv2d(input_nc, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
        widths = [ndf * min(2**n, 8) for n in range(n_layers + 1)]
        for n in range(1, n_layers + 1):
            stride = 2 if n < n_layers else 1
            layers += [
                nn.Conv2d(widths[n - 1], widths[n], 4, stride=stride, padding=1, bias=bias),
                norm_layer(widths[n]),
                nn.LeakyReLU(0.2, True),
            ]
        layers += [nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1)]
        self.model = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)


class PixelDiscriminator(nn.Module):
    """1x1 PatchGAN (pix2pix, section 6.1.2): judges each pixel. Returns (N, 1, H, W) scores."""

    def __init__(
        self, input_nc: int, ndf: int = 64, norm_layer: NormLayer = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        bias = _needs_bias(norm_layer)
        self.net = nn.Sequential(
            nn.Conv2d(input_nc, ndf, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            norm_layer(2 * ndf),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.net(image)


GENERATORS: dict[str, functools.partial] = {
    "resnet_9blocks": functools.partial(ResnetGenerator, n_blocks=9),
    "resnet_6blocks": functools.partial(ResnetGenerator, n_blocks=6),
    "unet_128": functools.partial(UnetGenerator, num_downs=7),
    "unet_256": functools.partial(UnetGenerator, num_downs=8),
    "style_net": functools.partial(StyleNet),
}
DISCRIMINATORS: dict[str, Callable[..., nn.Module]] = {
    "basic": lambda nc, ndf, n_layers, norm_layer: NLayerDiscriminator(nc, ndf, 3, norm_layer),
    "n_layers": NLayerDiscriminator,
    "pixel": lambda nc, ndf, n_layers, norm_layer: PixelDiscriminator(nc, ndf, norm_layer),
}


def define_G(
    input_nc: int,
    output_nc: int,
    ngf: int,
    netG: str,
    norm: str = "batch",
    use_dropout: bool = False,
    init_type: str = "normal",
    init_gain: float = 0.02,
    gpu_ids: Sequence[int] = (),
    **own: int,
) -> nn.Module:
    """A generator of GENERATORS with drawn weights; `own` are arguments of this one alone."""
    make = choose("netG", netG, GENERATORS)
    if netG == "style_net" and norm != "instance":
        raise UserError(f"--norm {norm}: --netG style_net has norms of its own; accepted: instance")
    norm_layer = get_norm_layer(norm)
    net = make(input_nc, output_nc, ngf=ngf, norm_layer=norm_layer, use_dropout=use_dropout, **own)
    return init_net(net, init_type, init_gain, gpu_ids)


def define_D(
    input_nc: int,
    ndf: int,
    netD: str,
    n_layers_D: int = 3,
    norm: str = "batch",
    init_type: str = "normal",
    init_gain: float = 0.02,
    gpu_ids: Sequence[int] = (),
) -> nn.Module:
    """A discriminator: `basic` (PatchGAN of 3 layers), `n_layers` (of n_layers_D) or `pixel`."""
    make = choose("netD", netD, DISCRIMINATORS)
    net = make(input_nc, ndf, n_layers_D, get_norm_layer(norm))
    return init_net(net, init_type, init_gain, gpu_ids)
