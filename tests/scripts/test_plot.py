"""scripts/plot.py: runs side by side, from whatever their logs hold."""

import html
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import curves, plot
from tests.browser import open_page
from tests.helpers import CHROMIUM, ROOT, environment, needs_browser

COLORS = ["#1f77b4", "#ff7f0e"]  # of the first run and the second


def record(images: int, epoch_size: int = 10, **losses) -> dict:
    epoch = (images - 1) // epoch_size + 1
    about = {"epoch": epoch, "iters": images - (epoch - 1) * epoch_size, "images": images,
             "lr": 0.0002, "time_s": 3.0, "data_s": 1.0}  # fmt: skip
    return about | losses


def write_log(folder: Path, records: list, end: str = "") -> Path:
    folder.mkdir(parents=True)
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    (folder / "metrics.jsonl").write_text("".join(line + "\n" for line in lines) + end)
    return folder


def write_run(folder: Path, count: int = 30, **values) -> Path:
    losses = values or {"G_L1": 2.0}
    return write_log(folder, [record(5 * i, **losses) for i in range(1, count + 1)])


def run(*argv: object) -> str:
    """The page that is written into plots/."""
    assert plot.main([str(word) for word in argv]) == 0
    assert Image.open("plots/plot.png").width > 400
    return Path("plots/index.html").read_text()


def panels(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page[page.index("<main>") :], flags=re.DOTALL)


def title(panel: str) -> str:
    return html.unescape(re.findall(r"<text [^>]*>([^<]*)</text>", panel)[-1])


def table(page: str, heading: str) -> dict[str, list[str]]:
    rows = re.search(rf"<h2>{heading}</h2>.*?</table>", page, flags=re.DOTALL)[0].split("<tr>")[2:]
    cells = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in rows]
    return {name: values for name, *values in cells}


def test_each_loss_has_a_panel_with_the_runs_that_have_it(tmp_path):
    write_run(tmp_path / "checkpoints" / "a", G_L1=2.0, D_real=0.5)
    write_run(tmp_path / "checkpoints" / "b", G_L1=3.0, idt_A=0.1)
    (tmp_path / "checkpoints/a/train_opt.yaml").write_text("name: a\nngf: 64\nlr: 0.1\n")
    (tmp_path / "checkpoints/b/train_opt.yaml").write_text("name: b\nngf: 8\nlr: 0.1\n")
    page = run("a", "checkpoints/b")  # a name, and a folder
    found = {title(panel): [panel.count(f"stroke: {color}") for color in COLORS]
             for panel in panels(page)}  # fmt: skip
    assert found == {"G_L1": [2, 2], "D_real": [2, 0], "idt_A": [0, 2],
                     "learning rate": [1, 1], "images/s": [2, 2]}  # fmt: skip
    last = table(page, "Last values, smoothed")
    assert last["G_L1"] == ["2", "3"] and last["D_real"] == ["0.5", "–"]
    assert last["images"] == ["150", "150"] and last["epoch"] == ["15.00", "15.00"]
    assert last["images/s"] == ["0.25", "0.25"]
    assert table(page, "Options that differ") == {"--ngf": ["64", "8"]}


def test_chosen_losses_only(tmp_path):
    write_run(tmp_path / "a", G_L1=2.0, D_real=0.5, D_fake=0.5)
    assert [title(p) for p in panels(run("a", "--losses", "D_fake", "G_L1"))] == ["D_fake", "G_L1"]


def test_logs_that_are_not_whole(tmp_path, capsys):
    """null, a line cut off at the end, an empty one, one of another program, a log of one line."""
    lines = [record(5, G=1.0), "", record(10, G=None), "hello", record(15, G=1.0)]
    write_log(tmp_path / "a", lines, end='{"epoch": 2, "ite')
    write_log(tmp_path / "b", [record(5, G=7.0)])
    write_log(tmp_path / "c", [], end='{"epoch"')
    page = run("a", "b", "c")
    told = capsys.readouterr().err
    assert "a/metrics.jsonl: line 4 is no record of losses (1 such lines left out)" in told
    assert "c: no losses in its metrics.jsonl yet; left out" in told and told.count("\n") == 2
    assert table(page, "Last values, smoothed")["G"] == ["1", "7"]


