"""Commands that are printed can be pasted, whatever the names."""

import argparse
import io
import itertools
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from options import test_options, train_options
from tests.helpers import TINY, make_aligned
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.record import command_line, quoted
from util.training import session

NAMES = ["-n", "--name", "-1", "a b", "it's", 'say "x"', "$HOME", "$(id)", "`id`", "a\nb", "a\tb",
         "*", "~", "#x", "!x", "a;b", "\x1b[31mred", "ü", "日本", "a\\b'c\n", "\u202eabc", "{x}",
         "=x", "a&b", "x=y", "", os.fsdecode(b"\xff\xe9")]  # fmt: skip


def typed(line: str) -> list[bytes]:
    """The words that a shell makes of a line."""
    show = "import sys, os; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    bash = shutil.which("bash") or pytest.skip("no bash here")
    script = f"python3 -c {shlex.quote(show)} {line}"
    done = subprocess.run([bash, "-c", script], capture_output=True, check=True)
    return done.stdout.split(b"\0")


def test_a_shell_gives_back_every_word():
    """Fault 108: spaces, quotes, newlines, $, what is no UTF-8; in one line that can be printed."""
    line = " ".join(map(quoted, NAMES))
    assert line.isprintable()
    assert typed(line) == [os.fsencode(name) for name in NAMES]


def test_a_flag_takes_its_value_whatever_it_begins_with():
    """Fault 108: --name=-n."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name")
    parser.add_argument("--end", action="store_true")
    names = [name for name in NAMES if name]
    line = " ".join(command_line([], {"name": name, "end": None}) for name in names)
    words = iter(map(os.fsdecode, typed(line)))
    for name in names:
        given = [*itertools.takewhile(lambda word: word != "--end", words), "--end"]
        assert vars(parser.parse_args(given)) == {"name": name, "end": True}


@pytest.mark.parametrize("name", ["-n", "a b", "it's", "$x", "ü"])
def test_what_a_training_prints_can_be_typed(capsys, name):
    """Fault 108: the commands that go on and that test, in folders named like that as well."""
    Path(f"data {name}").mkdir()
    trained = train_options.TrainOptions()
    opt = trained.parse(
        [f"--dataroot=data {name}", f"--name={name}", f"--checkpoints_dir=-runs {name}",
         "--device", "cpu"])  # fmt: skip
    trained.save(opt.run_dir)
    for line, options in ((session.resume_command(opt), train_options.TrainOptions()),
                          (session.test_command(opt), test_options.TestOptions())):  # fmt: skip
        _, script, *words = shlex.split(line)
        assert script in ("train.py", "test.py")
        if options.isTrain:
            words.append(f"--dataroot={opt.dataroot}")
        again = options.parse(words)
        assert (again.name, again.run_dir, again.dataroot) == (name, opt.run_dir, opt.dataroot)


def test_the_next_command_of_a_run_called_n(tmp_path, capsys):
    """Fault 108, as it was met."""
    data = make_aligned(tmp_path / "-d", 2).relative_to(tmp_path)
    run_train(f"--dataroot={data}", "--name=-n", "--model", "pix2pix", "--netG", "resnet_6blocks",
              "--n_epochs", 1, "--n_epochs_decay", 0, "--no_html", *TINY)  # fmt: skip
    (line,) = [text for text in capsys.readouterr().out.splitlines() if text.startswith("next: ")]
    assert line == "next: python test.py --dataroot=-d --name=-n"
    run_test(*shlex.split(line)[3:], "--gpu_ids", -1)
    page = next(Path("results/-n").glob("*/index.html")).read_text()
    assert "python test.py --dataroot=-d --name=-n --gpu_ids -1" in page


def test_words_that_a_terminal_has_no_letters_for_can_be_pasted(monkeypatch):
    """In a C locale, where they would be printed as \\xfc."""
    assert quoted("ü b") == "'ü b'"
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert quoted("ü b") == r"$'\xc3\xbc b'"
