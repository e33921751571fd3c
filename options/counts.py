"""When a flag has an effect, said where it is declared:

    add("--lr_decay_iters", counts_with={"lr_policy": "step"})
    add("--allow_changed", counts_with=("with --continue_train", lambda o: o["continue_train"]))

What somebody typed in vain is told once, with what would make it count; see `idle_flags`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from util.errors import UserError

Values = Mapping[str, Any]  # flag -> value of all flags, and "isTrain"


@dataclass(frozen=True)
class Needs:
    """What a flag needs in order to have an effect.

    Args:
        words: what would make it count, e.g. "with --netD n_layers".
        met: whether it has an effect, from the values of all flags.
        mistake: what is to be typed instead, from the same values, where the flag can only be a
            mistake: then it is refused. Empty where it is merely idle.
    """

    words: Callable[[Values], str]
    met: Callable[[Values], bool]
    mistake: Callable[[Values], str] = lambda values: ""

    def idle(self, flag: str, given: Any, values: Values) -> str:
        """What is to be said to somebody who gave a value to a flag; empty if it has an effect.

        Raises:
            UserError: it can only be a mistake.
        """
        values = {**values, flag: given}
        if self.met(values):
            return ""
        told = f"{as_typed(flag, given)} has no effect here: it counts {self.words(values)}"
        if instead := self.mistake(values):
            raise UserError(f"{told}; {instead}")
        return told


# As `add_argument(..., counts_with=...)` takes it: flags and the value or values that they must
# have ("isTrain": in train.py or in test.py), or words and a condition.
CountsWith = Needs | Mapping[str, Any] | tuple[str, Callable[[Values], bool]] | None


def needs_of(counts_with: CountsWith) -> Needs | None:
    """What `counts_with` stands for; None for a flag that always counts."""
    if counts_with is None or isinstance(counts_with, Needs):
        return counts_with
    if isinstance(counts_with, tuple):
        words, met = counts_with
        return Needs(lambda values: words, met)
    accepted = {f: v if isinstance(v, tuple) else (v,) for f, v in counts_with.items()}

    def missing(values: Values) -> list[str]:
        return [_place(f, some) for f, some in accepted.items() if values[f] not in some]

    return Needs(lambda values: " and ".join(missing(values)), lambda values: not missing(values))


def _place(flag: str, accepted: tuple) -> str:
    """The words for a flag that must have one of some values."""
    if flag == "isTrain":
        return "in train.py" if accepted[0] else "in test.py"
    if accepted in ((True,), (False,)):
        return f"{'with' if accepted[0] else 'without'} --{flag}"
    *first, last = map(str, accepted)
    return f"with --{flag} {', '.join(first)}{' or ' if first else ''}{last}"


def as_typed(flag: str, value: Any) -> str:
    """A flag and its value as they are typed."""
    if value is True:
        return f"--{flag}"
    words = value if isinstance(value, list) else [value]
    return " ".join([f"--{flag}", *(f"{w:g}" if isinstance(w, float) else str(w) for w in words)])


def idle_flags(
    typed: Mapping[str, Any], needs: Mapping[str, Needs], values: Values
) -> Iterator[str]:
    """What is to be said of each flag that was typed in vain: what would make it count.

    Args:
        typed: flag -> the value that somebody gave.
        needs: flag -> what it needs, for those that do not always count.

    Raises:
        UserError: one can only be a mistake.
    """
    for flag in sorted(typed.keys() & needs.keys()):
        if told := needs[flag].idle(flag, typed[flag], values):
            yield told


def of_plugins(
    plugins: Iterable[tuple[str, type]], defaults: Values
) -> Iterator[tuple[str, Needs]]:
    """(flag, what it needs) of flags that the chosen model or dataset never reads in training, as
    its `no_use_for` says, a dict flag -> what would make it count. That of a parent class is not
    taken over: a plug-in that extends pix2pix may well read a flag that pix2pix does not.

    Args:
        plugins: (e.g. "--model pix2pix", class).
        defaults: flag -> its value where nobody gives one; giving that one is no mistake.
    """
    for chosen, plugin in plugins:
        for flag, words in vars(plugin).get("no_use_for", {}).items():
            yield flag, _unread(flag, f"{words} ({chosen} does not read it)", defaults.get(flag))


def _unread(flag: str, words: str, usual: Any) -> Needs:
    return Needs(lambda values: words, lambda o: not o["isTrain"] or o[flag] == usual)
