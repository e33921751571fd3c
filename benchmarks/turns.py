"""Processes that take turns: one runs, the others stand still, so that all meet the same machine.

A process prints a line at each step; it is stopped as a line arrives (SIGSTOP, with its workers)
and continued for its next turn. Starting up is left out, and a change of the machine's speed meets
all. Needs Linux or macOS.
"""

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

Tick = Callable[[str], bool]  # whether a line is one that is waited for
LOSSES = re.compile(r"\(epoch: \d+, iters: \d+, time: [\d.]+, data: [\d.]+\)")


class Failed(Exception):
    """A process ended, or said nothing for too long; the message is its last line."""


def is_losses(line: str) -> bool:
    """Whether it is one that all implementations print where losses are due."""
    return LOSSES.search(line) is not None


class Process:
    """A command whose lines are timed as they arrive.

    Args:
        is_tick: which lines count.
    """

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str],
                 is_tick: Tick) -> None:  # fmt: skip
        self.command, self.folder, self.environment = command, folder, environment
        self.is_tick = is_tick
        self.arrived: queue.Queue[tuple[float, str] | None] = queue.Queue()
        self.last: list[str] = []
        self.stops: list[tuple[float, float]] = []  # when it was stopped, when continued

    def __enter__(self) -> "Process":
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        """End it, with its workers: nobody needs what it would save."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.arrived.put((time.perf_counter(), line))
        self.arrived.put(None)

    def wait(self, count: int, timeout_s: float = 300) -> tuple[float, str]:
        """(when, text) of the line that ends `count` ticks from now on.

        Raises:
            Failed: it ended before, or took longer.
        """
        until = time.perf_counter() + timeout_s
        while True:
            try:
                item = self.arrived.get(timeout=max(0.0, until - time.perf_counter()))
            except queue.Empty:
                raise Failed(f"silent for {timeout_s:.0f} s; last: {self._said()}") from None
            if item is None:
                raise Failed(f"ended with {self.process.wait()}: {self._said()}")
            self.last = [*self.last[-20:], item[1]]
            if self.is_tick(item[1]):
                count -= 1
                if count <= 0:
                    return item

    def _said(self) -> str:
        lines = [line.strip() for line in self.last if line.strip()]
        return lines[-1] if lines else "nothing"

    def pause(self) -> float:
        """Stop it. Returns: when."""
        now = time.perf_counter()
        os.killpg(self.process.pid, signal.SIGSTOP)
        self.stops.append((now, float("inf")))
        return now

    def go_on(self) -> float:
        """Continue it. Returns: when."""
        now = time.perf_counter()
        self.stops[-1] = (self.stops[-1][0], now)
        os.killpg(self.process.pid, signal.SIGCONT)
        return now

    def running_s(self, moment: float) -> float:
        """Seconds that it had been running at a moment of `time.perf_counter`."""
        stopped = sum(min(on, moment) - off for off, on in self.stops if off < moment)
        return moment - self.began - stopped


def take_turns(
    processes: dict[str, Process], rounds: int, warm_up: int, turn_s: float, most: int,
    budget_s: float = 60,
) -> tuple[dict[str, list[float]], dict[str, str]]:  # fmt: skip
    """Seconds of a tick, for each process and turn.

    Args:
        processes: not yet started; they are started one after the other, and ended here.
        warm_up: ticks before the first turn, from 2 up; the first holds the start.
        turn_s: about how long a turn is.
        most: ticks that a process has before it ends or does something else.
        budget_s: there are fewer rounds, but three, where they would take longer.

    Returns:
        (name -> seconds of a tick in each round, name -> why it failed).
    """
    times: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    ticks: dict[str, int] = {}  # in a turn
    round_s = 1e-9

    def fail(name: str, error: Failed) -> None:
        processes[name].__exit__()
        failed[name] = str(error)
        times.pop(name, None)

    with contextlib.ExitStack() as started:
        for name, process in processes.items():
            started.enter_context(process)
            try:
                before = process.wait(warm_up - 1)[0]
                tick_s = process.wait(1)[0] - before
            except Failed as error:
                fail(name, error)
                continue
            process.pause()
            left = max(1, (most - warm_up) // rounds)
            ticks[name], times[name] = min(left, max(1, round(turn_s / tick_s))), []
            round_s += tick_s * ticks[name]
        for turn in range(min(rounds, max(3, int(budget_s / round_s)))):
            names = list(times)  # every other round backwards: nobody is always the first
            for name in names if turn % 2 == 0 else reversed(names):
                went_on = processes[name].go_on()
                try:
                    processes[name].wait(ticks[name])
                except Failed as error:
                    fail(name, error)
                else:
                    times[name].append((processes[name].pause() - went_on) / ticks[name])
    return times, failed
