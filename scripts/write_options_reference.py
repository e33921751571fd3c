"""Write docs/options.md from the parsers, so that it says what the code does.

    python scripts/write_options_reference.py
    python scripts/write_options_reference.py --check

--check writes nothing, and fails if the page is not current (`make lint`).
tests/test_docs.py compares what the page describes with the code; models and datasets that it does
not name, like those of your own in this folder, are none of its business.
"""

import argparse
import re
import sys

from _root import ROOT

from options import former_flags, types
from options.base_options import REGISTRIES, BaseOptions
from options.lives import KINDS, Life
from options.parser import OptionParser
from options.test_options import TestOptions
from options.train_options import TrainOptions
from util.errors import UserError, one_line_errors
from util.registry import Registry

PAGE = ROOT / "docs" / "options.md"
# Flags whose accepted values are files in a folder, to which anybody may add.
OPEN = ("model", "dataset_mode", "netG", "netD", "track")

INTRO = """# Options

Written by `python scripts/write_options_reference.py` from the parsers; a test keeps it current.

Most trainings need three flags: `--dataroot`, the folder of the images; `--name`, what the run is
called; `--model`, the method, `cycle_gan` where none is given. test.py needs the first two: the
rest it takes from the run. `python train.py --model X --help` shows the flags of model X and of its
dataset, with the defaults that they have there.

    python train.py --dataroot ./datasets/facades --name facades --model pix2pix
    python train.py --name facades --continue_train
    python test.py --dataroot ./datasets/facades --name facades

Where a value comes from, the later wins:

1. the built-in default; what train.py or test.py, the model and its dataset set in its place,
2. the run's own options, in test.py and with `--continue_train`,
3. `--config` files in the order given: YAML lines `flag: value`, like a run's `train_opt.yaml`,
4. the command line.

A flag that is typed and has no effect beside the others is told, with what would make it count.
[Old and usual names](#former-and-usual-names) of flags, and [what the kind of a flag
means](#the-kind-of-a-flag), stand below.
"""

KINDS_OF_FLAGS = """
## The kind of a flag

It says what happens to the flag's value:

| kind | with the run | `--continue_train` | test.py |
|---|---|---|---|
KINDS
`own`: not taken from the run, it is given anew or has its default. `taken`: the run's value, where
no other is given. `fixed`: the run's value; another one is refused (`--allow_changed` lets it pass
with `--continue_train`). A flag that differs from its kind in one of these says so. The flags of
kind data decide which images `--cache disk` takes for the same.
"""

FORMER = """
## Former and usual names

Flags of the reference implementation's earlier releases, and names that are usual elsewhere, with
what to type here. Who types one is told so; a flag of another model or command is called that.
"""


def kinds() -> str:
    """What follows from a flag's kind."""
    lines = [
        f"| {kind} | {'saved' if life.saved else 'not saved'} | {life.resume} | {life.test} |\n"
        for kind, life in KINDS.items()
    ]
    return KINDS_OF_FLAGS.replace("KINDS\n", "".join(lines) + "\n").rstrip()


Names = dict[str, list[str]]  # flag of OPEN -> the values that the page describes


def names_on(page: str) -> Names:
    """The values of the flags in OPEN that a page describes."""
    row = {flag: re.search(rf"^\| `--{flag}` \|[^|]*\|([^|]*)\|", page, re.M) for flag in OPEN}
    return {flag: found[1].strip().split(", ") for flag, found in row.items() if found}


def all_names() -> Names:
    """The values that the flags in OPEN accept here."""
    return {flag: list(TrainOptions().common_parser().flags()[flag].choices) for flag in OPEN}


def rows(actions: list[argparse.Action], lives: dict[str, Life], names: Names) -> list[str]:
    """A table of flags, one line each."""
    lines = ["| flag | default | accepted | kind | meaning |", "|---|---|---|---|---|"]
    for action in sorted(actions, key=lambda a: a.dest.lower()):
        if action.choices:
            known = names.get(action.dest, action.choices)
            accepted = ", ".join(str(choice) for choice in action.choices if choice in known)
        else:
            type_ = types.NAMED.get(action.type, action.type)
            accepted = "switch" if action.nargs == 0 else getattr(type_, "__name__", "text")
        default = "" if action.default in (None, "", []) or action.nargs == 0 else action.default
        kind = lives[action.dest].describe()
        line = f"| `--{action.dest}` | {default} | {accepted} | {kind} | {action.help} |"
        lines.append(line.replace("<", "&lt;"))
    return lines


def common(title: str, options: BaseOptions, owner: str, names: Names) -> list[str]:
    """The flags of train, of test, or of both."""
    parser = options.common_parser()
    actions = [a for dest, a in parser.flags().items() if parser.source[dest] == owner]
    return [f"\n## {title}\n", *rows(actions, parser.lives, names)]


def plugin(options: BaseOptions, registry: Registry, name: str, names: Names) -> list[str]:
    """The flags that a model or dataset adds, and the defaults that it changes."""
    parser: OptionParser = options.common_parser()
    kind, owner = registry.suffix, f"{registry.suffix} {name}"
    try:
        options.add_plugin_flags(parser, registry, name)
    except UserError:  # not for this command
        return []
    own = [a for dest, a in parser.flags().items() if parser.source[dest] == owner]
    changed = {
        dest: action.default
        for dest, action in parser.flags().items()
        if parser.owner[dest] == owner and parser.source[dest] != owner
    }
    if not own and not changed:
        return []
    lines = [
        f"\n### {options.command}.py, --{'model' if kind == 'model' else 'dataset_mode'} {name}\n"
    ]
    if changed:
        values = ", ".join(f"`--{dest}` {value}" for dest, value in sorted(changed.items()))
        lines.append(f"Defaults: {values}.\n")
    return lines + (rows(own, parser.lives, names) if own else [])


def reference(names: Names) -> str:
    """The whole page, about the models, datasets, generators, ... in `names`."""
    train, test = TrainOptions(), TestOptions()
    lines = [INTRO.rstrip()]
    lines += common("train.py and test.py", train, "default", names)
    lines += common("train.py", train, "train", names)
    lines += common("test.py", test, "test", names)
    lines.append("\nDefaults in test: `--model` test, `--load_size` as `--crop_size`, `--seed` 0.")
    lines.append("\n## Flags and defaults of models and datasets")
    for flag, registry in REGISTRIES.items():
        for name in registry.names():
            for options in (train, test) if name in names[flag] else ():
                lines += plugin(options, registry, name, names)
    lines += [*former_names(), kinds()]
    return "\n".join(lines) + "\n"


def former_names() -> list[str]:
    """The table of flags that people type and that are called otherwise."""
    head = ["| typed | in train.py | in test.py | |", "|---|---|---|---|"]
    rows = [f"| {' | '.join(row)} |" for row in former_flags.table()]
    return [FORMER.rstrip(), "", *head, *rows]


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Write or check the page; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it differs")
    args, page = parser.parse_args(argv), reference(all_names())
    if not args.check:
        PAGE.write_text(page, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page:
        raise UserError("docs/options.md is not current: python scripts/write_options_reference.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
