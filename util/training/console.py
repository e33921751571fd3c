"""What a training shows on the terminal: a line drawn anew, or lines where that cannot be."""

import math
import time
from collections.abc import Callable, Iterable, Iterator

from util.errors import say
from util.machine import memory
from util.record import Standing
from util.training.live_line import LiveLine, bar, fit, live_stream

# Between two lines that tell how far it is, where no line can be drawn anew, and between two calls
# of `told`; and before the first of them in an epoch.
EVERY_S, FIRST_S = 60.0, 10.0
SHORT = {"images": "img", "steps": "step"}


class Console:
    """Counts and times the batches on their way into the training, and shows how far it is.

    Args:
        n_epochs: number of the last epoch.
        on: whether this process is the one that prints.
        unit: what is counted, "images" or "steps".
        told: called now and then with how far the training is.
    """

    def __init__(
        self,
        n_epochs: int,
        on: bool,
        unit: str = "images",
        told: Callable[[Standing], None] | None = None,
    ) -> None:
        self.n_epochs, self.on, self.unit, self.told = n_epochs, on, unit, told
        self.line: LiveLine | None = None
        # Since the last call of `pace`: seconds waited for data and spent on steps, images seen.
        self.waited_s, self.worked_s, self.images = 0.0, 0.0, 0
        self.step_began = 0.0
        # From the end of one step to the end of the next, with all that comes between. A session's
        # first step is left out: workers start, kernels are chosen.
        self.recent, self.lately, self.overall = Pace(60), Pace(1800), Pace()
        self.step_ended: float | None = None
        self.tell_at = math.inf  # seconds of the clock
        self.last_pace = 0.0, 0.0
        self.epoch = self.done = self.total = 0  # images of the epoch
        self.shown: list[str] = []  # losses
        self.memory = ""

    def batches(
        self, loader: Iterable[dict], epoch: int, batch_size: int, seen: int = 0
    ) -> Iterator[dict]:
        """The loader's batches, timed, with a progress bar on a terminal.

        Args:
            batch_size: images in a step of all processes.
            seen: images of this epoch that an earlier session has done.
        """
        self.epoch, self.done, self.total = epoch, seen, len(loader)
        if self.on and (stream := live_stream()):
            self.line = LiveLine(stream, self._text)
        try:
            asked = time.perf_counter()
            self.tell_at = min(self.tell_at, asked + FIRST_S)
            for batch in loader:
                self.step_began = time.perf_counter()
                waited_s = self.step_began - asked
                self.waited_s += waited_s
                self.images += batch_size
                yield batch
                asked = time.perf_counter()
                self.worked_s += asked - self.step_began
                self._count(min(batch_size, self.total - self.done), asked, waited_s)
        finally:
            self.close()

    def _count(self, images: int, now: float, waited_s: float) -> None:
        self.done += images
        if self.step_ended is not None:
            for pace in (self.recent, self.lately, self.overall):
                pace.add(images, now - self.step_ended, waited_s)
        self.step_ended = now
        if self.line is not None:
            self.line.update()
        if now >= self.tell_at:
            self.tell_at = now + EVERY_S
            self._tell()

    def _tell(self) -> None:
        """Say how far it is, in a log that nobody sees drawn anew."""
        if self.on and self.line is None:
            parts = [f"{time.strftime('%H:%M:%S')}  epoch {self.epoch}/{self.n_epochs}",
                     percent(self.done / self.total),
                     f"run {percent(self.standing().share)}", *self._pace_parts()]  # fmt: skip
            say("  ".join(parts))
        if self.told is not None:
            self.told(self.standing())

    def standing(self) -> Standing:
        """How far the training is."""
        left = self._run_left()
        left_s = left / self.lately.per_s() if self.lately.images else None
        return Standing(1 - left / max(1, self.n_epochs * self.total), left_s)

    def _run_left(self) -> int:
        return self.total - self.done + (self.n_epochs - self.epoch) * self.total

    def _pace_parts(self) -> list[str]:
        """Time left of the epoch and of the run, speed, share of waiting; none at first."""
        if not self.recent.images:
            return []
        return [
            f"ETA {self.recent.eta(self.total - self.done)}",
            f"run ETA {self.lately.eta(self._run_left())}",
            rate(self.recent.per_s(), self.unit),
            f"data {self.recent.wait_share():.0%}",
        ]

    def pace(self) -> tuple[float, float]:
        """Seconds an image spent on steps, and waited for data, since the last call; as then if no
        image has come since."""
        now = time.perf_counter()
        if self.images:
            per_image_s = (self.worked_s + now - self.step_began) / self.images
            self.last_pace = per_image_s, self.waited_s / self.images
        self.waited_s, self.worked_s, self.images, self.step_began = 0.0, 0.0, 0, now
        return self.last_pace

    def losses(self, line: str, losses: dict[str, float]) -> None:
        """The last step's losses: within the bar, or as a line."""
        if self.line is not None:
            self.shown = [f"{name} {value:.3g}" for name, value in losses.items()]
            self.memory = memory()
        elif self.on:
            say(line)

    def _text(self, columns: int, encoding: str) -> str:
        """The line; what comes with a low number is there in a narrow terminal too."""
        share = self.done / self.total
        parts = [
            (0, f"epoch {self.epoch}/{self.n_epochs} {share:4.0%}"),
            (4, bar(share, 10, encoding)),
            (7, self.memory),
            *((2 if i < 2 else 8, loss) for i, loss in enumerate(self.shown)),
        ]
        parts[2:2] = zip((5, 1, 3, 6), self._pace_parts(), strict=False)
        return fit(parts, columns)

    def close(self) -> None:
        """Take the bar away; the next line begins in its place."""
        if self.line is not None:
            self.line.close()
            self.line = None


class Pace:
    """Images a second, and the share of waiting; what is long past counts less.

    Args:
        horizon_s: seconds after which a step counts for 1/e.
    """

    def __init__(self, horizon_s: float = math.inf) -> None:
        self.horizon_s = horizon_s
        self.images = self.spent_s = self.waited_s = 0.0

    def add(self, images: int, spent_s: float, waited_s: float) -> None:
        """Count a step, and how much of its time went into waiting for data."""
        keep = math.exp(-spent_s / self.horizon_s)
        self.images = self.images * keep + images
        self.spent_s = self.spent_s * keep + spent_s
        self.waited_s = self.waited_s * keep + waited_s

    def per_s(self) -> float:
        """Images a second, once a step is counted."""
        return self.images / self.spent_s

    def wait_share(self) -> float:
        """Of the time, in [0, 1]."""
        return self.waited_s / self.spent_s

    def eta(self, images: int) -> str:
        """How long so many images will take."""
        return duration(images / self.per_s())


def duration(time_s: float) -> str:
    """0:42, 1:02:03, 3d 04h."""
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours // 24}d {hours % 24:02d}h"
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def percent(share: float) -> str:
    """48%; all only when nothing is left."""
    return f"{math.floor(100 * share + 1e-9)}%"


def rate(per_s: float, unit: str) -> str:
    """12.3 img/s; what is slower than one a second is told the other way round: 4.0 s/img."""
    short = SHORT[unit]
    if per_s < 1:
        return f"{1 / per_s:.1f} s/{short}"
    return f"{per_s:.{0 if per_s >= 100 else 1}f} {short}/s"
