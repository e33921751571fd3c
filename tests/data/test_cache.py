"""`--cache` and bytes instead of floats change nothing but speed."""

import os

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import data
from data.aligned_dataset import AlignedDataset
from data.base_dataset import get_params, get_transform
from data.loader import Loader, Order
from data.transforms import PREPROCESS_MODES
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, make_unaligned, photo
from util.errors import UserError
from util.images.picture import in_range
from util.seed import seeded


def options(root, mode: str, *flags: object):
    words = ["--dataroot", root, "--dataset_mode", mode, "--model", "template", *TINY,
             "--checkpoints_dir", root / "runs", *flags]  # fmt: skip
    return TrainOptions().parse([str(word) for word in words])


def batches(root, mode: str, *flags: object, epochs: tuple[int, ...] = (1, 2)) -> list[dict]:
    loader = data.create_dataset(options(root, mode, *flags))
    found = [loader.peek()]
    for epoch in epochs:
        loader.set_epoch(epoch)
        found += list(loader)
    return found


def equal(ours: list[dict], theirs: list[dict]) -> bool:
    return len(ours) == len(theirs) and all(
        a["A_paths"] == b["A_paths"]
        and a["A"].dtype == torch.float32
        and torch.equal(a["A"], b["A"])
        and torch.equal(a["B"], b["B"])
        for a, b in zip(ours, theirs, strict=True)
    )


def mixed_folder(root):
    """Pairs in one file each: colour, grey, 16 bits and with alpha, in one folder."""
    make_aligned(root, 2)
    photo(5, (96, 48)).convert("L").save(root / "train" / "grey.jpg")
    photo(6, (96, 48)).convert("RGBA").rotate(9).save(root / "train" / "alpha.png")
    deep = np.asarray(photo(7, (96, 48))).astype(np.uint16) * 257
    tifffile.imwrite(root / "train" / "deep.tif", deep, photometric="rgb")
    return root


