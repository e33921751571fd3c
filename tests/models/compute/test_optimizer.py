"""What is done before each update, and in which order."""

import math

import pytest
import torch
from torch import nn

from models import base_model, create_model
from models.compute.optimizer import align_with_weights, prepare_optimizer
from models.compute.precision import LossScale
from options.train_options import TrainOptions
from tests.helpers import TINY
from util.training.nan_guard import NanGuard


def sgd(value: float = 1.0) -> torch.optim.Optimizer:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.full((2,), value)
    return torch.optim.SGD([weight], lr=1.0)


def test_works_are_done_in_order_and_replaced_when_prepared_again():
    optimizer, done = sgd(), []

    def work(name: str):
        return lambda given: done.append((name, given is optimizer))

    prepare_optimizer(optimizer, [work("a"), None, work("b")])
    optimizer.step()
    prepare_optimizer(optimizer, [work("c"), work("a")])
    optimizer.step()
    assert done == [(name, True) for name in "abca"]
    torch.testing.assert_close(optimizer.param_groups[0]["params"][0].data, torch.full((2,), -2.0))


def test_a_models_order_is_align_average_unscale_check(monkeypatch):
    done = []
    monkeypatch.setattr(base_model, "align_with_weights", lambda _: done.append("align"))
    monkeypatch.setattr(base_model, "average_gradients", lambda _: done.append("average"))
    opt = TrainOptions().parse(["--dataroot", ".", "--model", "template", *TINY])
    model = create_model(opt)
    own = sgd()  # of a plug-in
    model.optimizers.append(own)
    model.prepare_optimizers(lambda _: done.append("check"))  # the guard comes before or after
    model.setup(opt)
    own.step()
    assert done == ["align", "average", "check"]
    done.clear()
    model.loss_scale = LossScale(torch.device("cpu"))
    monkeypatch.setattr(model.loss_scale, "unscale", lambda _: done.append("unscale"))
    model.prepare_optimizers()
    own.step()
    assert done == ["align", "average", "unscale", "check"]


class Half:
    """A model in fp16 (on a CPU: its loss scale is what counts), watched by a NanGuard."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
        self.scale = LossScale(torch.device("cpu"))
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)

    def networks(self) -> dict[str, nn.Module]:
        return {"G": self.net}

    def get_image_paths(self) -> list[str]:
        return ["a.png"]

    def current_losses(self) -> dict[str, float]:
        return {"G": 0.0}

    def prepare_optimizers(self, check) -> None:
        prepare_optimizer(self.optimizer, [align_with_weights, self.scale.unscale, check])


@pytest.mark.parametrize(("value", "factor", "skipped"), [(math.inf, 2.0**15, 0), (1, 2.0**16, 0)])
def test_an_overflow_of_fp16_is_no_nan(tmp_path, value, factor, skipped):
    model = Half()
    guard = NanGuard(model, "skip", tmp_path)
    guard.begin_step(1, 1, {})
    for param in model.net.parameters():
        param.grad = torch.full_like(param, value)
    before = [p.detach().clone() for p in model.net.parameters()]
    model.optimizer.step()
    guard.check_step()
    assert (model.scale.factor, guard.skipped) == (factor, skipped)
    same = [torch.equal(a, b) for a, b in zip(before, model.net.parameters(), strict=True)]
    assert all(same) if value == math.inf else not any(same)


@pytest.mark.parametrize("resumed", [False, True])
def test_updates_do_not_mix_up_memory_formats(resumed):
    """Fused updates go by the order in memory: a resumed run may have another format."""
    weights, torchs = (nn.Parameter(torch.arange(24.0).view(2, 3, 2, 2)) for _ in range(2))
    fused = torch.optim.Adam([weights], lr=0.1, fused=True)
    prepare_optimizer(fused, [align_with_weights])
    plain = torch.optim.Adam([torchs], lr=0.1, fused=False)
    for step in range(3):
        if step and resumed:
            weights.data = weights.data.to(memory_format=torch.channels_last)
        for optimizer, param in ((fused, weights), (plain, torchs)):
            param.grad = torch.sin(torch.arange(24.0) + step).view(2, 3, 2, 2)
            optimizer.step()
    torch.testing.assert_close(weights, torchs)
