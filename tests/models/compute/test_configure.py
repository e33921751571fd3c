"""One way of changing how a network computes: what it does, lists and takes back."""

import copy

import pytest
import torch
from torch import nn

from models import networks
from models.compute import rules
from models.compute.configure import (
    changes,
    configure,
    exchange_layers,
    image_noise,
    leave_test_mode,
    set_test_mode,
    undo,
)

CPU = torch.device("cpu")
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5)) * 2 - 1


def generator(norm: str = "batch", dropout: bool = False) -> nn.Module:
    torch.manual_seed(1)
    return networks.define_G(3, 3, 16, "resnet_6blocks", norm, dropout)


def every_kind() -> nn.Module:
    """A small network with every layer that has another form."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.InstanceNorm2d(16), nn.ReLU(True),
        nn.Conv2d(16, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.LeakyReLU(0.2, True),
        nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Dropout(0.0), nn.Tanh(),
    )  # fmt: skip


@pytest.fixture
def every_layer_gains(monkeypatch):
    """Fast forms are in use, however small a layer is."""
    monkeypatch.setattr(rules, "winograd_pays", lambda *_: True)
    monkeypatch.setattr(rules, "product_pays", lambda conv, px: True)


@pytest.mark.parametrize("how", [
    {}, {"precision": "bf16"}, {"memory_format": "channels_last"}, {"compiles": True},
    {"precision": "bf16", "memory_format": "channels_last", "compiles": True},
], ids=str)  # fmt: skip
def test_a_network_stays_what_it_is_and_all_can_be_undone(how, every_layer_gains, monkeypatch):
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda forward, **_: real(forward, backend="eager"))
    net = every_kind()
    kinds = [type(layer) for layer in net.modules()]
    names = list(net.state_dict())
    strides = [weight.stride() for weight in net.parameters()]
    own = [set(vars(layer)) for layer in net.modules()]
    expected = copy.deepcopy(net)(IMAGES)
    configure(net, CPU, **how)
    found = copy.deepcopy(net)(IMAGES)
    assert changes(net) and found.dtype == torch.float32
    assert list(net.state_dict()) == names
    assert [type(layer) for layer in net.modules()] == kinds
    assert (found - expected).abs().max() < (0.1 if "precision" in how else 1e-4)
    set_test_mode([net], eval_mode=False)
    undo(net)
    assert not changes(net) and torch.equal(copy.deepcopy(net)(IMAGES), expected)
    assert [weight.stride() for weight in net.parameters()] == strides
    assert [set(vars(layer)) for layer in net.modules()] == own  # nothing is left behind


def test_changes_are_listed_by_layer():
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.InstanceNorm2d(16), nn.BatchNorm2d(16))
    configure(net, CPU, precision="bf16", memory_format="channels_last")
    set_test_mode([net], eval_mode=False)
    assert changes(net) == [
        "network: memory_format, channels_last",
        "network: precision, bf16",
        "0: speed, Winograd",
        "1: speed, norm without a copy",
        "2: test, each image's statistics",
    ]
    undo(net, "test", "speed")
    assert changes(net) == [
        "network: memory_format, channels_last", "network: precision, bf16",
    ]  # fmt: skip


def test_configured_again_it_is_as_the_last_time():
    net = generator()
    configure(net, CPU, precision="bf16", memory_format="channels_last")
    configure(net, CPU, memory_format="contiguous")
    other = generator()
    configure(other, CPU, memory_format="contiguous")
    assert changes(net) == changes(other)
    assert torch.equal(net(IMAGES), other(IMAGES))


@pytest.mark.parametrize("how", [{}, {"precision": "bf16"}, {"compiles": True}], ids=str)
def test_a_deep_copy_computes_with_its_own_layers(how, every_layer_gains, monkeypatch):
    """An average of weights, say."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda forward, **_: real(forward, backend="eager"))
    net = every_kind()
    configure(net, CPU, **how)
    expected = net(IMAGES)
    other = copy.deepcopy(net)
    assert changes(other) == changes(net)
    with torch.no_grad():
        for param in net.parameters():
            param.zero_()
    assert torch.equal(other(IMAGES), expected) and not torch.equal(net(IMAGES), expected)
    undo(net)
    assert changes(other) and torch.equal(other(IMAGES), expected)


