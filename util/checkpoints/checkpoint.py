"""Checkpoints: networks and training state, written all at once or not at all.

    <run>/snapshots/0007/{manifest.json, net_G.pth, net_D.pth, state.pth}

A checkpoint is written under another name and renamed when its last byte is on disk; the manifest
has the size and SHA-256 of every file. <run>/<label>_net_<X>.pth, the published layout, are copies
of the files of the newest checkpoint with that label. The last few are kept whole; those that are
older are kept for their number, without state.pth; see `retention`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from util import atomic
from util.checkpoints.forms import read_manifest, wrong_in_progress, wrong_in_state
from util.checkpoints.retention import (
    LATEST,
    MANIFEST,
    STATE,
    prune,
    public_path,
    publish,
    untouched,
)
from util.checkpoints.weights import load_file, safetensors_bytes, to_bytes
from util.errors import SaveError, UserError, warn
from util.lazy import torch
from util.tensors import tensors_in

_NUMBER = re.compile(r"[0-9]{1,12}")  # of a checkpoint's folder: copies of it have other names


class Checkpoint:
    """One checkpoint on disk.

    Args:
        folder: holds the manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, int(folder.name)
        atomic.check_readable(folder / MANIFEST)  # not damaged: somebody else's
        self.manifest: dict[str, Any] = read_manifest(folder / MANIFEST)
        self.labels: list[str] = self.manifest.get("labels", [])
        self.files: dict[str, dict] = self.manifest.get("files", {})
        self._state: dict | None = None  # read already

    def damage(self, files: list[str] | None = None) -> str:
        """What is wrong with the checkpoint, or with some of its files; empty if nothing is."""
        if not self.files:
            return f"{self.folder / MANIFEST}: missing or unreadable"
        for name in self.files if files is None else files:
            path, entry = self.folder / name, self.files[name]
            atomic.check_readable(path)
            try:
                if not path.is_file():
                    return f"{path}: missing"
                if path.stat().st_size != entry["bytes"]:
                    return f"{path}: {path.stat().st_size} bytes instead of {entry['bytes']}"
                if sha256_of(path) != entry["sha256"]:
                    return f"{path}: not the bytes that were saved"
            except OSError as error:
                return f"{path}: cannot be read ({error.strerror})"
        return ""

    @property
    def has_state(self) -> bool:
        """Whether a training can go on from it exactly; else it holds weights alone."""
        return STATE in self.files

    def state(self) -> dict:
        """The training state, on the CPU; of weights alone, what the manifest has of it."""
        if not self.has_state:
            return {key: self.manifest[key] for key in ("progress", "view") if key in self.manifest}
        state, self._state = self._state or load_file(self.folder / STATE), None
        return state

    def wrong_state(self) -> str:
        """What is wrong with the form of the training state, whose bytes are those that were saved;
        empty if nothing is. What was read for it, `state` gives."""
        if not self.has_state:
            wrong = wrong_in_progress(self.manifest.get("progress", {}))
            return f"{self.folder / MANIFEST}: {wrong}" if wrong else ""
        path = self.folder / STATE
        try:
            self._state = load_file(path)
        except UserError as error:
            return str(error)
        wrong = wrong_in_state(self._state)
        return f"{path}: no training state: {wrong}" if wrong else ""

    def describe(self) -> str:
        """Where in the training it was taken."""
        at = self.manifest.get("progress", {})
        return f"epoch {at.get('epoch')}, {at.get('images')} images seen"


def list_checkpoints(run_dir: str | Path) -> list[Checkpoint]:
    """The run's checkpoints, newest first."""
    atomic.check_readable(Path(run_dir, "snapshots"))
    found = Path(run_dir, "snapshots").glob("*")
    folders = [f for f in found if _NUMBER.fullmatch(f.name) and f.is_dir()]
    return sorted(map(Checkpoint, folders), key=lambda c: -c.number)


