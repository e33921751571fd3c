"""Folders that are laid out otherwise: refused or offered, with what to type."""

import shlex
import subprocess

import numpy as np
import pytest
from PIL import Image

from data.layout import domain_folders, likely_modes
from data.pair_rules import Rule
from data.pairs import pair_by_stem
from data.side_by_side import has_seam
from scripts import check_data, split_data
from tests.helpers import TINY, make_aligned, make_single, make_unaligned, photo, script
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.errors import UserError

RUN = ["--netG", "resnet_6blocks", "--name", "r", *TINY, "--n_epochs", 1, "--n_epochs_decay", 0]


def refused(capsys, root, model: str, *more) -> str:
    """The one line of a training that is refused."""
    capsys.readouterr()
    run_train("--dataroot", root, "--model", model, *RUN, *more, expect=2)
    return capsys.readouterr().err.splitlines()[-1]


def check(capsys, root, *more, expect: int) -> str:
    capsys.readouterr()
    assert check_data.main(["--dataroot", str(root), *more]) == expect
    told = capsys.readouterr()
    return told.out + told.err


@pytest.mark.parametrize("names", [("A", "B"), ("a", "b"), ("imagesA", "imagesB"),
                                   ("input", "target")])  # fmt: skip
@pytest.mark.parametrize("command", ["train", "check"])
def test_pairs_in_subfolders_are_not_cut_into_halves(tmp_path, capsys, names, command):
    """User report 3: the moves that are told make a data set of it."""
    root = tmp_path / "my data"
    for folder, ending in zip(names, ("jpg", "png"), strict=True):
        (root / "train" / folder).mkdir(parents=True)
        for index, name in enumerate(("cat", "dog", "cow")):
            photo(index).save(root / "train" / folder / f"{name}.{ending}")
    if command == "check":
        told = check(capsys, root, "--dataset_mode", "aligned", expect=2)
    else:
        told = refused(capsys, root, "pix2pix")
    assert "lie in folders of their own" in told
    typed = told.partition("type: ")[2].partition(";")[0]
    for words in typed.split(" && "):
        subprocess.run(shlex.split(words), check=True)
    run_train("--dataroot", root, "--model", "pix2pix", *RUN)


@pytest.mark.parametrize("size", [(48, 48), (40, 60)])
def test_single_photographs_are_no_pairs(tmp_path, capsys, size):
    """User report 3: square or upright images are refused in training, test and check."""
    (tmp_path / "train").mkdir()
    for index in range(4):
        photo(index, size).save(tmp_path / "train" / f"{index}.png")
    assert "none is A|B side by side" in refused(capsys, tmp_path, "pix2pix")
    told = check(capsys, tmp_path, "--dataset_mode", "aligned", expect=2)
    assert "none is A|B side by side" in told
    assert "--pairs side_by_side" in told
    run_train("--dataroot", tmp_path, "--model", "pix2pix", *RUN, "--pairs", "side_by_side")


def test_upright_pairs_that_show_a_seam_are_read(tmp_path, capsys):
    """User report 3: two upright pictures beside each other can make a square."""
    (tmp_path / "train").mkdir()
    for index in range(3):
        both = np.concatenate([photo(index, (24, 48)), 255 - np.asarray(photo(index, (24, 48)))], 1)
        Image.fromarray(both).save(tmp_path / "train" / f"{index}.png")
        assert has_seam(str(tmp_path / "train" / f"{index}.png"))
    run_train("--dataroot", tmp_path, "--model", "pix2pix", *RUN)
    assert "no image is wider than high" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names",
    [("TrainA", "TrainB"), ("train_A", "train_B"), ("train/A", "train/B"), ("a/train", "b/train"),
     ("training A", "training B"), ("A_train", "B_train"), ("traina", "trainb")],
)  # fmt: skip
def test_near_names_of_folders_are_offered(tmp_path, capsys, names):
    """User report 3: by train.py and check_data.py; what is told can be typed."""
    root = tmp_path / "D"
    make_single(root / names[0], 2)
    make_single(root / names[1], 2, first=9)
    told = check(capsys, root, expect=2)
    assert "did you mean " in told and names[0] in told
    told = refused(capsys, root, "cycle_gan")
    typed = told.partition("Type: ")[2].partition("; expected")[0]
    for words in typed.split(" && "):
        subprocess.run(shlex.split(words), check=True)
    assert domain_folders(str(root), "train")


