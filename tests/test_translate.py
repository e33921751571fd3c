"""translate.py and `Translator`: a trained network as a command and as a function of images."""

import contextvars
import importlib
import io
import os
import random
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

import translate
from tests.helpers import TINY, make_aligned, make_single, make_unaligned, photo, test, train
from translate import Translator
from util.errors import BadImage, UserError
from util.images import header

SHORT = [*TINY, "--n_epochs", "1", "--n_epochs_decay", "0", "--no_html", "--netG", "resnet_6blocks",
         "--save_epoch_freq", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with runs of several models, and photographs of odd sizes."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_aligned(Path("pairs"), count=2)
        make_unaligned(Path("sets"), count=2)
        make_single(Path("colour/train"), count=2)
        train("--dataroot", "pairs", "--name", "pix", "--model", "pix2pix", *SHORT)
        train("--dataroot", "sets", "--name", "cycle", "--model", "cycle_gan", *SHORT)
        train("--dataroot", "colour", "--name", "colours", "--model", "colorization", *SHORT)
        Path("photos/sub").mkdir(parents=True)
        photo(3, (45, 37)).save("photos/img2.png")
        photo(4, (30, 52)).save("photos/img10.jpg")
        photo(5, (41, 41)).save("photos/sub/img2.png")
    return root


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.chdir(home)


def pixels(file: str | Path) -> np.ndarray:
    return np.asarray(Image.open(file)).astype(int)


def run(*argv: str | Path, expect: int = 0) -> None:
    assert translate.main([*map(str, argv), "--device", "cpu"]) == expect


@pytest.mark.parametrize("name", ["pix", "cycle", "colours"])
def test_it_gives_the_pictures_of_test_py(name, tmp_path):
    test("--dataroot", "photos", "--name", name, "--results_layout", "flat", "--results_dir",
         tmp_path / "test", "--device", "cpu", "--num_threads", "0")  # fmt: skip
    run("--name", name, "photos", "-o", tmp_path / "translated")
    tested, translated = tmp_path / "test" / name / "test_latest", tmp_path / "translated"
    files = {file.relative_to(tested) for file in tested.rglob("*.png")}
    assert {str(file) for file in files} == {"img2.png", "img10.png", "sub/img2.png"}
    for file in files:
        assert (pixels(tested / file) == pixels(translated / file)).all()


def test_a_translator_gives_back_the_kind_that_it_was_given():
    translator = Translator.load("checkpoints/pix", device="cpu")
    image = Image.open("photos/img2.png")
    levels = np.asarray(image)
    made = translator(image)
    assert (made.mode, made.size) == ("RGB", (45, 37))
    expected = np.asarray(made).astype(int)
    assert (translator(levels) == expected).all()
    deep = translator(levels.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16 and abs(deep / 257 - expected).max() <= 0.5
    unit = translator(levels / 255)
    assert unit.dtype == np.float64 and abs(unit * 255 - expected).max() <= 0.5
    tensor = torch.from_numpy(levels.copy()).permute(2, 0, 1)
    assert (translator(tensor).permute(1, 2, 0).numpy() == expected).all()
    floats = translator((tensor / 127.5 - 1)[None].double())
    assert floats.shape == (1, 3, 37, 45) and floats.dtype == torch.float64
    assert abs((floats[0].permute(1, 2, 0).numpy() + 1) * 127.5 - expected).max() <= 0.5
    assert [type(each) for each in translator([image, levels])] == [Image.Image, np.ndarray]


@pytest.mark.parametrize("name", ["pix", "colours"])
@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "opacity", "grey"])
def test_large_pictures_go_through_in_parts_and_are_the_same(name, kind, monkeypatch):
    colours = np.asarray(photo(6, (75, 53)))
    image = {
        "8 bits": colours,
        "16 bits": colours.astype(np.uint16) * 257,
        "opacity": np.concatenate([colours, colours[..., :1]], axis=2),
        "grey": colours[..., 0],
    }[kind]
    expected = Translator.load(f"checkpoints/{name}", device="cpu", tile="off")(image)
    in_tiles = Translator.load(f"checkpoints/{name}", device="cpu", tile=24)
    monkeypatch.setattr(in_tiles, "translate", None)  # which makes floats of all of it
    made = in_tiles(image)
    assert made.dtype == expected.dtype and made.shape == expected.shape
    levels = 257 if kind == "16 bits" else 1
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= levels


