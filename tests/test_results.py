"""What test.py leaves, as users meet it: nothing is lost, every picture can be seen, any folder."""

import errno
import itertools
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from imagecodecs import png_decode
from PIL import Image

from models.generators import GENERATORS, RESNET, Generator, describe_resnet
from tests.browser import open_page
from tests.helpers import (
    TINY,
    make_aligned,
    make_single,
    make_unaligned,
    needs_browser,
    photo,
    script,
)
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.results.folder import read_rows
from util.results.rules import PictureRules
from util.results.writer import PageInfo, Results

SMALL = ["--netG", "smallest", *TINY, "--n_epochs", 1, "--n_epochs_decay", 0]
CPU = ["--gpu_ids", -1, "--num_threads", 0, "--tile", "off"]  # tiles are tested elsewhere
P = ["--name", "p", *CPU]
ALONE = [*P, "--model", "test"]


@pytest.fixture(scope="module", autouse=True)
def smallest_generator():
    """`--netG smallest`: a resnet of one block. What becomes of its pictures is looked at here, and
    computing them would take the most of the time."""
    one_block = {"n_blocks": 1}
    GENERATORS["smallest"] = Generator(RESNET, one_block, 4, 8, describe=describe_resnet)
    yield
    del GENERATORS["smallest"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """checkpoints/ with the runs p (pix2pix), c (cycle_gan) and l (colorization)."""
    root, before = tmp_path_factory.mktemp("runs"), Path.cwd()
    os.chdir(root)
    make_aligned(root / "pairs", 1)
    make_unaligned(root / "sets", 1)
    run_train("--dataroot", "pairs", "--name", "p", "--model", "pix2pix", *SMALL)
    run_train("--dataroot", "sets", "--name", "c", "--model", "cycle_gan", *SMALL)
    run_train("--dataroot", "pairs", "--name", "l", "--model", "colorization", *SMALL)
    run_train("--dataroot", "pairs", "--name", "t", "--model", "template", *SMALL)
    os.chdir(before)
    return root


@pytest.fixture
def place(runs, tmp_path):
    """A folder with the runs, and with `photos`, a plain folder of three."""
    (tmp_path / "checkpoints").symlink_to(runs / "checkpoints")
    make_single(tmp_path / "photos", 3)
    make_aligned(tmp_path / "pairs", 2)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    """All that is below a folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def images(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(folder).items() if name.startswith("images")}


@pytest.mark.parametrize(
    "second",
    [
        ["--dataroot", "others", *ALONE],
        ["--dataroot", "photos", *ALONE, "--num_test", 1],
        ["--dataroot", "photos", *ALONE, "--preprocess", "scale_width", "--load_size", 24],
        ["--dataroot", "photos", *ALONE, "--eval"],
        ["--dataroot", "pairs", *P],
        ["--dataroot", "photos", *ALONE, "--results_layout", "flat"],
    ],
    ids=["images", "fewer", "sizes", "eval", "model", "layout"],
)
def test_results_of_something_else_are_kept(place, second, capsys):
    """User report 5: other images, settings or models under one name lose nothing."""
    make_single(place / "others", 3, first=7)
    run_test("--dataroot", "photos", *ALONE)
    (place / "results/p/test_latest/notes.txt").write_text("mine")
    before = files(place / "results/p/test_latest")
    run_test(*second)
    assert files(place / "results/p/test_latest.1") == before
    assert "are kept as results/p/test_latest.1" in capsys.readouterr().out
    assert files(place / "results/p/test_latest").keys() != before.keys()
    run_test("--dataroot", "photos", *ALONE, "--overwrite")
    assert images(place / "results/p/test_latest") == {
        name: data for name, data in before.items() if name.startswith("images")
    }
    assert not (place / "results/p/test_latest.2").exists()


def test_the_same_test_again_replaces_its_results(place):
    """User report 5: the same command leaves one folder, and files of others in it."""
    run_test("--dataroot", "photos", *ALONE)
    latest = place / "results/p/test_latest"
    (latest / "images" / "notes.txt").write_text("mine")
    before = files(latest)
    run_test("--dataroot", "photos", *ALONE)
    assert files(latest) == before
    assert [path.name for path in latest.parent.iterdir()] == ["test_latest"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), None])
def test_a_test_that_ends_halfway_leaves_the_earlier_results(place, monkeypatch, capsys, error):
    """User report 5: a full disk, or Ctrl-C after two pictures."""
    run_test("--dataroot", "photos", *ALONE)
    before, count, add = files(place / "results/p/test_latest"), itertools.count(1), Results.add

    def add_some(self, *args):
        if next(count) == 3:
            raise error or KeyboardInterrupt
        add(self, *args)

    monkeypatch.setattr(Results, "add", add_some)
    capsys.readouterr()
    run_test("--dataroot", "photos", *ALONE, expect=1 if error else 130)
    told = capsys.readouterr()
    assert files(place / "results/p/test_latest") == before
    assert len(images(place / "results/p/test_latest.1")) == 4
    assert "results/p/test_latest is as it was" in told.out
    if error:
        assert "error: " in told.err and "No space left" in told.err


@pytest.mark.parametrize("pictures_before", [0, 2])
def test_a_killed_test_leaves_the_earlier_results(tmp_path, pictures_before):
    """User report 5: also SIGKILL, which nobody can catch."""
    photo(0).save(tmp_path / "x.png")
    source, image = {"A": str(tmp_path / "x.png")}, torch.zeros(1, 3, 8, 8)

    def write(count: int) -> Results:
        results = Results(tmp_path / "r", PageInfo("t"), PictureRules(), writers=1).begin()
        with results:
            for _ in range(count):
                results.add(source, {"fake": image})
        return results

    write(4).finish()
    before = files(tmp_path / "r")
    if (child := os.fork()) == 0:
        write(pictures_before)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert files(tmp_path / "r") == before
    write(4).finish()
    assert images(tmp_path / "r") == {n: d for n, d in before.items() if n.startswith("images")}


def test_results_that_are_read_stay(place):
    """User report 5: translating the results themselves moves nothing away."""
    run_test("--dataroot", "photos", *ALONE)
    before = files(place / "results")
    run_test("--dataroot", "results/p/test_latest/images", *ALONE)
    assert files(place / "results").items() >= before.items()


@needs_browser
def test_sub_folders_are_kept_in_results(place):
    """User report 20: x.png and sub/x.png, with a name that a link has to escape."""
    make_single(place / "photos" / "sub dir #1%", 2, first=5)
    run_test("--dataroot", "photos", *ALONE)
    names = {name for name in images(place / "results/p/test_latest") if "fake" in name}
    assert names == {
        *(f"images/{i}_fake.png" for i in range(3)),
        *(f"images/sub dir #1%/{i}_fake.png" for i in range(2)),
    }
    with open_page(place / "results/p/test_latest/index.html") as page:
        assert page.locator("main h2").all_text_contents()[3:] == ["sub dir #1%/0", "sub dir #1%/1"]
        natural = "all => all.map(i => i.decode().then(() => i.naturalWidth))"
        page.evaluate("[...document.images].forEach(i => i.loading = 'eager')")
        loaded = page.evaluate(f"() => Promise.all(({natural})([...document.images]))")
        assert loaded == [48] * 10 and page.errors == []


@pytest.mark.parametrize("model", ["p", "c"])
def test_sub_folders_of_other_layouts_are_kept_too(place, model):
    """User report 20: of pairs and of two sets, where the roots are the phases' folders."""
    name = {"p": "pairs/test", "c": "sets/testA"}[model]
    make_unaligned(place / "sets", 1)
    (place / name / "deep/er").mkdir(parents=True)
    (place / name / "0.png").rename(place / name / "deep/er/0.png")
    run_test("--dataroot", Path(name).parts[0], "--name", model, *CPU)
    assert "images/deep/er/0_fake_B.png" in files(place / f"results/{model}/test_latest")


def ramp(path: Path, dtype: str, top: float) -> None:
    """A ramp from black to white, 48 x 48 px."""
    values = np.tile(np.linspace(0, top, 48), (48, 1)).astype(dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(values).save(path)
    else:
        np.save(path, values)


@pytest.mark.parametrize(
    ("file", "dtype", "value_range"),
    [("x.png", "uint16", [0, 4095]), ("x.npy", "float32", [0, 4095]), ("x.npy", "int16", [0, 99])],
)
def test_pages_show_deep_images_as_eyes_see_them(place, file, dtype, value_range):
    """User report 6: of a 12-bit ramp pages show black to white; the file keeps its values."""
    for folder in ("deep", "deep/sub"):
        ramp(place / folder / file, dtype, value_range[1])
    run_test("--dataroot", "deep", *ALONE, "--value_range", *value_range)
    latest = place / "results/p/test_latest"
    kept = latest / f"images/sub/x_real{Path(file).suffix}"
    values = np.load(kept) if kept.suffix == ".npy" else png_decode(kept.read_bytes())
    assert values.dtype == dtype and values.max() == value_range[1]
    for row in read_rows(latest):
        assert spread(latest / row.pictures["real"]) == 255
        assert (latest / next(iter(row.files))).is_file()
    (place / "copy").mkdir()
    shutil.copytree(latest, place / "copy/test_latest")
    assert script("scripts/compare.py").main(["results/p/test_latest", "copy/test_latest"]) == 0
    for row in read_rows(place / "comparison"):
        assert spread(place / "comparison" / row.pictures["real"]) == 255


def test_training_pages_and_trackers_show_deep_images_too(place):
    """User report 6: of the fixed sample, and of each epoch."""
    for phase in ("trainA", "trainB"):
        ramp(place / "deep" / phase / "x.png", "uint16", 4095)
    flags = ["--value_range", 0, 4095, "--preprocess", "keep", "--no_flip"]
    run_train("--dataroot", "deep", "--name", "new", "--model", "pix2pix", *SMALL, *flags)
    shown = list((place / "checkpoints/new/web/images").glob("*real_*.png"))
    assert len(shown) == 4 and {spread(file) for file in shown} == {255}


def spread(file: Path) -> int:
    """The difference of the darkest and the lightest level of 255 that a browser shows."""
    values = png_decode(file.read_bytes())
    assert values.dtype == np.uint8
    return int(values.max()) - int(values.min())


def test_a_flat_folder_holds_translations_alone(place):
    """User report 24: STEM.png, in the data's sub-folders, and nothing else."""
    make_single(place / "photos" / "sub", 1)
    run_test("--dataroot", "photos", *ALONE)
    page = images(place / "results/p/test_latest")
    run_test("--dataroot", "photos", *ALONE, "--results_layout", "flat", "--overwrite")
    names = ["0.png", "1.png", "2.png", "sub/0.png"]
    flat = files(place / "results/p/test_latest")
    assert list(flat) == names and all(
        flat[name] == page[f"images/{name[:-4]}_fake.png"] for name in names
    )
    run_test("--dataroot", "photos", *ALONE, "--results_layout", "flat")
    assert files(place / "results") == {f"p/test_latest/{name}": flat[name] for name in names}


@pytest.mark.parametrize(
    ("model", "data", "names"),
    [
        ("p", "pairs", ["0.png", "1.png"]),
        ("l", "pairs", ["0.png", "1.png"]),
        ("c", "sets", ["fake_A/0.png", "fake_B/0.png", "fake_B/1.png"]),
    ],
)
def test_a_flat_folder_of_every_model(place, model, data, names):
    """User report 24: a folder for each direction, if there are two."""
    make_single(place / "sets" / "testA", 2)
    make_single(place / "sets" / "testB", 1, first=5)
    run_test("--dataroot", data, "--name", model, *CPU, "--results_layout", "flat")
    assert list(files(place / f"results/{model}/test_latest")) == names


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [("jpg:95", "JPEG"), ("jpeg", "JPEG"), ("webp:80", "WEBP"), ("png", "PNG")],
)
@pytest.mark.parametrize("layout", ["flat", "page"])
def test_results_come_in_the_format_that_is_asked_for(place, encoding, kind, layout):
    """User report 24: JPEG and WebP, on the page too."""
    flags = ["--num_test", 1, "--results_layout", layout, "--format", encoding]
    run_test("--dataroot", "photos", *ALONE, *flags)
    latest = place / "results/p/test_latest"
    found = [path for path in latest.rglob("0*") if path.is_file()]
    assert len(found) == (1 if layout == "flat" else 2)
    assert {Image.open(path).format for path in found} == {kind}
    if layout == "page":
        (row,) = read_rows(latest)
        assert {latest / file for file in row.pictures.values()} == set(found)


def test_a_lower_quality_is_smaller(place):
    """User report 24."""
    sizes = []
    for quality in (95, 20):
        flags = ["--num_test", 1, "--results_layout", "flat", "--format", f"jpg:{quality}"]
        run_test("--dataroot", "photos", *ALONE, *flags)
        sizes.append(len(files(place / "results/p/test_latest")["0.jpg"]))
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize(
    ("file", "dtype", "encoding", "words"),
    [
        ("x.png", "uint16", "jpg:95", "accepted for it: png"),
        ("x.png", "uint16", "webp", "accepted for it: png"),
        ("x.npy", "float32", "png", "none of png, jpg and webp; without the flag .* npy"),
        ("x.png", "uint8", "gif", "accepted: png, jpg, webp"),
        ("x.png", "uint8", "jpg:0", "quality from 1 to 100"),
        ("x.png", "uint8", "png:9", "accepted: png, jpg, webp"),
    ],
)
def test_formats_that_cannot_hold_the_values_are_refused(
    place, capsys, file, dtype, encoding, words
):
    """User report 24: one line, with what can, before anything is written."""
    ramp(place / "deep" / file, dtype, 255 if dtype == "uint8" else 1)
    run_test("--dataroot", "deep", *ALONE, "--format", encoding, expect=2)
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error")]
    assert re.search(words, line), line
    assert not (place / "results").exists()


@pytest.mark.parametrize("encoding", [None, "webp:100"])
@pytest.mark.parametrize("run", ["p alone", "p", "c", "l", "c alone"])
def test_alpha_is_kept_by_every_model(place, run, encoding):
    """User report 24: RGBA in, RGBA out, and the opacity is that of the file."""
    alpha = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    for folder in ("test", "testA", "testB"):
        (place / "clear" / folder).mkdir(parents=True)
        image = photo(1).convert("RGB")
        image.putalpha(Image.fromarray(alpha))
        if folder == "test" and run == "p":  # A and B side by side
            wide = Image.new("RGBA", (96, 48))
            wide.paste(image, (0, 0))
            image = wide
        image.save(place / "clear" / folder / "x.png")
    name, _, alone = run.partition(" ")
    if run == "p":
        shutil.rmtree(place / "clear/testA")
    data = ["clear/testA", "--model", "test"] if alone else ["clear"]
    flags = ["--preprocess", "keep", *(["--format", encoding] if encoding else [])]
    run_test("--dataroot", *data, "--name", name, *CPU, *flags)
    made = [path for path in (place / f"results/{name}/test_latest/images").iterdir()
            if "fake" in path.name]  # fmt: skip
    assert len(made) == (2 if run == "c" else 1)
    for path in made:
        image = Image.open(path)
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image)[..., 3], alpha)


