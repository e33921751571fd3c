"""An .onnx file whose convolutions compute in 8 bits, and whether that gains anything."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.export.files import INPUT, OnnxFile, quiet
from util.lazy import Lazy

quantization = Lazy("onnxruntime.quantization")

CALIBRATION = 8  # pictures whose ranges decide
ROUNDS = 7


class Gain(NamedTuple):
    """What 8 bits bring, and what they cost.

    speed_up: seconds in float by seconds in 8 bits, medians.
    psnr: of the pictures against those in float, dB; the mean over pictures.
    """

    speed_up: float
    psnr: float

    def describe(self) -> str:
        """For people."""
        return (
            f"int8: {self.speed_up:.2f} times as fast as in float, pictures at "
            f"{self.psnr:.1f} dB (PSNR) from those in float"
        )


def quantize(source: Path, target: Path, batches: list[np.ndarray]) -> None:
    """Write a file in 8 bits.

    Args:
        batches: pictures as the file takes them, whose ranges decide.
    """
    with quiet():
        quantization.quantize_static(
            source, target, _reader(batches),
            quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=["Conv"],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip


def _reader(batches: list[np.ndarray]) -> object:
    class Reader(quantization.CalibrationDataReader):
        """Gives the batches one after the other."""

        def __init__(self) -> None:
            self.left: Iterator[np.ndarray] = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next one; None at the end."""
            batch = next(self.left, None)
            return None if batch is None else {INPUT: batch}

    return Reader()


def compare(in_float: Path, in_8_bits: Path, batches: list[np.ndarray]) -> Gain:
    """Both on the same pictures, in turns."""
    files = [OnnxFile(in_float), OnnxFile(in_8_bits)]
    ratios = []
    for batch in batches:
        one, other = (file.run(batch)[0].astype(np.float64) for file in files)
        peak = 1.0 if files[0].floats else 255.0
        ratios.append(10 * np.log10(peak**2 / max(1e-12, np.mean((one - other) ** 2))))
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for file, seconds in zip(files, times, strict=True):
            began = time.perf_counter()
            file.run(batches[0])
            seconds.append(time.perf_counter() - began)
    one, other = map(statistics.median, times)
    return Gain(one / other, float(np.mean(ratios)))
