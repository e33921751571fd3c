"""Frozen image classifiers as judges of pictures: features by name, and losses on them.

Images are (N, 3, H, W) in [-1, 1]; each extractor turns them into what its weights expect.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from util.atomic import refuse_special
from util.checkpoints.weights import as_numbers_of, fit_of, load_state_dict
from util.errors import UserError, choose, did_you_mean
from util.seed import seeded

NETS: dict[str, tuple[Callable[[], nn.Module], torchvision.models.WeightsEnum]] = {
    "vgg16": (torchvision.models.vgg16, torchvision.models.VGG16_Weights.IMAGENET1K_V1),
    "vgg19": (torchvision.models.vgg19, torchvision.models.VGG19_Weights.IMAGENET1K_V1),
    "squeezenet1_0": (
        torchvision.models.squeezenet1_0,
        torchvision.models.SqueezeNet1_0_Weights.IMAGENET1K_V1,
    ),
}
POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class Preprocess(nn.Module):
    """[-1, 1] to the input of a classifier: ((x + 1) / 2 - mean) * scale, channel by channel.

    Args:
        mean, scale: per channel, in the order that the classifier takes.
        bgr: exchange red and blue first.
    """

    def __init__(self, mean: Iterable[float], scale: Iterable[float], bgr: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(list(scale)).view(1, 3, 1, 1))
        self.bgr = bgr

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) in [-1, 1] -> the same shape, in the classifier's range."""
        channels = image.flip(1) if self.bgr else image
        return ((channels + 1) / 2 - self.mean) * self.scale


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_BGR_MEAN = (0.40760392, 0.45795686, 0.48501961)
PREPROCESSES: dict[str, Callable[[], Preprocess]] = {
    "imagenet": lambda: Preprocess(IMAGENET_MEAN, [1 / s for s in IMAGENET_STD]),
    "caffe": lambda: Preprocess(CAFFE_BGR_MEAN, (255.0,) * 3, bgr=True),
    "plain": lambda: Preprocess((0.0,) * 3, (1.0,) * 3),
}


def layer_names(features: nn.Sequential) -> dict[str, int]:
    """Name -> index of the module after which the features are taken.

    VGG: conv1_1, relu1_1, ..., pool1 by block, and conv_1, relu_1, ... counted through.
    SqueezeNet: conv_1, relu_1, pool1, fire2, ..., fire9.
    """
    names, block, in_block, counted, fires = {}, 1, 0, 0, 1
    by_block = not any(type(module).__name__ == "Fire" for module in features)
    for index, module in enumerate(features):
        if isinstance(module, nn.MaxPool2d):
            names[f"pool{block}"] = index
            block, in_block = block + 1, 0
        elif isinstance(module, (nn.Conv2d, nn.ReLU)):
            kind = "relu" if isinstance(module, nn.ReLU) else "conv"
            if kind == "conv":
                in_block, counted = in_block + 1, counted + 1
            names[f"{kind}_{counted}"] = index
            if by_block:
                names[f"{kind}{block}_{in_block}"] = index
        else:
            fires += 1
            names[f"fire{fires}"] = index
    return names


