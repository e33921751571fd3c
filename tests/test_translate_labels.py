"""translate.py and `Translator` where images are label maps, and where a network has several
styles."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import translate
from tests.helpers import TINY, make_single, photo, style_flags, test, train
from translate import Translator
from util.errors import UserError

TABLE = "7 0 road #804080\n21 1 tree #6b8e23\n0 void\n"
SHORT = [*TINY, "--n_epochs", "1", "--n_epochs_decay", "0", "--no_html"]


def ids_of(index: int, size: tuple[int, int] = (48, 48)) -> np.ndarray:
    """A label map of 0, 7 and 21, (H, W) uint8."""
    values = np.asarray(photo(index, size).convert("L"))
    return np.array([0, 7, 21], np.uint8)[np.digitize(values, [80, 150])]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with runs from label maps to photographs, back, and of two styles."""
    root = tmp_path_factory.mktemp("labels")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        Path("table.txt").write_text(TABLE)
        for folder in ("pairs/trainA", "pairs/trainB"):
            Path(folder).mkdir(parents=True)
        for n in range(2):
            Image.fromarray(ids_of(n)).save(f"pairs/trainA/{n}.png")
            photo(n).save(f"pairs/trainB/{n}.png")
        flags = ["--dataroot", "pairs", "--model", "pix2pix", "--netG", "resnet_6blocks", *SHORT]
        train(*flags, "--name", "paint", "--label_A", "table.txt")
        train(*flags, "--name", "label", "--label_A", "table.txt", "--direction", "BtoA")
        train("--dataroot", make_single(Path("photos"), 1), "--model", "style", "--name", "styles",
              *style_flags(Path("styles")), *SHORT, "--batch_size", "1",
              "--style_image", "styles/painting.png", "photos/0.png")  # fmt: skip
        Path("maps").mkdir()
        Image.fromarray(ids_of(5, (52, 41))).save("maps/5.png")
    return root


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.chdir(home)


def loaded(name: str, **flags) -> Translator:
    return Translator.load(f"checkpoints/{name}", device="cpu", **flags)


@pytest.mark.parametrize(("name", "images"), [("paint", "maps"), ("label", "photos")])
def test_it_gives_the_files_of_test_py(name, images, tmp_path):
    test("--dataroot", images, "--name", name, "--model", "test", "--results_layout", "flat",
         "--results_dir", tmp_path / "test", "--device", "cpu", "--num_threads", "0")  # fmt: skip
    words = ["--name", name, images, "-o", str(tmp_path / "made"), "--device", "cpu"]
    assert translate.main(words) == 0
    tested = sorted((tmp_path / "test" / name / "test_latest").glob("*.png"))
    made = sorted((tmp_path / "made").iterdir())
    assert [file.name for file in made] == [file.name for file in tested] != []
    assert [file.read_bytes() for file in made] == [file.read_bytes() for file in tested]


def test_label_maps_of_every_kind_become_pictures():
    translator, ids = loaded("paint"), ids_of(3, (45, 37))
    made = translator(ids)
    assert made.shape == (37, 45, 3) and made.dtype == np.uint8
    same = [translator(Image.fromarray(ids)), translator(Image.fromarray(ids, "P")),
            translator(ids.astype(np.int64)), *translator([ids[..., None], ids])]  # fmt: skip
    assert all((np.asarray(each) == made).all() for each in same)
    tensor = translator(torch.from_numpy(ids).long())
    assert (tensor.permute(1, 2, 0).numpy() == made).all()
    channels = torch.from_numpy(np.stack([ids == 7, ids == 21])).double() * 2 - 1
    floats = translator(channels)
    assert floats.shape == (3, 37, 45) and floats.dtype == torch.float64
    assert abs((floats.permute(1, 2, 0).numpy() + 1) * 127.5 - made).max() <= 0.51


def test_where_label_maps_are_made_they_come_as_ids():
    translator, picture = loaded("label"), photo(2, (45, 37))
    made = translator(picture)
    assert made.mode == "P" and made.getpalette()[21:24] == [0x80, 0x40, 0x80]
    ids = translator(np.asarray(picture))
    assert ids.shape == (37, 45) and set(np.unique(ids)) <= {7, 21}
    assert (np.asarray(made) == ids).all()
    assert translator(torch.zeros(3, 16, 16)).shape == (2, 16, 16)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (np.full((8, 8), 9, np.uint8), "id 9 is of no class"),
        (np.zeros((8, 8, 3, 1)), r"\(H, W\) ids"),
        (np.full((8, 8), 0.5), "no whole numbers"),
        (torch.zeros(3, 8, 8), r"accepted: \(2, H, W\)"),
        ("maps/5.png", "no label map"),
    ],
)
def test_what_is_no_label_map_is_told(given, told):
    with pytest.raises(UserError, match=told):
        loaded("paint")(given)


def test_label_maps_are_kept_by_png_alone(tmp_path, capsys):
    words = ["--name", "label", "photos", "-o", str(tmp_path / "o"), "--format", "jpg"]
    assert translate.main([*words, "--device", "cpu"]) == 1
    assert "png" in capsys.readouterr().err.splitlines()[-1]


def test_a_style_is_chosen_by_number_or_mixed(tmp_path):
    image = photo(2, (40, 36))
    first, second = loaded("styles")(image), loaded("styles", style_blend=[0, 2])(image)
    assert first.tobytes() != second.tobytes()
    image.save(tmp_path / "in.png")
    words = ["--name", "styles", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]
    assert translate.main([*words, "--style_index", "1", "--device", "cpu"]) == 0
    assert Image.open(tmp_path / "out.png").tobytes() == second.tobytes()
    with pytest.raises(UserError, match="accepted: 0 to 1"):
        loaded("styles", style_index=2)


def test_a_video_of_label_maps_is_shown_in_colours_and_never_read(tmp_path, capsys):
    pytest.importorskip("av", reason="pip install -r requirements-video.txt")
    clips = importlib.import_module("tests.util.video.clips")
    frames = clips.pan(2)
    clip = str(clips.write_clip(tmp_path / "in.mkv", frames))
    words = [clip, "-o", str(tmp_path / "out.mkv"), "--codec", "ffv1", "--device", "cpu"]
    assert translate.main(["--name", "label", *words]) == 0
    seen = clips.read_clip(tmp_path / "out.mkv")[1][0].reshape(-1, 3)
    assert {tuple(colour) for colour in seen} <= {(0x80, 0x40, 0x80), (0x6B, 0x8E, 0x23)}
    assert translate.main(["--name", "paint", *words]) == 1
    assert "keeps no ids" in capsys.readouterr().err
