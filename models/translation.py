"""Images through a trained model: in batches, in order, each as if it were alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from models.padding import cut_back, pad_batch
from util.direction import oriented
from util.errors import BadImage, UserError, begun, warn
from util.lazy import Lazy, torch
from util.machine import is_out_of_memory, want_of_memory
from util.seed import mix, seed_everything

Collate = Callable[[list[dict]], dict]  # from samples of one size to their batch
compute, steady = Lazy("models.compute.configure"), Lazy("models.compute.steady")
tiles, stream = Lazy("models.tiles.form"), Lazy("models.tiles.stream")


class OneNetwork(NamedTuple):
    """A translation that is one call of a network; what else is done goes pixel by pixel.

    Args:
        net: the network.
        options: further arguments of its forward.
        finish: from a function that gives a part of the network's input, and the network's output
            for it, (1, C, h, w) each, to the part of the picture.
    """

    net: Any
    options: dict[str, Any] = {}
    finish: Callable[[Callable[[], torch.Tensor], torch.Tensor], torch.Tensor] = (
        lambda given, made: made
    )


class Translation(NamedTuple):
    """What became of one image.

    Args:
        files: side -> file; side "A" is the source.
        pictures: label -> image (1, C, H, W) in [-1, 1], on the CPU.
    """

    files: dict[str, str]
    pictures: dict[str, torch.Tensor]


def tile_model(model: Any, flags: Mapping[str, Any]) -> None:
    """Let a model's networks compute in tiles, as `--tile` and `--tile_...` say."""
    if tiling := tiles.Tiling.of(flags):
        tiles.tile_networks(model.networks().values(), tiling)


def translate(
    model: Any,
    lists: Iterable[list[dict]],
    collate: Collate,
    seed: int,
    direction: str,
    bad: dict[str, str] | None = None,
) -> Iterator[Translation]:
    """Every image's pictures, in the order of the images, whatever sizes there are. What does not
    fit into memory with others is translated alone.

    Args:
        model: a BaseModel, set to test.
        lists: of samples; those of one list that are of one size go through the network at once.
        seed: of all noise, with the place of an image among all.
        direction: "AtoB" or "BtoA".
        bad: file -> what is wrong with it; gets those that do not fit into memory alone either.

    Raises:
        UserError: a picture is not finite, or does not fit into memory (without `bad`), or from
            `lists`; after all that came before.
    """
    nets, due = model.networks().values(), 0
    done: dict[int, Translation | None] = {}
    with compute.image_noise(nets, model.device) as noise:

        def translated(places: list[int], samples: list[dict]) -> list[Translation]:
            seeds = [mix(seed, place) for place in places]
            noise.seed(seeds)
            seed_everything(seeds[0])  # what else is drawn does not depend on what came before
            return list(_translate_batch(model, collate(samples), direction))

        def leave_out(sample: dict) -> None:
            failure = _too_large(*_path_and_size(sample, direction))
            if bad is None:
                raise failure
            warn(f"{failure}; left out")
            bad[failure.path] = str(failure)

        for places, samples in by_size(lists):
            done |= zip(places, _as_fits(translated, places, samples, leave_out), strict=True)
            while due in done:
                translation, due = done.pop(due), due + 1
                if translation is None:
                    continue
                check_pictures(translation.pictures, [translation.files["A"]])
                yield translation


def _as_fits(
    translated: Callable[[list[int], list[dict]], list[Translation]],
    places: list[int], samples: list[dict], leave_out: Callable[[dict], None],
) -> list[Translation | None]:  # fmt: skip
    """All at once if there is memory for it, else one after the other; None for those that need too
    much alone."""
    try:
        return translated(places, samples)
    except UserError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # their variables hold the most
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if len(samples) > 1:
        each = [([place], [sample]) for place, sample in zip(places, samples, strict=True)]
        return [one for alone in each for one in _as_fits(translated, *alone, leave_out)]
    leave_out(samples[0])
    return [None]


def _path_and_size(sample: dict, direction: str) -> tuple[str, int, int]:
    """(file, height, width)."""
    path = sample.get(oriented(direction, "A_paths", "B_paths")[0]) or sample["A_paths"]
    return path, *_shapes(sample)[0][1][-2:]


def _too_large(path: str, height: int, width: int) -> BadImage:
    remedy = "try a small --tile_memory, or make it smaller"
    return BadImage(path, f"out of memory at {width}x{height} px", remedy)


def _translate_batch(model: Any, batch: dict, direction: str) -> Iterator[Translation]:
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
        yield Translation(files, {label: images[i : i + 1] for label, images in visuals.items()})


def translate_alone(model: Any, sample: dict, seed: int, direction: str) -> torch.Tensor:
    """What a model makes of one image: (1, C, H, W) in [-1, 1], on the CPU.

    Args:
        model: a BaseModel, set to test.
        sample: uncollated, "A" and "A_paths" at least.
        seed: of all noise. The image at a place among those of `translate` has mix(seed, place).
        direction: "AtoB" or "BtoA".

    Raises:
        BadImage: it needs more memory than there is.
    """
    return translate_together(model, [sample], [seed], direction)[0]


