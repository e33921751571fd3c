"""How networks compute on this machine, never what."""

from util.lazy import Lazy

PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
MEMORY_FORMATS = ("auto", "contiguous", "channels_last")

# `from models.compute import speed` gives this, which is imported in earnest when it is used.
speed = Lazy("models.compute.speed")