@pytest.mark.parametrize(("model", "wanted", "there"), [
    ("cycle_gan", ("testA", "testB"), ("Testa", "Testb")),
    ("pix2pix", ("test",), ("testing",)),
    ("colorization", ("test",), ("Test",)),
])  # fmt: skip
def test_near_names_are_offered_in_test_too(tmp_path, capsys, model, wanted, there):
    """User report 3: test.py."""
    root = (make_unaligned if model == "cycle_gan" else make_aligned)(tmp_path / "D", 1)
    run_train("--dataroot", root, "--model", model, *RUN)
    for old, new in zip(wanted, there, strict=True):
        (root / old).rename(root / new)
    run_test("--dataroot", root, "--name", "r", "--model", model, "--gpu_ids", -1, expect=2)
    told = capsys.readouterr().err.splitlines()[-1]
    assert f"did you mean {root / there[0]}" in told


@pytest.mark.parametrize("names", [("A", "B"), ("photos", "drawings")])
def test_pairs_that_are_not_divided_are_told_how(tmp_path, capsys, names):
    """User report 3: D/A and D/B with equal names."""
    for first, folder in enumerate(names):
        (tmp_path / "D" / folder).mkdir(parents=True)
        for index, name in enumerate(("cat", "dog", "cow", "ant", "bee", "fly")):
            photo(10 * first + index).save(tmp_path / "D" / folder / f"{name}.png")
    for told in (
        check(capsys, tmp_path / "D", expect=2),
        refused(capsys, tmp_path / "D", "pix2pix"),
    ):
        assert "scripts/split_data.py --images_A" in told and "--pairs FILE.csv" in told
    typed = shlex.split(told.partition("type: python ")[2].partition(", then")[0])
    assert split_data.main(typed[1:]) == 0
    assert domain_folders(typed[-1], "train")


def test_numbered_names_are_no_pairs_and_the_damaged_file_is_found(tmp_path, capsys):
    """User report 3: 000.png and 000.bmp, of other sizes and counts."""
    for side, count, size, ending in (("A", 6, (40, 30), "png"), ("B", 9, (32, 48), "bmp")):
        (tmp_path / f"train{side}").mkdir()
        for index in range(count):
            photo(index, size).save(tmp_path / f"train{side}" / f"{index:03d}.{ending}")
    (tmp_path / "trainB" / "008.bmp").write_bytes(b"BM")
    told = check(capsys, tmp_path, expect=2)
    assert "--dataset_mode unaligned" in told and "no partner" not in told
    assert "008.bmp: cannot be read" in told and "at fault: 1" in told


def test_numbered_pairs_of_which_one_is_missing_stay_pairs(tmp_path, capsys):
    """User report 3: 20 partners of 21 of equal sizes."""
    make_single(tmp_path / "trainA", 21)
    make_single(tmp_path / "trainB", 20, first=30)
    assert next(iter(likely_modes(str(tmp_path), "train"))) == "aligned"
    assert "20.png: no partner" in check(capsys, tmp_path, expect=2)


def named(root, A: list[str], B: list[str]):
    for side, names in zip("AB", (A, B), strict=True):
        (root / f"train{side}").mkdir(parents=True)
        for index, name in enumerate(names):
            photo(index).save(root / f"train{side}" / name)
    return root


