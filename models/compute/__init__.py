"""How networks compute on this machine, never what."""

from util.lazy import Lazy

# `from models.compute import speed` gives this, which is imported in earnest when it is used.
speed = Lazy("models.compute.speed")
