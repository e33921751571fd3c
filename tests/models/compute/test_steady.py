"""Norms that hold the statistics of some images, for the frames of a video."""

import functools

import pytest
import torch
from torch import nn

from models.compute.configure import changes, configure, set_test_mode
from models.compute.steady import hold_statistics, release_statistics
from models.generators import GENERATORS
from models.networks import define_G

CPU = torch.device("cpu")


def built(name: str, norm: str, **own) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = define_G(3, 3, 4, name, norm, False, **own)
    configure(net, CPU)
    set_test_mode([net], eval_mode=False)
    return net


def frames(count: int, side: int) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "norm"),
    [
        (name, norm)
        for name in GENERATORS
        for norm in GENERATORS[name].norms or ("instance", "batch")
        if name not in ("unet_256", "resnet_9blocks")  # the same layers, more of them
    ],
)
def test_every_generator_takes_an_image_by_its_own_statistics_if_these_are_held(name, norm):
    """And by those of others if not: the same for all, in whichever order they were found."""
    net, side = built(name, norm), GENERATORS[name].sides_with((32, 32))[1]
    images = frames(3, side)
    expected = net(images[:1])
    assert hold_statistics([net], [lambda: net(images[:1])]) > 5
    assert torch.allclose(net(images[:1]), expected, atol=1e-4)
    hold_statistics([net], [lambda: net(images)])
    together = net(images[:1])
    assert abs(together - expected).max() > 1e-3
    hold_statistics([net], [functools.partial(net, image[None]) for image in images])
    assert torch.allclose(net(images[:1]), together, atol=1e-4)
    release_statistics([net])
    assert torch.equal(net(images[:1]), expected)
    assert not [line for line in changes(net) if "held" in line]


@torch.inference_mode()
def test_norms_of_groups_and_of_styles_hold_theirs_too():
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.Conv2d(6, 3, 3))
    images = frames(2, 16)
    expected = net(images[:1])
    assert hold_statistics([net], [lambda: net(images[:1])]) == 1
    assert torch.allclose(net(images[:1]), expected, atol=1e-5)
    held = net(images[1:])
    release_statistics([net])
    assert not torch.allclose(net(images[1:]), held, atol=1e-3)
    styles = built("style_net", "instance", n_styles=2)
    blend = torch.tensor([[0.25, 0.75]])
    expected = styles(frames(1, 32), blend=blend)
    hold_statistics([styles], [lambda: styles(frames(1, 32), blend=blend)])
    assert torch.allclose(styles(frames(1, 32), blend=blend), expected, atol=1e-4)


@torch.inference_mode()
def test_running_statistics_hold_anyway():
    net = built("resnet_6blocks", "batch")
    set_test_mode([net], eval_mode=True)
    assert hold_statistics([net], [lambda: net(frames(2, 32))]) == 0
