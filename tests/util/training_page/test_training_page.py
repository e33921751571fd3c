"""The page of a training: what it weighs, what is on it after a resume, and in a real browser."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

import models
from models.base_model import BaseModel
from tests.browser import open_page
from tests.helpers import TINY, make_aligned, train
from tests.processes import eventually
from tests.test_resume import same_tensors
from util.checkpoints.checkpoint import list_checkpoints
from util.checkpoints.weights import load_file
from util.record import LossGuide, PageRow, Record, RunInfo, Speed, Step
from util.training.log import RunLog
from util.training_page.chunks import CHUNK, script
from util.training_page.curves import MOST, ThinnedCurves
from util.training_page.guide import guide
from util.training_page.page import TrainingPage

NASTY = '</script><script>alert(1)</script><b>"it\'s" & 名前 \u2028 \udcff\n'
LOSSES = ["D_A", "G_A", "cycle_A", "idt_A", "D_B", "G_B", "cycle_B", "idt_B"]
LABELS = ["real_A", "fake_B", "rec_A", "idt_B", "real_B", "fake_A", "rec_B", "idt_A"]


def make_page(run: Path, last_row: int | None = None, **settings) -> TrainingPage:
    run.mkdir(exist_ok=True)
    if last_row is None:
        RunLog(run, None)
    (run / "train_opt.txt").touch()
    return TrainingPage(RunInfo(settings.pop("name", "maps"), run, **settings), 256, last_row, 1000)


def record(line: int, epoch: int, **metrics: float) -> Record:
    losses = {name: 1 / (1 + line) + i + line % 3 for i, name in enumerate(LOSSES)}
    return Record(Step(epoch, 1, 100 * line, 2e-4), losses, Speed(0.012345678, 0.0003456), metrics)


def picture(value: int, side: int = 8) -> np.ndarray:
    return np.full((side, side, 3), value % 256, np.uint8)


def show(page: TrainingPage, epoch: int, heading: str | None = None) -> None:
    """An epoch: its own pictures, and a fixed sample whose input stays as it is."""
    page.begin_epoch(epoch)
    own = {"real_A": picture(epoch), "fake_B": picture(2 * epoch)}
    fixed = {"fixed_real_A": picture(7), "fixed_fake_B": picture(3 * epoch)}
    row = PageRow(epoch, heading or f"epoch {epoch}", f"epoch{epoch:03d}")
    page.show(row, own | fixed)


def log_lines(page: TrainingPage, run: Path, count: int) -> None:
    log = RunLog(run, {})
    for line in range(1, count + 1):
        page.log(record(line, line))
        log.log(record(line, line))


def data(run: Path, kind: str) -> list:
    """The items of all chunks, as the browser puts them together."""
    files = sorted((run / "web/data").glob(f"{kind}_*.js"), key=lambda f: int(f.stem.split("_")[1]))
    calls = [json.loads(f.read_text()[len("training.put(") : -2]) for f in files]
    assert [call[2] for call in calls] == list(range(len(files)))
    return [item for call in calls for item in call[3]]


def state(run: Path) -> dict:
    return json.loads((run / "web/data/state.js").read_text()[len("training.state(") : -2])


def dead_links(run: Path) -> list[str]:
    web = run / "web"
    pictures = {f"images/{unquote(row[2])}_{label}.png" for row in data(run, "rows")
                for label in row[3]}  # fmt: skip
    links = set(re.findall(r'href="([^"]*)"', (web / "index.html").read_text()))
    return [link for link in pictures | links if not (web / link).exists()]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def test_a_thousand_epochs_weigh_less_than_a_megabyte_at_constant_cost(tmp_path, monkeypatch):
    monkeypatch.setattr("util.training_page.page.save_image", lambda picture, path: None)
    page, run = make_page(tmp_path / "run"), tmp_path / "run"
    written: list[list[int]] = [[]]
    real = os.replace

    def replace(part, path):
        written[-1].append(os.path.getsize(part))
        real(part, path)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # what it costs hangs on the disk
    own = {label: picture(0) for label in LABELS}
    for epoch in range(1, 1001):
        for line in range(5 * epoch, 5 * epoch + 5):
            page.log(record(line, epoch))
            written.append([])
        fixed = {f"fixed_{label}": picture(epoch) for label in LABELS}
        page.show(PageRow(epoch, f"epoch {epoch}", f"epoch{epoch:03d}"), own | fixed)
        written.append([])
    total = sum(file.stat().st_size for file in (run / "web").rglob("*") if file.is_file())
    assert total < 1_000_000, total
    assert len(data(run, "points")) <= MOST and len(data(run, "rows")) == 1000
    costs = [sum(sizes) for sizes in written]
    first, last = costs[: len(costs) // 20], costs[-len(costs) // 20 :]
    assert sum(last) < 1.5 * sum(first)
    # Only the few updates that thin the curves write more than a chunk and the state.
    assert sum(len(sizes) > 2 for sizes in written) <= 5


def test_thinned_curves_keep_their_mean_their_end_and_their_gaps():
    curves = ThinnedCurves()
    count = 4 * MOST
    for line in range(1, count + 1):
        curves.add(Record(Step(line, line, line), {"G": float(line), "D": float("nan")}))
    assert MOST / 2 <= len(curves.points) < MOST and curves.span == 8
    assert curves.points[-1][:3] == [count, count, count]
    means = [point[3] for point in curves.points]
    assert means[0] == pytest.approx(4.5) and np.mean(means) == pytest.approx((count + 1) / 2, 1e-4)
    assert {point[4] for point in curves.points} == {None}


def test_a_curve_that_comes_later_has_a_place_of_its_own():
    curves = ThinnedCurves()
    curves.add(Record(Step(images=1), {"G": 2.0}))
    curves.add(Record(Step(images=2), {"tv": 3.0}))
    assert curves.columns == [("step", "images"), ("losses", "G"), ("losses", "tv")]
    assert curves.points == [[1, 2.0], [2, None, 3.0]]


def test_a_resumed_page_is_cut_with_the_logs_and_has_no_dead_link(tmp_path):
    run = tmp_path / "run"
    first = make_page(run)
    for epoch in range(1, 121):
        show(first, epoch)
    log_lines(first, run, 130)
    first.close()
    assert state(run)["state"] == "stopped" and dead_links(run) == []
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:60]) + lines[60][:20])
    (run / "web/images/epoch003_fake_B.png").unlink()  # somebody made room
    resumed = make_page(run, last_row=60)
    assert [row[0] for row in data(run, "rows")] == list(range(1, 61))
    assert [point[2] for point in data(run, "points")] == [100 * n for n in range(1, 61)]
    assert dead_links(run) == []
    show(resumed, 60, "epoch 60 again")
    show(resumed, 61)
    rows = data(run, "rows")
    assert [row[0] for row in rows] == list(range(1, 62)) and rows[59][1] == "epoch 60 again"
    assert rows[59][6] == 2 and dead_links(run) == []
    assert state(run)["state"] == "running"
    assert len(list((run / "web/data").glob("rows_*.js"))) == -(-61 // CHUNK)


def test_a_page_begun_anew_has_nothing_of_the_old_one(tmp_path):
    old = make_page(tmp_path / "run")
    for epoch in range(1, 60):
        show(old, epoch)
    make_page(tmp_path / "run")
    assert data(tmp_path / "run", "rows") == [] == data(tmp_path / "run", "points")


def test_damaged_data_of_an_earlier_session_are_left_out(tmp_path):
    old = make_page(tmp_path / "run")
    for epoch in range(1, 60):
        show(old, epoch)
    second = tmp_path / "run/web/data/rows_1.js"
    second.write_text(second.read_text()[:-9])
    make_page(tmp_path / "run", last_row=59)
    assert [row[0] for row in data(tmp_path / "run", "rows")] == list(range(1, 51))


def test_the_samples_input_is_written_once(tmp_path):
    page = make_page(tmp_path / "run")
    for epoch in (1, 2, 3):
        show(page, epoch)
    names = {file.name for file in (tmp_path / "run/web/images").iterdir()}
    assert {name for name in names if "fixed_real_A" in name} == {"epoch001_fixed_real_A.png"}
    assert sum("fixed_fake_B" in name for name in names) == 3


def test_text_is_harmless(tmp_path):
    page = make_page(tmp_path / "run", name=NASTY, differing=[("dataroot", NASTY, "None")],
                     resume_command=NASTY)  # fmt: skip
    show(page, 1, NASTY)
    found = Tags((tmp_path / "run/web/index.html").read_text(encoding="utf-8")).found
    assert found.count("script") == 1 and "b" not in found
    rows = (tmp_path / "run/web/data/rows_0.js").read_bytes()
    assert rows.isascii() and b"<" not in rows and b"&" not in rows
    assert data(tmp_path / "run", "rows")[0][1] == NASTY
    with pytest.raises(ValueError):
        script("state", float("nan"))


def guide_of(kind: type[BaseModel], names: list[str], gan_mode: str) -> str:
    """Names and sentences of a model's guide, as text."""
    told, healthy = guide(LossGuide(names, kind.loss_help, kind.healthy), gan_mode)
    return "\n".join([*(f"{name}: {text}" for name, text in told), *healthy])


