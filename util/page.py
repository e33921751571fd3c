"""What pages of pictures share: what a row stands for, and the policy that keeps them offline."""

import base64
import hashlib
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from dominate import tags
from dominate.util import raw

CLOSING = "</main></body></html>\n"
# Nothing is loaded from outside, and no script runs, whatever a file is called.
POLICY = "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'"
STYLE = """
:root{color-scheme:light dark;--line:#8884;--dim:#777}
body{font:16px/1.5 system-ui,sans-serif;max-width:1400px;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;margin:.5rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem;color:var(--dim);margin:0 0 1rem}
dd{margin:0;overflow-wrap:anywhere}
main{display:flex;flex-direction:column}
section{border-top:1px solid var(--line);padding:.75rem 0}
h2{font-size:1rem;margin:0 0 .5rem;overflow-wrap:anywhere}
.pictures{display:grid;gap:.5rem;grid-template-columns:repeat(auto-fill,WIDTHpx)}
figure{margin:0;min-width:0}
figure img{width:100%;height:auto;display:block;border-radius:4px;background:var(--line)}
figcaption{font-size:.8rem;color:var(--dim);overflow-wrap:anywhere}
@media(max-width:700px){body{padding:.5rem}.pictures{grid-template-columns:repeat(3,1fr)}}
"""


class PageRow(NamedTuple):
    """A row's number never falls; its pictures' files begin with the stem."""

    number: int
    heading: str
    file_stem: str


class Page:
    """One HTML file, valid after every row.

    Args:
        path: the file; pictures are linked relative to its folder.
        title: heading, also the window's title.
        facts: name -> value, shown below the heading.
        width: px of a picture on a wide screen.
    """

    def __init__(
        self,
        path: str | Path,
        title: str,
        facts: dict[str, str],
        width: int,
    ) -> None:
        self.path, self.rows = Path(path), 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(to_bytes(_opening(title, facts, width) + CLOSING))

    def add_row(
        self, number: int, heading: str, pictures: list[tuple[str, str]], text: str = ""
    ) -> None:
        """Append pictures under a heading.

        Args:
            number: of the row, its address in the page.
            pictures: (label, file relative to the page) each.
            text: below the heading.
        """
        self.rows += 1
        section = tags.section(tags.h2(heading), id=f"row-{number}")
        if text:
            section.add(tags.p(text))
        grid = section.add(tags.div(cls="pictures"))
        for label, file in pictures:
            link = quote(file)
            image = tags.img(src=link, alt=f"{heading}: {label}", loading="lazy")
            grid.add(tags.figure(tags.a(image, href=link), tags.figcaption(label)))
        self._replace_end(-len(CLOSING), section.render(pretty=False) + "\n" + CLOSING)

    def _replace_end(self, offset: int, text: str) -> None:
        with open(self.path, "r+b") as file:
            file.seek(offset, os.SEEK_END)
            file.write(to_bytes(text))


def to_bytes(text: str) -> bytes:
    """UTF-8; bytes of file names that are not UTF-8 become question marks."""
    return text.encode("utf-8", "replace")


def only_script(code: str) -> str:
    """The source of a Content-Security-Policy that lets this inline script run, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _opening(title: str, facts: dict[str, str], width: int) -> str:
    head = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(**{"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tags.title(title),
        tags.style(raw(STYLE.replace("WIDTH", str(width)))),
    )
    fact_list = tags.dl()
    for name, value in facts.items():
        fact_list.add(tags.dt(name), tags.dd(value))
    header = tags.header(tags.h1(title), fact_list)
    parts = [head.render(pretty=False), "<body>", header.render(pretty=False)]
    return '<!DOCTYPE html>\n<html lang="en">\n' + "\n".join(parts) + "\n<main>\n"