def find_checkpoint(
    run_dir: str | Path, label: str, files: list[str] | None = None, training: bool = False
) -> Checkpoint | None:
    """The newest whole checkpoint with a label (`latest`: with any); None if the run has no such.

    A damaged `latest` is told as a warning, and the one before it taken.

    Args:
        files: those that matter; None: all.
        training: the state's form matters, too.

    Raises:
        UserError: the checkpoint asked for by name is damaged, or every one is.
    """
    checkpoints = list_checkpoints(run_dir)
    wanted = [c for c in checkpoints if label in (LATEST, *c.labels) or not c.files]
    if label != LATEST:
        wanted = [c for c in wanted if c.files][:1] or wanted
    for checkpoint in wanted:
        needed = None if files is None else [name for name in files if name in checkpoint.files]
        damage = checkpoint.damage(needed)
        if checkpoint is wanted[0] and not damage:  # what is published is of the newest
            damage = _mixed(checkpoint, label, needed, run_dir)
        if training and not damage:
            damage = checkpoint.wrong_state()
        if not damage:
            return checkpoint
        if label != LATEST:
            others = sorted({name for c in checkpoints if not c.damage() for name in c.labels})
            raise UserError(
                f"{damage}; --epoch {label} is damaged; --epoch accepts here: "
                f"{', '.join(others) or 'none'}"
            )
        if wanted == [checkpoint]:
            raise UserError(
                f"{damage}; it is of the run's only checkpoint: put the file back, or begin anew"
            )
        if checkpoint is not wanted[-1]:
            warn(f"{damage}; going back to the checkpoint before")
        else:
            warn(f"{damage}; there is none before it")
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
        public = public_path(run_dir, label, name)
        if not name.startswith("net_") or not public.exists():
            continue
        if untouched(public, checkpoint.folder / name):
            continue
        if atomic.not_regular(public) or sha256_of(public) != checkpoint.files[name]["sha256"]:
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
    keep_numbered: float = math.inf,
    all_states: bool = False,
    facts: dict[str, Any] | None = None,
) -> list[str]:
    """Write a checkpoint, publish its weights under its labels, and delete those out of use.

    It prints nothing, and may run beside the training if the tensors belong to nobody else.

    Args:
        networks: name -> state_dict on the CPU.
        state: tensors and plain values; its `progress` and `view` go into the manifest too.
        labels: `latest`, `5`, `iter_400`, ...
        keep_last: checkpoints kept whole, besides those that alone hold a label other than
            `latest`.
        safetensors: write <label>_net_<X>.safetensors as well.
        spared: number of a checkpoint that is kept in any case: the one that the run goes on from.
        keep_numbered: labels other than `latest` that are kept, the newest of them.
        all_states: this checkpoint keeps its training state for as long as it is kept.
        facts: what the manifest holds besides, in plain values.

    Returns: what is worth a warning. Raises SaveError, with what was needed and what is free.
    """
    folder = Path(run_dir, "snapshots")
    number = _next_number(folder)
    part, final = folder / f".{number:04d}.part", folder / f"{number:04d}"
    facts = {"labels": labels, "state_while_last": not all_states, **(facts or {})}
    facts |= {key: state[key] for key in ("progress", "view") if key in state}
    try:
        _clear_parts(folder)
        _write_files(part, _contents(networks, state, safetensors), facts)
        os.replace(part, final)
        atomic.sync(folder)
        told = [line for label in labels for line in publish(Checkpoint(final), label, run_dir)]
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        needed = [networks] * (2 if safetensors else 1) + [state]
        raise _not_saved(final, error, sum(t.nbytes for t in tensors_in(needed))) from error
    kept = list_checkpoints(run_dir)
    return told + prune(kept, Path(run_dir), keep_last, keep_numbered, all_states, spared)


def _next_number(folder: Path) -> int:
    taken = [int(file.name) for file in folder.glob("*") if _NUMBER.fullmatch(file.name)]
    return max(taken, default=0) + 1


def _not_saved(folder: Path, error: OSError, needed: int) -> SaveError:
    """What a checkpoint that cannot be written is told as.

    Args:
        needed: bytes.
    """
    room = f"{_free_mb(folder)} free"
    if error.errno == errno.EFBIG:
        room = "and a file may not be so large here: ulimit -f unlimited, or another disk"
    return SaveError(
        f"{folder}: checkpoint not saved ({error.strerror}): needs {needed / 1e6:.1f} MB, {room}; "
        "the checkpoints before it are whole"
    )


def _contents(
    networks: dict[str, dict[str, torch.Tensor]], state: dict[str, Any], safetensors: bool
) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file, one at a time: all of them would take as much memory again."""
    for name, weights in networks.items():
        yield f"net_{name}.pth", to_bytes(weights)
        if safetensors:
            yield f"net_{name}.safetensors", safetensors_bytes(weights)
    yield STATE, to_bytes(state)


def _write_files(
    folder: Path, contents: Iterator[tuple[str, bytes]], facts: dict[str, Any]
) -> None:
    """All files, and the manifest about them as the last one."""
    folder.mkdir(parents=True)
    files = {}
    for name, content in contents:
        atomic.write(folder / name, content)
        files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    saved = time.strftime("%Y-%m-%d %H:%M:%S")
    manifest = {**facts, "files": files, "versions": versions, "saved": saved}
    atomic.write(folder / MANIFEST, json.dumps(manifest, indent=1).encode())


def _clear_parts(folder: Path) -> None:
    """Remove what a killed process left unfinished."""
    for part in folder.glob(".*.part"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink()


def sha256_of(path: str | Path) -> str:
    """The digest of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _free_mb(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 1e6:.1f} MB"
