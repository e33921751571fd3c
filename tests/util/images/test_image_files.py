"""Image files of every kind: read honestly, written as they came."""

import io
import resource
import struct
import warnings
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from data.transforms import build
from scripts import write_formats_table as table
from tests.helpers import photo
from util.errors import BadImage, UserError
from util.images import read as image_read
from util.images.header import read_header
from util.images.read import load_image, read_picture

SPECIMENS = {specimen.what: specimen for specimen in table.specimens()}


def tensor(path, channels: int, value_range=None) -> torch.Tensor:
    return build("keep", 0, 0, flip=False)(read_picture(str(path), channels, value_range))


@pytest.mark.parametrize("what", SPECIMENS)
def test_what_goes_in_comes_out(tmp_path, what):
    specimen = SPECIMENS[what]
    source, result = table.through(specimen, tmp_path)
    step = 1 if read_header(str(source)).dtype[0] in "ui" else 1e-4
    assert table.off_by(source, result, specimen) <= step
    before, after = read_header(str(source)), read_header(str(result))
    if what not in ("PNG, palette", "JPEG, CMYK"):
        assert (before.channels, before.dtype) == (after.channels, after.dtype)
    kind = before.kind if before.kind in ("tiff", "npy") else "png"
    assert after.kind == kind and after.size == table.SIZE
    assert Image.open(tmp_path / "out.png").size == table.SIZE  # for the page


def test_the_table_in_the_docs_is_up_to_date():
    assert table.main(["--check"]) == 0, "run scripts/write_formats_table.py"


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_ramps_are_scaled_and_not_cut(tmp_path, dtype):
    top = 65535 if dtype == "uint16" else 1.0
    ramp = (np.linspace(0, 1, 4096).reshape(64, 64) * top).astype(dtype)
    tifffile.imwrite(tmp_path / "ramp.tif", ramp)
    found = tensor(tmp_path / "ramp.tif", 3)
    assert (found.abs() > 0.9999).float().mean() < 0.01
    assert torch.allclose(found[0].flatten(), torch.linspace(-1, 1, 4096), atol=1e-4)
    assert np.asarray(load_image(str(tmp_path / "ramp.tif")))[0, 0].tolist() == [0, 0, 0]


