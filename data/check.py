"""A look at all files of a data set before hours are spent on it."""

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import Image

from data import label_maps
from data.standard import is_standard, standard
from util.errors import BadImage, UserError, quiet_decoders, say
from util.images.header import Header, looks_cut_off, read_header
from util.images.picture import Picture
from util.images.read import (
    Range,
    check_pixels,
    range_of,
    value_limits,
    without_range,
    wrong_channels,
)
from util.labels.table import Labels
from util.signals import leave_to_parent

MOST_FILES = 30_000  # that the quick look opens; of more, so many at equal distances
ANY = (-(2.0**31), 2.0**31)  # values of label maps
SIDES = ("A", "B")
Size = tuple[int, int]  # (width, height) px


@dataclass(frozen=True)
class Expected:
    """What a data set expects of its files.

    Args:
        files: image ("A", "B", any other name, or "AB" for both in one file) -> its files.
        value_range: `--value_range`.
        channels: side -> the numbers of channels that its files have to give; None: nothing is
            known of what becomes of the files, so they have to be readable and no more.
        problems: headers of the readable files -> file -> what is wrong with it.
        size_after: (size of an image, its file) -> size by `--preprocess`; raises BadImage.
        doubts: headers of the readable files -> what is worth a warning.
        label_sides: whose files are label maps: they may hold any whole numbers.
        labels: whether to look at every file -> label map -> what is wrong with it; None: nothing
            is known of what becomes of the files.
    """

    files: dict[str, list[str]]
    value_range: Sequence[float] | None
    channels: dict[str, set[int]] | None
    problems: Callable[[dict[str, Header]], dict[str, str]]
    size_after: Callable[[Size, str], Size]
    doubts: Callable[[dict[str, Header]], list[str]] = lambda headers: []
    label_sides: Collection[str] = ()
    labels: Callable[[bool], dict[str, str]] | None = None


@dataclass
class Findings:
    """What is in the files of a data set.

    Args:
        looked_at: how many were opened, of how many.
        headers: file -> what it holds, of those that can be read.
        bad: file -> what is wrong with it.
        sizes: (width, height) px after `--preprocess` -> one of the files that come to it.
        mixed: two files of one side that come to different sizes.
        halved: files hold A and B side by side.
        doubts: what is worth a warning, as far as only the data set knows.
    """

    looked_at: tuple[int, int] = (0, 0)
    headers: dict[str, Header] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    sizes: dict[Size, str] = field(default_factory=dict)
    mixed: tuple[tuple[Size, str], tuple[Size, str]] | None = None
    halved: bool = False
    doubts: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Sizes and depths, the most frequent first."""
        kinds = Counter(header.describe() for header in self.headers.values())
        most = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common(3))
        return most + (f", and {len(kinds) - 3} other kinds" if len(kinds) > 3 else "")


class Expectations:
    """The part of BaseDataset that tells of its files, for the look at them before training."""

    @standard
    def checked_files(self) -> dict[str, list[str]]:
        """Image ("A", "B", any other name, or "AB" for both in one file) -> its files, for the
        check before training. A dataset that reads its files in its own way names none."""
        return {}

    def checked_channels(self, side: str) -> set[int]:
        """How many channels the images of a side of `checked_files()` have to give."""
        names = SIDES if side == "AB" else (side,)
        found = {self.channels_of(name) for name in names if name not in self.labels}
        return found - {None}

    def checked_problems(self, headers: dict[str, Header]) -> dict[str, str]:
        """File -> what is wrong with it, as far as only this dataset knows."""
        return {}

    def checked_doubts(self, headers: dict[str, Header]) -> list[str]:
        """What may be meant, but is worth a warning, as far as only this dataset knows."""
        return []

    def expected(self) -> Expected:
        """All that the check before training has to know."""
        files = self.checked_files()
        # What a parent says of its files does not hold for a plug-in that makes samples of its own.
        holds = is_standard(self.__getitem__) or not is_standard(self.checked_files)
        return Expected(
            files=files,
            value_range=self.opt.value_range,
            label_sides=self.labels,
            channels={side: self.checked_channels(side) for side in files} if holds else None,
            problems=self.checked_problems,
            doubts=self._doubts,
            labels=self._wrong_labels if holds else None,
            size_after=self.size_after,
        )

    def _doubts(self, headers: dict[str, Header]) -> list[str]:
        plain = [side for side in SIDES if self.method(side) != Image.Resampling.NEAREST]
        return self.checked_doubts(headers) + label_maps.doubts(self._files_of(plain), headers)

    def _wrong_labels(self, every: bool) -> dict[str, str]:
        return label_maps.wrong_labels(self._files_of(self.labels), self.labels, self.whole, every)

    def _files_of(self, sides: Iterable[str]) -> dict[str, list[str]]:
        files = self.checked_files()
        return {side: files.get(side) or files.get("AB") or [] for side in sides}

    def whole(self, path: str, side: str) -> Picture:
        """The image of one side as its file holds it."""
        return self.picture(path, side)

    def shown_labels(self) -> dict[str, Labels]:
        """`labels` in the colours of the files, if these have a palette."""
        files = self._files_of(self.labels)
        return {k: label_maps.with_file_colours(v, files[k]) for k, v in self.labels.items()}


def look_at(expected: Expected, workers: int = 0) -> Findings:
    """Look at the files that a data set names.

    Args:
        workers: processes that decode every file; 0 reads the headers only, of at most MOST_FILES.
    """
    sides = {side: list(dict.fromkeys(paths)) for side, paths in expected.files.items()}
    ranges = {
        path: ANY
        if side in expected.label_sides
        else range_of(expected.value_range, "A" if side == "AB" else side)
        for side, paths in sides.items()
        for path in paths
    }
    step = 1 if workers else -(-len(ranges) // MOST_FILES) or 1
    looked = dict(itertools.islice(ranges.items(), 0, None, step))
    found = Findings((len(looked), len(ranges)), halved="AB" in sides)
    for path, header in zip(looked, _read_all(looked, workers), strict=True):
        (found.headers if isinstance(header, Header) else found.bad)[path] = header
    if expected.channels is None:
        return found
    for path, why in expected.problems(found.headers).items():
        found.bad.setdefault(path, f"{path}: {why}")
    if expected.labels is not None:
        for path, why in expected.labels(workers > 0).items():
            found.bad.setdefault(path, f"{path}: {why}")
    found.doubts = expected.doubts(found.headers)
    for side, side_paths in sides.items():
        _fit(found, side, [p for p in side_paths if p in found.headers], expected)
    return found


def refuse_bad(found: Findings) -> None:
    """Raise UserError if there is anything wrong; of several files the list comes first."""
    if not found.bad:
        return
    told = list(found.bad.values())
    some_left = len(told) < found.looked_at[0]
    if len(told) == 1:
        raise UserError(told[0] + ", or go on without it: --bad_images skip" * some_left)
    for line in told:
        say(line, logging.WARNING)
    raise UserError(
        f"{told[0]}; {len(told) - 1} more of {found.looked_at[0]} images cannot be used (listed "
        "above)" + "; --bad_images skip goes on without them" * some_left
    )


def doubts(found: Findings, mode: str) -> list[str]:
    """What may be meant, but is worth a warning; first what looks like another layout than
    `--dataset_mode`'s."""
    return _doubts_of_layout(found, mode) + found.doubts


