"""Where a test's results come to lie: earlier ones stay as they are until these are whole."""

import filecmp
import itertools
import os
import shutil
from pathlib import Path

from util.errors import UserError, say
from util.images.formats import extensions
from util.results.folder import is_ours, shown_files

PAGE = "index.html"
OWN_FILES = {PAGE, "test_opt.txt", "test_opt.yaml"}  # of test.py, beside the pictures


class Place:
    """The folder of a test. Results are written into it if nothing is there yet, else beside it,
    into <folder>.1 (.2, ...), and take its name when they are whole.

    So whatever happens to a test, also SIGKILL and a full disk, the earlier results are there.

    Args:
        final: the folder; `work` is where to write.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.work = final if _claimed(final) else _next_free(final)

    def settle(self, read: Path | None = None, overwrite: bool = False) -> tuple[Path, list[str]]:
        """All results are there: give them their name.

        Earlier results go if these hold every one of their pictures, byte for byte, or with
        `overwrite`; else they are kept as <folder>.<number>, and that is said. Other files of the
        folder stay in it.

        Args:
            read: what the images come from; if it lies in the folder, nothing is moved.

        Returns: where the results are, and the other files that have stayed.
        """
        if self.work == self.final:
            return self.final, []
        if read and read.resolve().is_relative_to(self.final.resolve()):
            say(f"{self.final} is where the images come from; its results stay as they are")
            return self.work, []
        others = _others(self.final, self.work, overwrite)
        number, earlier = self.work, _next_free(self.final)
        os.replace(self.final, earlier)
        os.replace(self.work, self.final)
        if others is None:
            os.replace(earlier, number)
            say(f"the earlier results, of other images or settings, are kept as {number}")
            return self.final, []
        for file in others:
            target = self.final / file
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(earlier / file, target)
        shutil.rmtree(earlier)
        return self.final, [str(file) for file in others]

    def give_up(self, begun: bool) -> None:
        """The test has failed: say where things are.

        Args:
            begun: whether there is any result; else what was prepared goes.
        """
        if not begun:
            shutil.rmtree(self.work)  # which was empty when it was made, or found
        elif self.work != self.final:
            say(f"what was done until then is in {self.work}; {self.final} is as it was")


def _claimed(folder: Path) -> bool:
    """Make a folder. Returns: whether it is empty, and ours to write to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return not any(folder.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            f"{folder}: a file is where the folder of results should be; move it away, or give "
            "another --results_dir"
        ) from None


def _next_free(folder: Path) -> Path:
    """<folder>.<number>, made anew, so that two tests at once do not share it."""
    for number in itertools.count(1):
        path = folder.with_name(f"{folder.name}.{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError


def _others(old: Path, new: Path, overwrite: bool) -> list[Path] | None:
    """Files of a folder that are no results, if `new` holds all of its results; None if it does
    not. Without a page of ours, which tells them apart, every image counts as a result, and other
    files keep the folder as it is; so do links."""
    ours = is_ours(old / PAGE)
    results = shown_files(old) if ours else set()
    others = []
    for path in sorted(old.rglob("*")):
        file = path.relative_to(old)
        if path.is_symlink():
            return None
        if path.is_dir() or (ours and str(file) in OWN_FILES):
            continue
        if (new / file).is_file() and filecmp.cmp(path, new / file, shallow=False):
            continue
        is_result = file in results if ours else path.name.lower().endswith(extensions())
        if not overwrite and (is_result or not ours):
            return None
        if not is_result:
            others.append(file)
    return others
