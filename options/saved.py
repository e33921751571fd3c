"""Options on disk: a table for people, YAML for `--config`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from util import atomic
from util.errors import UserError, on_disk, readable, shown


def load_config(file: str | Path) -> dict[str, Any]:
    """A YAML file of options, `flag: value` a line."""
    atomic.refuse_special(file, "config")
    try:
        values = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--config {file}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if hasattr(error, "problem_mark") else "?"
        raise UserError(f"--config {file}: not YAML ({line}); write `flag: value` lines") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"--config {file}: accepted: YAML lines of the form `flag: value`")
    return {flag: _texts(value, on_disk) for flag, value in values.items()}


def option_table(
    values: dict[str, Any], builtin: dict[str, Any], set_by: dict[str, str], all_options: bool
) -> str:
    """Aligned lines `flag: value   [default: ..., set by ...]`; the mark where it differs."""
    rows = []
    for flag in sorted(values):
        differs = values[flag] != builtin[flag]
        if differs or all_options:
            mark = f"[default: {builtin[flag]}, set by {set_by[flag]}]" if differs else ""
            rows.append((f"{flag}:", shown(values[flag]), shown(mark)))
    left = max((len(flag) for flag, _, _ in rows), default=0)
    middle = max((min(len(value), 40) for _, value, _ in rows), default=0)
    lines = [f"{flag:>{left}} {value:<{middle}} {mark}".rstrip() for flag, value, mark in rows]
    title = "Options" if all_options else "Options that differ from the default"
    return "\n".join([f"----- {title} -----", *lines, "----- End -----"])


def save_options(folder: Path, stem: str, values: dict[str, Any], table: str) -> None:
    """Write <stem>.txt and <stem>.yaml."""
    kept = {flag: _texts(value, readable) for flag, value in values.items() if _plain(value)}
    text = yaml.safe_dump(kept, allow_unicode=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write(folder / f"{stem}.txt", (table + "\n").encode("utf-8", "backslashreplace"))
        atomic.write(folder / f"{stem}.yaml", text.encode())
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def _texts(value: Any, change: Callable[[str], str]) -> Any:
    """A value with its texts changed, so that a name is saved with its letters in any locale."""
    if isinstance(value, list):
        return [_texts(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


def _plain(value: Any) -> bool:
    """Whether YAML has a type for it; None means that nothing was given."""
    if type(value) is list:
        return all(map(_plain, value))
    return type(value) in (bool, int, float, str)