def test_alpha_that_cannot_be_kept_is_said(place, capsys):
    """User report 24."""
    for number in range(2):
        photo(number).convert("RGBA").save(place / "photos" / f"{number}.png")
    run_test("--dataroot", "photos", *ALONE, "--format", "jpg")
    assert capsys.readouterr().err.count("alpha is not kept") == 1


ODD = (52, 40)  # px: a multiple of 4, which the small resnets take as it is


@pytest.mark.parametrize("given", ["file", "folder", "phase"])
@pytest.mark.parametrize(
    ("name", "flags", "visuals"),
    [
        ("p", [], ["fake", "real"]),
        ("p", ["--model", "pix2pix", "--dataset_mode", "aligned"], ["fake", "real"]),
        ("c", [], ["fake", "real"]),
        ("c", ["--model", "test"], ["fake", "real"]),
        ("t", [], ["fake", "real"]),
        ("l", [], ["fake_B_rgb", "real_A", "real_B_rgb"]),
    ],
)
def test_a_file_or_a_plain_folder_is_enough(place, given, name, flags, visuals):
    """User report 15: for every model with one input, in the images' own sizes."""
    folder = place / "mine" / {"phase": "test" if name == "l" else "testA"}.get(given, "")
    folder.mkdir(parents=True)
    photo(3, ODD).save(folder / "holiday.jpg")
    root = folder / "holiday.jpg" if given == "file" else place / "mine"
    if "test" in flags and given == "phase":
        root = folder
    if name == "l" and given == "phase":
        flags = [*flags, "--preprocess", "keep"]  # its own layout: scaled, as published
    run_test("--dataroot", root, "--name", name, *CPU, *flags)
    made = place / f"results/{name}/test_latest/images"
    assert sorted(path.name for path in made.iterdir()) == [f"holiday_{v}.png" for v in visuals]
    assert {Image.open(path).size for path in made.iterdir()} == {ODD}


