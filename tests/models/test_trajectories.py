"""Six training steps of each model give the losses of the reference implementation: with torch's
own layers, and as users run it.

The reference's figures are of float32, in which a rounding decides on which side of zero a ReLU
falls; from there two runs part, whoever computes them. Two things keep that out of the tests:

- A figure is kept to 2e-3, except in a step in which exact arithmetic (the same training in
  float64) itself lies farther from it: there to twice that distance. That is the last step of
  `cycle_gan identity 0 BtoA` alone, where float64 lies 6.4e-3 off, and float32 3.0e-3 on one CPU,
  less than 2e-3 on another; a step earlier it is 1.8e-3, in all others of the 42 below 7e-4.
- What users run begins every step with the weights, moments and pools of the run with torch's own
  layers, and has to give its losses to 1e-5.
"""

import functools

import pytest
import torch

from tests.helpers import golden
from tests.models.steps import make_model, take_over, take_step

ENTRIES = {entry["name"]: entry for entry in golden()["trajectories"]}


def distance(losses: dict[str, float], figures: dict[str, float]) -> float:
    """The largest relative difference from a step's figures."""
    return max(abs(losses[k] - v) / max(abs(v), 1e-7) for k, v in figures.items())


@functools.cache
def exact_losses(name: str) -> list[dict[str, float]]:
    """The losses of each step in float64."""
    entry = ENTRIES[name]
    model = make_model(entry["flags"], plain=True, dtype=torch.float64)
    steps = range(len(entry["steps"]))
    return [take_step(model, step, entry["batch"], entry["size"]) for step in steps]


def tolerance(name: str, step: int) -> float:
    """How far a loss in float32 may lie from its figure; see above."""
    inexact = distance(exact_losses(name)[step], ENTRIES[name]["steps"][step])
    return 2e-3 if inexact <= 2e-3 else 2 * inexact


@pytest.mark.parametrize("name", ENTRIES)
def test_losses_follow_the_reference(name):
    entry = ENTRIES[name]
    plain, ours = make_model(entry["flags"], plain=True), [make_model(entry["flags"])]
    if "cycle_gan" in name:
        ours.append(make_model([*entry["flags"], "--lean"]))
    for model in (plain, *ours):
        assert model.model_names == entry["model_names"]
        assert model.loss_names == entry["loss_names"]
        assert model.visual_names == entry["visual_names"]
    for step, figures in enumerate(entry["steps"]):
        for model in ours:
            take_over(model, plain)
        losses = take_step(plain, step, entry["batch"], entry["size"])
        if losses != pytest.approx(figures, rel=2e-3, abs=1e-7):
            assert losses == pytest.approx(figures, rel=tolerance(name, step), abs=1e-7), step
        for model in ours:
            found = take_step(model, step, entry["batch"], entry["size"])
            assert found == pytest.approx(losses, rel=1e-5, abs=1e-7), step
    for net_name, net in plain.networks().items():
        weights = [t for t in net.state_dict().values() if t.is_floating_point()]
        total = sum(t.double().abs().sum().item() for t in weights)
        assert total == pytest.approx(entry["final"][net_name]["abs_sum"], rel=1e-4), net_name


def test_exact_arithmetic_agrees_with_nearly_all_figures():
    """Else a tolerance would be wide without need."""
    wide = {
        (name, step)
        for name in ("cycle_gan identity 0 BtoA", "pix2pix BtoA lsgan instance")
        for step in range(6)
        if tolerance(name, step) > 2e-3
    }
    assert wide <= {("cycle_gan identity 0 BtoA", 5)}
    assert tolerance("cycle_gan identity 0 BtoA", 5) < 2e-2