class TestTestMode:
    """Test mode, on and off in any order, gives what it gives the first time."""

    def test_on_off_and_on_again_gives_the_same(self):
        net = generator()
        in_training = copy.deepcopy(net)(IMAGES)
        with torch.no_grad():
            words = set_test_mode([net], eval_mode=False)
            alone = net(IMAGES)
            assert not torch.equal(alone, in_training)  # each image by its own statistics
            torch.testing.assert_close(net(IMAGES[:1]), alone[:1])
            leave_test_mode(net, training=True)
            assert torch.equal(net(IMAGES), in_training)
            assert set_test_mode([net], eval_mode=False) == words
            assert torch.equal(net(IMAGES), alone)

    def test_eval_after_the_usual_mode_is_eval(self):
        net, other = generator(dropout=True), generator(dropout=True).eval()
        expected, before = other(IMAGES), copy.deepcopy(net.state_dict())
        with torch.no_grad():
            set_test_mode([net], eval_mode=False)
            with image_noise([net], CPU) as noise:
                noise.seed([1, 2])
                assert not torch.equal(net(IMAGES), expected)
                net.eval()  # also by flags alone
                assert torch.equal(net(IMAGES), expected)
            set_test_mode([net], eval_mode=True)
            assert torch.equal(net(IMAGES), expected)
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name]), name  # no statistics were taken

    def test_the_kind_of_norm_is_said(self):
        said = set_test_mode([generator("syncbatch", dropout=True)], eval_mode=False)
        assert said == (
            "SyncBatchNorm2d by each image's own statistics, dropout on, as in training"
        )
        assert set_test_mode([generator("none")], eval_mode=False) == "no norm layers, no dropout"

    def test_noise_of_images_ends_with_its_block(self):
        net = nn.Sequential(nn.Dropout(0.5))
        with image_noise([net], CPU):
            assert changes(net) == ["0: noise, each image's noise"]
        assert not changes(net)


class Features(nn.Module):
    """Gives features too, and takes more than an image."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, image: torch.Tensor, layers: tuple = ()) -> object:
        features = self.first(image)
        output = self.last(features)
        return (output, [features for _ in layers], {"n": 1}) if layers else output


@pytest.mark.parametrize("compiles", [False, True])
def test_more_inputs_and_nested_outputs_go_through(compiles, monkeypatch):
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda forward, **_: real(forward, backend="eager"))
    net = Features()
    configure(net, CPU, precision="bf16", compiles=compiles)
    output, features, other = net(IMAGES, layers=(1, 2))
    assert output.dtype == features[0].dtype == torch.float32
    assert len(features) == 2 and other == {"n": 1}
    assert torch.equal(net(image=IMAGES), output)


def test_results_of_recorded_steps_are_copies(monkeypatch):
    """What a recorded step gives lies in memory that the next one uses again."""
    memory, modes = torch.zeros(1, 3), []

    def record(forward, mode: str, dynamic: bool | None):
        modes.append((mode, dynamic))
        return lambda net, image: memory.add_(1)

    monkeypatch.setattr(torch, "compile", record)
    monkeypatch.setattr(rules, "choose_memory_format", lambda *_: "contiguous")
    net = nn.Identity()
    configure(net, torch.device("cuda"), compiles=True, fixed_size=True)
    first, second = net(memory), net(memory)
    assert modes == [("reduce-overhead", False)]
    assert (first[0, 0], second[0, 0]) == (1, 2)
    configure(net, CPU, compiles=True)
    assert modes[1:] == [(None, None)]


def test_a_table_row_takes_layers_of_its_purpose_only():
    net = nn.Sequential(nn.BatchNorm2d(4), nn.InstanceNorm2d(4), nn.Dropout(0.5))
    exchange_layers(net, "test")
    assert changes(net) == ["0: test, each image's statistics"]


def test_what_others_have_put_into_a_network_stays():
    """A `forward` of an instance's own computes, is listed by nobody, and comes back."""
    net = every_kind()
    net[0].forward = lambda x: x.repeat(1, 6, 1, 1)[:, :16]
    net.forms = ["a", "b"]  # a name that a plug-in may have
    own = net.forward = lambda x: nn.Sequential.forward(net, x) + 1
    expected = net(IMAGES)
    configure(net, CPU, memory_format="channels_last")
    assert torch.allclose(net(IMAGES), expected, atol=1e-5)
    set_test_mode([net], eval_mode=False)
    undo(net)
    assert net.forward is own and net.forms == ["a", "b"]
    assert torch.equal(net(IMAGES), expected)
