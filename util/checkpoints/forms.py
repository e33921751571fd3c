"""What a manifest and a training state have to look like: an edit, another program or another
version may have left right bytes of a form that was never written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from util import atomic
from util.lazy import torch
from util.tensors import all_finite, tensors_in

PROGRESS = ("epoch", "seen", "images", "size")  # see util.training.checkpointer
RANDOM = {"python", "numpy", "torch", "cuda"}  # see util.seed
STATE = {"progress": dict, "model": dict, "local": list, "view": dict}  # key -> type


def read_manifest(path: Path) -> dict[str, Any]:
    """A checkpoint's manifest; empty where there is none, or one of an unexpected form."""
    try:
        atomic.refuse_special(path)
        manifest = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(manifest, dict):
        return {}
    labels, files = manifest.get("labels"), manifest.get("files")
    good = isinstance(labels, list) and all(map(atomic.stays, labels))
    good = good and isinstance(files, dict) and all(map(_is_entry, files, files.values()))
    return manifest if good and _is_progress(manifest.get("progress", {})) else {}


def _is_entry(name: str, entry: Any) -> bool:
    known = isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys()
    return known and atomic.stays(name)


def _is_progress(progress: Any) -> bool:
    """Whether it tells where a training is, as far as it goes: whole numbers from 0 up."""
    numbers = list(progress.values()) if isinstance(progress, dict) else [-1]
    return all(type(number) is int and number >= 0 for number in numbers)


def _is_local(part: Any) -> bool:
    """Whether it is what one process of a training has: pools and random numbers."""
    kept = [part.get(key) for key in ("model", "random")] if isinstance(part, dict) else [None]
    if not all(isinstance(each, dict) for each in kept) or not kept[1].keys() >= RANDOM:
        return False
    python, numpy, of_torch = (kept[1][key] for key in ("python", "numpy", "torch"))
    lists = all(isinstance(each, list) and len(each) >= 3 for each in (python, numpy))
    return lists and isinstance(of_torch, torch.Tensor) and of_torch.dtype == torch.uint8


def wrong_in_progress(progress: dict) -> str:
    """What is wrong with the position of a training; empty if nothing is."""
    if missing := [key for key in PROGRESS if key not in progress]:
        return f"'progress' lacks {missing[0]!r}"
    return "" if _is_progress(progress) else "'progress' accepts whole numbers from 0 up"


def wrong_in_state(state: Any) -> str:
    """What is wrong with the form of a training state, or with its numbers; empty if nothing is."""
    if not isinstance(state, dict):
        return f"holds {type(state).__name__}"
    for key, kind in STATE.items():
        if key not in state:
            return f"{key!r} is missing"
        if not isinstance(state[key], kind):
            return f"{key!r} is {type(state[key]).__name__}"
    if wrong := wrong_in_progress(state["progress"]):
        return wrong
    if not _is_progress(state["view"]):
        return "'view' accepts whole numbers from 0 up"
    if not state["local"] or not all(map(_is_local, state["local"])):
        return "'local' is not a list of what each process has"
    if not all_finite(tensors_in(state["model"])):
        return "holds numbers that are not finite"
    return ""
