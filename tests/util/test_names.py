"""Names that become paths, and the links that lie in the way."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from options.saved import load_config, save_options
from options.test_options import TestOptions as Options  # pytest takes Test... for tests
from tests.helpers import TINY, environment, make_aligned, make_single, photo, pictures
from util import atomic, html
from util.checkpoints.checkpoint import Checkpoint, list_checkpoints
from util.checkpoints.weights import weights_path
from util.errors import UserError
from util.images.convert import save_image
from util.record import RunInfo
from util.results.folder import Row, shown_files
from util.results.gallery import ResultPage
from util.results.writer import PageInfo, PictureRules, Results
from util.training.log import RunLog
from util.training_page.page import TrainingPage

BAD = ["../x", "/tmp/x", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "x" * 256, "東" * 90, "a.", "a "]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("flag", ["name", "epoch", "phase", "suffix", "model_suffix"])
def test_a_name_that_leaves_its_folder_is_refused(flag, name, empty_folder, capsys):
    """Fault 95."""
    make_single(empty_folder / "D", 1)
    with pytest.raises(UserError, match=f"(?s){flag}.*accepted") as told:
        Options().parse([*TINY, "--dataroot", "D", f"--{flag}={name}"])
    assert len(str(told.value)) < 700
    assert sorted(os.listdir()) == ["D"]


@pytest.mark.parametrize("flag", ["name", "epoch", "phase"])
def test_a_name_in_a_config_file_is_refused_too(flag, empty_folder):
    """Fault 95."""
    Path("c.yaml").write_text(f"{flag}: ../x\n")
    with pytest.raises(UserError, match=f"c.yaml: --{flag}.*accepted"):
        Options().parse([*TINY, "--dataroot", "D", "--config", "c.yaml"])


def test_names_in_any_script_are_names():
    """Fault 95."""
    for name in ("maps", "Zürich 東京", "10%#1", "..a", "a.b", "-n", "'q'\"", "x" * 240, "\udcff"):
        assert atomic.inside("f", name, what="name") == Path("f", name)


@pytest.mark.parametrize("name", BAD[:-2])
def test_weights_stay_in_their_folder(name):
    """Fault 95: also where the label of an epoch comes from a plug-in, not from the flag."""
    if name in (".", ".."):
        assert weights_path("f", name, "G").parent == Path("f")
        return
    with pytest.raises(UserError, match="stays in its folder"):
        weights_path("f", name, "G")


@pytest.mark.parametrize("listed", ["../../secret", "/etc/passwd", "net_/../../../secret", "", 5])
def test_a_manifest_lists_files_of_its_folder_only(listed, tmp_path):
    """Fault 95: another one is as good as damaged."""
    folder = tmp_path / "snapshots" / "0001"
    folder.mkdir(parents=True)
    files = {str(listed): {"bytes": 0, "sha256": ""}} if listed != 5 else {}
    labels = ["latest", *([5] if listed == 5 else [])]
    (folder / "manifest.json").write_text(json.dumps({"labels": labels, "files": files}))
    assert list_checkpoints(tmp_path)[0].damage()
    assert Checkpoint(folder).files == {}


def test_a_visual_of_a_plugin_stays_in_its_folder(tmp_path):
    """Fault 95: in the results, and on the training page."""
    import torch

    image = torch.zeros(1, 3, 8, 8)
    results = Results(tmp_path / "r", PageInfo("t"), PictureRules(), 1).begin()
    with pytest.raises(UserError, match="visual '../../x'"), results:
        results.add({"A": "a.png"}, {"../../x": image})
    page = TrainingPage(RunInfo("r", tmp_path / "run"), 64, None, 1)
    from util.record import PageRow

    with pytest.raises(UserError, match="visual '../x'"):
        page.show(PageRow.of_epoch(1), {"../x": np.zeros((8, 8, 3), np.uint8)})
    assert {path.name for path in tmp_path.iterdir()} <= {"r", "run"}


def test_a_page_speaks_of_no_file_outside_its_folder(tmp_path, capsys):
    """Fault 95: what a page lists."""
    secret = tmp_path / "secret.png"
    save_image(np.asarray(photo(1)), secret)
    folder = tmp_path / "results"
    page = ResultPage(folder / "index.html", "t", {}, {}, 64)
    for stem in ("../../secret", "..", ".", "a-NUL-b"):
        page.add_row(stem, {"": f"images/{stem}_.png"})
        page.add_row(stem, {"x": f"images/{stem}.png"})
    page.path.write_text(page.path.read_text().replace("-NUL-", "%00"))
    for file in shown_files(folder):
        assert (folder / file).resolve().is_relative_to(folder), file
    from scripts.compare import located

    assert all(row == Row(row.stem, {}, "") for row in located(folder, tmp_path).values())


def links_in(folder: Path, *names: str) -> Path:
    """Links of these names, and of files that are being written, to a file of somebody's."""
    target = folder / "bashrc"
    target.write_text("alias ls='ls -l'\n")
    for name in names:
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        part = link.with_name(f".{link.name}.part")
        part.symlink_to(target)
    return target


