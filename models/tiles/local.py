"""Which part of its inputs a step needs for a part of its output, and how it is computed.

A part is a `Region`, rows and columns of an image. forms.py says which function of torch has which
of these forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

Span = tuple[int, int]  # from the first to behind the last


class Region(NamedTuple):
    """A part of an image, px: rows top to bottom - 1, columns left to right - 1."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def spans(self) -> tuple[Span, Span]:
        """Of the rows, of the columns."""
        return self[:2], self[2:]

    @property
    def px(self) -> int:
        """Pixels in it."""
        return (self.bottom - self.top) * (self.right - self.left)

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Region:
        """All of an image (1, C, H, W)."""
        return cls(0, shape[-2], 0, shape[-1])

    def united(self, other: Region) -> Region:
        """The smallest region that holds both."""
        return Region(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )

    def common(self, other: Region) -> Region:
        """What both hold; without pixels if that is nothing."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Region(top, max(top, bottom), left, max(left, right))

    def cut(self, tile: torch.Tensor, wanted: Region) -> torch.Tensor:
        """The wanted part of a tile (1, C, h, w) that shows this region."""
        rows = slice(wanted.top - self.top, wanted.bottom - self.top)
        return tile[..., rows, wanted.left - self.left : wanted.right - self.left]


class Local:
    """A step on parts. As it stands: each pixel of the output follows from the same pixel of each
    input (activations, sums, channels put together)."""

    work = 0.0  # multiplications for a pixel of the output, of convolutions

    def __init__(self, compute: Callable[..., torch.Tensor]) -> None:
        self.compute = compute

    def needs(self, region: Region) -> Region:
        """The part of the inputs that a part of the output follows from."""
        return region

    def run(self, tiles: list[torch.Tensor], region: Region, extra: Any) -> torch.Tensor:
        """A part of the output.

        Args:
            tiles: `needs(region)` of each input, (1, C, h, w).
            region: of the output.
            extra: what belongs to the whole image, of `Norm` and `Noise`.
        """
        return self.compute(*tiles)


class Norm(Local):
    """Instance norm, group norm, and batch norm by the image's own statistics: a pixel's value, and
    mean and variance of all of its channel, or of some channels together.

    Args:
        weight, bias: (C,) or None.
        eps: as of torch's norms.
        groups: of channels that are normalised together; 0: each by itself.
    """

    def __init__(
        self, weight: torch.Tensor | None, bias: torch.Tensor | None, eps: float, groups: int = 0
    ) -> None:
        self.weight, self.bias, self.eps, self.groups = weight, bias, eps, groups

    def run(self, tiles: list[torch.Tensor], region: Region, extra: Any) -> torch.Tensor:
        """`extra` is (mean, variance) of the whole input, (C,) each."""
        mean, variance = extra
        if self.groups:
            means, squares = mean.view(self.groups, -1), (variance + mean.square())
            common = means.double().mean(1, keepdim=True)
            spread = squares.view(self.groups, -1).double().mean(1, keepdim=True) - common.square()
            mean, variance = (
                each.expand_as(means).flatten().to(mean) for each in (common, spread.clamp(min=0))
            )
        x = tiles[0].float()  # as torch's norms in half precision
        return F.batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, self.eps)


class Noise(Local):
    """Dropout at work: its noise is drawn for the whole image at once, and kept as bits.

    Args:
        p: probability of zero.
        draw: (1, C, H, W) -> ones and zeros, (1, c, H, W) of some channels after the other; all
            but the last have a multiple of 8.
    """

    def __init__(self, p: float, draw: Callable[[Sequence[int]], Iterable[torch.Tensor]]) -> None:
        self.p, self.draw = p, draw

    def bits(self, shape: Sequence[int]) -> np.ndarray:
        """The noise of an image (1, C, H, W), as bytes (H, W, C / 8)."""
        groups = (group[0].permute(1, 2, 0).cpu().numpy() > 0 for group in self.draw(shape))
        return np.concatenate([np.packbits(group, axis=-1) for group in groups], axis=-1)

    def run(self, tiles: list[torch.Tensor], region: Region, extra: Any) -> torch.Tensor:
        """`extra` is what `bits` gave."""
        tile = tiles[0]
        bits = extra[region.top : region.bottom, region.left : region.right]
        noise = torch.from_numpy(np.unpackbits(bits, axis=-1, count=tile.shape[1]))
        return tile * noise.permute(2, 0, 1)[None].to(tile).div_(1 - self.p)


class Window(Local):
    """Convolutions and poolings: a pixel follows from a window of the input.

    Args:
        compute: takes a tile, padded already.
        kernel, stride, padding, dilation: px, (of the rows, of the columns).
        size: (H, W) of the input, px.
    """

    def __init__(
        self, compute: Callable[[torch.Tensor], torch.Tensor], kernel: Sequence[int],
        stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], size: Sequence[int],
    ) -> None:  # fmt: skip
        super().__init__(compute)
        self.axes = list(zip(kernel, stride, padding, dilation, size, strict=True))

    def _window(self, region: Region) -> list[Span]:
        spans = []
        for (low, high), (kernel, stride, padding, dilation, _) in zip(
            region.spans, self.axes, strict=True
        ):
            last = (high - 1) * stride - padding + (kernel - 1) * dilation
            spans.append((low * stride - padding, last + 1))
        return spans

    def needs(self, region: Region) -> Region:
        """The window, as far as it lies in the image."""
        sides = [
            min(max(side, 0), axis[-1])
            for span, axis in zip(self._window(region), self.axes, strict=True)
            for side in span
        ]
        return Region(*sides)

    def run(self, tiles: list[torch.Tensor], region: Region, extra: Any) -> torch.Tensor:
        """Zeros stand where the window lies outside of the image."""
        (top, bottom), (left, right) = self._window(region)
        have = self.needs(region)
        edges = (have.left - left, right - have.right, have.top - top, bottom - have.bottom)
        return self.compute(F.pad(tiles[0], edges) if any(edges) else tiles[0])


class Spread(Local):
    """Transposed convolutions: each pixel of the input is spread over a window of the output.

    Args:
        compute: takes a tile and `output_padding`; computes without padding.
        kernel, stride, padding, dilation: px, (of the rows, of the columns).
        size: (H, W) of the input, px.
    """

    def __init__(
        self, compute: Callable[..., torch.Tensor], kernel: Sequence[int], stride: Sequence[int],
        padding: Sequence[int], dilation: Sequence[int], size: Sequence[int],
    ) -> None:  # fmt: skip
        super().__init__(compute)
        self.axes = list(zip(kernel, stride, padding, dilation, size, strict=True))

    def needs(self, region: Region) -> Region:
        """Every pixel that reaches into the region."""
        sides = []
        for (low, high), (kernel, stride, padding, dilation, size) in zip(
            region.spans, self.axes, strict=True
        ):
            first = -(-(low + padding - (kernel - 1) * dilation) // stride)
            last = (high - 1 + padding) // stride + 1
            sides += [min(max(first, 0), size - 1), min(max(last, 1), size)]
        return Region(*sides)

    def run(self, tiles: list[torch.Tensor], region: Region, extra: Any) -> torch.Tensor:
        """The region's part of what the pixels are spread over."""
        starts, missing = [], []
        needed = self.needs(region)
        for (low, high), (first, last), (kernel, stride, padding, dilation, _) in zip(
            region.spans, needed.spans, self.axes, strict=True
        ):
            starts.append(low + padding - first * stride)
            length = (last - first - 1) * stride + (kernel - 1) * dilation + 1
            missing.append(max(0, starts[-1] + high - low - length))
        spread = self.compute(tiles[0], missing)
        rows = slice(starts[0], starts[0] + region.bottom - region.top)
        return spread[..., rows, starts[1] : starts[1] + region.right - region.left]


