"""The two logs, after a power cut."""

import os
from pathlib import Path

import pytest

from util.errors import UserError
from util.record import Record, Speed, Step, read_records
from util.results.folder import read_metrics
from util.training.log import RunLog

WHOLE = '{"epoch": 1, "iters": 4, "images": 4, "G": 0.5}\n'


@pytest.mark.parametrize(
    "tail", [b'{"epoch": 1, "ite', b"\0" * 5000, b'{"epo' + b"\0" * 40, b"\0" * 8 + b"\n", b""]
)
@pytest.mark.parametrize("named", [True, False])
def test_logs_go_on_after_their_last_whole_line(tail, named, tmp_path, capsys):
    """Fault 98: also where the resumed state tells no size (weights only), and of another size."""
    for file in ("loss_log.txt", "metrics.jsonl"):
        (tmp_path / file).write_bytes(WHOLE.encode() + tail)
    size = len(WHOLE) + len(tail)
    RunLog(tmp_path, {"metrics.jsonl": size} if named else {}).log(
        Record(Step(2, 4, 8), {"G": 0.25}, Speed(0.1, 0.1))
    )
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert lines[0] + "\n" == WHOLE and len(lines) == 2
    assert [record.losses["G"] for record in read_records(tmp_path / "metrics.jsonl")] == [
        0.5,
        0.25,
    ]
    assert (tmp_path / "loss_log.txt").read_text().startswith(WHOLE + "=====")
    told = capsys.readouterr().err
    assert told.count("no whole line") == (2 if tail else 0)
    assert f"its last {len(tail)} bytes" in told or not tail


def test_lines_that_a_power_cut_has_taken_are_told(tmp_path, capsys):
    """Fault 98: the log is shorter than the checkpoint knows it."""
    (tmp_path / "metrics.jsonl").write_text(WHOLE)
    RunLog(tmp_path, {"metrics.jsonl": len(WHOLE) + 50})
    assert "50 bytes shorter than when the checkpoint was saved" in capsys.readouterr().err
    assert (tmp_path / "metrics.jsonl").read_text() == WHOLE


def test_readers_cope_with_zeros(tmp_path: Path, capsys):
    """Fault 98: plots, pages and tables of figures."""
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(WHOLE.encode() + b"\0" * 300 + WHOLE.encode() + b"\0" * 5000)
    assert len(read_records(log)) == 2
    log.write_bytes(b'{"stem": "a", "psnr": 2}\n' + b"\0" * 300)
    assert read_metrics(tmp_path) == {"a": {"psnr": 2.0}}
    assert capsys.readouterr().err == ""


def test_a_named_pipe_in_the_place_of_a_log_is_told(tmp_path):
    """At once: opening it could wait for ever."""
    os.mkfifo(tmp_path / "metrics.jsonl")
    for resumed in (None, {}, {"metrics.jsonl": 7}):
        with pytest.raises(UserError, match=r"metrics\.jsonl: a named pipe, not a regular file"):
            RunLog(tmp_path, resumed)


def test_lines_that_a_checkpoint_counts_are_on_disk(tmp_path, monkeypatch):
    """A power cut must not leave the record behind the state."""
    synced = []
    monkeypatch.setattr("util.atomic.sync", lambda path: synced.append(path.name))
    log = RunLog(tmp_path, None)
    log.log(Record(Step(1, 1, 1, 0.1), {"G": 1.0}, Speed(0.1, 0.1)))
    sizes = log.state_dict()
    assert sizes == {name: (tmp_path / name).stat().st_size for name in synced}
    assert sorted(synced) == ["loss_log.txt", "metrics.jsonl"]
