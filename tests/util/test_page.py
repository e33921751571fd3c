"""Pages: they grow by a row, and a real browser shows them, whatever a file is called."""

import html.parser
import os
from pathlib import Path

from PIL import Image

from tests.helpers import loaded_pictures, needs_browser
from util.page import Page

NASTY = ["a b", 'it\'s "quoted"', "<script>alert(1)</script>".replace("/", "∕"), "50%#?&", "名前"]


def page(folder: Path) -> Page:
    return Page(folder / "index.html", "title <b>", {"fact": "<i>value"}, 64)


def picture(folder: Path, name: str) -> str:
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", (4, 4), (255, 0, 0)).save(folder / "images" / name)
    return f"images/{name}"


class Links(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_after_every_row(tmp_path):
    grown = page(tmp_path)
    for number in range(1, 4):
        grown.add_row(number, f"epoch {number}", [("real", picture(tmp_path, f"{number}.png"))])
        found = Links((tmp_path / "index.html").read_text())
        assert found.open == [] and found.tags.count("section") == number


def test_a_row_costs_the_same_at_the_end_as_at_the_start(tmp_path, monkeypatch):
    grown = page(tmp_path)
    sizes = [os.path.getsize(tmp_path / "index.html")]
    for number in range(100, 600):
        grown.add_row(number, "epoch", [("real_A", "images/x.png")] * 3)
        sizes.append(os.path.getsize(tmp_path / "index.html"))
    steps = {b - a for a, b in zip(sizes, sizes[1:], strict=False)}
    assert len(steps) == 1
    written = []
    monkeypatch.setattr(grown, "_replace_end", lambda offset, text: written.append(len(text)))
    grown.add_row(600, "epoch", [("real_A", "images/x.png")] * 3)
    assert written[0] < 2000  # and no more than the row is written


def test_names_are_escaped(tmp_path):
    grown = page(tmp_path)
    for number, name in enumerate(NASTY):
        grown.add_row(number, name, [("<label>", f"images/{name}.png")])
    text = (tmp_path / "index.html").read_text()
    assert "<script" not in text and "<label>" not in text and "<b>" not in text
    assert "http" not in text.replace("http-equiv", "")  # nothing from outside


@needs_browser
def test_a_browser_loads_every_picture_and_runs_no_script(tmp_path):
    grown = page(tmp_path)
    for number, name in enumerate(NASTY):
        grown.add_row(number, name, [("real", picture(tmp_path, f"{name}.png"))])
    assert loaded_pictures(tmp_path / "index.html") == (len(NASTY), len(NASTY))
