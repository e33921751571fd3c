"""pix2pix's generator. The nesting, and with it every state_dict key, is that of the published
weights."""

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import nn

from models.features import FeatureNet, Features, Layer, Result
from models.layers import NormLayer, needs_bias
from util.errors import UserError


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
        bias = needs_bias(norm_layer)
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

    def forward(
        self, x: torch.Tensor, features: Features | None = None, level: int = 1
    ) -> torch.Tensor:
        """(N, C, H, W) -> (N, C + outer_nc, H, W): x and what was made of it; of the outermost
        level the latter alone, in [-1, 1].

        Args:
            features: collects `down<level>` and `up<level>`. Complete, it ends the forward: what is
                returned is then of no use.
        """
        if features is None:
            return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)
        inner, halved, chain = x, False, list(self.model)
        for layer, following in itertools.zip_longest(chain, chain[1:]):
            if isinstance(layer, UnetSkipConnectionBlock):
                inner = layer(inner, features, level + 1)
            else:
                inner = layer(inner)
            if isinstance(following, (UnetSkipConnectionBlock, nn.ReLU)) and not halved:
                inner, halved = features.keep(f"down{level}", inner, following), True
            if features.complete:
                return inner
        features.keep(f"up{level}", inner)
        return inner if self.outermost else torch.cat([x, inner], 1)


class UnetGenerator(FeatureNet):
    """pix2pix's generator (section 6.1.1): an encoder-decoder with skips down to 1x1.

    Args:
        input_nc, output_nc: channels of the images that go in and come out.
        num_downs: halvings, 7 for unet_128 and 8 for unet_256; sides must be multiples of
            2 ** num_downs.
        ngf: channels of the outermost level.

    Its layers are named by level, from the outermost in: `down1` to `down8` are what each halving
    gives (after its norm), `up8` to `up2` what each doubling gives (after norm and dropout).
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
        self.num_downs = num_downs
        level = functools.partial(UnetSkipConnectionBlock, norm_layer=norm_layer)
        block = level(8 * ngf, 8 * ngf)
        for _ in range(num_downs - 5):
            block = level(8 * ngf, 8 * ngf, submodule=block, use_dropout=use_dropout)
        for nc in (4 * ngf, 2 * ngf, ngf):
            block = level(nc, 2 * nc, submodule=block)
        self.model = level(output_nc, ngf, input_nc=input_nc, submodule=block, outermost=True)

    @property
    def feature_layers(self) -> list[Layer]:
        """down1, down2, ..., then back to up2; `up1` would be the output before its tanh."""
        levels = range(1, self.num_downs + 1)
        return [f"down{n}" for n in levels] + [f"up{n}" for n in reversed(levels) if n > 1]

    def forward(
        self, image: torch.Tensor, layers: Sequence[Layer] = (), encode_only: bool = False
    ) -> Result:
        """(N, input_nc, H, W) -> (N, output_nc, H, W), both in [-1, 1]; with `layers` also their
        features, with `encode_only` these alone (see `models.features`)."""
        (height, width), multiple = image.shape[2:], 2**self.num_downs
        if height % multiple or width % multiple:
            raise UserError(
                f"an image of {width}x{height} px does not fit this U-Net: accepted are sides of "
                f"multiples of {multiple}; use --preprocess resize_and_crop, or a resnet"
            )
        features = Features(self, layers, encode_only)
        return features.result(self.model(image, features if layers else None))
