"""Tools for data: combine, cityscapes, splits, edges."""

import multiprocessing
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.io
from PIL import Image

from scripts import edges, split_data
from scripts.tool import for_each
from tests.helpers import make_single, photo, script
from util.errors import UserError

combine = script("datasets/combine_A_and_B.py")
cityscapes = script("datasets/prepare_cityscapes_dataset.py")
HOSTILE = ["two words", 'it\'s "quoted"', "日本 ñ", "-dash", "100%s {x}", "a.b.c"]


def files(folder: Path) -> list[str]:
    """Below a folder, hidden ones too."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def save(path: str, index: int = 0, **options) -> None:
    """A photograph of 48x48 px, making folders."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    photo(index).save(path, **options)


def truncated(path: Path) -> None:
    """The header is whole, pixels are missing."""
    path.write_bytes(path.read_bytes()[:-300])


def png_of_16_bits(path: str) -> None:
    """RGB, which Pillow reads as 8 bits without a word, and cannot write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", 48, 48, 16, 2, 0, 0, 0)
    body = zlib.compress(bytes(48 * (1 + 48 * 6)))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def run(tool, line: str, capsys, expect: int = 0) -> str:
    """What a tool says, one line if it fails."""
    assert tool.main(line.split()) == expect
    said = capsys.readouterr()
    if expect:
        assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
        return said.err
    return said.out


AB = "--fold_A A --fold_B B --fold_AB AB"


def test_the_reference_line_combines_every_split(tmp_path, capsys):
    for split, count in (("train", 3), ("val", 1)):
        for number, side in enumerate("AB"):
            make_single(tmp_path / side / split, count, first=10 * number)
    said = run(combine, AB, capsys)
    assert "train: 3 pairs in AB/train" in said and "val: 1 pairs in AB/val" in said
    assert files(tmp_path / "AB") == ["train/0.png", "train/1.png", "train/2.png", "val/0.png"]
    pair = np.concatenate([np.asarray(photo(2)), np.asarray(photo(12))], axis=1)
    assert (pixels(tmp_path / "AB/train/2.png") == pair).all()


def test_the_reference_line_with_endings_in_one_process_and_limited(tmp_path, capsys):
    for i in range(3):
        save(f"A/train/{i}_A.jpg", i)
        save(f"B/train/{i}_B.jpg", 5 + i)
    run(combine, f"{AB} --use_AB", capsys)
    assert files(tmp_path / "AB") == ["train/0.jpg", "train/1.jpg", "train/2.jpg"]
    alone = "--fold_A A --fold_B B --fold_AB alone --num_imgs 2 --use_AB --no_multiprocessing"
    run(combine, alone, capsys)
    assert files(tmp_path / "alone") == ["train/0.jpg", "train/1.jpg"]
    for name in files(tmp_path / "alone"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "AB" / name).read_bytes()
    image = Image.open("AB/train/1.jpg")
    assert image.size == (96, 48) and image.layer[0][1:3] == (1, 1)  # no chroma subsampling
    assert np.abs(pixels("AB/train/1.jpg")[:, :48] - pixels("A/train/1_A.jpg")).mean() < 2


def test_flat_folders_hostile_names_mixed_extensions(tmp_path, capsys):
    for name in HOSTILE:
        save(f"A/{name}.jpg")
        save(f"B/{name}.png", 1)
    save("A/cat/1.JPEG")
    save("B/cat/1.jpeg", 1)
    assert "7 pairs in AB\n" in run(combine, AB, capsys)
    assert files(tmp_path / "AB") == sorted([f"{name}.png" for name in HOSTILE] + ["cat/1.JPEG"])


def test_rotation_palettes_transparency_and_grey(tmp_path, capsys):
    for name in ("turned.jpg", "palette.png", "clear.png", "grey.png"):
        save(f"A/{name}")
        save(f"B/{name}", 1)
    turn = Image.Exif()
    turn[0x0112] = 6  # to be turned clockwise
    photo(0, (64, 32)).save("A/turned.jpg", exif=turn, quality=95)
    photo(1, (32, 64)).save("B/turned.jpg")
    quantised = photo(0).quantize(16)
    quantised.save("A/palette.png")
    photo(0).save("A/exact.webp", lossless=True)
    photo(1).save("B/exact.webp", lossless=True)
    veil = photo(0).convert("RGBA")
    veil.paste((255, 0, 0, 0), (0, 0, 24, 48))
    veil.save("A/clear.png")
    photo(0).convert("L").save("A/grey.png")
    run(combine, AB, capsys)
    turned = photo(0, (64, 32)).transpose(Image.Transpose.ROTATE_270)
    assert np.abs(pixels("AB/turned.jpg")[:, :32] - np.asarray(turned).astype(int)).mean() < 6
    assert (pixels("AB/exact.webp")[:, 48:] == np.asarray(photo(1))).all()
    assert (pixels("AB/palette.png")[:, :48] == np.asarray(quantised.convert("RGB"))).all()
    assert (pixels("AB/clear.png")[:, :24] == 255).all()
    assert (pixels("AB/clear.png")[:, 24:48] == np.asarray(photo(0))[:, 24:]).all()
    assert (pixels("AB/grey.png")[:, :48, 0] == np.asarray(photo(0).convert("L"))).all()


def no_partner(A, B):
    (B / "train" / "1.png").unlink()


def no_split(A, B):
    make_single(A / "val", 1)


def other_size(A, B):
    photo(0, (48, 64)).save(B / "train" / "1.png")


def turned_size(A, B):
    turn = Image.Exif()
    turn[0x0112] = 8
    for side, exif in ((A, turn), (B, Image.Exif())):
        photo(0, (48, 64)).save(side / "train" / "1.png", exif=exif)


def no_image(A, B):
    for path in (A / "train").iterdir():
        path.rename(path.with_suffix(".txt"))


def not_an_image(A, B):
    (A / "train" / "1.png").write_text("hello")


def deep_colour(A, B):
    png_of_16_bits(A / "train" / "1.png")


def deep_grey(A, B):
    Image.fromarray(np.zeros((48, 48), np.uint16)).save(B / "train" / "1.png")


def deep_tiff(A, B):
    for side in (A, B):
        (side / "train" / "1.png").unlink()
    skimage.io.imsave(B / "train" / "1.tif", np.zeros((48, 48, 3), np.uint16), check_contrast=False)
    photo(0).save(A / "train" / "1.tif")


def floats(A, B):
    Image.fromarray(np.zeros((48, 48), np.float32)).save(B / "train" / "1.png", "TIFF")


@pytest.mark.parametrize(
    ("spoil", "line", "said"),
    [
        (no_partner, AB, "A/train/1.png: no partner"),
        (no_split, AB, "B: no folder val, which A has"),
        (other_size, AB, "A/train/1.png is 48x48 px, B/train/1.png 48x64"),
        (turned_size, AB, "A/train/1.png is 64x48 px, B/train/1.png 48x64"),
        (no_image, AB, "A/train: no image in it"),
        (not_an_image, AB, "A/train/1.png: cannot be read as an image"),
        (deep_colour, AB, "A/train/1.png: 48x48 px, "),
        (deep_grey, AB, "--dataset_mode aligned reads them"),
        (deep_tiff, AB, "B/train/1.tif: 48x48 px, "),
        (floats, AB, "B/train/1.png: 48x48 px, "),
        (None, AB.replace("A A", "A C"), "C: not a folder"),
        (None, AB + " --num_imgs 0", "--num_imgs 0: accepted: 1 or more"),
        (None, AB + " --usa_AB", "--usa_AB: no such flag; did you mean --use_AB?"),
        (None, AB + "/a.txt", "AB/a.txt is a file"),
        (None, AB.replace("AB AB", "AB B/AB"), "inside B"),
        (None, "--fold_A A", "--fold_B, --fold_AB"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_written(tmp_path, capsys, spoil, line, said):
    for side in "AB":
        make_single(tmp_path / side / "train", 2)
    if spoil:
        spoil(tmp_path / "A", tmp_path / "B")
    if line.endswith(".txt"):
        (tmp_path / "AB").mkdir()
        (tmp_path / "AB" / "a.txt").touch()
    before = files(tmp_path)
    assert said in run(combine, line, capsys, expect=2)
    assert files(tmp_path) == before


@pytest.mark.parametrize("how", ["", " --no_multiprocessing"])
def test_a_file_that_fails_on_the_way_is_named_and_the_others_are_done(tmp_path, capsys, how):
    for i in range(4):
        save(f"A/train/{i}.jpg", i)
        save(f"B/train/{i}.jpg", i)
    truncated(tmp_path / "A/train/1.jpg")
    assert "A/train/1.jpg: cannot be read" in run(combine, AB + how, capsys, expect=1)
    assert files(tmp_path / "AB") == ["train/0.jpg", "train/2.jpg", "train/3.jpg"]
    truncated(tmp_path / "B/train/3.jpg")
    said = run(combine, AB + how, capsys, expect=1)
    assert "2 of 4 failed" in said and "A/train/1.jpg" in said and "B/train/3.jpg" in said


def test_a_folder_in_the_way_is_named_and_no_part_is_left(tmp_path, capsys):
    for side in "AB":
        make_single(tmp_path / side / "train", 2)
    (tmp_path / "AB" / "train" / "1.png").mkdir(parents=True)
    assert "AB/train/1.png" in run(combine, AB, capsys, expect=1)
    assert files(tmp_path / "AB") == ["train/0.png"]


def die(path: str) -> None:
    os._exit(1)


def test_a_killed_worker_is_told():
    with pytest.raises(UserError, match="a worker process was killed") as caught:
        for_each(die, [("a",), ("b",)])
    assert caught.value.exit_code == 1


@pytest.fixture
def spawned():
    """Processes begin with nothing, as on macOS and Windows."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def test_processes_that_are_spawned_work_too(tmp_path, capsys, spawned):
    for side in "AB":
        make_single(tmp_path / side / "train", 1)
    run(combine, AB, capsys)
    assert files(tmp_path / "AB") == ["train/0.png"]


