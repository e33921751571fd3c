"""Numbers in names count by their value; a run of an earlier version keeps its order."""

import json
from pathlib import Path

import pytest
import yaml

import data
from data.image_folder import make_dataset
from data.order import in_order, ordered
from data.pairs import pair_by_stem
from options.train_options import TrainOptions
from tests.helpers import TINY, make_single, photo
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.results.folder import read_rows

NAMES = ["frame1", "frame2", "frame10"]


@pytest.fixture
def frames(tmp_path):
    (tmp_path / "D").mkdir()
    for number, name in enumerate(NAMES):
        photo(number).save(tmp_path / "D" / f"{name}.png")
    return tmp_path / "D"


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        ["1", "2", "10"],
        ["a1b2", "a1b10", "a2b1"],
        ["2/9.png", "2/10.png", "10/1.png"],
        ["01", "1", "2"],
        ["x", "x1", "y"],
        ["٣", "4"],
        ["9" * 200, "1" + "0" * 200],
    ],
)
def test_numbers_count_by_their_value(names):
    """User report 20."""
    assert in_order(reversed(names)) == names


def test_listing_pairs_and_pages_are_in_natural_order(frames, tmp_path):
    """User report 20: in the listing, in pairs, in --num_test and on the page."""
    assert [Path(path).stem for path in make_dataset(str(frames))] == NAMES
    paths = [f"D/{name}.png" for name in reversed(NAMES)]
    assert [Path(A).stem for A, _ in pair_by_stem(paths, "D", paths, "D")] == NAMES
    small = ["--ngf", 8, "--netG", "resnet_6blocks", "--gpu_ids", -1, "--num_threads", 0]
    make_single(tmp_path / "train", 1)
    run_train("--dataroot", tmp_path, "--model", "colorization", "--name", "r", *TINY,
              "--netG", "resnet_6blocks", "--n_epochs", 1, "--n_epochs_decay", 0)  # fmt: skip
    frames.rename(tmp_path / "test")
    run_test("--dataroot", tmp_path, "--name", "r", *small[4:], "--num_test", 2)
    rows = read_rows(tmp_path / "results" / "r" / "test_latest")
    assert [row.stem for row in rows] == NAMES[:2]


RUN = ["--model", "colorization", "--name", "r", *TINY, "--netG", "resnet_6blocks",
       "--n_epochs_decay", 0]  # fmt: skip


def listed(opt) -> list[str]:
    return [Path(path).stem for path in data.create_dataset(opt).dataset.AB_paths]


def test_a_run_of_an_earlier_version_goes_on_in_the_order_it_had(frames):
    """User report 20: its seed drew places in the plain order; a new run keeps the natural one."""
    frames.rename(frames.with_name("train"))
    words = ["--dataroot", frames.parent, *RUN, "--n_epochs"]
    goes_on = [str(word) for word in (*words, 3, "--continue_train")]
    run_train(*words, 1)
    options = Path("checkpoints/r/train_opt.yaml")
    assert listed(TrainOptions().parse(goes_on)) == NAMES
    saved = yaml.safe_load(options.read_text())
    del saved["file_order"]  # as the version before left it
    options.write_text(yaml.safe_dump(saved))
    for manifest in Path("checkpoints/r/snapshots").glob("*/manifest.json"):
        kept = {k: v for k, v in json.loads(manifest.read_text()).items() if k != "options"}
        manifest.write_text(json.dumps(kept))
    with ordered("plain"):
        plain = [Path(path).stem for path in make_dataset(str(frames.with_name("train")))]
    assert plain == sorted(NAMES) != NAMES
    run_train(*words, 2, "--continue_train")
    assert yaml.safe_load(options.read_text())["file_order"] == "plain"
    assert listed(TrainOptions().parse(goes_on)) == plain


OF_EARLIER = ["batch_size", "beta1", "init_gain", "lr_policy", "serial_batches", "ngf"]


@pytest.mark.parametrize("of_a_run", [True, False])
def test_the_options_of_an_earlier_version_repeat_its_order(frames, of_a_run):
    """By --config alone, too; a file that somebody has written has the order of today."""
    frames.rename(frames.with_name("train"))
    words = [str(word) for word in ("--dataroot", frames.parent, *RUN)]
    values = vars(TrainOptions().parse(words))
    kept = OF_EARLIER if of_a_run else ["batch_size"]
    Path("old.yaml").write_text(yaml.safe_dump({flag: values[flag] for flag in kept}))
    opt = TrainOptions().parse([*words, "--config", "old.yaml"])
    assert opt.file_order == ("plain" if of_a_run else "natural")
    given = TrainOptions().parse([*words, "--config", "old.yaml", "--file_order", "natural"])
    assert given.file_order == "natural"
