"""A sample is made by load, augment and normalize; a plug-in may replace any of them, or all."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

import data
from data.aligned_dataset import AlignedDataset
from data.base_dataset import BaseDataset
from data.loader import Loader, Order
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, make_data, needed_huggingface
from util.images.picture import Picture, in_range
from util.seed import seeded


def options(root, mode: str, *flags: str):
    words = ["--dataroot", str(root), "--model", "template", "--dataset_mode", mode, *TINY]
    return TrainOptions().parse([*words, *flags])


def pictures_of(sample: dict) -> list[Picture]:
    return [sample[side] for side in "AB" if side in sample]


@pytest.mark.parametrize("mode", data.registry.names())
def test_load_draws_nothing_and_the_three_steps_are_the_sample(tmp_path, mode):
    if mode == "huggingface":
        needed_huggingface()
    dataset = data.create_dataset(options(make_data(tmp_path, mode), mode)).dataset
    with seeded(1):
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        first = dataset.load(0)
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])
    for ours, again in zip(pictures_of(first), pictures_of(dataset.load(0)), strict=True):
        assert np.array_equal(ours.values, again.values)
    with seeded(5):
        steps = dataset.normalize(dataset.augment(dataset.load(0)))
    with seeded(5):
        whole = dataset[0]
    for side in {"A", "B"} & whole.keys():
        assert torch.equal(steps[side], whole[side]) and whole[side].abs().max() <= 1


class OwnItem(AlignedDataset):
    """As people extended ours before there were steps."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        assert sample["A"].dtype == torch.float32 and sample["A"].min() < 0
        return sample | {"A": sample["A"] * 0 + index}


class OwnLoad(AlignedDataset):
    def load(self, index):
        sample = super().load(index)
        white = Picture(np.full_like(sample["A"].values, 255), sample["A"].info)
        return sample | {"A": white}


class OwnPicture(AlignedDataset):
    """One that is random: a cache must not keep it."""

    def picture(self, path, side):
        picture = super().picture(path, side)
        return Picture(np.full_like(picture.values, random.randrange(256)), picture.info)


class OwnLoadOfItem(OwnItem):
    """Extends an extension: the `__getitem__` between still holds."""

    def load(self, index):
        return super().load(index) | {"number": index}


class Inverted(AlignedDataset):
    def augment(self, sample):
        sample = super().augment(sample)
        return sample | {"A": 255 - sample["A"]}


class OwnNormalize(AlignedDataset):
    def normalize(self, batch):
        return super().normalize(batch) | {"seen": batch["A"].dtype}


class Nothing(AlignedDataset):
    pass


def batches(tmp_path, monkeypatch, kind: type, *flags: str) -> list[dict]:
    """Two epochs through create_dataset, of a class that a plug-in's file would hold."""
    monkeypatch.setattr(data.registry, "find", lambda name: kind)
    loader = data.create_dataset(options(tmp_path, "aligned", "--serial_batches", *flags))
    found = list(loader)
    loader.set_epoch(2)
    return found + list(loader)


@pytest.mark.parametrize("flags", [[], ["--num_threads", "1"]])
def test_whatever_a_subclass_replaces_is_what_is_called(tmp_path, monkeypatch, flags):
    make_aligned(tmp_path)
    plain = batches(tmp_path, monkeypatch, AlignedDataset)
    for ours, batch in zip(plain, batches(tmp_path, monkeypatch, Nothing, *flags), strict=True):
        assert torch.equal(ours["A"], batch["A"]) and torch.equal(ours["B"], batch["B"])
    numbers = [b["A"].unique().tolist() for b in batches(tmp_path, monkeypatch, OwnItem, *flags)]
    assert numbers == [[0], [1], [2], [3]] * 2
    nested = batches(tmp_path, monkeypatch, OwnLoadOfItem, *flags)
    assert [b["A"].unique().tolist() for b in nested] == numbers
    assert [int(b["number"]) for b in nested] == [0, 1, 2, 3] * 2
    for batch in batches(tmp_path, monkeypatch, OwnLoad, *flags):
        assert batch["A"].unique().tolist() == [1.0] and len(batch["B"].unique()) > 9
    for ours, batch in zip(plain, batches(tmp_path, monkeypatch, Inverted, *flags), strict=True):
        assert torch.allclose(ours["A"], -batch["A"], atol=1e-6)
    for batch in batches(tmp_path, monkeypatch, OwnNormalize, *flags):
        assert batch["seen"] == torch.uint8  # of a whole batch, still in bytes


