"""Write docs/formats.md: what every kind of image file comes back as, measured.

    python scripts/write_formats_table.py [--check]

Each specimen is read, made a tensor, and written as test.py writes results, through a network that
changes nothing; the largest difference is measured on the file that came out.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from _root import ROOT

import imagecodecs
import numpy as np
import skimage.data
import tifffile
from PIL import Image

from data.transforms import build
from util.images.header import read_header
from util.images.read import read_picture
from util.images.write import save_like

PAGE = ROOT / "docs" / "formats.md"
SIZE = (24, 18)  # width and height px of a specimen
INTRO = """# Image files: what goes in comes out

Measured by `scripts/write_formats_table.py`: each kind of file through the loader, a network that
changes nothing, and the writer of test.py. "Off by" is the largest difference, in steps of the
file's own depth.

| file | read with `--input_nc` | comes out as | off by |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Specimen:
    """A kind of file.

    Args:
        what: in words.
        extension: of the file.
        channels: `--input_nc` that it is read with.
        write: writes it.
        value_range: `--value_range`, if it needs one.
    """

    what: str
    extension: str
    channels: int
    write: Callable[[Path], None]
    value_range: tuple[float, float] | None = None


def levels(channels: int, dtype: str) -> np.ndarray:
    """A photograph, (H, W, channels), over the whole range of a type (floats: [0, 1])."""
    photo = Image.fromarray(skimage.data.astronaut()).resize(SIZE)
    values = np.asarray(photo).astype(np.float64) / 255
    values = np.concatenate([np.roll(values, 3 * i, axis=1) for i in range(-(-channels // 3))], -1)
    values = values[..., :channels] + np.linspace(0, 1 / 255, SIZE[0])[None, :, None]
    values = (values - values.min()) / (values.max() - values.min())
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    scaled = values * top
    return scaled.round().astype(dtype) if top > 1 else scaled.astype(dtype)


def pillow(mode: str, **how: object) -> Callable[[Path], None]:
    """Written by Pillow in one of its modes."""

    def write(path: Path) -> None:
        bands = len(Image.new(mode, (1, 1)).getbands())
        if mode in ("1", "P"):
            image = Image.fromarray(levels(3, "uint8")).convert(mode)
        else:
            image = Image.fromarray(levels(bands, "uint8").squeeze(), mode=mode)
        image.save(path, **how)

    return write


def png16(channels: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(imagecodecs.png_encode(levels(channels, "uint16")))


def tiff(channels: int, dtype: str, **how: object) -> Callable[[Path], None]:
    how = {"photometric": "rgb" if channels in (3, 4) else "minisblack"} | how
    if channels == 4 and "extrasamples" not in how:
        how["extrasamples"] = ["unassalpha"]
    values = levels(channels, dtype)
    planar = how.get("planarconfig") == "separate"
    values = np.moveaxis(values, -1, 0) if planar else values
    return lambda path: tifffile.imwrite(path, values.squeeze(), **how)


def npy(channels: int, dtype: str, scale: float = 1, first: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        values = (levels(channels, "float64") * scale).astype(dtype)
        values = values[..., 0] if channels == 1 else values
        np.save(path, np.moveaxis(values, -1, 0) if first else values)

    return write


def specimens() -> Iterator[Specimen]:
    """Every kind of file that is promised."""
    yield Specimen("JPEG, grey", ".jpg", 1, pillow("L"))
    yield Specimen("JPEG, colour", ".jpg", 3, pillow("RGB"))
    yield Specimen("JPEG, CMYK", ".jpg", 3, pillow("CMYK"))
    yield Specimen("PNG, 1 bit", ".png", 1, pillow("1"))
    yield Specimen("PNG, palette", ".png", 3, pillow("P"))
    for mode, name in (("L", "grey"), ("LA", "grey and alpha"), ("RGB", "colour"),
                       ("RGBA", "colour and alpha")):  # fmt: skip
        yield Specimen(f"PNG, 8 bits, {name}", ".png", len(mode), pillow(mode))
        yield Specimen(f"PNG, 16 bits, {name}", ".png", len(mode), png16(len(mode)))
    yield Specimen("BMP", ".bmp", 3, pillow("RGB"))
    yield Specimen("PPM", ".ppm", 3, pillow("RGB"))
    yield Specimen("PGM, 8 bits", ".pgm", 1, pillow("L"))
    yield Specimen("WebP", ".webp", 3, pillow("RGB", lossless=True))
    yield Specimen("WebP with alpha", ".webp", 4, pillow("RGBA", lossless=True, exact=True))
    for dtype in ("uint8", "uint16", "float32"):
        yield Specimen(f"TIFF, {dtype}, grey", ".tif", 1, tiff(1, dtype))
        yield Specimen(f"TIFF, {dtype}, colour", ".tif", 3, tiff(3, dtype))
        yield Specimen(f"TIFF, {dtype}, 5 channels", ".tiff", 5, tiff(5, dtype))
    yield Specimen("TIFF, uint16, colour and alpha", ".tif", 4, tiff(4, "uint16"))
    apart = {"planarconfig": "separate"}
    yield Specimen("TIFF, uint16, colour in planes", ".tif", 3, tiff(3, "uint16", **apart))
    other = {"photometric": "rgb", "extrasamples": ["unspecified"]}
    yield Specimen("TIFF, uint8, colour and infrared", ".tif", 4, tiff(4, "uint8", **other))
    yield Specimen("TIFF, uint8, 2 channels", ".tif", 2, tiff(2, "uint8", planarconfig="contig"))
    planar = apart | {"compression": "lzw"}
    yield Specimen("TIFF, uint16, 12 planes, LZW", ".tif", 12, tiff(12, "uint16", **planar))
    yield Specimen("npy, uint8, (H, W, 3)", ".npy", 3, npy(3, "uint8", 255))
    yield Specimen("npy, float32, (H, W)", ".npy", 1, npy(1, "float32"))
    yield Specimen("npy, float32, (7, H, W)", ".npy", 7, npy(7, "float32", first=True))
    yield Specimen("npy, float64, -1000 to 2000", ".npy", 1, npy(1, "float64", 2000), (-1000, 2000))
    yield Specimen("npy, int16, -1024 to 3071", ".npy", 1, npy(1, "int16", 3071), (-1024, 3071))


def through(specimen: Specimen, folder: Path) -> tuple[Path, Path]:
    """(file, what comes out) of one specimen."""
    source = folder / f"in{specimen.extension}"
    specimen.write(source)
    picture = read_picture(str(source), specimen.channels, specimen.value_range)
    image = build("keep", 0, 0, flip=False)(picture)[None]
    shown = save_like(image, folder / "out", read_header(str(source)), specimen.value_range)
    others = [path for path in folder.glob("out.*") if path.suffix != ".png"]
    return source, (others or [shown])[0]


def pixels(path: Path, channels: int) -> np.ndarray:
    """(H, W, channels) of a file, by its format's own library, alpha kept."""
    if path.suffix == ".npy":
        values = np.load(path)
    elif path.suffix in (".tif", ".tiff"):
        values = tifffile.imread(path)
    elif path.suffix == ".png" and read_header(str(path)).dtype == "uint16":
        values = imagecodecs.png_decode(path.read_bytes())
    else:
        image = Image.open(path)
        values = np.asarray(image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]))
    if values.ndim == 3 and values.shape[0] == channels != values.shape[-1]:
        values = np.moveaxis(values, 0, -1)
    return values.reshape(*SIZE[::-1], channels)


def off_by(source: Path, result: Path, specimen: Specimen) -> float:
    """The largest difference; of floats relative to the range of the values."""
    before, after = (pixels(p, specimen.channels).astype(np.float64) for p in (source, result))
    return float(np.abs(before - after).max())


def row(specimen: Specimen) -> str:
    """The table's line for one specimen."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = through(specimen, Path(folder))
        header, difference = read_header(str(result)), off_by(source, result, specimen)
        low_high = " ".join(f"{value:g}" for value in specimen.value_range or ())
        needs = f", `--value_range {low_high}`" if low_high else ""
        told = "0" if difference == 0 else f"{difference:.1g}"
        kind = f"{result.suffix[1:]}, {header.channels} x {header.dtype}"
        return f"| {specimen.what} | {specimen.channels}{needs} | {kind} | {told} |"


def main(argv: list[str] | None = None) -> int:
    """Write the page, or compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell whether it is up to date")
    check = parser.parse_args(argv).check
    page = INTRO + "\n".join(row(specimen) for specimen in specimens()) + "\n" + NOTES
    if check:
        return 0 if PAGE.read_text() == page else 1
    PAGE.write_text(page)
    return 0


NOTES = """
test.py writes PNG, as published, wherever PNG can hold the values: 8 and 16 bits; grey, colour,
alpha. What comes from a TIFF goes into a TIFF, what comes from an .npy into an .npy, and what PNG
cannot hold into a TIFF, each beside an 8-bit PNG of the same name for the page (of more than three
channels it shows the first three). `fake_B` has the depth of the file of B, where there is one,
else that of A.

- 1 and 3 channels are made from each other: grey is repeated, colour weighed (ITU-R 601-2).
  Palettes, 1-bit images and CMYK are read as colour or grey.
- Transparent images are laid on white for 1 and 3 channels, so that hidden colours never show;
  `--input_nc 4` (grey: 2) keeps alpha as a channel.
- Any other number of channels has to be the files' own.
- The range of a 16-bit file is 0 to 65535, that of floats 0 to 1; `--value_range LOW HIGH` says
  otherwise (12-bit data: `--value_range 0 4095`), for A and B apart with four numbers. Other
  integers need it. Values outside of a given range are cut, with a warning; floats outside of 0
  to 1 without a given one are refused.
- Arrays in .npy are (H, W), (H, W, C) or, if the first axis is shorter than the last, (C, H, W). A
  TIFF's planes or pages of one size are its channels.
- Camera rotation (EXIF) is applied, and not written again.
- Sides from 4 px; more than 178 million pixels are refused before they are decoded.

## Another format

is one file, `util/images/<name>_format.py`, with a class that extends `util.images.formats.Format`;
`npy_format.py` is a short example. It is found by its name, and nothing else has to be changed:

- `kind`, its name; `extensions` of its files; `signatures`, how their bytes begin (they count for
  more than the extension; without any the extension decides).
- `header(file)` gives a `Header` without decoding the pixels: width and height, channels, numpy's
  name of the values' type, `kind`, and `deep=True` for more than 8 bits or three colours. It raises
  for a file that is shorter than it promises, so that the check before training finds it.
  (`from util.images.header import Header`)
- `decode(data, header, min_size=None)` gives an array (H, W, C), or (H, W), of that type;
  `min_size`, (width, height) px that are enough, may be ignored.
  What these two raise is told as the
  reason why a file cannot be read.
- `written`, an extension, and `encode(values, header)`, if results are to come out in the format
  that the images came in; else they are PNG or TIFF.
"""

if __name__ == "__main__":
    sys.exit(main())
