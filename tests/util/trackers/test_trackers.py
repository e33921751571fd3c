"""Live views show a run, and cannot stop, slow or change it, whatever becomes of their services."""

import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import requests
import torch

from tests.helpers import (
    CHROMIUM,
    ROOT,
    TINY,
    closed_port,
    environment,
    make_aligned,
    metrics,
    needs_browser,
)
from tests.helpers import train as run_train
from tests.processes import LIMIT_S, eventually
from util import trackers as package
from util.errors import UserError
from util.labels.colours import legend
from util.labels.table import numbered
from util.record import PageRow, Record, RunInfo, Speed, Step
from util.trackers import guard as trackers
from util.trackers import registry
from util.trackers import visdom_assets as visdom_page
from util.trackers.base_tracker import Tracker
from util.trackers.guard import BackgroundTracker
from util.training.visualizer import Visualizer

NASTY = """<script>document.title='run'</script> "it's" & 名前"""
LEGEND = legend({"B": numbered(3, None, "--label_B 3")})
PICTURE = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
RUN = ["--dataroot", "D", "--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--n_epochs", 2,
       "--n_epochs_decay", 0, "--print_freq", 1, "--display_freq", 1,
       "--pool_size", 3]  # fmt: skip


def needed(package: str, file: str = "requirements-trackers.txt"):
    return pytest.importorskip(package, reason=f"optional: {file}")


def info(folder: Path, resumed: bool = False) -> RunInfo:
    options = {"lr": 0.0002, "netG": "unet_256", "name": NASTY, "gpu_ids": []}
    return RunInfo("run", folder, resumed, options, networks=f"G: Net({NASTY})")


def record(images: int, metrics: dict[str, float] | None = None, **losses: float) -> Record:
    step, speed = Step(1, images, images, 0.1), Speed(1, 0)
    return Record(step, losses or {"G_L1": 1 / images}, speed, metrics or {})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def weights(name: str) -> dict[str, torch.Tensor]:
    return torch.load(Path("checkpoints") / name / "latest_net_G.pth", weights_only=True)


def train_like_the_plain_run(name: str, *flags: str | int) -> None:
    """Train with and without the flags: the same weights, bit for bit, and a whole log."""
    make_aligned(Path("D"), 2)
    run_train(*RUN, "--name", "plain")
    run_train(*RUN, "--name", name, *flags)
    for key, value in weights("plain").items():
        assert torch.equal(value, weights(name)[key]), key
    assert len(metrics(Path("checkpoints") / name)) == 4


# A view that fails, hangs, or comes late.


class Shown(Tracker):
    """A tracker that remembers."""

    def __init__(self) -> None:
        self.told: list = []
        self.fails = False

    def log(self, record):
        if self.fails:
            raise ConnectionError("the server is gone\nand more")
        self.told.append(record.step.images)

    def show(self, row, pictures):
        self.told.append(row.heading)

    def close(self):
        self.told.append("close")


def test_everything_arrives_in_order_and_before_the_end():
    shown = Shown()
    view = BackgroundTracker("visdom", lambda: shown)
    for images in range(1, 20):
        view.log(record(images))
    view.show(PageRow(1, "epoch 1", "epoch001"), {})
    view.close()
    assert shown.told == [*range(1, 20), "epoch 1", "close"]


