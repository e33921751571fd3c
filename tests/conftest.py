import signal
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch

THOROUGH = [
    f"tests/{line}"
    for line in (Path(__file__).parent / "thorough.txt").read_text().splitlines()
    if not line.startswith("#")
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what thorough.txt lists, where the whole suite is asked for: who names a file or a test
    wants all of it. A line that names no test is a mistake."""
    asked = {(config.invocation_params.dir / name).resolve() for name in config.args}
    if not asked <= {config.rootpath, config.rootpath / "tests"}:
        return
    found = set()
    for item in items:
        lines = {line for line in THOROUGH if fnmatchcase(item.nodeid, line)}
        if lines:
            item.add_marker("thorough")
            found |= lines
    if lost := sorted(set(THOROUGH) - found):
        raise pytest.UsageError(f"tests/thorough.txt: no such test: {', '.join(lost)}")


@pytest.fixture(autouse=True, scope="session")
def one_thread_each():
    """The suite runs in several processes; tiny networks gain nothing from threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread_in_commands(monkeypatch):
    """The same for what tests start: threads that wait for a core of others are slow."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Every test starts in an empty folder, so that nothing is written into the project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def signals_of_a_terminal():
    """A shell starts what stands before `&` with SIGINT ignored, and nohup with SIGHUP: tests, and
    the processes that they start, would never get them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    ignored = [number for number, handler in before.items() if handler is signal.SIG_IGN]
    for number in ignored:
        is_ctrl_c = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_ctrl_c else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
