"""The image transformation network of feed-forward style transfer (Johnson et al. 2016).

Layers are named as in PyTorch's fast_neural_style, so that its weights load, and the network works
as that one does inside: on images of [0, 255]. Outside they are in [-1, 1] as everywhere.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from models.features import FeatureNet, Features, Layer, Result
from util.errors import UserError

SMALLEST_PX = 8  # reflections need at least 2 px after two halvings
# Convolution -> the norm behind it; residual blocks have theirs inside.
NORM_AFTER = {"conv1": "in1", "conv2": "in2", "conv3": "in3", "deconv1": "in4", "deconv2": "in5"}


class StyleInstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm whose scale and shift are those of a style, or a blend of several.

    With one style weight and bias are (C,), the plain layer's; with more (n_styles, C), one row for
    each style (Dumoulin et al. 2017, section 2.2).
    """

    def __init__(self, channels: int, n_styles: int = 1) -> None:
        super().__init__(channels, affine=True)
        if n_styles > 1:
            self.weight = nn.Parameter(torch.ones(n_styles, channels))
            self.bias = nn.Parameter(torch.zeros(n_styles, channels))

    def forward(self, x: torch.Tensor, blend: torch.Tensor | None = None) -> torch.Tensor:
        """(N, C, H, W) -> the same shape, each image and channel of mean 0, deviation 1, then
        scaled and shifted. Args: blend (N, n_styles), each row's sum 1 (None with one style)."""
        if blend is None or self.weight.dim() == 1:
            return super().forward(x)
        scale, shift = (blend @ rows for rows in (self.weight, self.bias))  # (N, C)
        normalised = F.instance_norm(x, eps=self.eps)
        return normalised * scale[..., None, None] + shift[..., None, None]


class ConvLayer(nn.Module):
    """Convolution with reflection padding; `upsample` repeats pixels first (no checkerboard)."""

    def __init__(
        self, in_nc: int, out_nc: int, kernel: int, stride: int = 1, upsample: int = 1
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.reflection_pad = nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(in_nc, out_nc, kernel, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_nc, H, W) -> (N, out_nc, h, w), h = ceil(H * upsample / stride), w likewise."""
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=self.upsample, mode="nearest")
        return self.conv2d(self.reflection_pad(x))


class StyleResidualBlock(nn.Module):
    """x + F(x), two 3x3 convolutions, no ReLU after the addition."""

    def __init__(self, channels: int, n_styles: int, use_dropout: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = (ConvLayer(channels, channels, 3) for _ in range(2))
        self.in1, self.in2 = (StyleInstanceNorm2d(channels, n_styles) for _ in range(2))
        self.dropout = nn.Dropout(0.5 if use_dropout else 0.0)

    def forward(self, x: torch.Tensor, blend: torch.Tensor | None) -> torch.Tensor:
        """x + F(x), (N, channels, H, W) as x; blend as in StyleInstanceNorm2d."""
        inner = self.dropout(F.relu(self.in1(self.conv1(x), blend)))
        return x + self.in2(self.conv2(inner), blend)


class StyleNet(FeatureNet):
    """Two stride-2 convolutions, five residual blocks, two upsamplings (Johnson, supplement).

    The last convolution is not bounded: cut the output to [-1, 1] to show it. Any size from 8 px;
    the output has the input's.

    Args:
        input_nc, output_nc: channels of the images that go in and come out.
        ngf: channels of the first layer, 32 as published.
        n_styles: styles in one network; see StyleInstanceNorm2d.

    Its layers have the names of its convolutions and blocks: conv1, conv2, conv3, res1 to res5,
    deconv1, deconv2. Features are what these give, before the norm that follows a convolution.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int = 32,
        use_dropout: bool = False,
        n_styles: int = 1,
    ) -> None:
        super().__init__()
        self.n_styles = n_styles
        widths = (ngf, 2 * ngf, 4 * ngf)
        self.conv1 = ConvLayer(input_nc, ngf, 9)
        self.in1 = StyleInstanceNorm2d(ngf, n_styles)
        self.conv2 = ConvLayer(ngf, 2 * ngf, 3, stride=2)
        self.in2 = StyleInstanceNorm2d(2 * ngf, n_styles)
        self.conv3 = ConvLayer(2 * ngf, 4 * ngf, 3, stride=2)
        self.in3 = StyleInstanceNorm2d(4 * ngf, n_styles)
        for number in range(1, 6):
            block = StyleResidualBlock(widths[-1], n_styles, use_dropout)
            setattr(self, f"res{number}", block)
        self.deconv1 = ConvLayer(4 * ngf, 2 * ngf, 3, upsample=2)
        self.in4 = StyleInstanceNorm2d(2 * ngf, n_styles)
        self.deconv2 = ConvLayer(2 * ngf, ngf, 3, upsample=2)
        self.in5 = StyleInstanceNorm2d(ngf, n_styles)
        self.deconv3 = ConvLayer(ngf, output_nc, 9)

    def start_grey(self) -> None:
        """Let drawn weights give mid-grey: from black, the way to a picture is long."""
        nn.init.constant_(self.deconv3.conv2d.bias, 127.5)

    @property
    def feature_layers(self) -> list[Layer]:
        """conv1 to conv3, res1 to res5, deconv1, deconv2."""
        return ["conv1", "conv2", "conv3", *(f"res{n}" for n in range(1, 6)), "deconv1", "deconv2"]

    def forward(
        self,
        image: torch.Tensor,
        layers: Sequence[Layer] = (),
        encode_only: bool = False,
        blend: torch.Tensor | None = None,
    ) -> Result:
        """(N, input_nc, H, W) in [-1, 1] -> (N, output_nc, H, W), about [-1, 1]; with `layers` also
        their features, with `encode_only` these alone (see `models.features`).

        Args:
            blend: (N, n_styles), weights of the styles, each row's sum 1; None: all styles alike.
        """
        height, width = image.shape[-2:]
        if min(height, width) < SMALLEST_PX:
            raise UserError(
                f"an image of {width}x{height} px is too small for this network: accepted are "
                f"sides of {SMALLEST_PX} px and more"
            )
        if blend is None and self.n_styles > 1:
            blend = image.new_full((len(image), self.n_styles), 1 / self.n_styles)
        features = Features(self, layers, encode_only)
        x = (image + 1) * 127.5
        for name in self.feature_layers:
            layer, norm = getattr(self, name), NORM_AFTER.get(name)
            x = features.keep(name, layer(x) if norm else layer(x, blend))
            if features.complete:
                return features.result(x)
            if norm:
                x = F.relu(getattr(self, norm)(x, blend))
        x = self.deconv3(x)[..., :height, :width]  # halving rounds up: cut what is over
        return features.result(x / 127.5 - 1)
