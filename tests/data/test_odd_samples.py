"""What plug-ins put into samples and losses: any number of images, odd types told in one line."""

import re
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import data
import models
from data.aligned_dataset import AlignedDataset
from data.base_dataset import BaseDataset
from data.loader import Loader, Order
from models.template_model import TemplateModel
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, make_single, photo, script
from tests.helpers import train as run_train
from util.errors import UserError
from util.images.picture import Picture

Box = namedtuple("Box", "low high")


def options(root, *flags: object):
    words = ["--dataroot", root, "--model", "template", "--dataset_mode", "aligned", *TINY, *flags]
    return TrainOptions().parse([str(word) for word in words])


class Plain(BaseDataset):
    """Gives what it is told to, beside an image that is in order."""

    more: dict = {}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        image = torch.linspace(-1, 1, 3 * 32 * 32).reshape(3, 32, 32)
        more = {key: value(index) if callable(value) else value for key, value in self.more.items()}
        return {"A": image, "B": image, "A_paths": "a.png", "B_paths": "b.png"} | more


def plain(tmp_path, **more):
    make_aligned(tmp_path, 1)
    return type("PlainDataset", (Plain,), {"more": more})(options(tmp_path))


def batch_of(dataset, batch_size: int = 2) -> dict:
    return next(iter(Loader(dataset, batch_size, Order(seed=1, shuffle=False))))


CONVERTED = {
    "float64 tensor": torch.ones(3, 32, 32, dtype=torch.float64),
    "float64 array": np.ones((3, 32, 32)),
    "reversed array": np.ones((3, 32, 64))[..., ::-2],
    "Python float": 0.5,
    "numpy float": np.float64(0.5),
    "nested": {"deep": [np.ones(2), torch.ones(2, dtype=torch.float64)]},
    "named tuple": Box(np.ones(2), 1.5),
}


@pytest.mark.parametrize("value", CONVERTED.values(), ids=CONVERTED)
def test_double_precision_becomes_float32(tmp_path, value):
    """User report 8: float64 from numpy ended in a trace of the first layer."""
    from util.tensors import tensors_in

    batch = batch_of(plain(tmp_path, M=value))
    assert {tensor.dtype for tensor in tensors_in(batch)} == {torch.float32}
    whole = batch_of(plain(tmp_path, number=np.int64(7), mask=np.array([True]), file=Path("x/y")))
    assert whole["number"].tolist() == [7, 7] and whole["mask"].dtype == torch.bool
    assert whole["file"] == ["x/y"] * 2


ODD = {
    "None": (None, "is None"),
    "an object": (object(), "of type object"),
    "a set": ({1}, "of type set"),
    "objects in an array": (np.array([object()]), "object of shape"),
    "text in an array": (np.array(["a"]), "<U1 of shape"),
    "a PIL image": (Image.new("L", (4, 4)), "self.crop_and_flip"),
    "a picture": (Picture(np.zeros((4, 4, 1), np.uint8)), "self.crop_and_flip"),
    "None in a list": ([1, None], "place 1, is None"),
    "None in a dict": ({"deep": None}, "'deep', of a sample is None|'deep', is None"),
    "a gradient": (torch.ones(1, requires_grad=True), "requires grad.*detach"),
    "another device": (torch.ones(1, device="meta"), "on meta"),
    "complex": (torch.ones(1, dtype=torch.complex64), "complex64"),
    "ragged": (lambda index: torch.ones(index + 1, 2), r"shape \(1, 2\).*\(2, 2\).*do not stack"),
    "ragged lists": (lambda index: [0] * (index + 1), "a list of 1 .*a list of 2"),
    "text and number": (lambda index: index or "zero", "str 'zero' .*int 1"),
    "channels": (lambda index: torch.ones(index + 1, 8, 8), r"\(1, 8, 8\).*\(2, 8, 8\)"),
}


@pytest.mark.parametrize(("value", "words"), ODD.values(), ids=ODD)
def test_what_cannot_be_stacked_is_one_line_with_dataset_key_and_type(tmp_path, value, words):
    """User report 8: None or an object in a sample ended in a trace of 70 lines."""
    with pytest.raises(UserError, match=f"PlainDataset: .*'M'.*({words})") as told:
        batch_of(plain(tmp_path, M=value))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("threads", [0, 2])
def test_the_line_is_the_same_from_a_worker(tmp_path, monkeypatch, capsys, threads):
    """User report 8, by train.py: exit code 2, no trace, nothing written."""
    kind = type("PlainDataset", (Plain,), {"more": {"M": None}})
    monkeypatch.setattr(data.registry, "find", lambda name: kind)
    make_aligned(tmp_path, 1)
    words = ["--dataroot", tmp_path, "--name", "x", "--model", "template", *TINY]
    words += ["--checkpoints_dir", tmp_path / "runs", "--num_threads", threads]
    run_train(*words, expect=2)
    error = capsys.readouterr().err
    assert "PlainDataset: 'M' of a sample is None" in error and "Traceback" not in error
    assert not (tmp_path / "runs" / "x").exists()


