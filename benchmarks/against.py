"""What another checkout can be compared in besides training: loading, test.py, starting up.

    python benchmarks/run.py --only loader test start

Everything through the published interfaces: command lines, weight files, `create_dataset(opt)`.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.checkout import Checkout
from benchmarks.train_step import CASES, QUIET, Effort, train_process
from benchmarks.turns import Failed, Process, take_turns
from models.networks import define_G

LOADERS = {  # mode -> model, numbers of workers
    "aligned": ("pix2pix", (0, 2)),
    "unaligned": ("cycle_gan", (0,)),
    "colorization": ("colorization", (0,)),
}
LOADER_VARIANT = "--cache off"  # what a first epoch takes; `ours` are the epochs after it
EPOCH, IMAGES = 100, 20  # images, and those between two lines of the loader's driver
GENERATOR = {"netG": "resnet_9blocks", "norm": "instance"}
TESTS = {16: (100, 2), 64: (10, 1)}  # ngf -> images and rounds; a wide network is slow
TEST_VARIANTS = ("--precision bf16",)  # flags that change the speed, and the numbers a little
ROUNDING = 2  # grey levels that results may differ in: some cut fractions off


def sides(ours: Checkout, other: Checkout | None) -> dict[str, Checkout]:
    """Name -> checkout, the baseline first."""
    return ({"baseline": other} if other is not None else {}) | {"ours": ours}


def loader(ours: Checkout, other: Checkout | None, data: Path, effort: Effort) -> list[dict]:
    """Seconds an image of each dataset, in one process on one core, and with two workers."""
    rows = []
    checkouts = sides(ours, other)
    if ours.knows(LOADER_VARIANT.split()):
        checkouts[f"ours {LOADER_VARIANT}"] = ours
    for mode, (model, numbers) in LOADERS.items():
        for workers in numbers[: 1 if effort.small else None]:
            print(f"loader: {mode}, {workers} workers", flush=True)
            flags = ["--model", model, "--dataroot", str(data), "--num_threads", str(workers),
                     "--seed", "1", "--max_dataset_size", str(EPOCH)]  # fmt: skip
            processes = {
                side: Process(
                    [c.python, *_driver(c, [*flags, *side.split()[1:]])], c.folder,
                    c.environment | {"OMP_NUM_THREADS": "1"}, lambda line: line[:6] == "images",
                )
                for side, c in checkouts.items() if c.knows(flags[:2])
            }  # fmt: skip
            warm_up = EPOCH // IMAGES + 1
            times, failed = take_turns(processes, effort.rounds, warm_up, effort.turn_s / 2, 10**6)
            found = {side: {"s": [s / IMAGES for s in ticks]} for side, ticks in times.items()}
            rows.append({"case": f"{mode}, {_workers(workers)}", "sides": found, "failed": failed})
    return rows


def _driver(checkout: Checkout, flags: list[str]) -> list[str]:
    script = str(Path(__file__).with_name("loader_driver.py"))
    return [script, str(IMAGES), *checkout.command("", flags)[1:]]


def _workers(count: int) -> str:
    return f"{count} workers" if count else "one core, no worker"


def test(ours: Checkout, other: Checkout | None, data: Path, effort: Effort) -> list[dict]:
    """Seconds of test.py, end to end, on the same images and weights."""
    tests = {16: (5, 1)} if effort.small else TESTS
    return [
        _test(ours, other, data, ngf, images, rounds) for ngf, (images, rounds) in tests.items()
    ]


def _test(
    ours: Checkout, other: Checkout | None, data: Path, ngf: int, images: int, rounds: int
) -> dict:
    print(f"test: {images} images, ngf {ngf}", flush=True)
    runs = data / f"test_runs_{ngf}"
    (runs / "weights").mkdir(parents=True)
    torch.manual_seed(1)
    net = define_G(3, 3, ngf=ngf, **GENERATOR)
    torch.save(net.state_dict(), runs / "weights" / "latest_net_G.pth")
    words = [word for key, value in GENERATOR.items() for word in (f"--{key}", value)]
    words += ["--ngf", str(ngf), "--model", "test", "--dataroot", str(data / "testA"), "--name",
              "weights", "--checkpoints_dir", str(runs), "--num_test", str(images),
              "--no_dropout", "--preprocess", "resize_and_crop", "--load_size", "256",
              "--crop_size", "256"]  # fmt: skip
    variants = [f"ours {flags}" for flags in TEST_VARIANTS if ours.knows(flags.split())]

    def run(side: str, checkout: Checkout) -> None:
        flags = [*words, *side.split()[1:], "--results_dir", str(runs / side)]
        _finished([checkout.python, *checkout.command("test.py", flags)], checkout)

    found = _alternate(run, sides(ours, other) | dict.fromkeys(variants, ours), rounds)
    exact = [runs / side for side in found["sides"] if side not in variants]
    return {
        "case": f"test.py, {images} images, resnet_9blocks, ngf {ngf}, 256 px",
        "levels_apart": levels_apart(exact, images),
    } | found


def levels_apart(results: list[Path], images: int) -> int:
    """The most grey levels between two checkouts' results of the first image.

    Raises:
        Failed: pictures are missing, or differ by more than rounding.
    """
    found = [sorted(folder.rglob("*_fake.png")) for folder in results]
    if any(len(files) != images for files in found):
        raise Failed(f"test.py wrote {[len(files) for files in found]} results of {images} images")
    pictures = [np.asarray(Image.open(files[0])).astype(int) for files in found]
    apart = max(int(abs(picture - pictures[0]).max()) for picture in pictures)
    if apart > ROUNDING:
        raise Failed(f"test.py: results are {apart} grey levels apart; nothing to compare")
    return apart


def start(ours: Checkout, other: Checkout | None, data: Path, effort: Effort) -> list[dict]:
    """Seconds of --help, of a wrong flag, and from the command to the first line of losses."""
    _, flags = next(iter(CASES.values()))
    rows = []

    def show_help(side: str, checkout: Checkout) -> None:
        _finished([checkout.python, "train.py", "--help"], checkout)

    def wrong_flag(side: str, checkout: Checkout) -> None:
        _finished([checkout.python, "train.py", "--no_such_flag", "1"], checkout, accepted=2)

    def first_step(side: str, checkout: Checkout) -> None:
        words = [*flags.split(), "--dataroot", str(data), "--name", side, "--checkpoints_dir",
                 str(data / "start"), "--print_freq", "1", *QUIET]  # fmt: skip
        with train_process(checkout, words, data / f"start_{side}.jsonl") as process:
            process.wait(1)

    _alternate(show_help, sides(ours, other), 1)  # fills the system's cache of files
    for case, work in (("train.py --help", show_help),
                       ("train.py with a wrong flag", wrong_flag),
                       ("to the first step, small pix2pix", first_step)):  # fmt: skip
        print(f"start: {case}", flush=True)
        rows.append({"case": case} | _alternate(work, sides(ours, other), min(2, effort.rounds)))
    return rows


def _finished(command: list[str], checkout: Checkout, accepted: int = 0) -> None:
    done = subprocess.run(
        command, cwd=checkout.folder, env=checkout.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode != accepted:
        said = (done.stdout.strip() or "nothing").splitlines()[-1]
        raise Failed(f"ended with {done.returncode}: {said}")


def _alternate(
    work: Callable[[str, Checkout], None], checkouts: dict[str, Checkout], rounds: int
) -> dict:
    """Seconds of the work of each checkout in turn, every other round backwards; none for those
    that fail."""
    times: dict[str, list[float]] = {side: [] for side in checkouts}
    failed: dict[str, str] = {}
    for turn in range(rounds):
        for side in list(times) if turn % 2 == 0 else reversed(list(times)):
            began = time.perf_counter()
            try:
                work(side, checkouts[side])
            except Failed as error:
                failed[side] = str(error)
                del times[side]
            else:
                times[side].append(time.perf_counter() - began)
    return {"sides": {side: {"s": values} for side, values in times.items()}, "failed": failed}