@pytest.mark.parametrize(
    ("A", "B", "rule"),
    [
        (["IMG_1.JPG", "IMG_2.JPG", "IMG_10.JPG"], ["img_1.jpg", "img_2.jpg", "img_10.jpg"], "*:*"),
        (["1.png", "2.png", "10.png"], ["001.png", "002.png", "010.png"], "*:*"),
        (["1_a.png", "2_a.png"], ["1_b.png", "2_b.png"], "*_a:*_b"),
        (["1_in.png", "02_in.png"], ["1_out.png", "2_out.png"], "*_in:*_out"),
        (["photo12.png", "photo13.png"], ["map012.png", "map013.png"], "photo*:map*"),
        (["cat.png", "dog.png"], ["cat_mask.png", "dog_mask.png"], "*:*_mask"),
        (["cat.png", "Dog.png", "cow.png"], ["cat.png", "dog.png", "cow.png"], "*:*"),
    ],
)
def test_names_that_nearly_match_are_told_with_the_rule_to_type(tmp_path, capsys, A, B, rule):
    """User report 21: an example of each side, and a rule that makes pairs of them."""
    root = named(tmp_path / "D", A, B)
    told = refused(capsys, root, "pix2pix")
    assert f"--pairs '{rule}'" in told and "a table, --pairs FILE.csv" in told
    strangers = [names for names in zip(A, B, strict=True) if names[0] != names[1]]
    assert " and ".join(strangers[0]) in told
    run_train("--dataroot", root, "--model", "pix2pix", *RUN, "--pairs", rule)
    assert "no file is at fault" in check(capsys, root, "--pairs", rule, expect=0)


def test_names_without_anything_in_common_show_one_of_each_side(tmp_path, capsys):
    """User report 21."""
    told = refused(capsys, named(tmp_path / "D", ["cat.png"], ["x7.png"]), "pix2pix")
    assert "e.g. cat.png and x7.png" in told and "--pairs" in told and "unaligned" in told


def test_pairs_of_one_folder_are_told_by_their_names(tmp_path):
    """User report 21: 1_in.png and 1_out.png beside each other."""
    (tmp_path / "train").mkdir()
    for name in ("1_in", "1_out", "2_in", "2_out"):
        photo(int(name[0])).save(tmp_path / "train" / f"{name}.png")
    words = ["--dataroot", tmp_path, "--model", "pix2pix", *RUN]
    run_train(*words, "--pairs", "*_in:*_out")


@pytest.mark.parametrize("rule", ["*", "*:x", "*:*:*", "**:*", "a/*:b/*"])
def test_a_rule_that_is_none_is_refused(tmp_path, capsys, rule):
    """User report 21."""
    told = refused(capsys, make_unaligned(tmp_path, 1), "pix2pix", "--pairs", rule)
    assert f"--pairs {rule}: accepted: a CSV file" in told
    run_train("--model", "pix2pix", *RUN, "--pairs", "*_a:*_b", expect=2)
    assert "--dataroot is needed" in capsys.readouterr().err


def test_two_files_of_one_name_by_a_rule_are_told():
    """User report 21: case and leading zeros do not count, so these are one name."""
    with pytest.raises(UserError, match="have the same name"):
        pair_by_stem(["D/1.png", "D/01.png"], "D", ["E/1.png"], "E", rule=Rule())


def test_the_tools_take_the_rule_too(tmp_path, capsys):
    """User report 21: partners of 001_in.png and 1_out.png come into one file, and to one split."""
    names = [f"{word}{i}" for i, word in enumerate(("cat", "dog", "cow", "ant", "bee", "fly"))]
    root = named(tmp_path / "D", [f"{n}_in.png" for n in names], [f"{n}_out.png" for n in names])
    A, B, out = str(root / "trainA"), str(root / "trainB"), str(tmp_path / "out")
    divide = ["--images_A", A, "--images_B", B, "--share", "1", "1", "1", "--out"]
    assert split_data.main([*divide, str(tmp_path / "apart")]) == 0
    assert "--pairs '*_in:*_out' brings partners" in capsys.readouterr().err
    assert split_data.main([*divide, out, "--pairs", "*_in:*_out"]) == 0
    for phase in ("train", "val", "test"):
        sides = [{p.name.split("_")[0] for p in (tmp_path / "out").glob(f"{phase}{side}/*")}
                 for side in "AB"]  # fmt: skip
        assert sides[0] == sides[1]
    combine = script("datasets/combine_A_and_B.py").main
    words = [
        "--fold_A",
        A,
        "--fold_B",
        B,
        "--fold_AB",
        str(tmp_path / "AB"),
        "--no_multiprocessing",
    ]
    assert combine(words) == 2
    assert "--pairs '*_in:*_out'" in capsys.readouterr().err
    assert combine([*words, "--pairs", "table.csv"]) == 2
    assert "accepted: a rule" in capsys.readouterr().err
    assert combine([*words, "--pairs", "*_in:*_out"]) == 0
    assert len(list((tmp_path / "AB").iterdir())) == 6