def test_the_guide_speaks_of_the_models_own_curves(tmp_path):
    help = models.registry.find("cycle_gan").loss_help
    losses = LossGuide([*LOSSES, "D_A_penalty", "D_B_penalty"], help)
    make_page(tmp_path / "run", options={"gan_mode": "wgangp"}, losses=losses)
    text = (tmp_path / "run/web/index.html").read_text()
    assert all(f"<dt>{name}</dt>" in text for name in [*LOSSES, "…penalty"])
    assert "lambda_A" in text and "wgangp" in text and "G_L1" not in text
    assert "<dt>D…</dt>" not in text  # none is left to general words


def test_a_plug_ins_losses_are_told_in_its_own_words_and_others_in_general_ones():
    class Plugin(BaseModel):
        loss_help = {"NCE*": "Patches told apart.", "G_GAN": "How well G fools D."}
        healthy = ["NCE falls first."]

    text = guide_of(Plugin, ["G_GAN", "NCE", "NCE_Y", "D_real", "G_extra", "other"], "lsgan")
    assert "NCE…: Patches told apart." in text and "G_GAN: How well" in text
    assert "D…: A loss of a discriminator" in text and "G…: A loss of a generator" in text
    assert "With --gan_mode lsgan" in text and text.endswith("NCE falls first.")
    text = guide_of(Plugin, ["NCE", "content"], "lsgan")
    assert "minimised" in text and "gan_mode" not in text and "…: A loss" not in text


