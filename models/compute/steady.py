"""Norms that take all images by the same statistics: those of a few of them. For the frames of a
video: where each frame has its own, they differ from one to the next, and the picture flickers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from models.compute.configure import Form, exchange, forms, undo
from models.compute.norms import is_batch_norm

Run = Callable[[], None]  # sends some of the images through the networks


class _Measured(Exception):
    """A norm has seen its input, and all its statistics are not there yet: what follows would be
    computed in vain."""


class HeldStatistics:
    """What a norm takes for the mean and the variance of each channel.

    They are the means over images of each image's own: what a typical image has. (Over all pixels
    of all images at once, benchmarks/video.py finds no more and no less flicker.)

    Args:
        at_once: all images come in one batch; else the norm waits for the others.
    """

    def __init__(self, at_once: bool) -> None:
        self.at_once = at_once
        self.images = 0
        self.mean: torch.Tensor | float = 0.0
        self.variance: torch.Tensor | float = 0.0
        self.whole = False

    def add(self, x: torch.Tensor, groups: int) -> None:
        """Take images into account, (N, C, H, W), whose channels are normed in so many groups."""
        values = x.detach().double().reshape(len(x), groups, -1)  # (N, groups, numbers of one)
        size = x.shape[1] // groups
        self.mean = self.mean + values.mean(2).sum(0).repeat_interleave(size)
        own = values.var(2, unbiased=False).sum(0)
        self.variance = self.variance + own.repeat_interleave(size)
        self.images += len(x)

    def finish(self) -> None:
        """Hold what was seen."""
        self.mean = (self.mean / self.images).float()
        self.variance = (self.variance / self.images).float()
        self.whole = True

    def norm(
        self, x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, eps: float,
        groups: int = 0,
    ) -> torch.Tensor:  # fmt: skip
        """(N, C, H, W) -> the same shape, by the statistics held.

        Args:
            weight, bias, eps: of the norm.
            groups: of channels; 0: each is normed by itself.
        """
        if not self.whole:
            self.add(x, groups or x.shape[1])
            if not self.at_once:
                raise _Measured
            self.finish()
        known = self.mean, self.variance, weight, bias
        return F.batch_norm(x.float(), *known, False, 0.0, eps)  # as in half precision, too


class _Within(TorchFunctionMode):
    """Inside of a layer with a forward of its own, torch's norms are those that hold."""

    def __init__(self, held: HeldStatistics) -> None:
        super().__init__()
        self.held = held

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """A call of torch, which is another one if it is an instance norm."""
        if func is not F.instance_norm:
            return func(*args, **(kwargs or {}))
        given = inspect.signature(F.instance_norm).bind(*args, **(kwargs or {}))
        given.apply_defaults()
        norm = given.arguments
        return self.held.norm(norm["input"], norm["weight"], norm["bias"], norm["eps"])


def _by(held: HeldStatistics) -> Callable[..., torch.Tensor]:
    """The forward of a norm that holds its statistics."""

    def forward(layer: nn.Module, x: torch.Tensor, *more: object) -> torch.Tensor:
        if isinstance(layer, nn.GroupNorm):
            return held.norm(x, layer.weight, layer.bias, layer.eps, layer.num_groups)
        if is_batch_norm(layer) or type(layer) is nn.InstanceNorm2d:
            return held.norm(x, layer.weight, layer.bias, layer.eps)
        with _Within(held):
            return type(layer).forward(layer, x, *more)

    return forward


def takes_own_statistics(layer: nn.Module) -> bool:
    """Whether a layer norms images by what they themselves are, and not by what was learnt."""
    if isinstance(layer, nn.GroupNorm):
        return True
    norms = (nn.InstanceNorm2d, nn.BatchNorm2d)
    return isinstance(layer, norms) and (layer.training or layer.running_mean is None)


def hold_statistics(nets: Iterable[nn.Module], runs: list[Run]) -> int:
    """Let the norms of networks take all images by the same statistics, those of some images.

    What a norm sees depends on the norms before it, so they are found in the order of the forward,
    each with those before it held. With all images in one run that is one forward, else one from
    the first layer to the norm for each norm and run.

    Args:
        runs: each sends other images through; a batch of them, or one.

    Returns: how many norms that are; 0: none, as their running statistics hold for all anyway.
    """
    nets = list(nets)
    release_statistics(nets)
    aside = [(net, form) for net in nets for form in forms(net)
             if form.purpose in ("tiles", "compile")]  # fmt: skip
    for net in nets:
        undo(net, "tiles", "compile")
    held: dict[nn.Module, HeldStatistics] = {}
    for layer in (layer for net in nets for layer in net.modules() if takes_own_statistics(layer)):
        held[layer] = HeldStatistics(len(runs) == 1)
        exchange(layer, Form("steady", "held statistics", lambda _, own=held[layer]: _by(own)))
    try:
        while _measure(runs):
            for statistics in held.values():
                if statistics.images and not statistics.whole:
                    statistics.finish()
    except BaseException:
        release_statistics(nets)
        raise
    finally:
        for net, form in aside:
            exchange(net, form)
    for layer, statistics in held.items():
        if not statistics.whole:  # the forward does not come to it
            undo(layer, "steady")
    return sum(statistics.whole for statistics in held.values())


def release_statistics(nets: Iterable[nn.Module]) -> None:
    """Let norms take each image by its own statistics again."""
    for net in nets:
        undo(net, "steady")


def _measure(runs: list[Run]) -> bool:
    """Send all images through; whether a norm has measured them, and waits."""
    measured = False
    for run in runs:
        try:
            run()
        except _Measured:
            measured = True
    return measured
