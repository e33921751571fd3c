"""Files that are there whole, or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: bytes, durable: bool = True) -> None:
    """A file that appears under its name when its last byte is written.

    Args:
        durable: wait until it is on disk, so that it outlives a power cut.
    """
    with replacing(path) as part, open(part, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; the file gets its name at the end, or is deleted if that
    fails."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            error.filename = str(path)  # the name that a user knows
        raise