@pytest.mark.parametrize("name", [n for n in models.registry.names() if n != "test"])
def test_our_models_explain_their_losses(name):
    """Whatever is logged has a meaning, but for penalties, which have a general one."""
    kind = models.registry.find(name)
    assert kind.loss_help, f"{name}: no loss_help"
    assert all(text.endswith((".", ".)")) for text in [*kind.loss_help.values(), *kind.healthy])


def weights_and_state(run: Path) -> dict:
    unit = list_checkpoints(run)[0]
    found = {name: load_file(unit.folder / name) for name in unit.files}
    found["state.pth"].pop("view")
    return found


@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "pix2pix", "--netG", "resnet_6blocks", "--norm", "batch", "--batch_size", 2],
        ["--model", "cycle_gan", "--netG", "resnet_6blocks", "--dataset_mode", "aligned"],
    ],
    ids=["pix2pix", "cycle_gan"],
)
def test_the_page_does_not_change_the_training_by_a_bit(tmp_path, flags):
    """Dropout (pix2pix) and the statistics of batch norms see nothing of the fixed sample."""
    common = ["--dataroot", make_aligned(tmp_path / "pairs"), *TINY, *flags, "--n_epochs", 2,
              "--n_epochs_decay", 0, "--display_freq", 1, "--update_html_freq", 1]  # fmt: skip
    train(*common, "--name", "with")
    train(*common, "--name", "without", "--no_html")
    one, other = (weights_and_state(tmp_path / "checkpoints" / n) for n in ("with", "without"))
    assert one.keys() == other.keys() and not (tmp_path / "checkpoints/without/web").exists()
    for name in one:
        assert same_tensors(one[name], other[name]), name
    rows = data(tmp_path / "checkpoints/with", "rows")
    assert "fixed_fake_B" in rows[-1][3] and "fixed_real_A" not in rows[-1][3]
    assert "fixed_idt_A" not in rows[0][3]  # not of a forward pass: it would be another image's


