"""The image transformation network of feed-forward style transfer (Johnson et al. 2016).

Layers are named as in PyTorch's fast_neural_style, so that its weights load, and the network works
as that one does inside: on images of [0, 255]. Outside they are in [-1, 1] as everywhere.
"""

import torch
import torch.nn.functional as F
from torch import nn

from models.sizes import SMALLEST_PX
from util.errors import UserError


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
        """Args: x (N, C, H, W); blend (N, n_styles), each row's sum 1 (None with one style)."""
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
        inner = self.dropout(F.relu(self.in1(self.conv1(x), blend)))
        return x + self.in2(self.conv2(inner), blend)


class StyleNet(nn.Module):
    """Two stride-2 convolutions, five residual blocks, two upsamplings (Johnson, supplement).

    The last convolution is not bounded: cut the output to [-1, 1] to show it. Any size from 8 px;
    the output has the input's.

    Args:
        input_nc, output_nc: channels of the images that go in and come out.
        ngf: channels of the first layer, 32 as published.
        n_styles: styles in one network; see StyleInstanceNorm2d.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int = 32,
        norm_layer: object = None,  # it has norm layers of its own
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

    def forward(self, image: torch.Tensor, blend: torch.Tensor | None = None) -> torch.Tensor:
        """Args: image (N, C, H, W) in [-1, 1]; blend (N, n_styles), weights of the styles, each
        row's sum 1; None: all styles alike. Returns: (N, C, H, W), about [-1, 1]."""
        height, width = image.shape[-2:]
        if min(height, width) < SMALLEST_PX:
            raise UserError(
                f"an image of {width}x{height} px is too small for this network: accepted are "
                f"sides of {SMALLEST_PX} px and more"
            )
        if blend is None and self.n_styles > 1:
            blend = image.new_full((len(image), self.n_styles), 1 / self.n_styles)
        x = (image + 1) * 127.5
        for conv, norm in ((self.conv1, self.in1), (self.conv2, self.in2), (self.conv3, self.in3)):
            x = F.relu(norm(conv(x), blend))
        for block in (self.res1, self.res2, self.res3, self.res4, self.res5):
            x = block(x, blend)
        for conv, norm in ((self.deconv1, self.in4), (self.deconv2, self.in5)):
            x = F.relu(norm(conv(x), blend))
        x = self.deconv3(x)[..., :height, :width]  # halving rounds up: cut what is over
        return x / 127.5 - 1
