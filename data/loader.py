"""Batches whose content depends on (seed, epoch, index) alone, not on workers or timing."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess

from data.workers import batches_of, leave_to_parent
from util.errors import BadImage, UserError, warn
from util.images.levels import in_unit
from util.lazy import torch
from util.seed import mix, seeded
from util.tensors import tensors_in, with_tensors

# More workers than cores is the user's choice.
warnings.filterwarnings("ignore", message="This DataLoader will create")

Position = tuple[int, int]  # (epoch, index of the sample)
BAD = "bad_images"  # in a batch: file -> what is wrong with it


class EpochSampler:
    """The order of one epoch, shuffled by (seed, epoch), split among the processes of a run.

    The epoch travels with each index, so that workers which live through all epochs know it.
    An odd rest is filled up from the start of the order, so that all processes take equal steps.
    """

    def __init__(
        self,
        size: int,
        seed: int,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
        repeat: int = 1,
    ) -> None:
        self.size, self.seed, self.shuffle, self.repeat = size, seed, shuffle, repeat
        self.rank, self.world_size = rank, world_size
        self.epoch = 1
        self.start = 0  # samples of this epoch that a resumed run has already seen

    def __len__(self) -> int:
        return math.ceil(self.size * self.repeat / self.world_size) - self.start

    def __iter__(self) -> Iterator[Position]:
        order = list(range(self.size))
        if self.shuffle:
            generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
            order = torch.randperm(self.size, generator=generator).tolist()
        for step in range(self.start, self.start + len(self)):
            place = (step * self.world_size + self.rank) // self.repeat
            yield self.epoch, order[place % self.size]


def in_two_parts(dataset: torch.utils.data.Dataset) -> bool:
    """Whether samples are made by `levels` and `finish` (see `data.base_dataset`), and no subclass
    has replaced the whole way."""
    for kind in type(dataset).__mro__:
        if "__getitem__" in vars(kind):
            return False
        if "levels" in vars(kind):
            return True
    return False


class SeededDataset:
    """Draws each sample under seeds of its own, which plug-in datasets gain without knowing.

    A UserError becomes a sample that carries its message: workers would bury it in a trace. With
    `skip` a bad image is noted in its sample; with `replace` the next sample is there in its
    place, otherwise none.

    Args:
        size: samples in use.
    """

    def __init__(
        self, dataset: torch.utils.data.Dataset, seed: int, size: int, skip: bool, replace: bool
    ) -> None:
        self.dataset, self.seed, self.size = dataset, seed, size
        self.skip, self.replace = skip, replace
        self.read = dataset.levels if in_two_parts(dataset) else dataset.__getitem__

    def __getitem__(self, position: Position) -> dict:
        epoch, index = position
        bad: dict[str, str] = {}
        for place in range(index, index + (self.size if self.replace else 1)):
            try:
                with seeded(mix(self.seed, epoch, place % self.size)):
                    return self.read(place % self.size) | ({BAD: bad} if bad else {})
            except BadImage as error:
                if not self.skip:
                    return {"error": str(error)}
                bad[error.path] = str(error)
            except UserError as error:
                return {"error": str(error)}
        if not self.replace:
            return {BAD: bad}
        return {"error": f"no image can be used; {next(iter(bad.values()))}"}


def collate(samples: list[dict], finish: Callable[[dict], dict] | None = None) -> dict:
    """Stack samples to a batch; `{"error": message}` if one failed or the sizes differ. A batch
    without images holds nothing but the bad ones.

    Args:
        finish: what is left to do with the images of a batch.
    """
    for sample in samples:
        if "error" in sample:
            return sample
    bad = {path: why for sample in samples for path, why in sample.pop(BAD, {}).items()}
    samples = [sample for sample in samples if sample]
    if not samples:
        return {BAD: bad}
    for name, value in samples[0].items():
        shapes = {tuple(s[name].shape) for s in samples if isinstance(value, torch.Tensor)}
        if len(shapes) > 1:
            sizes = ", ".join(f"{shape[-1]}x{shape[-2]}" for shape in sorted(shapes))
            return {
                "error": f"--batch_size {len(samples)}: images of different sizes ({sizes} px) do "
                "not stack; use --batch_size 1, or --preprocess resize_and_crop"
            }
        if len({s[name].dtype for s in samples if isinstance(value, torch.Tensor)}) > 1:
            for sample in samples:  # of 8 bits, and of more
                sample[name] = in_unit(sample[name])
    batch = torch.utils.data.default_collate(samples)
    return (finish(batch) if finish else batch) | ({BAD: bad} if bad else {})


def checked(batch: dict) -> dict:
    """The batch; the error that it carries is raised, here in the main process."""
    if "error" in batch:
        raise UserError(batch["error"])
    return batch


class Loader:
    """Iterates over the batches of an epoch; `len()` counts images.

    Args:
        dataset: yields dicts; tensors are stacked, strings become lists.
        max_dataset_size: use the first so many samples only.
        num_threads: worker processes, 0 = load in this process. They change nothing but speed.
        pin_memory: for copies to a GPU that do not wait.
        repeat: times in a row that each sample is yielded.
        bad_images: "stop" raises at the first; "skip" notes it in `bad`, with a warning, and goes
            on: with the next sample in its place if replace_bad, else with a smaller batch.
        sizes: of the images, see `data.check`.
        device: where images become floats; those of our own datasets go to a GPU as bytes.
    """

    def __init__(
        self,
        dataset: torch.utils.data.Dataset,
        batch_size: int,
        seed: int,
        shuffle: bool,
        max_dataset_size: float = float("inf"),
        num_threads: int = 0,
        pin_memory: bool = False,
        rank: int = 0,
        world_size: int = 1,
        repeat: int = 1,
        bad_images: str = "stop",
        replace_bad: bool = True,
        sizes: dict[tuple[int, int], str] | None = None,
        device: str = "cpu",
    ) -> None:
        self.dataset, self.sizes, self.device = dataset, sizes or {}, device
        self.bad: dict[str, str] = {}  # file -> what is wrong with it
        self.workers: list[BaseProcess] = []
        used = int(min(len(dataset), max_dataset_size))
        self.size = used * repeat
        self.sampler = EpochSampler(used, seed, shuffle, rank, world_size, repeat)
        workers = min(num_threads, math.ceil(self.size / batch_size))
        self.num_threads = num_threads
        finish = dataset.finish if in_two_parts(dataset) else None
        on_cpu = device == "cpu"  # then by whoever reads them, which costs the training no time
        self.finish = None if on_cpu else finish
        self.loader = torch.utils.data.DataLoader(
            SeededDataset(dataset, seed, used, bad_images == "skip", replace_bad),
            batch_size=batch_size,
            sampler=self.sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            collate_fn=functools.partial(collate, finish=finish if on_cpu else None),
            generator=torch.Generator(),  # keeps the run's own random stream out of it
            worker_init_fn=leave_to_parent,
        )

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and how many of its samples (of this process) to leave out."""
        self.sampler.epoch, self.sampler.start = epoch, start

    def peek(self) -> dict:
        """The first batch of the chosen epoch that holds an image, read in this process."""
        positions = iter(self.sampler)
        while chosen := list(itertools.islice(positions, self.loader.batch_size)):
            samples = [self.loader.dataset[position] for position in chosen]
            batch = checked(self.loader.collate_fn(samples))
            bad = batch.pop(BAD, {})
            if batch:
                return self._finished(batch)
        raise UserError(f"no image can be used; {next(iter(bad.values()))}")

    def first(self) -> dict:
        """The first batch of epoch 1, whichever is chosen: alike in all sessions of a run."""
        chosen = self.sampler.epoch, self.sampler.start
        self.set_epoch(1)
        try:
            return self.peek()
        finally:
            self.set_epoch(*chosen)

    def limit(self, count: float) -> int:
        """Use at most so many images from now on. Returns: how many."""
        self.sampler.size = self.size = int(min(self.size, count))
        return self.size

    def __len__(self) -> int:
        return self.size

    @property
    def unit(self) -> str:
        """What `len()` counts: images, or steps where each image is there for many of them."""
        return "steps" if self.sampler.repeat > 1 else "images"

    def describe(self) -> str:
        """How long an epoch is."""
        images, repeat = self.sampler.size, self.sampler.repeat
        return f"{images} images an epoch" + (f", {repeat} steps each" if repeat > 1 else "")

    def describe_bad(self) -> str:
        """How many images were left out, and the first of them; empty if none."""
        if not self.bad:
            return ""
        names = ", ".join(list(self.bad)[:5]) + (", ..." if len(self.bad) > 5 else "")
        return f" without {len(self.bad)} bad images ({names})"

    def __iter__(self) -> Iterator[dict]:
        batches = batches_of(self.loader, self.workers)
        try:
            for batch in batches:
                self._note(batch.pop(BAD, {}))
                if batch:
                    yield self._finished(checked(batch))
        except BaseException:  # workers end now, and not when somebody collects the trace
            batches.close()
            self.loader._iterator = None
            raise

    @functools.cached_property
    def stream(self) -> torch.cuda.Stream | None:
        """Where batches go to a GPU and are finished while it still computes the step before."""
        on_gpu = torch.device(self.device).type == "cuda"
        return torch.cuda.Stream(self.device) if on_gpu else None

    def _finished(self, batch: dict) -> dict:
        if self.finish is None:
            return batch
        if self.stream is None:
            return self._moved(batch)
        with torch.cuda.stream(self.stream):
            batch = self._moved(batch)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self.stream)
        for tensor in tensors_in(batch):
            if tensor.is_cuda:
                tensor.record_stream(computing)  # its memory is in use until that has passed
        return batch

    def _moved(self, batch: dict) -> dict:
        to_device = functools.partial(torch.Tensor.to, device=self.device, non_blocking=True)
        return self.finish(with_tensors(batch, to_device))

    def _note(self, bad: dict[str, str]) -> None:
        for path, why in bad.items():
            if path not in self.bad:
                self.bad[path] = why
                warn(f"{why}; left out (--bad_images skip, number {len(self.bad)})")