def test_a_resumed_run_shows_the_same_sample(tmp_path):
    flags = ["--dataroot", make_aligned(tmp_path / "pairs"), *TINY, "--model", "pix2pix", "--netG",
             "resnet_6blocks", "--n_epochs_decay", 0, "--name", "p"]  # fmt: skip
    train(*flags, "--n_epochs", 1)
    images = tmp_path / "checkpoints/p/web/images"
    before = (images / "epoch001_fixed_real_A.png").read_bytes()
    train("--name", "p", "--continue_train", "--n_epochs", 2, "--gpu_ids", -1)
    assert (images / "epoch002_fixed_real_A.png").read_bytes() == before
    assert dead_links(tmp_path / "checkpoints/p") == []
    assert state(tmp_path / "checkpoints/p")["state"] == "finished"


# In a browser.


def ready(run: Path, epochs: int = 40) -> TrainingPage:
    page = make_page(run, options={"gan_mode": "lsgan"}, differing=[("name", NASTY, "x")],
                     name=NASTY, resume_command="python train.py")  # fmt: skip
    log_lines(page, run, 30)
    for epoch in range(1, epochs + 1):
        show(page, epoch)
    return page


def refreshed(browser) -> None:
    browser.evaluate("training.refresh()")


def shape_of(browser, curve: str) -> str:
    return browser.locator(f'#plot-losses path.smooth[data-curve="{curve}"]').get_attribute("d")


def test_curves_are_chosen_smoothed_and_read(tmp_path):
    ready(tmp_path / "run")
    with open_page(tmp_path / "run/web/index.html") as browser:
        path = browser.locator('#plot-losses path[data-curve="D_A"]')
        button = browser.locator('#legend button[data-curve="D_A"]')
        button.wait_for()
        assert path.count() == 2  # raw and smoothed
        button.click()
        assert path.count() == 0 and button.get_attribute("aria-pressed") == "false"
        button.click()
        assert path.count() == 2
        before = shape_of(browser, "G_A")
        browser.locator("#smoothing").fill("0.95")
        assert shape_of(browser, "G_A") != before
        smooth = shape_of(browser, "G_A")
        browser.locator("#log").click()
        assert shape_of(browser, "G_A") != smooth
        box = browser.locator("#plot-losses svg").bounding_box()
        browser.mouse.move(box["x"] + box["width"] - 13, box["y"] + 50)
        tip = browser.locator("#plot-losses .tip").inner_text()
        assert "epoch 30, 3,000 images" in tip and "idt_B" in tip and "raw" in tip
        assert browser.locator("#plot-lr .cross").count() == 1  # one line through all plots
        browser.keyboard.press("Escape")
        assert browser.errors == []


def test_new_data_come_without_losing_the_place(tmp_path):
    page = ready(tmp_path / "run")
    with open_page(tmp_path / "run/web/index.html", height=700) as browser:
        browser.locator("#row-40 img").first.wait_for()
        browser.locator("#row-32").scroll_into_view_if_needed()
        browser.evaluate("document.getElementById('row-32').scrollIntoView()")
        browser.evaluate("window.marked = document.querySelector('#row-32 img')")
        where = "document.getElementById('row-32').getBoundingClientRect().top"
        before = browser.evaluate(where)
        scrolled = browser.evaluate("scrollY")
        for epoch in range(41, 44):
            show(page, epoch)
        page.log(record(31, 31))
        refreshed(browser)
        assert browser.locator("#row-43").count() == 1
        assert browser.evaluate("scrollY") > scrolled + 300  # what is new came in above
        assert abs(browser.evaluate(where) - before) < 2
        assert browser.evaluate("marked.isConnected && marked.complete")  # not drawn anew
        value = browser.locator('#legend button[data-curve="D_A"] b').inner_text()
        assert float(value) == pytest.approx(record(31, 31).losses["D_A"], rel=1e-2)
        assert browser.errors == []
        assert all(url.startswith("file:///") for url in browser.requests)