class Extractor(nn.Module):
    """Features of one classifier, frozen.

    Args:
        net: a name in NETS.
        weights: "imagenet" (torchvision's, downloaded once, checked by hash), "random" (drawn from
            `seed`: for tests and ablations) or a file of weights.
        preprocess: "imagenet" (RGB, mean and deviation), "caffe" (BGR, mean, times 255) or
            "plain" ([0, 1]).
        layers: the names to be computed; nothing deeper is.
        pooling: "max" as trained, or "avg" (Gatys et al. 2016, section 2).

    Raises:
        UserError: an unknown name, or weights that cannot be had or do not fit.
    """

    def __init__(
        self,
        net: str,
        weights: str,
        preprocess: str,
        layers: Iterable[str],
        pooling: str = "max",
        seed: int = 0,
    ) -> None:
        super().__init__()
        make, published = choose("perceptual_net", net, NETS)
        drawn = weights == "random"
        with seeded(seed) if drawn else torch.device("meta"):  # numbers that a file brings
            features = make().features
        self.preprocess = choose("perceptual_input", preprocess, PREPROCESSES)()
        self.layers = {name: find_layer(net, features, name) for name in layers}
        if not drawn:
            _fill(features.to_empty(device="cpu"), net, weights, published)
        pool = choose("pooling", pooling, POOLINGS)
        last = max(self.layers.values(), default=-1)
        for index, module in enumerate(features):
            if isinstance(module, nn.ReLU):
                module.inplace = False  # features before a ReLU are asked for too
            elif isinstance(module, nn.MaxPool2d) and pooling != "max":
                features[index] = pool(
                    module.kernel_size, module.stride, ceil_mode=module.ceil_mode
                )
        self.features = features[: last + 1].eval().requires_grad_(False)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Args: image (N, 3, H, W) in [-1, 1]. Returns: layer -> features (N, C, h, w)."""
        x, found = self.preprocess(image), {}
        for index, module in enumerate(self.features):
            if _side(x) < _smallest_input(module):
                height, width = image.shape[-2:]
                raise UserError(
                    f"an image of {width}x{height} px is too small for the layer "
                    f"{self._next(index)}; use a larger one, or earlier layers"
                )
            x = module(x)
            found |= {name: x for name, at in self.layers.items() if at == index}
        return found

    def _next(self, index: int) -> str:
        """The first of the asked-for layers at or after a module."""
        return min((at, name) for name, at in self.layers.items() if at >= index)[1]

    def train(self, mode: bool = True) -> "Extractor":
        """Stays as it is: a judge does not learn."""
        return super().train(False)


def _side(x: torch.Tensor) -> int:
    return min(x.shape[-2:])


def _smallest_input(module: nn.Module) -> int:
    """px that the shorter side must have."""
    kernel, padding = getattr(module, "kernel_size", 1), getattr(module, "padding", 0)
    kernel, padding = (v[0] if isinstance(v, tuple) else v for v in (kernel, padding))
    return max(1, kernel - 2 * padding)


def find_layer(net: str, features: nn.Sequential, name: str) -> int:
    """Index of a layer; UserError with the accepted names if there is none."""
    names = layer_names(features)
    if name not in names:
        raise UserError(
            f"layer {name!r}: not in --perceptual_net {net}; accepted: {', '.join(names)}"
            + did_you_mean(name, names)
        )
    return names[name]


def layer_channels(net: str, layers: Iterable[str]) -> dict[str, int]:
    """Layer -> channels of its features; UserError for the first name that there is not."""
    make, _ = choose("perceptual_net", net, NETS)
    with torch.device("meta"):  # shapes only
        features = make().features
        places = {name: find_layer(net, features, name) for name in layers}
        x, channels = torch.empty(1, 3, 256, 256), []
        for module in features:
            x = module(x)
            channels.append(x.shape[1])
    return {name: channels[place] for name, place in places.items()}


def check_weights(weights: str) -> None:
    """Raise UserError unless `--perceptual_weights` names a source that there is."""
    if weights in ("imagenet", "random"):
        return
    refuse_special(weights, "perceptual_weights")
    if not Path(weights).is_file():
        raise UserError(
            f"--perceptual_weights {weights}: no such file; accepted: imagenet, random, or a file"
        )


def _fill(features: nn.Module, net: str, weights: str, published) -> None:
    """Load weights into the convolutional part of a classifier."""

    def fit(given: dict) -> int:
        return fit_of(features, _as_torchvision(given, features))

    check_weights(weights)
    if weights == "imagenet":
        state_dict, where = _download(net, published), "imagenet"
    else:
        state_dict, where = load_state_dict(Path(weights), score=fit), weights
    state_dict, own = _as_torchvision(state_dict, features), features.state_dict()
    same = own.keys() == state_dict.keys()
    if not same or any(own[key].shape != state_dict[key].shape for key in own):
        raise UserError(
            f"--perceptual_weights {where}: not weights of {net}; choose the --perceptual_net "
            f"({', '.join(NETS)}) that they belong to"
        )
    features.load_state_dict(as_numbers_of(features, state_dict, Path(where), finite=True))


def _as_torchvision(state_dict: dict, features: nn.Sequential) -> dict:
    """Keys of the convolutional part, from a whole classifier's or from those of the file that
    Gatys et al. published (conv1_1.weight)."""
    if any(key.startswith("features.") for key in state_dict):
        inside = {key: value for key, value in state_dict.items() if key.startswith("features.")}
        return {key.removeprefix("features."): value for key, value in inside.items()}
    places, renamed = layer_names(features), {}
    for key, value in state_dict.items():
        layer, _, leaf = key.rpartition(".")
        renamed[f"{places.get(layer, layer)}.{leaf}"] = value
    return renamed


def _download(net: str, published: torchvision.models.WeightsEnum) -> dict:
    """torchvision's weights, from its cache or the net."""
    name = published.url.rsplit("/", 1)[1]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        return published.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"--perceptual_weights imagenet: {net} cannot be downloaded ({error}); put {name} "
            f"from {published.url} into {folder}, or give a file of it"
        ) from None


GRAM_NORMS: dict[str, Callable[[int, int, int, int], int]] = {
    "hw": lambda n, c, h, w: h * w,
    "chw": lambda n, c, h, w: c * h * w,
    "nchw": lambda n, c, h, w: n * c * h * w,
}


def gram_matrix(features: torch.Tensor, norm: str = "hw") -> torch.Tensor:
    """Which channels are active together: (N, C, H, W) -> (N, C, C) (Gatys et al., equation 3).

    Args:
        norm: what the sum over the pixels is divided by: "hw", "chw" or "nchw".
    """
    n, c, h, w = features.shape
    flat = features.reshape(n, c, h * w)
    return flat @ flat.transpose(1, 2) / GRAM_NORMS[norm](n, c, h, w)


class ContentLoss(nn.Module):
    """weight * mean square distance of features (Gatys et al. 2016, equation 1, as a mean)."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """A scalar, of two (N, C, H, W)."""
        return self.weight * F.mse_loss(features, target)


class GramLoss(nn.Module):
    """weight * mean square distance of Gram matrices (Gatys et al. 2016, equation 4, as a mean)."""

    def __init__(self, weight: float, norm: str) -> None:
        super().__init__()
        self.weight, self.norm = weight, norm

    def forward(self, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Args: target: Gram matrices (N or 1, C, C)."""
        gram = gram_matrix(features, self.norm)
        return self.weight * F.mse_loss(gram, target.expand_as(gram))


class TotalVariationLoss(nn.Module):
    """weight * mean square difference of neighbouring pixels (Mahendran and Vedaldi 2015)."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """A scalar, of (N, C, H, W)."""
        return self.weight * (image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean())
