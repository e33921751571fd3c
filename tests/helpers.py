"""Tiny data sets and runs for the tests."""

import atexit
import contextlib
import functools
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import skimage.data
from PIL import Image

import test as test_script
import train as train_script
from util.training_page.chunks import Chunks

ROOT = Path(__file__).parent.parent
TINY = ["--ngf", "8", "--ndf", "8", "--load_size", "34", "--crop_size", "32", "--num_threads", "0",
        "--gpu_ids", "-1", "--seed", "3"]  # fmt: skip


@functools.cache
def script(path: str) -> ModuleType:
    """A script by its path: `datasets` is also the name of a package that people install."""
    file = ROOT / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    # Worker processes find its functions by this name: forked ones here, spawned ones in the path.
    sys.modules[file.stem] = module
    sys.path.append(str(file.parent))
    spec.loader.exec_module(module)
    return module


@functools.cache
def golden() -> dict:
    """The figures of the reference implementation."""
    return json.loads((Path(__file__).parent / "golden.json").read_text())


@functools.cache
def _astronaut() -> Image.Image:
    return Image.fromarray(skimage.data.astronaut())


def photo(index: int, size: tuple[int, int] = (48, 48)) -> Image.Image:
    """A piece of a photograph, another one for each index."""
    x, y = 37 * index % 300, 53 * index % 300
    return _astronaut().crop((x, y, x + 128, y + 128)).resize(size)


def make_aligned(root: Path, count: int = 4, phases: tuple[str, ...] = ("train", "test")) -> Path:
    """root/<phase>/<i>.png, A|B side by side; B is A's negative."""
    for phase in phases:
        (root / phase).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            A = np.asarray(photo(i))
            Image.fromarray(np.concatenate([A, 255 - A], axis=1)).save(root / phase / f"{i}.png")
    return root


def make_unaligned(root: Path, count: int = 4) -> Path:
    """root/{train,test}{A,B}/<i>.png."""
    for number, folder in enumerate(("trainA", "trainB", "testA", "testB")):
        make_single(root / folder, count, first=10 * number)
    return root


def make_single(root: Path, count: int = 4, first: int = 0) -> Path:
    """root/<i>.png."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        photo(first + i).save(root / f"{i}.png")
    return root


def style_flags(root: Path) -> list[str]:
    """What both style models need: a painting, and a judge that is small and not downloaded."""
    root.mkdir(parents=True, exist_ok=True)
    photo(7, (40, 36)).save(root / "painting.png")
    return ["--style_image", str(root / "painting.png"), "--perceptual_net", "squeezenet1_0",
            "--perceptual_weights", "random"]  # fmt: skip


def needed_flags(model: str, root: Path) -> list[str]:
    """Flags without which a model cannot be trained, and those that keep it small."""
    if model == "style":
        return [*style_flags(root), "--netG", "style_net", "--batch_size", "1"]
    if model == "neural_style":
        small = ["--image_size", "48", "64", "--n_evaluations", "6", "--step_evaluations", "3"]
        return [*style_flags(root), *small]
    return ["--netG", "resnet_6blocks"]  # the U-Nets need larger images


def make_data(root: Path, mode: str) -> Path:
    """A folder in the layout of any dataset: all layouts at once, for plug-ins too."""
    make_aligned(root)
    make_unaligned(root)
    return make_single(root, count=0) if mode == "single" else root


def train(*argv: str | Path, expect: int = 0) -> None:
    """train.py in this process, from the present folder."""
    assert train_script.main([str(word) for word in argv]) == expect


@functools.cache
def _folder_with_a_run(data: str, make: Callable[[Path], object], argv: tuple[object, ...]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="run"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with contextlib.chdir(folder):
        make(Path(data))
        train("--dataroot", data, *argv)
    return folder


def copy_of_a_run(data: str, make: Callable[[Path], object], *argv: object) -> Path:
    """What train.py leaves in the present folder, trained once for all tests of this process.

    Args:
        data: the folder of the images.
        make: writes them there.
        argv: of train.py, besides --dataroot.

    Returns: the present folder.
    """
    folder = _folder_with_a_run(data, make, argv)
    subprocess.run(["cp", "-a", f"{folder}/.", "."], check=True)  # keeps hard links
    return Path.cwd()


def test(*argv: str | Path, expect: int = 0) -> None:
    """test.py in this process, from the present folder."""
    assert test_script.main([str(word) for word in argv]) == expect


test.__test__ = False


def needed_huggingface() -> ModuleType:
    """Hugging Face's package; the test, or the module, is skipped without it. (A folder of ours
    has its name.)"""
    library = importlib.import_module("datasets")
    if not hasattr(library, "load_dataset"):
        reason = "pip install -r requirements-huggingface.txt"
        pytest.skip(reason, allow_module_level=True)
    return library


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses every call, and that nobody else can be given."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        yield nobody.getsockname()[1]


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here (Debian: apt install chromium)"
)


def loaded_pictures(page: Path) -> tuple[int, int]:
    """(how many pictures a real browser could load, how many there are) of a page of ours."""
    probe = page.parent / "probe.html"  # counts, from within the same folder
    text = page.read_text().replace('loading="lazy"', "")
    script = ("<script>onload=()=>{const all=[...document.images];document.title="
              "all.filter(i=>i.naturalWidth>0).length+' of '+all.length}</script>")  # fmt: skip
    allowed = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    assert allowed != text
    probe.write_text(allowed.replace("</body>", script + "</body>"))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
               "--disable-background-networking", f"--user-data-dir={page.parent / 'profile'}",
               "--virtual-time-budget=5000", "--dump-dom", probe.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert found, done.stderr[-1000:]
    return int(found[1]), int(found[2])


def _lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def metrics(run: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl that tell of single steps."""
    return [line for line in _lines(run) if "mean_over" not in line]


def epoch_means(run: Path) -> list[dict]:
    """Those that tell of whole epochs."""
    return [line for line in _lines(run) if line.get("mean_over") == "epoch"]


def timeless(run: Path) -> list[dict]:
    """All lines without what the machine says: seconds, memory."""
    return [{k: v for k, v in m.items() if not k.endswith(("_s", "_mib"))} for m in _lines(run)]


def page_rows(run: Path) -> list[list]:
    """The rows of pictures on a training's page: [number, heading, stem, labels, ...]."""
    return Chunks(run / "web" / "data", "rows").load()


def pictures(folder: Path) -> dict[str, bytes]:
    """File, relative to images/, -> content of the pictures in a results folder."""
    root = folder / "images"
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def environment() -> dict[str, str]:
    """For commands that tests start: this project first, two threads."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
