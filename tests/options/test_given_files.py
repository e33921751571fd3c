"""Flags that name files: the same file in another place, another one in the same, and none."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
import torchvision

import models
from tests.helpers import TINY, make_aligned, make_single, photo
from tests.helpers import test as run_test
from tests.helpers import train as run_train

CPU = ["--gpu_ids", -1]
PLUGIN = """
import torch
from models.pix2pix_model import Pix2PixModel


class TaughtModel(Pix2PixModel):
    @staticmethod
    def modify_commandline_options(parser, is_train):
        Pix2PixModel.modify_commandline_options(parser, is_train)
        parser.add_argument("--teacher", TYPE, default="")
        return parser

    def __init__(self, opt):
        super().__init__(opt)
        if WHERE == "init" and opt.teacher:
            self.teacher = torch.load(opt.teacher, weights_only=True)

    def setup(self, opt):
        super().setup(opt)
        if WHERE == "setup" and opt.teacher:
            open(opt.teacher + "/weights.bin").close()
"""


def write_plugin(folder: Path, monkeypatch, kind: str, where: str = "init") -> None:
    """A model with a flag that names a file, found beside ours."""
    folder.mkdir()
    text = PLUGIN.replace("TYPE", kind).replace("WHERE", repr(where))
    (folder / "taught_model.py").write_text(text)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "models.taught_model", raising=False)


@pytest.fixture
def taught(tmp_path):
    pairs = make_aligned(tmp_path / "pairs", 1)
    return ["--dataroot", pairs, "--model", "taught", "--netG", "resnet_6blocks", *TINY,
            "--n_epochs", 1, "--n_epochs_decay", 0, "--name", "t"]  # fmt: skip


class TestStyle:
    """User report 18: moved weights of a judge on resume need the flag that allows everything."""

    @pytest.fixture
    def trained(self, tmp_path):
        judge = torchvision.models.squeezenet1_0()
        torch.save(judge.state_dict(), tmp_path / "judge.pth")
        photo(7, (40, 36)).save(tmp_path / "painting.png")
        run_train("--dataroot", make_single(tmp_path / "photos", 1), "--model", "style", *TINY,
                  "--batch_size", 1, "--n_epochs", 1, "--name", "s", "--style_image",
                  "painting.png", "--perceptual_net", "squeezenet1_0", "--perceptual_weights",
                  "judge.pth")  # fmt: skip
        return tmp_path

    def test_moved_files_are_the_same_and_others_are_not(self, trained, capsys):
        """User report 18: digests are compared, of all flags that name files."""
        again = ["--name", "s", "--continue_train", "--n_epochs", 2, *CPU]
        (trained / "moved").mkdir()
        for name in ("judge.pth", "painting.png"):
            shutil.move(trained / name, trained / "moved" / name)
        run_train(*again, expect=2)
        assert "painting.png" in capsys.readouterr().err.splitlines()[-1]
        moved = ["--perceptual_weights", "moved/judge.pth", "--style_image", "moved/painting.png"]
        photo(8, (40, 36)).save(trained / "other.png")
        run_train(*again, *moved[:3], "other.png", expect=2)
        error = capsys.readouterr().err.splitlines()[-1]
        assert "--style_image ['painting.png'] -> ['other.png']" in error
        assert "perceptual_weights" not in error
        run_train(*again, *moved)
        shutil.copy(trained / "other.png", trained / "moved" / "painting.png")
        run_train(*again[:-3], 3, *CPU, expect=2)
        error = capsys.readouterr().err.splitlines()[-1]
        assert "--style_image ['moved/painting.png'] (other contents than it had)" in error


@pytest.mark.parametrize(("kind", "where", "given", "words"), [
    ("type=str", "init", "nowhere.pth", "--teacher nowhere.pth: No such file or directory"),
    ("type=str", "setup", "folder", "--teacher folder: folder/weights.bin: No such file"),
    ("type='file'", "init", "teached.pth", "teached.pth: no such file; did you mean teacher.pth"),
    ("type='file', life='network'", "init", "folder", "--teacher folder"),
])  # fmt: skip
def test_a_plugins_file_that_is_not_there_is_one_line(
    tmp_path, taught, monkeypatch, capsys, kind, where, given, words
):
    """User report 18: a plug-in's flag that names a file: one line when it is not there."""
    write_plugin(tmp_path / "plugins", monkeypatch, kind, where)
    (tmp_path / "folder").mkdir()
    (tmp_path / "teacher.pth").write_bytes(b"")
    run_train(*taught, "--teacher", given, expect=2)
    error = capsys.readouterr().err
    assert words in error.splitlines()[-1] and "Traceback" not in error
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("kind", ["type=str", "type='file'"])
def test_a_plugins_file_may_move_and_is_compared(tmp_path, taught, monkeypatch, capsys, kind):
    """User report 18: for flags that others declare, with and without the type."""
    write_plugin(tmp_path / "plugins", monkeypatch, kind)
    torch.save({"w": torch.ones(1)}, tmp_path / "teacher.pth")
    run_train(*taught, "--teacher", "teacher.pth")
    shutil.move(tmp_path / "teacher.pth", tmp_path / "moved.pth")
    again = ["--name", "t", "--continue_train", "--n_epochs", 2, *CPU]
    run_train(*again, expect=2)
    assert "--teacher teacher.pth: " in capsys.readouterr().err.splitlines()[-1]
    torch.save({"w": torch.zeros(1)}, tmp_path / "other.pth")
    run_train(*again, "--teacher", "other.pth", expect=2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--teacher teacher.pth -> other.pth" in error
    run_train(*again, "--teacher", "moved.pth")
    run_test("--dataroot", tmp_path / "pairs", "--name", "t", "--teacher", "moved.pth", *CPU)