def test_hidden_colours_stay_hidden_unless_alpha_is_asked_for(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 200  # red, but nowhere visible
    Image.fromarray(pixels).save(tmp_path / "x.png")
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    palette.save(tmp_path / "p.png", transparency=1)
    imagecodecs.imwrite(str(tmp_path / "deep.png"), pixels.astype(np.uint16) * 257)
    for name in ("x.png", "p.png", "deep.png"):
        assert (tensor(tmp_path / name, 3) == 1).all(), name  # white
        assert (tensor(tmp_path / name, 1) == 1).all(), name
    kept = tensor(tmp_path / "x.png", 4)
    assert kept[3].max() == -1 and kept[0].min() > 0.5


def test_grey_of_deep_colours_is_that_of_8_bits(tmp_path):
    photo(1).save(tmp_path / "8.png")
    values = np.asarray(photo(1)).astype(np.uint16) * 257
    (tmp_path / "16.png").write_bytes(imagecodecs.png_encode(values))
    difference = tensor(tmp_path / "8.png", 1) - tensor(tmp_path / "16.png", 1)
    assert difference.abs().max() < 1.01 / 127.5


def test_cmyk_has_the_colours_that_were_meant(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    red, green, blue = ((tensor(tmp_path / "red.jpg", 3)[:, 4, 4] + 1) / 2).tolist()
    assert red > 0.9 and green < 0.1 and blue < 0.1


@pytest.mark.parametrize("name", ["t.jpg", "t.png", "t.tif", "deep.tif", "deep.png"])
def test_rotation_is_applied_to_any_format(tmp_path, name):
    upright = np.asarray(photo(0, (40, 20)))
    stored = np.ascontiguousarray(np.rot90(upright, 1))  # to be turned by 90 degrees: tag 6
    exif = Image.Exif()
    exif[0x0112] = 6
    if name == "deep.tif":
        tags = [(274, "H", 1, 6, True)]
        tifffile.imwrite(tmp_path / name, stored.astype(np.uint16) * 257, extratags=tags)
    elif name == "deep.png":
        data = imagecodecs.png_encode(stored.astype(np.uint16) * 257)
        (tmp_path / name).write_bytes(with_chunk(data, b"eXIf", exif.tobytes()[6:]))
    else:
        Image.fromarray(stored).save(tmp_path / name, exif=exif, quality=100, subsampling=0)
    assert read_header(str(tmp_path / name)).size == (40, 20)
    found = ((tensor(tmp_path / name, 3) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(found - upright).max() < (12 if name == "t.jpg" else 0.6)


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with another chunk behind its first."""
    chunk = struct.pack(">I", len(content)) + kind + content
    return png[:33] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + png[33:]


def damaged(name: str) -> bytes:
    file = io.BytesIO()
    photo(2, (96, 96)).save(file, "PNG" if "png" in name else "JPEG")
    whole = file.getvalue()
    middle = len(whole) // 2
    return {
        "empty.png": b"", "text.jpg": b"no image", "page.jpg": b"<!DOCTYPE html><p>404</p>",
        "cut.png": whole[:middle], "cut.jpg": whole[:middle],
        "rotten.jpg": whole[:middle] + bytes(range(7, 207)) + whole[middle + 200:],
        "flipped.png": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1:],
    }[name]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.png", "an empty file"),
        ("text.jpg", "no known format"),
        ("page.jpg", "it is an HTML page"),
        ("cut.png", "truncated"),
        ("cut.jpg", "Premature end"),
        ("rotten.jpg", "Corrupt JPEG data"),
        ("flipped.png", "cannot be read as an image"),
    ],
)
def test_damaged_files_are_named_with_the_reason(tmp_path, name, words):
    (tmp_path / name).write_bytes(damaged(name))
    for read in (load_image, image_read.check_pixels):
        with pytest.raises(BadImage, match=rf"{name}: .*{words}.*replace or remove the file"):
            read(str(tmp_path / name))


@pytest.mark.parametrize(
    ("values", "channels", "value_range", "words"),
    [
        (np.zeros((8, 8, 5), np.float32), 3, None, "5 channels, expected are 3"),
        (np.full((8, 8), 7.0), 1, None, "from 7 to 7, not within 0 and 1.*--value_range"),
        (np.zeros((8, 8), np.int16), 1, None, "values of type int16.*no range.*--value_range"),
        (np.full((8, 8), np.nan), 1, (0, 1), "NaN"),
        (np.array([["code"]], dtype=object), 1, None, "array"),
        (np.zeros((2, 2, 8, 8)), 1, None, r"accepted: \(H, W\)"),
        (np.zeros((2, 8)), 1, None, "8x2 px is too small; accepted: sides of 4 px"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, values, channels, value_range, words):
    np.save(tmp_path / "x.npy", values, allow_pickle=True)
    with pytest.raises(BadImage, match=rf"x\.npy: .*{words}"):
        read_picture(str(tmp_path / "x.npy"), channels, value_range)


def test_an_array_that_was_cut_off_is_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((64, 64)))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-100])
    with pytest.raises(BadImage, match="truncated"):
        read_picture(str(tmp_path / "x.npy"), 1)


def test_values_outside_of_a_given_range_are_cut_and_that_is_said_once(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(image_read, "_said", [])
    np.save(tmp_path / "ct.npy", np.array([[-3000.0, 0, 1000, 9000]] * 4))
    for _ in range(2):
        found = tensor(tmp_path / "ct.npy", 1, (-1000, 1000))
    assert found[0, 0].tolist() == [-1, 0, 1, 1]
    assert capsys.readouterr().err.count("are cut to --value_range -1000 1000") == 1


def test_a_bomb_is_refused_by_its_header(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage, match=r"bomb\.png: .*178 million pixels, or 1 GiB, are not"):
            load_image(str(tmp_path / "bomb.png"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_hiccup_of_the_disk_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(image_read, "RETRY_AFTER_S", (0.0, 0.0, 0.0))
    photo(0).save(tmp_path / "x.png")
    calls, real = [], open

    def flaky(path, mode):
        calls.append(path)
        if len(calls) <= failures:
            raise OSError(5, "Input/output error")
        return real(path, mode)

    monkeypatch.setattr(image_read, "open", flaky, raising=False)
    failures = 2
    assert load_image(str(tmp_path / "x.png")).size == (48, 48)
    calls.clear()
    failures = 9
    with pytest.raises(UserError, match=r"x\.png: cannot be read \(Input/output error\), tried 4"):
        load_image(str(tmp_path / "x.png"))
    assert len(calls) == 4


def test_whole_numbers_with_a_sign_are_not_taken_for_levels(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.full((8, 8), -5, np.int8))
    with pytest.raises(BadImage, match=r"x\.tif: values of type int8.*--value_range"):
        read_picture(str(tmp_path / "x.tif"), 1)
    assert tensor(tmp_path / "x.tif", 1, (-10, 0)).unique().tolist() == [0]


def test_colours_stored_times_their_alpha_come_out_as_they_were(tmp_path):
    half = np.zeros((8, 8, 4), np.uint16)
    half[..., 0], half[..., 3] = 16384, 32768  # half opaque; red 32768 times one half
    how = {"photometric": "rgb", "extrasamples": ["assocalpha"]}
    tifffile.imwrite(tmp_path / "x.tif", half, **how)
    assert tensor(tmp_path / "x.tif", 4)[0].mean() == pytest.approx(0, abs=1e-3)
    assert tensor(tmp_path / "x.tif", 3)[0].mean() == pytest.approx(0.5, abs=1e-3)  # on white


def test_pages_that_lead_in_a_circle_end(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((8, 8, 5), np.uint16), planarconfig="contig")
    data = bytearray((tmp_path / "x.tif").read_bytes())
    first = struct.unpack("<I", data[4:8])[0]
    after = first + 2 + 12 * struct.unpack("<H", data[first : first + 2])[0]
    data[after : after + 4] = struct.pack("<I", first)
    (tmp_path / "x.tif").write_bytes(data)
    with pytest.raises(BadImage, match=r"x\.tif: .*without end"):
        read_header(str(tmp_path / "x.tif"))


def test_many_pages_are_bounded_together(tmp_path):
    pages = (np.zeros((8000, 8000), np.uint8) for _ in range(18))
    tifffile.imwrite(tmp_path / "x.tif", pages, shape=(18, 8000, 8000), dtype="uint8",
                     compression="zlib", photometric="minisblack")  # fmt: skip
    with pytest.raises(BadImage, match=r"x\.tif: 8000x8000 px, 18 x uint8: more than.*1 GiB"):
        load_image(str(tmp_path / "x.tif"))


@pytest.mark.parametrize("name", ["x.bmp", "x.ppm", "x.tif", "deep.tif"])
def test_a_file_that_ends_early_is_seen_by_its_header(tmp_path, name):
    if name == "deep.tif":
        tifffile.imwrite(tmp_path / name, np.asarray(photo(0)).astype(np.uint16))
    else:
        photo(0).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    if name == "x.tif":  # Pillow writes the directory last
        data = data.replace(photo(0).tobytes()[-600:], b"")
    (tmp_path / name).write_bytes(data[:-900])
    with pytest.raises(BadImage):
        read_header(str(tmp_path / name))


def test_cmyk_is_not_taken_for_four_channels(tmp_path):
    Image.new("CMYK", (8, 8)).save(tmp_path / "x.jpg")
    with pytest.raises(BadImage, match="it has 3 channels, expected are 4"):
        read_picture(str(tmp_path / "x.jpg"), 4)
