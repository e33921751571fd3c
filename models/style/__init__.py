"""The judges and the objective of style transfer."""

from util.lazy import Lazy

# `from models.style import objective` gives these, which are imported when they are used.
objective, perceptual = Lazy("models.style.objective"), Lazy("models.style.perceptual")
