"""Data sets and weights of the CycleGAN and pix2pix papers, from their server.

    python -m util.get_data cyclegan maps                  a data set, into ./datasets/maps
    python -m util.get_data pix2pix facades --out ./D      into ./D/facades
    python -m util.get_data cyclegan horse2zebra --model   weights, into
                                                           ./checkpoints/horse2zebra_pretrained
    python -m util.get_data pix2pix --list                 what the server has
    python -m util.get_data cyclegan                       the same, and asks which

From elsewhere, with --mirror: an address or a folder laid out like the server (below it
cyclegan/datasets/maps.zip), or the one archive or file of weights.

    python -m util.get_data cyclegan maps --mirror https://example.org/gan
    python -m util.get_data cyclegan maps --mirror ./maps.zip

A download that broke off goes on where it stopped when the same command is given again. What is
there already is not fetched anew: delete it first. The SHA-256 of each download is kept in
.downloads.json beside it, and a later download that differs is refused; --sha256 says which one is
right. Exit codes: 0 it is there, 1 it could not be had, 2 the command is wrong.
"""

import argparse
import contextlib
import dataclasses
import errno
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from util.downloads import download, published, web
from util.downloads import records as download_records
from util.downloads.download import Fetched
from util.downloads.unpack import refuse_without_images, unpack
from util.downloads.web import PATIENCE, Patience
from util.errors import (
    CANNOT_WRITE,
    OneLineParser,
    UserError,
    begun,
    choose,
    lost_streams,
    one_line_errors,
    say,
    warn,
)

MAX_MODEL_BYTES = 4 << 30
FILE_ENDINGS = (".zip", ".tar.gz", ".tgz", ".tar", ".pth")


