"""Numbers that are not finite: the step is not made, the run stops or goes on, and says why."""

import json
import math
import re

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from models.cycle_gan_model import CycleGANModel
from models.pix2pix_model import Pix2PixModel
from tests.helpers import TINY, make_aligned, make_unaligned, metrics
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.checkpoint import list_checkpoints
from util.checkpoints.weights import load_file, save_file
from util.errors import NonFinite
from util.training.nan_guard import MOST_SKIPPED, NanGuard

PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--print_freq", "1",
           "--n_epochs", 2, "--n_epochs_decay", 0, "--name", "p"]  # fmt: skip


@pytest.fixture
def pairs(tmp_path):
    return ["--dataroot", make_aligned(tmp_path / "pairs", 5)]


def poison(monkeypatch, model: type, steps: set[int]) -> None:
    """Make the input of some steps NaN; the call before the first step does not count."""
    taken, real = [], model.set_input

    def set_input(self, batch):
        if torch.is_grad_enabled():  # else it is the page's own sample
            if len(taken) in steps:
                batch["A"][0, 0, 0, 0] = math.nan
            taken.append(1)
        real(self, batch)

    monkeypatch.setattr(model, "set_input", set_input)


def finite(run) -> bool:
    return all(
        torch.isfinite(value).all()
        for path in run.rglob("*_net_*.pth")
        for value in load_file(path).values()
    )


def test_a_huge_learning_rate_stops_with_names_and_no_bad_checkpoint(tmp_path, pairs, capsys):
    run_train(*pairs, *PIX2PIX, "--lr", 1e30, "--save_latest_freq", 1, expect=3)
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"error: loss G_\w+ is (nan|inf).* in step \d", error)
    assert "last good checkpoint: " in error and "its files: " in error
    assert finite(tmp_path / "checkpoints" / "p")


def test_one_bad_batch_stops_in_its_step_and_is_kept(tmp_path, pairs, monkeypatch, capsys):
    poison(monkeypatch, Pix2PixModel, {7})
    run_train(*pairs, *PIX2PIX, "--save_latest_freq", 2, expect=3)
    error = capsys.readouterr().err.splitlines()[-1]
    run = tmp_path / "checkpoints" / "p"
    file = re.search(r"in step 7 \(epoch 2\); its files: (\S+\.png);", error)[1]
    kept = load_file(run / "not_finite_step7.pth")
    assert kept["batch"]["A_paths"] == [file] and kept["batch"]["A"].isnan().any()
    assert "epoch 2, 6 images seen" in error and finite(run)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    run_train("--name", "p", "--continue_train", "--gpu_ids", -1)
    assert [m["images"] for m in metrics(run)] == list(range(1, 11))


@pytest.mark.parametrize(("model", "more"), [
    (Pix2PixModel, ["--norm", "batch"]), (CycleGANModel, ["--pool_size", "2"]),
])  # fmt: skip
def test_bad_batches_are_skipped_and_counted(tmp_path, monkeypatch, capsys, model, more):
    """Norms' statistics and image pools are taken back too."""
    data = make_aligned(tmp_path / "data", 5)
    make_unaligned(tmp_path / "data", 5)
    poison(monkeypatch, model, {3, 5})
    name = "pix2pix" if model is Pix2PixModel else "cycle_gan"
    run_train("--dataroot", data, *PIX2PIX, "--model", name, *more, "--on_nan", "skip")
    error = capsys.readouterr().err
    assert "left out, 1 so far" in error and "left out, 2 so far" in error
    run = tmp_path / "checkpoints" / "p"
    lines = metrics(run)
    bad = [m["images"] for m in lines if None in m.values()]
    assert bad == [3, 5] and len(lines) == 10
    unit = list_checkpoints(run)[0]
    for part in unit.state()["local"][0]["model"]["parts"].values():
        assert all(torch.isfinite(image).all() for image in part["images"])
    assert finite(run)


class RunningLoss:
    """A part of a plug-in with a state of its own; a bad number stays in it for ever."""

    def __init__(self) -> None:
        self.mean = torch.zeros(())

    def state_dict(self) -> dict:
        return {"mean": self.mean}

    def load_state_dict(self, state: dict) -> None:
        self.mean = state["mean"]


def test_averaged_weights_and_parts_of_plugins_are_taken_back_too(tmp_path, pairs, monkeypatch):
    init, optimize, models = Pix2PixModel.__init__, Pix2PixModel.optimize_parameters, []

    def with_parts(self, opt):
        init(self, opt)
        self.ema, self.running = AveragedModel(self.netG), RunningLoss()
        models.append(self)

    def optimize_parameters(self):
        optimize(self)
        self.ema.update_parameters(self.netG)
        self.running.mean += 0.1 * (self.loss_G.detach() - self.running.mean)

    monkeypatch.setattr(Pix2PixModel, "__init__", with_parts)
    monkeypatch.setattr(Pix2PixModel, "optimize_parameters", optimize_parameters)
    poison(monkeypatch, Pix2PixModel, {3, 5})
    run_train(*pairs, *PIX2PIX, "--on_nan", "skip")
    assert models[0].ema.n_averaged == 8 and models[0].running.mean.isfinite()


