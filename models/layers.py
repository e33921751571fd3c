"""What all networks are made of: kinds of norms, and ways to draw weights, each by its flag's name.

Reading the names needs no torch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from util.errors import choose
from util.lazy import Lazy, nn, torch

sync_batch_norm = Lazy("models.compute.sync_batch_norm")

NormLayer = Callable[[int], "nn.Module"]  # channels -> layer

# Value of --norm -> a function that gives the NormLayer. Those of batch and instance are partials
# of torch's classes: copied networks ask `norm_layer.func == nn.InstanceNorm2d`.
NORMS: dict[str, Callable[[], NormLayer]] = {
    "batch": lambda: functools.partial(nn.BatchNorm2d, affine=True, track_running_stats=True),
    "instance": lambda: functools.partial(
        nn.InstanceNorm2d, affine=False, track_running_stats=False
    ),
    "syncbatch": lambda: sync_batch_norm.SyncBatchNorm2d,
    "none": lambda: lambda channels: nn.Identity(),
}
# Value of --init_type -> a function that fills a weight in place: (weight, --init_gain).
INIT_TYPES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "normal": lambda weight, gain: nn.init.normal_(weight, 0.0, gain),
    "xavier": lambda weight, gain: nn.init.xavier_normal_(weight, gain=gain),
    "kaiming": lambda weight, gain: nn.init.kaiming_normal_(weight, a=0, mode="fan_in"),
    "orthogonal": lambda weight, gain: nn.init.orthogonal_(weight, gain=gain),
}


def get_norm_layer(norm_type: str = "instance") -> NormLayer:
    """The function that makes a normalisation layer from a number of channels."""
    return choose("norm", norm_type, NORMS)()


def needs_bias(norm_layer: NormLayer) -> bool:
    """Whether the convolution before the norm has a bias; with `none` it has not, as published."""
    return isinstance(norm_layer(1), nn.InstanceNorm2d)


def init_weights(net: nn.Module, init_type: str = "normal", init_gain: float = 0.02) -> None:
    """Draw convolution weights by `init_type`, norm scales from N(1, init_gain), biases 0."""
    draw = choose("init_type", init_type, INIT_TYPES)
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d,
                    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)  # fmt: skip
    for module in net.modules():
        if isinstance(module, (*convolutions, nn.Linear)):
            draw(module.weight, init_gain)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, init_gain)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_net(
    net: nn.Module, init_type: str = "normal", init_gain: float = 0.02, gpu_ids: Sequence[int] = ()
) -> nn.Module:
    """Draw a network's weights; put it on the first of `gpu_ids`, if any (else
    `BaseModel.setup` moves it)."""
    init_weights(net, init_type, init_gain)
    return net.to(f"cuda:{gpu_ids[0]}") if gpu_ids else net
