"""Files that are there whole, or not at all."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """A file that appears under its name when its last byte is on disk."""
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
