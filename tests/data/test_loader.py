"""Batches depend on (seed, epoch, index) alone."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from data.loader import EpochSampler, Loader, Order, Reading
from tests.processes import Process
from util.errors import BadImage, UserError


class Draws(Dataset):
    """A plug-in that draws from all three generators, without a thought about seeds."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        numbers = [index, random.random(), np.random.rand(), torch.rand(()).item()]
        return {"A": torch.tensor(numbers, dtype=torch.float64), "A_paths": str(index)}


class OneBad(Draws):
    def __getitem__(self, index):
        if index == 3:
            raise UserError("3.png: cannot be read")
        return super().__getitem__(index)


class Sizes(Draws):
    def __getitem__(self, index):
        return {"A": torch.zeros(3, 8, 8 + index)}


def epoch_of(loader: Loader, epoch: int, start: int = 0) -> torch.Tensor:
    loader.set_epoch(epoch, start)
    return torch.cat([batch["A"] for batch in loader])


def loader(
    dataset: Dataset | None = None,
    batch_size: int = 2,
    num_threads: int = 0,
    singles: bool = False,
    **order,
) -> Loader:
    reading = Reading(num_threads=num_threads, singles=singles)
    order = Order(**({"seed": 5, "shuffle": True} | order))
    return Loader(dataset or Draws(), batch_size, order, reading)


def test_the_number_of_workers_changes_nothing():
    alone, three = loader(), loader(num_threads=3)
    for epoch in (1, 2, 3):
        assert torch.equal(epoch_of(alone, epoch), epoch_of(three, epoch))


def test_epochs_and_seeds_differ_and_repeat():
    first = epoch_of(loader(), 1)
    assert torch.equal(first, epoch_of(loader(), 1))
    for other in (epoch_of(loader(), 2), epoch_of(loader(seed=6), 1)):
        assert not torch.equal(first[:, 0], other[:, 0])  # the order
        same_samples = first[first[:, 0].argsort()] == other[other[:, 0].argsort()]
        assert not same_samples[:, 1:].any()  # crop and flip of each sample
    assert sorted(first[:, 0].tolist()) == list(range(7))


def test_an_epoch_can_start_in_the_middle():
    assert torch.equal(epoch_of(loader(), 4, start=4), epoch_of(loader(), 4)[4:])


def test_a_look_at_the_first_batch_leaves_the_chosen_epoch():
    many = loader()
    many.set_epoch(4, 2)
    assert torch.equal(many.first()["A"], epoch_of(loader(), 1)[:2])
    assert torch.equal(torch.cat([batch["A"] for batch in many]), epoch_of(loader(), 4, start=2))


def test_loading_leaves_the_runs_own_random_stream_alone():
    def stream(run_loader: bool) -> list[float]:
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        if run_loader:
            epoch_of(loader(), 1)
        return [torch.rand(()).item(), random.random(), np.random.rand()]

    assert stream(run_loader=True) == stream(run_loader=False)


