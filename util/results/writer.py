"""The folder of a test: pictures of the depth and format that the images came in, and a page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from util import atomic
from util.direction import side_of
from util.errors import UserError, on_disk, say, shown, warn
from util.images.header import Header
from util.images.write import save_like, save_values
from util.labels.colours import save_labels
from util.lazy import torch
from util.record import counted
from util.results.folder import METRICS_FILE, show_metrics
from util.results.gallery import ResultPage
from util.results.place import Place
from util.results.rules import PictureRules, header_of
from util.results.stems import unique_stems
from util.threads import OrderedThreads

DARK = -0.75  # in [-1, 1]: an eighth of the range, 13 bits of 16
SHOWN = "shown"  # folder of what people look at, where the result itself is no picture for them


@dataclass(frozen=True)
class PageInfo:
    """What a page of results tells besides pictures.

    Args:
        title: heading, also the window's title.
        facts: name -> value, shown below the heading.
        details: heading -> text, shown when it is asked for.
        width: px of a picture on a wide screen.
        groups: visuals that stay together where a row has to be broken.
        legend: HTML below the facts, which explains colours.
    """

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    width: int = 256
    groups: list[list[str]] = field(default_factory=list)
    legend: str = ""


class Results:
    """One test run's pictures, images/<stem>_<visual>.<ext>, and index.html; or, if they are to be
    flat, <stem>.<ext> of translations, and nothing else.

    After `begin` and while it is entered, images may be added; on leaving all of them are written.
    They take the name `folder` in `finish`, when they are whole: see `Place`.

    Args:
        folder: where; from `begin` to `finish` that which is written to.
        page: what the page tells.
        rules: how pictures are written.
        writers: threads that write pictures; 0: by the cores there are. Rows are written in order.
    """

    def __init__(self, folder: Path, page: PageInfo, rules: PictureRules, writers: int = 0) -> None:
        self.folder, self.info, self.rules = folder, page, rules
        self.place: Place | None = None  # from `begin` on
        self.page: ResultPage | None = None  # from `begin` on, unless they are flat
        self.stem_of = unique_stems(rules.sources.roots)
        self.flat_stems = defaultdict(lambda: unique_stems(rules.sources.roots))
        self.done: set[tuple[str, str]] = set()  # (visual, file that it was made of), if flat
        self.rows = self.unreadable = 0
        self.said: set[str] = set()  # what is told once
        self.writing = OrderedThreads(self._add_row, writers)

    def begin(self) -> Results:
        """Make the folder, and begin the page."""
        self.place, info = Place(self.folder), self.info
        self.folder = self.place.work
        if not self.rules.flat:
            self.page = ResultPage(
                self.folder / "index.html", info.title, info.facts, info.details, info.width,
                info.groups, info.legend,
            )  # fmt: skip
            atomic.own_folder(self.folder / "images")
        return self

    def __enter__(self) -> Results:
        return self

    def __exit__(self, kind: type | None, *failure: object) -> None:
        try:
            self.writing.__exit__(kind, *failure)
        except BaseException:
            self.place.give_up(begun=self.rows > 0)
            raise
        if kind is not None:
            self.place.give_up(begun=self.rows > 0)

    def add(self, files: dict[str, str], pictures: dict[str, torch.Tensor]) -> None:
        """Write one image's pictures, and their row, soon.

        Args:
            files: "A", and "B" if there is one: the files of source and target.
            pictures: name -> (1, C, H, W) in [-1, 1], which nobody changes any more.
        """
        if self.rules.flat:
            stem, names = "", self._flat_names(files, list(pictures))
        else:
            stem = self.stem_of(files["A"])
            names = {label: f"images/{stem}_{label}" for label in pictures}
        for label in names:
            atomic.plain(label, "visual")
        if not names:
            return
        images = {label: pictures[label].detach().cpu() for label in names}
        size = sum(image.numel() * image.element_size() for image in images.values())
        self.writing.submit(size, self._write, stem, files, names, images)

    def _flat_names(self, files: dict[str, str], labels: list[str]) -> dict[str, str]:
        """Translation -> its file without extension: in a folder for each, where there are several.

        An image that comes again, since there are more of the other side, is there once.
        """
        made = [label for label in labels if self.rules.is_translation(label)]
        if not made:
            raise UserError(
                f"--results_layout flat: none of the model's visuals ({', '.join(labels)}) is "
                "known to be a translation; name them in the model: translation_names = [...]"
            )
        names = {}
        for label in made:
            file = files[self.rules.source_of(label, files)]
            if (label, file) not in self.done:
                self.done.add((label, file))
                stem = self.flat_stems[label](file)
                names[label] = f"{label}/{stem}" if len(made) > 1 else stem
        return names

    def _write(
        self, stem: str, files: dict[str, str], names: dict[str, str],
        pictures: dict[str, torch.Tensor],
    ) -> tuple[str, dict[str, str]]:  # fmt: skip
        """Write one image's pictures.

        Args:
            names: label -> file without extension, relative to the folder.

        Returns: stem, label -> picture to look at, relative to the page.
        """
        headers = {side: header_of(file) for side, file in files.items()}
        shown = {}
        for label, image in pictures.items():
            path = self.folder / on_disk(names[label])
            path.parent.mkdir(parents=True, exist_ok=True)
            if labels := self.rules.labels_of(label, image.shape[1]):
                picture = save_labels(image, path, labels, self.rules.aspect_ratio)
                shown[label] = picture.relative_to(self.folder).as_posix()
                continue
            image, header, side = self._prepared(label, image, files, headers)
            how = (self.rules.range_of(side), self.rules.aspect_ratio, self.rules.encoding)
            if self.rules.flat:
                save_values(image, path, header, *how)
                continue
            view = self.folder / SHOWN / path.relative_to(self.folder / "images")
            picture = save_like(image, path, header, *how, view)
            shown[label] = picture.relative_to(self.folder).as_posix()
        return stem, shown

    def _prepared(
        self, label: str, image: torch.Tensor, files: dict[str, str], headers: dict[str, Header]
    ) -> tuple[torch.Tensor, Header, str]:
        """A picture (1, C, H, W), with alpha if it is a translation of an image that has it; the
        header that it is written like, and the side, "A" or "B", whose range it has."""
        side = side_of(label, self.rules.sides)
        if side is None:
            side = "B"
            self._say_unknown(label, headers)
        header = headers.get(side, headers["A"])
        if side not in headers and "float" not in header.dtype:
            side = "A"  # whole numbers have the range of the file that they came from
        if header.dtype == "uint16" and not self.rules.value_range and image.max() < DARK:
            self._say_once(
                "dark", f"{files.get(side, files['A'])}: no value of {label} is above "
                f"{(image.max().item() + 1) / 2 * 65535:.0f} of 65535, so pages show it dark; if "
                "that is all its range, give --value_range LOW HIGH",
            )  # fmt: skip
        if self.rules.is_translation(label) and image.shape[1] in (1, 3):
            source = self.rules.source_of(label, files)
            if headers[source].alpha and (why := self.rules.lost_alpha()):
                self._say_once(why, f"{files[source]}: its alpha is not kept, nor that of others: "
                               f"{why}")  # fmt: skip
            elif headers[source].alpha:
                size = (image.shape[3], image.shape[2])
                alpha = self.rules.alpha(files[source], headers[source], source, size)
                image = torch.cat([image, alpha.to(image)], 1)
                header = replace(header, alpha=True, channels=image.shape[1])
        return image, header, side

    def _say_once(self, key: str, message: str) -> None:
        if key not in self.said:
            self.said.add(key)
            warn(message)

    def _say_unknown(self, label: str, headers: dict[str, Header]) -> None:
        """Warn once of a visual that is taken for an output, where that decides what is written."""
        looks = {
            (header.dtype, header.kind, header.alpha, self.rules.range_of(side))
            for side, header in headers.items()
        }
        if len(looks) > 1:
            self._say_once(
                label,
                f"visual {label!r}: written with depth and range of the target, for its name tells "
                f'no side; if it shows the source: visual_sides = {{"{label}": "A"}} in the model',
            )

    def _add_row(self, written: tuple[str, dict[str, str]]) -> None:
        stem, shown = written
        self.rows += 1
        if self.page is not None:
            links = {
                label: f"images/{file.removeprefix(SHOWN + '/')}"
                for label, file in shown.items()
                if file.startswith(f"{SHOWN}/")
            }
            self.page.add_row(stem, shown, links=links)

    def add_unreadable(self, path: str, why: str) -> None:
        """A row for a file that gave no picture."""
        self.rows += 1
        self.unreadable += 1
        if self.page is not None:
            self.page.add_row(self.stem_of(path), {}, f"unreadable: {why}")

    def finish(self, read: str | None = None, overwrite: bool = False) -> None:
        """All are there: give them their name, show metrics if there are any, and tell how many
        and where.

        Args:
            read, overwrite: see `Place.settle`.
        """
        self.folder, others = self.place.settle(Path(read) if read else None, overwrite)
        metrics = self.folder / METRICS_FILE
        if METRICS_FILE in others:
            warn(f"{metrics}: of an earlier test, not shown on the page; make it anew or delete it")
        elif metrics.is_file() and self.page is not None:
            show_metrics(self.folder)
        where = self.folder if self.page is None else self.folder / self.page.path.name
        say(shown(f"results of {counted(self.rows - self.unreadable, 'image')}: {where}"))
        if self.unreadable:
            told = "see the page" if self.page is not None else "they are told above"
            warn(f"{self.unreadable} of {counted(self.rows, 'image')} could not be read: {told}")
