"""The gallery of results: what a user sees and does, in a real browser."""

import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import open_page
from tests.helpers import needs_browser, script
from util.errors import UserError
from util.results.folder import read_rows, show_metrics, shown_files
from util.results.gallery import ResultPage

NASTY = ["a b", 'it\'s "quoted"', "<script>alert(1)<∕script>", '"><img onerror=alert(1)>',
         "50%#?&", "two\nlines", "名前", "</script>".replace("/", "∕")]  # fmt: skip
STEMS = ["cat", "cow", "dog"]
LABELS = ["real_A", "fake_B", "real_B"]
PSNR = {"cat": 20.0, "cow": 9.5, "dog": 31.25}


def write(folder: Path, stems: list[str], tint: int = 0) -> Path:
    """A folder of results: 32 x 16 px pictures. Returns: the page."""
    details = {"command": "python test.py --name '<u>'", "options": "lr 1"}
    page = ResultPage(folder / "index.html", "run <b>", {"fact": "<i>value"}, details, 128)
    (folder / "images").mkdir(exist_ok=True)
    for stem in stems:
        files = {label: f"images/{stem}_{label}.png" for label in LABELS}
        for i, (label, file) in enumerate(files.items()):
            colour = (80 * i, tint if label == "fake_B" else 0, 100)
            Image.new("RGB", (32, 16), colour).save(folder / file)
        page.add_row(stem, files)
    return page.path


def write_metrics(folder: Path, values: dict[str, float]) -> None:
    lines = [json.dumps({"stem": s, "psnr": v, "file": "x"}) for s, v in values.items()]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def result(tmp_path):
    return write(tmp_path / "r", STEMS)


def visible(page) -> list[str]:
    """Headings of the rows that are shown, from the top."""
    return [s.locator("h2").text_content() for s in page.locator("section:visible").all()]


def open_viewer(page, picture: int = 1) -> None:
    page.locator("section:visible").first.locator("a").nth(picture).click()


def shown_in_viewer(page) -> str:
    return page.locator("#viewer h2").text_content()


def cut(page) -> float:
    """Percent of the width at which the left picture ends, as it is drawn."""
    return page.evaluate(
        "() => { const box = e => document.querySelector(e).getBoundingClientRect();"
        "const [k, s] = [box('.knife'), box('.stage')];"
        "return 100 * (k.left + k.width / 2 - s.left) / s.width }"
    )


def loaded(page) -> tuple[int, int]:
    """(pictures that could be loaded, pictures) of the page, all of them looked at."""
    return tuple(page.evaluate(
        "async () => { const all = [...document.images]; all.forEach(i => i.loading = 'eager');"
        "await Promise.all(all.map(i => i.decode().catch(() => 0)));"
        "return [all.filter(i => i.naturalWidth).length, all.length] }"
    ))  # fmt: skip


def test_the_page_is_whole_after_every_row_and_rows_cost_the_same(tmp_path):
    page = ResultPage(tmp_path / "index.html", "t", {}, {}, 64)
    sizes = [page.path.stat().st_size]
    for number in range(10, 60):
        page.add_row(f"{number}", {"real_A": f"images/{number}_real_A.png"})
        text = page.path.read_text()
        assert text.endswith("</section>\n</main></body></html>\n")
        sizes.append(len(text.encode()))
    # row-1 and row-10 differ by a digit
    assert {b - a for a, b in zip(sizes[10:], sizes[11:], strict=False)} == {sizes[-1] - sizes[-2]}
    assert "https:" not in text and "http:" not in text


@needs_browser
def test_names_of_any_kind_are_harmless_and_no_link_is_dead(tmp_path):
    with open_page(write(tmp_path / 'a "b" #1 ?%41', NASTY)) as page:
        assert loaded(page) == (3 * len(NASTY), 3 * len(NASTY))
        open_viewer(page)
        names = [shown_in_viewer(page)]
        for _ in NASTY[1:]:
            page.keyboard.press("ArrowRight")
            names.append(shown_in_viewer(page))
        assert [n.split() for n in names] == [name.split() for name in NASTY]
        assert page.title() == "run <b>" and page.locator("u, i, b").count() == 0
        assert page.errors == []
        assert {url.partition(":")[0] for url in page.requests} == {"file"}


