"""Flags of train.py."""

import argparse

from .base_options import BaseOptions


class TrainOptions(BaseOptions):
    def initialize(self, parser: argparse.ArgumentParser) -> None:
        super().initialize(parser)
        add = parser.add_argument
        add("--print_freq", type=int, default=100)
        add("--n_epochs", type=int, default=100)
        add("--n_epochs_decay", type=int, default=100)
        add("--lr", type=float, default=0.0002)
        add("--beta1", type=float, default=0.5)
        add("--gan_mode", default="lsgan", choices=["lsgan", "vanilla"])
        add("--pool_size", type=int, default=50)
        add("--lambda_L1", type=float, default=100.0)
        add("--lambda_A", type=float, default=10.0)
        add("--lambda_B", type=float, default=10.0)
        add("--lambda_identity", type=float, default=0.5)
