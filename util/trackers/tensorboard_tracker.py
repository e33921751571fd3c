"""TensorBoard: event files in the run's folder, for `tensorboard --logdir`."""

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from util.errors import say
from util.page import PageRow
from util.trackers.base import RunInfo, losses_of


class TensorboardTracker:
    """Losses by images seen, pictures by stage, the options and networks as text.

    Args:
        run: in whose folder the event files go, below tensorboard/.
    """

    def __init__(self, run: RunInfo) -> None:
        self.run, self.begun = run, False
        self.writer = SummaryWriter(str(run.folder / "tensorboard"), flush_secs=10)
        self.writer.add_text("networks", _as_code(run.networks))
        self.writer.add_text("options", _as_code(_lines(run.options)))
        say(f"TensorBoard: tensorboard --logdir {run.folder}/tensorboard")

    def log(self, record: dict[str, float]) -> None:
        step, losses = int(record["images"]), losses_of(record)
        if not self.begun:
            self._begin(step, [f"loss/{name}" for name in losses])
        beside = {name: record[name] for name in ("epoch", "lr", "time_s", "data_s")}
        for room, values in {"loss": losses, "run": beside}.items():
            for name, value in values.items():
                self.writer.add_scalar(f"{room}/{name}", value, step)

    def _begin(self, step: int, metrics: list[str]) -> None:
        """Hide what an earlier session wrote from here on; list the options beside the losses."""
        self.begun = True
        events = self.writer.file_writer
        if self.run.resumed:
            start = SessionLog(status=SessionLog.START)
            events.event_writer.add_event(Event(step=step, session_log=start))
        plain = {k: v for k, v in self.run.options.items() if isinstance(v, str | int | float)}
        for summary in hparams(plain, dict.fromkeys(metrics, 0.0)):
            events.add_summary(summary)

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        for label, picture in pictures.items():
            self.writer.add_image(label, picture, row.number, dataformats="HWC")
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def _lines(options: dict[str, object]) -> str:
    return "\n".join(f"{flag}: {value}" for flag, value in sorted(options.items()))


def _as_code(text: str) -> str:
    """Markdown that shows a text as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())