@pytest.mark.parametrize("sample", [None, (1, 2), torch.ones(2), {}], ids=repr)
def test_a_sample_that_is_no_dict(tmp_path, sample):
    """User report 8: neighbours of an odd value."""

    class Odd(Plain):
        def __getitem__(self, index):
            return sample

    make_aligned(tmp_path, 1)
    with pytest.raises(UserError, match="^Odd: a sample is .*accepted: a dict"):
        batch_of(Odd(options(tmp_path)))


def test_samples_of_different_keys(tmp_path):
    """User report 8: neighbours of an odd value."""

    class Some(Plain):
        def __getitem__(self, index):
            return super().__getitem__(index) | ({"M": 1} if index % 2 else {})

    make_aligned(tmp_path, 1)
    with pytest.raises(UserError, match="Some: 'M' is in 1 of 2 samples"):
        batch_of(Some(options(tmp_path)))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("a.png", "'A' of a batch is of type list"),
        (torch.ones(3, 32, 32, dtype=torch.int64), "'A' of a batch is .*int64"),
        (torch.ones(32, 32), r"'A' of a batch is .*shape \(1, 32, 32\)"),
    ],
)
def test_what_is_no_image_where_a_model_wants_one(tmp_path, image, words):
    """User report 8: the dataset's mode, the key and the type, before the first layer sees it."""
    make_aligned(tmp_path, 1)
    dataset = plain(tmp_path, A=image)
    model = models.create_model(dataset.opt)
    with pytest.raises(UserError, match=f"--dataset_mode aligned: {words}"):
        model.set_input(batch_of(dataset, 1))


LOSSES = {
    "an image": (torch.ones(2, 3), r"float32 and shape \(2, 3\)"),
    "None": (None, "None"),
    "text": ("0.5", "of type str"),
    "an object": (object(), "of type object"),
    "an array": (np.ones(3), r"ndarray and shape \(3,\)"),
    "complex": (torch.ones((), dtype=torch.complex64), "complex64"),
}


@pytest.mark.parametrize(("value", "words"), LOSSES.values(), ids=LOSSES)
def test_a_loss_that_is_no_number_is_one_line(tmp_path, value, words):
    """User report 8: losses that are not scalars."""
    make_aligned(tmp_path, 1)
    model = TemplateModel(options(tmp_path))
    model.loss_G = value
    with pytest.raises(UserError, match=f"TemplateModel: self.loss_G is .*{words}.*one number"):
        model.current_losses()


@pytest.mark.parametrize(
    "value", [1, 2.0, np.float64(1), np.ones(1), torch.ones(1), torch.ones((), requires_grad=True)]
)
def test_losses_that_are_numbers_of_any_kind(tmp_path, value):
    """User report 8: what is a number is taken as one."""
    make_aligned(tmp_path, 1)
    model = TemplateModel(options(tmp_path))
    model.loss_G = value
    assert type(model.get_current_losses()["G"]) is float


@pytest.mark.parametrize("value", [None, "x", torch.ones(3, 4, 4)])
def test_a_visual_that_is_no_picture_is_one_line(tmp_path, value):
    """User report 8: neighbours of an odd loss."""
    make_aligned(tmp_path, 1)
    model = TemplateModel(options(tmp_path))
    model.data_A = model.data_B = torch.ones(1, 3, 8, 8)
    model.output = value
    with pytest.raises(UserError, match="TemplateModel: self.output is .*images"):
        model.get_current_visuals()


class Marked(AlignedDataset):
    """Pairs with two more images: M, which is A's own left half, and a grey one."""

    def __init__(self, opt):
        super().__init__(opt)
        self.M = [str(Path(self.root, "more", Path(A).name)) for A, _ in self.pairs]
        self.grey = [path.replace("more", "grey") for path in self.M]

    def load(self, index):
        M, grey = self.M[index], self.grey[index]
        more = {"M": self.read(M, "M"), "grey": self.read(grey, "grey"), "M_paths": M}
        return super().load(index) | more

    def checked_files(self):
        return super().checked_files() | {"M": self.M, "grey": self.grey}


def marked(root, kind: type = Marked, *flags: object):
    make_aligned(root, 3, ("train",))
    make_single(root / "more", 3)
    for path in make_single(root / "grey", 3).iterdir():
        Image.open(path).convert("L").save(path)
    return kind, options(root, *flags)


