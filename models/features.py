"""What a network computes on its way, asked for by the names of its layers.

    output, features = net(image, layers=[0, 4, 7])
    features = net(image, layers=[0, 4, 7], encode_only=True)

The second stops after the last of these layers. Both go through the `__call__` of `net(image)`:
number formats, fp16's loss scale and torch.compile hold for features as they do for the output.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call

from util.errors import UserError, did_you_mean

Layer = int | str  # the name of a layer within its network
# What a forward gives: the output, or (output, features), or features alone with encode_only.
Result = torch.Tensor | tuple[torch.Tensor, list[torch.Tensor]] | list[torch.Tensor]


class Features:
    """Collects the features that were asked for while a forward computes layer after layer.

    Args:
        net: the network, whose `feature_layers` may be asked for.
        layers: those that are.
        encode_only: whether the forward ends when it has them all.

    Raises:
        UserError: an unknown name, or `encode_only` without a layer to stop at.
    """

    def __init__(
        self, net: "FeatureNet", layers: Sequence[Layer], encode_only: bool = False
    ) -> None:
        for layer in layers:
            if layer not in (known := net.feature_layers):
                near = did_you_mean(str(layer), map(str, known))
                raise UserError(
                    f"no layer {layer!r} in {type(net).__name__}; accepted: "
                    f"{', '.join(map(str, known))}{near}"
                )
        if encode_only and not layers:
            raise UserError("encode_only stops at the last of `layers`, but none is named")
        self.layers, self.encode_only = layers, encode_only
        self.found: dict[Layer, torch.Tensor] = {}

    def keep(self, layer: Layer, x: torch.Tensor, before: nn.Module | None = None) -> torch.Tensor:
        """Take note of what a layer gave, if it was asked for; returns x.

        Args:
            before: the layer that is computed next. If it works in place, a copy is kept.
        """
        if layer in self.layers:
            self.found[layer] = x
            if _works_in_place(before) and not self.complete:
                self.found[layer] = x.clone()
        return x

    @property
    def complete(self) -> bool:
        """Whether the forward may end here."""
        return self.encode_only and all(layer in self.found for layer in self.layers)

    def run(self, layers: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
        """`layers(x)`, whose layers are named by their indices, as in `layers[i]`."""
        if not self.layers:
            return layers(x)
        for index, layer in enumerate(layers):
            following = layers[index + 1] if index + 1 < len(layers) else None
            x = self.keep(index, layer(x), following)
            if self.complete:
                break
        return x

    def result(self, output: torch.Tensor) -> Result:
        """What the forward returns; features in the order in which they were asked for."""
        if not self.layers:
            return output
        features = [self.found[layer] for layer in self.layers]
        return features if self.encode_only else (output, features)


def _works_in_place(layer: nn.Module | None) -> bool:
    """Whether a layer, or the first one in it, writes its output over its input."""
    if layer is None:
        return False
    first = next(m for m in layer.modules() if not any(True for _ in m.children()))
    return getattr(first, "inplace", False)


class FeatureNet(nn.Module):
    """A network that gives features: `forward(image, layers=(), encode_only=False)`.

    Extend it, name the layers in `feature_layers`, and collect them in `forward` by `Features`.

    Attributes:
        contrast_layers: those at which contrastive methods like CUT compare input and output unless
            they are told which; none: they have to be told.
    """

    contrast_layers: Sequence[Layer] = ()

    @property
    def feature_layers(self) -> list[Layer]:
        """Names of all layers that `layers` may hold, in the order in which they are computed."""
        raise NotImplementedError(f"{type(self).__name__} names no feature_layers")

    def feature_shapes(
        self, channels: int, height: int, width: int, layers: Sequence[Layer] | None = None
    ) -> dict[Layer, torch.Size]:
        """Layer -> shape (C, h, w) of its features, for one image of this shape in px.

        Nothing is computed, drawn or changed: shapes are followed on torch's meta device.

        Args:
            layers: those of interest; all if None.

        Raises:
            UserError: a layer that this network does not have.
        """
        layers = self.feature_layers if layers is None else list(layers)
        state = dict(self.named_parameters(prefix="net")) | dict(self.named_buffers(prefix="net"))
        state = {name: tensor.to("meta") for name, tensor in state.items()}
        image = torch.empty(1, channels, height, width, device="meta")
        with torch.no_grad():
            _, features = functional_call(_AsWritten(self), state, (image, layers))
        return {layer: x.shape[1:] for layer, x in zip(layers, features, strict=True)}


class ChainNet(FeatureNet):
    """A network that is one chain of layers, an `nn.Sequential`; its layers are named by their
    indices in the chain.

    Attributes:
        chain: the name of the attribute that holds it, which its state_dict keys begin with.
    """

    chain = "model"

    @property
    def feature_layers(self) -> list[Layer]:
        """Indices of the chain, from 0."""
        return list(range(len(getattr(self, self.chain))))

    def forward(
        self, image: torch.Tensor, layers: Sequence[Layer] = (), encode_only: bool = False
    ) -> Result:
        """(N, C, H, W) -> what the class says; with `layers` also their features, with
        `encode_only` these alone."""
        features = Features(self, layers, encode_only)
        return features.result(features.run(getattr(self, self.chain), image))


class _AsWritten(nn.Module):
    """A network's forward as its class has it, whatever number format it was told to use."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor, layers: Sequence[Layer]) -> Result:
        """(N, C, H, W) -> (output, features of `layers`)."""
        return type(self.net).forward(self.net, image, layers)
