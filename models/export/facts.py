"""What an export says of itself, as names and texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.compute import norms

# Of the run's options, where its files lie; nobody else has them.
PLACES = (
    "name", "suffix", "dataroot", "checkpoints_dir", "results_dir", "config", "init_from", "pairs",
    "cache_dir", "device", "gpu_ids", "style_image", "perceptual_weights",
)  # fmt: skip


def of_run(
    options: Mapping[str, Any], trained: Mapping[str, Any], net: nn.Module, channels: int,
    floats: bool, licence: str,
) -> dict[str, str]:  # fmt: skip
    """Name -> text.

    Args:
        options: flag -> value, with which the network was loaded.
        trained: the run's own options.
        net: set to test.
        channels: of the pictures that it takes.
        floats: whether these are float32 in [0, 1] instead of uint8.
    """
    model = trained.get("model") or "unknown"
    in_lab = options["dataset_mode"] == "colorization"
    read = {
        "model": "test", "dataset_mode": "single", "direction": options["direction"],
        "input_nc": channels, "output_nc": 3 if in_lab else options["output_nc"],
    }  # fmt: skip
    if options["value_range"] is not None:
        read["value_range"] = list(options["value_range"])
    return {
        "run": options["name"],
        "epoch": options["epoch_label"],
        "model": model,
        "generator": options["netG"],
        "norm": _norm(net, options["norm"]),
        "direction": options["direction"],
        "pictures": "float32, 0 black and 1 white" if floats else "uint8, 0 black and 255 white",
        "license": licence,
        "weights_sha256": digest(net),
        "written_by": f"torch {torch.__version__}",
        "options": json.dumps(read),
        "run_options": json.dumps(public(trained), ensure_ascii=False),
    }


def public(trained: Mapping[str, Any]) -> dict[str, Any]:
    """A run's options without the places of its files; of styles the names, which count them."""
    kept = {flag: value for flag, value in trained.items() if flag not in PLACES}
    if names := [Path(file).name for file in trained.get("style_image") or []]:
        kept["style_image"] = names
    return kept


def _norm(net: nn.Module, name: str) -> str:
    """The kind of norm, and whose statistics it goes by."""
    batch = [layer for layer in net.modules() if norms.is_batch_norm(layer)]
    if not batch:
        return name
    whose = "each image's own" if batch[0].training else "running"
    return f"{name}, {whose} statistics"


def digest(net: nn.Module) -> str:
    """SHA-256 over a network's weights and their names."""
    found = hashlib.sha256()
    for name, value in net.state_dict().items():
        found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
