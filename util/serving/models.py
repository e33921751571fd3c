"""Runs that are served, and their networks in memory: loaded once, the last used stay."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from util.errors import UserError, did_you_mean
from util.images.picture import Picture
from util.images.write import Encoding
from util.lazy import torch
from util.serving.limits import Refused

HALF_A_LEVEL = 1 / 255  # of 255, in [-1, 1]


class Network(Protocol):
    """What translates, e.g. a `translate.Translator`."""

    def decode(self, data: bytes, name: str) -> Picture:
        """The image of a file."""

    def translate_together(self, images: list[Picture], names: list[str]) -> list[torch.Tensor]:
        """Pictures of one size -> (1, C, H, W) each, in [-1, 1]."""

    def encode(
        self, made: torch.Tensor, data: bytes, name: str, encoding: Encoding | None
    ) -> tuple[str, bytes]:
        """The extension and the content of a file that is like another one."""


@dataclass(frozen=True)
class Run:
    """A run that is served.

    Args:
        name: that requests call it by.
        facts: what the page and /runs tell of it.
        directions: that its networks translate in; the first is that of its training.
        epochs: those that are saved by now, the one to use first.
        stamp: of an epoch; another one where its weights have changed.
        load: (epoch, direction) -> the network.
    """

    name: str
    facts: dict[str, Any]
    directions: list[str]
    epochs: Callable[[], list[str]]
    stamp: Callable[[str], Hashable]
    load: Callable[[str, str], Network]


@dataclass(frozen=True)
class Choice:
    """A network that a request asks for."""

    run: Run
    epoch: str
    direction: str

    @classmethod
    def of(cls, runs: dict[str, Run], asked: dict[str, str]) -> Choice:
        """What is asked for, by name; what is not said is the first there is.

        Raises:
            Refused: there is no such thing.
        """
        run = runs[_chosen("run", asked, list(runs))]
        return cls(run, _chosen("epoch", asked, run.epochs()),
                   _chosen("direction", asked, run.directions))  # fmt: skip


def _chosen(what: str, asked: dict[str, str], known: list[str]) -> str:
    if not known:
        raise Refused(404, f"{what}: none is there any more; was the run's folder moved?")
    if (name := asked.get(what, known[0])) not in known:
        near = did_you_mean(name, known)
        raise Refused(404, f"{what} {name}: not served; accepted: {', '.join(known)}{near}")
    return name


class Models:
    """Networks in memory; for one thread.

    Args:
        most: that are kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: OrderedDict[tuple, tuple[Hashable, Network]] = OrderedDict()
        self._alike: dict[int, bool] = {}  # id of a held network -> see `together`

    def get(self, choice: Choice) -> Network:
        """The network; read from disk if it is not held, or if its file has changed.

        Raises:
            Refused: it cannot be loaded.
        """
        key = (choice.run.name, choice.epoch, choice.direction)
        stamp = choice.run.stamp(choice.epoch)
        if key in self._held and self._held[key][0] == stamp:
            self._held.move_to_end(key)
            return self._held[key][1]
        old = [self._held.pop(key)] if key in self._held else []
        while len(self._held) >= self.most:
            old.append(self._held.popitem(last=False)[1])
        if old:
            old.clear()
            self._forget()
        try:
            network = choice.run.load(choice.epoch, choice.direction)
        except UserError as error:
            raise Refused(500, str(error)) from error
        self._held[key] = stamp, network
        return network

    def together(self, network: Network, channels: int) -> bool:
        """Whether images that go through a network at once come out as they do alone; it is tried
        out, since a network of somebody's own may norm over all of them."""
        if id(network) not in self._alike:
            self._alike[id(network)] = False  # also where trying fails, as on label maps
            self._alike[id(network)] = _alike(network, channels)
        return self._alike[id(network)]

    def _forget(self) -> None:
        """Let go of the memory of networks that are no longer held."""
        held = {id(network) for _, network in self._held.values()}
        self._alike = {key: alike for key, alike in self._alike.items() if key in held}
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _alike(network: Network, channels: int) -> bool:
    draw = np.random.default_rng(0).random((2, 64, 64, channels), np.float32)
    pictures = [Picture(draw[0] * 0.2), Picture(1 - draw[1] ** 3)]  # a dark one and a bright one
    both = network.translate_together(pictures, ["a probe"] * 2)
    alone = [network.translate_together([one], ["a probe"])[0] for one in pictures]
    pairs = zip(both, alone, strict=True)
    return all((a - b).abs().max().item() <= HALF_A_LEVEL for a, b in pairs)