def test_a_photograph_that_is_tagged_as_turned_is_upright_as_in_files():
    image, exif = Image.open("photos/img2.png"), Image.Exif()
    exif[274] = 6  # by a quarter
    image.save("turned.jpg", exif=exif, quality=95)
    made = Translator.load("checkpoints/pix", device="cpu")(Image.open("turned.jpg"))
    run("--name", "pix", "turned.jpg", "-o", "upright.png")
    assert made.size == image.size[::-1]
    assert np.array_equal(pixels("upright.png"), np.asarray(made))


@pytest.mark.parametrize(
    ("mode", "given_back"), [("L", "RGB"), ("LA", "RGBA"), ("RGBA", "RGBA"), ("P", "RGB")]
)
def test_modes_of_pil_keep_their_opacity(mode, given_back):
    image = Image.open("photos/img2.png").convert(mode)
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    made = Translator.load("checkpoints/pix", device="cpu")(image)
    assert (made.mode, made.size) == (given_back, image.size)
    if "A" in mode:
        assert made.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ("photos/img2.png", "PIL.Image.open"),
        (Image.fromarray(np.full((8, 8), 300, np.uint16)), "give a numpy array"),
        (np.zeros((2, 3, 4, 5)), r"\(H, W, C\)"),
        (np.zeros((0, 8, 3)), r"\(H, W, C\)"),
        (np.full((8, 8, 3), np.nan), "NaN"),
        (np.zeros((8, 8, 3), np.int32), "value_range"),
        (np.zeros((8, 8, 5), np.uint8), "5 channels, expected are 3"),
        (torch.zeros(1, 8, 8), r"\(3, H, W\)"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), r"\[-1, 1\]"),
    ],
)
def test_what_is_no_image_is_told_with_what_is_accepted(given, accepted):
    with pytest.raises(UserError, match=accepted):
        Translator.load("checkpoints/pix", device="cpu")(given)


def test_directions_epochs_and_published_files():
    image = Image.open("photos/img2.png")
    there = Translator.load("checkpoints/cycle", device="cpu")(image)
    back = Translator.load("checkpoints/cycle", direction="BtoA", device="cpu")(image)
    assert there.tobytes() != back.tobytes()
    file = Translator.load("checkpoints/cycle/latest_net_G_B.pth", device="cpu")(image)
    assert file.tobytes() == back.tobytes()
    epoch = Translator.load("checkpoints/cycle", epoch=1, device="cpu")(image)
    assert epoch.tobytes() == there.tobytes()
    with pytest.raises(UserError, match="7"):
        Translator.load("checkpoints/cycle", epoch=7, device="cpu")
    with pytest.raises(UserError, match="cycel"):
        Translator.load("checkpoints/cycel", device="cpu")


def test_threads_share_translators_and_nothing_else_is_changed(home):
    """Many threads, two networks, one of which draws noise; some load theirs meanwhile."""
    before, state = switches(), {file: file.stat().st_mtime_ns for file in home.rglob("*")}
    both = [Translator.load(f"checkpoints/{name}", device="cpu") for name in ("pix", "cycle")]
    images = [photo(n, (40 + n, 36)) for n in range(4)]
    expected = {(n, m): both[n](images[m]).tobytes() for n in (0, 1) for m in range(4)}

    def work(number: int, place: int) -> bool:
        translator = both[number]
        if place == 3:
            translator = Translator.load(f"checkpoints/{translator.opt.name}", device="cpu")
        return translator(images[place]).tobytes() == expected[number, place]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, *zip(*(list(expected) * 2), strict=True)))
    assert switches() == before
    assert {file: file.stat().st_mtime_ns for file in home.rglob("*")} == state