@needs_browser
def test_a_script_that_slips_in_does_not_run(result):
    text = result.read_text().replace("<main>", "<main><script>document.title='run'</script>")
    result.write_text(text.replace("<h1>", '<h1><img src="http://127.0.0.1:9/x.png">'))
    with open_page(result) as page:
        assert page.title() == "run <b>"
        assert any("Content Security Policy" in error for error in page.errors)


@needs_browser
def test_the_filter_filters(result):
    with open_page(result) as page:
        page.keyboard.press("/")
        page.keyboard.type("CO")
        assert visible(page) == ["cow"]
        assert page.locator("#tools output").text_content() == "1 of 3 images"
        open_viewer(page)
        assert page.locator("#position").text_content() == "1 / 1"
        page.keyboard.press("Escape")
        page.locator("#filter").fill("")
        assert visible(page) == STEMS and page.errors == []


@needs_browser
def test_rows_are_sorted_by_a_metric_and_by_none_if_there_is_none(result):
    with open_page(result) as page:
        assert page.locator("#sort").count() == 0
        write_metrics(result.parent, {s: v for s, v in PSNR.items() if s != "cat"})
        assert show_metrics(result.parent)
        page.reload()
        assert page.locator("#row-3 .values").text_content() == "psnr 31.25"
        page.locator("#sort").select_option(label="psnr, highest first")
        assert visible(page) == ["dog", "cow", "cat"]  # without a value: last
        page.locator("#sort").select_option(label="psnr, lowest first")
        assert visible(page) == ["cow", "dog", "cat"]
        open_viewer(page)
        page.keyboard.press("ArrowRight")
        assert shown_in_viewer(page) == "dog"  # the viewer goes in the same order
        page.keyboard.press("Escape")
        page.locator("#sort").select_option("")
        assert visible(page) == STEMS and page.errors == []


@needs_browser
def test_columns_come_and_go(result):
    with open_page(result) as page:
        captions = page.locator("#row-2 figcaption:visible")
        assert captions.all_text_contents() == LABELS
        page.get_by_label("fake_B", exact=True).uncheck()
        assert captions.all_text_contents() == ["real_A", "real_B"]
        open_viewer(page, 0)
        page.keyboard.press("s")
        assert page.locator(".panes figcaption").all_text_contents() == ["real_A", "real_B"]
        page.keyboard.press("Escape")
        page.get_by_label("fake_B", exact=True).check()
        assert captions.all_text_contents() == LABELS


@needs_browser
def test_the_slider_follows_pointer_keyboard_and_range(result):
    with open_page(result) as page:
        open_viewer(page)
        assert cut(page) == pytest.approx(50, abs=0.5)
        box = page.locator(".stage").bounding_box()
        assert box["width"] == pytest.approx(2 * box["height"], rel=0.01)  # as the pictures are
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] / 2, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.2, middle, steps=4)
        page.mouse.up()
        assert cut(page) == pytest.approx(20, abs=1)
        page.mouse.move(box["x"] + box["width"] * 0.9, middle)  # let go: it stays
        assert cut(page) == pytest.approx(20, abs=1)
        page.keyboard.press("Shift+ArrowRight")
        assert cut(page) == pytest.approx(25, abs=1)
        page.locator("#knife").focus()
        page.keyboard.press("End")
        assert cut(page) == pytest.approx(100, abs=1) and shown_in_viewer(page) == "cat"
        assert page.errors == []


@needs_browser
def test_the_two_pictures_of_the_slider_are_chosen(result):
    with open_page(result) as page:
        open_viewer(page, 2)
        tags = page.locator(".tag")
        assert tags.all_text_contents() == ["real_A", "real_B"]
        page.locator("#left").select_option(label="fake_B")
        assert tags.all_text_contents() == ["fake_B", "real_B"]
        page.keyboard.press("Escape")
        page.locator("#viewer").wait_for(state="hidden")
        sides = page.locator(".layer img").evaluate_all("all => all.map(i => i.src)")
        assert [Path(s).name for s in sides] == ["cat_fake_B.png", "cat_real_B.png"]