def translate_parts(
    model: Any, shape: tuple[int, ...], read: Callable[..., torch.Tensor],
    write: Callable[..., None], seed: int, path: str,
) -> bool:  # fmt: skip
    """`translate_alone` of a large image, which is never whole as floats, nor is its translation.

    Args:
        shape: (1, C, H, W) of the image.
        read: a Region -> its part of the image, (1, C, h, w) in [-1, 1].
        write: takes a Region, its part of the translation, and (H, W) px of all of it.
        path: of the image, for messages.

    Returns: whether it was translated; if not, it is to be translated as a whole.
    """
    if not (one := model.one_network()):
        return False

    def checked(region: Any, part: torch.Tensor, size: tuple[int, int]) -> None:
        check_pictures({"the translation": part}, [path])
        write(region, part, size)

    with compute.image_noise([one.net], model.device) as noise, torch.inference_mode():
        noise.seed([seed])
        given = one, shape, read, checked, model.device, model.accepted_sides
        with want_of_memory(lambda _: _too_large(path, *shape[2:])):
            return stream.translate_parts(*given)


def translate_together(
    model: Any, samples: list[dict], seeds: list[int], direction: str
) -> list[torch.Tensor]:
    """`translate_alone` of images of one size, which go through the network at once.

    Args:
        samples, seeds: of each image.
    """
    batch = _stacked(samples)
    with compute.image_noise(model.networks().values(), model.device) as noise:
        noise.seed(seeds)
        with want_of_memory(lambda _: _too_large(*_path_and_size(samples[0], direction))):
            found = [one.pictures for one in _translate_batch(model, batch, direction)]
    for pictures, path in zip(found, model.get_image_paths(), strict=True):
        check_pictures(pictures, [path])
    return [pictures[_made(model, pictures)] for pictures in found]


def _made(model: Any, pictures: dict[str, torch.Tensor]) -> str:
    """The visual that is the translation."""
    known = model.translation_names
    return next(name for name in pictures if name in known or name.startswith("fake"))


def hold_statistics(model: Any, samples: list[dict], seed: int, direction: str) -> str:
    """From here on the norms take all images by the same statistics, those of some of them; see
    `models.compute.steady`.

    Args:
        model: a BaseModel, set to test.
        samples: uncollated, as of `translate_alone`; those of one size go through at once where
            memory holds all of them.
        seed: of their noise.

    Returns: what is held now, in words.
    """
    if not (nets := list(model.networks().values())):
        raise UserError("--steady: an exported file's norms cannot be held; give the run's folder")
    groups = [group for _, group in by_size([samples])]
    if len(groups) > 1 or not _all_fit(model, samples):
        groups = [[sample] for sample in samples]
    with compute.image_noise(nets, model.device) as noise:

        def run_of(group: list[dict]) -> Callable[[], None]:
            def run() -> None:
                noise.seed([seed] * len(group))
                list(_translate_batch(model, _stacked(group), direction))

            return run

        count = steady.hold_statistics(nets, [run_of(group) for group in groups])
    held = f"{count} norms by the statistics of {len(samples)} images"
    return held if count else "norms by running statistics, which are the same for all"


def _all_fit(model: Any, samples: list[dict]) -> bool:
    """Whether there is memory for samples of one size in one batch, as far as is known.

    Raises:
        UserError: there is not enough for one of them.
    """
    shape = tuple(pad_batch(_stacked(samples[:1]), *model.accepted_sides)[0]["A"].shape)
    room = tiles.Tiling().room(model.device)
    try:
        each = max(tiles.whole_bytes(tiles.record(net, shape)) for net in model.networks().values())
    except UserError:  # it computes what cannot be written down
        return False
    if each > room:
        raise UserError(
            f"--steady: images of {shape[3]}x{shape[2]} px take {each / 2**30:.1f} GiB whole, as "
            f"their statistics need, {room / 2**30:.1f} GiB may be taken; make them smaller, or "
            "leave --steady out"
        )
    return len(samples) * each <= room


def _stacked(samples: list[dict]) -> dict:
    """A batch of uncollated samples of one size."""
    return {
        name: torch.stack([s[name] for s in samples])
        if isinstance(value, torch.Tensor)
        else [s[name] for s in samples]
        for name, value in samples[0].items()
    }


def by_size(lists: Iterable[list[dict]]) -> Iterator[tuple[list[int], list[dict]]]:
    """Put together the samples of a list that are of one size.

    Args:
        lists: of dicts of tensors (C, H, W), strings, and the like.

    Yields: places among all samples, and the samples. What begins earlier comes earlier.
    """
    first = 0
    for samples in lists:
        groups: dict[tuple, list[int]] = {}
        for place, sample in enumerate(samples):
            groups.setdefault(_shapes(sample), []).append(place)
        for places in groups.values():
            yield [first + place for place in places], [samples[place] for place in places]
        first += len(samples)


def _shapes(sample: dict) -> tuple:
    return tuple(
        (name, value.shape) for name, value in sample.items() if isinstance(value, torch.Tensor)
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
