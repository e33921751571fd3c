"""Size, build time and time to first paint of a result page with many rows.

    python benchmarks/pages.py [--rows 5000]

Three visuals an image, 256 px; the pictures' files are links to a few. Paint and clicks are
measured in headless chromium (pip install -r requirements-dev.txt), medians of five.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _root

import skimage.data
from PIL import Image

from tests.browser import open_page
from util.results.folder import read_rows
from util.results.gallery import ResultPage, set_metrics

LABELS = ("real_A", "fake_B", "real_B")
PAINT = """() => new Promise(done => new PerformanceObserver(list =>
  done(list.getEntries().find(e => e.name == 'first-contentful-paint')?.startTime)
  ).observe({type: 'paint', buffered: true}))"""
LOADED = "performance.timing.domContentLoadedEventEnd - performance.timing.navigationStart"
FRAME = """async work => { const began = performance.now(); work = eval(work); work();
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - began }"""
FILTER = "() => { const b = document.querySelector('#filter'); b.value = '99'; b.oninput() }"
SORT = "() => { const s = document.querySelector('#sort'); s.value = '0 1'; s.onchange() }"
OPEN = "() => document.querySelector('section:not([hidden]) a').click()"


def build(folder: Path, rows: int) -> Path:
    """A page, its pictures and a metric."""
    images = folder / "images"
    images.mkdir()
    photo = Image.fromarray(skimage.data.astronaut())
    for piece in range(16):
        x, y = 64 * (piece % 4), 64 * (piece // 4)
        photo.crop((x, y, x + 256, y + 256)).save(folder / f"{piece}.png")
    for number in range(rows):
        for label in LABELS:
            os.link(folder / f"{number % 16}.png", images / f"{number:05d}_{label}.png")
    began = time.perf_counter()
    page = ResultPage(folder / "index.html", "results", {"images": str(rows)}, {}, 256)
    for number in range(rows):
        stem = f"{number:05d}"
        page.add_row(stem, {label: f"images/{stem}_{label}.png" for label in LABELS})
    built = time.perf_counter()
    print(f"size                  {page.path.stat().st_size / 1e6:8.2f} MB")
    print(f"build, all rows       {built - began:8.2f} s  ({1000 * (built - began) / rows:.2f} ms)")
    set_metrics(page.path, ["psnr"], {n: [float(n * 7919 % rows)] for n in range(1, rows + 1)})
    print(f"metrics put in        {time.perf_counter() - built:8.2f} s")
    began = time.perf_counter()
    read_rows(folder)
    print(f"rows read back        {time.perf_counter() - began:8.2f} s")
    return page.path


def look(path: Path) -> dict[str, float]:
    """Milliseconds until something is seen, until all works, and of what a user does then."""
    with open_page(path) as page:
        found: dict[str, Any] = {"first paint": page.evaluate(PAINT)}
        found["gallery ready"] = page.evaluate(LOADED)
        found["pictures asked for"] = sum("/images/" in url for url in page.requests)
        for name, work in (("open viewer", OPEN), ("sort", SORT), ("filter", FILTER)):
            found[name] = page.evaluate(FRAME, work)
        assert not page.errors, page.errors
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = build(Path(name), args.rows)
        rounds = [look(path) for _ in range(5)]
    for what in rounds[0]:
        unit = "" if "asked" in what else " ms"
        print(f"{what:<22}{statistics.median(r[what] for r in rounds):8.0f}{unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
