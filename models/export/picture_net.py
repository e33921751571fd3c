"""A generator with all that is around it, from a picture's bytes to a picture's bytes, in a form
that torch.export takes down for pictures of any size and number."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import nn

from models.compute import configure
from models.export.colour import LabAround

MOST_PX = 2**20  # of a side; a bound that torch.export can reason with


class PictureNet(nn.Module):
    """Pictures (N, H, W, input_nc) -> (pictures, values), both (N, H, W, output_nc).

    Pictures are uint8, or float32 in [0, 1] where the file is to take those. `values` are float32,
    0 black and 1 white, neither rounded nor cut, so that nothing of a deeper picture is lost.

    Args:
        around: pictures (N, C, H, W) in [0, 1] -> about [-1, 1], by a network.
        sides: (multiple, smallest) px of the sides that this takes.
        floats: whether the pictures that come in are float32.
    """

    def __init__(
        self, around: Around | LabAround, sides: tuple[int, int], floats: bool = False
    ) -> None:
        super().__init__()
        self.around = around
        self.multiple, self.smallest = sides
        self.floats = floats

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As above; the first is of the type that came in."""
        height, width = pictures.shape[1:3]
        rows, columns = self._padded(height), self._padded(width)
        padded = pictures.index_select(1, _mirrored(height, rows))
        padded = padded.index_select(2, _mirrored(width, columns)).permute(0, 3, 1, 2)
        unit = padded if self.floats else padded.to(torch.float32) / 255
        made = self.around(unit)
        made = made.index_select(2, torch.arange(height) + (rows - height) // 2)
        made = made.index_select(3, torch.arange(width) + (columns - width) // 2)
        values = ((made + 1) / 2).permute(0, 2, 3, 1)
        if self.floats:
            return values.clamp(0, 1), values
        return (values * 255).round().clamp(0, 255).to(torch.uint8), values

    def _padded(self, side: int) -> int:
        """The side that the network takes, px. It is read back from a tensor: torch.export then
        reasons with a multiple of a number of its own, instead of with divisions of divisions."""
        given = torch.scalar_tensor(side, dtype=torch.int64)
        count = ((given.clamp(min=self.smallest) + self.multiple - 1) // self.multiple).item()
        torch._check(count >= max(1, self.smallest // self.multiple))
        torch._check(count <= MOST_PX // self.multiple)
        return count * self.multiple


class Around(nn.Module):
    """A network on images (N, C, H, W) in [0, 1] -> about [-1, 1].

    Args:
        net: takes images in [-1, 1].
        options: further arguments of its forward, tensors (1, ...), alike for all images.
        finish: as of `models.translation.OneNetwork`.
    """

    def __init__(
        self, net: nn.Module, options: Mapping[str, torch.Tensor] | None = None,
        finish: Callable = lambda given, made: made,
    ) -> None:  # fmt: skip
        super().__init__()
        self.net, self.finish, self.options = net, finish, list(options or {})
        for name, value in (options or {}).items():
            self.register_buffer(name, value.cpu())

    def forward(self, unit: torch.Tensor) -> torch.Tensor:
        """Scaled as `util.images.picture.in_range` does."""
        given = (unit - 0.5) * 2
        count = unit.shape[0]  # len() would make it a constant
        options = {name: getattr(self, name).expand(count, -1) for name in self.options}
        return self.finish(lambda: given, self.net(given, **options))


def _mirrored(side: int, padded: int) -> torch.Tensor:
    """`models.padding` in tensors: which of `side` places each of `padded` places shows."""
    period = (2 * (torch.scalar_tensor(side, dtype=torch.int64) - 1)).clamp(min=1)
    places = torch.remainder(torch.arange(padded) - (padded - side) // 2, period)
    return torch.minimum(places, period - places)


def exportable(net: nn.Module) -> nn.Module:
    """A copy of a network, on the CPU, that computes by layers which every runtime knows: norms as
    test has them, no noise, gradients or forms of this machine."""
    plain = copy.deepcopy(net).to("cpu", torch.float32)
    configure.undo(plain)
    configure.exchange_layers(plain, "export")
    return plain.requires_grad_(False)
