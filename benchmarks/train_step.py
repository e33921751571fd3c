"""Seconds per training step of each model through train.py, in its parts, with peak memory.

    python benchmarks/run.py --only training

Each case runs as processes that take turns (`turns.py`): another checkout's train.py, ours, and
ours with flags for speed. What is timed is the whole loop, from one line of losses to the next.
"""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.checkout import Checkout
from benchmarks.turns import Process, is_losses, take_turns
from models import create_model
from models.base_model import BaseModel
from models.compute.process import tune_process
from options.train_options import TrainOptions

CASES = {
    "pix2pix small (unet_128, ngf 16, 128 px)": (
        128, "--model pix2pix --netG unet_128 --ngf 16 --ndf 16 --load_size 143 --crop_size 128"),
    "cycle_gan small (resnet_6blocks, ngf 16, 128 px)": (
        128, "--model cycle_gan --netG resnet_6blocks --ngf 16 --ndf 16 --load_size 143 "
        "--crop_size 128"),
    "pix2pix (unet_256, 256 px)": (256, "--model pix2pix"),
    "cycle_gan (resnet_9blocks, 256 px)": (256, "--model cycle_gan"),
    "colorization (unet_256, 256 px)": (256, "--model colorization"),
    "style (style_net, vgg16, 256 px)": (256, "--model style --batch_size 1"),
    "neural_style (vgg19, 128 px, an evaluation)": (
        256, "--model neural_style --image_size 128 --step_evaluations 1"),
}  # fmt: skip
JUDGED = "--perceptual_weights random --style_image"  # of style and neural_style; the work is equal
# Flags that change the speed, and perhaps the numbers; those that a checkout lacks are left out.
VARIANTS = {
    "cpu": {
        "pix2pix": ("--precision bf16",),
        "cycle_gan": ("--lean", "--precision bf16", "--precision bf16 --compile"),
    },
    "cuda": dict.fromkeys(
        ("pix2pix", "cycle_gan"),
        ("--precision tf32", "--precision bf16", "--memory_format channels_last", "--compile",
         "--precision bf16 --memory_format channels_last --compile", "--lean"),
    ),
}  # fmt: skip
NEVER = str(10**9)
QUIET = [
    "--display_freq", NEVER, "--update_html_freq", NEVER, "--save_latest_freq", NEVER,
    "--save_epoch_freq", NEVER, "--no_html", "--display_id", "-1", "--seed", "1",
]  # fmt: skip


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Args:
        rounds: turns that each process has; three at most where nothing is compared.
        turn_s: about how long a turn is.
        every: images between two lines of losses. On a GPU a line waits for the device.
        images: in an epoch; no case measures longer.
        small: small networks only.
    """

    rounds: int = 5
    turn_s: float = 1
    every: int = 1
    images: int = 400
    small: bool = False


def measure(ours: Checkout, other: Checkout | None, data: Path, effort: Effort) -> list[dict]:
    """A dict for each case: {"case", "flags", "sides": name -> figures, "failed": name -> why}."""
    rows = []
    for case, (size, flags) in CASES.items():
        if effort.small and size > 128:
            continue
        print(f"training: {case}", flush=True)
        rows.append({"case": case, "flags": flags} | _measure_case(flags.split(), ours, other, data,
                    effort))  # fmt: skip
    return rows


def _measure_case(
    flags: list[str], ours: Checkout, other: Checkout | None, data: Path, effort: Effort
) -> dict:
    model = flags[1]
    judged = model in ("style", "neural_style")
    if judged:
        flags = [*flags, *JUDGED.split(), str(next(iter((data / "trainB").iterdir())))]
    sides = {"baseline": (other, flags)} if other is not None and other.knows(flags) else {}
    sides["ours"] = (ours, flags)
    small = "--ngf" in flags
    for variant in VARIANTS[ours.device].get(model, ()):
        if ours.knows(variant.split()) and not (small and ours.device == "cpu"):
            sides[f"ours {variant}"] = (ours, [*flags, *variant.split()])
    folder = data if not judged else data / "trainA"
    processes, records = {}, {}
    for number, (side, (checkout, own)) in enumerate(sides.items()):
        records[side] = data / f"{number}.jsonl"
        words = [*own, "--dataroot", str(folder), "--name", str(number), "--checkpoints_dir",
                 str(data / "runs"), "--print_freq", str(effort.every), *QUIET]  # fmt: skip
        processes[side] = train_process(checkout, words, records[side])
    # A step that needs seconds has had its caches warmed by the first: two are enough there.
    warm_up, most = (5 if small else 2), effort.images // effort.every - 1
    rounds = effort.rounds if "baseline" in sides else min(3, effort.rounds)
    times, failed = take_turns(processes, rounds, warm_up, effort.turn_s, most)
    return {
        "sides": {
            side: {"s": [s / effort.every for s in values]}
            | read_record(records[side], processes[side], warm_up * effort.every)
            for side, values in times.items()
        },
        "failed": failed,
    }


def train_process(checkout: Checkout, flags: list[str], record: Path) -> Process:
    """train.py of a checkout, whose steps are written down in `record`."""
    probe = Path(__file__).with_name("probe.py")
    command = [checkout.python, str(probe), str(record), *checkout.command("train.py", flags)]
    return Process(command, checkout.folder, checkout.environment, is_losses)


def read_record(record: Path, process: Process, warm_up: int) -> dict:
    """What the probe wrote of a process: {"split": phase -> seconds, "peak_mb", "gflop"}."""
    lines = [line for line in record.read_text().splitlines(True) if line.endswith("\n")]
    steps = [json.loads(line) for line in lines]
    if len(steps) <= warm_up:
        return {}
    splits: dict[str, list[float]] = {}
    for step in steps[warm_up:]:
        spent = dict.fromkeys(("data", "forward", "backward", "optimizer", "other"), 0.0)
        ends = [when for _, when in step["marks"][1:]] + [step["end"]]
        for (phase, began), end in zip(step["marks"], ends, strict=True):
            spent[phase] += process.running_s(end) - process.running_s(began)
        for phase, value in spent.items():
            splits.setdefault(phase, []).append(value)
    split = {phase: round(statistics.median(values), 6) for phase, values in splits.items()}
    figures = {"split": split, "peak_mb": round(steps[-1]["peak"] / 1e6)}
    return figures | ({"gflop": steps[0]["flops"] / 1e9} if "flops" in steps[0] else {})


def make(flags: str, size: int, device: str) -> BaseModel:
    """A model with one random batch in it."""
    argv = ["--dataroot", ".", "--seed", "1", "--device", device, *flags.split()]
    opt = TrainOptions().parse(argv)
    tune_process(opt.device, opt.precision, "crop" in opt.preprocess, opt.deterministic)
    model = create_model(opt)
    model.setup(opt)
    A, B = (torch.rand(1, 3, size, size) * 2 - 1 for _ in range(2))
    model.set_input({"A": A, "B": B, "A_paths": ["a"], "B_paths": ["b"]})
    return model


def step(model: BaseModel) -> None:
    """One step, with the device's work done."""
    model.optimize_parameters()
    model.get_current_losses()  # waits for the device