class GetData:
    """What the authors of a technique have published.

    Args:
        technique: "cyclegan" or "pix2pix".
        verbose: say what happens.
        model: weights instead of data sets.
        mirror: instead of the authors' server an address or folder laid out like it, or one file.
        sha256: of the file, if it is known.
    """

    def __init__(
        self,
        technique: str = "cyclegan",
        verbose: bool = True,
        model: bool = False,
        mirror: str | None = None,
        sha256: str | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        shelves = published.MODELS if model else published.DATA_SETS
        self.technique = technique.lower()
        self.shelf = choose("technique", self.technique, shelves)
        self.say = say if verbose else lambda text: None
        self.model, self.mirror, self.sha256 = model, mirror, _checked_digest(sha256)
        self.patience = patience

    def get(self, save_path: str | Path, dataset: str | None = None) -> str:
        """Download into a folder below `save_path`, unless it is there.

        Args:
            dataset: a name, also with its ending (`maps.zip`); without it the terminal is asked.

        Returns:
            The absolute path of the data set, or of the folder with the weights.

        Raises:
            UserError: no such name, not to be had, or refused.
        """
        name = self._ask() if dataset is None else self._known(dataset)
        folder = Path(save_path) / (f"{name}_pretrained" if self.model else name)
        is_there = self._is_there(folder, name)
        if not is_there:
            source = self._source(self.shelf.file(name))
            target = Path(os.path.realpath(folder))  # it may be a link to a larger disk
            with _running(), download_records.work_folder(target) as work:
                is_there = self._is_there(folder, name)  # another process may have just ended
                if not is_there:
                    self._get(name, source, target, work, Path(save_path))
        if is_there:
            self.say(f"{_typed(folder)} is there already: nothing is downloaded")
        self._say_next(folder, name)
        return os.path.abspath(folder)

    def names(self) -> list[str]:
        """What the server, or the mirror, has."""
        source = self._source(f"{self.shelf.folder}/", folder=True)
        if isinstance(source, Path):
            files = [path.name for path in source.glob(f"*{self.shelf.ending}")]
        else:
            with _running():
                page = web.page(source, self.patience)
            links = BeautifulSoup(page, "html.parser").find_all("a")
            files = [unquote(str(link.get("href", ""))).removeprefix("./") for link in links]
        ending = self.shelf.ending
        names = {file.removesuffix(ending) for file in files if file.endswith(ending)}
        return sorted(name for name in names if published.NAME.fullmatch(name))

    def _known(self, given: str) -> str:
        """A name that is published, or with a mirror one that may well be."""
        name = given.removesuffix(self.shelf.ending)
        if self.mirror and published.NAME.fullmatch(name):
            return name
        what = f"{self.technique} {self.shelf.what} {ascii(given[:80])}"
        if name == "cityscapes" and not self.model:
            raise UserError(f"{what}: {published.CITYSCAPES}")
        if name not in self.shelf.names:
            near = published.near(name[:80], self.shelf)
            raise UserError(f"{what}: accepted: {', '.join(self.shelf.names)}{near}")
        return name

    def _ask(self) -> str:
        try:
            names = self.names()
        except UserError as error:
            if error.exit_code == 2:
                raise
            warn(f"{error}; these are known:")
            names = list(self.shelf.names)
        numbered = {str(number): name for number, name in enumerate(names, 1)}
        say("\n".join(f"{number:>4} {name}" for number, name in numbered.items()))
        try:
            answer = input(f"Which {self.shelf.what}, by number or name? ").strip()
        except EOFError:
            raise UserError(f"no {self.shelf.what} chosen; give its name") from None
        name = numbered.get(answer, answer)
        if name in names and name != "cityscapes":
            return name
        return self._known(name)

    def _source(self, file: str, folder: bool = False) -> list[str] | Path:
        """Addresses, or a path, of a file or folder of the server."""
        mirror = self.mirror
        if not mirror:
            return [f"{scheme}://{published.HOST}/{file}" for scheme in ("https", "http")]
        if "://" in mirror:
            return [_mirror_url(mirror, file, folder)]
        path = Path(mirror)
        if path.is_file() and folder:
            raise UserError(f"--mirror {mirror}: is one file; give a name for it")
        if path.is_dir():
            path = path / file
        if path.is_dir() if folder else path.is_file():
            return path
        raise UserError(
            f"--mirror {mirror}: no {path} there; give an address, a file, or a folder laid out "
            f"like the server, with {file} in it"
        )

    def _is_there(self, folder: Path, name: str) -> bool:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{_typed(folder)}: is a file; delete it, or give another --out")
        if self.model:
            return (folder / "latest_net_G.pth").is_file()
        if not folder.is_dir() or not any(folder.iterdir()):
            return False
        refuse_without_images(folder, f"{_typed(folder)} is there (delete it to get it anew)")
        key, records = self.shelf.file(name), download_records.read(folder.parent)
        others = {shelf.file(name) for shelf in published.DATA_SETS.values()} - {key}
        if key not in records and (other := others & records.keys()):
            raise UserError(
                f"{_typed(folder)}: holds {other.pop()}, another data set of this name; give "
                "another folder with --out"
            )
        return True

    def _get(
        self, name: str, source: list[str] | Path, target: Path, work: Path, records: Path
    ) -> None:
        key = self.shelf.file(name)
        if isinstance(source, Path):
            file, digest = source, download.digest_of(source).hexdigest()
            fetched = Fetched(str(file.resolve()), digest, file.stat().st_size)
        else:
            self.say(f"downloading {web.shown(source[0])}")
            file = work / Path(key).name
            most = MAX_MODEL_BYTES if self.model else download.MAX_BYTES
            fetched = download.fetch(source, file, self.patience, most)
        try:
            download_records.check(records, key, fetched, self.sha256 or published.PINNED.get(key))
            ready = self._weights(file, work) if self.model else self._unpacked(file, work)
        except UserError:
            download_records.empty(work)  # a bad file is of no use next time
            raise
        download_records.add(records, key, fetched)
        if self.model:
            target.mkdir(exist_ok=True)
        os.replace(ready, target / "latest_net_G.pth" if self.model else target)
        download_records.empty(work)
        self.say(f"{name}: {fetched.size / 1e6:.1f} MB, SHA-256 {fetched.sha256}")

    def _weights(self, file: Path, work: Path) -> Path:
        """The file of weights, in the work folder, after a look into it that runs nothing."""
        from util.checkpoints.weights import load_state_dict  # takes seconds; data sets do without

        if file.parent != work:
            file = Path(shutil.copy(file, work))
        load_state_dict(file)
        return file

    def _unpacked(self, archive: Path, work: Path) -> Path:
        """The data set, in the work folder: what is unpacked, or the one folder in it."""
        self.say(f"unpacking {archive.name}")
        root = work / "unpacked"
        if root.exists():
            shutil.rmtree(root)  # of a process that was killed
        unpack(archive, root)
        refuse_without_images(root, archive.name)
        inside = [path for path in root.iterdir() if not path.name.startswith((".", "__MACOSX"))]
        return inside[0] if len(inside) == 1 and inside[0].is_dir() else root

    def _say_next(self, folder: Path, name: str) -> None:
        line = published.command_to_train(self.technique, name, folder)
        if self.model:
            line = published.command_to_test(self.technique, name, folder)
        self.say(f"{_typed(folder)} is ready" + (f"; next:\n    {line}" if line else ""))


def _typed(folder: Path) -> str:
    return str(folder) if folder.is_absolute() else f"./{folder}"


def _checked_digest(sha256: str | None) -> str | None:
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(f"--sha256 {ascii(sha256[:80])}: accepted: 64 digits 0-9, a-f")
    return sha256 and sha256.lower()


def _mirror_url(mirror: str, file: str, folder: bool) -> str:
    try:
        parts = urlsplit(mirror)
        good = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:
        good = False
    if not good:
        raise UserError(
            f"--mirror {ascii(mirror[:100])}: accepted: http://..., https://..., a path"
        )
    if parts.path.endswith(FILE_ENDINGS):
        if folder:
            raise UserError(f"--mirror {web.shown(mirror)}: is one file; give a name for it")
        return mirror
    return f"{mirror.rstrip('/')}/{file}"


@contextlib.contextmanager
def _running() -> Iterator[None]:
    """From here on a failure is the server's, not the command's."""
    try:
        with begun():
            yield
    except OSError as error:
        if error.errno not in CANNOT_WRITE | {errno.ENOTDIR, errno.EEXIST}:
            raise
        with begun():
            raise UserError(
                f"{error.filename or 'the disk'}: cannot be written ({error.strerror}); mend that, "
                "then the same command goes on from here"
            ) from error
    except KeyboardInterrupt:
        warn("stopped; the same command goes on from here")
        raise


def parser() -> argparse.ArgumentParser:
    """The flags."""
    names = [
        textwrap.fill(f"{shelf.what}s of {technique}: {' '.join(shelf.names)}", 78)
        for shelves in (published.DATA_SETS, published.MODELS)
        for technique, shelf in shelves.items()
    ]
    result = OneLineParser(
        prog="python -m util.get_data",
        description=__doc__,
        epilog="\n\n".join(names),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = result.add_argument
    add("technique", choices=sorted(published.DATA_SETS))
    add("name", nargs="?", help="of a data set or model; without it you are asked")
    add("--model", action="store_true", help="weights instead of data")
    add("--out", type=Path, help="the folder it goes into (./datasets; weights: ./checkpoints)")
    add("--list", action="store_true", help="only show what the server has")
    add("--mirror", help="an address, a file or a folder instead of the authors' server")
    add("--sha256", help="what the file's SHA-256 must be")
    tries, timeout_s = PATIENCE.tries, PATIENCE.timeout_s
    add("--tries", type=int, default=tries, help="failures in a row that are borne (%(default)s)")
    add("--timeout", type=float, default=timeout_s, help="seconds without a byte (%(default)s)")
    add("--debug", action="store_true", help="show the trace of an error")
    return result


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Download or list; returns the exit code."""
    args = parser().parse_intermixed_args(argv)
    if args.tries < 1 or not 0 < args.timeout < 1e6:
        raise UserError("--tries, --timeout: accepted: above 0")
    patience = dataclasses.replace(PATIENCE, tries=args.tries, timeout_s=args.timeout)
    source = GetData(
        args.technique, model=args.model, mirror=args.mirror, sha256=args.sha256, patience=patience
    )
    if args.list:
        say("\n".join(source.names()))
        return int(1 in lost_streams)
    source.get(args.out or Path("checkpoints" if args.model else "datasets"), args.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
