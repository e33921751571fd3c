"""What scripts/serve.py adds to a network's time, what it does under many clients, and its memory.

    python benchmarks/serving.py [--images 16] [--rounds 3] [--threads 1]

A generator with random weights translates photographs of 256 x 256 px: by a Translator in a loop,
by the server for one client after the other, and for all clients at a time, one by one and in
batches. The four take turns; medians, of the clock and of the cores' time, which other work on the
machine disturbs less. Needs requirements-serve.txt.
"""

import argparse
import http.client
import io
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import _root

import skimage.data
import torch
from PIL import Image

from models import networks
from models.compute.process import tune_process
from scripts.served_runs import find_runs
from translate import Translator
from util.machine import cores, peak_mib
from util.serving.limits import Limits
from util.serving.server import Serving, open_port

PX = 256


def make_run(folder: Path, netG: str, ngf: int) -> Path:
    """A run whose weights are as they are drawn."""
    run = folder / "checkpoints" / "drawn"
    run.mkdir(parents=True)
    net = networks.define_G(3, 3, ngf, netG, "instance")
    torch.save(net.state_dict(), run / "latest_net_G.pth")
    (run / "train_opt.yaml").write_text(
        f"name: drawn\nmodel: pix2pix\nnetG: {netG}\nngf: {ngf}\nnorm: instance\nno_dropout: true\n"
    )
    return run


def photographs(count: int) -> list[bytes]:
    """PNG files, each another piece of one photograph."""
    photo, files = Image.fromarray(skimage.data.astronaut()), []
    for number in range(count):
        x, y = 37 * number % PX, 53 * number % PX
        content = io.BytesIO()
        photo.crop((x, y, x + PX, y + PX)).save(content, "PNG")
        files.append(content.getvalue())
    return files


class Clients:
    """A server, and clients of it.

    Args:
        batch: images that may go through the network together.
    """

    def __init__(self, run: Path, batch: int) -> None:
        runs = find_runs([str(run)], run.parent, {"device": "cpu"})
        self.serving = Serving(
            runs, Limits(batch=batch, wait_s=3600), open_port("127.0.0.1", 0), []
        )
        self.thread = threading.Thread(target=self.serving.run)
        self.thread.start()

    def ask(self, file: bytes) -> float:
        """Seconds that an answer takes."""
        began = time.perf_counter()
        client = http.client.HTTPConnection(*self.serving.listener.getsockname())
        client.request("POST", "/translate", file, {"Content-Type": "image/png"})
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200
        client.close()
        return time.perf_counter() - began

    def ask_at_once(self, files: list[bytes]) -> None:
        """As many clients as files."""
        with ThreadPoolExecutor(len(files)) as pool:
            list(pool.map(self.ask, files))

    def stop(self) -> None:
        """End the server."""
        self.serving.server.stop()
        self.thread.join()


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of all cores."""
    began, cores_began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cores_began


def resident_mib() -> float:
    """Of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def measure(run: Path, files: list[bytes], rounds: int) -> None:
    """Print a table."""
    translator = Translator.load(run, device="cpu")
    alone, batches = Clients(run, 1), Clients(run, 4)

    def loop() -> None:
        for file in files:
            made = translator.translate(translator.decode(file))
            translator.encode(made, file)

    ways = {
        "Translator in a loop": loop,
        "one client after the other": lambda: [alone.ask(file) for file in files],
        f"{len(files)} clients, one by one": lambda: alone.ask_at_once(files),
        f"{len(files)} clients, batches of 4": lambda: batches.ask_at_once(files),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first warms up
        for name, work in ways.items():
            took = timed(work)
            if number:
                times[name].append(took)
    plain = None
    for name, rows in times.items():
        clock, busy = (
            1000 * statistics.median(each) / len(files) for each in zip(*rows, strict=True)
        )
        plain = plain or busy
        print(f"{name:<30}{clock:8.0f} ms, {busy:8.0f} ms of cores ({busy / plain:.2f})")
    before, count = resident_mib(), 5
    for _ in range(count):
        batches.ask_at_once(files)
    grown = resident_mib() - before
    print(f"memory after {count * len(files)} more images: {grown:+.0f} MiB, peak {peak_mib()} MiB")
    alone.stop()
    batches.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--netG", default="resnet_9blocks")
    parser.add_argument("--ngf", type=int, default=64)
    parser.add_argument("--threads", type=int, default=cores(), help="of torch")
    args = parser.parse_args()
    tune_process("cpu")
    torch.set_num_threads(args.threads)
    print(f"{args.netG}, ngf {args.ngf}, {PX} x {PX} px, {args.threads} threads; per image:")
    with tempfile.TemporaryDirectory() as name:
        run = make_run(Path(name), args.netG, args.ngf)
        measure(run, photographs(args.images), args.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
