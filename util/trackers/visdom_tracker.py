"""visdom: a page of a server, where several runs are looked at as they go on."""

import argparse
import html
import logging
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from util.errors import say
from util.record import Figures, PageRow, Record, RunInfo, read_records
from util.trackers.base_tracker import Tracker
from util.trackers.visdom_server import ensure_server

POINTS = 1000  # of a curve; with more of them every second one is left out


class VisdomTracker(Tracker):
    """Curves and a table of losses and metrics, and the pictures, which are replaced as they come.

    Args:
        run: whose metrics.jsonl the curves go on from.
        server, port: where visdom answers; on this computer it is started if it does not.
        env: what its page calls the run.
        columns: pictures beside each other in one pane; 0: a pane each.
    """

    package = "visdom"
    install = (
        "PIP_CONSTRAINT=$PWD/build-constraints.txt PIP_BUILD_CONSTRAINT=$PWD/build-constraints.txt "
        "pip install --use-pep517 -r requirements-visdom.txt"
    )

    # fmt: off
    @staticmethod
    def add_flags(parser: argparse._ActionsContainer) -> None:
        """The server, what is shown where, and the old form of `--track visdom`."""
        add = parser.add_argument
        shown = (
            "with --track visdom, in train.py",
            lambda o: o["isTrain"] and ("visdom" in o["track"] or VisdomTracker.asked(o)),
        )
        add("--display_id", type=int,
            counts_with=("in train.py", lambda o: o["isTrain"] or not VisdomTracker.asked(o)),
            help="old form of --track visdom, if above 0; without either there is no live view")
        add("--display_server", default="http://localhost", counts_with=shown,
            help="host of visdom's server; on this computer it is started if it does not answer")
        add("--display_port", type="port", default=8097, counts_with=shown, help="its port")
        add("--display_env", counts_with=shown,
            help="environment of visdom (default: the run's name)")
        add("--display_ncols", type="non_negative_int", default=4, counts_with=shown,
            help="pictures beside each other in visdom; 0: each in a pane of its own")
    # fmt: on

    @staticmethod
    def asked(values: Mapping[str, Any]) -> bool:
        """By `--display_id` above 0."""
        return (values["display_id"] or 0) > 0

    @staticmethod
    def settings(values: Mapping[str, Any]) -> dict[str, Any]:
        """Server, environment and columns."""
        return {
            "server": values["display_server"],
            "port": values["display_port"],
            "env": values["display_env"] or values["name"],
            "columns": values["display_ncols"],
        }

    def __init__(self, run: RunInfo, server: str, port: int, env: str, columns: int) -> None:
        super().__init__(run)
        self.columns = columns
        # (images seen, whether the losses are an epoch's means) -> what was logged
        self.points: dict[tuple[float, bool], Record] = {}
        self.env = re.sub(r"[^\w .-]", "-", env)  # visdom's page does not find any other name
        client = client_class()
        address, is_local = ensure_server(server, port, run.folder)
        logging.getLogger("visdom").setLevel(logging.ERROR)
        self.vis = client(server=address, port=port, env=self.env, use_incoming_socket=False,
                          raise_exceptions=True)  # fmt: skip
        if is_local:
            self.vis.session.trust_env = False  # no proxy
        if not run.resumed:
            self.vis.close()  # what an earlier run of the name left
        self.vis.text(f"<pre>{html.escape(run.networks)}</pre>", "networks", opts=_pane("networks"))
        if run.legend:
            self.vis.text(run.legend, "classes", opts=_pane("classes"))
        for record in read_records(run.folder / "metrics.jsonl"):
            self._add(record)
        say(f"visdom: {address}:{port}/env/{quote(self.env)}")

    def _add(self, record: Record) -> None:
        self.points[record.step.images, record.over_epoch] = record
        if len(self.points) > POINTS:
            self.points = dict(list(self.points.items())[::2])

    def log(self, record: Record) -> None:
        """Draw the curves anew, and the table."""
        self._add(record)
        pane = "means of epochs" if record.over_epoch else "losses"
        alike = {i: r.losses for (i, over), r in self.points.items() if over == record.over_epoch}
        self._draw(pane, list(record.losses), alike)
        if record.metrics:  # measured now and then: their curves go from one to the next
            measured = {i: r.metrics for (i, _), r in self.points.items() if r.metrics}
            self._draw("metrics", list(record.metrics), measured)
        self.vis.text(_table(record), "last losses", opts=_pane("last losses", height=360))

    def _draw(self, pane: str, names: list[str], points: dict[float, Figures]) -> None:
        """A curve for each name, over the images seen."""
        rows = [[_finite(figures.get(name)) for name in names] for figures in points.values()]
        legend = [html.escape(name, quote=False) for name in names]
        look = _pane(pane, xlabel="images", legend=legend, width=640, height=360)
        self.vis.line(np.array(rows), np.array(list(points), float), pane, opts=look)

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        """Replace the pictures by those of another row."""
        sheets = {name: [picture] for name, picture in pictures.items()}
        if self.columns:
            sheets = {", ".join(pictures): list(pictures.values())}
        for number, (name, sheet) in enumerate(sheets.items()):
            image = tiled(sheet, self.columns or 1).transpose(2, 0, 1)
            opts = _pane(name, caption=row.heading)
            self.vis.image(image, f"pictures {number}", opts=opts)
        self.vis.save([self.env])

    def close(self) -> None:
        """Let the server write the environment to its disk."""
        self.vis.save([self.env])


def client_class() -> type:
    """visdom's client; its requests end in time, and tell of errors.

    Raises:
        ImportError: visdom is not installed.
    """
    from visdom import Visdom

    class Client(Visdom):
        def _handle_post(self, url: str, data: str | None = None) -> str:
            reply = self.session.post(url, data=data or "{}", timeout=5)
            reply.raise_for_status()
            return reply.text

    return Client


def tiled(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Pictures (H, W, 3) in rows of `columns`, on white, as one."""
    high, wide = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    sheet = np.full((rows * (high + 4), columns * (wide + 4), 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (high + 4), number % columns * (wide + 4)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _pane(title: str, **opts: object) -> dict[str, object]:
    return {"title": title, **opts}


def _finite(value: float | None) -> float:
    """NaN, which leaves a gap, for what cannot be drawn."""
    return value if value is not None and math.isfinite(value) else math.nan


def _table(record: Record) -> str:
    """Losses and metrics, then the rest. A text pane runs what looks like script."""
    parts = record.parts()
    figures = [pair for part in ("losses", "means", "metrics", "step", "speed")
               for pair in parts[part].items()]  # fmt: skip
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{value:.6g}</td></tr>" for name, value in figures
    )
    return f"<table>{rows}</table>"
