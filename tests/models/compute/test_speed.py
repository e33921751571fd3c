"""Options of speed: the same training, in another format, in parts or compiled."""

import pytest
import torch

from models import create_model
from models.base_model import BaseModel
from models.compute import MEMORY_FORMATS, rules
from models.networks import define_G
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, test, train
from util.errors import UserError

SMALL = ["--dataroot", ".", *TINY, "--ngf", "16", "--ndf", "16", "--netG", "resnet_6blocks"]
CYCLE = ["--model", "cycle_gan", *SMALL]
PIX2PIX = ["--model", "pix2pix", "--no_dropout", *SMALL]


def make(*flags: str) -> BaseModel:
    """A model with one batch in it; its weights and images are always the same."""
    opt = TrainOptions().parse(list(flags))
    torch.manual_seed(1)
    model = create_model(opt)
    model.setup(opt)
    generator = torch.Generator().manual_seed(2)
    A, B = (torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    model.set_input({"A": A, "B": B, "A_paths": ["a"], "B_paths": ["b"]})
    return model


def gradients(model: BaseModel) -> list[torch.Tensor]:
    """Of the generators and discriminators, after a step that changes nothing."""
    for optimizer in model.optimizers:
        optimizer.param_groups[0]["lr"] = 0.0
    model.optimize_parameters()
    return [p.grad.clone() for net in model.networks().values() for p in net.parameters()]


def close(found: list[torch.Tensor], expected: list[torch.Tensor], tolerance: float) -> None:
    largest = max(tensor.abs().max() for tensor in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max() <= tolerance * largest


@pytest.mark.parametrize("flags", [["--lean"], ["--lean", "--lambda_identity", "0"]], ids=str)
def test_lean_gives_the_same_gradients(flags):
    whole, parts = make(*CYCLE, *flags[1:]), make(*CYCLE, *flags)
    close(gradients(parts), gradients(whole), 1e-5)
    for name, value in whole.get_current_losses().items():
        assert parts.get_current_losses()[name] == pytest.approx(value, rel=1e-5)
    assert parts.loss_G.item() == pytest.approx(whole.loss_G.item(), rel=1e-5)


def test_lean_frees_what_a_part_kept():
    def most_kept(*flags: str) -> int:
        model, kept = make(*CYCLE, *flags), [0, 0]  # now, at most

        class Token:
            def __init__(self, tensor: torch.Tensor) -> None:
                self.tensor = tensor
                kept[0] += tensor.numel()
                kept[1] = max(kept)

            def __del__(self) -> None:
                kept[0] -= self.tensor.numel()

        with torch.autograd.graph.saved_tensors_hooks(Token, lambda token: token.tensor):
            model.optimize_parameters()
        return kept[1]

    assert most_kept("--lean") < 0.65 * most_kept()


@pytest.mark.parametrize("flags", [CYCLE, PIX2PIX], ids=["cycle_gan", "pix2pix"])
def test_memory_formats_give_the_same_gradients(flags):
    found = [gradients(make(*flags, "--memory_format", name)) for name in MEMORY_FORMATS]
    close(found[1], found[2], 2e-3)  # other sums: a ReLU near zero may fall on the other side
    assert all(torch.equal(*pair) for pair in zip(found[0], found[2], strict=True))


@pytest.mark.parametrize(
    ("netG", "ngf", "precision", "expected"),
    [
        ("resnet_6blocks", 16, "fp32", "channels_last"),
        ("resnet_6blocks", 8, "fp32", "channels_last"),
        ("unet_128", 16, "fp32", "channels_last"),
        ("unet_128", 64, "fp32", "contiguous"),
        ("unet_128", 64, "bf16", "channels_last"),
    ],
)
def test_the_format_follows_from_the_network(netG, ngf, precision, expected):
    with torch.device("meta"):
        net = define_G(3, 3, ngf, netG)
    assert rules.choose_memory_format(net, torch.device("cpu"), precision) == expected
    assert rules.choose_memory_format(net, torch.device("cuda"), precision) == "contiguous"


def test_bf16_trains_resumes_and_tests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_aligned(tmp_path / "data")
    base = ["--dataroot", "data", "--name", "run", "--model", "pix2pix", *TINY, "--netG",
            "resnet_6blocks", "--n_epochs_decay", "0", "--no_html"]  # fmt: skip
    train(*base, "--n_epochs", "1", "--precision", "bf16")
    train("--name", "run", "--continue_train", "--n_epochs", "2", "--device", "cpu")
    assert "precision: bf16" in (tmp_path / "checkpoints/run/train_opt.yaml").read_text()
    weights = torch.load(tmp_path / "checkpoints/run/latest_net_G.pth")
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {
        torch.float32
    }
    test("--dataroot", "data", "--name", "run", "--device", "cpu", "--precision", "bf16")
    assert len(list(tmp_path.glob("results/run/test_latest/images/*_fake_B.png"))) == 4


def test_fp16_is_refused_where_it_does_not_work():
    with pytest.raises(UserError, match="--precision fp16: for GPUs, not for cpu"):
        make(*CYCLE, "--precision", "fp16")
    with pytest.raises(UserError, match="bf16"):
        make(*CYCLE, "--precision", "fp16", "--gan_mode", "wgangp")


@pytest.mark.slow
def test_inductor_compiles_what_the_networks_do():
    for precision in ("fp32", "bf16"):
        flags = [*CYCLE, "--precision", precision]
        close(gradients(make(*flags, "--compile")), gradients(make(*flags)), 3e-2)
