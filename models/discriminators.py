"""The discriminators that `--netD` chooses from, and which images they take. Needs no torch.

A plug-in adds one by a file of its own, models/<name>_discriminator.py; see docs/new_generator.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.architecture import describe_patchgan, describe_pixel
from util.checkpoints.weights import without_prefix
from util.errors import UserError
from util.registry import Entry, Registry, Table


@dataclass(frozen=True)
class Discriminator(Entry):
    """A row: the class, and what can be known of it before it is built.

    `input_nc` goes to the class first; `ndf`, `norm_layer` and `n_layers` (of `--n_layers_D`) if
    its constructor has such parameters.

    Args:
        smallest_px: sides of images from which a score is left; or a function that gives it, of the
            number of layers.
        describe: recognises its weights.
    """

    smallest_px: int | Callable[[int], int] = 1
    describe: Callable[..., dict[str, Any]] | None = None

    @classmethod
    def of(cls, plugin: type) -> Discriminator:
        """The row of a plug-in's class, with its attribute `smallest_px` if it has one."""
        where = f"{plugin.__module__}:{plugin.__qualname__}"
        return cls(where, smallest_px=getattr(plugin, "smallest_px", 1))


def smallest_of_patchgan(n_layers: int) -> int:
    """px: n_layers halvings, then two 4x4 convolutions of stride 1."""
    return 3 * 2**n_layers


PATCHGAN = "models.patchgan:NLayerDiscriminator"
DISCRIMINATORS = Table(
    {
        "basic": Discriminator(PATCHGAN, {"n_layers": 3}, smallest_of_patchgan, describe_patchgan),
        "n_layers": Discriminator(PATCHGAN, {}, smallest_of_patchgan, describe_patchgan),
        "pixel": Discriminator("models.patchgan:PixelDiscriminator", describe=describe_pixel),
        "basic_antialias": Discriminator(
            PATCHGAN, {"n_layers": 3, "antialias": True}, smallest_of_patchgan, describe_patchgan
        ),
        "n_layers_antialias": Discriminator(
            PATCHGAN, {"antialias": True}, smallest_of_patchgan, describe_patchgan
        ),
    },
    plugins=Registry("models", "discriminator", base="torch.nn:Module"),
    row_of=Discriminator.of,
)


def describe_discriminator(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Flags that describe the discriminator, and the `channels` that it sees; empty if it is none
    that we know."""
    weights = {without_prefix(key): value for key, value in state_dict.items()}
    for name, row in DISCRIMINATORS.items():
        flags = row.describe(weights, **row.arguments) if row.describe else {}
        if flags:
            return {"netD": name, **flags}
    return {}


MOST_LAYERS = 30


def check_discriminator_size(netD: str, n_layers_D: int, size: int) -> None:
    """Raise UserError if a discriminator has no score left for images of size x size px."""
    row = DISCRIMINATORS[netD]
    smallest, of_layers = row.smallest_px, ""
    if callable(smallest):
        n_layers = row.arguments.get("n_layers", n_layers_D)
        if n_layers > MOST_LAYERS:
            raise UserError(
                f"--n_layers_D {n_layers_D}: each layer halves the image; accepted: up to "
                f"{MOST_LAYERS}, which no image is large enough for"
            )
        smallest, of_layers = smallest(n_layers), f" of {n_layers} layers"
    if size < smallest:
        raise UserError(
            f"--crop_size {size} is too small for --netD {netD}{of_layers}: accepted is "
            f"{smallest} and more; or use --netD n_layers with a smaller --n_layers_D"
        )
