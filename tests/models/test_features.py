"""Features of every network that can be chosen: shapes, values, gradients, number formats."""

import copy

import pytest
import torch
from torch import nn

from models.compute.configure import Form, configure, exchange
from models.compute.precision import LossScale, in_half
from models.discriminators import DISCRIMINATORS
from models.features import FeatureNet
from models.generators import GENERATORS
from models.networks import define_D, define_G
from models.unet import UnetGenerator, UnetSkipConnectionBlock
from util.errors import UserError

CPU = torch.device("cpu")
CUT_LAYERS = [0, 4, 7, 10, 14]  # the padded image, two halvings, residual blocks 1 and 5


def make(name: str) -> tuple[FeatureNet, torch.Tensor]:
    """A narrow network of either table, with dropout, and two images of its smallest size."""
    torch.manual_seed(1)
    flag, name = name.split()
    if flag == "netD":
        net, side = define_D(3, 4, name, norm="batch"), 32
    else:
        row = GENERATORS[name]
        norm = row.norms[0] if row.norms else "batch"
        net, side = define_G(3, 3, 4, name, norm, use_dropout=True), max(row.sides[1], 16)
    if not isinstance(net, FeatureNet):
        pytest.skip("a plug-in without features")
    return net, torch.rand(2, 3, side, side) * 2 - 1


def layer_of(net: FeatureNet, name: int | str) -> nn.Module:
    """The module whose output the features of this name are."""
    if isinstance(name, int):
        chain = net.net if hasattr(net, "net") else net.model
        return chain[name]
    if not isinstance(net, UnetGenerator):
        return net.get_submodule(name)
    way, level = name.rstrip("0123456789"), int(name.lstrip("downup"))
    blocks = [m for m in net.modules() if isinstance(m, UnetSkipConnectionBlock)]  # outermost first
    block = blocks[level - 1].model
    if way == "up":
        return block[-1]
    inner = [i for i, layer in enumerate(block) if isinstance(layer, UnetSkipConnectionBlock)]
    return block[inner[0] - 1] if inner else block[1]


ALL = [*(f"netG {name}" for name in GENERATORS), *(f"netD {name}" for name in DISCRIMINATORS)]
networks = pytest.mark.parametrize("name", ALL)


@networks
def test_features_have_the_promised_shapes_and_leave_the_output_alone(name):
    net, image = make(name)
    torch.manual_seed(2)  # dropout
    plain = net(image)
    torch.manual_seed(2)
    output, features = net(image, net.feature_layers)
    assert torch.equal(output, plain)
    shapes = net.feature_shapes(*image.shape[1:])
    assert list(shapes) == list(net.feature_layers)
    assert [x.shape[1:] for x in features] == list(shapes.values())


@networks
def test_features_are_what_the_layers_gave(name):
    """Before the next layer works in place on it."""
    net, image = make(name)
    layers, seen = list(net.feature_layers), {}
    for layer in layers:
        layer_of(net, layer).register_forward_hook(
            lambda module, inputs, output, layer=layer: seen.update({layer: output.clone()})
        )
    _, features = net(image, layers)
    assert seen.keys() == set(layers)
    for layer, found in zip(layers, features, strict=True):
        assert torch.equal(found, seen[layer]), layer


@networks
def test_one_layer_alone_gives_the_same_and_stops_there(name):
    net, image = make(name)
    net.eval()
    layers = list(net.feature_layers)
    _, features = net(image, layers)
    later = layer_of(net, layers[-1])
    calls = []
    later.register_forward_hook(lambda *_: calls.append(1))
    for layer, expected in list(zip(layers, features, strict=True))[:-1]:
        (found,) = net(image, [layer], encode_only=True)
        assert torch.equal(found, expected), layer
    assert not calls
    with torch.no_grad():
        last, first = net(image, [layers[-1], layers[0]])[1]  # in the order asked for
    assert torch.equal(last, features[-1]) and torch.equal(first, features[0])


@networks
@pytest.mark.parametrize("encode_only", [True, False])
def test_gradients_flow_through_every_feature(name, encode_only):
    net, image = make(name)
    image.requires_grad_()
    for layer in net.feature_layers:
        result = net(image, [layer], encode_only=encode_only)
        (features,) = result if encode_only else result[1]
        assert features.requires_grad, layer
        (slope,) = torch.autograd.grad((features * torch.rand_like(features)).sum(), image)
        assert slope.abs().sum() > 0, layer
        if not encode_only:
            assert result[0].shape[0] == len(image)


@networks
def test_gradients_of_features_are_right_in_spite_of_layers_that_work_in_place(name):
    """Against a copy of the network in which none does."""
    net, image = make(name)
    net.eval().double()
    image = image.double()
    apart = copy.deepcopy(net)
    for module in apart.modules():
        if hasattr(module, "inplace") and not isinstance(module, nn.LeakyReLU):
            module.inplace = False
    for layer in net.feature_layers:
        slopes = []
        for each in (net, apart):
            output, (features,) = each(image.requires_grad_(), [layer])
            loss = features.square().mean() + output.square().mean()
            slopes.append(torch.autograd.grad(loss, image)[0])
        torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)