def by_transform(opt, path: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B by the public building blocks of plug-ins, which work on floats."""
    dataset = data.find_dataset_using_name("aligned")(opt)
    picture = dataset.picture(path, "A")
    width, height = picture.size
    halves = [(0, 0, width // 2, height), (width // 2, 0, width, height)]
    params = get_params(opt, (width // 2, height))
    return tuple(get_transform(opt, params)(picture.crop(box)) for box in halves)


@pytest.mark.parametrize("preprocess", PREPROCESS_MODES)
def test_bytes_become_the_floats_of_the_public_transforms(tmp_path, preprocess):
    opt = options(mixed_folder(tmp_path), "aligned", "--preprocess", preprocess, "--cache", "off")
    dataset = data.create_dataset(opt).dataset
    for index, (path, _) in enumerate(dataset.pairs):
        with seeded(index):
            sample = dataset[index]
        with seeded(index):
            A, B = by_transform(opt, path)
        assert torch.equal(sample["A"], A) and torch.equal(sample["B"], B)


@pytest.mark.parametrize("mode", ["aligned", "unaligned", "colorization"])
@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_the_cache_and_workers_change_no_number(tmp_path, mode, cache):
    root = make_unaligned(tmp_path) if mode == "unaligned" else mixed_folder(tmp_path)
    flags = ["--batch_size", 2, "--preprocess", "scale_shorter_and_crop"]
    plain = batches(root, mode, *flags, "--cache", "off")
    assert equal(batches(root, mode, *flags, "--cache", cache), plain)
    if mode == "aligned":
        assert equal(batches(root, mode, *flags, "--cache", cache, "--num_threads", 2), plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("mode", ["aligned", "colorization"])
def test_batches_on_a_gpu_are_those_of_the_cpu(tmp_path, mode):
    root = mixed_folder(tmp_path)
    for ours, plain in zip(
        batches(root, mode, "--device", "cuda"), batches(root, mode), strict=True
    ):
        for side in "AB":
            assert ours[side].is_cuda
            assert torch.allclose(ours[side].cpu(), plain[side], rtol=0, atol=1e-5)


def test_an_epoch_from_the_cache_reads_no_file(tmp_path):
    loader = data.create_dataset(options(make_aligned(tmp_path), "aligned", "--num_threads", 2))
    first = [batch["A"] for batch in loader]
    for file in (tmp_path / "train").iterdir():
        file.unlink()
    assert all(torch.equal(a, b["A"]) for a, b in zip(first, loader, strict=True))


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_a_full_cache_is_said_once_and_the_rest_is_read(tmp_path, cache, capfd):
    root = make_aligned(tmp_path)
    plain = batches(root, "aligned", "--cache", "off")
    small = ["--cache", cache, "--cache_gb", "2e-5"]  # two of four entries of 7 kB
    assert equal(batches(root, "aligned", *small, "--num_threads", 2), plain)
    assert capfd.readouterr().err.count("the cache is full") == 1
    if cache == "disk":
        assert len(list((tmp_path / "runs" / ".image_cache").iterdir())) == 2


def test_damaged_and_outdated_entries_on_disk_are_made_anew(tmp_path):
    root = make_aligned(tmp_path)
    disk = ["--cache", "disk", "--cache_dir", tmp_path / "kept"]
    plain = batches(root, "aligned", *disk)
    whole = {file: file.read_bytes() for file in sorted((tmp_path / "kept").iterdir())}
    a, b, c, d = whole.values()
    for file, damage in zip(whole, (b"", b"x" * len(b), c[:-5], d + b"x"), strict=True):
        file.write_bytes(damage)
    assert equal(batches(root, "aligned", *disk), plain)
    assert {file: file.read_bytes() for file in sorted((tmp_path / "kept").iterdir())} == whole
    changed = root / "train" / "0.png"
    Image.open(changed).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(changed)
    os.utime(changed, (1, 1))
    assert not equal(batches(root, "aligned", *disk), plain)
    scaled = batches(root, "aligned", *disk, "--load_size", 40)
    assert equal(scaled, batches(root, "aligned", "--load_size", 40, "--cache", "off"))


DAMAGES = {
    "a tail of zeros": lambda b: b[: len(b) // 2] + bytes(len(b) - len(b) // 2),
    "a flipped bit among the values": lambda b: b[:-99] + bytes([b[-99] ^ 4]) + b[-98:],
    "a flipped bit in the head": lambda b: b[:24] + bytes([b[24] ^ 1]) + b[25:],
    "a flipped bit in the checksum": lambda b: b[:-1] + bytes([b[-1] ^ 1]),
    "cut off": lambda b: b[:-7],
    "empty": lambda b: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_to_an_entry_is_seen_said_once_and_never_trained_on(tmp_path, damage, capfd):
    """Fault 94: a zeroed tail or a flipped byte was trained on silently."""
    root = make_aligned(tmp_path, 2)
    disk = ["--cache", "disk", "--cache_dir", tmp_path / "kept"]
    plain = batches(root, "aligned", *disk)
    whole = {file: file.read_bytes() for file in (tmp_path / "kept").iterdir()}
    for file, content in whole.items():
        file.write_bytes(damage(content))
    assert equal(batches(root, "aligned", *disk), plain)
    assert {file: file.read_bytes() for file in (tmp_path / "kept").iterdir()} == whole
    assert capfd.readouterr().err.count("is damaged, and made anew") == 1


@pytest.mark.parametrize(("umask", "folder_mode"), [(0o022, 0o755), (0o027, 0o750), (0o077, 0o750)])
def test_whoever_shares_the_folder_may_read_the_entries(tmp_path, umask, folder_mode):
    """Fault 94: entries were their writer's alone."""
    root = make_aligned(tmp_path, 1)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(folder_mode)
    before = os.umask(umask)
    try:
        batches(root, "aligned", "--cache", "disk", "--cache_dir", tmp_path / "kept")
    finally:
        os.umask(before)
    (entry,) = (tmp_path / "kept").iterdir()
    assert entry.stat().st_mode & 0o044 == folder_mode & 0o044


def test_entries_of_another_version_are_not_used_and_take_no_room(tmp_path, capfd):
    """Fault 94: entries of earlier versions are never hit, and counted all the same."""
    root, kept = make_aligned(tmp_path), tmp_path / "kept"
    disk = ["--cache", "disk", "--cache_dir", kept, "--cache_gb", "4e-5"]  # four of 7 kB
    kept.mkdir()
    old = kept / ("0" * 40 + ".image")
    old.write_bytes(bytes(40_000))
    plain = batches(root, "aligned", "--cache", "off")
    assert equal(batches(root, "aligned", *disk), plain)
    told = capfd.readouterr()
    assert "full" not in told.err and len(list(kept.iterdir())) == 5
    assert "1 files are of another version" in told.out and old.stat().st_size == 40_000


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_a_replaced_image_of_the_same_time_is_read_anew(tmp_path, suffix):
    """`cp -p` keeps the time of what it copies; a BMP of the same size has as many bytes, too."""
    (tmp_path / "train").mkdir()
    file = tmp_path / "train" / f"0.{suffix}"
    flags = ["--cache", "disk", "--cache_dir", tmp_path / "kept"]
    for number in (3, 4):
        photo(number, (96, 48)).save(file)
        os.utime(file, ns=(10**18, 10**18))
        plain = batches(tmp_path, "aligned", "--cache", "off")
        assert equal(batches(tmp_path, "aligned", *flags), plain)


def test_a_cache_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="--cache_dir .*file: .*; give a folder"):
        batches(
            make_aligned(tmp_path), "aligned", "--cache", "disk", "--cache_dir", tmp_path / "file"
        )


