"""One record a line: what a loss is, what a metric is, and where each of them goes."""

import json
import math
from pathlib import Path

import pytest

from scripts import curves, plot
from util.record import SPEED, STEP, LossGuide, Record, RunInfo, Speed, Step, read_records
from util.training.log import RunLog
from util.training_page.page import TrainingPage

WHOLE = Record(Step(2, 40, 140, 2e-4), {"G_L1": 0.5, "D_real": 0.25}, Speed(0.01, 0.002, 512))
FLAT = (
    '{"epoch": 2, "iters": 40, "images": 140, "lr": 0.0002, "time_s": 0.01, "data_s": 0.002, '
    '"peak_mib": 512, "G_L1": 0.5, "D_real": 0.25}'
)  # as the version before wrote it


def written(folder: Path, *records: Record) -> Path:
    """The log of a run that wrote these lines."""
    folder.mkdir(parents=True, exist_ok=True)
    log = RunLog(folder, None)
    for record in records:
        log.log(record)
    return folder / "metrics.jsonl"


def with_metric(images: int, value: float | None = None) -> Record:
    metrics = {} if value is None else {"psnr": value}
    return Record(Step(1, images, images, 2e-4), {"G": 2.0 / images}, Speed(1, 0), metrics)


def test_the_file_keeps_its_flat_lines(tmp_path):
    assert WHOLE.to_line() == FLAT
    assert written(tmp_path, WHOLE).read_text() == FLAT + "\n"
    assert read_records(tmp_path / "metrics.jsonl") == [WHOLE]


def test_a_line_of_an_older_version_tells_what_it_tells(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"images": 5, "G": 1.0, "D": null}\n')
    (record,) = read_records(tmp_path / "metrics.jsonl")
    assert record.parts()["step"] == {"images": 5} and record.parts()["speed"] == {}
    assert record.losses["G"] == 1 and math.isnan(record.losses["D"])
    assert record.to_line() == '{"images": 5, "G": 1.0, "D": null}'


@pytest.mark.parametrize("name", [*STEP, *SPEED, "loss/G", "metric/psnr", "loss/", "名前 / x"])
def test_no_loss_and_no_metric_is_lost_whatever_it_is_called(tmp_path, name):
    record = Record(Step(1, 2, 3, 0.1), {name: 7.0, "G": 1.0}, Speed(1, 2, 3), {name: 8.0})
    assert read_records(written(tmp_path, record)) == [record]


def test_a_cut_off_end_is_nothing_to_tell_and_other_damage_is(tmp_path, capsys):
    file = written(tmp_path, WHOLE, WHOLE)
    file.write_text(file.read_text() + FLAT[:30])
    assert len(read_records(file)) == 2 and capsys.readouterr().err == ""
    file.write_text(f'hello\n[1]\n{FLAT}\n{{"stem": "0001", "psnr": 21.3}}\n{FLAT}\n')
    assert read_records(file) == [WHOLE, WHOLE]
    assert "line 1 is no record of losses (3 such lines left out)" in capsys.readouterr().err
    assert read_records(tmp_path / "none") == []


def test_a_metric_is_a_metric_in_the_file_the_page_and_the_plots(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = [with_metric(1), with_metric(2, 21.0), with_metric(3), with_metric(4, 23.0)]
    lines = [json.loads(line) for line in written(Path("with"), *records).read_text().splitlines()]
    assert [line.get("metric/psnr") for line in lines] == [None, 21, None, 23]
    assert all("psnr" not in line for line in lines)

    page = TrainingPage(RunInfo("with", Path("with"), losses=LossGuide(["G"])), 256, None, 1)
    for record in records:
        page.log(record)
    news = json.loads(Path("with/web/data/state.js").read_text()[len("training.state(") : -2])
    assert ["metrics", "psnr"] in news["columns"] and ["losses", "psnr"] not in news["columns"]
    assert news["last"]["losses"] == {"G": 0.5} and news["last"]["metrics"] == {"psnr": 23}

    columns = curves.read_columns(Path("with/metrics.jsonl"))
    assert list(columns.losses) == ["G"] and list(columns.metrics) == ["psnr"]
    (run,) = plot.read_runs([Path("with")], "images")
    titles = [panel.title for panel in plot.choose_panels([run], None, 0.9)]
    assert titles == ["G", "psnr (metric)", "learning rate", "images/s"]
    (panel,) = plot.metric_panels([run])  # what was measured, joined, not smoothed
    x, y = panel.smoothed("with")
    assert (x.tolist(), y.tolist()) == ([2, 4], [21, 23])


def test_a_metric_changes_no_loss_curve(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(Path("with"), *(with_metric(n, 20.0 + n) for n in range(1, 9)))
    written(Path("without"), *(with_metric(n) for n in range(1, 9)))
    both = plot.read_runs([Path("with"), Path("without")], "images")
    panels = {panel.title: panel for panel in plot.choose_panels(both, None, 0.9)}
    one, other = (panels["G"].smoothed(run) for run in ("with", "without"))
    assert (one[0] == other[0]).all() and (one[1] == other[1]).all()
    assert list(panels["psnr (metric)"].logged) == ["with"]
    assert plot.main(["with", "without"]) == 0


def test_a_line_nested_without_end_is_no_record(tmp_path, capsys):
    """Fault 100: in JSON as in YAML."""
    file = tmp_path / "metrics.jsonl"
    deep, long = "[" * 100000, '{"images": ' + "9" * 5000 + "}"
    file.write_text(f'{deep}\n{long}\n{{"images": 1, "G": 2}}\n')
    assert [record.step.images for record in read_records(file)] == [1]
    assert "2 such lines left out" in capsys.readouterr().err
