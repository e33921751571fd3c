"""Networks as users run them, wide enough that every faster form is in use, give what torch's own
layers give: layer by layer, and step by step from equal weights.

Rounding alone decides on which side of a kink (ReLU, L1) a number near zero falls, and one of a
million is enough to move a gradient by 1e-3. Where gradients are compared, networks and losses are
smooth instead; a gradient of ours may then be 1e-5 off that of float64, or three times as far as
torch's own.
"""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from models.base_model import BaseModel
from models.compute import rules
from models.compute.configure import configure, forms
from models.networks import define_D
from models.resnet import ResnetGenerator
from models.unet import UnetGenerator
from tests.models.steps import gradients, make_model, take_over, take_step

CPU = torch.device("cpu")
FORMATS = ["contiguous", "channels_last"]

# name -> network, its input's shape, the forms that are in use there
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], set[str]]] = {
    "resnet": (
        lambda: ResnetGenerator(3, 3, 64, nn.InstanceNorm2d, n_blocks=1), (4, 3, 128, 128),
        {"norm without a copy", "Winograd"},
    ),
    "unet batch": (
        lambda: UnetGenerator(3, 3, 5, 64, nn.BatchNorm2d), (1, 3, 64, 64), {"matrix product"},
    ),
    "unet instance": (
        lambda: UnetGenerator(3, 3, 5, 64, nn.InstanceNorm2d), (1, 3, 64, 64),
        {"norm without a copy", "matrix product"},
    ),
    "basic": (
        lambda: define_D(6, 64, "basic", norm="instance"), (1, 6, 64, 64), {"norm without a copy"},
    ),
}  # fmt: skip