class Picked(Local):
    """Mirrored and repeated edges, enlarging by repetition, cuts: each pixel of the output is a
    pixel of the input.

    Args:
        rows, columns: for each of the output's the input's, (H,) and (W,).
    """

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor) -> None:
        self.places = rows, columns

    def needs(self, region: Region) -> Region:
        """From the first to the last that is picked."""
        sides = []
        for (low, high), places in zip(region.spans, self.places, strict=True):
            part = places[low:high]
            sides += [int(part.min()), int(part.max()) + 1]
        return Region(*sides)

    def run(self, tiles: list[torch.Tensor], region: Region, extra: Any) -> torch.Tensor:
        """The picked pixels."""
        tile = tiles[0].permute(0, 2, 3, 1)  # selecting is faster where channels lie together
        for dim, (low, high), places, start in zip(
            (1, 2), region.spans, self.places, self.needs(region)[::2], strict=True
        ):
            part = places[low:high] - start
            if len(part) != tile.shape[dim] or not torch.equal(part, torch.arange(len(part))):
                tile = tile.index_select(dim, part.to(tile.device))
        return tile.permute(0, 3, 1, 2)


class Shuffled(Local):
    """Pixel shuffle: channels become pixels, `factor` times as many in each direction."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def needs(self, region: Region) -> Region:
        """The pixels that hold the region's."""
        f, (top, bottom, left, right) = self.factor, region
        return Region(top // f, -(-bottom // f), left // f, -(-right // f))

    def run(self, tiles: list[torch.Tensor], region: Region, extra: Any) -> torch.Tensor:
        """Shuffled, and cut to the region."""
        have = Region(*(side * self.factor for side in self.needs(region)))
        return have.cut(F.pixel_shuffle(tiles[0], self.factor), region)
