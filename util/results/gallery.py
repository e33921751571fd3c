"""A gallery of results that opens from disk; without script it is a plain page of pictures."""

import functools
import html
import json
import os
import struct
from pathlib import Path

from util import atomic
from util.errors import BadImage
from util.html import CLOSING, POLICY, address, head, only_script, to_bytes
from util.images.header import read_header

ASSETS = Path(__file__).parent
METRICS = '<script type="application/json" id="metrics">'


class ResultPage:
    """One HTML file, valid after every row; a row is appended at constant cost.

    Args:
        path: the file.
        title: heading, also the window's title.
        facts: name -> value, shown below the heading.
        details: heading -> text, shown as it is when it is asked for.
        width: px of a picture on a wide screen.
        groups: labels that stay together where a row of pictures has to be broken.
        legend: HTML below the facts.
    """

    def __init__(
        self,
        path: Path,
        title: str,
        facts: dict[str, str],
        details: dict[str, str],
        width: int,
        groups: list[list[str]] | None = None,
        legend: str = "",
    ) -> None:
        self.path, self.rows, self.groups = path, 0, groups or []
        self.columns: dict[str, int] = {}  # label -> number
        path.parent.mkdir(parents=True, exist_ok=True)
        opening = to_bytes(_opening(title, facts, details, width, legend) + CLOSING)
        atomic.write(path, opening, durable=False)

    def add_row(
        self,
        heading: str,
        pictures: dict[str, str | None],
        text: str = "",
        links: dict[str, str] | None = None,
    ) -> None:
        """Append pictures under a heading.

        Args:
            pictures: label -> file relative to the page; None: there is none, and it is said.
            text: below the heading.
            links: label -> file that the picture leads to, if it is another.
        """
        self.rows += 1
        figures = {
            label: self._figure(heading, label, file, (links or {}).get(label))
            for label, file in pictures.items()
        }
        told = f"<p>{html.escape(text)}</p>" if text else ""
        kind = "" if figures else ' class="text"'
        grid = f'<div class="pictures">{self._grouped(figures)}</div>' if figures else ""
        row = (
            f'<section id="row-{self.rows}"{kind}><h2>{html.escape(heading)}</h2>'
            f"{told}{grid}</section>\n"
        )
        with atomic.open_here(self.path, "r+b") as file:
            file.seek(-len(CLOSING), os.SEEK_END)
            file.write(to_bytes(row + CLOSING))

    def _grouped(self, figures: dict[str, str]) -> str:
        """Label -> its figure, to all of them, each group in an element of its own."""
        groups = [[label for label in group if label in figures] for group in self.groups]
        groups = [group for group in groups if group]
        if len(groups) < 2:
            return "".join(figures.values())
        grouped = {label for group in groups for label in group}
        groups += [[label] for label in figures if label not in grouped]
        return "".join(
            f'<div class="group" style="--n:{len(group)}">'
            + "".join(figures[label] for label in group) + "</div>"
            for group in groups
        )  # fmt: skip

    def _figure(self, heading: str, label: str, file: str | None, leads_to: str | None) -> str:
        column = self.columns.setdefault(label, len(self.columns))
        if file is None:
            shown = '<div class="absent">not there</div>'
        else:
            source, link = address(file), address(leads_to or file)
            alt = html.escape(f"{heading}: {label}")
            size = picture_size(self.path.parent / file)
            sides = f' width="{size[0]}" height="{size[1]}"' if size else ""
            shown = f'<a href="{link}"><img src="{source}" alt="{alt}"{sides} loading="lazy"></a>'
        caption = f"<figcaption>{html.escape(label)}</figcaption>"
        return f'<figure class="c{column}">{shown}{caption}</figure>'


def set_metrics(page: Path, names: list[str], rows: dict[int, list[float | None]]) -> None:
    """Let a page of ours tell figures beside its rows, and sort by them.

    Args:
        names: of the figures.
        rows: number of a row, from 1 -> its figures.
    """
    table = {"names": names, "rows": {f"row-{number}": row for number, row in rows.items()}}
    before, found, rest = page.read_bytes().partition(METRICS.encode())
    assert found, page
    rest = rest[rest.index(b"</script>") :]
    atomic.write(page, before + found + _script_json(table).encode() + rest)


def picture_size(file: Path) -> tuple[int, int] | None:
    """(width, height) px of a picture, so that a browser knows them before it reads the file; None
    if it is none."""
    try:
        with open(file, "rb") as picture:
            head = picture.read(24)
        if head.startswith(b"\x89PNG") and len(head) == 24:  # most are, and this takes no time
            return struct.unpack(">II", head[16:])
        return read_header(str(file)).size
    except (OSError, BadImage):
        return None


def _script_json(value: object) -> str:
    """JSON that may stand within a script element."""
    return json.dumps(value).replace("<", "\\u003c")


@functools.cache
def with_shared(file: Path) -> str:
    """A page's style (.css) or script (.js), after what pages of pictures share."""
    shared = Path(__file__).with_name(f"shared{file.suffix}")
    return "\n".join(each.read_text(encoding="utf-8") for each in (shared, file))


def _opening(
    title: str, facts: dict[str, str], details: dict[str, str], width: int, legend: str
) -> str:
    script = with_shared(ASSETS / "gallery.js")
    policy = f"{POLICY}; script-src {only_script(script)}"
    style = with_shared(ASSETS / "gallery.css").replace("--width:256px", f"--width:{width}px")
    terms = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in facts.items()
    )
    texts = "".join(
        f"<h2>{html.escape(name)}</h2><pre>{html.escape(text)}</pre>"
        for name, text in details.items()
    )
    more = f"<details><summary>{' and '.join(details)}</summary>{texts}</details>"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>{head(style, policy)}<title>{html.escape(title)}</title>
{METRICS}{_script_json({"names": [], "rows": {}})}</script>
<script>{script}</script></head>
<body>
<header><h1>{html.escape(title)}</h1><dl>{terms}</dl>{more if details else ""}{legend}</header>
<main>
"""
