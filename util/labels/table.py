"""The classes of label maps: numbered, or by a table of the values that stand for them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from util.direction import oriented, side_of
from util.errors import BadImage, UserError, did_you_mean
from util.labels.colours import Colour, packed, palette, parse_colour

VOID = -1  # the class of what is none
LOSSY = (".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif")  # at best seldom exact
USUAL_VOID = 255  # of --label_void, if nobody says otherwise
VOID_WORDS = ("void", "ignore", "ignored", "none", "null", "-", "-1")
MOST = 65_535  # classes
ACCEPTED = (
    "accepted: lines of `value class name colour` (255 void; 7 0 road #804080; #804080 0 road), or "
    'JSON, [{"id": 7, "class": 0, "name": "road", "color": [128, 64, 128]}]; see docs/labels.md'
)


class Row(NamedTuple):
    """One line of a table.

    Args:
        value: an id, or a packed colour.
        number: of its class, from 0; VOID; None: the next one.
    """

    value: int
    number: int | None
    name: str = ""
    colour: Colour | None = None


@dataclass(frozen=True)
class Labels:
    """Classes, one channel each.

    Args:
        given: `--label_A 13`, for messages.
        names: of the classes, "" where there is none.
        colours: (R, G, B) of each, for pages.
        values: (value in a file, its class or VOID), sorted by value.
        by_colour: the values are colours, R * 65536 + G * 256 + B; else ids.
        numbered: ids from 0 up, without a table.
    """

    given: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    values: tuple[tuple[int, int], ...]
    by_colour: bool = False
    numbered: bool = False

    @property
    def count(self) -> int:
        """Of classes, and so of channels."""
        return len(self.names)

    def classes(self, values: np.ndarray, path: str) -> np.ndarray:
        """The class of every value of a file, of the same shape: uint8 with 255 for void; of more
        than 255 classes float32 with -1.

        Raises:
            BadImage: a value is of no class.
        """
        known, numbers = (np.array(column) for column in zip(*self.values, strict=True))
        places = np.searchsorted(known, values).clip(max=len(known) - 1)
        unknown = known[places] != values
        if unknown.any():
            found = np.unique(values[unknown])
            remedy = "add it to the table, as a class or as void"
            if self.numbered:
                flag, most = self.given.split()[0], max(int(found[-1]), 0) + 1
                remedy = f"give {flag} {most}, or a table that says what it is (docs/labels.md)"
            if path.lower().endswith(LOSSY):
                remedy = "JPEG and its like change ids a little: save label maps as PNG, anew"
            raise BadImage(path, self._unknown(found), remedy)
        classes = numbers[places]
        return classes.astype(np.uint8 if self.count <= 255 else np.float32)

    def _unknown(self, values: np.ndarray) -> str:
        shown = [self.describe(value) for value in values[:5].tolist()]
        more = f" and {len(values) - 5} more" if len(values) > 5 else ""
        what = "colour" if self.by_colour else "id"
        several = f"{what}s {', '.join(shown)}{more} are"
        who = f"{what} {shown[0]} is" if len(values) == 1 else several
        return f"{who} of no class by {self.given} ({self.count} classes, {self.range()})"

    def range(self) -> str:
        """Which values are known, in a few words."""
        values = [value for value, number in self.values if number != VOID]
        void = [self.describe(value) for value, number in self.values if number == VOID]
        if self.by_colour:
            told = f"{len(values)} colours"
        elif values == list(range(values[0], values[0] + len(values))):
            told = f"ids {values[0]} to {values[-1]}"
        else:
            told = f"ids {', '.join(map(str, values[:8]))}" + ", ..." * (len(values) > 8)
        return told + (f", void {', '.join(void[:4])}" if void else "")

    def describe(self, value: int) -> str:
        """A value as people write it."""
        return f"#{value:06x}" if self.by_colour else str(value)

    def value_of(self, number: int) -> int:
        """The first value that stands for a class; of VOID without one 0."""
        return next((value for value, own in self.values if own == number), 0)

    def with_colours(self, colours: Sequence[Colour]) -> Labels:
        """Shown in these colours, by id, as a palette file has them."""
        own = [
            colours[value] if (value := self.value_of(number)) < len(colours) else colour
            for number, colour in enumerate(self.colours)
        ]
        return dataclasses.replace(self, colours=tuple(own))

    def to_json(self) -> str:
        """As a table that `read_table` reads as the same."""
        rows = []
        for value, number in self.values:
            row: dict[str, Any] = {"color" if self.by_colour else "id": self.describe(value)}
            row["class"] = "void" if number == VOID else number
            if number != VOID:
                row |= {"name": self.names[number], "shown": list(self.colours[number])}
            rows.append(row)
        return json.dumps(rows, indent=1) + "\n"


def labels_of_visual(
    visual: str, channels: int, sides: dict[str, str], labels: dict[str, Labels], direction: str
) -> Labels | None:
    """The classes that a visual shows; None if it is no label map.

    Args:
        channels: that it has.
        sides: as of `util.direction.side_of`.
        labels: side of the data -> its classes.
    """
    if not labels:
        return None
    source, target = oriented(direction, "A", "B")
    side = target if (side_of(visual, sides) or "B") == "B" else source
    found = labels.get(side)
    return found if found and found.count == channels else None


def numbered(count: int, void: int | None, given: str) -> Labels:
    """Ids from 0 up, each its own class, and maybe an id that is void; of more than 255 classes,
    255 is one."""
    values = {number: number for number in range(count)}
    if void is not None and not void == USUAL_VOID < count:
        values[void] = VOID
    values = tuple(sorted(values.items()))
    return Labels(given, ("",) * count, palette(count), values, numbered=True)


def read_table(path: str | Path, given: str) -> Labels:
    """The table in a file, text or JSON.

    Args:
        given: `--label_A FILE`, for messages.

    Raises:
        UserError: there is none, or it is not of that form.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        folder, name = os.path.split(path)
        there = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
        near = did_you_mean(name, there)
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(
            f"{given}: {why}{near}; give the number of classes, or a file with a table of ids"
        ) from None
    try:
        is_json = text.lstrip()[:1] in ("{", "[")
        rows = list(_json_rows(json.loads(text)) if is_json else _text_rows(text))
        return _labels_of(rows, given)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        why = str(error.args[0]) if isinstance(error, KeyError) else str(error)
        raise UserError(f"{given}: {why}; {ACCEPTED}") from None


