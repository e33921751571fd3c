"""The runs that scripts/serve.py serves, by what it is given."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from options.saved import options_of
from translate import Translator
from util.checkpoints.weights import published, saved_epochs
from util.errors import UserError, did_you_mean
from util.serving.models import Run

DRAWN = re.compile(r"edge|sketch|draw|line|contour|scribble", re.IGNORECASE)
SHEET_PX = (64, 1024)  # of a drawing's side


def find_runs(given: list[str], checkpoints: Path, flags: dict[str, Any]) -> list[Run]:
    """What is to be served.

    Args:
        given: folders, names in `checkpoints`, or files of weights.
        flags: of test.py, for all of them.

    Raises:
        UserError: there is no such run.
    """
    runs: dict[str, Run] = {}
    for word in given:
        place = _place(word, checkpoints)
        run = _of_folder(place, flags) if place.is_dir() else _of_file(place, flags)
        if run.name in runs:
            raise UserError(f"{word}: a run {run.name} is served already; give each once")
        runs[run.name] = run
    return list(runs.values())


def _place(word: str, checkpoints: Path) -> Path:
    for place in (Path(word), checkpoints / word):
        if place.exists():
            return place
    near = sorted(folder.name for folder in checkpoints.glob("*/"))
    raise UserError(f"{word}: no run's folder or file, there or in {checkpoints}; runs in it: "
                    f"{', '.join(near) or 'none'}{did_you_mean(word, near)}")  # fmt: skip


def _of_folder(folder: Path, flags: dict[str, Any]) -> Run:
    trained = options_of(folder) or {}
    networks = {name for _, name in published(folder) if name.startswith("G")}
    if not networks:
        raise UserError(f"{folder}: no weights of a generator in it (<epoch>_net_G*.pth)")
    name = "G" if "G" in networks else sorted(networks)[0]
    way = flags.get("direction") or trained.get("direction", "AtoB")
    ways = [way, *{"AtoB", "BtoA"} - {way}] if "G_B" in networks else [way]

    def epochs() -> list[str]:
        return sorted(saved_epochs(folder, name), key=_newest_first)

    def stamp(epoch: str) -> Hashable:
        files = [file for (label, _), file in published(folder).items() if label == epoch]
        return tuple((file.name, file.stat().st_mtime_ns) for file in files)

    def load(epoch: str, direction: str) -> Translator:
        asked = {"direction": direction} if len(ways) > 1 or "direction" in flags else {}
        return Translator.load(folder, epoch, **(flags | asked))

    if not epochs():
        raise UserError(f"{folder}: no weights of a generator in it (<epoch>_net_G*.pth)")
    return Run(folder.resolve().name, _facts(folder, trained), ways, epochs, stamp, load)


def _of_file(file: Path, flags: dict[str, Any]) -> Run:
    """Weights from elsewhere, or an export: one network."""
    return Run(
        file.name,
        _facts(file, {}),
        [flags.get("direction", "AtoB")],
        lambda: [file.stem] if file.exists() else [],
        lambda epoch: file.stat().st_mtime_ns,
        lambda epoch, direction: Translator.load(file, **flags),
    )


def _facts(place: Path, trained: dict[str, Any]) -> dict[str, Any]:
    """What the page and /runs tell: the model, whether its images are drawings, and their side."""
    low, high = SHEET_PX
    side = trained.get("crop_size")
    told = f"{place.name} {trained.get('dataroot', '')}"
    return {
        "model": trained.get("model", ""),
        "drawn": bool(DRAWN.search(told)),
        "size": min(max(side if isinstance(side, int) else 256, low), high),
    }


def _newest_first(epoch: str) -> tuple[int, int, str]:
    """`latest`, then other words, then numbers from the highest on."""
    if epoch.isdecimal():
        return 2, -int(epoch), ""
    return (0 if epoch == "latest" else 1), 0, epoch
