"""Methods that keep a promise, which their overriding ends unless it is given anew.

`load`, `augment` and `normalize` may be called apart from each other only where `__getitem__` is
nothing but the three; a file may be kept in a cache only if nobody reads it in another way. So the
methods of ours that others rely on are declared to be standard, and a plug-in's own are not.
"""

from collections.abc import Callable
from typing import TypeVar

Method = TypeVar("Method", bound=Callable)


def standard(method: Method) -> Method:
    """Declare that a method does what its name stands for in this framework, and no more."""
    method.standard = True
    return method


def is_standard(method: Callable) -> bool:
    """Whether the method that is going to be called was declared so."""
    return getattr(method, "standard", False)
