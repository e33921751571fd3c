import pytest
import torch

from models.schedulers import describe_schedule, make_scheduler
from tests.helpers import golden

SETTINGS = ("lr_policy", "n_epochs", "n_epochs_decay", "lr_decay_iters", "epoch_count")


def make(lr: float = 2e-4, **settings):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    return optimizer, make_scheduler(optimizer, **settings)


def rates(count: int, metric: float | None = None, **settings) -> list[float]:
    optimizer, scheduler = make(**settings)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if metric is None else scheduler.step(metric)
    return found


@pytest.mark.parametrize("entry", golden()["schedulers"], ids=lambda e: e["lr_policy"])
def test_learning_rates_agree_with_the_reference(entry):
    expected = entry["lr_at_epoch"]
    settings = {name: entry[name] for name in SETTINGS}
    found = rates(len(expected), entry["metric"], **settings)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("policy", ["linear", "step", "cosine"])
def test_a_continued_run_has_the_rates_of_an_uninterrupted_one(policy):
    settings = {"lr_policy": policy, "n_epochs": 4, "n_epochs_decay": 4, "lr_decay_iters": 3}
    straight = rates(8, epoch_count=1, **settings)
    assert rates(3, epoch_count=6, **settings) == pytest.approx(straight[5:])


def test_cosine_ends_at_the_last_epoch_and_stays_down():
    found = rates(12, lr_policy="cosine", n_epochs=3, n_epochs_decay=5, lr_decay_iters=1)
    assert found == sorted(found, reverse=True)
    assert found[8:] == [pytest.approx(0.0, abs=1e-12)] * 4


def test_plateau_falls_only_without_improvement():
    optimizer, scheduler = make(lr_policy="plateau", n_epochs=1, n_epochs_decay=1, lr_decay_iters=1)
    for metric in range(20, 0, -1):
        scheduler.step(metric)
    assert optimizer.param_groups[0]["lr"] == 2e-4


def test_the_schedule_is_told_epoch_by_epoch():
    text = describe_schedule(2e-4, "linear", 2, 2, 50, epoch_count=1)
    assert text.splitlines() == [
        "learning rate of epoch 1-2: 0.0002",
        "learning rate of epoch 3: 0.000133",
        "learning rate of epoch 4: 6.67e-05",
    ]