def test_the_layers_that_cut_takes():
    """Of the paper's generator, on photographs of 256 px: Park et al. 2020, section 3.2."""
    with torch.device("meta"):
        net = define_G(3, 3, 64, "resnet_9blocks", "instance")
    shapes = net.feature_shapes(3, 256, 256, CUT_LAYERS)
    assert list(shapes) == CUT_LAYERS
    assert [tuple(shape) for shape in shapes.values()] == [
        (3, 262, 262), (128, 128, 128), (256, 64, 64), (256, 64, 64), (256, 64, 64)
    ]  # fmt: skip


def test_asking_for_shapes_changes_nothing():
    net, _ = make("netG unet_128")
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    assert net.feature_shapes(3, 256, 128)["down3"] == (16, 32, 16)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    configure(net, CPU, precision="bf16")
    assert net.feature_shapes(3, 128, 128)["up7"] == (32, 2, 2)


def test_unknown_layers_are_told():
    net, image = make("netG resnet_6blocks")
    with pytest.raises(UserError, match="no layer 'down1' in ResnetGenerator; accepted: 0, 1, 2"):
        net(image, ["down1"])
    unet, image = make("netG unet_128")
    with pytest.raises(UserError, match="no layer 4 in UnetGenerator; accepted: down1.*up2"):
        unet(image, CUT_LAYERS[1:])
    with pytest.raises(UserError, match="no layer 'dwn3'.*did you mean down3"):
        unet(image, ["dwn3"])
    with pytest.raises(UserError, match="encode_only.*none is named"):
        unet(image, encode_only=True)
    with pytest.raises(UserError, match="no layer 0 in UnetGenerator"):
        unet.feature_shapes(3, 128, 128, CUT_LAYERS)


class TestThroughOneDoor:
    """What a network was told about its numbers holds for its features."""

    def slopes(self, net: nn.Module, image: torch.Tensor, way: str) -> list[torch.Tensor]:
        """Gradients of the weights and the image, of a loss on features."""
        features = {
            "layers": lambda: net(image, [4, 10])[1],
            "encode_only": lambda: net(image, [4, 10], encode_only=True),
            "by hand": lambda: [net.model[:5](image), net.model[:11](image)],
        }[way]()
        loss = sum(x.square().mean() for x in features)
        image.grad = None
        net.zero_grad()
        loss.backward()
        return [image.grad.clone(), *(p.grad for p in net.model[:11].parameters())]

    @pytest.mark.parametrize("way", ["layers", "encode_only"])
    def test_losses_on_features_have_whole_gradients_in_fp16(self, way):
        net, image = make("netG resnet_6blocks")
        net.eval()
        image.requires_grad_()
        expected = self.slopes(net, image, way)
        factor = 2.0**8  # more overflows in a network as narrow as this
        scale = LossScale(CPU, factor)
        exchange(net, Form("precision", "fp16", lambda own: in_half(own, torch.float16, scale)))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
        found = self.slopes(net, image, way)
        scale.unscale(optimizer)
        assert scale.factor == factor  # no overflow
        for ours, exact in zip(found, expected, strict=True):
            assert (ours - exact).abs().max() <= 2e-2 * max(x.abs().max() for x in expected)
        by_hand = self.slopes(net, image, "by hand")  # why the door is needed
        scale.unscale(optimizer)
        assert by_hand[1].abs().max() < 2 / factor * expected[1].abs().max()

    @networks
    def test_features_are_float32_in_bf16(self, name):
        net, image = make(name)
        net.eval()
        exact = net(image, net.feature_layers)[1]
        configure(net, CPU, precision="bf16")
        output, features = net(image, net.feature_layers)
        assert {x.dtype for x in (output, *features)} == {torch.float32}
        first = net(image, net.feature_layers[:1], encode_only=True)[0]
        assert torch.equal(first, features[0])
        for rounded, expected in zip(features, exact, strict=True):
            assert (rounded - expected).abs().mean() <= 0.05 * expected.abs().mean() + 1e-6

    @pytest.mark.parametrize("name", ["netG resnet_6blocks", "netG unet_128", "netG style_net"])
    def test_compiled_networks_give_them_without_a_break_in_the_graph(self, name):
        net, image = make(name)
        net.eval()
        layers = [net.feature_layers[1], net.feature_layers[0]]
        expected = net(image, layers)
        alone = net(image, layers, encode_only=True)
        net.compile(backend="eager", fullgraph=True)
        output, features = net(image, layers)
        for ours, plain in zip((output, *features), (expected[0], *expected[1]), strict=True):
            torch.testing.assert_close(ours, plain)
        for ours, plain in zip(net(image, layers, encode_only=True), alone, strict=True):
            torch.testing.assert_close(ours, plain)
