"""`create_model(opt)` gives the model that `--model` names."""

import argparse

from .base_model import BaseModel
from .cycle_gan_model import CycleGANModel
from .pix2pix_model import Pix2PixModel


def create_model(opt: argparse.Namespace) -> BaseModel:
    return {"pix2pix": Pix2PixModel, "cycle_gan": CycleGANModel}[opt.model](opt)
