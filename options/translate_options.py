"""The options of `translate.py` and of its `Translator`: those of test.py, without a data set."""

import argparse
import os
from typing import Any

from options.test_options import TestOptions


class TranslateOptions(TestOptions):
    """Images come one by one, from anywhere, and keep their sizes."""

    def replaced(self, trained: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """One generator on images of one side; colours without lightness need their own model."""
        nowhere = {"dataroot": os.devnull}
        if "model" in given or trained.get("model") in ("colorization", None):
            return nowhere
        return nowhere | {"model": "test", "dataset_mode": "single"}

    def decide_options(self, opt: argparse.Namespace, explicit: dict[str, Any]) -> dict[str, Any]:
        """Each image comes out in its own size."""
        return super().decide_options(opt, explicit) | {"preprocess": "keep"}
