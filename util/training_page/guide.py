"""What the curves of a training mean, and how they look when all is well."""

# Loss name -> meaning; .* stands for anything.
MEANINGS = {
    "G_GAN": "How well G fools D. It hovers or creeps up: it is a contest, not a descent.",
    "G_L1": "Distance of the output from the target, times --lambda_L1. Falls fast, then slowly; "
    "the one curve here that may be read as progress.",
    "D_real": "D's error on real images. Together with D_fake it tells who is winning.",
    "D_fake": "D's error on G's images: high while G fools it, near 0 when it sees through all.",
    "D_A": "Error of the judge of B's images: is this one real, or made by G_A? (Its name follows "
    "G_A.)",
    "D_B": "Error of the judge of A's images, against G_B.",
    "G_A": "How well G_A (A to B) fools D_A; hovers.",
    "G_B": "How well G_B (B to A) fools D_B; hovers.",
    "cycle_A": "A to B and back, compared with A, times --lambda_A. Should fall and level off; "
    "close to 0 too early: G hides the image in its output instead of translating it.",
    "cycle_B": "B to A and back, compared with B, times --lambda_B.",
    "idt_A": "G_A given an image of B should leave it alone. It keeps colours in place.",
    "idt_B": "G_B given an image of A should leave it alone.",
    ".*penalty": "WGAN-GP's gradient penalty: small and steady; peaks mean a restless D.",
    "content": "Distance from the content image in the classifier's features. Rises from 0 as the "
    "style comes in, or falls to a plateau.",
    "style_.*": "Distance from the style's Gram matrix in one layer; all should fall, the shallow "
    "layers (colour, grain) first.",
    "tv": "Roughness between neighbouring pixels; falls when noise goes.",
    "total": "The sum that is minimised.",
    "D.*": "A loss of a discriminator: near 0 for long means that it has won.",
    "G.*": "A loss of a generator.",
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
OTHER = ["These losses are minimised: they should fall fast, then slowly. A jump, or a curve that "
         "stays high from the start, calls for a smaller --lr."]  # fmt: skip
STYLE_MODELS = ("style", "neural_style")
# The names that a model logs; others are told what D and G are.
KNOWN = {
    "pix2pix": ["G_GAN", "G_L1", "D_real", "D_fake"],
    "colorization": ["G_GAN", "G_L1", "D_real", "D_fake"],
    "cycle_gan": ["D_A", "G_A", "cycle_A", "idt_A", "D_B", "G_B", "cycle_B", "idt_B"],
    "style": ["content", "style_.*", "tv", "total"],
    "neural_style": ["content", "style_.*", "tv", "total"],
}


def guide(model: str, gan_mode: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(loss name, meaning) for a model's curves, and sentences on what is healthy."""
    names = list(KNOWN.get(model, ["D.*", "G.*"]))
    if gan_mode == "wgangp" and model not in STYLE_MODELS:
        names.append(".*penalty")
    told = [(name.replace(".*", "…"), MEANINGS[name]) for name in names]
    if model in STYLE_MODELS:
        return told, OTHER
    colour = ["G_L1 here is a distance of colours (ab of Lab); a low one with brownish pictures is "
              "a G that plays safe."] if model == "colorization" else []  # fmt: skip
    tie = [TIES[gan_mode]] if gan_mode in TIES else []
    return told, [*GAN[:1], *tie, *GAN[1:], *colour]
