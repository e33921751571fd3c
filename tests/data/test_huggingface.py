"""Hugging Face data sets from local files; nothing is fetched."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import data
from options.train_options import TrainOptions
from tests.helpers import TINY, make_single, needed_huggingface, photo
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.errors import UserError

hf = needed_huggingface()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def loader(root, *flags: str):
    return data.create_dataset(TrainOptions().parse(
        ["--dataroot", str(root), "--model", "template", "--dataset_mode", "huggingface", *TINY,
         "--hf_split", "train", *flags]))  # fmt: skip


def png(image: Image.Image) -> dict:
    file = io.BytesIO()
    image.save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture
def parquet(tmp_path):
    """Columns `drawing` (16-bit grey), `photo` and `number`."""
    rows = {"drawing": [], "photo": [], "number": []}
    for i in range(4):
        deep = np.asarray(photo(i).convert("L")).astype(np.uint16) * 257 + i
        rows["drawing"].append(png(Image.fromarray(deep)))
        rows["photo"].append(png(photo(i)))
        rows["number"].append(i)
    features = {"number": hf.Value("int64"), "drawing": hf.Image(), "photo": hf.Image()}
    file = tmp_path / "pairs.parquet"
    hf.Dataset.from_dict(rows, features=hf.Features(features)).to_parquet(str(file))
    return file


def test_a_folder_of_images(tmp_path):
    make_single(tmp_path / "D" / "train", 3)
    found = loader(tmp_path / "D", "--serial_batches")
    batches = list(found)
    assert len(batches) == 3 and "B" not in batches[0]
    assert [path[-5:] for batch in batches for path in batch["A_paths"]] == [
        "0.png", "1.png", "2.png"]  # fmt: skip


def test_pairs_of_a_parquet_file_share_their_crop(parquet):
    channels = ["--input_nc", "1", "--output_nc", "1"]
    batch = loader(parquet, *channels).peek()
    assert batch["A"].shape == batch["B"].shape == (1, 1, 32, 32)
    assert torch.allclose(batch["A"], batch["B"], atol=0.02)
    swapped = loader(parquet, "--hf_columns", "photo", "drawing", "--output_nc", "1").peek()
    assert swapped["A"].shape[1] == 3 and swapped["B"].shape[1] == 1


def test_sixteen_bits_are_kept(parquet):
    flags = ["--input_nc", "1", "--preprocess", "keep", "--no_flip", "--hf_columns", "drawing"]
    found = next(iter(loader(parquet, *flags, "--serial_batches")))["A"][0, 0]
    levels = (found.double() + 1) / 2 * 65535
    assert (levels - levels.round()).abs().max() < 0.01
    assert levels.round().remainder(257).abs().max() == 0  # the first image's i is 0


def test_unpaired_draws_b(parquet):
    seen = set()
    found = loader(parquet, "--hf_unpaired")
    for epoch in range(1, 5):
        found.set_epoch(epoch)
        seen |= {(batch["A_paths"][0], batch["B_paths"][0]) for batch in found}
    assert len(seen) > 4


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--hf_columns", "drawings"], "--hf_columns drawings: accepted: drawing, photo; did you"),
        (["--hf_columns", "number"], "--hf_columns number: accepted: drawing, photo"),
        (["--hf_columns", "photo", "photo", "photo"], "accepted: one or two"),
    ],
)
def test_columns_that_are_not_there(parquet, flags, words):
    with pytest.raises(UserError, match=words):
        loader(parquet, *flags)


def test_a_name_that_cannot_be_found_is_one_line():
    with pytest.raises(UserError, match=r"--dataroot nobody/nothing.*accepted: a folder") as caught:
        loader("nobody/nothing")
    assert "\n" not in str(caught.value)


def test_training_and_testing_from_parquet(tmp_path, parquet):
    flags = ["--dataset_mode", "huggingface", "--hf_columns", "photo", "drawing"]
    run_train("--dataroot", parquet, "--model", "pix2pix", "--netG", "resnet_6blocks", "--name",
              "p", *TINY, *flags, "--output_nc", 1, "--n_epochs", 1,
              "--n_epochs_decay", 0)  # fmt: skip
    run_test("--dataroot", parquet, "--name", "p", "--gpu_ids", -1, "--num_threads", 0)
    assert len(list((tmp_path / "results").rglob("*_fake_B.png"))) == 4
