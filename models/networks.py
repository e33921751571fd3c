"""Generators, discriminators and the GAN objective, built from plain arguments.

Images are (N, C, H, W) in [-1, 1]. What there is to choose from, and how a plug-in adds to it, is
in generators.py, discriminators.py, losses.py and layers.py; networks have files of their own.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from models.discriminators import DISCRIMINATORS, describe_discriminator
from models.generators import GENERATORS, describe_generator
from models.layers import (  # noqa: F401  (the plug-in contract)
    NormLayer,
    get_norm_layer,
    init_net,
    init_weights,
)
from models.losses import GAN_MODES, cal_gradient_penalty  # noqa: F401  (the plug-in contract)
from models.patchgan import NLayerDiscriminator, PixelDiscriminator  # noqa: F401  (as above)
from models.resnet import ResnetBlock, ResnetGenerator  # noqa: F401  (as above)
from models.schedulers import get_scheduler  # noqa: F401  (as above)
from models.unet import UnetGenerator, UnetSkipConnectionBlock  # noqa: F401  (as above)
from util.errors import choose
from util.machine import check_free_memory

WIDE = 256  # channels of a first layer from which on weights may fill a machine
Identity = nn.Identity  # the reference's name


class GANLoss(nn.Module):
    """The GAN objective of a row of GAN_MODES, with the labels kept out of the models.

    The discriminator must not end in a sigmoid.
    """

    def __init__(
        self, gan_mode: str, target_real_label: float = 1.0, target_fake_label: float = 0.0
    ) -> None:
        super().__init__()
        self.gan_mode, self.loss = gan_mode, choose("gan_mode", gan_mode, GAN_MODES)
        self.labels = {True: target_real_label, False: target_fake_label}

    def forward(self, prediction: torch.Tensor, target_is_real: bool) -> torch.Tensor:
        """A scalar from scores of any shape; the lower, the nearer to the target."""
        is_real = bool(target_is_real)
        return self.loss(prediction, is_real, self.labels[is_real])


def define_G(
    input_nc: int,
    output_nc: int,
    ngf: int,
    netG: str,
    norm: str = "batch",
    use_dropout: bool = False,
    init_type: str = "normal",
    init_gain: float = 0.02,
    gpu_ids: Sequence[int] = (),
    **own: Any,
) -> nn.Module:
    """A generator of GENERATORS with drawn weights: (N, input_nc, H, W) -> (N, output_nc, H, W).

    Args:
        ngf: channels of its first layer.
        norm: of NORMS; use_dropout: for generators that have any.
        init_type: of INIT_TYPES, with the scale init_gain.
        own: arguments that this generator has beyond the others, like style_net's n_styles.

    Raises:
        UserError: an unknown name, or an argument that this generator does not take.
    """
    spec = choose("netG", netG, GENERATORS)
    spec.check_norm(netG, norm)
    flags = {"ngf": ngf, "norm_layer": get_norm_layer(norm), "use_dropout": use_dropout}
    net = spec.build(f"--netG {netG}", (input_nc, output_nc), flags, own)
    return init_net(net, init_type, init_gain, gpu_ids)


def built_if_it_fits(build: Callable[[], nn.Module], width: int, trained: bool) -> nn.Module:
    """The network that `build` makes; a wide one is counted before memory is taken for it.

    Args:
        width: channels of its first layer.
        trained: on the CPU, with gradients and Adam's two moments for each weight.

    Raises:
        MemoryError: its weights take more than there is free.
    """
    if width > WIDE:
        count = 0  # of a network that cannot be made without memory
        with contextlib.suppress(NotImplementedError, RuntimeError), torch.device("meta"):
            count = sum(weight.numel() for weight in build().parameters())
        what = f"a network of {count / 1e6:.0f} M weights"
        check_free_memory((16 if trained else 4) * count, what)
    return build()


def define_D(
    input_nc: int,
    ndf: int,
    netD: str,
    n_layers_D: int = 3,
    norm: str = "batch",
    init_type: str = "normal",
    init_gain: float = 0.02,
    gpu_ids: Sequence[int] = (),
    **own: Any,
) -> nn.Module:
    """A discriminator of DISCRIMINATORS with drawn weights: (N, input_nc, H, W) -> scores.

    Args:
        ndf: channels of its first layer.
        n_layers_D: layers of those that take a number, like n_layers; basic has 3.
        norm, init_type, init_gain, own: as of `define_G`.
    """
    spec = choose("netD", netD, DISCRIMINATORS)
    flags = {"ndf": ndf, "n_layers": n_layers_D, "norm_layer": get_norm_layer(norm)}
    net = spec.build(f"--netD {netD}", (input_nc,), flags, own)
    return init_net(net, init_type, init_gain, gpu_ids)


def differences(own: dict[str, Any], given: dict[str, Any]) -> tuple[str, str]:
    """How weights differ from a network's own, in plain words, e.g. "ngf 32 there, 64 here", and
    the flags of the network that they belong to, e.g. "--ngf 32"; empty where none would help.

    Args:
        own, given: state_dicts.
    """
    kinds = {"generator": describe_generator, "discriminator": describe_discriminator}
    there, here = (
        {kind: flags for kind, describe in kinds.items() if (flags := describe(weights))}
        for weights in (given, own)
    )
    if not there:
        return "it is no generator or discriminator that we know", ""
    kind, flags = next(iter(there.items()))
    told = ", ".join(_in_words(flag, value) for flag, value in flags.items())
    if kind not in here:
        return f"it is a {kind} ({told})", ""
    different = {flag: (value, here[kind][flag]) for flag, value in flags.items()
                 if here[kind].get(flag, value) != value}  # fmt: skip
    if not different:
        return f"it is a {kind} ({told}) of another form", ""
    words = [
        f"{_in_words(flag, a)} there, {_in_words(flag, b) if flag == 'no_dropout' else b} here"
        for flag, (a, b) in different.items()
    ]
    given_flags = {"n_layers_D": flags.get("n_layers_D")} if "netD" in different else {}
    given_flags |= {flag: a for flag, (a, _) in different.items() if flag != "channels"}
    return ", ".join(words), " ".join(
        f"--{flag}" if value is True else f"--{flag} {value}"
        for flag, value in given_flags.items()
        if value not in (None, False)
    )


def _in_words(flag: str, value: Any) -> str:
    if flag == "no_dropout":
        return "no dropout" if value else "dropout"
    return f"{'input channels of D' if flag == 'channels' else flag} {value}"