def test_a_row_brought_up_to_date_is_read_again(tmp_path):
    page = ready(tmp_path / "run", epochs=2)
    with open_page(tmp_path / "run/web/index.html") as browser:
        image = browser.locator("#row-2 img").first
        image.wait_for()
        before = image.get_attribute("src")
        show(page, 2)
        refreshed(browser)
        assert image.get_attribute("src") != before and browser.locator("article").count() == 2


def test_the_sample_is_followed_through_the_epochs(tmp_path):
    ready(tmp_path / "run")
    with open_page(tmp_path / "run/web/index.html") as browser:
        browser.locator("#sample img").first.wait_for()
        assert "same sample" in browser.locator("#sample-title").inner_text()
        shown = "[...document.querySelectorAll('#sample img')].map(i => i.src.split('/').at(-1))"
        assert browser.evaluate(shown) == ["epoch001_fixed_real_A.png?1",
                                           "epoch040_fixed_fake_B.png?1"]  # fmt: skip
        strip = browser.locator("#strip button")
        assert strip.count() == 12 and strip.last.get_attribute("aria-pressed") == "true"
        strip.first.click()
        assert browser.evaluate(shown)[1] == "epoch001_fixed_fake_B.png?1"
        browser.locator("#at").focus()
        browser.keyboard.press("ArrowRight")
        assert browser.evaluate(shown)[1] == "epoch002_fixed_fake_B.png?1"
        assert browser.errors == []


def test_pictures_are_built_and_loaded_as_far_as_somebody_looks(tmp_path):
    page = ready(tmp_path / "run", epochs=80)
    page.close(finished=True)
    with open_page(tmp_path / "run/web/index.html", width=420) as browser:
        browser.locator("#row-80").wait_for()
        assert browser.locator("article").count() < 40

        def further_down() -> int:
            browser.mouse.wheel(0, 3000)
            browser.wait_for_timeout(30)
            return browser.locator("#row-1").count()

        assert eventually(further_down)  # rows are built as they come near
        browser.locator("#row-1").scroll_into_view_if_needed()
        assert browser.locator("article").count() == 80
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).length"
        assert browser.evaluate(broken) == 0
        assert browser.evaluate("document.documentElement.scrollWidth") <= 420
        assert "finished" in browser.locator("#state").inner_text()
        assert browser.errors == []


def test_a_page_reads_itself_again_until_the_training_has_finished(tmp_path, monkeypatch):
    monkeypatch.setattr("util.training_page.html.REFRESH_S", 0.2)
    page = ready(tmp_path / "run", epochs=2)
    with open_page(tmp_path / "run/web/index.html") as browser:
        browser.locator("#row-2").wait_for()
        show(page, 3)
        browser.locator("#row-3").wait_for()
        page.close(finished=True)
        browser.locator("#state .finished").wait_for()
        browser.wait_for_timeout(300)
        asked = len(browser.requests)
        browser.wait_for_timeout(1500)
        assert len(browser.requests) == asked and browser.errors == []


def test_an_open_page_follows_a_resume(tmp_path):
    first = ready(tmp_path / "run", epochs=20)
    with open_page(tmp_path / "run/web/index.html") as browser:
        browser.locator("#row-20").wait_for()
        first.close()
        second = make_page(tmp_path / "run", last_row=15, resume_command="second session")
        show(second, 16)
        refreshed(browser)
        browser.locator("#row-16").wait_for()
        assert browser.locator("#row-17").count() == 0
        assert browser.locator("pre").text_content() == "second session"
        assert browser.errors == []