def test_a_failure_is_told_once_and_tried_again_later(monkeypatch, capsys):
    shown = Shown()
    view = BackgroundTracker("visdom", lambda: shown)
    shown.fails = True
    view.log(record(1))
    assert eventually(lambda: view.retry_at > 0)
    shown.fails = False
    view.log(record(2))  # within the minute: not tried
    assert eventually(view.jobs.empty)
    view.retry_at = 0
    view.log(record(3))
    view.close()
    assert shown.told == [3, "close"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: --track visdom: ConnectionError: the server is gone (")


def test_a_view_that_hangs_neither_slows_nor_stops(monkeypatch, capsys):
    monkeypatch.setattr(trackers, "CLOSE_S", 0.2)
    gate = threading.Event()
    shown = Shown()
    shown.log = lambda record: gate.wait()
    view = BackgroundTracker("wandb", lambda: shown)
    for images in range(1, 200):
        view.log(record(images))
    view.close()
    assert view.thread.is_alive()  # in the first call still
    assert view.jobs.qsize() <= trackers.WAITING
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "left out" in said[0] and "not all has arrived" in said[1]
    gate.set()


def test_a_start_that_hangs_is_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, "START_S", 0.2)
    gate = threading.Event()
    monkeypatch.setattr(trackers, "_make", lambda *_: gate.wait())
    views = trackers.start_trackers({"visdom": {}, "wandb": {}}, info(tmp_path))
    assert not any(view.started.is_set() for view in views)
    gate.set()


def test_what_packages_draw_when_they_start_is_taken_back(monkeypatch, tmp_path):
    def draws(*_):
        random.random(), np.random.rand(), torch.rand(1)
        return Shown()

    monkeypatch.setattr(trackers, "_make", draws)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    (view,) = trackers.start_trackers({"visdom": {}}, info(tmp_path))
    view.close()
    assert random.getstate() == before[0] and np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_only_the_process_that_writes_has_views(tmp_path):
    assert Visualizer(info(tmp_path), 1, writes=False, trackers={"visdom": {}}).trackers == []


# Whole runs.


def test_without_the_packages_a_run_is_the_same(monkeypatch, capsys):
    """Faults 76."""
    for name in registry.names():
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"util.trackers.{name}_tracker", raising=False)
    train_like_the_plain_run("N", "--track", "tensorboard", "--use_wandb", "--display_id", 1)
    said = [line for line in capsys.readouterr().err.splitlines() if "--track" in line]
    assert len(said) == 3
    assert all("pip install" in line for line in said)


