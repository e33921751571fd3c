"""Models: `create_model(opt)` gives the model that `--model` names.

A new model is one file, models/<name>_model.py with a class <Name>Model; see docs/new_model.md.
"""

import argparse
from collections.abc import Callable

from models.base_model import BaseModel
from util.registry import Registry

registry = Registry("models", "model", base="BaseModel")


def find_model_using_name(model_name: str) -> type[BaseModel]:
    """The class in models/<model_name>_model.py."""
    return registry.find(model_name)


def get_option_setter(model_name: str) -> Callable:
    """The class's `modify_commandline_options`."""
    return registry.find(model_name).modify_commandline_options


def create_model(opt: argparse.Namespace) -> BaseModel:
    """The model of `opt.model`, with drawn weights; `setup(opt)` makes it ready."""
    return registry.find(opt.model)(opt)
