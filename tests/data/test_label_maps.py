"""Label maps: numbers of classes as channels, whatever kind of file and layout they come in."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import data
from options import test_options
from options.train_options import TrainOptions
from tests.helpers import TINY, copy_of_a_run, page_rows, photo, script
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.errors import UserError
from util.labels.table import numbered, read_table

ONE_EPOCH = ["--n_epochs", 1, "--n_epochs_decay", 0, "--display_freq", 1, "--update_html_freq", 1]
PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY]
KEEP = ["--load_size", "48", "--crop_size", "48", "--no_flip"]


def label_map(index: int = 0) -> np.ndarray:
    """(48, 48) of ids 0, 3, 7 and 255."""
    ids = np.zeros((48, 48), np.uint8)
    ids[5 : 30 + index, 10:40] = 3
    ids[20:40, :9] = 7
    ids[0, :5] = 255
    return ids


def palette_image(ids: np.ndarray) -> Image.Image:
    image = Image.fromarray(ids, "P")
    image.putpalette([part for k in range(256) for part in (k * 10 % 256, 255 - k, k)])
    return image


COLOURS = {0: (0, 0, 0), 3: (128, 64, 128), 7: (70, 70, 70), 255: (255, 255, 255)}


def coloured(ids: np.ndarray) -> Image.Image:
    picture = np.zeros((*ids.shape, 3), np.uint8)
    for number, colour in COLOURS.items():
        picture[ids == number] = colour
    return Image.fromarray(picture)


def make_maps(root: Path, phases: tuple[str, ...] = ("train", "test"), count: int = 2) -> Path:
    """Pairs in two folders, which are unpaired sets as well: A grey maps, B photographs."""
    for phase in phases:
        for side in "AB":
            (root / f"{phase}{side}").mkdir(parents=True)
        for index in range(count):
            Image.fromarray(label_map(index)).save(root / f"{phase}A" / f"{index}.png")
            photo(index).save(root / f"{phase}B" / f"{index}.png")
    return root


def options(root: Path, mode: str, *flags: object):
    words = ["--dataroot", root, "--dataset_mode", mode, "--model", "template", *TINY, *flags]
    return TrainOptions().parse([str(word) for word in words])


def first(root: Path, mode: str, *flags: object) -> dict:
    return data.create_dataset(options(root, mode, "--serial_batches", *flags)).peek()


def is_one_hot(images: torch.Tensor, ids: np.ndarray, of: dict[int, int], count: int) -> bool:
    """Whether (1, count, H, W) is 1 at the class of each id (`of`; void: nowhere), else -1."""
    expected = -np.ones((count, *ids.shape), np.float32)
    for number, own in of.items():
        expected[own][ids == number] = 1
    return torch.equal(images[0], torch.from_numpy(expected))


def write_table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_ids_become_channels_and_the_number_of_channels_follows(tmp_path):
    """User report 7: class ids were one grey channel, nearly black."""
    opt = options(make_maps(tmp_path), "aligned", "--label_A", 8, *KEEP)
    assert (opt.input_nc, opt.output_nc) == (8, 3)
    batch = data.create_dataset(opt).first()
    index = int(Path(batch["A_paths"][0]).stem)
    assert is_one_hot(batch["A"], label_map(index), {0: 0, 3: 3, 7: 7}, 8)
    assert batch["B"].shape == (1, 3, 48, 48)
    back = options(tmp_path, "aligned", "--label_A", 8, "--direction", "BtoA")
    assert (back.input_nc, back.output_nc) == (3, 8)


KINDS = {
    "grey.png": lambda ids, path: Image.fromarray(ids).save(path),
    "palette.png": lambda ids, path: palette_image(ids).save(path),
    "palette.bmp": lambda ids, path: palette_image(ids).save(path),
    "deep.png": lambda ids, path: Image.fromarray(ids.astype(np.uint16)).save(path),
    "deep.tif": lambda ids, path: tifffile.imwrite(path, ids.astype(np.uint16)),
    "long.npy": lambda ids, path: np.save(path, ids.astype(np.int64)),
    "float.npy": lambda ids, path: np.save(path, ids.astype(np.float32)),
    "rgb.png": lambda ids, path: Image.fromarray(ids).convert("RGB").save(path),
    "rgba.png": lambda ids, path: Image.fromarray(ids).convert("RGBA").save(path),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_channels(tmp_path, name):
    """User report 7: 8 and 16 bits, palette files by index."""
    KINDS[name](label_map(), tmp_path / name)
    batch = first(tmp_path, "single", "--label_A", 8, *KEEP)
    assert is_one_hot(batch["A"], label_map(), {0: 0, 3: 3, 7: 7}, 8)


TABLES = {
    "t.txt": "# id class name colour\n0 1 ground #102030\n3 0 a road\n7 0 # the same\n255 void\n",
    "t.csv": "id,class,name,colour\n0,1,ground,#102030\n3,0,a road\n7,0\n255,void\n",
    "list.json": json.dumps([
        {"id": 0, "class": 1, "name": "ground", "color": [16, 32, 48]},
        {"id": 3, "class": 0, "name": "a road"},
        {"id": 7, "class": 0},
        {"id": 255, "class": "void"},
    ]),
    "map.json": json.dumps({
        "3": {"name": "a road", "class": 0},
        "7": 0,
        "255": None,
        "0": {"class": 1, "name": "ground", "colour": "#102030"},
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_takes_any_ids(tmp_path, name):
    """User report 7: any ids, by a table: id -> class, name, colour."""
    make_maps(tmp_path / "D")
    table = write_table(tmp_path / name, TABLES[name])
    opt = options(tmp_path / "D", "aligned", "--label_A", table, "--serial_batches", *KEEP)
    batch = data.create_dataset(opt).peek()
    assert opt.input_nc == 2 and is_one_hot(batch["A"], label_map(), {0: 1, 3: 0, 7: 0}, 2)
    labels = opt.labels["A"]
    assert labels.names == ("a road", "ground") and labels.colours[1] == (16, 32, 48)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "P"])
def test_a_table_of_colours(tmp_path, kind):
    """User report 7: colour-coded maps with a table."""
    image = coloured(label_map()).convert(kind)
    if kind == "P":
        image = Image.fromarray(label_map(), "P")
        image.putpalette([part for k in range(256) for part in COLOURS.get(k, (9, 9, 9))])
    (tmp_path / "D").mkdir()
    image.save(tmp_path / "D" / "0.png")
    table = write_table(tmp_path / "t.txt", "#000000 0\n#804080 1 road\n#464646\n#ffffff void\n")
    batch = first(tmp_path / "D", "single", "--label_A", table, *KEEP)
    assert is_one_hot(batch["A"], label_map(), {0: 0, 3: 1, 7: 2}, 3)


BAD_TABLES = {
    "": "no row",
    "0 void\n": "no class in it, only void",
    "0 0\n0 1\n": "0 is there twice",
    "0 0\n#ffffff 1\n": "ids and colours in one table",
    "0 0\n1 2\n": "classes go up to 2, but there is no 1",
    "x 0\n": "line 1: 'x'|line 1: \\[\\]",
    "0 zero\n": "line 1: class 'zero'",
    "70000 0\n": "line 1: id 70000: from 0 to 65535",
    "[1": "Expecting",
    "[1, 2]": ".*neither id nor color",
}


@pytest.mark.parametrize(("text", "words"), BAD_TABLES.items())
def test_a_table_that_is_none_is_one_line(tmp_path, text, words):
    """User report 7: what is wrong, and what is accepted."""
    table = write_table(tmp_path / "t.txt", text)
    with pytest.raises(UserError, match=f"--label_A .*t.txt: ({words}).*accepted") as told:
        options(make_maps(tmp_path / "D"), "aligned", "--label_A", table)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--label_A", "tabel.txt"], "--label_A tabel.txt: No such file.*number of classes"),
        (["--label_A", 1], "--label_A 1: accepted: a whole number from 2"),
        (["--label_A", -3], "accepted: a whole number from 2|expected|unknown"),
        (["--label_A", 8, "--input_nc", 3], "--input_nc 3: images of A have 8 channels.*give 8"),
        (["--label_B", 8, "--output_nc", 1], "--output_nc 1: images of B have 8 channels"),
        (["--label_B", 8, "--direction", "BtoA", "--input_nc", 3], "--input_nc 3: images of B"),
        (["--label_A", 8, "--label_void", "x"], "--label_void 'x': accepted"),
    ],
)
def test_flags_that_contradict_are_one_line(tmp_path, flags, words):
    """User report 7: channels follow, or are refused with the right value."""
    with pytest.raises(UserError, match=words):
        options(make_maps(tmp_path), "aligned", *flags)


@pytest.mark.parametrize("mode", ["aligned", "unaligned"])
def test_ids_out_of_range_are_refused_before_training(tmp_path, monkeypatch, capsys, mode):
    """User report 7: one line with the file, the id and what to do."""
    root = make_maps(tmp_path / "D", count=1)
    monkeypatch.chdir(tmp_path)
    run_train("--dataroot", root, "--dataset_mode", mode, "--name", "x", *PIX2PIX, "--label_A", 6,
              expect=2)  # fmt: skip
    *_, line = capsys.readouterr().err.splitlines()
    assert re.search(r"trainA/0.png: id 7 is of no class by --label_A 6 .*; give --label_A 8", line)
    assert not (tmp_path / "checkpoints" / "x").exists()


def test_masks_of_0_and_255_without_a_table_are_told(tmp_path, capsys):
    """They would be trained on as one class and void."""
    make_maps(tmp_path / "D")
    for file in (tmp_path / "D").glob("*A/*.png"):
        Image.fromarray(np.where(np.asarray(Image.open(file)) > 0, 255, 0).astype(np.uint8)).save(
            file
        )
    words = ["--dataroot", "D", "--name", "m", *PIX2PIX, "--dry_run", "--label_A"]
    run_train(*words, 2)
    assert "of 2 classes the maps hold 0 alone" in capsys.readouterr().err
    table = write_table(tmp_path / "t.txt", "0 0 ground\n255 1 object\n")
    run_train(*words, table)
    assert "alone" not in capsys.readouterr().err


def test_void_is_what_the_flag_says(tmp_path):
    """User report 7: 255 has no channel, unless it is a class or the flag says otherwise."""
    make_maps(tmp_path)
    other = first(tmp_path, "aligned", "--label_A", 256, "--label_void", 7, *KEEP)
    assert is_one_hot(other["A"], label_map(), {0: 0, 3: 3, 255: 255}, 256)
    with pytest.raises(UserError, match="id 255 is of no class by --label_A 8 .*ids 0 to 7"):
        first(tmp_path, "aligned", "--label_A", 8, "--label_void", "none")


def test_more_than_256_classes(tmp_path):
    """User report 7: 16 bits."""
    ids = np.arange(48 * 48, dtype=np.uint16).reshape(48, 48) % 300
    Image.fromarray(ids).save(tmp_path / "0.png")
    batch = first(tmp_path, "single", "--label_A", 300, *KEEP)
    assert torch.equal(batch["A"][0].argmax(0), torch.from_numpy(ids.astype(np.int64)))


@pytest.mark.parametrize("cache", ["off", "ram", "disk"])
@pytest.mark.parametrize("layout", ["folders", "side by side"])
def test_maps_share_crop_and_flip_with_their_image_and_are_never_mixed(tmp_path, layout, cache):
    """User report 7: nearest neighbour, and one crop and flip for both."""
    root, flags = tmp_path / "D", ["--label_A", 8, "--cache", cache]
    flags += ["--cache_dir", tmp_path / "kept"] if cache == "disk" else []
    table = write_table(tmp_path / "B.txt", "#000000 0\n#804080 3\n#464646 7\n#ffffff void\n"
                        + "".join(f"#{k:02x}0000 {k}\n" for k in (1, 2, 4, 5, 6)))  # fmt: skip
    for index in range(2):
        ids = label_map(index)
        if layout == "folders":
            for folder, image in (("A", Image.fromarray(ids)), ("B", coloured(ids))):
                (root / f"train{folder}").mkdir(parents=True, exist_ok=True)
                image.save(root / f"train{folder}" / f"{index}.png")
        else:  # both coded by colour
            (root / "train").mkdir(parents=True, exist_ok=True)
            both = np.concatenate([np.asarray(coloured(ids))] * 2, axis=1)
            Image.fromarray(both).save(root / "train" / f"{index}.png")
            flags[1] = table
    loader = data.create_dataset(options(root, "aligned", *flags, "--label_B", table))
    for epoch in (1, 2):
        loader.set_epoch(epoch)
        for batch in loader:
            assert batch["A"].shape == (1, 8, 32, 32) and torch.equal(batch["A"], batch["B"])
            assert set(batch["A"].unique().tolist()) == {-1, 1}
            assert set((batch["A"] > 0).sum(1).unique().tolist()) <= {0, 1}


def test_one_side_of_a_file_may_be_a_map_and_the_other_a_photograph(tmp_path):
    """User report 7: side by side, colour-coded and a picture."""
    (tmp_path / "train").mkdir()
    both = np.concatenate([np.asarray(coloured(label_map())), np.asarray(photo(1))], axis=1)
    Image.fromarray(both).save(tmp_path / "train" / "0.png")
    table = write_table(tmp_path / "t.txt", "#000000\n#804080\n#464646\n#ffffff void\n")
    batch = first(tmp_path, "aligned", "--label_A", table, *KEEP)
    assert is_one_hot(batch["A"], label_map(), {0: 0, 3: 1, 7: 2}, 3)
    whole = (batch["B"][0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(whole - np.asarray(photo(1))).max() < 0.01


def test_a_plug_ins_own_reading_follows_the_flag(tmp_path):
    """User report 7: `picture` and `transform_for` are what plug-ins read with."""
    make_maps(tmp_path)
    dataset = data.create_dataset(options(tmp_path, "aligned", "--label_A", 8, *KEEP)).dataset
    path = str(tmp_path / "trainA" / "0.png")
    params = {"crop_pos": (0, 0), "flip": False}
    images = dataset.transform_for("A", params)(dataset.picture(path, "A"))
    assert is_one_hot(images[None], label_map(), {0: 0, 3: 3, 7: 7}, 8)


def test_maps_without_the_flag_are_told_once(tmp_path, capsys):
    """User report 7: few ids in a corner of the range, without a word."""
    make_maps(tmp_path)
    data.create_dataset(options(tmp_path, "aligned"))
    found = re.findall("images of A look like label maps: .*--label_A 8", capsys.readouterr().err)
    assert len(found) == 1
    for flag in (["--label_A", 8], ["--label_A"]):
        data.create_dataset(options(tmp_path, "aligned", *flag))
        assert "look like" not in capsys.readouterr().err
    dark = np.random.default_rng(0).integers(0, 200, (48, 48)).astype(np.uint8)
    for index in range(2):  # a grey photograph is none
        Image.fromarray(dark).save(tmp_path / "trainA" / f"{index}.png")
    data.create_dataset(options(tmp_path, "aligned"))
    assert "look like" not in capsys.readouterr().err


def test_what_an_earlier_version_has_saved_still_parses(tmp_path):
    """User report 7: `label_A: false` and `true` of the options of earlier runs."""
    make_maps(tmp_path)
    (tmp_path / "old.yaml").write_text("label_A: true\nlabel_B: false\n")
    opt = options(tmp_path, "aligned", "--config", tmp_path / "old.yaml")
    assert (opt.label_A, opt.label_B, opt.labels) == ("nearest", None, {})


def maps_and_table(folder: Path) -> None:
    make_maps(folder)
    write_table(Path("t.txt"), "0 0 ground #0000ff\n3 1 road\n7 1\n255 void\n")


@pytest.fixture
def trained():
    """A run `x`: maps of a table to photographs."""
    return copy_of_a_run(
        "D", maps_and_table, "--name", "x", *PIX2PIX, *ONE_EPOCH, "--label_A", "t.txt"
    )


def colours(path: Path) -> set[tuple[int, ...]]:
    return set(map(tuple, np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()))


SHOWN = {(0, 0, 255), (128, 0, 0), (224, 224, 192)}  # the table's, the palette's, void


def test_pages_show_classes_in_colours_with_a_legend_and_test_inherits_them(trained, capsys):
    """User report 7: pages in colours, a table of them, and test.py without a flag."""
    run = trained / "checkpoints" / "x"
    assert "real_A" in page_rows(run)[0][3]
    assert colours(run / "web" / "images" / "epoch001_real_A.png") <= SHOWN
    assert colours(run / "web" / "images" / "epoch001_fixed_real_A.png") <= SHOWN
    (trained / "t.txt").unlink()  # the run keeps it
    results = trained / "results" / "x" / "test_latest"
    for model, visual, root in (("pix2pix", "real_A", "D"), ("test", "real", "D/testA")):
        run_test("--dataroot", trained / root, "--name", "x", "--gpu_ids", -1, "--model", model)
        picture = Image.open(next(results.glob(f"**/0_{visual}.png")))
        assert picture.mode == "P" and colours(picture.filename) <= SHOWN
        assert set(np.unique(picture)) == {0, 3, 255}  # ids again, of each class the first
    for page in (run / "web" / "index.html", next(results.glob("**/index.html"))):
        text = page.read_text()
        assert re.search(r"Classes of A .*ground</td>.*#0000ff.*road</td>.*#800000", text, re.S)
    capsys.readouterr()
    write_table(trained / "t.txt", "0 0\n3 1\n7 2\n255 void\n")
    run_test("--dataroot", trained / "D", "--name", "x", "--gpu_ids", -1)
    assert "t.txt: it has changed since the run began" in capsys.readouterr().err


def test_a_bad_map_in_test_is_a_row_of_its_page(trained):
    """User report 7: ids of no class, met by test.py."""
    ids = label_map()
    ids[9, 9] = 99
    Image.fromarray(ids).save(trained / "D" / "testA" / "1.png")
    run_test("--dataroot", trained / "D", "--name", "x", "--gpu_ids", -1, expect=1)
    page = next((trained / "results" / "x").glob("**/index.html")).read_text()
    assert "id 99 is of no class" in page


def test_made_maps_are_written_as_ids_with_a_palette(tmp_path, monkeypatch):
    """User report 7: a network that gives label maps (--label_B)."""
    monkeypatch.chdir(tmp_path)
    make_maps(tmp_path / "D")
    for phase in ("train", "test"):
        (tmp_path / "D" / f"{phase}A").rename(tmp_path / "D" / "swap")
        (tmp_path / "D" / f"{phase}B").rename(tmp_path / "D" / f"{phase}A")
        (tmp_path / "D" / "swap").rename(tmp_path / "D" / f"{phase}B")
    run_train("--dataroot", tmp_path / "D", "--name", "x", *PIX2PIX, *ONE_EPOCH, "--label_B", 8)
    run_test("--dataroot", tmp_path / "D", "--name", "x", "--gpu_ids", -1)
    results = tmp_path / "results" / "x"
    fake = Image.open(next(results.glob("**/0_fake_B.png")))
    assert fake.mode == "P" and set(np.unique(fake)) <= set(range(8)) | {255}
    real = Image.open(next(results.glob("**/0_real_B.png")))
    assert set(np.unique(real)) == {0, 3, 7, 255}


@pytest.mark.parametrize("by_colour", [False, True])
def test_a_kept_table_is_the_same_table(tmp_path, by_colour):
    """User report 7: the run's copy says what the file said."""
    rows = "#000000 0 a b\n#804080 1 c #010203\n#ffffff void\n" if by_colour else TABLES["t.txt"]
    labels = read_table(write_table(tmp_path / "t.txt", rows), "--label_A t.txt")
    kept = write_table(tmp_path / "labels_A.json", labels.to_json())
    assert read_table(kept, "--label_A t.txt") == labels


