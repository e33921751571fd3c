"""TensorBoard: event files in the run's folder, for `tensorboard --logdir`."""

import numpy as np

from util.errors import say
from util.record import PageRow, Record, RunInfo, command_line
from util.trackers.base_tracker import Tracker


class TensorboardTracker(Tracker):
    """Losses and metrics by images seen, pictures by stage, the options and networks as text.

    Args:
        run: in whose folder the event files go, below tensorboard/.
    """

    package = "tensorboard"
    install = "pip install -r requirements-trackers.txt"

    def __init__(self, run: RunInfo) -> None:
        from torch.utils.tensorboard import SummaryWriter

        super().__init__(run)
        self.has_session = False  # whether this session's start is marked
        self.writer = SummaryWriter(str(run.folder / "tensorboard"), flush_secs=10)
        self.writer.add_text("networks", _as_code(run.networks))
        self.writer.add_text("options", _as_code(_lines(run.options)))
        say(
            f"TensorBoard: {command_line(['tensorboard'], {'logdir': f'{run.folder}/tensorboard'})}"
        )

    def log(self, record: Record) -> None:
        """Scalars below loss/, epoch_mean/, metric/ and run/."""
        step = int(record.step.images)
        if not self.has_session:
            self._begin(step, [f"loss/{name}" for name in record.losses])
        parts = record.parts()
        rooms = {
            "loss": parts["losses"],
            "epoch_mean": parts["means"],
            "metric": parts["metrics"],
            "run": {"epoch": record.step.epoch, "lr": record.step.lr} | parts["speed"],
        }
        for room, figures in rooms.items():
            for name, value in figures.items():
                self.writer.add_scalar(f"{room}/{name}", value, step)

    def _begin(self, step: int, losses: list[str]) -> None:
        """Hide what an earlier session wrote from here on; list the options beside the losses."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from torch.utils.tensorboard.summary import hparams

        self.has_session = True
        events = self.writer.file_writer
        if self.run.resumed:
            start = SessionLog(status=SessionLog.START)
            events.event_writer.add_event(Event(step=step, session_log=start))
        plain = {k: v for k, v in self.run.options.items() if isinstance(v, str | int | float)}
        for summary in hparams(plain, dict.fromkeys(losses, 0.0)):
            events.add_summary(summary)

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        """Pictures by the number of their row."""
        for label, picture in pictures.items():
            self.writer.add_image(label, picture, row.number, dataformats="HWC")
        self.writer.flush()

    def close(self) -> None:
        """Write out what is left."""
        self.writer.close()


def _lines(options: dict[str, object]) -> str:
    return "\n".join(f"{flag}: {value}" for flag, value in sorted(options.items()))


def _as_code(text: str) -> str:
    """Markdown that shows a text as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())
