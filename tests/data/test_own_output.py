"""What our programs have written is no data, wherever it lies and whatever it is called."""

import shutil

import pytest

import data
from data.image_folder import list_images, make_dataset
from options.train_options import TrainOptions
from scripts import check_data, split_data
from tests.helpers import TINY, make_aligned, make_single, make_unaligned, needed_huggingface, photo
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.errors import UserError

RUN = ["--model", "pix2pix", "--netG", "resnet_6blocks", "--name", "p", *TINY, "--n_epochs", 1,
       "--n_epochs_decay", 0]  # fmt: skip
TEST = ["--name", "p", "--model", "test", "--gpu_ids", -1, "--num_threads", 0]


@pytest.fixture
def data_among_output(tmp_path):
    """Folder `G` of two photographs and of a run and its results, each under another name."""
    run_train("--dataroot", make_aligned(tmp_path / "pairs", 2), *RUN, "--display_freq", 1,
              "--update_html_freq", 1)  # fmt: skip
    folder = make_single(tmp_path / "G", 2)
    run_test("--dataroot", folder, "--results_dir", folder / "out", *TEST)
    (folder / "out" / "p").rename(folder / "some pictures")
    shutil.copytree(tmp_path / "checkpoints" / "p", folder / "old" / "a run")
    return folder


def test_results_inside_the_folder_are_not_translated_again(data_among_output, capsys):
    """User report 1: the same command twice tests the same images, and says what it leaves out."""
    folder = data_among_output
    for _ in range(2):
        capsys.readouterr()
        run_test("--dataroot", folder, "--results_dir", folder / "results", *TEST)
        told = capsys.readouterr()
        assert "testing 2 of 2 images" in told.out
        assert told.err.count("output is no data, left out") == 1
        assert "some pictures/test_latest (results of test.py)" in told.err
        assert "old/a run (a run of train.py)" in told.err


def test_output_in_the_present_folder_is_left_out_too(data_among_output, monkeypatch, capsys):
    """User report 1: also with `--dataroot .` and everything at its default place."""
    monkeypatch.chdir(data_among_output)
    shutil.copytree("old/a run", "checkpoints/p")
    for _ in range(2):
        run_test("--dataroot", ".", *TEST)
    assert "testing 2 of 2 images" in capsys.readouterr().out.split("results of")[-2]


def test_no_command_reads_output_as_data(data_among_output, tmp_path, capsys):
    """User report 1: training, the check and the division of data leave output out as well."""
    root = str(data_among_output)
    opt = TrainOptions().parse(
        ["--dataroot", root, "--model", "template", "--dataset_mode", "single", *TINY]
    )
    assert len(data.create_dataset(opt)) == 2
    assert check_data.main(["--dataroot", root, "--dataset_mode", "single"]) == 0
    assert "2 images\n" in capsys.readouterr().out
    assert split_data.main(["--images", root, "--out", str(tmp_path / "divided")]) == 0
    assert capsys.readouterr().err.count("output is no data") == 1
    assert len(make_dataset(str(tmp_path / "divided"))) == 2


def test_huggingface_rows_of_output_are_left_out(data_among_output, tmp_path, monkeypatch):
    """User report 1: a folder that Hugging Face's package lists for itself."""
    library = needed_huggingface()
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    opt = TrainOptions().parse(
        ["--dataroot", str(data_among_output), "--model", "template", "--dataset_mode",
         "huggingface", *TINY])  # fmt: skip
    assert len(data.create_dataset(opt)) == 2


@pytest.mark.parametrize(
    "files",
    [
        ["mine/test_latest/index.html", "mine/test_latest/images/cat_fake_B.png"],
        ["mine/test_latest/images/cat_real_A.png", "mine/test_latest/images/cat_fake_B.png"],
        ["mine/latest_net_G.pth", "mine/web/images/epoch001_fake_B.png"],
        ["mine/train_opt.txt", "mine/web/images/epoch001_fake_B.png"],
        ["env/pyvenv.cfg", "env/lib/logo.png"],
        ["__MACOSX/0.png"],
        [".cache/0.png"],
        ["@eaDir/0.png/thumb.jpg"],
    ],
)
def test_output_of_the_reference_and_of_systems_is_known(tmp_path, files):
    """User report 1: results and runs in the published layout, and what systems strew about."""
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        photo(0).save(tmp_path / file) if file.endswith("png") else (tmp_path / file).touch()
    make_single(tmp_path / "real", 1)
    assert list_images(str(tmp_path)).images == [str(tmp_path / "real" / "0.png")]


def test_a_folder_of_output_that_is_named_itself_is_read(tmp_path):
    """User report 1: results can be translated once more by whoever asks for it."""
    images = tmp_path / "results" / "images"
    images.mkdir(parents=True)
    for name in ("a_real_A", "a_fake_B"):
        photo(0).save(images / f"{name}.png")
    (tmp_path / "results" / "index.html").write_text("<html>")
    assert len(make_dataset(str(images))) == 2
    assert not make_dataset(str(tmp_path))
    words = ["--model", "template", "--dataset_mode", "single", *TINY]
    for root in (tmp_path, tmp_path / "results"):
        opt = TrainOptions().parse(["--dataroot", str(root), *words])
        with pytest.raises(UserError, match="no image in .*left out: .*the folder of its images"):
            data.create_dataset(opt)


def test_a_users_own_page_and_pictures_are_data(tmp_path):
    make_single(tmp_path / "site" / "images", 2)
    (tmp_path / "site" / "index.html").write_text("<html><title>Holidays</title>")
    assert len(list_images(str(tmp_path)).images) == 2


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_a_run_does_not_move_or_delete_the_images_it_is_to_read(tmp_path, capsys, more):
    """User report 1: data in the folder that a new run of this name would clear."""
    make_unaligned(tmp_path / "maps")
    words = ["--dataroot", tmp_path / "maps", "--checkpoints_dir", tmp_path, "--name", "maps"]
    run_train(*words, "--model", "cycle_gan", *TINY, *more, expect=2)
    assert "holds the images" in capsys.readouterr().err
    assert (tmp_path / "maps" / "trainA" / "0.png").is_file()


def test_a_contact_sheet_is_not_written_among_the_images(tmp_path, capsys):
    make_single(tmp_path, 2)
    assert check_data.main(["--dataroot", str(tmp_path), "--page", str(tmp_path)]) == 2
    assert "is the folder of the images" in capsys.readouterr().err