@needs_browser
def test_the_keyboard_goes_through_the_images(result):
    with open_page(result) as page:
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.locator("section.current h2").text_content() == "cow"
        page.keyboard.press("Enter")
        assert shown_in_viewer(page) == "cow"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")  # there is no more
        assert shown_in_viewer(page) == "dog"
        page.keyboard.press("k")
        page.keyboard.press("ArrowLeft")
        assert shown_in_viewer(page) == "cat"
        page.keyboard.press("Escape")
        assert not page.locator("#viewer").is_visible()
        page.locator("section.current h2", has_text="cat").wait_for()  # when the dialog has closed


@needs_browser
def test_zoom_is_in_step_across_columns(result):
    with open_page(result) as page:
        open_viewer(page)
        page.keyboard.press("s")
        panes = page.locator(".pane")
        box = panes.nth(1).bounding_box()
        # The point under the pointer stays where it is, a quarter of the width from the left.
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, -600)
        page.wait_for_function(
            "document.querySelector('#viewer').style.getPropertyValue('--zoom') > 1"
        )

        def places() -> list[list[float]]:
            """Left edge of each picture in its pane, and its width, in widths of the pane."""
            return panes.evaluate_all(
                "all => all.map(p => { const [b, i] = [p, p.firstChild].map("
                "e => e.getBoundingClientRect()); return [(i.left - b.left) / b.width,"
                "i.width / b.width].map(n => +n.toFixed(3)) })"
            )

        zoomed = places()
        assert len(zoomed) == 3 and all(place == zoomed[0] for place in zoomed)
        left, width = zoomed[0]
        assert width > 2 and left == pytest.approx(0.25 * (1 - width), abs=0.02)
        page.mouse.down()
        page.mouse.move(box["x"], box["y"] + box["height"] / 2, steps=3)
        page.mouse.up()
        moved = places()
        assert moved[0][0] < left and all(place == moved[0] for place in moved)
        page.keyboard.press("0")
        assert places() == [[0, 1]] * 3 and page.errors == []


@needs_browser
def test_an_unreadable_file_is_told_and_passed_over(tmp_path):
    page_file = write(tmp_path, ["cat"])
    page = ResultPage(tmp_path / "index.html", "t", {}, {}, 64)
    page.add_row("cat", {label: f"images/cat_{label}.png" for label in LABELS})
    page.add_row("broken", {}, "unreadable: <cut off>")
    with open_page(page_file) as shown:
        assert "unreadable: <cut off>" in shown.locator("#row-2").text_content()
        open_viewer(shown)
        assert shown.locator("#position").text_content() == "1 / 1"


@needs_browser
def test_command_and_options_are_shown_when_asked_for(result):
    with open_page(result) as page:
        assert not page.locator("pre").first.is_visible()
        page.locator("summary").click()
        assert page.locator("pre").all_text_contents() == ["python test.py --name '<u>'", "lr 1"]


@needs_browser
def test_it_fits_windows_in_dark_and_light(result):
    with open_page(result) as page:
        for width in (420, 1100):
            for scheme in ("dark", "light"):
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme)
                page.reload()
                overflow = "document.documentElement.scrollWidth - innerWidth"
                paper = "getComputedStyle(document.body).backgroundColor"
                level = sum(map(int, re.findall(r"\d+", page.evaluate(paper))[:3]))
                assert page.evaluate(overflow) <= 0 and (level < 200) == (scheme == "dark")
                before = page.evaluate(paper)
                page.get_by_title("dark or light").click()
                assert page.evaluate(paper) != before
                open_viewer(page)
                box = page.locator(".stage").bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert page.errors == []


@needs_browser
def test_pictures_are_there_without_script(result):
    with open_page(result) as page:
        silent = page.context.browser.new_context(java_script_enabled=False).new_page()
        asked = []
        silent.on("requestfinished", lambda request: asked.append(request.url))
        silent.goto(result.as_uri())
        assert silent.locator("section img").count() == 9
        assert sum(url.endswith(".png") for url in asked) == 9
        assert silent.locator("#tools, dialog").count() == 0


