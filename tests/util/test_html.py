"""The reference's page of pictures: a real browser shows them, whatever a file is called."""

import html.parser
from pathlib import Path

from PIL import Image

from tests.helpers import loaded_pictures, needs_browser
from util.html import HTML
from util.results.folder import read_rows

NASTY = ["a b", 'it\'s "quoted"', "<script>alert(1)</script>".replace("/", "∕"), "50%#?&", "名前"]


def page(folder: Path, refresh: int = 0) -> HTML:
    return HTML(folder, "title <b>", refresh)


def picture(page: HTML, name: str) -> str:
    Image.new("RGB", (4, 4), (255, 0, 0)).save(page.get_image_dir() / name)
    return name


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


def test_the_page_is_whole_after_every_save(tmp_path):
    grown = page(tmp_path)
    for number in range(1, 4):
        grown.add_header(f"epoch {number}")
        grown.add_images(["x.png"] * 2, ["real", "fake"], ["x.png"] * 2, width=64)
        grown.save()
        found = Links((tmp_path / "index.html").read_text())
        assert found.open == [] and found.tags.count("h3") == number
        assert found.tags.count("img") == found.tags.count("a") == 2 * number
    assert "width:64px" in (tmp_path / "index.html").read_text()


def test_a_page_may_be_read_again_by_itself(tmp_path):
    page(tmp_path, refresh=7).save()
    assert '<meta content="7" http-equiv="refresh">' in (tmp_path / "index.html").read_text()
    page(tmp_path).save()
    assert "refresh" not in (tmp_path / "index.html").read_text()


def test_names_are_escaped(tmp_path):
    grown = page(tmp_path)
    for name in NASTY:
        grown.add_header(name)
        grown.add_images([f"{name}.png"], ["<label>"], [f"{name}.png"])
    grown.save()
    text = (tmp_path / "index.html").read_text()
    assert "<script" not in text and "<label>" not in text and "<b>" not in text
    assert "http" not in text.replace("http-equiv", "")  # nothing from outside


@needs_browser
def test_a_browser_loads_every_picture_and_runs_no_script(tmp_path):
    grown = page(tmp_path)
    for name in NASTY:
        grown.add_header(name)
        file = picture(grown, f"{name}_real.png")
        grown.add_images([file], ["real"], [file])
    grown.save()
    assert loaded_pictures(tmp_path / "index.html") == (len(NASTY), len(NASTY))
    rows = read_rows(tmp_path)  # as scripts/compare.py reads it
    assert [row.stem for row in rows] == NASTY
    assert all((tmp_path / row.pictures["real"]).is_file() for row in rows)
