"""What is imported before the options are known: nothing that takes seconds."""

import subprocess
import sys

import pytest

import models
from models.style import flags, perceptual
from tests.helpers import environment
from util.lazy import Lazy

# Commands of train.py and test.py, in a process where nothing heavy can be imported; then one that
# needs torch, and is interrupted while it is imported.
PROBE = """
import sys

HEAVY = {"torch", "torchvision", "safetensors", "matplotlib", "requests", "wandb", "visdom",
         "scipy.signal", "scipy.ndimage", "skimage.feature", "util.training.session"}
failure = AssertionError

class Refuse:
    def find_spec(self, name, path, target=None):
        if name in HEAVY:
            raise failure(f"{name} is imported for --help: see util/lazy.py")

sys.meta_path.insert(0, Refuse())
import models, test, train

for script in (train, test):
    for name in models.registry.names():
        if (script.__name__, name) in (("train", "test"), ("test", "neural_style")):
            continue
        try:
            script.main(["--model", name, "--help"])
        except SystemExit as end:
            assert end.code == 0
        assert script.main(["--model", name, "--netg", "x"]) == 2
    assert script.main(["--dataroot", "x", "--norm", "x"]) == 2
assert train.main(["--dataroot", "x", "--crop_size", "512"]) == 2
failure = KeyboardInterrupt
assert train.main(["--dataroot", "x"]) == 130
"""


def test_help_and_wrong_flags_import_nothing_that_takes_seconds():
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.count("--dataroot DATAROOT") == 2 * len(models.registry.names()) - 2


@pytest.mark.parametrize(
    "names, table",
    [
        (flags.NETS, perceptual.NETS),
        (flags.PREPROCESSES, perceptual.PREPROCESSES),
        (flags.POOLINGS, perceptual.POOLINGS),
        (flags.GRAM_NORMS, perceptual.GRAM_NORMS),
    ],
)
def test_names_of_choices_are_those_of_the_tables(names, table):
    assert list(names) == list(table)


def test_a_lazy_module_is_the_module(monkeypatch):
    from models.networks import define_G

    lazy = Lazy("models.networks")
    assert lazy.define_G is define_G is models.networks.define_G
    monkeypatch.setattr(lazy, "define_G", len)  # as a plug-in might
    assert sys.modules["models.networks"].define_G is len
    with pytest.raises(AttributeError, match="define_H"):
        lazy.define_H  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        Lazy("no_such_package").anything  # noqa: B018
