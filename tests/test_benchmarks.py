"""The benchmarks compare what is comparable, and their page says what they measured."""

import pytest

from benchmarks.plain.models import create_model as plain_model
from benchmarks.plain.options.train_options import TrainOptions as PlainOptions
from tests import closed_form
from tests.helpers import golden

# What the plain baseline knows; the other trajectories use further flags.
PLAIN = [e for e in golden()["trajectories"] if e["name"].startswith(
    ("pix2pix AtoB", "pix2pix BtoA", "cycle_gan identity"))]  # fmt: skip


@pytest.mark.parametrize("entry", PLAIN, ids=lambda e: e["name"])
def test_the_plain_baseline_follows_the_reference(entry):
    """Its losses are those of the reference implementation: the ratios compare equal work."""
    opt = PlainOptions().parse(["--dataroot", ".", "--device", "cpu", *entry["flags"]])
    model = plain_model(opt)
    for number, net in enumerate(model.networks().values()):
        closed_form.fill_(net, salt=10 * number)
    n, size = entry["batch"], entry["size"]
    for step, expected in enumerate(entry["steps"][:3]):
        A, B = (closed_form.image(n, 3, size, size, 2 * step + side) for side in (0, 1))
        model.set_input({"A": A, "B": B})
        model.optimize_parameters()
        assert model.get_current_losses() == pytest.approx(expected, rel=2e-3, abs=1e-7), step
