"""What the curves of a training mean, and how they look when all is well."""

from fnmatch import fnmatchcase

from util.record import LossGuide

# Of losses that their model does not explain; the first pattern that fits.
GENERAL = {
    "*penalty": "WGAN-GP's gradient penalty: small and steady; peaks mean a restless D.",
    "D*": "A loss of a discriminator: near 0 for long means that it has won.",
    "G*": "A loss of a generator.",
}
TIES = {
    "lsgan": "With --gan_mode lsgan a D that cannot tell is at 0.25 (D_real, D_fake, or a whole "
    "D_A), and so is G. Healthy runs stay between 0.05 and 0.4.",
    "vanilla": "With --gan_mode vanilla a D that cannot tell is at 0.69 for real and fake. Healthy "
    "runs keep D between 0.2 and 0.7, and G between 0.7 and 3.",
    "wgangp": "With --gan_mode wgangp the scores have no scale and no sign to aim for; D's real "
    "and fake losses add up to minus the distance of the two sets, and creep towards 0.",
}
GAN = [
    "Adversarial curves do not fall like others. D and G pull against each other: what is healthy "
    "is a balance that wobbles, not a minimum. Judge by the pictures.",
    "D near 0 while G's curve climbs for many epochs: D has won and teaches nothing. Try a smaller "
    "--ndf, more varied data, or a larger weight of the other losses.",
    "All outputs alike whatever goes in, or a repeated texture: the generator has collapsed; go "
    "back to an earlier epoch, with a smaller --lr.",
    "When the learning rate falls (lower plot) the curves calm down, and details come out.",
]
MINIMISED = [
    "These losses are minimised: they should fall fast, then slowly. A jump, or a curve that "
    "stays high from the start, calls for a smaller --lr."
]


def guide(losses: LossGuide, gan_mode: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(loss name, meaning) for a model's curves, and sentences on what is healthy.

    A model with a loss that is called D... plays against a discriminator.
    """
    unknown = [name for name in losses.names if _pattern(name, losses.meanings) is None]
    patterns = {_pattern(name, GENERAL) for name in unknown}
    general = {pattern: text for pattern, text in GENERAL.items() if pattern in patterns}
    told = [(name.replace("*", "…"), text) for name, text in (losses.meanings | general).items()]
    if not any(name.startswith("D") for name in losses.names):
        return told, [*MINIMISED, *losses.healthy]
    tie = [TIES[gan_mode]] if gan_mode in TIES else []
    return told, [*GAN[:1], *tie, *GAN[1:], *losses.healthy]


def _pattern(name: str, meanings: dict[str, str]) -> str | None:
    """The first name or pattern that a loss fits, if there is any."""
    return next((pattern for pattern in meanings if fnmatchcase(name, pattern)), None)
