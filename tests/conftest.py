import signal

import pytest
import torch


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