def switches() -> dict:
    """What is the whole process's, and no Translator's to change."""
    backends = torch.backends
    return {
        "random": random.getstate(), "numpy": repr(np.random.get_state()),
        "torch": torch.random.get_rng_state().tolist(), "environment": dict(os.environ),
        "folder": os.getcwd(), "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(), "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "denormals": torch.tensor([1e-40]).mul(1).item(),
        "cudnn": (backends.cudnn.benchmark, backends.cudnn.deterministic),
        "precision": torch.get_float32_matmul_precision(),
    }  # fmt: skip


def test_a_command_that_was_cut_off_goes_on(tmp_path, capsys):
    out = tmp_path / "out"
    run("--name", "pix", "photos", "-o", out)
    first = pixels(out / "sub/img2.png")
    (out / "sub/img2.png").unlink()
    stays = (out / "img2.png").stat().st_mtime_ns
    run("--name", "pix", "photos", "-o", out, "--skip_existing")
    assert "2 of 3 images are translated already" in capsys.readouterr().out
    assert (pixels(out / "sub/img2.png") == first).all()
    assert (out / "img2.png").stat().st_mtime_ns == stays


def test_one_file_patterns_formats_and_a_damaged_one(tmp_path, capsys):
    run("--name", "pix", "photos/img2.png", "-o", tmp_path / "one.jpg")
    assert Image.open(tmp_path / "one.jpg").format == "JPEG"
    run("--name", "pix", "photos/img2.png", "-o", tmp_path / "one.b.JPEG")  # the name as typed
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.b.JPEG", "one.jpg"]
    Path("photos_bad").mkdir(exist_ok=True)
    Path("photos_bad/x.png").write_bytes(b"no image")
    out = tmp_path / "out"
    run("--name", "pix", "photos/**/*.png", "photos_bad/x.png", "-o", out, "--format", "webp:70",
        expect=1)  # fmt: skip
    assert len(list(out.rglob("*.webp"))) == 2
    said = capsys.readouterr()
    assert "photos_bad/x.png" in said.err and "translated: 2 of 3 images" in said.out


def test_a_video_is_translated_frame_by_frame(tmp_path, capsys):
    """And a run that was stopped goes on; a damaged one is left out."""
    clips = needed_clips()
    frames = clips.pan(4)
    Path("clips").mkdir(exist_ok=True)
    clips.write_clip(Path("clips/b.mkv"), frames, sound=True)
    photo(3, (45, 37)).save("clips/a.png")
    run("--name", "pix", "clips/b.mkv", "-o", tmp_path / "b.MKV", "--codec", "ffv1")
    translator = Translator.load("checkpoints/pix", device="cpu")
    made = clips.read_clip(tmp_path / "b.MKV")[1]
    assert all((one == translator(frame)).all() for one, frame in zip(made, frames, strict=True))
    assert "4 frames; from one to the next" in capsys.readouterr().out
    Path("clips/c.mp4").write_bytes(b"no video")
    run("--name", "pix", "clips", "-o", tmp_path / "all", expect=1)
    assert sorted(file.name for file in (tmp_path / "all").iterdir()) == ["a.png", "b.mkv"]
    said = capsys.readouterr()
    assert "clips/c.mp4: cannot be read as a video" in said.err
    assert "translated: 2 of 3 files" in said.out
    run("--name", "pix", "clips", "-o", tmp_path / "all", "--skip_existing", expect=1)
    assert "2 of 3 images are translated already" in capsys.readouterr().out


def needed_clips() -> ModuleType:
    """The helpers of videos; the test is skipped without PyAV."""
    pytest.importorskip("av", reason="pip install -r requirements-video.txt")
    return importlib.import_module("tests.util.video.clips")


