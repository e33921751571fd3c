"""Images of any size through networks that want multiples: padded by reflection, cut back after."""

from __future__ import annotations

from util.lazy import torch

Size = tuple[int, int]  # (height, width) px
Box = tuple[int, int, int, int]  # top, left, height, width px


def pad_batch(batch: dict, multiple: int, smallest: int) -> tuple[dict, dict[Size, Box]]:
    """Pad a batch's images to sides that a network takes.

    Images of two different sizes never come to the same one (the second is padded by a multiple
    more), so that a result's size tells which images it belongs to.

    Args:
        batch: "A", "B" and what is as large as one of them are padded, tensors (N, C, H, W).
        multiple, smallest: px; accepted are sides of a multiple of `multiple`, not below smallest.

    Returns: the batch, and padded size -> where the image is in it; empty if nothing was padded.
    """
    boxes: dict[Size, Box] = {}
    padded = dict(batch)
    is_image = {name: isinstance(v, torch.Tensor) and v.ndim == 4 for name, v in batch.items()}
    sizes = {tuple(batch[side].shape[-2:]) for side in ("A", "B") if is_image.get(side)}
    for name, images in batch.items():
        if not is_image[name] or (size := tuple(images.shape[-2:])) not in sizes:
            continue
        target = padded_size(size, multiple, smallest)
        while boxes.setdefault(target, centred(size, target)) != centred(size, target):
            target = tuple(side + multiple for side in target)
        padded[name] = reflect(images, target)
    if all(size == box[2:] for size, box in boxes.items()):
        boxes = {}
    return padded, boxes


def cut_back(images: torch.Tensor, boxes: dict[Size, Box]) -> torch.Tensor:
    """The part (N, C, H, W) of a result that belongs to the images before padding."""
    if tuple(images.shape[-2:]) not in boxes:
        return images
    top, left, height, width = boxes[tuple(images.shape[-2:])]
    return images[..., top : top + height, left : left + width]


def reflect(images: torch.Tensor, size: Size) -> torch.Tensor:
    """Images (N, C, H, W) in the middle of larger ones, mirrored at their edges as often as it
    takes."""
    for dim, side in zip((-2, -1), size, strict=True):
        if images.shape[dim] != side:
            images = images.index_select(dim, mirrored(images.shape[dim], side).to(images.device))
    return images


def padded_size(size: Size, multiple: int, smallest: int) -> Size:
    """The smallest size that a network takes and that holds an image of `size`."""
    return tuple(_up(max(side, smallest), multiple) for side in size)


def mirrored(side: int, padded: int) -> torch.Tensor:
    """Which of `side` places each of `padded` places shows: ... 2 1 0 1 2 ... n-1 n-2 ..."""
    period = max(1, 2 * (side - 1))
    places = (torch.arange(padded) - (padded - side) // 2) % period
    return torch.minimum(places, period - places) if side > 1 else torch.zeros_like(places)


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def centred(size: Size, target: Size) -> Box:
    """Where in `target` an image of `size` is."""
    return (target[0] - size[0]) // 2, (target[1] - size[1]) // 2, *size
