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
