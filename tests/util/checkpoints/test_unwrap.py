"""Weights from elsewhere: wrapped, in other numbers, of other networks, or no weights at all."""

import gzip
import io
import re
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from models import networks
from tests.helpers import TINY, make_aligned, make_single
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.weights import load_weights
from util.errors import UserError

PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--n_epochs", 1,
           "--n_epochs_decay", 0]  # fmt: skip


def make(ngf: int = 4, norm: str = "instance", netG: str = "resnet_6blocks") -> nn.Module:
    return networks.define_G(3, 3, ngf, netG, norm)


@pytest.fixture
def net():
    return make()


def ones(net: nn.Module) -> dict:
    return {key: torch.ones_like(value) for key, value in net.state_dict().items()}


def is_ones(net: nn.Module) -> bool:
    return all(bool((value == 1).all()) for value in net.state_dict().values())


def prefixed(weights: dict, prefix: str) -> dict:
    return {prefix + key: value for key, value in weights.items()}


WRAPPINGS = {
    "state_dict": lambda own, other: {"state_dict": own, "epoch": 3},
    "model": lambda own, other: {"model": own, "optimizer": {"state": {0: {"step": own}}}},
    "netG": lambda own, other: {"netG": own, "netD": other},
    "by the name": lambda own, other: {"G_B": {k: v + 1 for k, v in own.items()}, "G": own},
    "params_ema": lambda own, other: {"params": {k: v + 1 for k, v in own.items()},
                                      "params_ema": own},
    "prefixes twice": lambda own, other: prefixed(prefixed(own, "_orig_mod."), "module."),
    "module twice": lambda own, other: prefixed(own, "module.module."),
    "deep": lambda own, other: {"checkpoint": {"state_dict": prefixed(own, "module.")}, "loss": 1},
    "lightning": lambda own, other: {"epoch": 1, "state_dict": prefixed(own, "netG.")
                                     | prefixed(other, "netD.")},
    "parts of one": lambda own, other: prefixed(own, "generator.") | prefixed(other, "disc."),
    "averaged": lambda own, other: {"n_averaged": torch.tensor(3)} | prefixed(own, "module."),
    "a number among them": lambda own, other: own | {"epoch": 3},
}  # fmt: skip


@pytest.mark.parametrize("how", WRAPPINGS)
def test_wrapped_weights_are_unwrapped(tmp_path, net, capsys, how):
    """User report 19: {"state_dict": ..., "epoch": 3}, prefixes twice, and their neighbours."""
    other = networks.define_D(6, 4, "basic").state_dict()
    torch.save(WRAPPINGS[how](ones(net), other), tmp_path / "w.pth")
    load_weights(net, tmp_path / "w.pth", network="G")
    assert is_ones(net)
    warned = "weights taken from" in capsys.readouterr().err
    assert warned == (how not in ("prefixes twice", "module twice", "a number among them"))


def test_an_averaged_model_of_torch_is_read(tmp_path, net):
    """User report 19: as torch itself writes it."""
    net.load_state_dict(ones(net))
    torch.save(AveragedModel(net).state_dict(), tmp_path / "w.pth")
    fresh = make()
    load_weights(fresh, tmp_path / "w.pth")
    assert is_ones(fresh)


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(2))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("latest_net_G.pth", "x")
    return buffer.getvalue()


def saved(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def scripted() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), buffer)
    return buffer.getvalue()


