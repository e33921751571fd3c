"""A folder as clients of a model hub expect it: config.json, model.safetensors, README.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from models.export import facts
from util import atomic
from util.checkpoints.exports import CONFIG, WEIGHTS
from util.checkpoints.weights import safetensors_bytes

TASK = "image-to-image"
# What a reader asks first, in the order of the card.
TOLD = ("model", "dataset_mode", "direction", "netG", "ngf", "norm", "no_dropout", "input_nc",
        "output_nc", "crop_size", "batch_size", "n_epochs", "n_epochs_decay", "lr", "gan_mode",
        "lambda_L1", "lambda_A", "lambda_B", "lambda_identity", "seed")  # fmt: skip


def write(folder: Path, net: nn.Module, known: Mapping[str, Any], card: str) -> None:
    """The three files, into a folder that is there.

    Args:
        known: for config.json; see `config`.
        card: README.md.
    """
    weights = {name: value.detach().cpu() for name, value in net.state_dict().items()}
    atomic.write(folder / WEIGHTS, safetensors_bytes(weights, {"format": "pt"}))
    content = json.dumps(known, indent=2, ensure_ascii=False)
    atomic.write(folder / CONFIG, content.encode("utf-8", "backslashreplace"))
    atomic.write(folder / "README.md", card.encode("utf-8", "backslashreplace"))


def config(known: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    """What a network is built from again.

    Args:
        known: from `facts.of_run`.
        options: flag -> value, with which the network was loaded.
    """
    named = {name: text for name, text in known.items() if name not in ("options", "run_options")}
    trained = json.loads(known["run_options"])
    used = {flag: options[flag] for flag in ("direction", "input_nc", "output_nc", "netG", "ngf",
                                             "norm", "no_dropout", "dataset_mode")}  # fmt: skip
    if options["model"] != "colorization":
        used.pop("dataset_mode")
    return named | {"options": facts.public(trained | used)}


def card(
    known: Mapping[str, Any], data: str, metrics: Mapping[str, str], samples: list[str],
    licence: str,
) -> str:  # fmt: skip
    """README.md of a model.

    Args:
        known: from `config`.
        data: the name of what it was trained on; empty: unknown.
        metrics: name -> figure, in words.
        samples: files of pictures, input left and translation right.
        licence: an identifier of the hub's, e.g. mit; empty: none was given.
    """
    options, name = known["options"], known["run"]
    kind = str(options.get("model", "image translation"))
    head = ["---", f"license: {licence or 'unknown'}", f"pipeline_tag: {TASK}", "tags:"]
    head += [f"- {tag}" for tag in dict.fromkeys([TASK, "gan", kind.replace("_", "-")])]
    rows = [f"| `{flag}` | {options[flag]} |" for flag in TOLD if flag in options]
    lines = [
        *head, "---", "", f"# {name}", "",
        f"A generator for {TASK} translation, trained as `{kind}`"
        + (f" on `{data}`" if data else "") + f": epoch {known['epoch']}, {known['direction']}.",
        "", "## Use", "", "With the project that it was trained with:", "",
        "```python", "from PIL import Image", "", "from translate import Translator", "",
        "translator = Translator.load(\"path/of/this/folder\")",
        "translation = translator(Image.open(\"photo.jpg\"))", "```", "",
        "## Options", "", "| flag | value |", "|---|---|", *rows, "",
        "All of them are in config.json.", "", "## Figures", "",
    ]  # fmt: skip
    if metrics:
        lines += ["| metric | mean, 95 % interval |", "|---|---|"]
        lines += [f"| {metric} | {figure} |" for metric, figure in metrics.items()]
    else:
        lines += ["None were measured."]
    if samples:
        lines += ["", "## Samples", "", "Input left, translation right.", ""]
        lines += [f"![sample {n}]({file})" for n, file in enumerate(samples, 1)]
    given = f"`{licence}`, as given when this was written." if licence else "None was given."
    lines += [
        "",
        "## Licence",
        "",
        given,
        "",
        f"SHA-256 of the weights: `{known['weights_sha256']}`",
    ]
    return "\n".join(lines) + "\n"
