"""Batches whose content depends on (seed, epoch, index) alone, not on workers or timing."""

import itertools
import math
import warnings
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from util.errors import UserError
from util.interrupt import leave_to_parent
from util.seed import mix, seeded

# More workers than cores is the user's choice.
warnings.filterwarnings("ignore", message="This DataLoader will create")

Position = tuple[int, int]  # (epoch, index of the sample)


class EpochSampler(Sampler[Position]):
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


class SeededDataset(Dataset):
    """Draws each sample under seeds of its own, which plug-in datasets gain without knowing.

    A UserError becomes a sample that carries its message: workers would bury it in a trace.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __getitem__(self, position: Position) -> dict:
        with seeded(mix(self.seed, *position)):
            try:
                return self.dataset[position[1]]
            except UserError as error:
                return {"error": str(error)}


def collate(samples: list[dict]) -> dict:
    """Stack samples to a batch; `{"error": message}` if one failed or the sizes differ."""
    for sample in samples:
        if "error" in sample:
            return sample
    for name, value in samples[0].items():
        shapes = {tuple(s[name].shape) for s in samples if isinstance(value, torch.Tensor)}
        if len(shapes) > 1:
            sizes = ", ".join(f"{shape[-1]}x{shape[-2]}" for shape in sorted(shapes))
            return {
                "error": f"--batch_size {len(samples)}: images of different sizes ({sizes} px) do "
                "not stack; use --batch_size 1, or --preprocess resize_and_crop"
            }
    return default_collate(samples)


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
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int,
        shuffle: bool,
        max_dataset_size: float = float("inf"),
        num_threads: int = 0,
        pin_memory: bool = False,
        rank: int = 0,
        world_size: int = 1,
        repeat: int = 1,
    ) -> None:
        self.dataset = dataset
        used = int(min(len(dataset), max_dataset_size))
        self.size = used * repeat
        self.sampler = EpochSampler(used, seed, shuffle, rank, world_size, repeat)
        workers = min(num_threads, math.ceil(self.size / batch_size))
        self.loader = DataLoader(
            SeededDataset(dataset, seed),
            batch_size=batch_size,
            sampler=self.sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            collate_fn=collate,
            generator=torch.Generator(),  # keeps the run's own random stream out of it
            worker_init_fn=leave_to_parent,
        )

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and how many of its samples (of this process) to leave out."""
        self.sampler.epoch, self.sampler.start = epoch, start

    def peek(self) -> dict:
        """The first batch of the chosen epoch, read in this process."""
        positions = itertools.islice(self.sampler, self.loader.batch_size)
        return checked(collate([self.loader.dataset[position] for position in positions]))

    def __len__(self) -> int:
        return self.size

    def describe(self) -> str:
        """How long an epoch is."""
        images, repeat = self.sampler.size, self.sampler.repeat
        return f"{images} images an epoch" + (f", {repeat} steps each" if repeat > 1 else "")

    def __iter__(self) -> Iterator[dict]:
        for batch in self.loader:
            yield checked(batch)
