"""Value types of flags: each says what it accepts when it refuses."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable

from util.atomic import fault_of_name
from util.images.write import Encoding
from util.seed import MAX_SEED

MOST = 2**63 - 1  # of a whole number, as torch and NumPy count


def whole_number(low: int, high: float = math.inf, word: str = "") -> Callable[[str], int | str]:
    """An integer from low to high, or the word."""
    accepted = f"a whole number from {low}" + (f" to {high}" if high < math.inf else " up")
    accepted += f", or {word}" if word else ""

    def parse(text: str) -> int | str:
        if word and text == word:
            return word
        try:
            value = int(text)
        except ValueError:
            raise ArgumentTypeError(f"{_short(text)!r}: accepted: {accepted}") from None
        if not low <= value <= min(high, MOST):
            raise ArgumentTypeError(f"{_short(text)}: accepted: {accepted}")
        return value

    parse.__name__ = accepted  # for argparse and the options reference
    return parse


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False):
    """A finite float from low to high, without the bound itself where above or below is set."""
    accepted = f"a number {'above' if above else 'from'} {low:g}"
    if high < math.inf:
        accepted += f" {'below' if below else 'to'} {high:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        above_low = low < value if above else low <= value
        below_high = value < high if below else value <= high
        if not (above_low and below_high and math.isfinite(value)):
            raise ArgumentTypeError(f"{_short(text)!r}: accepted: {accepted}")
        return value

    parse.__name__ = accepted
    return parse


def _short(text: str) -> str:
    """As much of a value as fits into a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def count_or_inf(text: str) -> float:
    """An integer from 1 up, or inf for no limit."""
    return math.inf if text.lower() in ("inf", ".inf") else whole_number(1)(text)


def folder_name(text: str) -> str:
    """A name that stays inside its folder."""
    return _name(text, "the name of one folder, without / or \\")


def label(text: str) -> str:
    """What the names of a checkpoint's files begin with."""
    return _name(
        text, "latest, a number, or what else the names of files <...>_net_G.pth begin with"
    )


def name_part(text: str) -> str:
    """A part of a file's name; there may be none."""
    return _name(text, "a part of a file's name, without / or \\") if text else text


def _name(text: str, accepted: str) -> str:
    if fault := fault_of_name(text):
        given = repr(text if len(text) < 80 else f"{text[:80]}...")
        raise ArgumentTypeError(f"{given}: accepted: {accepted} ({fault})")
    return text


def image_encoding(text: str) -> str:
    """How result files are encoded: `Encoding.of` takes it."""
    try:
        Encoding.of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def run_name(text: str) -> str:
    """The name of a run, or the path of one; `options.runs.located` tells them apart."""
    if not text or "\0" in text or text in (".", ".."):
        return folder_name(text)
    return text if "/" in text else folder_name(text)


def file(text: str) -> str:
    """A file that is there; `options.checks` looks once all values are known, for that of a run may
    have been moved."""
    return text


file.__name__ = "a file"


def label_map(text: str) -> int | str | None:
    """A number of classes, the file of a table, or `nearest`; of earlier runs True and False."""
    if text.lower() in ("true", "nearest"):
        return "nearest"
    if text.lower() in ("", "false", "none"):
        return None
    return whole_number(2, 65535)(text) if text.lstrip("-").isdigit() else text


label_map.__name__ = "a number of classes from 2 up, or a file with a table of them"
run_name.__name__ = "the name of one folder"


def tile_side(text: str) -> str:
    """`auto`, `off`, or the side of a tile in px."""
    if text not in ("auto", "off") and not (text.isdecimal() and int(text) >= 16):
        raise ValueError
    return text


count_or_inf.__name__ = "a whole number from 1 up, or inf"
folder_name.__name__ = "the name of one folder"
tile_side.__name__ = "auto, off, or px from 16 up"
label.__name__ = "the label of a checkpoint"
name_part.__name__ = "a part of a file's name"
image_encoding.__name__ = "png, jpg[:1-100] or webp[:1-100]"

positive_int = whole_number(1)
non_negative_int = whole_number(0)
count_or_auto = whole_number(0, word="auto")
id_or_none = whole_number(0, 65535, word="none")
port = whole_number(1, 65535)
seed = whole_number(0, MAX_SEED)
positive = number(0, above=True)
non_negative = number(0)
# By name, for flags that are declared where this file is not known: `type="port"`.
NAMED = {
    "positive_int": positive_int,
    "non_negative_int": non_negative_int,
    "port": port,
    "positive": positive,
    "non_negative": non_negative,
    "name_part": name_part,
    "file": file,
}
