"""The folder of a new run: an earlier run of the same name is kept."""

import itertools
import os
import shutil
from pathlib import Path

from util.errors import UserError, say


def make_room(run_dir: str | Path, overwrite: bool, keep: bool = False) -> None:
    """See to it that a new run finds no files of an earlier one, and say so.

    Args:
        overwrite: delete them; else the folder is renamed to NAME.1, NAME.2, ...
        keep: the run goes on: leave everything as it is.

    Raises:
        UserError: the folder cannot be renamed or deleted.
    """
    folder = Path(run_dir)
    if keep or not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        if overwrite:
            shutil.rmtree(folder)
            say(f"{folder}: the earlier run is deleted (--overwrite)")
            return
        names = (folder.with_name(f"{folder.name}.{n}") for n in itertools.count(1))
        kept = next(name for name in names if not name.exists())
        os.rename(folder, kept)
    except OSError as error:
        raise UserError(
            f"{folder}: the earlier run cannot be moved away ({error.strerror}); choose another "
            "--name"
        ) from None
    say(f"{folder}: the earlier run is kept as {kept} (--overwrite deletes it)")
