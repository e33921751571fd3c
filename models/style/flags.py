"""The flags of style and neural_style: published settings, and what they leave to decide."""

import argparse
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from models.style import perceptual
from util.errors import UserError
from util.images.read import load_given

# Names that flags choose from, of tables in perceptual.py, which needs torch.
NETS = ("vgg16", "vgg19", "squeezenet1_0")
PREPROCESSES = ("imagenet", "caffe", "plain")
POOLINGS = ("max", "avg")
GRAM_NORMS = ("hw", "chw", "nchw")
# Of both models' losses, for `BaseModel.loss_help`.
LOSS_HELP = {
    "content": "Distance from the content image in the classifier's features. Rises from 0 as the "
    "style comes in, or falls to a plateau.",
    "style_*": "Distance from the style's Gram matrix in one layer; all should fall, the shallow "
    "layers (colour, grain) first.",
    "tv": "Roughness between neighbouring pixels; falls when noise goes.",
    "total": "The sum that is minimised.",
}


@dataclass(frozen=True)
class Preset:
    """A published setting; the fields but `layer_weight` are flags of the same names."""

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    layer_weight: Callable[[str, int], float]  # a style layer and its channels -> its weight
    gram_norm: str
    perceptual_input: str
    content_weight: float = 1.0
    style_weight: float = 1.0
    n_evaluations: int = 500
    clamp: bool = False


# To one order of magnitude: SqueezeNet's features differ much in size from layer to layer.
SQUEEZENET_WEIGHTS = {"relu_1": 0.5, "fire3": 1e-3, "fire5": 1e-3, "fire8": 20.0}

PRESETS = {
    # Gatys et al. 2016, L-BFGS on a BGR picture of 255 levels. The figures we compare with were
    # taken at conv4_2 and conv4_4, where the authors' code has relu4_2 and relu5_1.
    "gatys": Preset(
        ("conv4_2",), ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "conv4_4"),
        lambda layer, channels: 1000 / channels**2, "hw", "caffe",
    ),
    # PyTorch's tutorial: features before the ReLU, both Gram matrices times 1000.
    "tutorial": Preset(
        ("conv_4",), ("conv_1", "conv_2", "conv_3", "conv_4", "conv_5"),
        lambda layer, channels: 1000.0**2, "nchw", "plain", n_evaluations=300, clamp=True,
    ),
    # Johnson et al. 2016 as in PyTorch's fast_neural_style.
    "johnson": Preset(
        ("relu2_2",), ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        lambda layer, channels: 1.0, "chw", "imagenet", content_weight=1e5, style_weight=1e10,
    ),
    # Ours, chosen by eye: a small network for machines without VGG's weights.
    "squeezenet": Preset(
        ("fire5",), ("relu_1", "fire3", "fire5", "fire8"),
        lambda layer, channels: SQUEEZENET_WEIGHTS.get(layer, 1e-3), "chw", "imagenet",
        content_weight=2e-4,
    ),
}  # fmt: skip
# A network does not start from the content, as an optimised picture does: it has to be held to it.
PRESETS["squeezenet_net"] = replace(PRESETS["squeezenet"], content_weight=5e-3)
SMALL_PRESETS = {"gatys": "squeezenet", "johnson": "squeezenet_net"}  # usual one -> SqueezeNet's


def term_weights(flags: dict[str, Any]) -> dict[str, float]:
    """What completed flags multiply each term of the objective by; see `settings`."""
    layers = zip(flags["style_layers"], flags["style_layer_weights"], strict=True)
    styles = {f"style_{layer}": weight * flags["style_weight"] for layer, weight in layers}
    smooth = {"tv": flags["tv_weight"]} if flags["tv_weight"] else {}
    return {"content": flags["content_weight"]} | styles | smooth