def _labels_of(rows: list[tuple[str, Row]], given: str) -> Labels:
    """The classes of rows; of each row whether its value is an "id" or a "colour"."""
    kinds = {kind for kind, _ in rows}
    if len(kinds) != 1:
        raise ValueError("ids and colours in one table" if kinds else "no row in it")
    names: dict[int, str] = {}
    colours: dict[int, Colour | None] = {}
    values: dict[int, int] = {}
    free = 0
    for _, row in rows:
        number = free if row.number is None else row.number
        free = max(free, number + 1)
        if values.setdefault(row.value, number) != number:
            shown = f"#{row.value:06x}" if "colour" in kinds else row.value
            raise ValueError(f"{shown} is there twice, for two classes")
        if number != VOID:
            names[number] = names.get(number) or row.name
            colours[number] = colours.get(number) or row.colour
    if not names:
        raise ValueError("no class in it, only void")
    if missing := sorted(set(range(max(names) + 1)) - names.keys())[:5]:
        raise ValueError(f"classes go up to {max(names)}, but there is no {missing[0]}")
    fixed = palette(len(names))
    return Labels(
        given,
        tuple(names[number] for number in range(len(names))),
        tuple(colours[number] or fixed[number] for number in range(len(names))),
        tuple(sorted(values.items())),
        by_colour="colour" in kinds,
    )


def _text_rows(text: str) -> Iterable[tuple[str, Row]]:
    """Lines of `value [class [name] [colour]]`, separated by spaces, tabs, commas or semicolons;
    what follows a `#` and a space is a remark."""
    for line_number, line in enumerate(text.splitlines(), 1):
        words = line.split("# ")[0].replace(",", " ").replace(";", " ").split()
        if not words or words == ["#"] or words[0].lower() in ("id", "value", "color", "colour"):
            continue
        try:
            colour = parse_colour(words.pop()) if _is_colour(words[-1]) and words[1:] else None
            number = _number(words[1]) if words[1:] else None
            yield _row(words[0], number, " ".join(words[2:]), colour)
        except ValueError as error:
            raise ValueError(f"line {line_number}: {error}") from None


def _json_rows(content: Any) -> Iterable[tuple[str, Row]]:
    """A list of objects, or an object of value -> class, name or object."""
    if isinstance(content, dict) and isinstance(content.get("classes"), list):
        content = content["classes"]
    entries = content.items() if isinstance(content, dict) else [(None, each) for each in content]
    for value, entry in entries:
        if not isinstance(entry, dict):
            is_name = isinstance(entry, str) and not _is_number(entry)
            entry = {"name": entry} if is_name else {"class": entry}
        shown = entry.get("color", entry.get("colour"))
        if value is None:
            value = entry.get("id", shown)
        if value is None:
            raise ValueError(f"{json.dumps(entry)}: neither id nor color")
        number = _number(entry["class"]) if "class" in entry else None
        shown = parse_colour(entry.get("shown", shown)) if entry.get("shown", shown) else None
        yield _row(value, number, str(entry.get("name", "")), shown)


def _row(value: Any, number: int | None, name: str, colour: Colour | None) -> tuple[str, Row]:
    if number is None and name.lower() in VOID_WORDS[:3]:
        number = VOID
    if _is_number(value):
        if not 0 <= int(value) <= MOST:
            raise ValueError(f"id {value}: from 0 to {MOST}")
        return "id", Row(int(value), number, name, colour)
    own = parse_colour(value)
    return "colour", Row(packed(own), number, name, colour or own)


def _number(word: Any) -> int:
    """The number of a class; VOID for void."""
    if word is None or str(word).lower() in VOID_WORDS:
        return VOID
    if not _is_number(word) or not 0 <= int(word) < MOST:
        raise ValueError(f"class {word!r}: a number from 0 up, or void")
    return int(word)


def _is_number(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and value.isascii() and value.isdigit())


def _is_colour(word: str) -> bool:
    return word.startswith("#")
