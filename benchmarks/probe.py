"""Runs a script as it is, and notes when each part of a training step began.

    python benchmarks/probe.py RECORD SCRIPT FLAG ...

It works on any checkout whose train.py takes `create_dataset` from data and `create_model` from
models, with `optimize_parameters`, as published. A line of RECORD is a step:
{"marks": [[phase, when it began], ...], "end": ..., "peak": bytes, "flops": of the first step}.
Times are seconds of `time.perf_counter`; on a GPU they are those of CUDA events, on the same scale.
"""

import collections
import contextlib
import functools
import json
import os
import resource
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.flop_counter import FlopCounterMode


class HostClock:
    """Moments are seconds."""

    def now(self) -> float:
        return time.perf_counter()

    def passed(self, moment: float) -> bool:
        return True

    def seconds(self, moment: float) -> float:
        return moment


class DeviceClock:
    """Moments are CUDA events: what the device had done, not what it had been asked to do."""

    def __init__(self) -> None:
        torch.cuda.synchronize()
        self.first, self.began_s = self.now(), time.perf_counter()

    def now(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def passed(self, moment: torch.cuda.Event) -> bool:
        return moment.query()

    def seconds(self, moment: torch.cuda.Event) -> float:
        return self.began_s + self.first.elapsed_time(moment) / 1000


class Steps:
    """Writes a step's line once the device has done it; never waits for the device."""

    def __init__(self, path: str, count_flops: bool) -> None:
        self.file = open(path, "w", buffering=1)  # noqa: SIM115  (open until the process is ended)
        self.clock: HostClock | DeviceClock | None = None
        self.marks: list[tuple[str, Any]] = []
        self.done: collections.deque = collections.deque()
        self.count_flops, self.flops = count_flops, 0

    def phase(self, name: str) -> str:
        """A phase begins; returns the one that ends."""
        if self.clock is None:
            self.clock = DeviceClock() if torch.cuda.is_initialized() else HostClock()
        before = self.marks[-1][0] if self.marks else ""
        self.marks.append((name, self.clock.now()))
        return before

    def inside(self, name: str, work: Callable) -> Callable:
        """`work` as a phase within the one that it is called in."""

        @functools.wraps(work)
        def timed(*args: Any, **kwargs: Any) -> Any:
            before = self.phase(name)
            try:
                return work(*args, **kwargs)
            finally:
                self.phase(before)

        return timed

    def end(self) -> None:
        """A step ends, the next one begins."""
        if len(self.marks) > 1:
            self.done.append((self.marks, self.clock.now()))
        self.marks = []
        while self.done and self.clock.passed(self.done[0][1]):
            marks, end = self.done.popleft()
            line = {"marks": [[name, self.clock.seconds(moment)] for name, moment in marks],
                    "end": self.clock.seconds(end), "peak": peak_bytes()}  # fmt: skip
            if self.flops:
                line["flops"], self.flops = self.flops, 0
            self.file.write(json.dumps(line) + "\n")

    def batches(self, iterate: Callable) -> Callable:
        """The loader's `__iter__`: a step is from asking for a batch to asking for the next."""

        def timed(loader: Any) -> Iterator:
            batches = iter(iterate(loader))
            while True:
                self.end()
                self.phase("data")
                batch = next(batches, None)
                if batch is None:
                    return
                self.phase("forward")
                yield batch

        return timed

    def optimize(self, work: Callable) -> Callable:
        """`optimize_parameters`: what comes after it until the next batch is neither."""

        def timed() -> None:
            if self.count_flops:  # the first step is not timed: it warms up
                self.count_flops = False
                with FlopCounterMode(display=False) as counter:
                    work()
                self.flops = counter.get_total_flops()
            else:
                work()
            self.phase("other")

        return timed


def peak_bytes() -> int:
    """The most memory until now: of the GPU's tensors, else of this process."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    try:
        with open("/proc/self/status") as status:  # ru_maxrss would hold the parent's too
            return next(int(line.split()[1]) * 1024 for line in status if line[:6] == "VmHWM:")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


def observe(steps: Steps) -> None:
    """Put `steps` around what train.py will import."""
    import data
    import models

    create_dataset, create_model = data.create_dataset, models.create_model

    def observed_dataset(*args: Any, **kwargs: Any) -> Any:
        dataset = create_dataset(*args, **kwargs)
        kind = type(dataset)
        kind.__iter__ = steps.batches(kind.__iter__)
        return dataset

    def observed_model(*args: Any, **kwargs: Any) -> Any:
        model = create_model(*args, **kwargs)
        model.optimize_parameters = steps.optimize(model.optimize_parameters)
        return model

    data.create_dataset, models.create_model = observed_dataset, observed_model
    torch.Tensor.backward = steps.inside("backward", torch.Tensor.backward)
    before: list[str] = []
    register_optimizer_step_pre_hook(lambda *_: before.append(steps.phase("optimizer")))
    register_optimizer_step_post_hook(lambda *_: steps.phase(before.pop()) and None)


def main() -> None:
    record, script, *flags = sys.argv[1:]
    sys.argv = [script, *flags]
    sys.path[0] = os.getcwd()
    with contextlib.suppress(ImportError, AttributeError):  # made otherwise: only its lines count
        observe(Steps(record, "--compile" not in flags))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
