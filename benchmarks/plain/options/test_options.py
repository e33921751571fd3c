"""Flags of test.py."""

import argparse

from .base_options import BaseOptions


class TestOptions(BaseOptions):
    phase, model, load_size = "test", "test", 256

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        super().initialize(parser)
        parser.add_argument("--results_dir", default="./results")
        parser.add_argument("--num_test", type=int, default=50)
