"""Networks: the keys, shapes and outputs of the reference implementation."""

import pytest
import torch
from torch import nn

from models import networks
from tests import closed_form
from tests.helpers import golden
from util.errors import UserError


def assert_output(output: torch.Tensor, expected: dict) -> None:
    assert list(output.shape) == expected["shape"]
    assert output.mean().item() == pytest.approx(expected["mean"], abs=1e-5)
    flat = output.flatten()
    for index, value in expected["at"].items():
        assert flat[int(index)].item() == pytest.approx(value, abs=2e-5)


def label(entry: dict) -> str:
    return "-".join(str(v) for v in entry.values() if not isinstance(v, (list, dict)))


@pytest.mark.parametrize("entry", golden()["generators"], ids=label)
def test_generator_agrees_with_the_reference(entry):
    net = networks.define_G(
        entry["input_nc"], entry["output_nc"], entry["ngf"], entry["netG"], entry["norm"],
        entry["dropout"],
    )  # fmt: skip
    assert [[k, list(v.shape)] for k, v in net.state_dict().items()] == entry["keys"]
    closed_form.fill_(net)
    image = closed_form.image(2, entry["input_nc"], entry["size"], entry["size"])
    with torch.no_grad():
        assert_output(net.eval()(image), entry["eval_output"])
        if "train_output" in entry:
            assert_output(net.train()(image), entry["train_output"])


@pytest.mark.parametrize("entry", golden()["discriminators"], ids=label)
def test_discriminator_agrees_with_the_reference(entry):
    net = networks.define_D(
        entry["input_nc"], entry["ndf"], entry["netD"], entry["n_layers_D"], entry["norm"]
    )
    assert [[k, list(v.shape)] for k, v in net.state_dict().items()] == entry["keys"]
    closed_form.fill_(net)
    with torch.no_grad():
        image = closed_form.image(2, entry["input_nc"], entry["size"], entry["size"])
        assert_output(net.eval()(image), entry["eval_output"])


@pytest.mark.parametrize(("netG", "layers"), [("unet_256", 3), ("unet_128", 2),
                                              ("resnet_9blocks", 9)])  # fmt: skip
def test_dropout_leaves_out_half(netG, layers):
    """Isola et al. 2017, section 6.1.1."""
    with torch.device("meta"):
        net = networks.define_G(3, 3, 8, netG, "batch", use_dropout=True)
    found = [module for module in net.modules() if isinstance(module, nn.Dropout)]
    assert [module.p for module in found] == [0.5] * layers


def test_full_size_networks_have_the_published_number_of_parameters():
    for name, count in golden()["parameter_counts_ngf64"].items():
        with torch.device("meta"):
            if name.startswith("D_"):
                net = networks.define_D(3, 64, name.removeprefix("D_"), norm="instance")
            else:
                norm = "batch" if name.startswith("unet") else "instance"
                net = networks.define_G(3, 3, 64, name, norm)
        assert sum(p.numel() for p in net.parameters()) == count, name


def test_drawn_weights_have_the_published_spread():
    torch.manual_seed(0)
    net = networks.define_G(3, 3, 32, "resnet_6blocks", "batch")
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    weights = torch.cat([m.weight.flatten() for m in convs])
    scales = torch.cat([m.weight for m in norms])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert scales.mean().item() == pytest.approx(1.0, abs=0.01)
    assert scales.std().item() == pytest.approx(0.02, rel=0.2)
    assert all(not m.bias.any() for m in [*convs, *norms] if m.bias is not None)


@pytest.mark.parametrize(
    ("init_type", "spread"),  # of a 3x3 convolution of 64 channels, gain 0.02 where it has one
    [
        ("normal", 0.02),
        ("xavier", 0.02 * (2 / (9 * 64 + 9 * 64)) ** 0.5),
        ("kaiming", (2 / (9 * 64)) ** 0.5),
        ("orthogonal", 0.02 / (9 * 64) ** 0.5),
    ],
)
def test_every_init_type_draws_with_its_spread(init_type, spread):
    torch.manual_seed(0)
    conv = networks.init_net(nn.Conv2d(64, 64, 3), init_type, 0.02)
    assert conv.weight.std().item() == pytest.approx(spread, rel=0.03)
    assert not conv.bias.any()


def test_old_plugins_may_pass_gpu_ids():
    assert networks.define_G(3, 3, 4, "unet_128", "batch", False, "normal", 0.02, [])
    assert networks.define_D(3, 4, "basic", 3, "batch", "normal", 0.02, [])
    assert networks.init_net(nn.Conv2d(1, 1, 1), "normal", 0.02, [])


def test_copied_networks_can_ask_what_kind_of_norm_they_got():
    """As the reference's networks do, to decide about the convolutions' bias."""
    assert networks.get_norm_layer("instance").func is nn.InstanceNorm2d
    assert networks.get_norm_layer("batch").func is nn.BatchNorm2d


def test_a_size_that_a_unet_cannot_take_is_told_in_one_line():
    net = networks.define_G(3, 3, 4, "unet_128")
    with pytest.raises(UserError, match=r"100x128.*multiples of 128"):
        net(torch.zeros(1, 3, 128, 100))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: networks.define_G(3, 3, 4, "unet_64"), "--netG unet_64.*did you mean unet_"),
        (lambda: networks.define_D(3, 4, "patch"), "--netD patch.*basic, n_layers, pixel"),
        (lambda: networks.get_norm_layer("layer"), "--norm layer"),
        (lambda: networks.init_weights(nn.Identity(), "uniform"), "--init_type uniform"),
    ],
)
def test_unknown_names_are_told_with_the_accepted_ones(call, words):
    with pytest.raises(UserError, match=words):
        call()