def test_a_reading_of_a_plug_ins_own_is_not_cached(tmp_path, monkeypatch):
    make_aligned(tmp_path, 2)
    found = batches(tmp_path, monkeypatch, OwnPicture, "--cache", "ram")
    levels = [float(batch["A"].unique()) for batch in found]
    assert levels[:2] != levels[2:]


def test_a_plug_in_of_load_alone_may_give_pil_images(tmp_path):
    class Plain(BaseDataset):
        def __len__(self):
            return 2

        def load(self, index):
            image = Image.new("RGB", (40, 40), (255, 0, 0))
            return {"A": image, "A_paths": str(index)}

    make_aligned(tmp_path)
    (batch,) = Loader(Plain(options(tmp_path, "aligned")), 2, Order(seed=1, shuffle=False))
    assert batch["A"].shape == (2, 3, 32, 32) and batch["A_paths"] == ["0", "1"]
    assert batch["A"][:, 0].min() == 1 and batch["A"][:, 1:].max() == -1


class OwnItemAndFiles(OwnItem):
    def checked_files(self):
        return super().checked_files()


@pytest.mark.parametrize(
    ("kind", "judged"),
    [
        (Nothing, True),
        (OwnLoad, True),
        (OwnPicture, True),
        (Inverted, True),
        (OwnItem, False),  # who knows what it makes of a file
        (OwnLoadOfItem, False),
        (OwnItemAndFiles, True),  # its own word
    ],
)
def test_the_check_before_training_judges_what_it_knows(tmp_path, kind, judged):
    from data.check import look_at

    make_aligned(tmp_path)
    (tmp_path / "train" / "1.png").write_bytes(b"")
    flags = ["--preprocess", "crop", "--crop_size", "64", "--load_size", "64"]  # larger than they
    found = look_at(kind(options(tmp_path, "aligned", *flags)).expected())
    assert "1.png: an empty file" in found.bad.pop(str(tmp_path / "train" / "1.png"))
    assert len(found.bad) == (3 if judged else 0)
    whole = look_at(kind(options(tmp_path, "aligned")).expected())
    assert set(whole.sizes) == ({(32, 32)} if judged else set())


def test_every_turn_is_pillows():
    image = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    for method in Image.Transpose:
        ours = Picture.of(image).transpose(method)
        theirs = image.transpose(method)
        assert ours.size == theirs.size and np.array_equal(ours.values, np.asarray(theirs))
        values = ours.tensor().permute(1, 2, 0).numpy()
        assert np.array_equal(values, np.asarray(theirs))


def test_deep_pictures_are_resized_channel_by_channel_and_end_in_range():
    values = np.random.default_rng(1).random((8, 6, 5), np.float32).round()
    resized = Picture(values).resize((12, 16), Image.Resampling.BICUBIC)
    assert resized.size == (12, 16) and resized.values.max() > 1  # bicubic overshoots
    for number in range(5):
        alone = Image.fromarray(values[..., number].copy()).resize(
            (12, 16), Image.Resampling.BICUBIC
        )
        assert np.array_equal(resized.values[..., number], np.asarray(alone))
    tensor = resized.tensor()
    assert tensor.shape == (5, 16, 12) and tensor.min() >= 0 and tensor.max() <= 1
    assert in_range(tensor).min() >= -1
