"""What passes between a model and the rest, looked at: batches, losses, pictures. Whoever wrote the
dataset or the model reads one line."""

from __future__ import annotations

from typing import Any

from util.errors import UserError
from util.lazy import torch


def described(value: Any) -> str:
    """A value in a few words, for messages."""
    if isinstance(value, torch.Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return f"a tensor of {kind} and shape {tuple(value.shape)}"
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    return f"of type {type(value).__name__}" + (f" and shape {tuple(shape)}" if shape else "")


def images_in(batch: dict, name: str, channels: int | None, giver: str, taker: str) -> torch.Tensor:
    """The images (N, C, H, W) of a batch under a name, floats in [-1, 1].

    Args:
        channels: that they have to have; None: any number.
        giver, taker: `--dataset_mode X` and `--model Y`, for messages.

    Raises:
        UserError: there are none, or something else.
    """
    for key in (name, f"{name}_paths"):
        if key not in batch:
            raise UserError(
                f"{giver} gives no {key!r}, which {taker} needs; use the model's own mode, or "
                "test.py --model test for one folder"
            )
    images = batch[name]
    if not isinstance(images, torch.Tensor) or images.ndim != 4 or not images.is_floating_point():
        raise UserError(
            f"{giver}: {name!r} of a batch is {described(images)}; {taker} takes images (N, C, H, "
            "W) of float32 in [-1, 1], so a sample has to hold (C, H, W)"
        )
    if channels is not None and images.shape[1] != channels:
        raise UserError(
            f"{giver}: {name!r} has {images.shape[1]} channels, but the networks of {taker} are "
            f"made for {channels}; give --input_nc or --output_nc {images.shape[1]}, or images of "
            f"{channels}"
        )
    return images


def loss_in(model: str, name: str, value: Any) -> torch.Tensor | float:
    """The value of a loss, without its graph.

    Args:
        model: the class, for messages.

    Raises:
        UserError: it is no number.
    """
    if isinstance(value, torch.Tensor):
        if value.numel() == 1 and not value.is_complex():
            return value.detach().reshape(())
    elif value is not None and not isinstance(value, (str, bytes)):
        try:
            return float(value.item() if hasattr(value, "item") else value)
        except (TypeError, ValueError):
            pass
    raise UserError(
        f"{model}: self.loss_{name} is {described(value)}; accepted: one number, a tensor of one "
        "value or a float; take its .mean(), or take the name out of loss_names"
    )


def picture_in(model: str, name: str, value: Any) -> Any:
    """A visual as it is: images (N, C, H, W), or an array (H, W, 3) in [0, 255].

    Raises:
        UserError: it is something else.
    """
    is_images = isinstance(value, torch.Tensor) and value.ndim == 4
    if is_images and not value.is_complex() and value.numel():
        return value
    shape = getattr(value, "shape", ())
    if not isinstance(value, torch.Tensor) and len(shape) == 3 and shape[-1] == 3:
        return value
    raise UserError(
        f"{model}: self.{name} is {described(value)}; accepted: images (N, C, H, W) in [-1, 1]; "
        "make it so, or take the name out of visual_names"
    )