def test_links_in_a_shared_folder_are_not_followed(tmp_path):
    """Fault 95: a link in the place of what is written is replaced, its target stays."""
    import torch

    names = ["r/images/0_fake.png", "r/index.html", "run/web/index.html", "run/web/data/state.js",
             "run/loss_log.txt", "run/metrics.jsonl", "p.jpg", "page/index.html",
             "run/train_opt.txt"]  # fmt: skip
    target = links_in(tmp_path, *names)
    before = target.read_bytes()
    image = torch.zeros(1, 3, 8, 8)
    with Results(tmp_path / "r", PageInfo("t"), PictureRules(), 1).begin() as results:
        results.add({"A": "0.png"}, {"fake": image})
    results.finish()
    TrainingPage(RunInfo("r", tmp_path / "run"), 64, None, 1)
    RunLog(tmp_path / "run", None)
    save_image(np.asarray(photo(1)), tmp_path / "p.jpg")
    html.HTML(tmp_path / "page", "t").save()
    save_options(tmp_path / "run", "train_opt", {"name": "r"}, "table")
    assert target.read_bytes() == before
    for name in names:
        assert not (tmp_path / name).is_symlink() and (tmp_path / name).is_file(), name
        assert not (tmp_path / name).with_name(f".{Path(name).name}.part").is_symlink(), name


def test_a_log_that_is_a_link_goes_on_as_a_file(tmp_path):
    """Fault 95: the run keeps its lines, what the link leads to stays as it is."""
    target = tmp_path / "elsewhere"
    target.write_text('{"images": 1}\n')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to(target)
    RunLog(tmp_path / "run", {})._append("metrics.jsonl", '{"images": 2}')
    assert target.read_text() == '{"images": 1}\n'
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == '{"images": 1}\n{"images": 2}\n'


def test_the_folder_of_pictures_is_no_link_but_those_above_may_be(tmp_path):
    """Fault 95: results on a larger disk."""
    import torch

    (tmp_path / "large" / "r").mkdir(parents=True)
    (tmp_path / "results").symlink_to(tmp_path / "large")
    with Results(tmp_path / "results" / "r", PageInfo("t"), PictureRules(), 1).begin() as results:
        results.add({"A": "0.png"}, {"fake": torch.zeros(1, 3, 8, 8)})
    results.finish()
    assert list(pictures(tmp_path / "large" / "r")) == ["0_fake.png"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "images").symlink_to(tmp_path / "mine")
    with Results(tmp_path / "s", PageInfo("t"), PictureRules(), 1).begin() as results:
        results.add({"A": "0.png"}, {"fake": torch.zeros(1, 3, 8, 8)})
    results.finish()
    assert list(pictures(tmp_path / "s")) == ["0_fake.png"]
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "images").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="images: a link to .*mine, which is not followed"):
        html.HTML(tmp_path / "p", "t")
    assert not any((tmp_path / "mine").iterdir())


def test_a_file_with_the_longest_name_is_written(tmp_path):
    """Fault 95: of 255 bytes, which leave no room for more."""
    for name in ("x" * 255, "東" * 85):
        atomic.write(tmp_path / name, b"1")
    assert len(list(tmp_path.iterdir())) == 2


BYTES = os.fsdecode(b"Z\xc3\xbcrich \xff\xfe")


def test_options_with_names_that_are_not_utf8_come_back(tmp_path):
    """Fault 96: train_opt.txt and train_opt.yaml."""
    values = {"dataroot": f"/data/{BYTES}", "style_image": [f"{BYTES}.png"], "seed": 3}
    save_options(tmp_path, "train_opt", values, f"dataroot: {BYTES}")
    assert load_config(tmp_path / "train_opt.yaml") == values
    assert "Zürich" in (tmp_path / "train_opt.txt").read_text()
    assert "Zürich" in (tmp_path / "train_opt.yaml").read_text()


