"""Options on disk: a table for people, YAML for `--config`; where a run's own file is lost, cut off
or damaged, the copy in its newest checkpoint.

What is read is what people write into such files: lines `flag: value`, where a value is a word, a
number, true, false, or a list of these. It is taken from YAML's events one by one, so that nothing
in a file (aliases of aliases, deep nesting, tags) takes more time or memory than its bytes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from util import atomic
from util.checkpoints.checkpoint import list_checkpoints, sha256_of
from util.errors import UserError, on_disk, readable, shown, warn

FILE = "train_opt.yaml"  # of a run
MOST_BYTES = 256 * 1024  # of a file of options; a run's own has about 4,000
FORM = "write `flag: value` lines, one value or a list of values each"
WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
NOT_FINITE = re.compile(r"([-+]?)\.(inf|nan)$", re.IGNORECASE)


def load_config(file: str | Path, flag: str = "config") -> dict[str, Any]:
    """A YAML file of options, `flag: value` a line.

    Args:
        flag: that named the file, for messages; empty for a run's own.

    Raises:
        UserError: one line with the file, and with the line in it.
    """
    where = f"--{flag} {file}" if flag else str(file)
    atomic.refuse_special(file, flag)
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: cannot be read ({error})") from None
    if b"\0" in content:
        raise UserError(f"{where}: not text, but some other kind of file; {FORM}")
    if len(content) > MOST_BYTES:
        size = f"more than {MOST_BYTES // 1024} KB, which options never have"
        raise UserError(f"{where}: {size}; {FORM}")
    try:
        events = yaml.parse(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        return {flag: _texts(value, on_disk) for flag, value in _options(events, where).items()}
    except UnicodeDecodeError as error:
        at, why = content[: error.start].count(b"\n"), "not UTF-8"
    except yaml.reader.ReaderError as error:
        at = content.decode("utf-8-sig")[: error.position].count("\n")
        why = "a character that YAML does not take"
    except yaml.MarkedYAMLError as error:
        at, why = (error.problem_mark or error.context_mark).line, error.problem
    raise UserError(f"{where}: not YAML (line {at + 1}: {why}); {FORM}")


def _options(events: Iterator[yaml.Event], where: str) -> dict[str, Any]:
    """Flag -> value from the events of a file."""
    reader = _Reader(events, where)
    reader.expect(yaml.StreamStartEvent)
    if isinstance(reader.next(), yaml.StreamEndEvent):
        return {}  # empty, or comments alone
    event = reader.next()
    if isinstance(event, yaml.ScalarEvent) and event.value == "":
        return {}
    if not isinstance(event, yaml.MappingStartEvent):
        raise UserError(f"{where}: accepted: YAML lines of the form `flag: value`")
    if event.tag:
        raise reader.error(event, f"the tag {_short(_tag(event))} is not accepted")
    values = reader.mapping()
    reader.expect(yaml.DocumentEndEvent)
    if not isinstance(event := reader.next(), yaml.StreamEndEvent):
        raise reader.error(event, "a second document begins (---)")
    return values


class _Reader:
    """Values from YAML's events, none deeper than a list.

    Args:
        where: the file, for messages.
    """

    def __init__(self, events: Iterator[yaml.Event], where: str) -> None:
        self.events, self.where = events, where
        self.named: dict[str, Any] = {}  # anchor -> value

    def next(self) -> yaml.Event:
        """The next event."""
        return next(self.events)

    def expect(self, kind: type) -> None:
        """Take an event that can only be of one kind."""
        event = self.next()
        assert isinstance(event, kind), event

    def error(self, event: yaml.Event, what: str) -> UserError:
        """The one line for something in a file."""
        return UserError(f"{self.where}: line {event.start_mark.line + 1}: {what}; {FORM}")

    def mapping(self) -> dict[str, Any]:
        """The lines of the file."""
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}  # flag -> where it stands
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.error(
                    event, "a list, a mapping or an alias where the name of a flag belongs"
                )
            key = event.value
            if event.tag or not re.fullmatch(r"[A-Za-z_][\w-]*", key):
                raise self.error(event, f"{_short(key)!r} is not the name of a flag")
            if key in values:
                raise self.error(event, f"{key} a second time, after line {lines[key]}")
            lines[key] = event.start_mark.line + 1
            values[key] = self.value(self.next(), key)
        return values

    def value(self, event: yaml.Event, key: str, inside: bool = False) -> Any:
        """What a flag is given: one value, or a list of values unless it is inside one."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.named:
                raise self.error(event, f"{key}: no &{event.anchor} before *{event.anchor}")
            value = self.named[event.anchor]
            if inside and isinstance(value, list):
                raise self.error(event, f"{key}: a list in a list")
            return value
        if event.tag and not (isinstance(event, yaml.ScalarEvent) and event.tag.endswith(":str")):
            raise self.error(event, f"{key}: the tag {_short(_tag(event))} is not accepted")
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent) and not inside:
            value = []
            while not isinstance(part := self.next(), yaml.SequenceEndEvent):
                value.append(self.value(part, key, inside=True))
        else:
            kind = "a mapping" if isinstance(event, yaml.MappingStartEvent) else "a list in a list"
            raise self.error(event, f"{key}: {kind}")
        if event.anchor:
            self.named[event.anchor] = value
        return value

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        """A word, number, true, false or nothing; what is quoted is a word, and so are dates and
        what else YAML would make something of."""
        text = event.value
        if event.style is not None or event.tag:
            return text
        if text.lower() in WORDS:
            return WORDS[text.lower()]
        if found := NOT_FINITE.match(text):
            return float("".join(found.groups()))
        return _number(text)


