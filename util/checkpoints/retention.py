"""Which checkpoints of a run stay on the disk, and how much of each: the last few whole, those with
a number as weights alone, and of these as many as are wanted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from util import atomic

if TYPE_CHECKING:
    from util.checkpoints.checkpoint import Checkpoint

LATEST = "latest"
MANIFEST = "manifest.json"
STATE = "state.pth"


def public_path(run_dir: str | Path, label: str, name: str) -> Path:
    """Where a checkpoint's file `name` is published under a label."""
    return Path(run_dir) / f"{label}_{name}"


def publish(checkpoint: Checkpoint, label: str, run_dir: Path) -> list[str]:
    """Copy the checkpoint's weights to <label>_net_<X>.pth: a program that writes onto such a name
    (`cp` does) must not reach the checkpoint. Returns: what is worth a warning."""
    told = []
    for name in checkpoint.files:
        public = public_path(run_dir, label, name)
        if name.startswith("net_") and public.is_dir():
            told.append(f"{public}: a folder in the place of the weights, which are in "
                        f"{checkpoint.folder}; remove it")  # fmt: skip
        elif name.startswith("net_"):
            with atomic.replacing(public) as part:
                shutil.copy2(checkpoint.folder / name, part)  # with its time; see `untouched`
                atomic.sync(part)
    return told


def untouched(public: Path, kept: Path) -> bool:
    """Whether a published file surely is what the checkpoint has; False: its bytes have to tell."""
    a, b = public.stat(), kept.stat()
    return os.path.samestat(a, b) or (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)


def prune(
    checkpoints: list[Checkpoint],
    run_dir: Path,
    keep_last: int,
    keep_numbered: float,
    all_states: bool,
    spared: int | None,
) -> list[str]:
    """Delete what is out of use: checkpoints beyond the last few that hold no number, numbers
    beyond the newest few, and the training state of checkpoints that are kept for their number.

    Args:
        checkpoints: newest first.
        keep_last: that many stay as they are.
        keep_numbered: labels other than `latest` that stay, the newest of them.
        all_states: no training state is deleted.
        spared: number of a checkpoint that stays as it is.

    Returns: what could not be deleted.
    """
    seen: set[str] = set()
    told: list[str] = []
    numbered = 0
    for place, checkpoint in enumerate(checkpoints):
        own = [name for name in checkpoint.labels if name != LATEST and name not in seen]
        seen.update(own)
        if checkpoint.number == spared:
            continue
        if own and numbered >= keep_numbered:
            told += _telling(checkpoint.folder, lambda c=checkpoint, o=own: _forget(c, o, run_dir))
            own = []
        numbered += len(own)
        if place >= keep_last and not own:
            told += _telling(checkpoint.folder, lambda c=checkpoint: _delete(c.folder))
        elif place >= keep_last:
            told += _telling(
                checkpoint.folder, lambda c=checkpoint: _settle(c, run_dir, all_states)
            )
    return told


def _telling(folder: Path, change: Callable[[], None]) -> list[str]:
    """Do it. Returns: why it could not be done."""
    try:
        change()
    except OSError as error:
        return [f"{folder}: an old checkpoint could not be deleted ({error.strerror})"]
    return []


def _delete(folder: Path) -> None:
    trash = folder.with_name(f".{folder.name}.part")
    os.replace(folder, trash)  # at once: a half-deleted checkpoint would look damaged
    shutil.rmtree(trash)


def _forget(checkpoint: Checkpoint, labels: list[str], run_dir: Path) -> None:
    """Take labels from a checkpoint, and delete the files that are published under them."""
    for label in labels:
        for name in checkpoint.files:
            public = public_path(run_dir, label, name)
            with contextlib.suppress(FileNotFoundError):
                if name.startswith("net_") and untouched(public, checkpoint.folder / name):
                    public.unlink()  # else it is somebody else's by now
    checkpoint.labels = [label for label in checkpoint.labels if label not in labels]
    _rewrite(checkpoint)


def _settle(checkpoint: Checkpoint, run_dir: Path, all_states: bool) -> None:
    """Of a checkpoint that is kept for its number: its weights alone, once on the disk."""
    weights = [name for name in checkpoint.files if name.startswith("net_")]
    if weights and not all_states and checkpoint.manifest.pop("state_while_last", False):
        checkpoint.files.pop(STATE, None)
        _rewrite(checkpoint)
    if STATE not in checkpoint.files:
        (checkpoint.folder / STATE).unlink(missing_ok=True)
    for label in checkpoint.labels:
        for name in weights if label != LATEST else ():
            public, kept = public_path(run_dir, label, name), checkpoint.folder / name
            if public.is_file() and not public.samefile(kept):
                _link(kept, public)


def _link(kept: Path, public: Path) -> None:
    """Make a published copy the same file as the checkpoint's, where there are links at all and
    nobody has put something else there."""
    part = public.with_name(f".{public.name}.part")
    part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        if untouched(public, kept):
            os.link(kept, part)
            os.replace(part, public)


def _rewrite(checkpoint: Checkpoint) -> None:
    """Bring the manifest on disk up to `labels` and `files`."""
    checkpoint.manifest |= {"labels": checkpoint.labels, "files": checkpoint.files}
    text = json.dumps(checkpoint.manifest, indent=1)
    atomic.write(checkpoint.folder / MANIFEST, text.encode())