def test_pages_and_logs_take_names_that_are_not_utf8(tmp_path):
    """Fault 96: links lead to the files, whatever their bytes."""
    folder = tmp_path / BYTES
    page = ResultPage(folder / "index.html", BYTES, {"data": BYTES}, {}, 64)
    (folder / "images").mkdir()
    Image.new("RGB", (4, 4)).save(folder / "images" / f"{BYTES}_fake.png")
    page.add_row(BYTES, {"fake": f"images/{BYTES}_fake.png"})
    text = page.path.read_text(encoding="utf-8")
    assert "Zürich" in text and "Z%C3%BCrich%20%FF%FE_fake.png" in text
    log = RunLog(folder, None)
    log._append("loss_log.txt", f"größe {BYTES}")
    assert "größe Zürich \\udcff" in (folder / "loss_log.txt").read_text(encoding="utf-8")


PRIVATE = {  # what is not readable -> a command that needs it
    "checkpoints/r": "test --name r",
    "checkpoints/r/train_opt.yaml": "train --name r --continue_train",
    "checkpoints/r/snapshots": "train --name r --continue_train --config c.yaml",
    "checkpoints/r/snapshots/0001": "train --name r --continue_train --config c.yaml",
    "checkpoints/r/snapshots/0001/state.pth": "train --name r --continue_train --config c.yaml",
    "checkpoints": "test --name r",
    "checkpoints/r/latest_net_G.pth": "train --name s --config c.yaml --init_from "
    "checkpoints/r/latest_net_G.pth",
    "c.yaml": "train --name s --config c.yaml",
    "D": "train --name s --config c.yaml",
    "D/train": "train --name s --config c.yaml",
    "checkpoints/r/metrics.jsonl": "plot r",
}


@pytest.mark.parametrize("private", PRIVATE)
def test_what_is_somebody_elses_is_told_as_that(private, empty_folder, monkeypatch, capsys):
    """Fault 101: never as missing or damaged; the file or folder named is there."""
    import test as test_script
    import train as train_script
    from scripts import plot
    from util.checkpoints.checkpoint import save_checkpoint

    make_aligned(empty_folder / "D", 1)
    run = empty_folder / "checkpoints" / "r"
    flags = {"model": "pix2pix", "dataroot": "D", "netG": "resnet_6blocks", "ngf": 8}
    Path("c.yaml").write_text("".join(f"{key}: {value}\n" for key, value in flags.items()))
    save_options(run, "train_opt", flags, "")
    save_checkpoint(run, {"G": {}, "D": {}}, {"progress": {"epoch": 1}}, ["latest"], 2)
    RunLog(run, None)
    real = os.access

    def access(path, mode):
        return os.path.realpath(path) != str(empty_folder / private) and real(path, mode)

    monkeypatch.setattr(os, "access", access)
    command, *words = PRIVATE[private].split()
    if command == "plot":
        code = plot.main(words)
    else:
        script = {"train": train_script, "test": test_script}[command]
        code = script.main([*words, *TINY] if command == "train" else [*words, "--dataroot", "D"])
    err = capsys.readouterr().err.splitlines()
    assert code == 2, err
    assert f"{empty_folder / private}: cannot be read: it is " in err[-1]
    assert "chmod -R a+rX" in err[-1] and "damaged" not in "".join(err)


def test_results_of_names_read_in_a_c_locale(tmp_path):
    """Fault 96: there a name is single bytes, and a letter of its own is no path."""
    code = (
        "import os, sys, torch\nfrom pathlib import Path\n"
        "from util.results.writer import PageInfo, PictureRules, Results\n"
        "assert sys.getfilesystemencoding() == 'ascii'\n"
        "name = os.fsdecode('é東.png'.encode())\n"
        "with Results(Path('r'), PageInfo('t'), PictureRules(), 1).begin() as results:\n"
        "    results.add({'A': name}, {'fake': torch.zeros(1, 3, 8, 8)})\n"
        "results.finish()\n"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "code.py").write_text(code, encoding="utf-8")
    subprocess.run([sys.executable, "code.py"], env=environment() | plain, check=True)
    assert list(pictures(tmp_path / "r")) == ["é東_fake.png"]
    assert quote("é東_fake.png") in (tmp_path / "r" / "index.html").read_text()
