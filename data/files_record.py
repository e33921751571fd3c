"""Which images a run has been trained on, kept in its folder: images that were renamed or replaced
between two sessions change what a resumed run sees, and nothing else would tell."""

import json
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from util import atomic
from util.errors import warn

FILE = "data_files.json"
BLOCK = 4096  # bytes that are looked at, at the beginning, the middle and the end of a file
MOST_FILES = 30_000  # whose content is looked at; of more, so many at equal distances

Record = dict[str, dict[str, str]]  # side -> file below the folder of the images -> its content


def remember(run_dir: str | Path, files: dict[str, list[str]], root: str) -> None:
    """Keep a record of files in a run's folder; warn if the one that is there tells of others. A
    run of a version that remembered nothing is not compared.

    Args:
        files: side -> paths, in the order in which samples are numbered.
        root: the folder of the images; it may be elsewhere in the next session.
    """
    if files:
        path, record = Path(run_dir, FILE), record_of(files, root)
        tell_changes(path, record)
        atomic.write(path, json.dumps(record, indent=0).encode())


def record_of(files: dict[str, list[str]], root: str) -> Record:
    """What is remembered of the files of each side."""
    count = sum(map(len, files.values()))
    step = -(-count // MOST_FILES) or 1
    with ThreadPoolExecutor(8) as pool:  # network folders answer late, but many at a time
        return {
            side: {os.path.relpath(path, root): "" for path in paths}
            | {
                os.path.relpath(path, root): content
                for path, content in zip(
                    paths[::step], pool.map(_content, paths[::step]), strict=True
                )
            }
            for side, paths in files.items()
        }


def _content(path: str) -> str:
    """Size and check sum; empty of what cannot be read."""
    if atomic.not_regular(path):
        return ""
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as file:
            sum_of = 0
            for place in (0, size // 2, max(0, size - BLOCK)):
                file.seek(place)
                sum_of = zlib.crc32(file.read(BLOCK), sum_of)
    except OSError:
        return ""
    return f"{size} {sum_of:08x}"


def tell_changes(path: Path, record: Record) -> None:
    """Warn if the files differ from those of the record that is kept at `path`."""
    try:
        before = json.loads(path.read_bytes())
        changes = [line for side in record for line in _changes(before[side], record[side])]
    except FileNotFoundError:
        return
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        warn(f"{path}: cannot be read; whether images have changed since is not known")
        return
    if changes:
        warn(
            f"--continue_train: the images are not those of the session before: "
            f"{'; '.join(changes)}; the run goes on with them, and differs from one with the old"
        )


def _changes(before: dict[str, str], now: dict[str, str]) -> Iterable[str]:
    gone = [name for name in before if name not in now]
    new = [name for name in now if name not in before]
    both = [name for name in now if name in before]
    replaced = [name for name in both if before[name] and now[name] and before[name] != now[name]]
    if gone:
        yield _some(gone, "not there any more")
    if new:
        yield _some(new, "new")
    if replaced:
        yield _some(replaced, "with other content")
    if not (gone or new) and list(before) != list(now):
        yield "the same files in another order"


def _some(names: list[str], what: str) -> str:
    return f"{len(names)} {what}, e.g. {names[0]}"
