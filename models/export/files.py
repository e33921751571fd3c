"""The two kinds of files: how a PictureNet becomes one, and how one is run."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.export.picture_net import PictureNet
from util.checkpoints.exports import FACTS
from util.errors import UserError
from util.lazy import Lazy

onnx_ir, onnxruntime = Lazy("onnx_ir"), Lazy("onnxruntime")

OPSET = 20
INPUT, OUTPUTS = "pictures", ("translations", "values")
SIDES = ("batch", "height", "width")
NEEDED = "pip install -r requirements-export.txt"
Facts = dict[str, str]


def check_packages(*names: str) -> None:
    """Raise UserError, with what to install, unless these packages are there."""
    for name in names:
        try:
            __import__(name)
        except ImportError as error:
            raise UserError(f"the package {name} is needed ({error}): {NEEDED}") from None


def taken_down(net: PictureNet, channels: int) -> torch.export.ExportedProgram:
    """What a network computes, for pictures (N, H, W, channels) of any size and number.

    Raises:
        UserError: torch.export cannot follow the network.
    """
    dtype = torch.float32 if net.floats else torch.uint8
    example = torch.zeros(2, 31, 37, channels, dtype=dtype)
    sizes = dict.fromkeys(range(3), torch.export.Dim.DYNAMIC)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(net, (example,), dynamic_shapes=(sizes,), strict=False)
    except Exception as error:  # of whatever the network's own code does
        raise UserError(
            f"torch.export cannot follow {type(net.around.net).__name__}: {type(error).__name__}: "
            f"{first_line(error)}; what depends on an image's values or size in Python has to go"
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names folders of this machine
    program._example_inputs = None
    return program


def write_onnx(program: torch.export.ExportedProgram, path: Path, facts: Facts) -> None:
    """An .onnx file of opset OPSET, the facts as its metadata."""
    check_packages("onnx", "onnxscript")
    with quiet():
        made = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, verbose=False, input_names=[INPUT],
            output_names=list(OUTPUTS),
        )  # fmt: skip
    graph = made.model.graph
    for value in (*graph.inputs, *graph.outputs):
        value.shape = onnx_ir.Shape([*SIDES, value.shape[-1]])
    for part in (graph, *graph.inputs, *graph.outputs, *graph.all_nodes()):
        part.metadata_props.clear()  # of the exporter: folders of this machine
    made.model.metadata_props.clear()
    made.model.metadata_props.update(facts)
    made.model.producer_name = "image_translation"
    made.save(path)


def write_pt2(program: torch.export.ExportedProgram, path: Path, facts: Facts) -> None:
    """A .pt2 file, the facts within it as JSON."""
    content = io.BytesIO()  # a path would have to end with .pt2
    extra = {FACTS: json.dumps(facts, indent=1, ensure_ascii=False)}
    with quiet():
        torch.export.save(program, content, extra_files=extra)
    path.write_bytes(content.getvalue())


class OnnxFile:
    """An .onnx file, run by onnxruntime.

    Args:
        device: "cpu" or "cuda".
        threads: that compute one picture; 0: as onnxruntime decides.
    """

    def __init__(self, path: Path, device: str = "cpu", threads: int = 0) -> None:
        check_packages("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise UserError(
                f"--device {device}: this onnxruntime computes on the CPU alone; give --device "
                "cpu, or pip install onnxruntime-gpu in its place"
            )
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=[provider])
        except Exception as error:
            raise _unreadable(path, error) from error
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self.floats = self.session.get_inputs()[0].type == "tensor(float)"

    def run(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, H, W, C) uint8, or float32 in [0, 1] -> the pictures and the values that PictureNet
        gives."""
        return tuple(self.session.run(list(OUTPUTS), {INPUT: pictures}))


class Pt2File:
    """A .pt2 file, run by torch.

    Args:
        device: of torch.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        try:
            with quiet():
                program = torch.export.load(io.BytesIO(path.read_bytes()))
            if device != "cpu":
                program = torch.export.passes.move_to_device_pass(program, device)
        except Exception as error:
            raise _unreadable(path, error) from error
        self.device = torch.device(device)
        self.module = program.module()
        self.runtime = f"torch {torch.__version__}"
        (given,) = [node for node in program.graph.nodes if node.op == "placeholder"
                    and node.name in program.graph_signature.user_inputs]  # fmt: skip
        self.floats = given.meta["val"].dtype == torch.float32

    def run(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As of OnnxFile."""
        with torch.inference_mode():
            made = self.module(torch.from_numpy(pictures).to(self.device))
        return tuple(each.cpu().numpy() for each in made)


def opened(path: Path, device: str = "cpu", kind: str = "") -> OnnxFile | Pt2File:
    """A file, ready to run.

    Args:
        kind: "onnx" or "pt2"; empty: as its ending says.
    """
    kinds: dict[str, Any] = {"onnx": OnnxFile, "pt2": Pt2File}
    return kinds[kind or path.suffix.lower()[1:]](path, device)


def first_line(error: Exception) -> str:
    """What a library says first."""
    lines = (line for line in str(error).splitlines() if line.strip())
    return next(lines, "")[:200]


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: cannot be run ({first_line(error)}); write it anew: python scripts/export.py RUN"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporters log of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
