"""What a training tells of itself: which run it is, a record for every line of its log, and which
row of a page its pictures belong to.

metrics.jsonl holds a record a line, as one flat JSON object: the fields of `Step` and of `Speed` by
their names, a loss by its own name, a metric as "metric/<name>". A loss whose name could be taken
for one of those is written as "loss/<name>"; its weight is "weight/<name>". What is not finite is
null. Where the losses are the means of an epoch, the line says so: "mean_over": "epoch".
"""

import functools
import json
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from util.errors import readable, warn


def quoted(word: str) -> str:
    """A word of a command as it is typed in a shell, whatever it holds.

    What would not print (a line's end, what steers the terminal, bytes that are no UTF-8, letters
    that the terminal has no code for) is written as bash, zsh and ksh take it: $'...'.
    """
    word = readable(word)
    if all(map(_prints, word)):
        return shlex.quote(word)
    plain = "".join(char if _prints(char) else _escapes(char) for char in _escaped(word))
    return f"$'{plain}'"


def _prints(char: str) -> bool:
    try:
        char.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeError:
        return False
    return char.isprintable()


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("'", "\\'")


def _escapes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def counted(count: int, what: str) -> str:
    """So many of something: "1 image", "2 images"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


NO_FLAGS: Mapping[str, object] = MappingProxyType({})


def command_line(words: Iterable[object], flags: Mapping[str, object] = NO_FLAGS) -> str:
    """A command that can be pasted into a shell.

    Args:
        words: its first words, e.g. "python", "train.py".
        flags: name without dashes -> value; None: without one. A value that begins with a dash is
            joined to its flag, as the parser needs it (--name=-n).
    """
    line = [quoted(str(word)) for word in words]
    for flag, value in flags.items():
        if value is None:
            line.append(f"--{flag}")
        elif str(value).startswith("-"):
            line.append(f"--{flag}={quoted(str(value))}")
        else:
            line += [f"--{flag}", quoted(str(value))]
    return " ".join(line)


Figures = dict[str, float]  # name -> value, NaN where it was not finite


@dataclass(frozen=True)
class Step:
    """Where the training stands; None where an older log does not tell.

    Args:
        epoch: its number, from 1.
        iters: images seen in the epoch.
        images: images seen in the run.
        lr: learning rate of the first optimizer.
    """

    epoch: float | None = None
    iters: float | None = None
    images: float | None = None
    lr: float | None = None


@dataclass(frozen=True)
class Speed:
    """How fast it goes, and what it takes; None where an older log does not tell.

    Args:
        time_s: seconds an image, without waiting.
        data_s: seconds an image that were waited for data.
        peak_mib: the most memory so far, see `util.machine`.
    """

    time_s: float | None = None
    data_s: float | None = None
    peak_mib: float | None = None


@dataclass(frozen=True)
class LossGuide:
    """What a model tells about its losses.

    Args:
        names: of all that it logs.
        meanings: name, or pattern with `*`, -> what it measures and how it looks when all is well.
        healthy: sentences about the losses together.
        weights: name -> what the method multiplies the loss by; it is logged with it.
    """

    names: list[str] = field(default_factory=list)
    meanings: dict[str, str] = field(default_factory=dict)
    healthy: list[str] = field(default_factory=list)
    weights: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class RunInfo:
    """What pages and live views may tell of a run besides what happens in it.

    Args:
        resumed: an earlier session goes on.
        options: flag -> value.
        differing: (flag, value, default) of the options that differ from their default.
        networks: their layers, as text.
        resume_command: what takes the run up again, for people.
        losses: what their curves mean.
        visual_groups: visuals that stay together where a row of pictures has to be broken.
        labels: visual and its channels -> its classes (Labels), None for a picture.
        legend: HTML that explains the colours of label maps.
    """

    name: str
    folder: Path
    resumed: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    differing: list[tuple[str, str, str]] = field(default_factory=list)
    networks: str = ""
    resume_command: str = ""
    losses: LossGuide = field(default_factory=LossGuide)
    visual_groups: list[list[str]] = field(default_factory=list)
    labels: Callable[[str, int], Any] = lambda visual, channels: None
    legend: str = ""


class Standing(NamedTuple):
    """How far a training is.

    Args:
        share: of all its epochs that is done, in [0, 1].
        left_s: seconds that the rest will take; None as long as that is not known.
    """

    share: float
    left_s: float | None


MEAN_OVER = "mean_over"  # key of a line whose losses are means
STEP, SPEED = ([part.name for part in fields(kind)] for kind in (Step, Speed))


@dataclass(frozen=True)
class Record:
    """One line of the log.

    Args:
        losses: what is minimised or played for, of the last step.
        metrics: what is measured beside it, e.g. on validation images; never taken for a loss.
        over_epoch: whether the losses are means over the steps of the epoch that ends here.
        weights: of the losses that carry one: divided by it, they compare with other runs'.
    """

    step: Step
    losses: Figures
    speed: Speed = field(default_factory=Speed)
    metrics: Figures = field(default_factory=dict)
    over_epoch: bool = False
    weights: Figures = field(default_factory=dict)

    def parts(self) -> dict[str, Figures]:
        """Part -> name -> value, of what is known. The parts are "step", "speed", "losses" (of a
        step), "means" (of the losses, over an epoch) and "metrics"."""
        step, speed = (
            {name: value for name, value in vars(part).items() if value is not None}
            for part in (self.step, self.speed)
        )
        losses, means = ({}, self.losses) if self.over_epoch else (self.losses, {})
        return {"step": step, "speed": speed, "losses": losses, "means": means,
                "metrics": self.metrics}  # fmt: skip

    def to_text(self) -> str:
        """The record as a line of loss_log.txt, and of the terminal."""
        step, speed = self.step, self.speed
        values = " ".join(f"{name}: {value:.3f}" for name, value in self.losses.items())
        times = f"time: {speed.time_s:.3f}, data: {speed.data_s:.3f}"
        if self.over_epoch:  # in another form, so that no script takes it for a step's
            return f"mean of epoch {step.epoch} ({times}) {values}"
        return f"(epoch: {step.epoch}, iters: {step.iters}, {times}) {values}"

    def to_line(self) -> str:
        """The record as a line of metrics.jsonl, without its end."""
        flat = {_key(part, name): value for part, figures in self.parts().items()
                for name, value in figures.items()}  # fmt: skip
        flat |= {f"weight/{name}": value for name, value in self.weights.items()}
        figures = {k: v if math.isfinite(v) else None for k, v in flat.items()}
        return json.dumps(figures | ({MEAN_OVER: "epoch"} if self.over_epoch else {}))


class PageRow(NamedTuple):
    """A row of pictures: its number never falls; its pictures' files begin with the stem."""

    number: int
    heading: str
    file_stem: str

    @classmethod
    def of_epoch(cls, epoch: int) -> "PageRow":
        """The row of an epoch's pictures."""
        return cls(epoch, f"epoch {epoch}", f"epoch{epoch:03d}")


