"""What an export says of itself: an .onnx or .pt2 file, or a folder for a model hub. Reading it
needs no package that runs such files, and no more of the file than where the facts stand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from util.atomic import refuse_special
from util.errors import UserError

SUFFIXES = (".onnx", ".pt2")
FACTS = "facts.json"  # within a .pt2
CONFIG, WEIGHTS = "config.json", "model.safetensors"  # of a hub's folder, as its clients expect
MOST_BYTES = 2**20  # of facts
METADATA, KEY, VALUE = 14, 1, 2  # numbers of fields in onnx.proto: of a model, and of a fact
VARINT, FIXED64, TEXT, FIXED32 = 0, 1, 2, 5  # kinds of fields of protobuf


def is_export(path: str | Path) -> bool:
    """Whether there is a file of a kind that scripts/export.py writes, or a hub's folder."""
    path = Path(path)
    if path.suffix.lower() in SUFFIXES:
        return path.is_file()
    return (path / CONFIG).is_file() and (path / WEIGHTS).is_file()


def is_file(path: str | Path) -> bool:
    """Whether it is an export that computes by itself, and not by weights."""
    return Path(path).suffix.lower() in SUFFIXES and Path(path).is_file()


def read_facts(path: str | Path) -> dict[str, Any]:
    """What scripts/export.py wrote down: name -> text, and "options", the run's own.

    Raises:
        UserError: it is damaged, or somebody else's.
    """
    path = Path(path)
    try:
        if path.is_dir():
            facts = _json(path / CONFIG)
        elif path.suffix.lower() == ".onnx":
            facts = _of_onnx(path)
        else:
            facts = _of_pt2(path)
        facts["options"] = _parsed(facts["options"])
        if not isinstance(facts["options"], dict) or not isinstance(facts["run"], str):
            raise ValueError("its options are no options")
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, UserError):
            raise
        why = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise UserError(
            f"{path}: not an export that scripts/export.py has written whole ({why}); write it "
            "anew: python scripts/export.py RUN"
        ) from error
    return facts


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _json(path: Path) -> dict[str, Any]:
    refuse_special(path)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path.name} is larger than facts are")
    facts = json.loads(path.read_bytes())
    if not isinstance(facts, dict):
        raise ValueError(f"{path.name} holds no names and values")
    return facts


def _of_pt2(path: Path) -> dict[str, Any]:
    refuse_special(path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{FACTS}")]
        if not names or archive.getinfo(names[0]).file_size > MOST_BYTES:
            raise ValueError(f"no {FACTS} in it")
        return json.loads(archive.read(names[0]))


def _of_onnx(path: Path) -> dict[str, Any]:
    refuse_special(path)
    facts = {}
    with path.open("rb") as file:
        for number, content in _fields(file, path.stat().st_size, {METADATA}):
            if number == METADATA:
                fact = dict(_fields(io.BytesIO(content), len(content), {KEY, VALUE}))
                facts[fact[KEY].decode()] = fact[VALUE].decode()
    return facts


def _fields(file: BinaryIO, end: int, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """Number and content of a protobuf message's texts that are wanted; others are passed over."""
    while file.tell() < end:
        tag = _varint(file)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _varint(file)
        elif kind in (FIXED64, FIXED32):
            file.read(8 if kind == FIXED64 else 4)
        elif kind == TEXT:
            size = _varint(file)
            if file.tell() + size > end:
                raise ValueError("it is cut off")
            if number not in wanted:
                file.seek(file.tell() + size)
            elif size > MOST_BYTES:
                raise ValueError("a fact of many bytes")
            else:
                yield number, file.read(size)
        else:
            raise ValueError("not a file of ONNX")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it is cut off")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("not a file of ONNX")
