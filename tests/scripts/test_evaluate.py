"""scripts/evaluate.py: figures of folders of results, and of two folders of images."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from tests.helpers import photo, script
from util.metrics.intervals import bootstrap_interval
from util.results.folder import METRICS_FILE, read_metrics
from util.results.gallery import ResultPage


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*argv: object, expect: int = 0) -> None:
    assert script("scripts/evaluate.py").main(list(map(str, argv))) == expect


def two_folders(count: int = 3) -> list[float]:
    """real/sub/<i>.png and fake/sub/<i>.png, a little darker each. Returns: their PSNRs."""
    found = []
    for i in range(count):
        real = np.asarray(photo(i))
        fake = (real * (0.9 - 0.1 * i)).astype(np.uint8)
        for folder, values in (("real", real), ("fake", fake)):
            Path(folder, "sub").mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(f"{folder}/sub/{i}.png")
        found.append(peak_signal_noise_ratio(real, fake, data_range=255))
    return found


def results(folder: str = "results") -> Path:
    """A folder of results with pictures of two images; one is equal to its target."""
    root = Path(folder)
    (root / "images").mkdir(parents=True)
    page = ResultPage(root / "index.html", "test", {}, {}, 256)
    for i, stem in enumerate("ab"):
        real = np.asarray(photo(i))
        shown = {"real_A": real, "fake_B": real // 2 if i else real, "real_B": real}
        for label, values in shown.items():
            Image.fromarray(values).save(root / "images" / f"{stem}_{label}.png")
        page.add_row(stem, {label: f"images/{stem}_{label}.png" for label in shown})
    return root


def test_two_folders_of_images_are_measured_picture_by_picture(capsys):
    expected = two_folders()
    evaluate("--real", "real", "--fake", "fake", "--metrics", "psnr", "l1",
             "--json", "out/f.json", "--csv", "f.csv")  # fmt: skip
    told = json.loads(Path("out/f.json").read_text())["folders"]["fake"]
    mean = told["means"]["psnr"]
    assert mean["mean"] == pytest.approx(np.mean(expected)) and mean["images"] == 3
    assert mean["low"] <= mean["mean"] <= mean["high"] and mean["unit"] == "dB"
    rows = list(csv.DictReader(Path("f.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["sub/0", "sub/1", "sub/2"]
    assert [float(row["psnr"]) for row in rows] == pytest.approx(expected)
    assert f"{np.mean(expected):.5g}" in capsys.readouterr().out


def test_figures_of_results_go_into_metrics_and_page_beside_those_that_are_there():
    root = results()
    (root / METRICS_FILE).write_text('{"stem": "b", "mine": 3}\n')
    evaluate(root, "--metrics", "psnr", "l1")
    found = read_metrics(root)
    assert found["a"] == {"l1": 0}  # its infinite PSNR cannot be sorted by
    assert set(found["b"]) == {"mine", "psnr", "l1"} and found["b"]["mine"] == 3
    assert '"psnr"' in (root / "index.html").read_text()


def test_an_infinite_mean_is_written_as_text():
    evaluate(results(), "--metrics", "psnr", "--json", "f.json")
    told = json.loads(Path("f.json").read_text())["folders"]["results"]
    assert told["means"]["psnr"]["mean"] == told["images"]["a"]["psnr"] == "inf"


def test_the_file_behind_a_small_copy_is_measured():
    values = np.arange(48 * 48, dtype=np.uint16).reshape(48, 48) * 20
    root = Path("deep")
    for name in ("images", "shown"):
        (root / name).mkdir(parents=True)
    page = ResultPage(root / "index.html", "test", {}, {}, 256)
    shown = {}
    for label, deep in (("fake_B", values), ("real_B", values + 7)):
        Image.fromarray(deep).save(root / f"images/a_{label}.png")
        Image.fromarray((deep >> 8).astype(np.uint8)).save(root / f"shown/a_{label}.png")
        shown[label] = f"shown/a_{label}.png"
    links = {label: file.replace("shown", "images") for label, file in shown.items()}
    page.add_row("a", shown, links=links)
    evaluate(root, "--metrics", "l1")
    assert read_metrics(root)["a"]["l1"] == 7


@pytest.mark.parametrize(
    "spoil, told",
    [
        (lambda: Path("fake/sub/1.png").unlink(), "real/sub/1.png: no image of that name in fake"),
        (lambda: photo(0, (20, 20)).save("fake/sub/1.png"), "a target of its own size"),
        (lambda: Path("fake/sub/1.png").write_bytes(b"no"), "fake/sub/1.png"),
        (lambda: photo(0).save("fake/sub/1.bmp"), "has the same name"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_nothing_is_written(spoil, told, capsys):
    two_folders()
    spoil()
    code = script("scripts/evaluate.py").main(
        ["--real", "real", "--fake", "fake", "--json", "f.json"]
    )
    error = capsys.readouterr().err
    assert code in (1, 2) and told in error and len(error.strip().splitlines()) == 1
    assert not Path("f.json").exists()


def test_a_wrong_command_line_is_one_line(capsys):
    two_folders()
    for argv, told in (
        ([], "give folders of results"),
        (["--real", "real"], "--real DIR and --fake DIR"),
        (["nowhere"], "no page of test.py"),
        (["--real", "real", "--fake", "nowhere"], "nowhere: no such folder"),
    ):
        evaluate(*argv, expect=2)
        assert told in capsys.readouterr().err


def test_the_interval_holds_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.exponential(1, 60)) for _ in range(200)]
    held = np.mean([low <= 1 <= high for low, high in intervals])
    assert 0.88 <= held <= 0.99
    values = rng.normal(size=400)
    low, high = bootstrap_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