def add_style_flags(parser: argparse.ArgumentParser, is_train: bool, preset: str) -> None:
    """The flags of both style models.

    Args:
        preset: the setting that is usual for the model; the flags that it decides have no default.
    """
    add = parser.add_argument
    # fmt: off
    add("--style_image", nargs="+", default=[], metavar="FILE", help="the style's picture(s)")
    if not is_train:
        return
    add = functools.partial(add, life="run")
    add("--style_size", type=int, default=0, metavar="PX",
        help="scale the style image's longer side to this; 0: see docs/style.md")
    add("--style_preset", choices=list(PRESETS),
        help="a published setting, which the flags below may change in part; if absent: "
        f"{preset}, with --perceptual_net squeezenet1_0 {SMALL_PRESETS[preset]}")
    add("--perceptual_net", default="vgg16", choices=NETS,
        help="the classifier that judges")
    add("--perceptual_weights", default="imagenet",
        help="imagenet (downloaded once), a file, or random (for tests and ablations)")
    add("--perceptual_input", choices=PREPROCESSES,
        help="what the classifier is fed: RGB by ImageNet's mean and deviation, Caffe's BGR minus "
        "mean times 255, or plain [0, 1]; by preset")
    add("--pooling", default="max", choices=POOLINGS,
        counts_with={"perceptual_net": ("vgg16", "vgg19")}, help="of VGG")
    add("--content_layers", nargs="+", help="compared as they are; by preset")
    add("--style_layers", nargs="+", help="compared by Gram matrices; by preset")
    add("--style_layer_weights", nargs="+", type=float, help="one for each style layer; by preset")
    add("--gram_norm", choices=GRAM_NORMS,
        help="what Gram matrices are divided by (c channels, h x w px, n images); by preset")
    add("--content_weight", type=float, help="of the content; by preset")
    add("--style_weight", type=float, help="of all style layers; by preset")
    add("--tv_weight", type=float, default=0.0, help="of the total variation (smoothness)")
    # fmt: on


def settings(flags: dict[str, Any], usual: str) -> dict[str, Any]:
    """The values of those flags that the preset decides, once all flags are found in order.

    Args:
        flags: flag -> value of a training, None where nothing was given.
        usual: the model's usual preset.

    Raises:
        UserError: no style image, or one that cannot be read; unknown layers; weights missing.
    """
    net = flags["perceptual_net"]
    small = net == "squeezenet1_0"
    name = flags["style_preset"] or (SMALL_PRESETS[usual] if small else usual)
    preset = PRESETS[name]
    decided = {field.name: getattr(preset, field.name) for field in fields(preset)}
    decided = {k: list(v) if type(v) is tuple else v for k, v in decided.items() if k in flags}
    chosen = {k: v if flags[k] is None else flags[k] for k, v in decided.items()}
    chosen["style_preset"] = name
    channels = perceptual.layer_channels(net, chosen["content_layers"] + chosen["style_layers"])
    weights = flags["style_layer_weights"]
    if weights is None:
        weights = [preset.layer_weight(layer, channels[layer]) for layer in chosen["style_layers"]]
    if len(weights) != len(chosen["style_layers"]):
        raise UserError(
            f"--style_layer_weights: {len(weights)} given for {len(chosen['style_layers'])} style "
            f"layers ({', '.join(chosen['style_layers'])}); give one for each"
        )
    for flag in ("content_layers", "style_layers"):
        if len(set(chosen[flag])) < len(chosen[flag]):
            raise UserError(f"--{flag} {' '.join(chosen[flag])}: accepted: each layer once")
    if not all(0 <= weight < math.inf for weight in weights):
        raise UserError(f"--style_layer_weights {weights}: accepted: numbers from 0 up")
    for flag in ("style_size", "content_weight", "style_weight", "tv_weight"):
        value = chosen.get(flag, flags[flag])
        if not 0 <= value < math.inf:
            raise UserError(f"--{flag} {value}: accepted: a number from 0 up")
    if not flags["style_image"]:
        raise UserError("--style_image is needed: the file of the style's picture, or several")
    for file in flags["style_image"]:
        load_given("style_image", file)
    perceptual.check_weights(flags["perceptual_weights"])
    return chosen | {"style_layer_weights": weights}