@pytest.mark.parametrize("cache", ["ram", "disk", "off"])
def test_a_third_image_and_a_fourth_share_crop_flip_and_cache(tmp_path, monkeypatch, cache):
    """User report 8: `self.read(path, "M")` and a third name in checked_files."""
    flags = ["--cache", cache, "--cache_dir", tmp_path / "kept", "--num_threads", 2]
    kind, opt = marked(tmp_path, Marked, *(flags if cache == "disk" else [*flags[:2], *flags[4:]]))
    monkeypatch.setattr(data.registry, "find", lambda name: kind)
    loader = data.create_dataset(opt)
    for epoch in (1, 2):
        loader.set_epoch(epoch)
        for batch in loader:
            assert torch.equal(batch["M"], batch["A"])  # the same file, the same crop and flip
            assert batch["grey"].shape == (1, 1, 32, 32) and batch["grey"].min() < -0.1
            luma = (batch["A"] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
            assert (luma - batch["grey"][:, 0]).abs().max() < 0.1
        if cache == "ram":  # from the second epoch on nothing is read
            for file in [*(tmp_path / "more").iterdir(), *(tmp_path / "grey").iterdir()]:
                file.unlink()


def test_a_third_image_is_checked_before_training(tmp_path, monkeypatch):
    """User report 8: a damaged mask is found before hours are spent."""
    kind, opt = marked(tmp_path)
    (tmp_path / "more" / "1.png").write_bytes(b"no image")
    monkeypatch.setattr(data.registry, "find", lambda name: kind)
    with pytest.raises(UserError, match=r"more/1\.png: cannot be read"):
        data.create_dataset(opt)
    photo(1).save(tmp_path / "more" / "1.png")
    kind.image_channels = {"M": 5}
    try:
        with pytest.raises(UserError, match=r"more/0\.png: .*3 channels.*5"):
            data.create_dataset(opt)
    finally:
        kind.image_channels = {}


def test_a_third_image_of_another_size_is_told(tmp_path, monkeypatch):
    """User report 8: what shares a crop has one size."""
    kind, opt = marked(tmp_path, Marked, "--preprocess", "crop")
    for path in (tmp_path / "more").iterdir():
        photo(1, (60, 60)).save(path)
    monkeypatch.setattr(data.registry, "find", lambda name: kind)
    with pytest.raises(UserError, match=r"48x48 px, but its partner .*more/.* has 60x60; make"):
        data.create_dataset(opt).peek()


def test_further_images_follow_A_where_a_dataset_draws_each_by_itself(tmp_path):
    """User report 8: also where a class extends BaseDataset and has `load` alone."""

    class Loose(BaseDataset):
        def __len__(self):
            return 1

        def load(self, index):
            images = {name: photo(3, (48, 48)) for name in ("B", "A", "M", "N")}
            return images | {"A_paths": "a", "B_paths": "b"}

    make_aligned(tmp_path, 1)
    loader = Loader(Loose(options(tmp_path)), 1, Order(seed=1, shuffle=False))
    differed = False
    for epoch in range(1, 6):
        loader.set_epoch(epoch)
        (batch,) = loader
        assert torch.equal(batch["A"], batch["M"]) and torch.equal(batch["A"], batch["N"])
        differed |= not torch.equal(batch["A"], batch["B"])
    assert differed


def sized_pairs(root: Path, A: tuple[int, int], B: tuple[int, int], phase: str = "train") -> Path:
    for side, size in (("A", A), ("B", B)):
        (root / f"{phase}{side}").mkdir(parents=True, exist_ok=True)
        for index in range(2):
            photo(index, size).save(root / f"{phase}{side}" / f"{index}.png")
    return root


@pytest.mark.parametrize(
    ("A", "B", "words"),
    [
        ((48, 40), (40, 48), "2 of 2 pairs are of two shapes.* squashed against the other"),
        ((48, 48), (64, 40), "0.png: 48x48 px, but its partner .*0.png has 64x40"),
        ((48, 48), (96, 96), r"2 of 2 pairs are of two sizes, .*makes both \d+x\d+ px"),
        ((48, 47), (96, 95), "of two sizes"),  # rounded
        ((48, 48), (48, 48), None),
    ],
)
def test_a_pair_of_two_sizes_is_told_once(tmp_path, capsys, A, B, words):
    """User report 25: the sizes of a pair were made one without a word."""
    data.create_dataset(options(sized_pairs(tmp_path, A, B))).peek()
    found = capsys.readouterr().err
    assert found.count(" are of two s") == (words is not None)
    script("scripts/check_data.py").main(["--dataroot", str(tmp_path), "--dataset_mode", "aligned"])
    told = capsys.readouterr().out
    for text in (found, told):
        assert re.search(words, text) if words else "of two" not in text


def test_a_pair_of_two_sizes_is_told_in_test_too(tmp_path, capsys):
    """User report 25: test.py squashes as training does."""
    opt = options(sized_pairs(tmp_path, (48, 40), (40, 48), "test"), "--phase", "test")
    opt.isTrain = False
    data.create_dataset(opt, singles=True)
    assert capsys.readouterr().err.count("squashed against the other") == 1
