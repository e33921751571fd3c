"""Samples of a dataset, ours or a plug-in's: what they may hold, and how they become batches."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from util.errors import BadImage, UserError
from util.images.picture import Picture, in_unit
from util.lazy import torch
from util.tensors import with_tensors

BAD = "bad_images"  # in a sample and in a batch: file -> what is wrong with it
ACCEPTED = "accepted: tensors and arrays of numbers, numbers, text, and lists and dicts of these"


REMEDY = "make them equal, or use --preprocess resize_and_crop"


def pictures_in(sample: dict) -> list[str]:
    """The names of a sample's images that are no tensors yet, sorted."""
    return sorted(k for k, value in sample.items() if isinstance(value, (Picture, Image.Image)))


def refuse_another_size(image: Picture | Image.Image, other: Picture | Image.Image) -> None:
    """Raise BadImage if two images of a sample differ in size after `--preprocess`."""
    if image.size != other.size:
        sizes = [each.info.get("full", each.size) for each in (image, other)]
        path, partner = (each.info.get("path", "an image") for each in (image, other))
        raise BadImage(path, differ(sizes[0], partner, sizes[1]), REMEDY)


def differ(size: tuple[int, int], partner: str, partner_size: tuple[int, int]) -> str:
    """That two images which belong together have other (width, height) px."""
    (a, b), (c, d) = size, partner_size
    return f"{a}x{b} px, but its partner {partner} has {c}x{d}"


def checked_sample(sample: Any, dataset: str) -> dict:
    """A sample as the loader can stack it: arrays become tensors, float64 becomes float32, and a
    path text.

    Args:
        dataset: its class, for messages.

    Raises:
        UserError: it is no dict, or holds what cannot be stacked.
    """
    if not isinstance(sample, dict) or not sample:
        what = "an empty dict" if sample == {} else described(sample)
        raise UserError(
            f'{dataset}: a sample is {what}; accepted: a dict, as {{"A": a tensor '
            '(C, H, W), "A_paths": its file}'
        )
    return {key: _plain(value, f"{dataset}: {key!r} of a sample") for key, value in sample.items()}


def described(value: Any) -> str:
    """A value in a few words, e.g. `float64 of shape (3, 4)`, for messages."""
    if value is None:
        return "None"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind} of shape {tuple(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, (str, bool, int, float)):
        return f"{type(value).__name__} {value!r}"[:80]
    return f"of type {type(value).__name__}"


def _plain(value: Any, where: str) -> Any:
    """One value of a sample; `where` names it in messages."""
    if isinstance(value, torch.Tensor):
        return _plain_tensor(value, where)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        kept = value.astype(np.float32) if value.dtype.kind == "f" else value
        return torch.tensor(kept.astype(np.int32) if value.dtype == np.uint16 else kept)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if isinstance(value, (str, bytes, bool, int, float)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {key: _plain(inner, f"{where}, {key!r},") for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        inner = [_plain(each, f"{where}, place {place},") for place, each in enumerate(value)]
        return type(value)(*inner) if hasattr(value, "_fields") else type(value)(inner)
    remedy = "leave the key out, or convert it"
    if isinstance(value, (Picture, Image.Image)):
        remedy = "make it a tensor: self.crop_and_flip(image, params), or get_transform"
    raise UserError(f"{where} is {described(value)}; {ACCEPTED}; {remedy}")


def _plain_tensor(tensor: torch.Tensor, where: str) -> torch.Tensor:
    if tensor.device.type != "cpu":
        raise UserError(
            f"{where} is a tensor on {tensor.device}; accepted: tensors on the CPU, which the "
            "loader brings to --device; leave its .to() out"
        )
    if tensor.requires_grad:
        raise UserError(
            f"{where} is a tensor that requires grad ({described(tensor)}); accepted: plain "
            "values; give its .detach()"
        )
    if tensor.is_sparse or tensor.is_complex() or tensor.is_quantized:
        raise UserError(f"{where} is {described(tensor)}, {tensor.layout}; {ACCEPTED}; convert it")
    return _single(tensor)


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def collate(
    samples: list[dict],
    normalize: Callable[[dict], dict] | None = None,
    dataset: str = "the dataset",
) -> dict:
    """Stack samples to a batch; `{"error": message}` if one failed or they do not fit together. A
    batch without images holds nothing but the bad ones.

    Args:
        normalize: from a batch as the samples are to one with images in [-1, 1].
        dataset: its class, for messages.
    """
    for sample in samples:
        if "error" in sample:
            return sample
    bad = {path: why for sample in samples for path, why in sample.pop(BAD, {}).items()}
    samples = [sample for sample in samples if sample]
    if not samples:
        return {BAD: bad}
    if misfit := _misfit(samples, dataset):
        return {"error": misfit}
    for name, value in samples[0].items():
        if len({s[name].dtype for s in samples if isinstance(value, torch.Tensor)}) > 1:
            for sample in samples:  # of 8 bits, and of more
                sample[name] = in_unit(sample[name])
    batch = with_tensors(torch.utils.data.default_collate(samples), _single)
    return (normalize(batch) if normalize else batch) | ({BAD: bad} if bad else {})


def _misfit(samples: list[dict], dataset: str) -> str:
    """What keeps samples from being stacked; empty if nothing does."""
    first, count = samples[0], len(samples)
    keys = {key for sample in samples for key in sample}
    for key in sorted(keys, key=str):
        holders = [sample for sample in samples if key in sample]
        if len(holders) < count:
            return (
                f"{dataset}: {key!r} is in {len(holders)} of {count} samples of a batch; give all "
                "samples the same keys"
            )
        if len({repr(_form(sample[key])) for sample in samples}) == 1:
            continue
        values = [sample[key] for sample in samples]
        if all(isinstance(value, torch.Tensor) and value.ndim == 3 for value in values):
            shapes = sorted({tuple(value.shape) for value in values})
            if len({shape[0] for shape in shapes}) == 1:
                sizes = ", ".join(f"{width}x{height}" for _, height, width in shapes)
                return (
                    f"--batch_size {count}: images of different sizes ({key}: {sizes} px) do not "
                    "stack; use --batch_size 1, or --preprocess resize_and_crop"
                )
        other = next(value for value in values if _form(value) != _form(first[key]))
        return (
            f"{dataset}: --batch_size {count}: {key!r} is {described(first[key])} in one sample "
            f"and {described(other)} in another, which do not stack; make them alike, or use "
            "--batch_size 1"
        )
    return ""


def _form(value: Any) -> Any:
    """What has to be alike in samples that are stacked: shapes, lengths and kinds."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        return {key: _form(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_form(inner) for inner in value]
    return "text" if isinstance(value, (str, bytes)) else "number"
