"""What a network must have been, read from the names and shapes of its weights.

Each function takes a state_dict without prefixes and the arguments of one row of GENERATORS or
DISCRIMINATORS, and gives flags that describe the network, without `netG` and `netD`; an empty dict
if it is not of this row. A discriminator's `channels` are those of the images that it sees.
"""

from __future__ import annotations

import re
from typing import Any

from util.lazy import torch

Weights = dict[str, "torch.Tensor"]


def describe_style_net(weights: Weights) -> dict[str, Any]:
    """Of StyleNet, whose layers are called as in PyTorch's fast_neural_style."""
    if not {"conv1.conv2d.weight", "deconv3.conv2d.weight"} <= weights.keys():
        return {}
    first, last = weights["conv1.conv2d.weight"], weights["deconv3.conv2d.weight"]
    return {"norm": "instance", "no_dropout": True, **_channels(first, last.shape[0])}


def describe_resnet(weights: Weights, n_blocks: int, antialias: bool = False) -> dict[str, Any]:
    """Of ResnetGenerator: its blocks are counted, from model.10 on, or model.12 behind blurs."""
    block = "model.12" if antialias else "model.10"
    blurs = {"model.7.filt", "model.11.filt"} if antialias else set()
    if not {"model.1.weight", f"{block}.conv_block.1.weight", *blurs} <= weights.keys():
        return {}
    blocks = {int(m[1]) for m in (re.match(r"model\.(\d+)\.conv_block\.", k) for k in weights) if m}
    last = max(int(m[1]) for m in (re.match(r"model\.(\d+)\.weight", k) for k in weights) if m)
    if len(blocks) != n_blocks:
        return {}
    # reflection, convolution, norm, ReLU, [dropout], reflection, convolution, norm
    second = weights.get(f"{block}.conv_block.6.weight")  # a convolution's only behind a dropout
    return {
        "norm": _norm(weights, "model.2", "model.1"),
        "no_dropout": second is None or second.dim() != 4,
        **_channels(weights["model.1.weight"], weights[f"model.{last}.weight"].shape[0]),
    }


def describe_unet(weights: Weights, num_downs: int) -> dict[str, Any]:
    """Of UnetGenerator: its levels are counted. Dropout leaves no trace: no word of it."""
    if not {"model.model.0.weight", "model.model.3.weight"} <= weights.keys():
        return {}
    if _unet_depth(weights) != num_downs:
        return {}
    return {
        "norm": _norm(weights, "model.model.1.model.2", "model.model.1.model.1"),
        **_channels(weights["model.model.0.weight"], weights["model.model.3.weight"].shape[1]),
    }


def describe_patchgan(
    weights: Weights, n_layers: int | None = None, antialias: bool = False
) -> dict[str, Any]:
    """Of NLayerDiscriminator: after the first convolution each layer takes three places, or four
    with a blur, which the last one before the scores has not."""
    places = [int(m[1]) for m in (re.fullmatch(r"model\.(\d+)\.weight", k) for k in weights) if m]
    first, last = weights.get("model.0.weight"), max(places, default=0)
    each, second = (4, 3) if antialias else (3, 2)
    if first is None or first.dim() != 4 or last % each != 2 or last < each + 2:
        return {}
    if ("model.2.filt" in weights) != antialias:
        return {}
    counted = (last - 2) // each
    if n_layers not in (None, counted):
        return {}
    layers = {"n_layers_D": counted} if n_layers is None else {}
    norm = _norm(weights, f"model.{second + 1}", f"model.{second}")
    return {"ndf": first.shape[0], "norm": norm, "channels": first.shape[1], **layers}


def describe_pixel(weights: Weights) -> dict[str, Any]:
    """Of PixelDiscriminator."""
    if not {"net.0.weight", "net.2.weight", "net.5.weight"} <= weights.keys():
        return {}
    first, norm = weights["net.0.weight"], _norm(weights, "net.3", "net.2")
    return {"ndf": first.shape[0], "norm": norm, "channels": first.shape[1]}


def _channels(first: torch.Tensor, output_nc: int) -> dict[str, int]:
    """From the first convolution's weight (ngf, input_nc, k, k)."""
    return {"ngf": first.shape[0], "input_nc": first.shape[1], "output_nc": output_nc}


def _unet_depth(weights: Weights) -> int:
    """Halvings: each level but the outermost is `.model.<1 or 3>` inside the one before."""
    depth, level = 1, "model.model.1"
    while any(key.startswith(f"{level}.model.") for key in weights):
        depth, level = depth + 1, f"{level}.model.3"
    return depth


def _norm(weights: Weights, norm: str, convolution: str) -> str:
    if f"{norm}.weight" in weights and weights[f"{norm}.weight"].dim() == 1:
        return "batch"
    return "instance" if f"{convolution}.bias" in weights else "none"
