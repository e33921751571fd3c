"""How networks compute on this machine, never what."""

PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
MEMORY_FORMATS = ("auto", "contiguous", "channels_last")
