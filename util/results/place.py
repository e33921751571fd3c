"""Where a test's results come to lie: earlier ones stay as they are until these are whole."""

import contextlib
import filecmp
import glob
import itertools
import os
import shutil
from pathlib import Path

from util import atomic
from util.errors import UserError, say, shown
from util.images.formats import extensions
from util.images.write import result_extensions
from util.results.folder import is_ours, shown_files
from util.results.mark import MARK, Mark, held, is_marked, writer_of

PAGE = "index.html"
OWN_FILES = {PAGE, "test_opt.txt", "test_opt.yaml", MARK}  # of test.py, beside the pictures


class Place:
    """The folder of a test. Results are written into it if nothing is there yet, else beside it,
    into <folder>.1 (.2, ...), and take its name when they are whole. Until then they are marked.

    So whatever happens to a test, also SIGKILL and a full disk, the earlier results are there, and
    two tests at once have a folder each. Where the folder is a link, to a larger disk, all of this
    goes on there.

    Args:
        final: the folder; `work` is where to write.
    """

    def __init__(self, final: Path) -> None:
        self.final = _leads_to(final)
        _make(self.final)
        with self._alone():
            free = not any(self.final.iterdir())
            self.work = self.final if free else _next_free(self.final)
            self.mark = Mark(self.work)

    def _alone(self) -> contextlib.AbstractContextManager:
        """While it is entered, no other test of this folder chooses or changes names."""
        return held(self.final.with_name(f".{self.final.name}.lock"))

    def settle(self, read: Path | None = None, overwrite: bool = False) -> tuple[Path, list[str]]:
        """All results are there: give them their name.

        Earlier results go if these hold every one of their pictures, byte for byte, or with
        `overwrite`; else they are kept as <folder>.<number>, and that is said. What tests that did
        not finish have left beside them goes, or is told, likewise. Other files of the folder stay
        in it.

        Args:
            read: what the images come from; if it lies in the folder, nothing is moved.

        Returns: where the results are, and the other files that have stayed.
        """
        with self._alone():
            self.mark.remove()
            stayed = self._take_name(read, overwrite)
            self._clear(read, overwrite)
        return self.work, stayed

    def _take_name(self, read: Path | None, overwrite: bool) -> list[str]:
        """Move the results to their name, if that may be; `work` is where they are then."""
        if self.work == self.final:
            return []
        if _is_within(read, self.final):
            say(shown(f"{self.final} is where the images come from; its results stay as they are"))
            return []
        if writer := writer_of(self.final):
            say(shown(f"{self.final}: {writer} writes results into it; these stay in {self.work}"))
            return []
        others, unfinished = _others(self.final, self.work, overwrite), is_marked(self.final)
        number, earlier = self.work, _next_free(self.final)
        try:
            os.replace(self.final, earlier)
        except OSError as error:  # a disk of its own, or of somebody else
            earlier.rmdir()
            why = f"cannot be renamed ({error.strerror})"
            say(shown(f"{self.final}: {why}; these results stay in {number}"))
            return []
        os.replace(number, self.final)
        self.work = self.final
        if others is None:
            os.replace(earlier, number)
            what = "of a test that did not finish" if unfinished else "of other images or settings"
            say(shown(f"the earlier results, {what}, are kept as {number}"))
            return []
        for file in others:
            target = self.final / file
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(earlier / file, target)
        shutil.rmtree(earlier)
        return [str(file) for file in others]

    def _clear(self, read: Path | None, overwrite: bool) -> None:
        """Delete what tests that did not finish have left beside the folder, if these results hold
        all of it; tell what stays."""
        for folder in sorted(self.final.parent.glob(f"{glob.escape(self.final.name)}.*")):
            numbered = folder.name.rpartition(".")[2].isdigit() and not folder.is_symlink()
            if folder == self.work or not numbered or not is_marked(folder) or writer_of(folder):
                continue
            if not _is_within(read, folder) and _others(folder, self.work, overwrite) == []:
                shutil.rmtree(folder)
            else:
                what = "left by a test that did not finish; delete it if nobody needs it"
                say(shown(f"{folder}: {what}"))

    def give_up(self, begun: bool) -> None:
        """The test has failed: say where things are.

        Args:
            begun: whether there is any result; else what was prepared goes.
        """
        self.mark.let_go()
        if not begun:
            shutil.rmtree(self.work)  # which was empty when it was made, or found
            return
        as_it_was = f"; {self.final} is as it was" if self.work != self.final else ""
        say(shown(f"what was done until then is in {self.work}{as_it_was}"))


def _leads_to(folder: Path) -> Path:
    """The folder itself, or the one that it is a link to."""
    atomic.refuse_no_folder(folder, "--results_dir")
    return folder.resolve() if folder.is_symlink() else folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            f"{folder}: a file is where the folder of results should be; move it away, or give "
            "another --results_dir"
        ) from None


def _next_free(folder: Path) -> Path:
    """<folder>.<number>, made anew, so that nobody else has it."""
    for number in itertools.count(1):
        path = folder.with_name(f"{folder.name}.{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError


def _is_within(read: Path | None, folder: Path) -> bool:
    return read is not None and read.resolve().is_relative_to(folder.resolve())


def _others(old: Path, new: Path, overwrite: bool) -> list[Path] | None:
    """Files of a folder that are no results, if `new` holds all of its results; None if it does
    not. Without a page of ours, which tells them apart, every image counts as a result, and other
    files keep the folder as it is; so do links. In a folder that is marked every image is a result,
    also those that its page does not know yet."""
    ours, unfinished = is_ours(old / PAGE), is_marked(old)
    results = shown_files(old) if ours else set()
    others = []
    for path in sorted(old.rglob("*")):
        file = path.relative_to(old)
        if path.is_symlink():
            return None
        if path.is_dir() or ((ours or unfinished) and str(file) in OWN_FILES):
            continue
        if unfinished and path.name.startswith(".") and path.suffix == ".part":
            continue  # the process that wrote it was killed
        if (new / file).is_file() and filecmp.cmp(path, new / file, shallow=False):
            continue
        is_image = path.name.lower().endswith((*extensions(), *result_extensions()))
        is_result = file in results or (is_image and (unfinished or not ours))
        if not overwrite and (is_result or not (ours or unfinished)):
            return None
        if not is_result:
            others.append(file)
    return others