CITY = "--gtFine_dir G --leftImg8bit_dir L --output_dir O"


def make_cityscapes() -> None:
    for phase, names in (("train", ["b_1", "a_2"]), ("val", ["c_1"])):
        for i, name in enumerate(names):
            city = name[0]
            save(f"L/{phase}/{city}/{name}_leftImg8bit.png", i)
            save(f"G/{phase}/{city}/{name}_gtFine_color.png", 10 + i)
            save(f"G/{phase}/{city}/{name}_gtFine_labelIds.png", 20)


def test_cityscapes_gets_the_layout_of_the_reference(tmp_path, capsys):
    make_cityscapes()
    assert "train: 2 pairs" in run(cityscapes, CITY, capsys)
    assert files(tmp_path / "O") == [
        "test/0.jpg", "testA/0_A.jpg", "testB/0_B.jpg", "train/0.jpg", "train/1.jpg",
        "trainA/0_A.jpg", "trainA/1_A.jpg", "trainB/0_B.jpg", "trainB/1_B.jpg",
    ]  # fmt: skip
    both = pixels("O/train/0.jpg")  # a_2 comes before b_1
    assert both.shape == (256, 512, 3)
    for half, index in ((both[:, :256], 1), (both[:, 256:], 11)):
        expected = photo(index).resize((256, 256), Image.Resampling.BICUBIC)
        assert np.abs(half - np.asarray(expected).astype(int)).mean() < 1.5
    assert np.abs(pixels("O/trainB/0_B.jpg") - both[:, 256:]).mean() < 1.5
    assert all(q == [1] * 64 for q in Image.open("O/train/0.jpg").quantization.values())


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("L/train/a/a_2_leftImg8bit.png", "G/train/a/a_2_gtFine_color.png: no partner in L/train"),
        ("G/train/a/a_2_gtFine_color.png", "L/train/a/a_2_leftImg8bit.png: no partner in G/train"),
        ("G/val/c/c_1_gtFine_color.png", "G/val: no file */*_gtFine_color.png in it"),
    ],
)
def test_cityscapes_without_a_partner_is_refused(tmp_path, capsys, lost, said):
    make_cityscapes()
    Path(lost).unlink()
    assert said in run(cityscapes, CITY, capsys, expect=2)
    assert not Path("O").exists()


