"""argparse, made strict and helpful: no abbreviations, near names, defaults with an owner."""

import argparse
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from options import former_flags, runs, types
from options.counts import CountsWith, Needs, needs_of
from options.lives import Life, declared, undeclared
from util.errors import UserError, choose, did_you_mean, warn
from util.record import quoted

# Flags of earlier versions, in the files of their runs; what they said is decided otherwise now.
GONE = ("repeat",)
# What YAML 1.1 takes for true and false; with other flags they are words, as in `cache: off`.
SWITCHES = {"yes": True, "on": True, "no": False, "off": False}


class Declares:
    """`add_argument(..., life="run")` of a parser and of its groups; see `options.lives`."""

    life: str | None = None  # of flags that say nothing else

    def add_argument(
        self,
        *names: str,
        life: str | None = None,
        resume: str | None = None,
        test: str | None = None,
        counts_with: CountsWith = None,
        **settings: Any,
    ) -> argparse.Action:
        """As argparse's.

        Args:
            life: the flag's kind: call, place, machine, run, network or data.
            resume: what `--continue_train` does with the run's value, where it is not as the kind
                says: own, taken or fixed.
            test: what test.py does with it, likewise.
            counts_with: without which the flag has no effect: other flags and their values, or
                words and a condition; see `options.counts`.
        """
        action = super().add_argument(*names, **settings)
        action.life = declared(f"--{action.dest}", life or self.life, resume, test)
        action.needs = needs_of(counts_with)
        return action

    def add_argument_group(
        self, *args: Any, life: str | None = None, **kwargs: Any
    ) -> argparse._ArgumentGroup:
        """As argparse's; `life` is the kind of the flags in it that say nothing else."""
        group = Group(self, *args, **kwargs)
        group.life = life
        self._action_groups.append(group)
        return group

    def add_mutually_exclusive_group(self, **kwargs: Any) -> argparse._MutuallyExclusiveGroup:
        """As argparse's; its flags are of the same kind as those around it."""
        group = ExclusiveGroup(self, **kwargs)
        group.life = self.life
        self._mutually_exclusive_groups.append(group)
        return group


class Group(Declares, argparse._ArgumentGroup):
    """Flags under a heading of their own in --help."""


