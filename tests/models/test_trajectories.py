"""Six training steps of each model give the losses of the reference implementation."""

import pytest

from models import create_model
from options.train_options import TrainOptions
from tests import closed_form
from tests.helpers import golden
from util.direction import oriented

ENTRIES = [(entry, []) for entry in golden()["trajectories"]]
ENTRIES += [(entry, ["--lean"]) for entry, _ in ENTRIES if "cycle_gan" in entry["name"]]


@pytest.mark.parametrize(
    ("entry", "more"), ENTRIES, ids=[" ".join([entry["name"], *more]) for entry, more in ENTRIES]
)
def test_losses_follow_the_reference(entry, more):
    opt = TrainOptions().parse(["--dataroot", ".", "--gpu_ids", "-1", *entry["flags"], *more])
    model = create_model(opt)
    for number, net in enumerate(model.networks().values()):
        closed_form.fill_(net, salt=10 * number)
    model.setup(opt)
    assert model.model_names == entry["model_names"]
    assert model.loss_names == entry["loss_names"]
    assert model.visual_names == entry["visual_names"]
    n, size = entry["batch"], entry["size"]
    domain_channels = oriented(opt.direction, opt.input_nc, opt.output_nc)
    for step, expected in enumerate(entry["steps"]):
        A, B = (
            closed_form.image(n, channels, size, size, 2 * step + side)
            for side, channels in enumerate(domain_channels)
        )
        model.set_input({"A": A, "B": B, "A_paths": ["a"] * n, "B_paths": ["b"] * n})
        model.optimize_parameters()
        assert model.get_current_losses() == pytest.approx(expected, rel=2e-3, abs=1e-7), step
    for name, net in model.networks().items():
        weights = [t for t in net.state_dict().values() if t.is_floating_point()]
        total = sum(t.double().abs().sum().item() for t in weights)
        assert total == pytest.approx(entry["final"][name]["abs_sum"], rel=1e-4), name