def test_one_side_alone_is_translated_as_model_test_does(place, capsys):
    """User report 15: the same pictures, either way, and it is said."""
    make_single(place / "onlyA/testA", 1)
    make_single(place / "onlyB/testB", 1, first=4)
    for root, flags in (("onlyA/testA", []), ("onlyB/testB", ["--direction", "BtoA"])):
        run_test("--dataroot", root, "--name", "c", *CPU, "--model", "test", *flags)
        expected = images(place / "results/c/test_latest")
        capsys.readouterr()
        run_test("--dataroot", Path(root).parent, "--name", "c", *CPU, *flags)
        assert f"as --model test --dataroot {root} does" in capsys.readouterr().out
        assert images(place / "results/c/test_latest") == expected
    run_test("--dataroot", "onlyB", "--name", "c", *CPU, expect=2)
    assert "testA" in capsys.readouterr().err


def test_layouts_of_data_sets_are_read_as_before(place):
    """User report 15: where there is a folder `test`, images are scaled to the run's crop_size."""
    photo(3, ODD).save(place / "pairs/test/odd.png")
    (place / "pairs/test/0.png").unlink()
    run_test("--dataroot", "pairs", "--name", "l", *CPU)
    made = place / "results/l/test_latest/images"
    assert {Image.open(path).size for path in made.iterdir()} == {(32, 32)}
    run_test("--dataroot", "pairs", "--name", "p", *CPU)
    made = place / "results/p/test_latest/images"
    names = {f"{stem}_{v}.png" for stem in ("1", "odd") for v in ("real_A", "fake_B", "real_B")}
    assert {path.name for path in made.iterdir()} == names


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (["train", "val"], "--phase"),
        (["A", "B"], "--dataroot D"),
        (["pairs"], "expected"),
        ([], "no image"),
    ],
)
def test_what_may_be_meant_otherwise_is_not_guessed(place, capsys, layout, words):
    """User report 15: another phase, flat domains, pairs without their folder, nothing at all."""
    (place / "D").mkdir()
    for name in layout:
        size = (96, 48) if name == "pairs" else (48, 48)
        folder = place / "D" / ("" if name == "pairs" else name)
        folder.mkdir(exist_ok=True)
        photo(1, size).save(folder / "0.png")
    run_test("--dataroot", "D", "--name", "p", *CPU, expect=2)
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error")]
    assert words in line or "no folder" in line, line
    assert not (place / "results").exists()