def test_metrics_have_a_plot_of_their_own_once_there_are_any(tmp_path):
    page = ready(tmp_path / "run")
    with open_page(tmp_path / "run/web/index.html") as browser:
        browser.locator("#legend button").first.wait_for()
        curves = browser.locator("#plot-losses path.smooth").count()
        shape = shape_of(browser, "G_A")
        assert not browser.locator("#plot-metrics").is_visible()
        for line in (31, 32, 33, 34):  # measured at every second line
            page.log(record(line, line, **({"psnr": 20.0 + line} if line % 2 else {})))
        refreshed(browser)
        plot = browser.locator("#plot-metrics")
        assert plot.is_visible() and "psnr 53" in plot.locator("figcaption").inner_text()
        line = plot.locator("path.smooth").get_attribute("d")
        assert (line.count("M"), line.count("L")) == (1, 1)  # joined over the line between
        assert plot.locator("path.raw").get_attribute("d").count("M") == 2  # and a dot at each
        assert browser.locator("#plot-losses path.smooth").count() == curves == len(LOSSES)
        assert browser.locator('#legend button[data-curve="psnr"]').count() == 0
        assert shape_of(browser, "G_A") != shape  # the losses went on, too
        assert browser.errors == []


def test_a_loss_that_is_called_like_a_figure_of_the_step_is_drawn(tmp_path):
    page = make_page(tmp_path / "run")
    for line in range(1, 4):
        page.log(Record(Step(1, line, line, 2e-4), {"lr": 5.0 * line, "G": 1.0}, Speed(1, 0)))
    with open_page(tmp_path / "run/web/index.html") as browser:
        button = browser.locator('#legend button[data-curve="lr"] b')
        assert button.inner_text() == "15"
        assert browser.locator("#plot-losses path.smooth").count() == 2 and browser.errors == []


CYCLE = [["real_A", "fake_B", "rec_A"], ["real_B", "fake_A", "rec_B"]]


@pytest.mark.parametrize("width", [420, 1200])
def test_both_ways_of_a_cycle_stay_together_in_training_too(tmp_path, width):
    """User report 25: A's three and B's three, of the sample and of each epoch."""
    page = make_page(tmp_path / "run", visual_groups=CYCLE)
    labels = [*CYCLE[0], *CYCLE[1]]
    pictures = {f"{kind}{label}": picture(9, 64) for kind in ("", "fixed_") for label in labels}
    page.show(PageRow(1, "epoch 1", "epoch001"), pictures)
    with open_page(tmp_path / "run/web/index.html", width) as shown:
        for part in ("#sample", "#rows"):
            shown.locator(f"{part} figure").first.wait_for()
            places = shown.locator(f"{part} figure").evaluate_all(
                "all => all.map(f => [Math.round(f.getBoundingClientRect().top), f.textContent])"
            )
            lines = [[c for top, c in places if top == y] for y in dict(places)]
            assert lines == CYCLE, part
        assert shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert shown.errors == []


@pytest.mark.parametrize(("width", "lines"), [(420, 1), (1200, 1), (420, 40), (1200, 40)])
def test_no_tick_lies_over_the_axis_name(tmp_path, width, lines):
    """User report 25: the first tick stands beside "images"; the last one is whole."""
    run = tmp_path / "run"
    page = make_page(run)
    log_lines(page, run, lines)
    with open_page(run / "web/index.html", width) as shown:
        shown.locator("#plot-losses svg text").nth(3).wait_for()
        overlaps = shown.evaluate(
            "() => [...document.querySelectorAll('.plot:not([hidden]) svg')].flatMap(svg => {"
            "const all = [...svg.querySelectorAll('text')].map(t => [t.textContent,"
            "t.getBoundingClientRect()]); const edge = svg.getBoundingClientRect().right;"
            "const [name, box] = all.find(([text]) => text === 'images');"
            "return all.filter(([text, b]) => b.right > edge || (text !== name &&"
            "Math.abs(b.bottom - box.bottom) < 3 && b.left < box.right + 2)).map(([t]) => t)})"
        )
        assert overlaps == []