def test_check_data_looks_at_every_map_and_shows_colours(tmp_path, monkeypatch, capsys):
    """User report 7: check_data.py, and its contact sheet."""
    make_maps(tmp_path / "D", ("train",))
    for index in range(2):
        palette_image(label_map(index)).save(tmp_path / "D" / "trainA" / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    check = script("scripts/check_data.py").main
    words = ["--dataroot", "D", "--dataset_mode", "aligned", "--label_A"]
    assert check([*words, "8", "--page"]) == 0
    shown = colours(tmp_path / "data_check" / "images" / "train_A_000.png")
    assert (30, 252, 3) in shown  # the file's own
    assert "Classes of A" in (tmp_path / "data_check" / "index.html").read_text()
    assert check([*words, "4"]) == 2
    assert capsys.readouterr().out.count("id 7 is of no class") == 2


def test_weights_for_other_classes_are_refused(trained, capsys):
    """User report 7: test with another number of classes."""
    run_test("--dataroot", trained / "D", "--name", "x", "--gpu_ids", -1, "--label_A", 8, expect=2)
    error = capsys.readouterr().err
    assert re.search("--label_A 8: 8 classes, but the network takes or gives 2 channels", error)


def test_options_of_test_alone(tmp_path):
    """User report 7: test.py without a run's options knows the flag as well."""
    make_maps(tmp_path)
    words = ["--dataroot", str(tmp_path / "testA"), "--model", "test", "--label_A", "8"]
    opt = test_options.TestOptions().parse(
        [*words, "--gpu_ids", "-1", "--checkpoints_dir", str(tmp_path)]
    )
    assert opt.input_nc == 8 and opt.labels["A"].count == 8


@pytest.mark.parametrize(("file", "lossy"), [("x.jpg", True), ("x.PNG", False)])
def test_ids_that_a_lossy_format_has_changed_are_told_as_that(file, lossy):
    """Naming more classes, or adding them to a table, would not help."""
    with pytest.raises(UserError) as caught:
        numbered(8, None, "--label_A 8").classes(np.array([3, 9, 11]), file)
    assert ("save label maps as PNG" in str(caught.value)) == lossy
    assert ("--label_A 12" in str(caught.value)) != lossy
