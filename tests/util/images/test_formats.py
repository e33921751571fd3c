"""A format of one's own is one file: util/images/<name>_format.py."""

import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import util.images
from tests.helpers import TINY, environment, photo
from util.errors import UserError
from util.images import formats, pillow_format
from util.images.formats import format_named, format_of
from util.images.header import read_header

TOY = '''
import numpy as np

from util.images.formats import Format
from util.images.header import Header


class ToyFormat(Format):
    """"TOY!", width, height and channels, then the values; all of them uint16."""

    kind = "toy"
    extensions = (".toy",)
    signatures = (b"TOY!",)
    written = ".toy"

    def header(self, file):
        width, height, channels = np.frombuffer(file.read(10)[4:], "<u2").tolist()
        return Header((width, height), channels, "uint16", "toy", deep=True)

    def decode(self, data, header, min_size=None):
        width, height = header.size
        return np.frombuffer(data[10:], "<u2").reshape(height, width, header.channels)

    def encode(self, values, header):
        height, width, channels = values.shape
        return b"TOY!" + np.array([width, height, channels], "<u2").tobytes() + values.tobytes()
'''
# Commands, in a process whose package `util.images` has one more folder.
RUN = """
import sys
import util.images
util.images.__path__.append(sys.argv.pop(1))
import test, train
flags = sys.argv[1:]
once = ["--model", "pix2pix", "--netG", "resnet_6blocks", "--n_epochs=1", "--n_epochs_decay=0"]
assert train.main([*flags, *once]) == 0
for more in ([], ["--num_test", "1"]):
    assert test.main([*flags[:4], "--preprocess", "none", "--gpu_ids", "-1", *more]) == 0
"""


def toy(index: int) -> np.ndarray:
    """A|B side by side, (48, 96, 3) uint16, with values between those of 8 bits."""
    A = np.asarray(photo(index)).astype(np.uint16) * 257 + index
    return np.concatenate([A, 65535 - A], axis=1)


def test_a_format_in_one_file_is_trained_on_and_comes_out_with_its_depth(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "toy_format.py").write_text(TOY)
    for phase in ("train", "test"):
        (tmp_path / "data" / phase).mkdir(parents=True)
        for index in range(2):
            head = b"TOY!" + np.array([96, 48, 3], "<u2").tobytes()
            file = tmp_path / "data" / phase / f"{index}.toy"
            file.write_bytes(head + toy(index).tobytes())
    flags = ["--dataroot", "data", "--name", "toy", *TINY]
    done = subprocess.run(
        [sys.executable, "-c", RUN, tmp_path / "plugins", *flags],
        env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 images" in done.stdout
    images = tmp_path / "results" / "toy" / "test_latest" / "images"
    names = {file.name for file in images.iterdir()}
    assert names == {
        f"0_{label}.{kind}" for label in ("real_A", "fake_B", "real_B") for kind in ("png", "toy")
    }, "the second test has deleted what the first left"
    real_A = np.frombuffer((images / "0_real_A.toy").read_bytes()[10:], "<u2").reshape(48, 48, 3)
    assert np.abs(real_A.astype(int) - toy(0)[:, :48]).max() <= 1
    assert Image.open(images / "0_fake_B.png").size == (48, 48)


@pytest.fixture
def more_formats(tmp_path, monkeypatch):
    """A folder whose files belong to the package for one test."""
    monkeypatch.setattr(util.images, "__path__", [*util.images.__path__, str(tmp_path)])
    caches = (formats.formats, formats.extensions, formats.written_extensions)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()
    for name in [name for name in sys.modules if name.startswith("util.images.my_")]:
        del sys.modules[name]


def test_a_format_without_a_signature_is_known_by_its_extension(more_formats):
    text = TOY.replace('signatures = (b"TOY!",)', "").replace('".toy"', '".my"')
    (more_formats / "my_own_format.py").write_text(text)
    assert format_of("x.MY", b"anything").kind == "toy"
    assert format_of("x.my", b"\x89PNG\r\n").kind == "png", "bytes count for more"
    assert format_of("x.png", b"anything").kind == "pillow"
    assert formats.extensions()[-1] == formats.written_extensions()[-1] == ".my"
    assert format_named("toy").written == ".my" and format_named("gif").kind == "pillow"


def test_a_file_without_a_format_is_told(more_formats):
    (more_formats / "my_empty_format.py").write_text("from util.images.formats import Format\n")
    with pytest.raises(UserError, match=r"my_empty_format\.py: no format in it; write a class"):
        formats.formats()


def test_nothing_of_the_process_is_changed_by_reading(tmp_path):
    """Other people's use of Pillow and tifffile still warns and logs."""
    code = """
import logging, sys, warnings
from PIL import Image
import data.image_folder
from util.images.header import read_header
assert all(kind is not Image.DecompressionBombWarning for _, _, kind, *_ in warnings.filters)
assert logging.getLogger("tifffile").level == logging.NOTSET
heard = []
logging.getLogger("tifffile").addHandler(handler := logging.Handler())
handler.emit = heard.append
try:
    read_header(sys.argv[1])
except ValueError:
    pass
assert not heard
logging.getLogger("tifffile").warning("theirs")
assert len(heard) == 1
"""
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint16))
    with tifffile.TiffFile(path) as opened:
        place = opened.pages[0].tags["ImageLength"].valueoffset
    whole = bytearray(path.read_bytes())
    whole[place] = 72  # more rows than there are strips for, which tifffile logs
    path.write_bytes(whole)
    done = subprocess.run(
        [sys.executable, "-c", code, path], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_more_than_8_bits_is_told_once(tmp_path, capsys, monkeypatch, bits):
    """Pillow reads 8 of them, without a word."""
    values = np.full((16, 16, 3), 200, np.uint8 if bits == 8 else np.uint16)
    for name in ("x.avif", "y.avif"):
        content = imagecodecs.avif_encode(values, bitspersample=bits, level=90)
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(pillow_format, "_said", set())
    for name in ("x.avif", "y.avif"):
        assert read_header(str(tmp_path / name)).dtype == "uint8"
    assert capsys.readouterr().err.count("8 of them are read") == (bits > 8)
