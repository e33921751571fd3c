"""A server for the tests, in a thread of this process; its networks compute in no time."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from util.images.picture import Picture, in_range
from util.images.read import decode_picture
from util.images.write import encode_like

pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")
pytest.importorskip("starlette", reason="pip install -r requirements-serve.txt")
pytest.importorskip("python_multipart", reason="pip install -r requirements-serve.txt")

from util.serving.limits import Limits
from util.serving.models import Run
from util.serving.server import Serving, open_port


class Negative:
    """A network that makes negatives, and notes how many images it was given at a time.

    Args:
        before: called before it computes.
        couples: its images depend on each other, as under a norm over the batch.
    """

    def __init__(self, before: Callable[[], Any] = lambda: None, couples: bool = False) -> None:
        self.before, self.couples, self.batches = before, couples, []

    def decode(self, data: bytes, name: str) -> Picture:
        return decode_picture(name, data, 3)

    def translate_together(self, images: list[Picture], names: list[str]) -> list[torch.Tensor]:
        self.before()
        self.batches.append(len(images))
        made = torch.stack([-in_range(image.tensor()) for image in images])
        return list((made - made.mean() * self.couples).split(1))

    def encode(self, made, data, name, encoding) -> tuple[str, bytes]:
        return encode_like(made, data, name, None, encoding)


def run_of(network: Any, name: str = "negative", epochs: tuple[str, ...] = ("latest",)) -> Run:
    """A run that is loaded in no time."""
    facts = {"model": "none", "drawn": False, "size": 64}
    return Run(name, facts, ["AtoB"], lambda: list(epochs), lambda epoch: 0, lambda *_: network)


@contextlib.contextmanager
def serving(*runs: Run, hosts: tuple[str, ...] = (), **limits: Any) -> Iterator[Serving]:
    """A server at a free port, while it is entered; all is answered afterwards."""
    server = Serving(list(runs), Limits(**limits), open_port("127.0.0.1", 0), list(hosts))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.server.stop()
        thread.join()


def levels(size: tuple[int, int], seed: int) -> np.ndarray:
    """(H, W, 3), other values for each seed."""
    return np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