@pytest.mark.parametrize("flags", [[], ["--steady"]])
def test_steady_frames_do_not_depend_on_what_is_seen_beside(tmp_path, flags, capsys):
    """A spot that stands still, while the rest gets brighter: by each frame's own statistics it
    changes, by those of some frames it does not."""
    frames = [np.full((32, 128, 3), 60 + 10 * n, np.uint8) for n in range(6)]
    for n, frame in enumerate(frames):
        frame[:, :80] = np.asarray(photo(2, (80, 32)))  # further than a pixel's reach
        Path("frames").mkdir(exist_ok=True)
        Image.fromarray(frame).save(f"frames/{n}.png")
    run("--name", "cycle", "frames", "-o", tmp_path / "out", *flags)
    first, last = (pixels(tmp_path / f"out/{n}.png")[:, :8] for n in (0, 5))
    assert (abs(first - last).max() == 0) == bool(flags)
    assert ("norms by the statistics of 6 images" in capsys.readouterr().out) == bool(flags)


def test_a_picture_above_the_limit_is_translated_where_that_is_asked_for(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(header, "MAX_PIXELS", 1000)  # of a picture of 1665 px
    monkeypatch.setattr(header, "_allowed", contextvars.ContextVar("allowed", default=1000))
    given = ["--name", "pix", "photos/img2.png", "-o", tmp_path / "out.png"]
    run(*given, expect=1)
    assert "img2.png: 45x37 px" in (told := capsys.readouterr().err) and "--max_megapixels" in told
    run(*given, "--max_megapixels", 0.002)
    assert Image.open(tmp_path / "out.png").size == (45, 37)
    with pytest.raises(BadImage):
        header.read_header("photos/img2.png")  # it was asked for this call alone


def test_standard_input_and_output(monkeypatch, capfdbinary):
    content = io.BytesIO(Path("photos/img2.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    run("--name", "pix", "-", "-o", "-")
    out = capfdbinary.readouterr().out
    made = Image.open(io.BytesIO(out))
    assert (
        made.tobytes()
        == Translator.load("checkpoints/pix")(Image.open("photos/img2.png")).tobytes()
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["photos", "-o", "photos/out"], "inside photos"),
        (["photos", "-o", "out.png"], "give a folder"),
        (["photos/img2.png", "-o", os.devnull], "neither a picture nor a folder"),
        (["photos/img2.png", "-o", "pairs/train/0.png/x"], "give another -o"),
        (["nothere.png", "-o", "out"], "nothere.png: no such file"),
        (["photos"], "-o"),
        (["-o", "out"], "give images"),
        (["photos", "-o", "out", "--results_dir", "x"], "-o says where"),
        (["photos", "-o", "-"], "give a folder"),
        (["photos", "-o", "out", "--formt", "png"], "--format"),
        (["photos/img2.png", "-o", "out.mp4"], "is one picture"),
        (["photos", "-o", "out.mp4"], "give a folder"),
        (
            ["photos/img2.png", "-o", "out.xyz"],
            ".xyz is written; accepted: .png",
        ),
        (["photos/img2.png", "-o", "out.bmp"], "accepted: .png"),
        (["photos/img2.png", "-o", "photos/img2.png"], "photos/img2.png is read, and would be"),
        (["photos/*.png", "-o", "photos"], "photos/img2.png is read, and would be written over"),
    ],
)
def test_wrong_calls_are_one_line(words, told, capsys):
    run("--name", "pix", *words, expect=2)
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_an_ending_that_a_result_cannot_have_writes_over_nothing(tmp_path, capsys):
    """Nor does it become another one, whose file may be there."""
    Path(kept := tmp_path / "keep.png").write_bytes(b"precious")
    for ending in ("xyz", "tif", "npy"):
        name = tmp_path / f"keep.{ending}"
        assert translate.main(["--name", "pix", "photos/img2.png", "-o", str(name)]) in (1, 2)
        assert "-o" in capsys.readouterr().err.splitlines()[-1]
    assert kept.read_bytes() == b"precious" and list(tmp_path.iterdir()) == [kept]
