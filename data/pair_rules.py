"""`--pairs '*_in:*_out'`: how the names of partners differ, where they are not equal."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from util.errors import UserError

SIDE_BY_SIDE = "side_by_side"  # of --pairs: one file holds A|B, whatever it looks like
NEARLY_ALL = 0.9  # of one folder's images, which may be other pictures with names of a form
ENDS, STARTS = r".*[^\W_]([-_. ][^\W\d_]+)", r"([^\W\d_]+[-_. ])[^\W_].*"  # _in, in_
PAIR_WORDS = {("a", "b"), ("in", "out"), ("input", "output"), ("input", "target"), ("x", "y"),
              ("source", "target"), ("dst", "src"), ("src", "tgt")}  # fmt: skip
ACCEPTED = (
    "accepted: a CSV file of two columns, A and B, and maybe a third, phase; or a rule for names, "
    "A before the colon and B behind, each with one star, as '*_in:*_out' or '*:*'; or "
    f"{SIDE_BY_SIDE}, if each file is A|B"
)


@dataclass(frozen=True)
class Rule:
    """Which names are partners: those that are the same between `before` and `after`, but for case
    and leading zeros.

    Args:
        before, after: the star, for A and for B.
    """

    before: tuple[str, str] = ("", "")
    after: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        return ":".join(f"{b}*{a}" for b, a in zip(self.before, self.after, strict=True))

    def key(self, side: str, path: str, folder: str) -> str | None:
        """What a file of A or B has in common with its partner; None if it is not of that form."""
        place = "AB".index(side)
        below, stem = os.path.split(os.path.splitext(os.path.relpath(path, folder))[0])
        before, after = self.before[place].casefold(), self.after[place].casefold()
        name = stem.casefold()
        ends = name.startswith(before) and name.endswith(after)
        if not ends or len(name) < len(before) + len(after):
            return None
        star = name[len(before) : len(name) - len(after)]
        return re.sub(r"\d+", lambda n: n[0].lstrip("0") or "0", os.path.join(below, star))

    def keys(self, side: str, paths: Iterable[str], folder: str) -> set[str]:
        """Those of all files that are of that form."""
        return {key for p in paths if (key := self.key(side, p, folder)) is not None}


def parse_rule(text: str) -> Rule | None:
    """The rule of `--pairs`; None for a file, which has no star in its name.

    Raises:
        UserError: stars, but no rule.
    """
    if "*" not in text:
        return None
    sides = text.split(":")
    if len(sides) != 2 or any(side.count("*") != 1 or "/" in side for side in sides):
        raise UserError(f"--pairs {text}: {ACCEPTED}")
    before, after = zip(*(side.split("*") for side in sides), strict=True)
    return Rule(before, after)


def needed_rule(text: str | None) -> Rule | None:
    """The rule of a tool's `--pairs`, where one is given; UserError for anything else."""
    rule = parse_rule(text or "")
    if text and rule is None:
        raise UserError(f"--pairs {text}: accepted: a rule, as '*_in:*_out' or '*:*'")
    return rule


def suggest(A_paths: list[str], A_folder: str, B_paths: list[str], B_folder: str) -> Rule | None:
    """The rule by which most images have a partner; None if there is none."""
    rules = [Rule(), _by_affixes(A_paths, B_paths)]
    most = max(len(A_paths), len(B_paths))

    def common(rule: Rule) -> int:
        return len(rule.keys("A", A_paths, A_folder) & rule.keys("B", B_paths, B_folder))

    best = max(rules, key=common)
    return best if 2 * common(best) > most else None


def suggest_within(paths: list[str], folder: str) -> Rule | None:
    """The rule by which nearly all images of one folder are pairs: 1_in.png and 1_out.png, or
    in_1.png and out_1.png; None if there is none. Where names begin alike in two ways, as cat.1 and
    dog.1, these are rather classes, unless the words are those of pairs."""
    stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    for form, rule_of in (
        (ENDS, lambda ends: Rule(after=ends)),
        (STARTS, lambda starts: Rule(before=starts)),
    ):
        affixes = Counter(found[1] for stem in stems if (found := re.fullmatch(form, stem)))
        two = sorted(affix for affix, _ in affixes.most_common(2))
        words = tuple(affix.strip("-_. ").casefold() for affix in two)
        if len(two) < 2 or words[0] == words[1] or (form == STARTS and words not in PAIR_WORDS):
            continue
        rule = rule_of((two[0], two[1]))
        pairs = rule.keys("A", paths, folder) & rule.keys("B", paths, folder)
        if 2 * len(pairs) >= NEARLY_ALL * len(paths):
            return rule
    return None


def example(rule: Rule, A: Iterable[str], A_folder: str, B: Iterable[str], B_folder: str) -> str:
    """The names of two partners, `IMG_1.JPG and img_1.jpg`."""
    by_key = {key: path for path in A if (key := rule.key("A", path, A_folder)) is not None}
    keys = ((rule.key("B", path, B_folder), path) for path in B)
    A_path, B_path = next((by_key[key], path) for key, path in keys if key in by_key)
    return f"{os.path.relpath(A_path, A_folder)} and {os.path.relpath(B_path, B_folder)}"


def _by_affixes(A_paths: list[str], B_paths: list[str]) -> Rule:
    """What all names of a side begin and end with, where that differs from the other side."""
    if min(len(A_paths), len(B_paths)) == 1:
        return Rule()  # any two names would do
    A, B = (
        [os.path.splitext(os.path.basename(p))[0] for p in paths] for paths in (A_paths, B_paths)
    )
    before = tuple(re.sub(r"\d+$", "", os.path.commonprefix(names)) for names in (A, B))
    after = tuple(
        re.sub(r"^\d+", "", os.path.commonprefix([name[::-1] for name in names])[::-1])
        for names in (A, B)
    )
    if before[0] == before[1]:
        before = ("", "")
    if after[0] == after[1]:
        after = ("", "")
    return Rule(before, after)
