"""What a generator must have been, read from the names and shapes of its weights."""

from __future__ import annotations

import re
from typing import Any

from util.checkpoints.weights import without_prefix
from util.lazy import torch


def describe_generator(state_dict: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Flags that describe the generator; empty if it is none that we know.

    A U-Net's dropout leaves no trace: `no_dropout` is not among its flags.
    """
    keys = {without_prefix(key): value for key, value in state_dict.items()}
    if "conv1.conv2d.weight" in keys and "deconv3.conv2d.weight" in keys:
        first, last = keys["conv1.conv2d.weight"], keys["deconv3.conv2d.weight"]
        fixed = {"netG": "style_net", "norm": "instance", "no_dropout": True}
        return fixed | _channels(first, last.shape[0])
    if "model.1.weight" in keys and "model.10.conv_block.1.weight" in keys:
        return _resnet(keys)
    if "model.model.0.weight" in keys:
        return _unet(keys)
    return {}


def _channels(first: torch.Tensor, output_nc: int) -> dict[str, int]:
    """From the first convolution's weight (ngf, input_nc, k, k)."""
    return {"ngf": first.shape[0], "input_nc": first.shape[1], "output_nc": output_nc}


def _resnet(keys: dict[str, torch.Tensor]) -> dict[str, Any]:
    blocks = {int(m[1]) for m in (re.match(r"model\.(\d+)\.conv_block\.", k) for k in keys) if m}
    last = max(int(m[1]) for m in (re.match(r"model\.(\d+)\.weight", k) for k in keys) if m)
    if len(blocks) not in (6, 9):
        return {}
    # reflection, convolution, norm, ReLU, [dropout], reflection, convolution, norm
    dropout = "model.10.conv_block.6.weight" in keys and (
        keys["model.10.conv_block.6.weight"].dim() == 4
    )
    return {
        "netG": f"resnet_{len(blocks)}blocks",
        "norm": _norm(keys, "model.2", "model.1"),
        "no_dropout": not dropout,
        **_channels(keys["model.1.weight"], keys[f"model.{last}.weight"].shape[0]),
    }


def _unet(keys: dict[str, torch.Tensor]) -> dict[str, Any]:
    name = {7: "unet_128", 8: "unet_256"}.get(_unet_depth(keys))
    if name is None or "model.model.3.weight" not in keys:
        return {}
    return {
        "netG": name,
        "norm": _norm(keys, "model.model.1.model.2", "model.model.1.model.1"),
        **_channels(keys["model.model.0.weight"], keys["model.model.3.weight"].shape[1]),
    }


def _unet_depth(keys: dict[str, torch.Tensor]) -> int:
    """Halvings: each level but the outermost is `.model.<1 or 3>` inside the one before."""
    depth, level = 1, "model.model.1"
    while any(key.startswith(f"{level}.model.") for key in keys):
        depth, level = depth + 1, f"{level}.model.3"
    return depth


def _norm(keys: dict[str, torch.Tensor], norm: str, convolution: str) -> str:
    if f"{norm}.weight" in keys and keys[f"{norm}.weight"].dim() == 1:
        return "batch"
    return "instance" if f"{convolution}.bias" in keys else "none"
