"""visdom: a page of a server, where several runs are looked at as they go on."""

import html
import json
import logging
import math
import re
from urllib.parse import quote

import numpy as np
from visdom import Visdom

from util.errors import say
from util.page import PageRow
from util.trackers.base import RunInfo, losses_of
from util.trackers.visdom_start import ensure_server

POINTS = 1000  # of a curve; with more of them every second one is left out


class Client(Visdom):
    """Its requests end in time, and tell of errors."""

    def _handle_post(self, url: str, data: str | None = None) -> str:
        reply = self.session.post(url, data=data or "{}", timeout=5)
        reply.raise_for_status()
        return reply.text


class VisdomTracker:
    """Curves and a table of the losses, and the pictures, which are replaced as they come.

    Args:
        run: whose metrics.jsonl the curves go on from.
        server, port: where visdom answers; on this computer it is started if it does not.
        env: what its page calls the run.
        columns: pictures beside each other in one pane; 0: a pane each.
    """

    def __init__(self, run: RunInfo, server: str, port: int, env: str, columns: int) -> None:
        self.columns, self.points = columns, {}
        self.env = re.sub(r"[^\w .-]", "-", env)  # visdom's page does not find any other name
        address, is_local = ensure_server(server, port, run.folder)
        logging.getLogger("visdom").setLevel(logging.ERROR)
        self.vis = Client(server=address, port=port, env=self.env, use_incoming_socket=False,
                          raise_exceptions=True)  # fmt: skip
        if is_local:
            self.vis.session.trust_env = False  # no proxy
        if not run.resumed:
            self.vis.close()  # what an earlier run of the name left
        self.vis.text(f"<pre>{html.escape(run.networks)}</pre>", "networks", opts=_pane("networks"))
        metrics = run.folder / "metrics.jsonl"
        for line in metrics.read_text().splitlines() if metrics.is_file() else ():
            self._add(json.loads(line))
        say(f"visdom: {address}:{port}/env/{quote(self.env)}")

    def _add(self, record: dict[str, float | None]) -> None:
        self.points[record["images"]] = losses_of(record)
        if len(self.points) > POINTS:
            self.points = dict(list(self.points.items())[::2])

    def log(self, record: dict[str, float]) -> None:
        self._add(record)
        images, rows = list(self.points), list(self.points.values())
        names = list(losses_of(record))
        values = np.array([[_finite(row.get(name)) for name in names] for row in rows])
        legend = [html.escape(name, quote=False) for name in names]
        look = _pane("losses", xlabel="images", legend=legend, width=640, height=360)
        self.vis.line(values, np.array(images, float), "losses", opts=look)
        self.vis.text(_table(record), "last losses", opts=_pane("last losses", height=360))

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        sheets = {name: [picture] for name, picture in pictures.items()}
        if self.columns:
            sheets = {", ".join(pictures): list(pictures.values())}
        for number, (name, sheet) in enumerate(sheets.items()):
            image = tiled(sheet, self.columns or 1).transpose(2, 0, 1)
            opts = _pane(name, caption=row.heading)
            self.vis.image(image, f"pictures {number}", opts=opts)
        self.vis.save([self.env])

    def close(self) -> None:
        self.vis.save([self.env])


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


def _table(record: dict[str, float]) -> str:
    """A text pane runs what looks like script."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{value:.6g}</td></tr>"
        for name, value in (losses_of(record) | record).items()
    )
    return f"<table>{rows}</table>"
