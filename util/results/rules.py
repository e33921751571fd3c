"""How results are written: which side a visual shows, what is a translation, what alpha it has."""

from __future__ import annotations

from dataclasses import dataclass, field

from util.direction import oriented, side_of
from util.errors import UserError
from util.images.header import Header, read_header
from util.images.picture import Picture
from util.images.read import Range, range_of, read_picture
from util.images.write import EIGHT_BITS, Encoding
from util.labels.table import Labels, labels_of_visual
from util.lazy import torch


@dataclass(frozen=True)
class Sources:
    """What is known of the files that images come from.

    Args:
        roots: folders that were read: results have the sub-folders below them.
        in_halves: A and B lie side by side in one file.
        cropped: images were cut at random, so that nobody knows which part of a file a result is.
    """

    roots: tuple[str, ...] = ()
    in_halves: bool = False
    cropped: bool = False


@dataclass(frozen=True)
class PictureRules:
    """How pictures are written.

    Args:
        direction: "AtoB" or "BtoA"; visuals of side A show the source.
        value_range: `--value_range`.
        aspect_ratio: that pictures are stretched by.
        sides: visual -> "A" or "B", told by the model; see `side_of`.
        translations: visuals that the model has made of the images; empty: see `is_translation`.
        encoding: of the files; None: as the images came.
        flat: translations alone, <stem>.<ext>, without page; else every visual, in images/.
        sources: of the images.
        labels: side of the data -> its classes, where images are label maps.
    """

    direction: str = "AtoB"
    value_range: list[float] | None = None
    aspect_ratio: float = 1.0
    sides: dict[str, str] = field(default_factory=dict)
    translations: tuple[str, ...] = ()
    encoding: Encoding | None = None
    flat: bool = False
    sources: Sources = Sources()
    labels: dict[str, Labels] = field(default_factory=dict)

    def labels_of(self, visual: str, channels: int) -> Labels | None:
        """The classes that a visual shows; None if it is no label map."""
        return labels_of_visual(visual, channels, self.sides, self.labels, self.direction)

    def data_side(self, side: str) -> str:
        """The side of the data, "A" or "B", that the source ("A") or the target ("B") is."""
        return oriented(self.direction, "A", "B")["AB".index(side)]

    def range_of(self, side: str) -> Range | None:
        """`--value_range` of the source or the target."""
        return range_of(self.value_range, self.data_side(side))

    def is_translation(self, visual: str) -> bool:
        """Whether a visual was made by the model: as it says, or `fake...` and `output`."""
        if self.translations:
            return visual in self.translations
        return visual.startswith("fake") or visual == "output"

    def source_of(self, visual: str, files: dict[str, str]) -> str:
        """The side, "A" or "B", of the file that a translation was made of: fake_A comes from B."""
        side = side_of(visual, self.sides) or "B"
        return "B" if side == "A" and "B" in files else "A"

    def check_encoding(self, files: dict[str, list[str]]) -> None:
        """Raise UserError if `encoding` cannot hold what results of these files are.

        Args:
            files: side of the data ("A", "B", "AB") -> its image files.
        """
        target = self.data_side("B")
        if target in self.labels and self.encoding and self.encoding.kind != "png":
            raise UserError(
                f"--format {self.encoding.kind}: results are label maps, whose ids are kept by png "
                "alone; leave the flag out"
            )
        sides = [target] if self.flat and target in files else list(files)
        sides = [side for side in sides if side not in self.labels]  # written as PNG
        for path in (path for side in sides for path in files[side]) if self.encoding else ():
            header = header_of(path)
            self.encoding.check(path, header, 3)  # of the channels only the network knows

    def lost_alpha(self) -> str:
        """Why results cannot have the opacity that their images have; empty if they can."""
        if self.encoding and self.encoding.kind == "jpg":
            return "JPEG has none; png and webp have"
        return "images are cut at random" if self.sources.cropped else ""

    def alpha(self, path: str, header: Header, side: str, size: tuple[int, int]) -> torch.Tensor:
        """(1, 1, H, W) in [-1, 1], the opacity of a file, scaled to (width, height) px."""
        picture = read_picture(path, header.channels, self.range_of(side))
        if self.sources.in_halves:
            half, second = picture.width // 2, self.data_side(side) == "B"
            picture = picture.crop((half * second, 0, half * (1 + second), picture.height))
        picture = Picture(picture.values[..., -1:])
        picture = picture if picture.size == size else picture.resize(size)
        return picture.tensor()[None] * 2 - 1


def header_of(path: str) -> Header:
    """What a file holds; a plug-in's files may be anything."""
    try:
        return read_header(path)
    except (ValueError, OSError):
        return EIGHT_BITS
