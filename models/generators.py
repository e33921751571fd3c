"""The generators that `--netG` chooses from, and which images they take. Needs no torch.

A plug-in adds one by a file of its own, models/<name>_generator.py; see docs/new_generator.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.architecture import describe_resnet, describe_style_net, describe_unet
from util.checkpoints.weights import without_prefix
from util.errors import UserError
from util.lazy import torch
from util.registry import Entry, Registry, Table

# (state_dict, arguments of the row) -> flags that describe the generator; empty if it is another.
Describe = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Generator(Entry):
    """A row: the class, and what can be known of it before it is built.

    `input_nc, output_nc` go to the class first; `ngf`, `norm_layer` and `use_dropout` if its
    constructor has such parameters.

    Args:
        size_multiple: px; sides of images must be multiples of it.
        smallest_px: sides of images must not be below it.
        norms: values of `--norm` that it accepts; none named: all, though without a `norm_layer`
            they are the discriminator's alone.
        describe: recognises its weights.
    """

    size_multiple: int = 1
    smallest_px: int = 1
    norms: tuple[str, ...] = ()
    describe: Describe | None = None

    @property
    def sides(self) -> tuple[int, int]:
        """(multiple, smallest) px of the sides of images that it takes."""
        return self.size_multiple, max(self.size_multiple, self.smallest_px)

    def sides_with(self, others: tuple[int, int]) -> tuple[int, int]:
        """The `sides` that it takes and other generators as well, which take `others`."""
        multiple, smallest = self.sides
        return math.lcm(multiple, others[0]), max(smallest, others[1])

    def check_norm(self, netG: str, norm: str) -> None:
        """Raise UserError for a norm that this generator, called `netG`, does not accept."""
        if self.norms and norm not in self.norms:
            raise UserError(
                f"--norm {norm}: --netG {netG} has norms of its own; "
                f"accepted: {', '.join(self.norms)}"
            )

    @classmethod
    def of(cls, plugin: type) -> Generator:
        """The row of a plug-in's class, from attributes of it that are called as those here."""
        names = ("size_multiple", "smallest_px", "norms", "describe")
        known = {name: getattr(plugin, name) for name in names if hasattr(plugin, name)}
        return cls(f"{plugin.__module__}:{plugin.__qualname__}", **known)


RESNET, UNET = "models.resnet:ResnetGenerator", "models.unet:UnetGenerator"
# Reflections need at least 2 px after two halvings: from 8 px on.
GENERATORS = Table(
    {
        "resnet_9blocks": Generator(RESNET, {"n_blocks": 9}, 4, 8, describe=describe_resnet),
        "resnet_6blocks": Generator(RESNET, {"n_blocks": 6}, 4, 8, describe=describe_resnet),
        "unet_128": Generator(UNET, {"num_downs": 7}, 128, describe=describe_unet),
        "unet_256": Generator(UNET, {"num_downs": 8}, 256, describe=describe_unet),
        "style_net": Generator(
            "models.style.net:StyleNet", {}, 1, 8, norms=("instance",), describe=describe_style_net
        ),
        "resnet_9blocks_antialias": Generator(
            RESNET, {"n_blocks": 9, "antialias": True}, 4, 8, describe=describe_resnet
        ),
        "resnet_6blocks_antialias": Generator(
            RESNET, {"n_blocks": 6, "antialias": True}, 4, 8, describe=describe_resnet
        ),
    },
    plugins=Registry("models", "generator", base="torch.nn:Module"),
    row_of=Generator.of,
)


def describe_generator(state_dict: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Flags that describe the generator; empty if it is none that we know.

    A U-Net's dropout leaves no trace: `no_dropout` is not among its flags.
    """
    weights = {without_prefix(key): value for key, value in state_dict.items()}
    for name, row in GENERATORS.items():
        flags = row.describe(weights, **row.arguments) if row.describe else {}
        if flags:
            return {"netG": name, **flags}
    return {}


def check_image_sizes(
    sizes: dict[tuple[int, int], str], sides: tuple[int, int], netG: str, preprocess: str
) -> None:
    """Raise UserError for an image that training cannot take.

    Args:
        sizes: (width, height) px -> a file of this size.
        sides: (multiple, smallest) px, as `Generator.sides`.
    """
    multiple, smallest = sides
    for (width, height), path in sizes.items():
        if width % multiple or height % multiple or min(width, height) < smallest:
            raise UserError(
                f"{path}: {width}x{height} px by --preprocess {preprocess}; --netG {netG} trains "
                f"on multiples of {multiple}, from {smallest} px; use a mode with crop"
            )


def check_generator_size(netG: str, size: int, flag: str = "crop_size") -> None:
    """Raise UserError if images of size x size px, from `--<flag>`, do not fit a generator."""
    multiple, smallest = GENERATORS[netG].sides
    if size % multiple or size < smallest:
        near = max(smallest, round(size / multiple) * multiple)
        ours = {name: row.size_multiple for name, row in GENERATORS.data.items()}
        fitting = [name for name, m in ours.items() if m > 1 and size % m == 0 and size >= smallest]
        raise UserError(
            f"--{flag} {size} does not fit --netG {netG}: accepted are multiples of {multiple}"
            + (f" from {smallest} px" if size < smallest else "")
            + f"; use --{flag} {near}"
            + (" (and a --load_size of at least that)" if flag == "crop_size" else "")
            + (f", or --netG {fitting[-1]}" if fitting else "")
        )