def _number(text: str) -> int | float | str:
    """A number as programs write it; any other text, also 010, 1.50 or 5,000 digits, stays as it
    is for the flag to make something of: a run may be called so."""
    for kind in (int, float) if len(text) < 30 else ():
        try:
            value = kind(text)
        except ValueError:
            continue
        if text in (str(value), yaml.safe_dump(value).split("\n")[0]):
            return value
    return text


def _tag(event: yaml.NodeEvent) -> str:
    """A tag as it is written."""
    return event.tag.replace("tag:yaml.org,2002:", "!!")


def _short(text: str) -> str:
    """A text of a file, as much of it as fits into a message."""
    return text if len(text) <= 40 else f"{text[:37]}..."


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


def plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """Those values that a file has a form for; None means that nothing was given."""
    return {flag: value for flag, value in values.items() if _plain(value)}


def save_options(folder: Path, stem: str, values: dict[str, Any], table: str) -> None:
    """Write <stem>.txt and <stem>.yaml, of plain values."""
    kept = {flag: _texts(value, readable) for flag, value in values.items()}
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
    """Whether YAML has a type for it."""
    if type(value) is list:
        return all(map(_plain, value))
    return type(value) in (bool, int, float, str)


def options_of(run_dir: Path, needed: bool = False) -> dict[str, Any] | None:
    """Flag -> value; None for a folder without options, as with weights from elsewhere.

    Args:
        needed: a training is to go on: without its options it would become another one.

    Raises:
        UserError: they are lost or damaged, and no checkpoint holds them.
    """
    file = run_dir / FILE
    copy, where = _copy_in(run_dir)
    options, fault = _read(file, copy or {})
    if not fault:
        return options
    if copy is not None:
        warn(f"{file}: {fault}; the run's options are taken from {where}")
        return copy
    if file.exists() or (needed and list_checkpoints(run_dir)):
        raise UserError(
            f"{file}: {fault}, and no checkpoint of the run holds its options; put the file back, "
            f"or give them by --config FILE ({file.with_suffix('.txt').name} lists them, too)"
        )
    return None


def options_in(place: Path, pattern: str, needed: bool = False) -> dict[str, dict[str, Any]]:
    """Name of a run's folder -> its options, of those that match a pattern; see `options_of`."""
    folders = [folder for folder in sorted(place.glob(pattern)) if folder.is_dir()]
    found = {folder.name: options_of(folder, needed) for folder in folders}
    return {name: options for name, options in found.items() if options is not None}


def file_of(run_dir: Path, spare: Path) -> Path | None:
    """A file of the run's options for `--config`: its own, or where that is no good one in the
    folder `spare`; None for a folder without options. Raises UserError as `options_of`."""
    options = options_of(run_dir, needed=True)
    if options is None or not _read(run_dir / FILE, options)[1]:
        return None if options is None else run_dir / FILE
    save_options(spare, FILE.removesuffix(".yaml"), options, "")
    return spare / FILE


def is_of_a_run(values: Mapping[str, Any]) -> bool:
    """Whether a file of options is that of a run, which has all flags, and not one that somebody
    has written."""
    return {"batch_size", "beta1", "init_gain", "lr_policy", "serial_batches"} <= values.keys()


def digests(values: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Flag -> path -> SHA-256, of the values that name files: moved, they are still the same."""
    found = {
        flag: {
            path: sha256_of(path)
            for path in (value if type(value) is list else [value])
            if _is_file(path)
        }
        for flag, value in values.items()
    }
    return {flag: paths for flag, paths in found.items() if paths}


def digests_of(run_dir: str | Path) -> dict[str, dict[str, str]]:
    """Those of the run, as its newest checkpoint has them; empty if it is of an earlier version."""
    for checkpoint in list_checkpoints(run_dir):
        found = checkpoint.manifest.get("given_files")
        if isinstance(found, dict):
            return {flag: paths for flag, paths in found.items() if isinstance(paths, dict)}
    return {}


def same_files(value: Any, was: Any, known: dict[str, str]) -> bool:
    """Whether a value is the run's, or names files of the same contents. A file that is not where
    the run had it is told elsewhere.

    Args:
        known: path -> SHA-256, of the run.
    """
    given, before = (each if type(each) is list else [each] for each in (value, was))
    if len(given) != len(before):
        return False
    for new, old in zip(given, before, strict=True):
        if new == old and not (old in known and _is_file(old)):
            continue
        digest = known.get(old) or (sha256_of(old) if _is_file(old) else "")
        if not _is_file(new) or sha256_of(new) != digest:
            return False
    return True


def _is_file(path: Any) -> bool:
    named = type(path) is str and path != "" and "\0" not in path
    return named and not atomic.not_regular(path) and Path(path).is_file()


def _copy_in(run_dir: Path) -> tuple[dict[str, Any] | None, Path]:
    """(options in the newest checkpoint that holds some, its folder)."""
    for checkpoint in list_checkpoints(run_dir):
        options = checkpoint.manifest.get("options")
        if isinstance(options, dict) and options:
            return options, checkpoint.folder
    return None, run_dir


def _read(file: Path, copy: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """(flag -> value, what is wrong with the file; empty if nothing is)."""
    if not file.is_file():
        other = "a folder in the place of the file" if file.is_dir() else atomic.not_regular(file)
        return {}, other or "lost"
    try:
        options = load_config(file, "")
    except UserError as error:
        return {}, str(error).removeprefix(f"{file}: ").partition("; ")[0]
    if not options:
        return {}, "empty"
    missing = sorted(copy.keys() - options.keys())
    named = f"{missing[0]} and {len(missing) - 1} more" if missing[1:] else "".join(missing)
    return options, f"cut off: it lacks {named}" if missing else ""
