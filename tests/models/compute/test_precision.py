"""Number formats: what networks give in them, and the scale of fp16's gradients."""

import pytest
import torch
from torch import nn

from models import networks
from models.compute import precision
from models.compute.configure import Form, configure, exchange
from models.compute.optimizer import prepare_optimizer
from models.compute.precision import LossScale, cpu_has_bf16, in_half
from util.errors import UserError

CPU = torch.device("cpu")


def test_bf16_gives_float32_outputs_near_those_of_fp32():
    torch.manual_seed(1)
    image, net = torch.rand(1, 3, 32, 32), networks.define_G(3, 3, 16, "resnet_6blocks", "instance")
    exact = net(image)
    configure(net, CPU, precision="bf16")
    rounded = net(image)
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    assert (rounded - exact).abs().mean() < 0.02


def test_bf16_is_tried_where_it_is_to_run(monkeypatch):
    assert cpu_has_bf16()  # torch 2.14, with and without AVX-512

    def refuse(*_: object) -> None:
        raise RuntimeError("mkldnn_bf16_conv: unsupported")

    monkeypatch.setattr(precision.F, "conv2d", refuse)
    monkeypatch.setattr(precision, "cpu_has_bf16", cpu_has_bf16.__wrapped__)
    with pytest.raises(UserError, match="--precision bf16: this CPU cannot compute in it"):
        precision.check_precision("bf16", CPU)


@pytest.mark.parametrize(("capability", "slow"), [("AVX2", True), ("AVX512", False)])
def test_a_cpu_without_bf16_is_said_to_be_slow(monkeypatch, capsys, capability, slow):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    precision.check_precision("bf16", CPU)
    assert ("no AVX-512; convolutions take many times as long" in capsys.readouterr().err) == slow


def close(found: list[torch.Tensor], expected: list[torch.Tensor], tolerance: float) -> None:
    largest = max(tensor.abs().max() for tensor in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max() <= tolerance * largest


class TestLossScale:
    def make(self) -> tuple[nn.Module, torch.optim.Optimizer, LossScale]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
        scale = LossScale(CPU, patience=2)
        form = Form("precision", "fp16", lambda own: in_half(own, torch.float16, scale))
        exchange(net, form)  # `configure` has it for GPUs only
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        prepare_optimizer(optimizer, [scale.unscale])
        return net, optimizer, scale

    def test_gradients_are_those_without_it(self):
        net, optimizer, _ = self.make()
        x = torch.rand(1, 2, 8, 8, requires_grad=True)
        net(x).square().mean().backward()
        inner = x.grad.clone()
        optimizer.param_groups[0]["lr"] = 0.0
        optimizer.step()
        found = [p.grad.clone() for p in net.parameters()]
        exact = torch.autograd.grad(
            nn.Sequential.forward(net, x).square().mean(), [x, *net.parameters()]
        )
        close([inner, *found], list(exact), 1e-2)

    def test_an_image_by_name_is_scaled_too(self):
        net, _, _ = self.make()
        x = torch.rand(1, 2, 8, 8, requires_grad=True)
        net(input=x).square().mean().backward()
        (exact,) = torch.autograd.grad(nn.Sequential.forward(net, x).square().mean(), x)
        close([x.grad], [exact], 1e-2)

    def test_an_overflow_is_left_out_and_the_factor_falls_and_rises(self):
        net, optimizer, scale = self.make()
        before = [p.detach().clone() for p in net.parameters()]
        (net(torch.rand(1, 2, 8, 8)).sum() * 1e6).backward()
        optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
        assert scale.factor == 2.0**15
        for _ in range(2):
            optimizer.zero_grad()
            net(torch.rand(1, 2, 8, 8)).mean().backward()
            optimizer.step()
        assert scale.factor == 2.0**16
        other = LossScale(CPU)
        other.load_state_dict(scale.state_dict() | {"good": 1})
        assert (other.factor, other.good) == (2.0**16, 1)