def test_too_many_bad_batches_in_a_row_stop(tmp_path, pairs, monkeypatch, capsys):
    poison(monkeypatch, Pix2PixModel, set(range(1, 100)))
    run_train(*pairs, *PIX2PIX, "--n_epochs", 5, "--on_nan", "skip", expect=3)
    assert "for 11 steps in a row" in capsys.readouterr().err


def test_bad_batches_that_are_not_in_a_row_stop_nothing(tmp_path):
    model = Line(fused=False)
    nan_guard = NanGuard(model, "skip", tmp_path)
    for number in range(1, 4 * MOST_SKIPPED + 1):
        nan_guard.begin_step(number, 1, {})
        model.learn(math.inf if number % 2 else 1.0)
        nan_guard.check_step()
    assert nan_guard.skipped == 2 * MOST_SKIPPED


def test_a_loss_that_is_a_plain_number_is_looked_at_too(tmp_path):
    """As of a plug-in that logs `.item()`."""
    model = Line(fused=False)
    nan_guard = NanGuard(model, "stop", tmp_path)
    nan_guard.begin_step(1, 1, {})
    model.learn(1.0)
    model.current_losses = lambda: {"G": model.loss.detach(), "style": math.inf}
    with pytest.raises(NonFinite, match="loss style is inf in step 1"):
        nan_guard.check_step()


class Line:
    """A model of one weight; the gradient is the batch's value."""

    def __init__(self, fused: bool) -> None:
        self.net = torch.nn.Linear(1, 1, bias=False)
        optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1, fused=fused)
        self.optimizers, self.loss = [optimizer], torch.zeros(())

    def networks(self):
        return {"G": self.net}

    def prepare_optimizers(self, check):
        self.optimizers[0].register_step_pre_hook(lambda optimizer, *_: check(optimizer))

    def get_image_paths(self):
        return ["a.png"]

    def current_losses(self):
        return {"G": self.loss.detach()}

    def learn(self, value: float) -> None:
        self.optimizers[0].zero_grad()
        self.loss = self.net(torch.full((1, 1), value)).sum()
        self.loss.backward()
        self.optimizers[0].step()


@pytest.mark.parametrize("on_device", [True, False])
def test_an_update_is_left_out_on_the_device_as_on_the_host(tmp_path, on_device):
    """What a GPU does, with a fused optimizer on the CPU: no number is read before the update.

    Fused updates heed `found_inf` and `grad_scale`, which torch does not document: seen in 2.14.1.
    """
    model = Line(fused=on_device)
    nan_guard = NanGuard(model, "skip", tmp_path, on_device=on_device)
    nan_guard.begin_step(1, 1, {})
    model.learn(2.0)
    nan_guard.check_step()
    before = model.net.weight.detach().clone()
    nan_guard.begin_step(2, 1, {})
    model.learn(math.inf)
    nan_guard.check_step()
    assert torch.equal(before, model.net.weight) and nan_guard.skipped == 1
    nan_guard.begin_step(3, 1, {})
    model.learn(1.0)
    nan_guard.check_step()
    assert not torch.equal(before, model.net.weight)


def test_weights_that_are_not_finite_are_never_saved(tmp_path, pairs, monkeypatch, capsys):
    real = Pix2PixModel.optimize_parameters

    def spoil(self):
        real(self)
        with torch.no_grad():
            next(self.netD.parameters())[0, 0, 0, 0] = math.inf

    monkeypatch.setattr(Pix2PixModel, "optimize_parameters", spoil)
    run_train(*pairs, *PIX2PIX, "--save_latest_freq", 1, expect=3)
    assert "weights of network D are not finite; last good checkpoint: none yet" in (
        capsys.readouterr().err
    )
    assert not list((tmp_path / "checkpoints" / "p").rglob("*.pth"))


def test_the_message_names_losses_and_a_gradient_alone(tmp_path):
    model = Line(fused=False)
    nan_guard = NanGuard(model, "stop", tmp_path)
    nan_guard.begin_step(1, 1, {})
    model.learn(1.0)
    model.loss = torch.tensor(math.nan)
    with pytest.raises(NonFinite, match=r"loss G is nan in step 1 \(epoch 1\); its files: a.png"):
        nan_guard.check_step()
    assert json.dumps(load_file(tmp_path / "not_finite_step1.pth")["step"]) == "1"


def test_weights_that_are_not_finite_make_no_black_pictures(tmp_path, pairs, capsys):
    run_train(*pairs, *PIX2PIX)
    run = tmp_path / "checkpoints" / "p"
    weights = load_file(run / "latest_net_G.pth")
    next(iter(weights.values()))[0, 0, 0, 0] = math.nan
    elsewhere = tmp_path / "checkpoints" / "d"
    save_file(weights, elsewhere / "latest_net_G.pth")
    run_test("--dataroot", pairs[1] / "test", "--name", "d", "--model", "test", "--gpu_ids", -1,
             expect=1)  # fmt: skip
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"error: fake of \S+0.png is not finite: .*choose another --epoch", error)
    assert not list((tmp_path / "results").rglob("*.png"))