@needs_browser
def test_of_many_rows_only_those_in_sight_are_loaded(tmp_path):
    names = [str(number) for number in range(500)]
    with open_page(write(tmp_path, names)) as page:
        loaded = "[...document.images].filter(i => i.complete && i.naturalWidth).length >= 3"
        page.wait_for_function(loaded)
        assert sum("/images/" in url for url in page.requests) < 300
        page.locator("#filter").fill("499")
        assert visible(page) == ["499"]
        open_viewer(page)
        assert page.errors == []


def test_rows_are_read_back(tmp_path):
    write(tmp_path, NASTY)
    rows = read_rows(tmp_path)
    assert [row.stem for row in rows] == NASTY
    assert all(list(row.pictures) == LABELS for row in rows)
    assert all((tmp_path / f).is_file() for row in rows for f in row.pictures.values())
    with pytest.raises(UserError, match="no index.html"):
        read_rows(tmp_path / "images")


def test_a_page_tells_which_files_are_its_own(tmp_path):
    write(tmp_path, [*NASTY, "dot.in.name", "sub/x"][:-1])
    page = tmp_path / "index.html"
    evil = '<section><h2>../outside</h2><img src="images/../outside_real_A.png"></section>\n</main>'
    page.write_text(page.read_text().replace("</main>", evil))
    files = {str(file) for file in shown_files(tmp_path)}
    assert {f"images/{s}_{label}.png" for s in [*NASTY, "dot.in.name"] for label in LABELS} < files
    assert "images/dot.in.name_fake_B.tif" in files, "values may lie beside the picture"
    assert not any("mine" in file or ".." in file for file in files)


def test_lines_that_are_no_metrics_are_told(result, capsys):
    lines = ['{"stem": "cow", "psnr": 3, "n": NaN}', "[]", '{"psnr": 1}', '{"stem": "cat", "ps']
    (result.parent / "metrics.jsonl").write_text("\n".join(lines))
    assert show_metrics(result.parent)
    assert "line 2, 3, 4" in capsys.readouterr().err
    assert '{"names": ["psnr"], "rows": {"row-2": [3.0]}}' in result.read_text()


@needs_browser
def test_compare_puts_results_side_by_side(tmp_path, capsys):
    for name, stems, tint in (("a", STEMS, 0), ("b b", ["dog", "cow", "new"], 200)):
        write(tmp_path / "results" / name / "test_latest", stems, tint)
        write_metrics(tmp_path / "results" / name / "test_latest",
                      {s: PSNR.get(s, 1) + tint for s in stems})  # fmt: skip
    folders = [f"results/{name}/test_latest" for name in ("a", "b b")]
    compare = script("scripts/compare.py")
    assert compare.main([*folders, "--out", "out/c"]) == 0
    assert "2 images in all folders, 2 not in all: out/c/index.html" in capsys.readouterr().out
    with open_page(tmp_path / "out" / "c" / "index.html") as page:
        row = page.locator("#row-2")
        assert row.locator("figcaption").all_text_contents() == [
            "real_A", "fake_B · a", "fake_B · b b", "real_B"
        ]  # fmt: skip
        assert "psnr (a) 9.5, psnr (b b) 209.5, psnr (b b - a) 200" in row.text_content()
        assert "not there" in page.locator("#row-4").text_content()  # `new` is in b b alone
        assert loaded(page) == (14, 14) and visible(page) == [*STEMS, "new"]
        top = page.locator("dl").text_content()
        # Of the two images in common: fake_B is (80, tint, 100), real_B (160, 0, 100).
        assert "mean psnra 20.38, b b 220.4, b b - a 200 (over 2 images)" in top
        distance = "a 26.67, b b 93.33, b b - a 66.67 (over 2 images)"
        assert f"mean L1 of fake_B from real_B{distance}" in top
        row.locator("a").nth(2).click()
        assert page.locator(".tag").all_text_contents() == ["fake_B · a", "fake_B · b b"]
        assert page.errors == []


