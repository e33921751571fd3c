"""Packages that take seconds to import, brought in when something of them is first used, so that
`--help` and a wrong flag are answered at once.

Files that are read before the options are known take torch from here, and use it as ever:

    from __future__ import annotations  # else `torch.Tensor` in a signature is a use

    from util.lazy import torch

A base class, a decorator and a default value are uses as well: what needs torch for these is in a
file of its own, like models/networks.py, which imports it in the usual way, and is imported in its
turn when it is used: `networks = Lazy("models.networks")`. Nothing is done to Python's imports:
`import torch` is what it always was, and a model file that has it costs `--help` this time.
"""

import functools
import importlib
from typing import TYPE_CHECKING, Any


class Lazy:
    """Stands for a module, which is imported when something of it is asked for.

    Args:
        name: in full, e.g. "torch.nn.functional".
    """

    __slots__ = ("_module",)

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_module", functools.cache(lambda: importlib.import_module(name)))

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._module(), attribute)

    def __setattr__(self, attribute: str, value: Any) -> None:
        setattr(self._module(), attribute, value)

    @property
    def __dict__(self) -> dict[str, Any]:
        """The module's: tests that patch a name look here."""
        return vars(self._module())


if TYPE_CHECKING:
    import torch
    import torch.distributed as dist
    import torch.nn.functional as F
    from torch import nn
    from torch.optim import lr_scheduler
else:
    torch, nn, F = Lazy("torch"), Lazy("torch.nn"), Lazy("torch.nn.functional")
    dist, lr_scheduler = Lazy("torch.distributed"), Lazy("torch.optim.lr_scheduler")
