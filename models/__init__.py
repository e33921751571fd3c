"""Models: `create_model(opt)` gives the model that `--model` names.

A new model is one file, models/<name>_model.py with a class <Name>Model; see docs/new_model.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from util.atomic import files_of
from util.lazy import Lazy
from util.registry import Registry

if TYPE_CHECKING:
    from models.base_model import BaseModel

# `from models import networks` gives this, which is imported in earnest when it is used.
networks = Lazy("models.networks")
process = Lazy("models.compute.process")

registry = Registry("models", "model", base="BaseModel")


def find_model_using_name(model_name: str) -> type[BaseModel]:
    """The class in models/<model_name>_model.py."""
    return registry.find(model_name)


def get_option_setter(model_name: str) -> Callable:
    """The class's `modify_commandline_options`."""
    return registry.find(model_name).modify_commandline_options


def create_model(opt: argparse.Namespace) -> BaseModel:
    """The model of `opt.model`, with drawn weights; `setup(opt)` makes it ready."""
    process.tell_untuned(opt.device, opt.precision, opt.deterministic)
    kind = registry.find(opt.model)
    with files_of(vars(opt)):
        return kind(opt)
