"""Whether images fit the networks."""

from util.errors import UserError

SMALLEST_PX = 8  # of style_net: its reflections need at least 2 px after two halvings

SIZE_MULTIPLES = {  # px, of images that a network gives back in the same size
    "resnet_9blocks": 4, "resnet_6blocks": 4, "unet_128": 128, "unet_256": 256, "style_net": 1
}  # fmt: skip


def accepted_sides(netG: str) -> tuple[int, int]:
    """(multiple, smallest) px of the sides of images that a generator takes."""
    return SIZE_MULTIPLES[netG], max(SIZE_MULTIPLES[netG], SMALLEST_PX)


def check_image_sizes(
    sizes: dict[tuple[int, int], str], sides: tuple[int, int], netG: str, preprocess: str
) -> None:
    """Raise UserError for an image that training cannot take.

    Args:
        sizes: (width, height) px -> a file of this size.
        sides: as of `accepted_sides`.
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
    multiple = SIZE_MULTIPLES[netG]
    if size % multiple:
        near = max(multiple, round(size / multiple) * multiple)
        fitting = [name for name, m in SIZE_MULTIPLES.items() if m > 1 and size % m == 0]
        raise UserError(
            f"--{flag} {size} does not fit --netG {netG}: accepted are multiples of {multiple}; "
            f"use --{flag} {near}"
            + (" (and a --load_size of at least that)" if flag == "crop_size" else "")
            + (f", or --netG {fitting[-1]}" if fitting else "")
        )


def check_discriminator_size(netD: str, n_layers_D: int, size: int) -> None:
    """Raise UserError if a PatchGAN has no score left for images of size x size px."""
    n_layers = n_layers_D if netD == "n_layers" else 3
    smallest = 3 * 2**n_layers  # n_layers halvings, then two 4x4 convolutions of stride 1
    if netD != "pixel" and size < smallest:
        raise UserError(
            f"--crop_size {size} is too small for --netD {netD} of {n_layers} layers: accepted is "
            f"{smallest} and more; or use --netD n_layers with a smaller --n_layers_D"
        )
