"""Checkpoints: networks and training state, written all at once or not at all.

    <run>/snapshots/0007/{manifest.json, net_G.pth, net_D.pth, state.pth}

A checkpoint is written under another name and renamed when its last byte is on disk; the manifest
has the size and SHA-256 of every file. <run>/<label>_net_<X>.pth, the published layout, are links
to the files of the newest checkpoint with that label.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from util import atomic
from util.checkpoints.weights import load_file, safetensors_bytes, to_bytes
from util.errors import SaveError, UserError, warn
from util.lazy import torch
from util.tensors import tensors_in

LATEST = "latest"
MANIFEST = "manifest.json"


class Checkpoint:
    """One checkpoint on disk.

    Args:
        folder: holds the manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, int(folder.name)
        try:
            atomic.refuse_special(folder / MANIFEST)
            self.manifest = json.loads((folder / MANIFEST).read_text())
            self.labels: list[str] = self.manifest["labels"]
            self.files: dict[str, dict] = self.manifest["files"]
            if not all(map(atomic.stays, [*self.files, *self.labels])):
                raise ValueError("a name in it leads out of the folder")
        except (OSError, ValueError, LookupError, TypeError):
            self.manifest, self.labels, self.files = {}, [], {}

    def damage(self, files: list[str] | None = None) -> str:
        """What is wrong with the checkpoint, or with some of its files; empty if nothing is."""
        if not self.files:
            return f"{self.folder / MANIFEST}: missing or unreadable"
        for name in self.files if files is None else files:
            path, entry = self.folder / name, self.files[name]
            if not path.is_file():
                return f"{path}: missing"
            if path.stat().st_size != entry["bytes"]:
                return f"{path}: {path.stat().st_size} bytes instead of {entry['bytes']}"
            if _sha256(path) != entry["sha256"]:
                return f"{path}: not the bytes that were saved"
        return ""

    def state(self) -> dict:
        """The training state, on the CPU."""
        return load_file(self.folder / "state.pth")

    def describe(self) -> str:
        """Where in the training it was taken."""
        at = self.manifest.get("progress", {})
        return f"epoch {at.get('epoch')}, {at.get('images')} images seen"


def list_checkpoints(run_dir: str | Path) -> list[Checkpoint]:
    """The run's checkpoints, newest first."""
    folders = [f for f in Path(run_dir, "snapshots").glob("*") if f.name.isdigit()]
    return sorted(map(Checkpoint, folders), key=lambda c: -c.number)


def find_checkpoint(
    run_dir: str | Path, label: str, files: list[str] | None = None
) -> Checkpoint | None:
    """The newest whole checkpoint with a label (`latest`: with any); None if the run has no such.

    A damaged `latest` is told as a warning, and the one before it taken.

    Args:
        files: those that matter; None: all.

    Raises:
        UserError: the checkpoint asked for by name is damaged, or every one is.
    """
    checkpoints = list_checkpoints(run_dir)
    wanted = [c for c in checkpoints if label in (LATEST, *c.labels) or not c.files]
    if label != LATEST:
        wanted = [c for c in wanted if c.files][:1] or wanted
    for checkpoint in wanted:
        needed = None if files is None else [name for name in files if name in checkpoint.files]
        damage = checkpoint.damage(needed) or _mixed(checkpoint, label, needed, run_dir)
        if not damage:
            return checkpoint
        if label != LATEST:
            others = sorted({name for c in checkpoints if not c.damage() for name in c.labels})
            raise UserError(
                f"{damage}; --epoch {label} is damaged; --epoch accepts here: "
                f"{', '.join(others) or 'none'}"
            )
        warn(f"{damage}; going back to the checkpoint before")
    if wanted:
        raise UserError(f"{Path(run_dir, 'snapshots')}: every checkpoint is damaged; begin anew")
    return None


def saved_epoch(run_dir: str | Path, label: str) -> int | None:
    """The epoch that the newest checkpoint with a label goes on with; None if none tells."""
    for checkpoint in list_checkpoints(run_dir):
        if label in (LATEST, *checkpoint.labels) and "progress" in checkpoint.manifest:
            return checkpoint.manifest["progress"]["epoch"]
    return None


def _mixed(checkpoint: Checkpoint, label: str, files: list[str] | None, run_dir: str | Path) -> str:
    """What is wrong with the published files of a label, if this checkpoint has it: empty if they
    are still the checkpoint's own. For `latest` that is a warning, and the checkpoint is taken."""
    if label not in checkpoint.labels:
        return ""
    for name in checkpoint.files if files is None else files:
        public = _public(run_dir, label, name)
        if not name.startswith("net_") or not public.exists():
            continue
        if os.path.samefile(public, checkpoint.folder / name):
            continue
        if atomic.not_regular(public) or _sha256(public) != checkpoint.files[name]["sha256"]:
            others = f"the others of {checkpoint.describe()}"
            problem = f"{public}: not the file that was saved with {others}"
            if label != LATEST:
                return problem
            warn(f"{problem}; taking {checkpoint.folder / name}")
    return ""


