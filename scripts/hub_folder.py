"""The part of export.py that writes a folder for a model hub."""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from models.export import facts, hub
from scripts import examples
from scripts.tool import glue
from translate import Translator
from util.errors import UserError, begun, say
from util.images.picture import Picture
from util.metrics.intervals import bootstrap_interval
from util.results.folder import METRICS_FILE, read_metrics

SAMPLES = 3
SAMPLE_PX = 512  # of the longer side


@begun()
def write(
    translator: Translator, args: argparse.Namespace, out: Path, shown: examples.Examples
) -> None:
    """A folder that appears under its name when it is whole, and gives the network's pictures."""
    opt = translator.opt
    (net,) = translator.model.networks().values()
    known = facts.of_run(vars(opt), opt.trained, net, translator.channels, False, args.license)
    known = hub.config(known, vars(opt))
    pictures = shown.load(translator, SAMPLES)
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".export") as spare:
        part = Path(spare, out.name)
        part.mkdir()
        samples = _samples(translator, pictures, part) if shown.files else []
        data = Path(opt.trained.get("dataroot") or "").name
        measured = _metrics(opt.name, opt.epoch_label)
        hub.write(part, net, known, hub.card(known, data, measured, samples, args.license))
        _compare(translator, part)
        part.rename(out)
    say("read back: the same layers, the same weights")
    if samples:
        say(f"{out}/samples shows {len(samples)} images of {shown.where}: may they be published?")
    if not args.license:
        say(f"{out}/README.md: no licence is in it; --license mit, cc-by-4.0, ... puts one there")
    say(f"written: {out}; to push it: hf upload USER/{out.name} {out}")


def _samples(translator: Translator, pictures: list[Picture], folder: Path) -> list[str]:
    """Write input and translation side by side. Returns: the files, relative to the folder."""
    (folder / "samples").mkdir()
    files = []
    for number, picture in enumerate(pictures, 1):
        scale = min(1, SAMPLE_PX / max(picture.size))
        size = tuple(max(1, round(side * scale)) for side in picture.size)
        batch = examples.batch([picture], size, floats=False)
        made = (examples.reference(translator, batch)[0] + 1) * 127.5
        both = [_rgb(batch[0]), _rgb(made.round().clip(0, 255).astype(np.uint8))]
        files.append(f"samples/{number}.png")
        glue(*both).save(folder / files[-1])
    return files


def _rgb(values: np.ndarray) -> Image.Image:
    """(H, W, C) as a picture in colour; of other numbers of channels than three the first."""
    values = values if values.shape[2] == 3 else values[..., :1].repeat(3, axis=2)
    return Image.fromarray(np.ascontiguousarray(values))


def _metrics(run: str, label: str) -> dict[str, str]:
    """Name -> mean and interval, of the figures that lie beside the results of test.py."""
    folder = Path("results", run, f"test_{label}")
    if not (folder / METRICS_FILE).is_file():
        return {}
    rows = read_metrics(folder).values()
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: _interval([row[name] for row in rows if name in row]) for name in names}


def _interval(values: list[float]) -> str:
    """The mean, and its interval."""
    low, high = bootstrap_interval(np.array(values))
    return f"{statistics.fmean(values):.4g} ({low:.4g} to {high:.4g}), {len(values)} images"


def _compare(translator: Translator, folder: Path) -> None:
    """Raise UserError if the folder is read back as another network than went into it."""
    flags = {"eval": True} if translator.opt.eval else {}
    again = Translator.load(folder, device="cpu", precision="fp32", tile="off", **flags)
    nets = [next(iter(one.model.networks().values())) for one in (translator, again)]
    one, other = ((facts.digest(net), str(net)) for net in nets)
    if one != other:
        raise UserError(
            "the folder is not the network: read back, its weights or layers are others; nothing "
            "is written"
        )
