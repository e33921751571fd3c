"""What the framework says: on the terminal, and to whoever listens with `logging`."""

import io
import logging
import logging.config
import os
import subprocess
import sys

import pytest

from tests.helpers import environment
from util.errors import UserError, log, one_line_errors, say, warn


@one_line_errors
def failing(argv: list[str]) -> int:
    raise UserError("x: 50% is %s wrong")


def test_lines_go_to_the_streams_of_the_moment(capsys):
    say("one")
    warn("two")
    say("three", logging.WARNING)
    assert failing([]) == 2
    told = capsys.readouterr()
    assert told.out == "one\n"
    assert told.err == "warning: two\nthree\nerror: x: 50% is %s wrong\n"


def test_others_hear_it_at_its_level(caplog):
    say("one")
    warn("two")
    failing([])
    assert caplog.record_tuples == [
        (log.name, logging.INFO, "one"),
        (log.name, logging.WARNING, "two"),
        (log.name, logging.ERROR, "x: 50% is %s wrong"),
    ]


@pytest.fixture
def level():
    """The logger's level, put back after the test."""
    before = log.level
    yield
    log.setLevel(before)


def test_it_can_be_turned_down(capsys, level):
    log.setLevel(logging.WARNING)
    say("one")
    warn("two")
    assert capsys.readouterr() == ("", "warning: two\n")


def test_of_several_processes_the_first_speaks_and_each_tells_its_error(
    monkeypatch, capsys, caplog
):
    monkeypatch.setenv("RANK", "1")
    say("one")
    warn("two")
    failing([])
    assert capsys.readouterr() == ("", "error: x: 50% is %s wrong\n")
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "ERROR"]


@pytest.fixture
def root_handlers(monkeypatch):
    """The root logger's, put back after the test."""
    monkeypatch.setattr(logging.root, "handlers", handlers := [])
    return handlers


def test_a_notebooks_own_handler_does_not_repeat_the_line(root_handlers, capsys):
    file = logging.StreamHandler(io.StringIO())
    root_handlers += [logging.StreamHandler(sys.stderr), file]
    say("one")
    warn("two")
    logging.getLogger("other").warning("three")
    assert capsys.readouterr() == ("one\n", "warning: two\nthree\n")
    assert file.stream.getvalue() == "one\ntwo\nthree\n"


def run(code: str, **more: str) -> subprocess.Popen:
    """A process that says something, once its stdin is closed."""
    code = f"import sys; sys.stdin.read(); from util.errors import say, warn\n{code}"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-c", code], env=environment() | more, **pipes)


def test_a_reader_that_has_gone_away_is_no_reason_to_fail():
    process = run("say('one'); say('two'); warn('three')")
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b"warning: three\n"
    assert process.wait() == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_has_no_such_letters_gets_their_numbers(encoding):
    name = "'\\u540d'"
    process = run(f"say({name}); warn({name})", PYTHONIOENCODING=encoding)
    out, err = process.communicate()
    assert (out.strip(), err.strip()) == (rb"\u540d", rb"warning: \u540d")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_full_disk_is_told():
    code = "from util.errors import one_line_errors\n"
    code += "raise SystemExit(one_line_errors(lambda argv: say('one') or 0)([]))"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"from util.errors import say\n{code}"],
            stdout=full, stderr=subprocess.PIPE, env=environment(), text=True,
        )  # fmt: skip
    assert "cannot be written (No space left on device)" in done.stderr
    assert done.returncode != 0


def test_a_librarys_logging_configuration_takes_no_error_away(capsys):
    logging.config.dictConfig({"version": 1})  # turns off every logger that it does not name
    assert failing([]) == 2
    assert capsys.readouterr().err.startswith("error: ")