def save_checkpoint(
    run_dir: str | Path,
    networks: dict[str, dict[str, torch.Tensor]],
    state: dict[str, Any],
    labels: list[str],
    keep_last: int,
    safetensors: bool = False,
    spared: int | None = None,
) -> list[str]:
    """Write a checkpoint, publish its weights under its labels, and delete those out of use.

    It prints nothing, and may run beside the training if the tensors belong to nobody else.

    Args:
        networks: name -> state_dict on the CPU.
        state: tensors and plain values; `state["progress"]` goes into the manifest too.
        labels: `latest`, `5`, `iter_400`, ...
        keep_last: checkpoints kept besides those that alone hold a label other than `latest`.
        safetensors: write <label>_net_<X>.safetensors as well.
        spared: number of a checkpoint that is kept in any case: the one that the run goes on from.

    Returns: what is worth a warning.

    Raises:
        SaveError: with what was needed and what is free.
    """
    folder = Path(run_dir, "snapshots")
    number = max((c.number for c in list_checkpoints(run_dir)), default=0) + 1
    part, final = folder / f".{number:04d}.part", folder / f"{number:04d}"
    try:
        _clear_parts(folder)
        _write_files(
            part,
            _contents(networks, state, safetensors),
            {"labels": labels, "progress": state["progress"]},
        )
        os.replace(part, final)
        _sync(folder)
        checkpoint = Checkpoint(final)
        for label in labels:
            _publish(checkpoint, label, Path(run_dir))
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        weights = sum(tensor.nbytes for tensor in tensors_in(networks))
        needed = weights * (2 if safetensors else 1) + sum(t.nbytes for t in tensors_in(state))
        raise SaveError(
            f"{final}: checkpoint not saved ({error.strerror}): needs {needed / 1e6:.1f} MB, "
            f"{_free_mb(folder)} free; the checkpoints before it are whole"
        ) from None
    return _prune(run_dir, keep_last, spared)


def _contents(
    networks: dict[str, dict[str, torch.Tensor]], state: dict[str, Any], safetensors: bool
) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file, one at a time: all of them would take as much memory again."""
    for name, weights in networks.items():
        yield f"net_{name}.pth", to_bytes(weights)
        if safetensors:
            yield f"net_{name}.safetensors", safetensors_bytes(weights)
    yield "state.pth", to_bytes(state)


def _write_files(
    folder: Path, contents: Iterator[tuple[str, bytes]], facts: dict[str, Any]
) -> None:
    """All files, and the manifest about them as the last one."""
    folder.mkdir(parents=True)
    files = {}
    for name, content in contents:
        atomic.write(folder / name, content)
        (folder / name).chmod(0o444)  # `cp` onto a published name would write through the link
        files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    saved = time.strftime("%Y-%m-%d %H:%M:%S")
    manifest = {**facts, "files": files, "versions": versions, "saved": saved}
    atomic.write(folder / MANIFEST, json.dumps(manifest, indent=1).encode())


def _sync(folder: Path) -> None:
    """Make a renaming last; not every system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _public(run_dir: str | Path, label: str, name: str) -> Path:
    return Path(run_dir) / f"{label}_{name}"


def _publish(checkpoint: Checkpoint, label: str, run_dir: Path) -> None:
    """<label>_net_<X>.pth: links to the checkpoint's files, or copies where there are no links."""
    for name in checkpoint.files:
        if name.startswith("net_"):
            public = _public(run_dir, label, name)
            part = public.with_name(f".{public.name}.part")
            part.unlink(missing_ok=True)
            try:
                os.link(checkpoint.folder / name, part)
            except OSError:
                try:
                    shutil.copyfile(checkpoint.folder / name, part)
                except OSError:
                    part.unlink(missing_ok=True)
                    raise
            os.replace(part, public)


def _clear_parts(folder: Path) -> None:
    """Remove what a killed process left unfinished."""
    for part in folder.glob(".*.part"):
        shutil.rmtree(part, ignore_errors=True)


def _prune(run_dir: str | Path, keep_last: int, spared: int | None) -> list[str]:
    """Delete checkpoints beyond the last few, except the newest of each label that is not `latest`.
    Returns: what could not be deleted."""
    seen: set[str] = set()
    told: list[str] = []
    for place, checkpoint in enumerate(list_checkpoints(run_dir)):
        own = set(checkpoint.labels) - seen - {LATEST}
        seen |= own
        if place >= keep_last and not own and checkpoint.number != spared:
            told += _delete(checkpoint.folder, shutil.rmtree)
    return told


def _delete(folder: Path, remove: Callable[[Path], None]) -> list[str]:
    trash = folder.with_name(f".{folder.name}.part")
    try:
        os.replace(folder, trash)  # at once: a half-deleted checkpoint would look damaged
        remove(trash)
    except OSError as error:
        return [f"{folder}: an old checkpoint could not be deleted ({error.strerror})"]
    return []


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _free_mb(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 1e6:.1f} MB"