def _doubts_of_layout(found: Findings, mode: str) -> list[str]:
    sizes = [header.size for header in found.headers.values()]
    if len(sizes) < 2:
        return []
    if mode in ("unaligned", "colorization", "single") and all(w == 2 * h for w, h in sizes):
        return [
            "all images are twice as wide as high: this looks like paired data, A|B in one file; "
            "did you mean --dataset_mode aligned?"
        ]
    if mode == "aligned" and found.halved and all(w <= h for w, h in sizes):
        return [
            f"no image is wider than high (one has {sizes[0][0]}x{sizes[0][1]} px): this does not "
            "look like A|B in one file; each will be cut into halves all the same"
        ]
    return []


def refuse_mixed_sizes(found: Findings, batch_size: int, preprocess: str) -> None:
    """Raise UserError if images do not stack to batches."""
    if batch_size > 1 and found.mixed:
        told = " and ".join(f"{path} ({w}x{h} px)" for (w, h), path in found.mixed)
        raise UserError(
            f"--batch_size {batch_size}: by --preprocess {preprocess} images have different "
            f"sizes, {told}, and do not stack; use --batch_size 1, or --preprocess resize_and_crop"
        )


def _read_all(files: dict[str, Range | None], workers: int) -> Iterable[Header | str]:
    """The header of each file, or what is wrong with it."""
    if workers > 1:
        with ProcessPoolExecutor(workers, initializer=_begin_worker) as pool:
            yield from pool.map(_decode_one, files, files.values(), chunksize=16)
        return
    with ThreadPoolExecutor(8) as pool:  # network folders answer late, but many at a time
        yield from pool.map(_decode_one if workers else _read_one, files, files.values())


def _begin_worker() -> None:
    quiet_decoders()
    leave_to_parent()


def _read_one(path: str, value_range: Range | None) -> Header | str:
    def read() -> Header:
        header = check_pixels(path) if looks_cut_off(path) else read_header(path)
        if value_limits(header.dtype, value_range) is None:
            raise without_range(path, header.dtype)
        return header

    return _told(path, read)


def _decode_one(path: str, value_range: Range | None) -> Header | str:
    return _told(path, lambda: check_pixels(path, value_range, values_too=True))


def _told(path: str, read: Callable[[], Header]) -> Header | str:
    try:
        try:
            return read()
        except OSError:
            return check_pixels(path)  # which tries again
    except UserError as error:
        return str(error)


def _fit(found: Findings, side: str, paths: list[str], expected: Expected) -> None:
    """Sizes after the transform, and channels, of the files of one side."""
    final: dict[Size, str] = {}
    after: dict[Size, Size | str] = {}
    seen: dict[Header, list[str]] = defaultdict(list)
    for path in paths:
        seen[found.headers[path]].append(path)
    for header, same in seen.items():
        width, height = header.size
        size = (width // 2, height) if side == "AB" else header.size
        if size not in after:
            try:
                after[size] = expected.size_after(size, "")
            except BadImage as error:
                after[size] = str(error)
        wrong = [nc for nc in expected.channels[side] if not header.gives(nc)]
        for path in same:
            if wrong:
                found.bad.setdefault(path, str(wrong_channels(path, header, wrong[0])))
            elif isinstance(after[size], str):
                found.bad.setdefault(path, f"{path}{after[size]}")
            elif path not in found.bad:
                final.setdefault(after[size], path)
    found.sizes = final | found.sizes
    if len(final) > 1 and found.mixed is None:
        found.mixed = tuple(itertools.islice(final.items(), 2))