def test_a_u_net_gives_an_image_its_own_size_too(tmp_path):
    """User report 15: padded to what it takes, and cut back."""
    make_aligned(tmp_path / "pairs", 1)
    unet = ["--netG", "unet_128", *TINY, "--load_size", 128, "--crop_size", 128]
    once = ["--n_epochs", 1, "--n_epochs_decay", 0]
    flags = ["--dataroot", "pairs", "--name", "u", "--model", "colorization"]
    run_train(*flags, *unet, *once)
    photo(3, (67, 41)).save(tmp_path / "photo.jpg")
    run_test("--dataroot", "photo.jpg", "--name", "u", *CPU)
    made = tmp_path / "results/u/test_latest/images/photo_fake_B_rgb.png"
    assert Image.open(made).size == (67, 41)


def test_a_renamed_run_goes_by_its_folders_name(runs, place, capsys):
    """User report 25: the old name is nowhere, on the terminal, on pages or in files."""
    (place / "checkpoints").unlink()
    shutil.copytree(runs / "checkpoints/p", place / "checkpoints/renamed", symlinks=True)
    run_test("--dataroot", "pairs", "--name", "renamed", *CPU)
    out = capsys.readouterr().out
    assert "set by run renamed" in out and re.search(r" name: renamed ", out)
    page = (place / "results/renamed/test_latest/index.html").read_text()
    assert "run p" not in out + page and not re.search(r" name: p ", out + page)
    options = (place / "results/renamed/test_latest/test_opt.yaml").read_text()
    assert "name: renamed" in options