def test_serial_order_and_size_limit():
    found = epoch_of(loader(shuffle=False, max_dataset_size=5), 1)
    assert found[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert len(loader(max_dataset_size=5)) == 5


def test_processes_share_an_epoch_without_dropping_a_sample():
    parts = [list(EpochSampler(7, Order(1, True, rank=r, world_size=2))) for r in (0, 1)]
    assert len(parts[0]) == len(parts[1]) == 4
    assert {index for part in parts for _, index in part} == set(range(7))


def test_more_processes_than_images_take_equal_steps():
    parts = [list(EpochSampler(1, Order(1, True, rank=r, world_size=4))) for r in range(4)]
    assert parts == [[(1, 0)]] * 4


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_file_is_one_line_from_any_process(workers):
    with pytest.raises(UserError) as caught:
        epoch_of(loader(OneBad(), num_threads=workers), 1)
    assert str(caught.value) == "3.png: cannot be read"


def test_sizes_that_do_not_stack_are_told():
    with pytest.raises(UserError, match=r"--batch_size 2.*8x8.*--batch_size 1"):
        epoch_of(loader(Sizes(), shuffle=False), 1)


def run_as_script(code: str) -> int:
    """Its exit status."""
    Path("script.py").write_text(code)
    return Process(Path("script.py"), cwd=Path.cwd()).wait()


def test_a_script_may_end_with_its_loader_in_hand():
    script = """
from tests.data.test_loader import loader
kept = loader(num_threads=2)
batches = iter(kept)
next(batches)
kept.loader._iterator._workers_done_event.shared._cond.acquire()  # as one that was killed
"""
    assert run_as_script(script) == 0


def test_a_loader_that_only_a_cycle_still_holds_leaves_no_process():
    """As a training in a notebook does: a script that has had one has to end, too."""
    script = """
import gc, os, sys, traceback
from torch.utils.data import DataLoader
from tests.data.test_loader import loader
others = iter(DataLoader(range(4), num_workers=1))  # whose signal handler raises
sys.unraisablehook = lambda error: (traceback.print_exception(error.exc_value), os._exit(1))
class Holder: pass
holder = Holder()
holder.kept, holder.itself = loader(num_threads=2), holder
assert len(list(holder.kept)) == 4
workers = list(holder.kept.workers)
del holder
gc.collect()
for worker in workers:
    worker.join()
assert sum(others) == 6
"""
    assert run_as_script(script) == 0


def test_steps_are_counted_apart_from_images():
    many = loader(batch_size=1, shuffle=False)
    many.repeat_samples(3)
    assert (len(many), many.unit) == (21, "steps")
    assert many.describe() == "7 images an epoch, 3 steps each"
    assert many.limit(2) == 2  # images, however many steps are taken on each
    assert len(many) == 6 and epoch_of(many, 1)[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert many.limit(5) == 2
    once = loader()
    assert (once.limit(3), len(once), once.unit) == (3, 3, "images")
    assert once.describe() == "3 images an epoch"


class Odd(Draws):
    """Sizes that differ, a bad image, and an error after it."""

    def __getitem__(self, index):
        if index == 1:
            raise BadImage("1.png", "an empty file")
        if index == 5:
            raise UserError("5.png: the disk has gone")
        return {"A": torch.full((1, 4, 4 + index % 2), float(index)), "A_paths": f"{index}.png"}


@pytest.mark.parametrize("workers", [0, 2])
def test_singles_are_lists_of_whole_samples_up_to_an_error(workers):
    order = Order(seed=1, shuffle=False)
    reading = Reading(workers, bad_images="skip", replace_bad=False, singles=True)
    found = Loader(Odd(), 3, order, reading)
    lists = []
    with pytest.raises(UserError, match="the disk has gone"):
        for samples in found:
            lists.append([sample["A_paths"] for sample in samples])
            last = samples
    assert lists == [["0.png", "2.png", "3.png"], ["4.png"]]
    assert list(found.bad) == ["1.png"]
    assert last[0]["A"].shape == (1, 4, 4)
    batch = found.collate([last[0], last[0]])
    assert batch["A"].shape == (2, 1, 4, 4) and batch["A_paths"] == ["4.png"] * 2
    assert found.peek()["A"].shape == (1, 1, 4, 4)  # one image


def test_imports_silence_nobody_and_entry_points_do():
    script = """
import logging, warnings
from tests.data.test_loader import loader
import util.images.read
from util.errors import one_line_errors
def silenced():
    texts = " ".join(str(entry[1]) for entry in warnings.filters)
    return "DataLoader" in texts, "exceeds limit" in texts, logging.getLogger("tifffile").level
assert silenced() == (False, False, logging.NOTSET), silenced()
with warnings.catch_warnings():
    warnings.simplefilter("error")
    many = loader(num_threads=64, batch_size=1)  # more than there are cores
    next(iter(many))
one_line_errors(lambda argv: 0)()
assert silenced() == (False, True, logging.CRITICAL), silenced()
"""
    assert run_as_script(script) == 0