def test_compare_refuses_what_makes_no_sense(tmp_path, capsys):
    write(tmp_path / "a", STEMS)
    write(tmp_path / "b", STEMS)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("<p>my page")
    compare = script("scripts/compare.py").main
    assert compare(["a"]) == 2 and compare(["a", "./a"]) == 2
    assert compare(["a", "nothing"]) == 2 and compare(["a", "b", "--out", "other"]) == 2
    assert compare(["a", "b", "--out", "a"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 5 and all(line.startswith("error: ") for line in told)
    assert (tmp_path / "other" / "index.html").read_text() == "<p>my page"
    assert read_rows(tmp_path / "a")[0].stem == "cat"


def test_pages_of_the_reference_are_compared_too(tmp_path):
    write(tmp_path / "a", STEMS)
    (tmp_path / "ref" / "images").mkdir(parents=True)
    cells = ""
    for label in LABELS:
        file = f"cat_{label}.png"
        Image.new("RGB", (32, 16)).save(tmp_path / "ref" / "images" / file)
        image = f'<a href="images/{file}"><img src="images/{file}" style="width:256px"></a>'
        cells += f"<td><p>{image}<br><p>{label}</p></p></td>"
    page = f"<html><body><h3>cat</h3><table><tr>{cells}</tr></table></body></html>"
    (tmp_path / "ref" / "index.html").write_text(page)
    assert script("scripts/compare.py").main(["a", "ref"]) == 0
    (cat, *_) = read_rows(tmp_path / "comparison")
    assert {os.path.basename(f) for f in cat.pictures.values()} >= {f"cat_{x}.png" for x in LABELS}
    assert any("ref/images" in f for f in cat.pictures.values())


CYCLE = [["real_A", "fake_B", "rec_A"], ["real_B", "fake_A", "rec_B"]]


def lines_of(figures) -> list[list[str]]:
    """Captions of figures, line by line as they are drawn."""
    places = figures.evaluate_all(
        "all => all.map(f => [f.getBoundingClientRect().top, f.textContent])"
    )
    tops = dict.fromkeys(round(top) for top, _ in places)
    return [[caption for top, caption in places if round(top) == line] for line in tops]


@needs_browser
@pytest.mark.parametrize("width", [420, 1200])
def test_both_ways_of_a_cycle_stay_together(tmp_path, width):
    """User report 25: A's three and B's three, not four and two."""
    page = ResultPage(tmp_path / "index.html", "t", {}, {}, 256, CYCLE)
    (tmp_path / "images").mkdir()
    files = {label: f"images/x_{label}.png" for label in [*CYCLE[0], *CYCLE[1]]}
    for file in files.values():
        Image.new("RGB", (256, 256)).save(tmp_path / file)
    page.add_row("x", files)
    with open_page(page.path, width) as shown:
        assert lines_of(shown.locator("section figure")) == CYCLE
        assert shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert list(read_rows(tmp_path)[0].pictures) == [*CYCLE[0], *CYCLE[1]]


@needs_browser
def test_a_comparison_fits_a_telephone(tmp_path):
    """User report 25: names of measures and tests are long."""
    for name in ("a_run_with_a_long_name_1", "a_run_with_a_long_name_2"):
        write(tmp_path / name, STEMS, len(name))
    (tmp_path / "a_run_with_a_long_name_2/images/cat_fake_B.png").unlink()
    Image.new("RGB", (32, 16), "red").save(
        tmp_path / "a_run_with_a_long_name_2/images/cat_fake_B.png"
    )
    folders = [str(tmp_path / f"a_run_with_a_long_name_{n}") for n in (1, 2)]
    assert script("scripts/compare.py").main(folders) == 0
    with open_page(tmp_path / "comparison/index.html", 420) as page:
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize(
    ("label", "labels", "truth"),
    [
        ("fake_B", ["real_A", "fake_B", "real_B"], "real_B"),
        ("fake_B_rgb", ["real_A", "fake_B_rgb", "real_B_rgb"], "real_B_rgb"),
        ("output", ["data_A", "data_B", "output"], "data_B"),
        ("fake_B", [*CYCLE[0], *CYCLE[1]], None),
        ("rec_A", [*CYCLE[0], *CYCLE[1]], "real_A"),
        ("fake", ["real", "fake"], None),
        ("real_A", ["real_A", "fake_B", "real_B"], None),
    ],
)
def test_the_ground_truth_is_that_of_pairs_or_of_a_cycle(label, labels, truth):
    """User report 25: unpaired images are no ground truth."""
    assert script("scripts/compare.py").truth_of(label, labels) == truth
