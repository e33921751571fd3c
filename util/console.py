"""What a training shows on the terminal: a progress bar, or lines where there is none."""

import sys
import time
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from util.errors import say


class Console:
    """Counts and times the batches on their way into the training.

    Args:
        n_epochs: number of the last epoch.
        on: whether this process is the one that prints.
    """

    def __init__(self, n_epochs: int, on: bool) -> None:
        self.n_epochs, self.on = n_epochs, on
        self.bar: tqdm | None = None
        # Since the last call of `pace`: seconds waited for data and spent on steps, images seen.
        self.waited_s, self.worked_s, self.images = 0.0, 0.0, 0
        self.step_began = 0.0

    def batches(
        self, loader: Iterable[dict], epoch: int, batch_size: int, seen: int = 0
    ) -> Iterator[dict]:
        """The loader's batches, timed, with a progress bar on a terminal.

        Args:
            batch_size: images in a step of all processes.
            seen: images of this epoch that an earlier session has done.
        """
        total = len(loader)
        if self.on and sys.stderr.isatty():
            self.bar = tqdm(total=total, initial=seen, unit="img", dynamic_ncols=True, leave=False,
                            desc=f"epoch {epoch}/{self.n_epochs}")  # fmt: skip
        try:
            asked = time.perf_counter()
            for batch in loader:
                self.step_began = time.perf_counter()
                self.waited_s += self.step_began - asked
                self.images += batch_size
                yield batch
                asked = time.perf_counter()
                self.worked_s += asked - self.step_began
                if self.bar is not None:
                    self.bar.update(min(batch_size, total - self.bar.n))
        finally:
            if self.bar is not None:
                self.bar.close()
                self.bar = None

    def pace(self) -> tuple[float, float]:
        """Seconds an image spent on steps, and waited for data, since the last call."""
        now = time.perf_counter()
        per_image_s = (self.worked_s + now - self.step_began) / self.images
        waited_s = self.waited_s / self.images
        self.waited_s, self.worked_s, self.images, self.step_began = 0.0, 0.0, 0, now
        return per_image_s, waited_s

    def losses(self, line: str, values: str) -> None:
        """The last step's losses: within the bar, or as a line."""
        if self.bar is not None:
            self.bar.set_postfix_str(values)
        elif self.on:
            say(line)

    def say(self, line: str) -> None:
        """Print a line, above the progress bar if there is one."""
        if self.on:
            if self.bar is not None:
                self.bar.clear()
            say(line)