def inputs_of(net: nn.Module, shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Name of a layer that has another form -> what it is given; of alike layers the first."""
    found, seen = {}, set()

    def note(name: str, layer: nn.Module, given: tuple) -> None:
        alike = (type(layer), given[0].shape, getattr(layer, "out_channels", 0))
        if alike not in seen:
            seen.add(alike)
            found[name] = given[0].detach().clone(memory_format=torch.preserve_format)

    hooks = [
        layer.register_forward_pre_hook(lambda layer, given, name=name: note(name, layer, given))
        for name, layer in net.named_modules()
        if any(form.purpose == "speed" for form in forms(layer))
    ]
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        net(torch.rand(shape, generator=generator) * 2 - 1)
    for hook in hooks:
        hook.remove()
    return found


def there_and_back(layer: nn.Module, x: torch.Tensor, grad: torch.Tensor) -> list[torch.Tensor]:
    """Output, and the gradients of input and weights; as float64."""
    x = x.detach().requires_grad_()
    out = layer(x)
    slopes = torch.autograd.grad(out, [x, *layer.parameters()], grad.to(out.dtype))
    return [tensor.detach().double() for tensor in (out, *slopes)]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_give_torchs_numbers(name, memory_format):
    """At the sizes at which users' layers change over: no threshold is moved."""
    make, shape, in_use = NETWORKS[name]
    torch.manual_seed(1)
    plain = make()
    net = copy.deepcopy(plain)
    configure(net, CPU, memory_format=memory_format)
    ours, torchs, differ = dict(net.named_modules()), dict(plain.named_modules()), set()
    for layer, x in inputs_of(net, shape).items():
        with torch.no_grad():
            grad = torch.randn_like(torchs[layer](x))
        found = there_and_back(ours[layer], x, grad)
        own = there_and_back(torchs[layer], x, grad)
        exact = there_and_back(copy.deepcopy(torchs[layer]).double(), x.double(), grad)
        for mine, one, true in zip(found, own, exact, strict=True):
            assert (mine - one).abs().max() <= 1e-5 * one.abs().max(), layer
            assert (mine - true).abs().max() <= 1e-5 * true.abs().max(), layer
        if not torch.equal(found[0], own[0]):
            differ.add(forms(ours[layer])[0].name)
    assert differ == in_use  # its roundings are its own


@pytest.fixture
def forms_gain_early(monkeypatch):
    """Forms are in use in networks of a quarter of the width and on small images."""
    monkeypatch.setattr(rules, "WINOGRAD_CHANNELS", 64)
    monkeypatch.setattr(rules, "WINOGRAD_PX", 16)
    monkeypatch.setattr(rules, "PRODUCT_WEIGHTS", 16 * 32)


def smooth(model: BaseModel) -> BaseModel:
    """Without kinks in networks and losses."""
    for net in model.networks().values():
        for parent in list(net.modules()):
            for name, child in parent.named_children():
                if isinstance(child, (nn.ReLU, nn.LeakyReLU)):
                    setattr(parent, name, nn.SiLU())
    for name, part in vars(model).items():
        if isinstance(part, nn.L1Loss):
            setattr(model, name, nn.MSELoss())
    return model


def kinked(model: BaseModel) -> BaseModel:
    """As it is."""
    return model


RESNETS = ["--model", "cycle_gan", "--netG", "resnet_6blocks", "--ngf", "16", "--ndf", "16"]
CYCLE_GAN = [*RESNETS, "--load_size", "32", "--crop_size", "32", "--netD", "pixel"]
BASIC_D = [*RESNETS, "--load_size", "64", "--crop_size", "64", "--lambda_identity", "0"]
PIX2PIX = ["--model", "pix2pix", "--netG", "unet_128", "--load_size", "128", "--crop_size", "128",
           "--ngf", "16", "--ndf", "16", "--no_dropout", "--batch_size", "2"]  # fmt: skip
FULL = ["--load_size", "256", "--crop_size", "256", "--no_dropout"]  # as the papers have it
WAYS = [["--memory_format", name] for name in FORMATS]


def compare(flags: list[str], ways: list[list[str]], change: Callable, steps: int) -> None:
    """Some steps in each of several ways, each step from the weights of the plain run."""
    plain = change(make_model(flags, plain=True))
    ours = [change(make_model([*flags, *way])) for way in ways]
    exact = [smooth(make_model(flags, plain=True, dtype=torch.float64))] * (change is smooth)
    n, size = plain.opt.batch_size, plain.opt.crop_size
    for step in range(steps):
        for model in (*exact, *ours):
            take_over(model, plain)
        losses, *_ = [take_step(model, step, n, size) for model in (plain, *exact)]
        for way, model in zip(ways, ours, strict=True):
            found = take_step(model, step, n, size)
            assert found == pytest.approx(losses, rel=1e-5, abs=1e-7), (way, step)
            if exact:
                compare_gradients(*map(gradients, (model, plain, *exact)))


def compare_gradients(ours: dict, torchs: dict, exact: dict) -> None:
    """Of each network: near those of float64, or nearly as near as torch's own."""
    for name, true in exact.items():
        error, its = ((found[name] - true).norm() for found in (ours, torchs))
        assert error <= max(1e-5 * true.norm(), 3 * its), name


@pytest.mark.parametrize("change", [kinked, smooth])
@pytest.mark.parametrize(
    ("flags", "ways"),
    [
        (CYCLE_GAN, [*WAYS, ["--lean"]]),
        (BASIC_D, [["--lean"]]),
        (PIX2PIX, WAYS),
        ([*PIX2PIX, "--norm", "instance", "--gan_mode", "lsgan"], WAYS),
    ],
    ids=["cycle_gan", "cycle_gan basic", "pix2pix", "pix2pix instance"],
)
def test_steps_give_torchs_losses_and_gradients(flags, ways, change, forms_gain_early):
    compare(flags, ways, change, steps=3)


def test_compiled_steps_give_torchs_losses_and_gradients(forms_gain_early, monkeypatch):
    """What is compiled is traced, forwards and backwards; inductor itself is for the slow test."""
    real = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda forward, mode, dynamic: real(forward, backend="aot_eager")
    )
    compare(CYCLE_GAN, [["--compile"]], smooth, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [CYCLE_GAN, PIX2PIX], ids=["cycle_gan", "pix2pix"])
def test_inductors_steps_give_torchs_losses_and_gradients(flags, forms_gain_early):
    compare(flags, [["--compile"]], smooth, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "cycle_gan", "--netG", "resnet_6blocks", *FULL],
        ["--model", "pix2pix", "--netG", "unet_256", *FULL],
    ],
    ids=["cycle_gan", "pix2pix"],
)
def test_a_step_at_full_width_gives_torchs_losses_and_gradients(flags):
    """No threshold is moved."""
    compare(flags, [[]], smooth, steps=1)
