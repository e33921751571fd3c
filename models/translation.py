"""Images through a trained model: in batches, in order, each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from models.compute.norms import ImageNoise
from models.padding import cut_back, pad_batch
from util.direction import oriented
from util.errors import UserError, begun
from util.lazy import nn, torch
from util.seed import mix, seed_everything

# (side -> file, label -> image (1, C, H, W) in [-1, 1], on the CPU); side "A" is the source
Translated = "tuple[dict[str, str], dict[str, torch.Tensor]]"  # torch is not needed for it yet


class Translator(Protocol):
    """What is asked of a model."""

    device: torch.device
    accepted_sides: tuple[int, int]

    def networks(self) -> dict[str, nn.Module]: ...

    def set_input(self, input: dict) -> None: ...

    def test(self) -> None: ...

    def get_current_visuals(self) -> dict[str, torch.Tensor]: ...

    def get_image_paths(self) -> list[str]: ...


def translate(
    model: Translator, singles: Iterable[dict], batch_size: int, seed: int, direction: str
) -> Iterator[Translated]:
    """Every image's pictures, in the order of the images, whatever sizes there are.

    Args:
        model: set to test.
        singles: the loader's batches, of one image each.
        batch_size: images that go through the network at once, if they are of one size.
        seed: of all noise, with the place of an image among all.
        direction: "AtoB" or "BtoA".

    Raises:
        UserError: a picture is not finite, or from `singles`; after all that came before.
    """
    noise = ImageNoise(model.networks().values(), model.device)
    done: dict[int, Translated] = {}
    due = 0
    for places, batch in by_size(singles, batch_size):
        seeds = [mix(seed, place) for place in places]
        noise.seed(seeds)
        seed_everything(seeds[0])  # what else is drawn does not depend on what came before
        done |= zip(places, _translate_batch(model, batch, direction), strict=True)
        while due in done:
            files, pictures = done.pop(due)
            check_pictures(pictures, [files["A"]])
            yield files, pictures
            due += 1


def _translate_batch(model: Translator, batch: dict, direction: str) -> Iterator[Translated]:
    source, target = oriented(direction, "A_paths", "B_paths")
    padded, boxes = pad_batch(batch, *model.accepted_sides)
    model.set_input(padded)
    model.test()
    visuals = {
        name: cut_back(images, boxes).cpu() for name, images in model.get_current_visuals().items()
    }
    targets = batch.get(target) if source in batch else None
    for i, path in enumerate(model.get_image_paths()):
        files = {"A": path} | ({"B": targets[i]} if targets else {})
        yield files, {label: images[i : i + 1] for label, images in visuals.items()}


def by_size(singles: Iterable[dict], most: int) -> Iterator[tuple[list[int], dict]]:
    """Take `most` batches of one image at a time, and put together those of one size.

    Args:
        singles: dicts of tensors (1, ...), lists of one string, and the like.

    Yields: places in `singles`, and the batch. A batch that begins earlier comes earlier.

    Raises:
        UserError: from `singles`, after all that came before it.
    """
    first = 0
    for chunk in _chunks(singles, most):
        groups: dict[tuple, list[int]] = {}
        for place, single in enumerate(chunk):
            groups.setdefault(_shapes(single), []).append(place)
        for places in groups.values():
            yield [first + place for place in places], stack([chunk[place] for place in places])
        first += len(chunk)


def stack(values: list[Any]) -> Any:
    """Several values of one image each, as the loader would have made them of all."""
    if len(values) == 1:
        return values[0]
    one = values[0]
    if isinstance(one, torch.Tensor):
        return torch.cat(values)
    if isinstance(one, dict):
        return {name: stack([value[name] for value in values]) for name in one}
    if all(isinstance(item, str) for item in one):
        return [item for value in values for item in value]
    return [stack(list(items)) for items in zip(*values, strict=True)]


def _chunks(items: Iterable[dict], most: int) -> Iterator[list[dict]]:
    chunk: list[dict] = []
    try:
        for item in items:
            chunk.append(item)
            if len(chunk) == most:
                yield chunk
                chunk = []
    except UserError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _shapes(single: dict) -> tuple:
    return tuple(
        (name, value.shape) for name, value in single.items() if isinstance(value, torch.Tensor)
    )


@begun()
def check_pictures(visuals: dict[str, torch.Tensor], paths: list[str]) -> None:
    """Raise UserError (exit code 1) if a picture would be black because it is not finite."""
    for label, images in visuals.items():
        if torch.isfinite(images.sum()):  # one pass instead of four; finite numbers may overflow
            continue
        for image, path in zip(images, paths, strict=False):
            if not torch.isfinite(image).all():
                raise UserError(
                    f"{label} of {path} is not finite: the network or the image holds NaN or "
                    "infinite numbers; choose another --epoch, or look at the image"
                )
