"""Large images in tiles: memory, seams, equality and cost.

    python benchmarks/tiles.py memory --px 8192 --ngf 8 --tile_memory 1
    python benchmarks/tiles.py cost --px 2048 --ngf 64 --rounds 3
    python benchmarks/tiles.py quality --px 1024 --run checkpoints/NAME
    python benchmarks/tiles.py plan --px 10000

Weights are drawn; the picture is a photograph, enlarged. memory: translate.py's own way from file
to file, in this process: the most that it grew by since before the file was read. cost: seconds,
and seconds of CPU, which other processes disturb less; with one thread, for waiting ones count too.
quality: levels of an 8-bit picture between tiles, or their approximation, and the whole, and the
mean gradient across borders of tiles against that elsewhere. plan: bytes on the disk and work, of
networks as users have, without computing anything.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import _root

import numpy as np
import skimage.data
import torch
from PIL import Image

import translate
from benchmarks.timing import row
from models import networks
from models.compute.configure import configure, set_test_mode, undo
from models.tiles.form import Tiling, tile_networks
from models.tiles.plan import ON_DISK, Planner, Room
from models.tiles.record import record
from util.results import work
from util.results.jobs import Job

CPU = torch.device("cpu")
LEVEL = 2 / 255  # of an 8-bit picture, in [-1, 1]


def photo(px: int) -> Image.Image:
    """A square picture, enlarged from a photograph of 512 px."""
    return Image.fromarray(skimage.data.astronaut()).resize((px, px), Image.Resampling.BICUBIC)


def network(args: argparse.Namespace) -> torch.nn.Module:
    """As test.py sets it up: of a run, or with drawn weights."""
    if args.run:
        return translate.Translator.load(args.run, device="cpu", tile="off").model.one_network().net
    torch.manual_seed(0)
    net = networks.define_G(3, 3, args.ngf, args.netG, args.norm, False, "normal", 0.02)
    configure(net, CPU)
    set_test_mode([net], args.eval)
    return net


def image(px: int) -> torch.Tensor:
    """(1, 3, px, px) in [-1, 1]."""
    pixels = torch.from_numpy(np.asarray(photo(px)).copy())
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


def status(name: str) -> int:
    """A number of /proc/self/status, MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) // 1024


