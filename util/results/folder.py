"""What lies in a folder of results: rows and pictures of its page, figures in metrics.jsonl."""

import json
import math
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from util.atomic import check_readable, stays
from util.errors import UserError, on_disk, warn
from util.html import POLICY
from util.images.write import result_extensions
from util.results.gallery import METRICS, set_metrics

METRICS_FILE = "metrics.jsonl"


@dataclass
class Row:
    """Args:
    stem: of the image.
    pictures: visual -> file relative to the page.
    text: what is said instead of pictures.
    files: all that it shows or leads to, relative to the page.
    """

    stem: str
    pictures: dict[str, str] = field(default_factory=dict)
    text: str = ""
    files: set[str] = field(default_factory=set)


class _Rows(HTMLParser):
    """Headings and the pictures below them; the reference's pages are of this form too."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.inside = ""
        self.feed(text.partition("<main")[2] or text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        if tag in ("h2", "h3"):
            self.rows.append(Row(""))
        elif tag in ("img", "a") and self.rows:
            told = dict(attrs)
            address = told.get("src" if tag == "img" else "href") or ""
            if urlsplit(address).scheme or address.startswith("/"):
                return
            file, row = on_disk(unquote(address, errors="surrogateescape")), self.rows[-1]
            if "\0" in file:
                return
            row.files.add(file)
            if tag == "img":
                row.pictures[_label(row.stem, told.get("alt"), file)] = file

    def handle_data(self, data: str) -> None:
        if self.rows and self.inside in ("h2", "h3"):
            self.rows[-1].stem += data
        elif self.rows and self.inside == "p" and not self.rows[-1].pictures:
            self.rows[-1].text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def _label(stem: str, alt: str | None, file: str) -> str:
    """The visual that a picture is: pages of ours tell it, the reference's by the file's name."""
    name, told = Path(file).stem, (alt or "").removeprefix(f"{stem}: ")
    return told if told and name.endswith(f"_{told}") else name.removeprefix(f"{stem}_")


def read_rows(folder: Path) -> list[Row]:
    """The rows of a folder's page.

    Raises:
        UserError: there is none.
    """
    page = folder / "index.html"
    check_readable(page)
    if not page.is_file():
        raise UserError(f"{folder}: no index.html in it; give a folder that test.py has written")
    return _Rows(page.read_bytes().decode("utf-8", "replace")).rows


def is_ours(page: Path) -> bool:
    """Whether a file is a page that we have written."""
    return page.is_file() and POLICY.encode() in page.read_bytes()[:2000]


def shown_files(folder: Path) -> set[Path]:
    """The files, relative to a folder, that its page of ours shows or leads to, and those of other
    extensions that lie beside them."""
    inside = {Path(file) for row in read_rows(folder) for file in row.files if stays(file)}
    endings = result_extensions()
    return inside | {file.with_name(file.stem + end) for file in inside for end in endings}


def read_metrics(folder: Path) -> dict[str, dict[str, float]]:
    """stem -> name -> number, of metrics.jsonl; what is not of that form is left out and told."""
    path, found, wrong = folder / METRICS_FILE, {}, []
    data = path.read_bytes().replace(b"\0", b"") if path.is_file() else b""
    lines = data.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            found[record["stem"]] = {k: float(v) for k, v in record.items() if _is_number(v)}
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            wrong.append(str(number))
    if wrong:
        warn(f"{path}: left out, not an object with a stem: line {', '.join(wrong[:5])}")
    return found


def show_metrics(folder: Path) -> bool:
    """Put the figures of metrics.jsonl into the folder's page. Returns: whether there are any."""
    page = folder / "index.html"
    if not (metrics := read_metrics(folder)):
        return False
    if not is_ours(page) or METRICS.encode() not in page.read_bytes():
        raise UserError(f"{page}: not a result page of this version; write it anew with test.py")
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    rows = {
        number: [metrics[row.stem].get(name) for name in names]
        for number, row in enumerate(read_rows(folder), 1)
        if row.stem in metrics
    }
    set_metrics(page, names, rows)
    return bool(names)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