def test_a_training_does_not_wait_for_a_server_that_does_not_answer(capsys, monkeypatch):
    """Faults 77: one that refuses, and one that takes the call and says nothing, ever."""
    needed("visdom", "requirements-visdom.txt")
    from util.trackers import visdom_server

    monkeypatch.setattr(visdom_server, "LOCAL", set())  # else it would be started
    assert trackers.START_S < 5 and trackers.CLOSE_S <= 5
    monkeypatch.setattr(trackers, "CLOSE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, closed_port() as closed:
        for port in (closed, silent.getsockname()[1]):
            view = Visualizer(info(Path(f"V{port}")), 1, trackers={"visdom": {
                "server": "http://127.0.0.1", "port": port, "env": "V", "columns": 4}})  # fmt: skip
            with view:
                pass
        flags = ["--display_server", "http://127.0.0.1", "--display_port", closed]
        train_like_the_plain_run("N", "--track", "visdom", *flags)
    said = [line for line in capsys.readouterr().err.splitlines() if "--track" in line]
    assert "python -m util.visdom_server --port" in said[0]
    assert len(said) == 3


def test_a_run_with_all_views_is_the_same(server, capsys, monkeypatch):
    """W&B says where its files are; curves and pictures are at visdom."""
    needed("wandb")
    needed("tensorboard")
    monkeypatch.setattr(trackers, "START_S", 60)  # a busy machine
    monkeypatch.setattr(trackers, "CLOSE_S", 60)
    train_like_the_plain_run(
        "N", "--track", *registry.names(), "--display_port", server.port, "--display_env", "all"
    )
    said = capsys.readouterr()
    assert "wandb sync" in said.out and "tensorboard --logdir" in said.out
    assert "--track" not in said.err, said.err
    run = Path("checkpoints/N")
    assert list(run.glob("tensorboard/events*"))
    # W&B writes in a process of its own.
    assert eventually(lambda: list(run.glob("wandb/offline-run*/*.wandb")))
    panes = server.panes("all")
    assert {"losses", "last losses", "pictures 0"} <= panes.keys()


def test_a_server_that_dies_in_the_middle(monkeypatch, server, capsys):
    """Faults 78."""
    ends = Visualizer.end_step

    def end_step(self, model, epoch, seen, before, images):
        ends(self, model, epoch, seen, before, images)
        if self.trackers and images == 2 and "N" in str(self.run_log.folder):
            eventually(lambda: "losses" in server.panes("N"))
            server.stop()

    monkeypatch.setattr(Visualizer, "end_step", end_step)
    from util.trackers import visdom_server

    monkeypatch.setattr(visdom_server, "LOCAL", set())
    train_like_the_plain_run("N", "--track", "visdom", "--display_port", server.port)
    said = [line for line in capsys.readouterr().err.splitlines() if "--track" in line]
    assert len(said) == 1 and "ConnectionError" in said[0]


# A tracker in a file of its own.

PLUG_IN = """
from util.trackers.base_tracker import Tracker

class DiaryTracker(Tracker):
    install = "pip install diary"

    @staticmethod
    def add_flags(parser):
        parser.add_argument("--diary_file", default="diary.txt", help="where the diary goes")
        parser.add_argument("--old_diary", action="store_true", help="old form of --track diary")

    @staticmethod
    def asked(values):
        return values["old_diary"]

    @staticmethod
    def settings(values):
        return {"file": values["diary_file"]}

    def __init__(self, run, file):
        super().__init__(run)
        IMPORT
        self.file = run.folder / file

    def log(self, record):
        with open(self.file, "a") as diary:
            diary.write(f"{record.step.images} {list(record.losses)} {list(record.metrics)}\\n")

    def show(self, row, pictures):
        pass
"""


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Writes a file of a tracker where trackers are found."""
    folder = tmp_path / "plug-ins"
    folder.mkdir()
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    files = []

    def write(text: str, name: str = "diary") -> None:
        files.append(folder / f"{name}_tracker.py")
        files[-1].write_text(text)

    yield write
    for file in files:
        sys.modules.pop(f"util.trackers.{file.stem}", None)


@pytest.mark.parametrize("asked", [["--track", "diary"], ["--old_diary"]])
def test_a_tracker_in_one_file_has_its_flags_and_is_started(plug_in, capsys, asked):
    plug_in(PLUG_IN.replace("IMPORT", ""))
    with pytest.raises(SystemExit):
        run_train("--help")
    manual = capsys.readouterr().out
    assert "--diary_file" in manual and "diary,tensorboard" in manual
    make_aligned(Path("D"), 2)
    run_train(*RUN, "--name", "N", *asked, "--diary_file", "my.txt", "--n_epochs", 1)
    losses = ["G_GAN", "G_L1", "D_real", "D_fake"]
    lines = [f"{images} {losses} []\n" for images in (1, 2, 2)]  # the last is the epoch's means
    assert Path("checkpoints/N/my.txt").read_text() == "".join(lines)


def test_the_documents_example_works(monkeypatch, plug_in):
    """docs/live_views.md, with a stand-in for mlflow."""
    text = (ROOT / "docs" / "live_views.md").read_text()
    plug_in(text.partition("```python\n")[2].partition("```")[0], name="mlflow")
    told = []
    mlflow = ModuleType("mlflow")
    for name in ("set_tracking_uri", "start_run", "log_metrics", "log_image", "end_run"):
        setattr(mlflow, name, lambda *values, name=name, **by_name: told.append((name, by_name)))
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    make_aligned(Path("D"), 2)
    run_train(*RUN, "--name", "N", "--track", "mlflow", "--mlflow_uri", "x", "--n_epochs", 1)
    assert told[1] == ("start_run", {"run_name": "N"}) and told[-1][0] == "end_run"
    assert [by_name["step"] for name, by_name in told if name == "log_metrics"] == [1, 2, 2]
    assert any(name == "log_image" for name, _ in told)


def test_a_tracker_whose_package_is_missing_says_what_to_type(plug_in, capsys):
    plug_in(PLUG_IN.replace("IMPORT", "import no_such_diary"))
    train_like_the_plain_run("N", "--track", "diary")
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "--track" in line]
    assert "no_such_diary" in said and "to install it: pip install diary" in said


@pytest.mark.parametrize(
    "text",
    ["import no_such_diary", "class Diary", "class Other: pass",
     PLUG_IN.replace('values["diary_file"]', 'values["no_such_flag"]')],
    ids=["package", "syntax", "class", "settings"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told_and_in_nobodys_way(plug_in, capsys, text):
    plug_in(text)
    train_like_the_plain_run("N", "--track", "diary")
    said = capsys.readouterr().err
    assert "util/trackers/diary_tracker.py cannot be used: " in said


def test_a_metric_is_told_to_the_views_beside_the_losses(server, tmp_path):
    tracker = server.tracker(tmp_path, "metrics")
    for images in range(1, 4):
        tracker.log(record(images, {"psnr": 20.0} if images == 2 else None))
    panes = server.panes("metrics")
    assert [curve["name"] for curve in panes["losses"]["content"]["data"]] == ["G_L1"]
    (curve,) = panes["metrics"]["content"]["data"]
    assert (curve["x"], curve["y"]) == ([2], [20])
    needed("tensorboard")
    tags = tensorboard_events(tmp_path, range(1, 3), metrics={"psnr": 20.0}).Tags()["scalars"]
    assert "metric/psnr" in tags and "loss/psnr" not in tags and "loss/G_L1" in tags


# Each service.


def test_tensorboard_reads_back_what_was_written(tmp_path):
    needed("tensorboard")
    events = tensorboard_events(tmp_path, range(1, 5))
    assert [event.step for event in events.Scalars("loss/G_L1")] == [1, 2, 3, 4]
    assert events.Scalars("loss/G_L1")[1].value == 0.5
    assert np.isclose(events.Scalars("run/lr")[0].value, 0.1)
    (image,) = events.Images("real_A")
    assert (image.step, image.height, image.width) == (3, 8, 12)
    texts = {tag: events.Tensors(f"{tag}/text_summary")[0] for tag in ("networks", "options")}
    assert NASTY in texts["networks"].tensor_proto.string_val[0].decode()
    assert b"    netG: unet_256" in texts["options"].tensor_proto.string_val[0]
    from tensorboard.plugins.hparams import plugin_data_pb2

    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert np.isclose(hparams["lr"].number_value, 0.0002)
    assert hparams["netG"].string_value == "unet_256"


def test_tensorboard_hides_what_a_resumed_run_does_again(tmp_path):
    needed("tensorboard")
    tensorboard_events(tmp_path, range(1, 5))
    time.sleep(1.1)  # event files are told apart, and ordered, by the second
    again = tensorboard_events(tmp_path, range(3, 6), resumed=True)
    assert [event.step for event in again.Scalars("loss/G_L1")] == [1, 2, 3, 4, 5]


def tensorboard_events(folder: Path, images: range, resumed: bool = False, metrics=None):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from util.trackers.tensorboard_tracker import TensorboardTracker

    tracker = TensorboardTracker(info(folder, resumed))
    for seen in images:
        tracker.log(record(seen, metrics))
    tracker.show(PageRow(3, "epoch 3", "epoch003"), {"real_A": PICTURE})
    tracker.close()
    return EventAccumulator(str(folder / "tensorboard")).Reload()


def test_wandb_keeps_an_offline_run_that_can_be_read_back(tmp_path, monkeypatch):
    needed("wandb")
    from util.trackers.wandb_tracker import WandbTracker

    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    tracker = WandbTracker(replace(info(tmp_path), legend=LEGEND), "project")
    tracker.log(record(4, {"psnr": 21.0}, G_L1=0.25))
    tracker.show(PageRow(3, "epoch 3", "epoch003"), {"real_A": PICTURE})
    tracker.close()
    assert eventually(lambda: list(tmp_path.glob("wandb/offline-run-*/*.wandb")))
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert eventually(lambda: "exit" in kinds_of(file))  # W&B writes in a process of its own
    records = list(wandb_records(file.read_bytes()))
    (run,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
    assert (run.project, run.display_name) == ("project", "run")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["name"] == NASTY
    rows = [row_of(r.history) for r in records if r.WhichOneof("record_type") == "history"]
    shown = next((file.parent / "files").glob("media/html/classes_*.html"))
    assert "Classes of B" in shown.read_text() and "classes/path" in rows.pop(0)
    assert rows[0]["loss/G_L1"] == 0.25 and rows[0]["images"] == 4
    assert rows[0]["metric/psnr"] == 21 and "loss/psnr" not in rows[0]
    assert rows[1]["pictures/real_A/height"] == 8 and rows[1]["images"] == 4
    assert NASTY in (file.parent / "files" / "networks.txt").read_text()
    assert random.getstate() == before[0] and np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_wandb_goes_offline_if_its_server_does_not_answer(tmp_path, monkeypatch, capsys):
    needed("wandb")
    from util.trackers import wandb_tracker

    settings = SimpleNamespace()
    monkeypatch.setattr(wandb_tracker.wandb, "setup", lambda: SimpleNamespace(settings=settings))
    monkeypatch.setattr(wandb_tracker.wandb, "login", lambda **_: True)
    with closed_port() as port:
        settings.base_url = f"http://127.0.0.1:{port}"
        assert wandb_tracker._possible_mode() == "offline"
    assert "does not answer" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as answers:
        settings.base_url = f"http://127.0.0.1:{answers.getsockname()[1]}"
        assert wandb_tracker._possible_mode() == "online"


def kinds_of(file: Path) -> list[str]:
    return [record.WhichOneof("record_type") for record in wandb_records(file.read_bytes())]


def row_of(history) -> dict:
    return {
        item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in history.item
    }


def wandb_records(data: bytes):
    """The records of a .wandb file: a log in the format of LevelDB, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    at, whole = 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if at + 7 + length > len(data):
            return  # just being written
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(whole)
            whole = b""


# visdom's server.


class Server:
    """A server of visdom as our command starts it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.variables, self.port = folder, variables, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "util.visdom_server", "--port", str(self.port),
                   "--env_path", str(self.folder / "envs")]  # fmt: skip
        with open(self.folder / "server.log", "wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log,
                                            env=environment() | self.variables)  # fmt: skip
        assert eventually(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.folder / "server.log").read_text()

    def answers(self) -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def panes(self, env: str) -> dict:
        body = {"win": None, "eid": env}
        reply = requests.post(f"{self.url}/win_data", json=body, timeout=LIMIT_S)
        return json.loads(reply.text) if reply.ok else {}

    def tracker(self, folder: Path, env: str, legend: str = ""):
        from util.trackers.visdom_tracker import VisdomTracker

        run = replace(info(folder), legend=legend)
        return VisdomTracker(run, "localhost", self.port, env, columns=4)


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    """Without npm: nothing is fetched."""
    needed("visdom", "requirements-visdom.txt")
    folder = tmp_path_factory.mktemp("visdom")
    running = Server(folder, XDG_CACHE_HOME=str(folder), PATH="")
    yield running
    running.stop()


@pytest.fixture
def server(one_server):
    if one_server.process.poll() is not None:  # a test before has ended it
        one_server.start()
    return one_server


def test_visdom_keeps_curves_table_and_pictures_through_a_restart(server, tmp_path):
    tracker = server.tracker(tmp_path, "a run", LEGEND)
    for images in (1, 2, 4):
        tracker.log(record(images, **{"G_L1": 1 / images, NASTY: float("nan")}))
    tracker.show(PageRow(3, "epoch 3", "epoch003"), {"real_A": PICTURE, NASTY: PICTURE[:4]})
    tracker.close()
    server.stop()
    server.start()
    panes = server.panes("a run")
    curve = panes["losses"]["content"]["data"][0]
    assert (curve["x"], curve["y"]) == ([1, 2, 4], [1, 0.5, 0.25])
    assert panes["losses"]["content"]["data"][1]["y"] == [None, None, None]
    assert "0.25" in panes["last losses"]["content"]
    assert panes["classes"]["content"] == LEGEND
    assert "<script" not in panes["last losses"]["content"] + panes["networks"]["content"]
    assert panes["pictures 0"]["content"]["caption"] == "epoch 3"
    assert panes["pictures 0"]["title"] == f"real_A, {NASTY}"


def test_visdom_shows_the_whole_curve_of_a_resumed_run(server, tmp_path):
    rows = [record(images, G_L1=float("nan")).to_line() for images in range(1, 4)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    tracker = server.tracker(tmp_path, "resumed")
    tracker.log(record(4))
    assert server.panes("resumed")["losses"]["content"]["data"][0]["x"] == [1, 2, 3, 4]


def test_a_curve_costs_the_same_however_long_it_is(server, tmp_path):
    tracker = server.tracker(tmp_path, "long")
    for images in range(1, 5000):
        tracker._add(record(images))
    tracker.log(record(5000))
    shown = server.panes("long")["losses"]["content"]["data"][0]["x"]
    assert 400 < len(shown) <= 1000 and shown[-1] == 5000 and shown[0] == 1


def test_a_local_server_is_started_if_none_answers(tmp_path, monkeypatch, capsys):
    needed("visdom", "requirements-visdom.txt")
    from util.trackers.visdom_tracker import VisdomTracker

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    port = free_port()
    VisdomTracker(info(tmp_path), "http://localhost", port, "E", 0).log(record(1))
    said = capsys.readouterr().out
    pid = int(said.split("(kill ")[1].split()[0])
    try:
        assert "visdom: http://localhost" in said
        assert "install npm" in (tmp_path / "visdom_server.log").read_text()
        with pytest.raises(OSError):  # reaches a server that listens everywhere
            socket.create_connection(("127.0.0.2", port), timeout=2)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_other_sites_cannot_talk_to_the_server(server):
    def status(**headers: str) -> int:
        return requests.get(server.url, headers=headers, timeout=LIMIT_S).status_code

    assert status() == status(Origin=server.url) == 200
    assert status(Origin="http://evil.example") == status(Host="evil.example") == 403
    assert status(Origin="null") == 403


@needs_browser
def test_a_browser_shows_the_curve_and_runs_no_script_of_ours(tmp_path):
    """Faults 79."""
    needed("visdom", "requirements-visdom.txt")
    try:
        visdom_page.fetch(visdom_page.page_folder())
    except UserError as error:
        pytest.skip(f"the page's scripts cannot be fetched: {error}")
    server = Server(tmp_path)
    try:
        tracker = server.tracker(tmp_path, NASTY)
        for images in (1, 2, 4):
            tracker.log(record(images, **{"G_L1": 1 / images, NASTY: images}))
        tracker.show(PageRow(3, f"epoch 3 {NASTY}", "x"), {"real_A": PICTURE, NASTY: PICTURE})
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
                   "--virtual-time-budget=20000", "--dump-dom",
                   f"{server.url}/env/{tracker.env}"]  # fmt: skip
        page = subprocess.run(command, capture_output=True, text=True).stdout
    finally:
        server.stop()
    assert "<title>visdom</title>" in page  # not changed by a script
    assert (
        page.count('class="trace scatter') == 2 and "epoch 3" in page and "data:image/png" in page
    )
    assert "G_L1" in page and "名前" in page


def test_scripts_that_are_not_the_expected_ones_are_refused(tmp_path):
    (tmp_path / "x-1.tgz").write_bytes(b"other")
    with pytest.raises(UserError, match="nothing of it is used"):
        visdom_page._unpack(tmp_path / "x-1.tgz", "0" * 64, {"a": "b"}, tmp_path)
    assert not (tmp_path / "b").exists()
