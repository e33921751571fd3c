"""What is said of a training: how it went, where things are, what a step takes and gives."""

from __future__ import annotations

from pathlib import Path

from util.errors import shown
from util.lazy import torch
from util.machine import cores, memory
from util.training.console import Pace, duration, rate
from util.training.types import BaseModel

# Share of the time waited for data from which it is worth a word, if it was so many seconds.
MUCH, WORTH_S = 0.2, 10.0


def how_it_went(pace: Pace, time_s: float, unit: str, num_threads: int) -> list[str]:
    """Time, speed, waiting and memory of this session.

    Args:
        pace: over the whole session.
        time_s: that it took, with all around its steps.
        num_threads: loader processes.
    """
    facts = [f"took {duration(time_s)}"]
    if pace.images:
        facts += [rate(pace.per_s(), unit), f"waited for data {pace.wait_share():.0%} of the time"]
    facts += [f"peak {memory(peak=True)}"] if memory(peak=True) else []
    lines = [", ".join(facts)]
    if pace.waited_s >= max(WORTH_S, MUCH * pace.spent_s):
        lines.append(
            f"hint: raise --num_threads, now {num_threads} (there are {cores()} cores): "
            "loading images was slower than training on them"
        )
    return lines


def where_things_are(run_dir: Path) -> list[str]:
    """A line each for what is there: page, weights, pictures, losses."""
    nets = sorted(path.stem.removeprefix("latest_net_") for path in weights(run_dir))
    several = "{" + ",".join(nets) + "}"
    found = {
        "page": "web/index.html",
        "weights": f"latest_net_{nets[0] if len(nets) == 1 else several}.pth" if nets else None,
        "pictures": "pictures",
        "losses": "loss_log.txt",
    }
    there = {what: name for what, name in found.items()
             if name and (what == "weights" or (run_dir / name).exists())}  # fmt: skip
    return [f"  {what + ':':10}{shown(run_dir / name)}" for what, name in there.items()]


def nothing_left(last_epoch: int) -> str:
    """Of a run that is complete."""
    return f"already complete (epoch {last_epoch} of {last_epoch}); raise --n_epochs to go on"


def weights(run_dir: Path) -> list[Path]:
    """Files of the latest networks; empty for a model that trains none."""
    return [path for path in run_dir.glob("latest_net_*.pth") if path.is_file()]


def describe_step(model: BaseModel, batch: dict) -> str:
    """What went into the model's last step, and what came out, by name."""
    model.compute_visuals()
    shapes = (f"{k} {tuple(v.shape)}" for k, v in batch.items() if isinstance(v, torch.Tensor))
    losses, pictures = model.get_current_losses(), model.get_current_visuals()
    rows = {"sample": shapes, "losses": losses, "pictures": pictures}
    return "\n".join(f"{what}: {', '.join(names)}" for what, names in rows.items())