def optimizer() -> dict:
    return torch.optim.Adam([torch.ones(1, requires_grad=True)]).state_dict()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("content", "words"), [
    (npy, "a NumPy array"), (npz, "NumPy arrays"), (scripted, "a TorchScript archive"),
    (zipped, "a zip archive; unpack it"), (lambda: gzip.compress(b"x"), "a gzip archive"),
    (lambda: b"\n<!DOCTYPE html><html>", "an HTML page"), (lambda: b"", "an empty file"),
    (lambda: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    (lambda: saved(nn.Linear(2, 2)), r"refused: holds code \(torch.nn.modules.linear.Linear"),
    (lambda: saved(torch.ones(2)), "holds a single tensor"), (lambda: saved({}), "an empty dict"),
    (lambda: saved(optimizer()), "an optimizer's state"),
    (lambda: saved({"epoch": 3}), r"a dict without tensors \('epoch'\)"),
    (lambda: saved({"a": {"w": torch.ones(1)}, "b": {"w": torch.ones(1)}}), "nothing|network|sev"),
])  # fmt: skip
def test_what_holds_no_weights_is_named_by_what_it_is(tmp_path, net, content, words):
    """User report 19: one line, and no advice that cannot help."""
    path = tmp_path / "w.pth"
    path.write_bytes(content())
    with pytest.raises(UserError, match=words) as caught:
        load_weights(net, path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_safetensors_under_another_name_are_read(tmp_path, net):
    """User report 19: what a file is, its bytes tell."""
    from safetensors.torch import save_file

    save_file(ones(net), str(tmp_path / "w.pth"))
    load_weights(net, tmp_path / "w.pth")
    assert is_ones(net)


@pytest.mark.parametrize(("other", "words", "flags"), [
    ({"ngf": 8}, "ngf 8 there, 4 here", "--ngf 8"),
    ({"norm": "batch"}, "norm batch there, instance here", "--norm batch"),
    ({"netG": "resnet_9blocks"}, "netG resnet_9blocks there, resnet_6blocks here",
     "--netG resnet_9blocks"),
    ({"netG": "unet_128", "norm": "batch"}, "netG unet_128 there", "--netG unet_128 --norm batch"),
])  # fmt: skip
def test_another_networks_flags_are_told(net, other, words, flags):
    """User report 19: which flags it was trained with, as its weights tell."""
    told = networks.differences(net.state_dict(), make(**other).state_dict())
    assert words in told[0] and told[1] == flags


def test_a_discriminator_is_no_generator(net):
    """User report 19: no flag would help, so none is named."""
    D = networks.define_D(6, 8, "n_layers", 2, "instance").state_dict()
    words, flags = networks.differences(net.state_dict(), D)
    assert words == ("it is a discriminator (netD n_layers, ndf 8, norm instance, input channels "
                     "of D 6, n_layers_D 2)") and not flags  # fmt: skip
    other = networks.define_D(3, 8, "pixel", norm="batch").state_dict()
    assert networks.differences(D, other) == (
        "netD pixel there, n_layers here, norm batch there, instance here, input channels of D 3 "
        "there, 6 here", "--netD pixel --norm batch")  # fmt: skip


def quantized(weights: torch.Tensor) -> torch.Tensor:
    return torch.quantize_per_tensor(weights.float(), 0.1, 0, torch.qint8)


NUMBERS = {
    "int32": (lambda w: w.to(torch.int32), "holds numbers of int32 where the network has float32"),
    "uint8": (lambda w: w.to(torch.uint8), "holds numbers of uint8"),
    "bool": (lambda w: w > 0, "holds numbers of bool"),
    "complex": (lambda w: w.to(torch.complex64), "holds numbers of complex64"),
    "quantized": (quantized, "holds quantized"),
    "sparse": (lambda w: w.to_sparse(), "holds a tensor of torch.sparse_coo"),
    "scalar": (lambda w: torch.ones(()), "of another shape"),
    "too large": (lambda w: w.double() * 1e300, "not finite, or too large for float32"),
    "half": (torch.Tensor.half, None), "bfloat16": (torch.Tensor.bfloat16, None),
    "double": (torch.Tensor.double, None),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_are_no_weights_are_refused_and_others_converted(tmp_path, capsys, kind):
    """Fault 103: whole and complex numbers are refused; halves and doubles converted, and said."""
    net, (change, words) = make(norm="batch"), NUMBERS[kind]
    torch.save({key: change(value) for key, value in ones(net).items()}, tmp_path / "w.pth")
    if words is None:
        load_weights(net, tmp_path / "w.pth")
        assert is_ones(net)
        assert re.search(r"w.pth: numbers of \w+ converted to float32", capsys.readouterr().err)
        return
    with pytest.raises(UserError, match=words):
        load_weights(net, tmp_path / "w.pth")
    assert not is_ones(net)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_training_does_not_begin_with_numbers_that_are_not_finite(tmp_path, net, number):
    """Fault 103: a training that has gone wrong is not gone on with."""
    weights = ones(net)
    weights["model.1.bias"][0] = number
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(UserError, match="model.1.bias holds numbers that are not finite"):
        load_weights(net, tmp_path / "w.pth", finite=True)


class TestInitFrom:
    """User report 11: weights of another network, "12 matched, 58 mismatched", were taken."""

    @pytest.fixture
    def pairs(self, tmp_path):
        return ["--dataroot", make_aligned(tmp_path / "pairs", 1)]

    @pytest.fixture
    def trained(self, pairs):
        run_train(*pairs, *PIX2PIX, "--name", "p")
        return "checkpoints/p"

    def test_another_network_is_refused_in_plain_words(self, trained, pairs, capsys):
        """User report 11: ngf, norm, netG, channels; unless a flag allows it."""
        for flags, words in (
            (["--ngf", 4], "network G is another one .*: ngf 8 there, 4 here; give --ngf 8"),
            (["--ndf", 4], "network D is another one .*: ndf 8 there, 4 here; give --ndf 8"),
            (["--norm", "instance"], "norm batch there, instance here"),
            (["--netG", "resnet_9blocks"], "netG resnet_6blocks there, resnet_9blocks here"),
            (["--input_nc", 1], "input_nc 3 there, 1 here; give --input_nc 3; or --init_partial"),
        ):
            again = [*pairs, *PIX2PIX, *flags, "--name", "q", "--init_from", trained]
            run_train(*again, expect=2)
            assert re.search(words, capsys.readouterr().err.splitlines()[-1])
        run_train(*again, "--init_partial", "--dry_run")
        assert re.search(r"network G: \d+ matched, 0 missing, 1 mism", capsys.readouterr().out)

    def test_a_wrapped_file_with_the_same_network_needs_no_flag(self, trained, pairs, capsys):
        """User report 11: what fits goes on as ever, wrapped (19) too."""
        G = torch.load(f"{trained}/latest_net_G.pth", weights_only=True)
        D = torch.load(f"{trained}/latest_net_D.pth", weights_only=True)
        torch.save({"netD": D, "netG": G, "epoch": 1}, "both.pth")
        run_train(*pairs, *PIX2PIX, "--name", "q", "--init_from", "both.pth", "--dry_run")
        text = capsys.readouterr()
        assert "weights taken from ['netG'] in it" in text.err
        assert re.search(r"network G: \d+ matched, 0 missing, 0 mismatched", text.out)


def test_test_reads_a_wrapped_file_without_options(tmp_path, capsys):
    """User report 19: what the network was is read from the weights, wrapped or not."""
    folder = tmp_path / "checkpoints" / "w"
    folder.mkdir(parents=True)
    torch.save({"state_dict": make(ngf=8).state_dict(), "epoch": 3}, folder / "latest_net_G.pth")
    data = make_single(tmp_path / "photos", 1)
    run_test("--dataroot", data, "--name", "w", "--model", "test", "--gpu_ids", -1)
    assert "netG resnet_6blocks" in capsys.readouterr().err
    D = networks.define_D(6, 8, "basic").state_dict()
    torch.save(D, folder / "latest_net_G.pth")
    run_test("--dataroot", data, "--name", "w", "--model", "test", "--gpu_ids", -1, expect=2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert "it is a discriminator (netD basic, ndf 8" in error and "give the flags" not in error