def split_by_name(folder: Path, splits=("train", "val", "test"), domain: str = "") -> dict:
    """Name below the split -> split."""
    return {name: s for s in splits for name in files(folder / f"{s}{domain}")}


def test_images_that_come_later_move_no_other(tmp_path, capsys):
    make_single(tmp_path / "in", 1)
    for i in range(120):
        (tmp_path / "in" / f"im {i}.png").write_bytes(b"%d" % i)
    said = run(split_data, "--images in --out out", capsys)
    before = split_by_name(tmp_path / "out")
    counts = {s: list(before.values()).count(s) for s in ("train", "val", "test")}
    assert sum(counts.values()) == 121 and f"val: {counts['val']} images in out/val" in said
    assert 85 <= counts["train"] <= 109 and counts["val"] > 3 and counts["test"] > 3
    (tmp_path / "in" / "cat").mkdir()
    for i in range(40):
        (tmp_path / "in" / "cat" / f"{HOSTILE[i % 6]}{i}.jpg").write_bytes(b"later")
    run(split_data, "--images in --out out", capsys)
    after = split_by_name(tmp_path / "out")
    assert len(after) == 161 and before.items() <= after.items()
    for name, split in after.items():
        put = tmp_path / "out" / split / name
        assert put.read_bytes() == (tmp_path / "in" / name).read_bytes() and not put.is_symlink()


def test_the_hash_is_the_same_on_every_machine():
    """Else people who share a list of images would not share the splits."""
    shares = [0.8, 0.1, 0.1]
    found = [split_data.split_of(f"cat/{i}", shares) for i in range(16)]
    assert " ".join(found) == (
        "val train val train train train val train train train test train train train train val"
    )
    composed, decomposed = "\u00e9", "e\u0301"  # macOS stores the latter
    assert split_data.place(composed) == split_data.place(decomposed)
    assert {split_data.split_of(str(i), [0, 1, 0]) for i in range(50)} == {"val"}