def measure_memory(args: argparse.Namespace) -> None:
    """Translate one file."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        run = Path(folder, "run")
        run.mkdir()
        net = networks.define_G(3, 3, args.ngf, args.netG, args.norm, False)
        torch.save(net.state_dict(), run / "latest_net_G.pth")
        (run / "train_opt.yaml").write_text(
            f"name: run\nmodel: pix2pix\nnetG: {args.netG}\nngf: {args.ngf}\nnorm: {args.norm}\n"
            "no_dropout: true\n"
        )
        source = Path(folder, "in.jpg")
        photo(args.px).save(source, quality=90)
        del net
        flags = {"tile_memory": args.tile_memory, "tile_scratch": folder, "eval": args.eval,
                 "tile_precision": args.precision}  # fmt: skip
        translate.tune_process("cpu")
        translator = translate.Translator.load(run, device="cpu", **flags)
        translator(photo(256))
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before, began, cpu = status("VmRSS"), time.perf_counter(), time.process_time()
        made = work.translate_image(translator, Job(str(source), Path(folder, "out"), None, 0))
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"{args.netG}, ngf {args.ngf}, {args.px}x{args.px} px, --tile_memory "
            f"{args.tile_memory:g}, {args.precision}: grew by {status('VmHWM') - before} MiB (from "
            f"{before}), {wall:.0f} s, {cpu:.0f} s CPU, {made.stat().st_size / 1e6:.0f} MB written"
        )


def measure_cost(args: argparse.Namespace) -> None:
    """The whole, tiles, and the approximation, in turns."""
    torch.set_num_threads(args.threads)
    net, picture = network(args), image(args.px)
    memory = int(args.tile_memory * 2**30)
    tilings = {"whole": None, "tiles": Tiling(args.side, memory, scratch=args.folder)}
    if args.approximate:
        tilings["approximate"] = Tiling(args.side, memory, True, scratch=args.folder)
    wall: dict[str, list[float]] = {name: [] for name in tilings}
    cpu: dict[str, list[float]] = {name: [] for name in tilings}
    for _ in range(args.rounds):
        for name, tiling in tilings.items():
            undo(net, "tiles")
            if tiling:
                tile_networks([net], tiling)
            began, cpu_began = time.perf_counter(), time.process_time()
            with torch.inference_mode():
                net(picture)
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - cpu_began)
    for name in tilings:
        print(row(name, wall[name], "s"), row("", cpu[name], "s CPU").strip())
        times = [statistics.median(of[name]) / statistics.median(of["whole"]) for of in (cpu, wall)]
        print(f"  {times[0]:.2f} times the CPU time of the whole, {times[1]:.2f} times its time")


def seams(picture: torch.Tensor, side: int) -> float:
    """The mean difference of neighbours across borders of tiles, against that elsewhere."""
    steps = [(picture[..., 1:] - picture[..., :-1]).abs().mean((0, 1, 2)),
             (picture[..., 1:, :] - picture[..., :-1, :]).abs().mean((0, 1, 3))]  # fmt: skip
    at = [step[side - 1 :: side] for step in steps]
    off = [step[torch.arange(1, len(step) + 1) % side != 0] for step in steps]
    return float(torch.cat(at).mean() / torch.cat(off).mean())


def measure_quality(args: argparse.Namespace) -> None:
    """Differences and seams."""
    net, picture = network(args), image(args.px)
    with torch.inference_mode():
        whole = net(picture)
        for name, approximate, dtype in (("tiles", False, "fp32"), ("tiles in bf16", False, "bf16"),
                                         ("approximate", True, "fp32")):  # fmt: skip
            kept = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
            side = args.side or 256
            tile_networks([net], Tiling(side, 2**31, approximate, args.folder, kept))
            made = net(picture)
            undo(net, "tiles")
            levels = (made - whole).abs() / LEVEL
            at = f"{seams(made, side):.3f} (whole: {seams(whole, side):.3f})"
            print(
                f"{args.run or args.netG}, {args.norm}{' --eval' * args.eval}, ngf {args.ngf}, "
                f"{args.px} px in tiles of {side}: {name}: mean {levels.mean():.4f} levels, max "
                f"{levels.max():.3f}; gradient at borders / elsewhere {at}"
            )


def show_plans(args: argparse.Namespace) -> None:
    """What networks of the usual width take."""
    for (netG, norm), dtype in itertools.product(
        (("resnet_9blocks", "instance"), ("resnet_6blocks", "instance"), ("unet_256", "batch"),
         ("style_net", "instance")), (torch.float32, torch.bfloat16)
    ):  # fmt: skip
        net = networks.define_G(3, 3, 32 if netG == "style_net" else 64, netG, norm, False)
        px = -(-args.px // 256) * 256
        program = record(net, (1, 3, px, px))
        planner = Planner(program, (), Room(int(args.tile_memory * 2**30), 2**62, dtype))
        sweeps = planner.best()
        plain = sum((s.local.work + 20 * s.shape[1]) * s.shape[2] * s.shape[3]
                    for s in program.steps)  # fmt: skip
        print(
            f"{netG}, {dtype}: {len(sweeps)} sweeps, {planner.kept_bytes(sweeps) / 2**30:.1f} GiB "
            f"kept, {planner.work(sweeps, 0) / plain:.2f} times the whole's multiplications, "
            f"{planner.work(sweeps, ON_DISK) / plain:.2f} with the disk's time"
        )


WORKS = {  # name -> what it does, px, channels of the first layer
    "memory": (measure_memory, 8192, 8),
    "cost": (measure_cost, 2048, 64),
    "quality": (measure_quality, 1024, 64),
    "plan": (show_plans, 10000, 64),
}


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = made.add_argument
    add("what", choices=WORKS)
    add("--px", type=int, help="side of the picture")
    add("--run", help="folder of a run, whose generator is taken (cost, quality)")
    add("--ngf", type=int)
    add("--netG", default="resnet_9blocks")
    add("--norm", default="instance")
    add("--eval", action="store_true")
    add("--tile_memory", type=float, default=1, help="GB")
    add("--precision", default="fp32", choices=("fp32", "bf16"), help="of what is kept")
    add("--side", type=int, default=0, help="of tiles, px; 0: as memory allows, or 256")
    add("--threads", type=int, default=1)
    add("--rounds", type=int, default=3)
    add("--approximate", action="store_true", help="measure that, too (cost)")
    add("--folder", default=tempfile.gettempdir(), help="of scratch files")
    return made


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    args = parser().parse_args(argv)
    measure, px, ngf = WORKS[args.what]
    args.px, args.ngf = args.px or px, args.ngf or ngf
    measure(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