def test_the_same_run_twice_and_two_runs_of_one_name(tmp_path, capsys):
    for place in ("x", "y"):
        write_run(tmp_path / place / "maps")
    page = run("x/maps", tmp_path / "x" / "maps", "y/maps", "x/maps/metrics.jsonl")
    assert capsys.readouterr().err.count("given twice, drawn once") == 2
    assert re.findall(r"</svg> (.*?)</li>", page) == ["x/maps", "y/maps"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("facade", "facade: no run with a metrics.jsonl, there or in checkpoints; did you mean "
                   "facades?"),
        ("zzz", "runs there: empty, facades"),
        ("elsewhere/facades --checkpoints_dir nowhere", "nowhere; give the folder of a run"),
        ("facades --losses G_l1", "--losses G_l1: accepted: G_L1; did you mean G_L1?"),
        ("facades --smooth 1", "--smooth 1: accepted: from 0 to below 1"),
        ("facades --out checkpoints/facades/metrics.jsonl", "give another folder"),
        ("empty", "no run has losses yet"),
        ("other --x hours", "other/metrics.jsonl: no 'time_s' in its lines, so --x hours cannot"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_line(tmp_path, capsys, argv, message):
    write_run(tmp_path / "checkpoints" / "facades")
    write_log(tmp_path / "checkpoints" / "empty", [])
    write_log(tmp_path / "other", [{"images": 5, "G": 1.0}])
    assert plot.main(argv.split()) == 2
    assert message in capsys.readouterr().err.splitlines()[-1] and not Path("plots").exists()


def test_axes_of_a_resumed_run(tmp_path):
    """Weights alone were taken up after image 20: the count began anew, in epoch 3."""
    again = [record(5) | {"epoch": 3}, record(10) | {"epoch": 3}, record(15) | {"epoch": 4}]
    records = [record(n) for n in (5, 10, 15, 20)] + again
    columns = curves.read_columns(write_log(tmp_path / "run", records) / "metrics.jsonl")
    assert curves.images(columns).tolist() == [5, 10, 15, 20, 25, 30, 35]
    assert curves.epochs(columns).tolist() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert curves.hours(columns) == pytest.approx(np.arange(5, 36, 5) * 4 / 3600)


def test_smoothing_is_unbiased_and_skips_gaps():
    values = np.array([4.0, 4.0, np.nan, 4.0, 8.0])
    result = curves.smoothed(values, 0.5)
    assert np.isnan(result[2]) and result[[0, 1, 3]].tolist() == [4, 4, 4]
    assert result[4] == pytest.approx((0.5 * 8 + 0.25 * 4 + 0.125 * 4 + 0.0625 * 4) / 0.9375)
    assert curves.smoothed(values, 0.0)[4] == 8


def test_thinning_keeps_the_peaks():
    y = np.sin(np.arange(100_000) / 50)
    y[31_415] = 9
    x, thin = curves.thinned(np.arange(100_000), y)
    assert len(thin) <= 1200 and thin.max() == 9 and (np.diff(x) > 0).all()


def test_a_long_log_makes_a_small_page(tmp_path):
    rng = np.random.default_rng(0)
    noise = [record(5 * i, **dict(zip("abc", rng.random(3), strict=True))) for i in range(1, 20001)]
    write_log(tmp_path / "long", noise)
    assert len(run("long")) < 300_000


NASTY = ["<script>alert(1)<∕script>", '名前 "q" it\'s $x^$', "_a & b", "line\nbreak"]


def test_names_are_harmless(tmp_path):
    for name in NASTY:
        write_run(tmp_path / name, **{f"<b>{name}": 1.0})
    page = run(*NASTY)
    assert "<script" not in page and "<b>" not in page and "_a &amp; b" in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    outside = re.sub(r'xmlns(:xlink)?="http://www\.w3\.org/[^"]*"', "", page)
    assert "http:" not in outside and "https:" not in outside and "src=" not in outside
    assert title(panels(page)[0]) == f"<b>{NASTY[0]}"


@needs_browser
def test_a_browser_draws_every_panel_without_a_complaint(tmp_path):
    write_run(tmp_path / NASTY[0], G_L1=1.0, D_real=2.0)
    run(NASTY[0])
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
        "--dump-dom",
        Path("plots/index.html").resolve().as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert len(panels(done.stdout)) == 4 and "CONSOLE" not in done.stderr


def test_train_and_test_do_not_need_matplotlib():
    code = "import sys, train, test; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment()).returncode == 0


HUGE = {
    "huge": lambda i: 1e300 * (i + 1),
    "tiny": lambda i: 1e-300 * i,
    "both": lambda i: 1e300 if i == 7 else 1e-300,
    "signs": lambda i: 1e308 * (-1) ** i,
    "beyond": lambda i: 10**400 if i == 5 else 3,
    "negative": lambda i: -(10**400) if i == 5 else -3,
    "nothing": lambda i: math.nan,
    "infinite": lambda i: math.inf if i % 2 else 1.0,
    "near": lambda i: 1000 + i * 1e-7,
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_huge_and_tiny_numbers_are_drawn_with_readable_ticks(tmp_path, capsys):
    """Fault 109."""
    values = [record(5 * i, **{name: of(i) for name, of in HUGE.items()}) for i in range(1, 31)]
    write_log(tmp_path / "a", [*values, '{"images": 1%s}' % ("0" * 400), '{"images": 1e999}'])
    page = run("a")
    assert re.search(r"\d+ numbers beyond 1e\+306 are gaps", capsys.readouterr().err)
    found = {title(panel): panel for panel in panels(page)}
    assert found.keys() - {"learning rate", "images/s"} == HUGE.keys() - {"nothing", "signs"}
    for name, panel in found.items():
        ticks = re.findall(r'text-anchor="end"[^>]*>([^<]+)<', panel)
        numbers = [float(tick) for tick in ticks]
        assert 2 <= len(ticks) <= 7 and numbers == sorted(set(numbers)), (name, ticks)
        assert all(len(tick) <= 13 for tick in ticks), (name, ticks)
        assert "nan" not in panel and "inf" not in panel.replace("infinite", "")
    assert table(page, "Last values, smoothed")["huge"][0].endswith("e+301")


def test_many_losses_are_small_panels_that_are_not_fitted_to_each_other(tmp_path, monkeypatch):
    """Fault 109: 300 losses within seconds; fitting them took minutes."""
    write_run(tmp_path / "a", count=3, **{f"loss_{i}": i / 7 for i in range(28)})
    monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", None)
    assert len(panels(run("a"))) == 30
    assert max(Image.open("plots/plot.png").size) < 2000


@needs_browser
def test_words_of_tables_are_whole_on_a_telephone(tmp_path):
    """User report 25: a table scrolls where it is too wide, no number or word is broken."""
    names = ["facades_with_a_long_name", "another_one_with_a_long_name", "third"]
    for number, name in enumerate(names):
        write_run(tmp_path / name, G_L1=12345.678 + number, G_GAN=0.5)
        (tmp_path / name / "train_opt.yaml").write_text(f"netG: resnet_{number}blocks\n")
    run(*(tmp_path / name for name in names))
    with open_page(Path("plots/index.html"), 420) as page:
        for cell in page.locator("td, th").all():
            text = cell.text_content()
            if text and "/" not in text and " " not in text:
                rows = cell.evaluate(
                    "c => { const r = document.createRange(); r.selectNodeContents(c);"
                    "return new Set([...r.getClientRects()].map(b => Math.round(b.top))).size }"
                )
                assert rows == 1, text
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("told_by", ["records", "options"])
def test_losses_with_different_weights_are_compared_without_them(tmp_path, told_by):
    """User report 10: 3.6 at --lambda_L1 10 and 36 at 100 are the same error."""
    for name, weight in (("ten", 10.0), ("hundred", 100.0)):
        told = {"weight/G_L1": weight} if told_by == "records" else {}
        write_run(tmp_path / name, G_L1=0.36 * weight, D_real=0.5, **told)
        if told_by == "options":
            options = f"model: pix2pix\nlambda_L1: {weight}\n"
            (tmp_path / name / "train_opt.yaml").write_text(options)
    page = run("ten", "hundred")
    titles = [title(panel) for panel in panels(page)]
    assert titles[:3] == ["G_L1", "G_L1, unweighted", "D_real"]
    last = table(page, "Last values, smoothed")
    assert last["G_L1"] == ["3.6", "36"] and last["G_L1, unweighted"] == ["0.36", "0.36"]
    assert len(panels(run("ten"))) == 4  # alone, a loss is shown as it was logged


@pytest.mark.parametrize(
    ("model", "flags", "loss", "weight"),
    [("cycle_gan", {"lambda_A": 3, "lambda_B": 4, "lambda_identity": 0.5}, "idt_A", 2),
     ("cycle_gan", {"lambda_A": 3, "lambda_B": 4, "lambda_identity": 0.5}, "cycle_A", 3),
     ("colorization", {"lambda_L1": 7}, "G_L1", 7), ("template", {"lambda_regression": 2}, "G", 2),
     ("style", {"style_layers": ["relu_1"], "style_layer_weights": [0.5], "style_weight": 6,
                "content_weight": 1, "tv_weight": 0}, "style_relu_1", 3),
     ("no_such_model", {}, "G", None), ("pix2pix", {}, "G_L1", None)],
)  # fmt: skip
def test_every_model_tells_the_weights_of_its_losses(model, flags, loss, weight):
    """User report 10: also runs that older versions have logged."""
    assert plot.weights_by_flags({"model": model} | flags).get(loss) == weight


def test_a_run_that_does_not_tell_its_weight_is_compared_as_it_was_logged(tmp_path, capsys):
    write_run(tmp_path / "a", G_L1=3.6, **{"weight/G_L1": 10.0})
    write_run(tmp_path / "b", G_L1=36.0)
    assert "unweighted<" not in run("a", "b")
    assert "G_L1: compared as it was logged, times a weight that b does not tell" in (
        capsys.readouterr().err
    )


def test_a_small_run_is_drawn_by_the_means_of_its_epochs(tmp_path):
    """User report 4: it has no other lines; of a larger one they are no gaps."""
    mean = {"mean_over": "epoch"}
    write_log(tmp_path / "small", [record(10 * n, G=1.0 / n) | mean for n in (1, 2, 3)])
    large = [record(n, G=float(n)) for n in range(1, 31)]
    write_log(tmp_path / "large", [*large, record(30, G=100.0) | mean])
    runs = plot.read_runs([tmp_path / "small", tmp_path / "large"], "images")
    (x, y), (_, many) = (run.loss("G") for run in runs)
    assert x.tolist() == [10, 20, 30] and y.tolist() == [1, 1 / 2, 1 / 3]
    assert many.tolist() == list(range(1, 31))