class ExclusiveGroup(Declares, argparse._MutuallyExclusiveGroup):
    """Flags of which one at most may be given."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of a flag that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, "", [], False):
            return action.help or ""
        return super()._get_help_string(action)


class OptionParser(Declares, argparse.ArgumentParser):
    """A parser that knows of each flag its kind and who set its default, and which values were
    given explicitly.

    Plug-ins use it like any ArgumentParser (`add_argument`, `set_defaults`).
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(
            usage=f"python {command}.py --dataroot FOLDER --name NAME [--flag value ...]",
            description=description,
            allow_abbrev=False,
            conflict_handler="resolve",  # plug-ins may define a flag that came later than they
            add_help=False,  # added once all flags are known, so that --help shows all
            formatter_class=HelpFormatter,
        )
        self.builtin: dict[str, Any] = {}  # flag -> its first default
        self.owner: dict[str, str] = {}  # flag -> who set its present default
        self.source: dict[str, str] = {}  # flag -> who defined it
        self.lives: dict[str, Life] = {}  # flag -> its kind
        self.needs: dict[
            str, Needs
        ] = {}  # flag -> what it needs, of those that do not always count
        # (flag, value's repr) -> what was given, where YAML has no type for the value.
        self.text: dict[tuple[str, str], str] = {}
        self._last: dict[str, Any] = {}
        self._tables_open = False
        self.words: list[str] | None = None  # of no flag, collected; None: there may be none
        self.command = command
        # What gives the flags that are not of this call -> where they are.
        self.elsewhere: Callable[[], dict[str, str]] = dict
        self.tells = True  # of flags that a plug-in defines anew
        for name, kind in types.NAMED.items():
            self.register("type", name, kind)

    def flags(self) -> dict[str, argparse.Action]:
        """Name (without dashes) -> action, without --help."""
        return {a.dest: a for a in self._actions if a.option_strings and a.dest != "help"}

    def file_flags(self) -> list[str]:
        """The flags whose values name files that have to be there."""
        return [name for name, flag in self.flags().items() if flag.type in ("file", types.file)]

    def defaults(self) -> dict[str, Any]:
        """Flag -> default, converted by the flag's type where the default is a string."""
        with self._nothing_required():
            values = vars(self.parse_known_args([])[0])
        return {dest: values[dest] for dest in self.flags()}

    @contextmanager
    def _nothing_required(self) -> Iterator[None]:
        """Within, values may be missing: they can come from a file; see `refuse_missing`."""
        required = [action for action in self._actions if action.required]
        for action in required:
            action.required = False
        try:
            yield
        finally:
            for action in required:
                action.required = True

    def refuse_missing(self, given: Iterable[str]) -> None:
        """One line for the first required flag that nobody gave."""
        for dest, action in self.flags().items():
            if action.required and dest not in given:
                raise UserError(f"--{dest} is needed: {action.help} ({self.source[dest]})")

    @contextmanager
    def set_by(self, who: str) -> Iterator[None]:
        """Flags added or given a new default inside belong to `who`, in --help too."""
        before = self.flags()
        yield
        for dest in before.keys() & self.flags().keys():
            if before[dest] is not self.flags()[dest]:
                if self.tells:
                    warn(
                        f"{who} defines --{dest} anew: its meaning and default are the plug-in's "
                        "now"
                    )
                self.source[dest] = who
        for dest, action in self.flags().items():
            if dest not in self.builtin:
                self.builtin[dest], self.source[dest] = action.default, who
            if dest not in self._last or self._last[dest] != action.default:
                self.owner[dest] = who
            self._last[dest] = action.default
        added = [a for dest, a in self.flags().items() if before.get(dest) is not a]
        for action in added:
            self.lives[action.dest] = action.life or undeclared(self.lives.get(action.dest))
            self.needs.pop(action.dest, None)  # of a flag that is defined anew
            if action.needs is not None:
                self.needs[action.dest] = action.needs
        self._move_to_group(f"flags of {who}", added)

    def _move_to_group(self, title: str, actions: list[argparse.Action]) -> None:
        """Show flags under a heading of their own; flags of plug-ins arrive without one."""
        loose = [a for a in actions if a in self._optionals._group_actions]
        if loose:
            group = self.add_argument_group(title)
            for action in loose:
                self._optionals._group_actions.remove(action)
                group._group_actions.append(action)

    def explicit(self, argv: list[str]) -> tuple[dict[str, Any], list[str]]:
        """The values that argv gives, without defaults, and what it holds that no flag knows."""
        defaults, action_defaults = self._defaults, {a: a.default for a in self._actions}
        self._defaults = {}
        try:
            for action in self._actions:
                action.default = argparse.SUPPRESS
            with self._nothing_required():
                namespace, unknown = self.parse_known_args(argv)
        finally:
            self._defaults = defaults
            for action, default in action_defaults.items():
                action.default = default
        place = self.get_default("checkpoints_dir") or "."
        return runs.located(vars(namespace), place), unknown

    def from_config(self, values: dict[str, Any], file: str) -> dict[str, Any]:
        """A config file's values, checked and converted like those of the command line."""
        argv, direct = [], {}
        for key, value in values.items():
            action = self.flags().get(key)
            if action is None and key in GONE:
                warn(f"{file}: {key} is no flag any more, and left out")
                continue
            if action is None:
                known = self.explain(key, str(value))
                near = f": {known}" if known else did_you_mean(key, self.flags())
                raise UserError(f"{file}: unknown option {key!r}{near}")
            flag = action.option_strings[-1]
            is_switch = isinstance(action, argparse.BooleanOptionalAction)
            if action.nargs == 0 or is_switch:
                example = False if is_switch else 0 if action.const is None else action.const
                value = SWITCHES.get(value, value) if isinstance(value, str) else value
                if type(value) is not type(example):
                    raise UserError(f"{file}: {key}: {value!r}: accepted: true, false")
                direct[key] = value
            elif value == []:
                direct[key] = value
            elif isinstance(value, list) and action.nargs is not None:
                argv += [flag, *map(str, value)]
            elif isinstance(value, list) and isinstance(action, argparse._AppendAction):
                argv += [f"{flag}={element}" for element in value]
            elif isinstance(value, list):
                raise UserError(f"{file}: {key}: {value}: accepted: one value, not a list")
            elif value is not None:
                argv.append(f"{flag}={value}")
        try:
            return self.explicit(argv)[0] | direct
        except UserError as error:
            raise UserError(f"{file}: {error}") from None

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        value = super()._get_value(action, arg_string)
        if isinstance(value, float) and not math.isfinite(value):
            by_name = arg_string.lower().strip("+-.") in ("inf", "infinity")  # and not overflown
            if math.isnan(value) or not by_name:
                raise argparse.ArgumentError(action, f"{arg_string}: accepted: a number")
        own_text = type(value) is str and action.type not in (None, str)
        if own_text or type(value) not in (bool, int, float, str):
            self.text[action.dest, repr(value)] = arg_string
        return value

    def warn_of_idle_defaults(self) -> None:
        """`set_defaults` of a plug-in accepts any name: say which ones no flag has."""
        for name in self._defaults.keys() - self.flags().keys():
            near = did_you_mean(f"--{name}", [f"--{flag}" for flag in self.flags()])
            warn(f"set_defaults({name}={self._defaults[name]!r}): there is no flag --{name}{near}")

    def refuse_unknown(self, unknown: list[str]) -> None:
        """One line for all flags that are not there, or for the first word that is none."""
        flags = [
            (n, *word.partition("=")) for n, word in enumerate(unknown) if word[0:1] == "-" != word
        ]
        told = []
        for number, word, _, value in flags:
            rest = itertools.takewhile(lambda more: more[0:1] != "-", unknown[number + 1 :])
            value = " ".join(map(quoted, [value] if value else rest))
            known = self.explain(word.lstrip("-"), value)
            near = did_you_mean(word, [f"--{name}" for name in self.flags()])
            told.append(f"{word} {value}".rstrip() + f": {known}" if known else f"{word}{near}")
        if told:
            flags_word = "flags" if len(told) > 1 else "flag"
            raise UserError(f"unknown {flags_word} {'; '.join(told)} (--help lists all)")
        if self.words is not None:
            self.words += unknown
        elif unknown:
            word = unknown[0]
            raise UserError(
                f"unexpected argument {word!r}; flags start with -- and come before values"
            )

    def warn_of_repeated(self, argv: list[str]) -> None:
        """Say which value counts of a flag that is given several, as its last one does."""
        known = {name: action for action in self._actions for name in action.option_strings}
        given: dict[str, list[str]] = {}
        for number, word in enumerate(argv):
            name, joined, value = word.partition("=")
            action = known.get(name)
            if action is None or isinstance(action, argparse._AppendAction):
                continue
            following = itertools.takewhile(lambda w: w[:2] != "--", argv[number + 1 :])
            words = [value] if joined else list(following)[: 1 if action.nargs is None else None]
            given.setdefault(action.dest, []).append(" ".join(words) or name)
        for flag, values in given.items():
            if len(set(values)) > 1:
                warn(f"--{flag} is given {len(values)} times: {', '.join(values)}; the last counts")

    def explain(self, flag: str, value: str) -> str:
        """What to type instead of a flag that is not there; empty if nothing is known of it.

        Args:
            flag: without dashes before it; value: that was given, or empty.
        """
        name = flag.replace("-", "_")
        if name in self.flags():
            return f"type --{name} {value}".rstrip()
        elsewhere = {k: v for k, v in self.elsewhere().items() if k not in self.flags()}
        return former_flags.answer(flag, value, self.command, elsewhere)

    @contextmanager
    def before_plugins(self) -> Iterator[None]:
        """Within, a name that a table does not have is let through: the file of the chosen model,
        which is not read yet, may add it. Choices that are no table are checked as ever."""
        self._tables_open = True
        try:
            yield
        finally:
            self._tables_open = False

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        is_open = self._tables_open and isinstance(action.choices, Mapping)
        if action.choices is not None and not is_open:
            choose(action.option_strings[-1].lstrip("-"), value, {c: c for c in action.choices})

    def error(self, message: str) -> NoReturn:
        """argparse's way out, in our form."""
        message = re.sub(r"(\S{57})\S{4,}", r"\1...", message)  # digits without end
        message = re.sub(r"invalid (\w+) value: (.+)", r"\2: accepted: a value for \1", message)
        raise UserError(message.removeprefix("argument ").replace(": ", " ", 1))

    def offer_help(self) -> None:
        """Add --help, once every flag is there."""
        self.add_argument("-h", "--help", action="help", help="show this list and stop")
