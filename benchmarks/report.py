"""Write docs/performance.md from the measurements that are kept in benchmarks/results.

    python benchmarks/report.py [FILE ...]      (FILEs are kept first, under the device's name)

tests/test_benchmarks.py fails until the page is current.
"""

import json
import shutil
import statistics
import sys
import textwrap
from pathlib import Path

from _root import ROOT

from benchmarks.timing import ratios

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
INTRO = """# Performance

Written by `python benchmarks/report.py` from what `make bench` measured; a test keeps it current.

    make bench
    python benchmarks/run.py --against ../other/checkout
    python benchmarks/run.py --device cuda --only training test

The first takes ten minutes at most; each prints tables and writes benchmark.json, and
`python benchmarks/report.py benchmark.json` puts its figures on this page.

**How it is measured.** Everything that is compared ran in one go and took turns: a process works
while the others are stopped, so a change of the machine's speed meets all of them. Times are
medians; the ratio is that of the medians, in brackets the smallest and the largest of a round.
Above 1 is faster than the baseline. A step is the whole loop of train.py, from one line of losses
to the next; starting up is left out.

**The baseline.** `benchmarks/plain` is a stand-in, written here, for those who have no other
checkout: pix2pix and CycleGAN in plain PyTorch, with the published command lines, loaders, order of
updates and way of saving, and no thought of speed. A test holds its losses to the reference
implementation's figures. `--against PATH` takes its place with any checkout that understands the
published command lines (train.py and test.py unmodified; flags it does not name are not passed).
"""
PHASES = ("data", "forward", "backward", "optimizer", "other")
SECTIONS = {"loader": "Loading", "test": "Testing", "start": "Starting"}
REMARKS = {
    "loader": "`ours` are the epochs after the first, mostly from the cache in RAM; `--cache off` "
    "is what the first one takes.",
    "test": "End to end: start, weights, images, pages.",
}
REMARK = (
    "`data` is waiting for the loader, `forward` holds all of a step that is not listed, `other` "
    "is checks and logging, here with a line of losses {every}. With L-BFGS the evaluation's "
    "forward counts as `optimizer`. Peak memory is {memory}, in brackets its ratio to the case's "
    "first. The work is counted by `torch.utils.flop_counter`; its share is of the most that this "
    "machine computes in the same precision."
)


def shown(seconds: float) -> str:
    """In s or ms, three digits."""
    value, unit = (seconds, "s") if seconds >= 1 else (1000 * seconds, "ms")
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown that is readable as it stands."""
    rows = [["" if cell is None else cell for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = ["-" * width for width in widths]
    return [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in [head, rule, *rows]
    ] + [""]


def compared(rows: list[dict]) -> list[str]:
    """A line for each case and side: medians, and the ratio to the baseline."""
    lines = []
    for row in rows:
        base = row["sides"].get("baseline")
        for side, figures in row["sides"].items():
            if side == "baseline":
                continue
            ratio = ""
            if base is not None:
                middle, low, high = ratios(base["s"], figures["s"])
                ratio = f"{middle:.2f} ({low:.2f}-{high:.2f})"
            ours = statistics.median(figures["s"])
            before = shown(statistics.median(base["s"])) if base else ""
            lines.append([row["case"], side, before, shown(ours), ratio])
    failed = [f"Failed: {row['case']}, {side}: {why}\n"
              for row in rows for side, why in row["failed"].items()]  # fmt: skip
    return table(["", "", "baseline", "time", "ratio"], lines) + failed


def steps(rows: list[dict], peak: dict[str, list[float]]) -> list[str]:
    """The parts of a step, and how much of the machine it uses."""
    lines = []
    for row in rows:
        counted = [f["gflop"] for f in row["sides"].values() if "gflop" in f]
        peaks = [f["peak_mb"] for f in row["sides"].values() if "peak_mb" in f]
        for side, figures in row["sides"].items():
            seconds = statistics.median(figures["s"])
            split = figures.get("split", {})
            parts = [shown(split[phase]) if split else None for phase in PHASES]
            used = None
            if counted:
                used = f"{counted[0]:.3g} GFLOP"
                if peak:
                    used += f", {100 * counted[0] / seconds / most(peak, side):.0f} %"
            size = None
            if "peak_mb" in figures:
                size = f"{figures['peak_mb']} MB ({figures['peak_mb'] / peaks[0]:.2f})"
            lines.append([row["case"], side, f"{1 / seconds:.2f}", *parts, size, used])
    head = ["", "", "images/s", *PHASES, "peak memory", "work, share of the peak"]
    return table(head, lines)


def most(peak: dict[str, list[float]], side: str) -> float:
    """GFLOP/s that the machine reaches in the precision of a side."""
    named = [p for p in ("bf16", "fp16", "tf32") if f"--precision {p}" in side]
    precision = {"fp16": "bf16"}.get(named[0], named[0]) if named else "fp32"
    rates = {name: max(values) for name, values in peak.items()}
    fitting = [rate for name, rate in rates.items() if name.endswith(precision)]
    return max(fitting or rates.values())


def sections(found: dict) -> list[str]:
    """The tables of one run of benchmarks/run.py, as lines of Markdown."""
    machine, peak = found["machine"], found.get("peak", {})
    other = found["against"]
    lines = [f"{machine['name']}, {machine['cores']} cores, torch {machine['torch']}, Python "
             f"{machine['python']}.", f"The baseline is {other}. Measured in {found['took_s']} s.",
             ""]  # fmt: skip
    if training := found.get("training"):
        gpu = machine["device"] == "cuda"
        how = {"every": "every ten images" if gpu else "at every step",
               "memory": "that of the GPU's tensors" if gpu else "the process's"}  # fmt: skip
        lines += ["### Training, a step", "", *compared(training)]
        lines += ["Its parts:", "", *steps(training, peak)]
        lines += [*textwrap.wrap(REMARK.format(**how), 100), ""]
    for part, title in SECTIONS.items():
        if rows := found.get(part):
            lines += [f"### {title}", "", *compared(rows)]
            lines += [*textwrap.wrap(REMARKS[part], 100), ""] if part in REMARKS else []
    for part, own in found.get("ours", {}).items():
        rows = [[name, f"{statistics.median(v):.4g}", f"{min(v):.4g}-{max(v):.4g}"]
                for name, v in own["values"].items()]  # fmt: skip
        lines += [f"### benchmarks/{part}.py", "", *table(["", own["unit"], "spread"], rows)]
    if peak:
        rows = [[name, f"{max(v):.0f}", f"{min(v):.0f}-{max(v):.0f}"] for name, v in peak.items()]
        lines += ["### The machine's peak", "", *table(["", "GFLOP/s, best", "spread"], rows)]
    return lines


def page() -> str:
    """All of docs/performance.md."""
    lines = [INTRO]
    for file in sorted(RESULTS.glob("*.json")):
        found = json.loads(file.read_text())
        lines += [f"## {file.stem.replace('_', ' ')}", "", *sections(found)]
    return "\n".join(lines).rstrip() + "\n"


def main(argv: list[str] | None = None) -> int:
    """Keep the files given, and write the page; returns the exit code."""
    RESULTS.mkdir(exist_ok=True)
    for file in map(Path, sys.argv[1:] if argv is None else argv):
        device = json.loads(file.read_text())["machine"]["device"]
        shutil.copyfile(file, RESULTS / f"{device}.json")
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