def test_partners_come_to_the_same_split_and_links_lead_to_the_images(tmp_path, capsys):
    for i in range(30):
        save(f"A/{i}_A.png")
        save(f"B/{i}_B.jpg", 1)
    line = "--images_A A --images_B B --out out --share 5 3 2 --link"
    run(split_data, line, capsys)
    A, B = (split_by_name(tmp_path / "out", domain=d) for d in "AB")
    stems = [{n.split("_")[0]: s for n, s in side.items()} for side in (A, B)]
    assert stems[0] == stems[1] and len(A) == 30 and set(A.values()) == {"train", "val", "test"}
    for name, split in A.items():
        put = tmp_path / "out" / f"{split}A" / name
        assert put.is_symlink() and put.samefile(tmp_path / "A" / name)
    run(split_data, line, capsys)  # again: nothing to do
    together = tmp_path / "together"
    for side in "AB":
        for path in (tmp_path / side).iterdir():
            together.mkdir(exist_ok=True)
            path.rename(together / path.name)
    run(split_data, "--images together --out one --share 5 3 2", capsys)
    one = split_by_name(tmp_path / "one")
    assert all(one[f"{i}_A.png"] == one[f"{i}_B.jpg"] == stems[0][str(i)] for i in range(30))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--images in --out in/splits", "--out in/splits: inside in"),
        ("--images in --out in", "--out in: inside in"),
        ("--images out/train --out out", "out/train: inside out/train, which is written"),
        ("--images in --out out --share 1 4 5", "these shares put it into"),
        ("--images in --out out --share 1 -1 1", "--share 1 -1 1: accepted: three proportions"),
        ("--images in --out out --share 0 0 0", "accepted: three proportions"),
        ("--images in --images_A in --out out", "give either --images, or"),
        ("--out out", "give either --images, or"),
        ("--images empty --out out", "empty: no image in it"),
        ("--images nowhere --out out", "nowhere: not a folder"),
        ("--images changed --out out", "differs from changed/3.png"),
    ],
)
def test_splits_that_would_do_harm_are_refused(tmp_path, capsys, line, said):
    make_single(tmp_path / "in", 12)
    make_single(tmp_path / "changed", 20)
    photo(99).save(tmp_path / "changed" / "3.png")
    (tmp_path / "empty").mkdir()
    run(split_data, "--images in --out out", capsys)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    assert said in run(split_data, line, capsys, expect=2)
    assert before == {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}


def test_lines_are_black_on_white_thin_and_without_specks(tmp_path, capsys):
    board = np.full((96, 96, 3), 255, np.uint8)
    board[20:70, 20:70] = 40  # a square
    board[82:85, 82:85] = 0  # a speck
    (tmp_path / "in" / "a b").mkdir(parents=True)
    Image.fromarray(board).save("in/a b/é.png")
    assert "1 drawings in out" in run(edges, "--photos in --out out", capsys)
    drawn = pixels("out/a b/é.png")[..., 0]
    assert set(np.unique(drawn)) == {0, 255}
    assert 180 < (drawn == 0).sum() < 300  # its outline is 200 px long
    assert (drawn[76:, 76:] == 255).all()
    run(edges, "--photos in --out fine --sigma 1", capsys)
    assert (pixels("fine/a b/é.png") != pixels("out/a b/é.png")).any()


def test_pairs_of_edges_and_photo_are_those_of_the_demo_data(tmp_path, capsys):
    make_single(tmp_path / "in", 3)
    run(edges, "--photos in --out out --method sobel --pairs", capsys)
    assert files(tmp_path / "out") == ["0.png", "1.png", "2.png"]
    pair = pixels("out/1.png")
    assert (pair[:, 48:] == np.asarray(photo(1))).all()
    assert (pair[:, :48] == edges.pencil(np.asarray(photo(1)))).all()
    assert len(np.unique(pair[:, :48])) > 20
    assert script("datasets/make_demo_data.py").pencil is edges.pencil


@pytest.mark.parametrize(
    ("line", "said", "code"),
    [
        ("--photos in --out out --method cany", "did you mean canny?", 2),
        ("--photos in --out out --sigma -1", "--sigma -1.0: accepted: 0 or more", 2),
        ("--photos in --out in", "--out in: inside in", 2),
        ("--photos nowhere --out out", "nowhere: not a folder", 2),
        ("--photos deep --out out", "deep/0.png: 48x48 px, 3 x uint16", 2),
        ("--photos broken --out out", "broken/0.png: cannot be read", 1),
    ],
)
def test_edges_refuses_in_one_line(tmp_path, capsys, line, said, code):
    for folder in ("in", "deep", "broken"):
        make_single(tmp_path / folder, 1)
    png_of_16_bits("deep/0.png")
    truncated(tmp_path / "broken" / "0.png")
    assert said in run(edges, line, capsys, expect=code)
    assert not files(tmp_path / "out")
