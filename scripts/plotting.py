"""Curves of several runs, as a PNG and as a page with SVG in it. The one user of matplotlib."""

import io
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from dominate import tags
from dominate.util import raw
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.curves import Panel, thinned
from scripts.panel_svg import DASHES, panel_svg
from util import atomic

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
COLORS = list(map(matplotlib.colors.to_hex, matplotlib.color_sequences["tab10"]))
STYLES = tuple(DASHES)  # the later ones for the runs after the tenth
MANY = 24  # panels; more of them are small, with the lowest and the highest value alone
PANEL_INCHES, SMALL_INCHES = (5.0, 3.0), (2.8, 1.7)
MOST_PX = 60_000  # of a side of the picture
STYLE = """
:root{color-scheme:light dark;--line:#8884;--dim:#777}
body{font:16px/1.5 system-ui,sans-serif;max-width:1400px;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem;color:var(--dim);margin:0 0 1rem}
dd{margin:0}
ul{list-style:none;padding:.5rem 0;margin:0;display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;
position:sticky;top:0;background:Canvas}li{overflow-wrap:anywhere}li svg{width:2rem;height:.7rem}
main{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr))}
main svg{width:100%;height:auto}.table{overflow-x:auto}table{border-collapse:collapse}
td,th{border-top:1px solid var(--line);padding:.2rem 1rem .2rem 0;text-align:left;
min-width:5rem;max-width:30rem;overflow-wrap:break-word;vertical-align:top}
th:first-child{min-width:0;white-space:nowrap}
td{font-variant-numeric:tabular-nums}
"""


def _look(label: str, labels: list[str]) -> dict[str, object]:
    """A run looks the same in every panel."""
    place = labels.index(label)
    dash = STYLES[place // len(COLORS) % len(STYLES)]
    return {"color": COLORS[place % len(COLORS)], "linestyle": dash}


def _draw(axes: Axes, panel: Panel, labels: list[str], x_name: str) -> None:
    for label, (x, y) in panel.logged.items():
        look = _look(label, labels)
        alone = {"marker": "."} if len(x) == 1 else {}
        if panel.smooth:
            axes.plot(*thinned(x, y), alpha=0.35, linewidth=0.8, **look)
        axes.plot(*thinned(*panel.smoothed(label)), linewidth=1.4, **look, **alone)
    axes.set_title(panel.title, parse_math=False)
    axes.set_xlabel(x_name)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def save_png(path: Path, panels: list[Panel], labels: list[str], x_name: str) -> None:
    """All panels in one picture, two or three beside each other, many in a grid of small ones; the
    runs' names above."""
    many = len(panels) > MANY
    across = min(len(panels), 6 if many else 2 if len(panels) <= 4 else 3)
    down = -(-len(panels) // across)
    head = 0.3 * -(-len(labels) // across) + 0.2  # inches
    wide, high = SMALL_INCHES if many else PANEL_INCHES
    size = (wide * across, high * down + head)
    settings = {"font.size": 7 if many else 9, "axes.formatter.useoffset": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name that the font cannot write
        figure = Figure(size, layout=None if many else "constrained")
        if many:  # fitting each to its text would take minutes
            figure.subplots_adjust(0.6 / size[0], 0.3 / size[1], 1 - 0.1 / size[0],
                                   1 - (head + 0.3) / size[1], 0.4, 0.5)  # fmt: skip
        else:
            figure.get_layout_engine().set(rect=(0, 0, 1, 1 - head / size[1]))
        grid = list(figure.subplots(down, across, squeeze=False).flat)
        for number, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
            if many:
                _mark_ends(axes, panel, number >= len(panels) - across)
            _draw(axes, panel, labels, "" if many else x_name)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        handles = [matplotlib.lines.Line2D([], [], **_look(label, labels)) for label in labels]
        names = [f" {_shortened(label)}" for label in labels]  # "_x" alone would be left out
        legend = figure.legend(handles, names, loc="upper left", ncols=across, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
        file = io.BytesIO()
        dpi = min(90 if many else 110, MOST_PX / max(size))
        figure.savefig(file, format="png", dpi=dpi, facecolor="white")
    atomic.write(path, file.getvalue())


def _mark_ends(axes: Axes, panel: Panel, last_row: bool) -> None:
    """Ticks at the lowest and the highest value alone."""
    for axis, place, wanted in ((axes.xaxis, 0, last_row), (axes.yaxis, 1, True)):
        values = np.concatenate([logged[place] for logged in panel.logged.values()] or [[]])
        values = values[~np.isnan(values)]
        ends = sorted({values.min(), values.max()}) if values.size and wanted else []
        axis.set_ticks(ends, [f"{end:.4g}" for end in ends])


def _shortened(label: str, most: int = 60) -> str:
    return label if len(label) <= most else f"...{label[3 - most :]}"


def save_page(
    path: Path,
    panels: list[Panel],
    labels: list[str],
    x_name: str,
    facts: dict[str, str],
    tables: list[tuple[str, list[list[str]]]],
) -> None:
    """The curves, and below them tables: (heading, rows), the first row their head."""
    head = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(**{"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tags.title(f"Runs: {', '.join(labels)}"),
        tags.style(raw(STYLE)),
    )
    body = tags.body(tags.h1(f"{len(labels)} runs" if len(labels) > 1 else labels[0]))
    body.add(tags.dl(*(part for k, v in facts.items() for part in (tags.dt(k), tags.dd(v)))))
    body.add(tags.ul(*(tags.li(raw(_swatch(label, labels)), " ", label) for label in labels)))
    looks = {label: _look(label, labels) for label in labels}
    body.add(tags.main(*(raw(panel_svg(panel, looks, x_name)) for panel in panels)))
    for heading, rows in tables:
        if len(rows) > 1:
            body.add(tags.h2(heading), tags.div(_table(rows), cls="table"))
    page = f"<!DOCTYPE html>\n{tags.html(head, body, lang='en').render(pretty=False)}\n"
    atomic.write(path, page.encode("utf-8", "replace"))


def _swatch(label: str, labels: list[str]) -> str:
    look = _look(label, labels)
    dash = DASHES[look["linestyle"]]
    color = matplotlib.colors.to_hex(look["color"])
    return (
        '<svg viewBox="0 0 32 10" aria-hidden="true"><path d="M0 5H32" stroke-width="3" '
        f'stroke="{color}" stroke-dasharray="{dash}"/></svg>'
    )


def _table(rows: list[list[str]]) -> tags.table:
    table = tags.table(tags.tr(*(tags.th(cell) for cell in rows[0])))
    for name, *cells in rows[1:]:
        table.add(tags.tr(tags.th(name), *(tags.td(cell) for cell in cells)))
    return table
