"""Write docs/options.md from the parsers, so that it says what the code does.

    python scripts/write_options_reference.py

tests/test_docs.py fails until it is current.
"""

import argparse

from _root import ROOT

import data
import models
from options import types
from options.base_options import BaseOptions
from options.parser import OptionParser
from options.test_options import TestOptions
from options.train_options import TrainOptions
from util.errors import UserError

INTRO = """# Options

Written by `python scripts/write_options_reference.py` from the parsers; a test keeps it current.

A value is decided in this order, the later wins: built-in default, train or test, model, dataset,
the run's own options (in test and with `--continue_train`), `--config` files in the order given,
command line. `--config` takes YAML lines of the form `flag: value`; the `train_opt.yaml` that every
run writes is one.
`python train.py --model X --help` shows the flags of model X and of its dataset.
"""


def rows(actions: list[argparse.Action]) -> list[str]:
    """A table of flags, one line each."""
    lines = ["| flag | default | accepted | meaning |", "|---|---|---|---|"]
    for action in sorted(actions, key=lambda a: a.dest.lower()):
        if action.choices:
            accepted = ", ".join(map(str, action.choices))
        else:
            kind = types.NAMED.get(action.type, action.type)
            accepted = "switch" if action.nargs == 0 else getattr(kind, "__name__", "text")
        default = "" if action.default in (None, "", []) or action.nargs == 0 else action.default
        lines.append(
            f"| `--{action.dest}` | {default} | {accepted} | {action.help} |".replace("<", "&lt;")
        )
    return lines


def common(title: str, options: BaseOptions, owner: str) -> list[str]:
    parser = options.common_parser()
    actions = [a for dest, a in parser.flags().items() if parser.source[dest] == owner]
    return [f"\n## {title}\n", *rows(actions)]


def plugin(options: BaseOptions, kind: str, name: str) -> list[str]:
    """The flags that a model or dataset adds, and the defaults that it changes."""
    registry = models.registry if kind == "model" else data.registry
    parser: OptionParser = options.common_parser()
    owner = f"{kind} {name}"
    try:
        with parser.set_by(owner):
            registry.find(name).modify_commandline_options(parser, options.isTrain)
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
    return lines + (rows(own) if own else [])


def reference() -> str:
    """The whole page."""
    train, test = TrainOptions(), TestOptions()
    lines = [INTRO.rstrip()]
    lines += common("train.py and test.py", train, "default")
    lines += common("train.py", train, "train")
    lines += common("test.py", test, "test")
    lines.append("\nDefaults in test: `--model` test, `--load_size` as `--crop_size`, `--seed` 0.")
    lines.append("\n## Flags and defaults of models and datasets")
    for kind, registry in (("model", models.registry), ("dataset", data.registry)):
        for name in registry.names():
            for options in (train, test):
                lines += plugin(options, kind, name)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "options.md").write_text(reference(), encoding="utf-8")