def read_records(file: Path) -> list[Record]:
    """The records of a metrics.jsonl; none if there is no such file.

    The last line may be cut off (a run that was killed, or is writing it); others that are not
    records are left out with a warning.
    """
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    lines = text.replace("\0", "").split("\n")  # zeros are what a power cut may leave
    parsed = [(number, _record(line)) for number, line in enumerate(lines, 1) if line.strip()]
    bad = [number for number, record in parsed if record is None and number < len(lines)]
    if bad:
        warn(f"{file}: line {bad[0]} is no record of losses ({len(bad)} such lines left out)")
    return [record for _, record in parsed if record is not None]


def _key(part: str, name: str) -> str:
    """What a figure is called in a flat line."""
    if part == "metrics":
        return f"metric/{name}"
    taken = name == MEAN_OVER or _place(name) != ("losses", name)
    return f"loss/{name}" if part in ("losses", "means") and taken else name


@functools.lru_cache(maxsize=4096)
def _place(key: str) -> tuple[str, str]:
    """(part, name) of a key in a flat line."""
    for part, names in (("step", STEP), ("speed", SPEED)):
        if key in names:
            return part, key
    kind, _, name = key.partition("/")
    part = {"metric": "metrics", "loss": "losses", "weight": "weights"}.get(kind)
    return (part, name) if part and name else ("losses", key)


def _record(line: str) -> Record | None:
    try:
        flat = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(flat, dict) or not 0 <= _number(flat.get("images")) < math.inf:
        return None
    over_epoch = flat.get(MEAN_OVER) == "epoch"
    if over_epoch:
        del flat[MEAN_OVER]
    kinds = ("step", "speed", "losses", "metrics", "weights")
    parts: dict[str, Figures] = {kind: {} for kind in kinds}
    for key, value in flat.items():
        part, name = _place(key)
        parts[part][name] = _number(value)
    step, speed = Step(**parts["step"]), Speed(**parts["speed"])
    return Record(step, parts["losses"], speed, parts["metrics"], over_epoch, parts["weights"])


def _number(value: Any) -> float:
    """As float where it is no int that fits into one; NaN of anything else."""
    if not isinstance(value, (int, float)):
        return math.nan
    try:
        return value if math.isfinite(value) else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
