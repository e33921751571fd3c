"""When a training saves, what it keeps, and what that takes on the disk."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from util import distributed
from util.checkpoints.state import stateful_parts
from util.lazy import torch
from util.tensors import tensors_in

# Kind of optimizer -> tensors of a weight's size that it keeps for each weight.
MOMENTS = {"SGD": 1, "RMSprop": 1, "Adagrad": 1, "LBFGS": 200}
USUAL_MOMENTS = 2  # Adam and its relatives


@dataclass(frozen=True)
class SavePlan:
    """When checkpoints are due, in images, epochs and minutes (0: never), and how they are kept.

    Args:
        by_iter: under iter_<images> instead of `latest`.
        keep_last: that many are kept whole.
        keep_numbered: that many with a number are kept besides them.
        all_states: those with a number keep their training state too.
        facts: what each checkpoint's manifest holds besides, in plain values.
    """

    latest_images: int
    by_iter: bool
    epochs: int
    minutes: float
    keep_last: int
    safetensors: bool
    keep_numbered: float = math.inf
    all_states: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def numbered(self, last_epoch: int, images: int) -> int:
        """Checkpoints with a number that a whole run keeps.

        Args:
            images: of an epoch.
        """
        count = last_epoch // self.epochs if images else 0
        if self.by_iter:
            count += last_epoch * images // self.latest_images
        return int(min(count, self.keep_numbered))


@dataclass(frozen=True)
class Sizes:
    """Bytes of the files of one checkpoint: its weights, and the training state beside them."""

    weights: int
    state: int

    @property
    def whole(self) -> int:
        """Of both."""
        return self.weights + self.state


def expected_sizes(model: Any, picture: int, images: int) -> Sizes:
    """What a checkpoint of a training will hold once its moments and pools are there.

    Args:
        model: a BaseModel.
        picture: bytes of an image.
        images: that the training will see.
    """
    nets = [net.state_dict() for net in model.networks().values()]
    weights = sum(tensor.nbytes for tensor in tensors_in(nets))
    state = sum(map(_optimizer_bytes, model.optimizers))
    for part in stateful_parts(model).values():
        pool = getattr(part, "pool_size", None)
        if isinstance(pool, int):
            processes = distributed.world_size()  # each has its own
            state += processes * min(pool, images) * picture
        else:
            state += sum(tensor.nbytes for tensor in tensors_in(part.state_dict()))
    return Sizes(weights, state)


def _optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Of its state: what there is, or what there will be after the first step."""
    if optimizer.state:
        return sum(tensor.nbytes for tensor in tensors_in(optimizer.state_dict()["state"]))
    moments = MOMENTS.get(type(optimizer).__name__, USUAL_MOMENTS)
    trained = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    return moments * sum(p.nbytes for p in trained)


@dataclass(frozen=True)
class DiskUse:
    """What the checkpoints of a run take.

    Args:
        sizes: of one.
        numbered: how many have a number.
        folder: of the run.
    """

    sizes: Sizes
    plan: SavePlan
    numbered: int
    folder: Path

    @property
    def total(self) -> int:
        """Bytes in all: of the last ones, of `latest` as a copy, and of the numbered ones."""
        weights = self.sizes.weights * (2 if self.plan.safetensors else 1)
        numbered = weights + (self.sizes.state if self.plan.all_states or not weights else 0)
        last = self.plan.keep_last * (weights + self.sizes.state)
        return last + weights + self.numbered * numbered

    @property
    def missing(self) -> int:
        """Bytes that the disk lacks, one more checkpoint on its way included; 0 if it has room."""
        present = sum(f.stat().st_size for f in self.folder.glob("snapshots/*/*") if f.is_file())
        return max(0, self.total + self.sizes.whole - present - self._free())

    def _free(self) -> int:
        folder = self.folder
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def describe(self) -> str:
        """One line of all that."""
        whole, weights = (f"{size / 1e6:.1f} MB" for size in (self.sizes.whole, self.sizes.weights))
        alone = "whole, too" if self.plan.all_states else f"weights alone, {weights} each"
        numbered = f" and {self.numbered} with a number ({alone})" if self.numbered else ""
        return (
            f"a checkpoint is about {whole}; by this plan the last {self.plan.keep_last} are kept "
            f"whole{numbered}: about {self.total / 1e9:.2f} GB in all, {self._free() / 1e9:.2f} GB "
            f"are free in {self.folder.parent}"
        )

    def warning(self) -> str:
        """What to do if the disk has no room for it; empty if it has."""
        if not self.missing:
            return ""
        return (
            f"{self.folder.parent}: the disk lacks about {self.missing / 1e9:.2f} GB for the "
            "checkpoints of this training, which will stop when it is full; raise "
            "--save_epoch_freq, bound them by --keep_checkpoints, or choose another "
            "--checkpoints_dir"
        )