def test_fast_decode_is_nearly_the_same_picture_and_halves_stay_apart(tmp_path):
    (tmp_path / "train").mkdir()
    both = Image.new("RGB", (512, 256), "white")
    both.paste(photo(0, (256, 256)), (0, 0))
    for name, size in (("0.jpg", (512, 256)), ("1.jpg", (504, 248))):  # 248: not whole blocks
        both.resize(size).save(tmp_path / "train" / name, quality=95, subsampling=0)
    exact, fast = (
        data.create_dataset(options(tmp_path, "aligned", *flag)).dataset
        for flag in ([], ["--fast_decode"])
    )
    with seeded(1):
        slow = exact[0]
    with seeded(1):
        quick = fast[0]
    assert 0 < (slow["A"] - quick["A"]).abs().mean() < 0.02
    assert quick["B"].min() > 0.98  # nothing of A came over
    assert fast.picture(exact.AB_paths[0], "A").size == (128, 64)
    assert fast.picture(exact.AB_paths[1], "A").size == (504, 248)


class Darker(AlignedDataset):
    """A plug-in that extends one of ours and works on its floats."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return sample | {"A": sample["A"] - 1, "mask": torch.full((1, 2), 7, dtype=torch.uint8)}


def test_plug_ins_that_extend_ours_get_and_give_floats(tmp_path):
    dataset = Darker(options(make_aligned(tmp_path), "aligned"))
    for batch in Loader(dataset, 2, Order(seed=1, shuffle=False)):
        assert batch["A"].dtype == torch.float32 and -2 <= batch["A"].min() < -1
        assert batch["mask"].dtype == torch.uint8 and batch["mask"].min() == 7


def test_every_level_becomes_the_same_number_by_table_and_by_division():
    levels = torch.arange(256, dtype=torch.uint8)
    expected = (levels.float() / 255 - 0.5) / 0.5
    assert torch.equal(in_range(levels), expected)
    assert in_range(levels.to("meta")).dtype == torch.float32  # the way of other devices


def test_threads_auto(tmp_path, capsys):
    loader = data.create_dataset(
        options(make_aligned(tmp_path), "aligned", "--num_threads", "auto")
    )
    assert "--num_threads auto: 1 loader process" in capsys.readouterr().out
    assert loader.num_threads == 1
    assert [data.auto_threads(cores, "cuda:0", 99) for cores in (1, 2, 4, 64)] == [1, 1, 3, 8]
    assert data.auto_threads(64, "cuda:0", 2) == 2
    with pytest.raises(UserError, match="--num_threads 'many': accepted: .*or auto"):
        options(tmp_path, "aligned", "--num_threads", "many")
