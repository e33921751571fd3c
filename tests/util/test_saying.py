"""What the framework says: on the terminal, and to whoever listens with `logging`."""

import contextlib
import io
import logging
import logging.config
import os
import subprocess
import sys

import pytest

from tests.helpers import environment
from util.errors import UserError, log, one_line_errors, say, shown, warn


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
    second = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in second.items():
        monkeypatch.setenv(name, value)
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


PLUGIN = """
import argparse
from util.errors import UserError, one_line_errors, say, warn

@one_line_errors
def main(argv):
    say("said")
    print("printed by a plug-in")
    warn("warned")
    file = open("kept", "w")
    print("it is whole", file=file, flush=True)
    if argv:
        raise UserError("x: wrong")
    return 0

raise SystemExit(main(__import__("sys").argv[1:]))
"""
needs_full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device")


@needs_full_device
@pytest.mark.parametrize("argv, code", [([], 0), (["x"], 2)])
@pytest.mark.parametrize(
    "broken", [">/dev/full", "2>/dev/full", ">/dev/full 2>&1", ">&-", "2>&-", "<&- >&- 2>&-"]
)
def test_a_full_or_closed_stream_changes_nothing_but_what_is_seen(broken, argv, code, tmp_path):
    """Fault 97: stdout or stderr on a full disk, or closed; the exit code stays the command's own,
    and no file takes the place of a stream that is closed."""
    shell = f'exec "$@" {broken}'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-c", PLUGIN, *argv],
        capture_output=True, env=environment() | {"PYTHONUNBUFFERED": "1" * bool(argv)}, text=True,
    )  # fmt: skip
    assert done.returncode == code
    assert (tmp_path / "kept").read_text() == "it is whole\n"
    if broken == ">/dev/full":
        assert done.stderr.startswith(
            "warning: stdout cannot be written (No space left on device); going on without\n"
        )
        assert "error: x: wrong" in done.stderr or not argv
    if broken == "2>/dev/full":
        assert "stderr cannot be written (No space left on device)" in done.stdout
        assert "printed by a plug-in" in done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_a_plugins_print_to_a_reader_that_has_gone_away_ends_no_training():
    """Fault 97: a dead tee."""
    process = run("from util.errors import one_line_errors\n"
                  "main = one_line_errors(lambda argv: print('x' * 99999) or print('y') or 0)\n"
                  "raise SystemExit(main([]))")  # fmt: skip
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.parametrize(
    "name, told",
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("a\nerror: b", r"a\nerror: b"),
        ("a\rb\x07\x9b", r"a\rb\x07\x9b"),
        ("a\u202egnp.exe\u2066", r"a\u202egnp.exe\u2066"),
        ("a\u2028b", r"a\u2028b"),
        (os.fsdecode(b"a\xff"), r"a\xff"),
        ("Zürich 東京\u00a0नि\u200d", "Zürich 東京\u00a0नि\u200d"),
        ("Z\udcc3\udcbcrich", "Zürich"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_name_cannot_steer_the_terminal(name, told, capsys, caplog):
    """Fault 107: control characters in names are escaped for the terminal, and for whoever listens
    with `logging`; names in any script stay as they are."""
    warn(f"{name}: left out")
    with contextlib.suppress(SystemExit):
        raise_error(name)
    assert capsys.readouterr().err == f"warning: {told}: left out\nerror: {told}: wrong\n"
    assert [record.getMessage() for record in caplog.records] == [
        f"{told}: left out", f"{told}: wrong"
    ]  # fmt: skip
    say(f"one: {shown(name)}\ntwo")
    assert capsys.readouterr().out == f"one: {told}\ntwo\n"


@one_line_errors
def raise_error(name: str) -> int:
    raise UserError(f"{name}: wrong")


def test_the_trace_that_debug_shows_is_escaped_too(capsys, monkeypatch):
    """Fault 107."""
    monkeypatch.setattr(sys, "argv", ["x", "--debug"])
    one_line_errors(lambda argv: raise_unguarded("a\x1b[2J"))()
    err = capsys.readouterr().err
    assert "\x1b" not in err and "Traceback" in err


def raise_unguarded(name: str) -> int:
    raise UserError(f"{name}: wrong")


def test_a_librarys_logging_configuration_takes_no_error_away(capsys):
    logging.config.dictConfig({"version": 1})  # turns off every logger that it does not name
    assert failing([]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("when", ["before", "at work"])
def test_a_folder_that_is_deleted_under_a_command_is_one_line(tmp_path, capsys, monkeypatch, when):
    """Whatever the command, and wherever it meets it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    os.chdir(tmp_path / "here")
    if when == "before":
        (tmp_path / "here").rmdir()

    @one_line_errors
    def main(argv: list[str]) -> int:
        (tmp_path / "here").rmdir()
        return len(os.listdir(os.path.abspath("results")))

    assert main([]) == (2 if when == "before" else 1)
    told = capsys.readouterr().err
    assert told.startswith("error: the folder that this command was started in is not there any")
    assert told.count("\n") == 1
