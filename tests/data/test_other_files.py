"""What lies in a folder where no image is, and how it becomes one; formats that Pillow reads."""

import numpy as np
import pytest
from PIL import Image, features

import data
from data.image_folder import ImageFolder
from options.train_options import TrainOptions
from scripts import check_data, split_data
from tests.helpers import TINY, photo
from tests.helpers import train as run_train
from util.errors import UserError
from util.images import pillow_format
from util.images.header import read_header
from util.images.read import load_image, read_picture

RUN = ["--name", "r", *TINY, "--netG", "resnet_6blocks"]
KINDS = [
    (".dcm", "DICOM"), (".nii.gz", "NIfTI"), (".exr", "OpenEXR"), (".MP4", "ffmpeg"),
    (".heic", "HEIC"), (".psd", "layered"), (".NEF", "dcraw"), (".zip", "unpack"),
    (".parquet", "huggingface"), (".svg", "magick"), (".npz", "numpy.save"),
]  # fmt: skip


@pytest.mark.parametrize(("extension", "word"), KINDS)
def test_what_lies_there_is_said_with_how_to_convert_it(tmp_path, capsys, extension, word):
    """User report 22: in training, in the check, in the tools, and for a single file."""
    root = tmp_path / "D"
    (root / "train").mkdir(parents=True)
    for index in range(3):
        (root / "train" / f"{index}{extension}").write_bytes(b"something else")
    told = []
    run_train("--dataroot", root, "--model", "colorization", *RUN, expect=2)
    assert check_data.main(["--dataroot", str(root)]) == 2
    assert split_data.main(["--images", str(root), "--out", str(tmp_path / "out")]) == 2
    told += [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    with pytest.raises(UserError) as error:
        ImageFolder(str(root))
    for line in (*told, str(error.value)):
        assert f"3 files {extension.lower()}" in line and word in line, line
    assert len(told) == 3


def test_nothing_at_all_is_said_too(tmp_path, capsys):
    """User report 22: files without an extension, links to nowhere, an empty folder."""
    (tmp_path / "IM0001").write_bytes(b"x")
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere.png")
    assert check_data.main(["--dataroot", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "1 file without extension" in told and "1 link to files that are not there" in told


@pytest.mark.parametrize("extension", [".gif", ".avif", ".jfif", ".JPE", ".pnm"])
def test_formats_that_pillow_reads_are_images(tmp_path, extension):
    """User report 22."""
    if extension == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    kind = {".jfif": "JPEG", ".jpe": "JPEG", ".pnm": "PPM"}.get(extension.lower())
    for index in range(2):
        photo(index).save(tmp_path / f"{index}{extension}", kind)
    opt = TrainOptions().parse(
        ["--dataroot", str(tmp_path), "--model", "template", "--dataset_mode", "single", *TINY]
    )
    samples = list(data.create_dataset(opt))
    assert len(samples) == 2 and samples[0]["A"].shape == (1, 3, 32, 32)
    shown = np.asarray(load_image(str(tmp_path / f"0{extension}"))).astype(int)
    assert abs(shown - np.asarray(photo(0)).astype(int)).mean() < 12


def test_of_an_animation_the_first_frame_is_taken_and_said_once(tmp_path, capsys, monkeypatch):
    """User report 22: GIF."""
    monkeypatch.setattr(pillow_format, "_said", set())
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "green", "blue")]
    for name in ("a", "b"):
        frames[0].save(tmp_path / f"{name}.gif", save_all=True, append_images=frames[1:])
    for name in ("a", "b"):
        picture = read_picture(str(tmp_path / f"{name}.gif"), 3)
        assert picture.values[0, 0].tolist() == [255, 0, 0]
    assert capsys.readouterr().err.count("with several frames: the first is read") == 1
    assert read_header(str(tmp_path / "a.gif")).size == (16, 12)


def test_a_single_file_of_another_kind_is_told_how_to_convert(tmp_path, capsys):
    """User report 22."""
    (tmp_path / "x.dcm").write_bytes(b"\0" * 128 + b"DICM")
    with pytest.raises(UserError, match="no known format.*DICOM"):
        load_image(str(tmp_path / "x.dcm"))
