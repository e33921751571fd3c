"""Faster forms of layers give torch's numbers, forwards and backwards."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.compute import rules, winograd
from models.compute.configure import changes, exchange_layers

FORMATS = [torch.contiguous_format, torch.channels_last]


def faster(*layers: nn.Module) -> nn.Sequential:
    """A network of these layers, in their faster forms."""
    net = nn.Sequential(*layers)
    exchange_layers(net, "speed")
    return net


def close(ours: torch.Tensor, torchs: torch.Tensor) -> None:
    """Equal within 1e-5 of the largest number."""
    assert (ours - torchs).abs().max() <= 1e-5 * torchs.abs().max()


@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("n", [1, 3])
def test_instance_norm_is_torchs(n, memory_format):
    x = torch.randn(n, 5, 17, 12).mul_(3).add_(1).to(memory_format=memory_format).requires_grad_()
    fast = faster(nn.InstanceNorm2d(5))
    assert changes(fast) == ["0: speed, norm without a copy"]
    grad = torch.randn(n, 5, 17, 12)
    ours, torchs = fast(x), F.instance_norm(x)
    close(ours, torchs)
    close(*(torch.autograd.grad(out, x, grad)[0] for out in (ours, torchs)))


def test_norms_of_large_images_are_as_exact_as_float32_can_be():
    x = torch.randn(1, 4, 300, 301).add_(3).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        found = faster(nn.InstanceNorm2d(4))(x)
    exact = F.instance_norm(x.double())
    assert (found - exact).abs().max() < 2e-6  # torch's own, on a CPU: 2e-5


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("bias", [True, False])
def test_winograd_is_a_convolution(padding, bias, monkeypatch):
    monkeypatch.setattr(winograd, "MOST_TILES", 8)  # in several pieces
    x = torch.randn(2, 5, 17, 23, requires_grad=True)
    conv = nn.Conv2d(5, 7, 3, padding=padding, bias=bias)
    ours = winograd.conv3x3(x, conv.weight, conv.bias, conv.padding)
    exact = conv.double()(x.double())
    close(ours, exact.float())
    grad, wanted = torch.randn_like(ours), [x, *conv.float().parameters()]
    found = torch.autograd.grad(winograd.conv3x3(x, *_parts(conv)), wanted, grad)
    for one, other in zip(found, torch.autograd.grad(conv(x), wanted, grad), strict=True):
        close(one, other)


def _parts(conv: nn.Conv2d) -> tuple:
    return conv.weight, conv.bias, conv.padding


def test_winograd_has_a_second_derivative():
    x, weight = torch.randn(1, 4, 10, 10, requires_grad=True), torch.randn(4, 4, 3, 3)
    weight.requires_grad_()
    found = []
    for out in (winograd.conv3x3(x, weight, None, (0, 0)), F.conv2d(x, weight)):
        (slope,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), weight)[0])
    close(*found)


def test_large_convolutions_are_winograds_and_others_torchs(monkeypatch):
    calls = []
    monkeypatch.setattr(winograd, "conv3x3", lambda x, *_: calls.append(x.shape) or x)
    net = faster(nn.Conv2d(256, 256, 3, padding=1), nn.Conv2d(256, 8, 3))
    assert changes(net) == ["0: speed, Winograd", "1: speed, Winograd"]
    net(torch.zeros(1, 256, 64, 64))
    net(torch.zeros(1, 256, 8, 8))
    monkeypatch.setattr(rules, "winograd_pays", lambda *_: True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net(torch.zeros(1, 256, 4, 4))
    assert calls == [(1, 256, 64, 64)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_scaling_by_one_product_is_the_convolution(kind, bias, monkeypatch):
    monkeypatch.setattr(rules, "product_pays", lambda conv, px: True)
    plain = kind(3, 5, 4, 2, 1, bias=bias)
    ours = faster(copy.deepcopy(plain))
    assert changes(ours) == ["0: speed, matrix product"]
    x = torch.randn(2, 3, 6, 8, requires_grad=True)
    expected = plain(x)
    close(ours(x), expected)
    grad = torch.randn_like(expected)
    found = torch.autograd.grad(ours(x), [x, *ours.parameters()], grad)
    for one, other in zip(
        found, torch.autograd.grad(expected, [x, *plain.parameters()], grad), strict=True
    ):
        close(one, other)


def test_other_convolutions_stay_torchs():
    layers = [nn.Conv2d(4, 4, 3, stride=2), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 5),
              nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 4, 2),
              nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1)]  # fmt: skip
    assert not changes(faster(*layers))
