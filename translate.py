"""Translate images with a trained network: files on the command line, or anything from Python.

    python translate.py --name horse2zebra in.jpg -o out.png
    python translate.py --name horse2zebra photos/ "more/*.tif" -o translated/ --skip_existing
    python translate.py --name horse2zebra - -o - < in.png > out.png
    python translate.py --name horse2zebra in.mp4 -o out.mp4 --steady

    from translate import Translator
    translator = Translator.load("checkpoints/horse2zebra")
    image = translator(image)

The pictures are those of test.py in the images' own sizes (--preprocess keep), with their depth and
opacity; sub-folders of a folder are kept. docs/from_python.md tells what a Translator takes,
docs/video.md what becomes of a video.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from util import signals

if __name__ == "__main__":
    signals.guard_start()  # the imports take a while

from data.image_folder import list_images
from data.label_maps import ToChannels, ToClasses
from models import create_model
from models.base_model import BaseModel
from models.compute.process import tune_process
from models.translation import hold_statistics, tile_model, translate_parts, translate_together
from options.test_options import TranslateOptions, words_of
from util.checkpoints import exports
from util.direction import oriented
from util.errors import BadImage, UserError, begun, one_line_errors, say, warn
from util.images import lab
from util.images.convert import IN_MEMORY, Given, Levels, levels_of, taken
from util.images.header import Header, allowing, read_header
from util.images.picture import Picture, in_range
from util.images.read import decode_picture, range_of
from util.images.write import Encoding, encode_like
from util.labels.colours import class_map, encode_labels, values_like_files
from util.labels.in_memory import given_back, taken_labels
from util.labels.read import decode_values
from util.lazy import Lazy, torch
from util.results import work
from util.results.jobs import Job, is_made, jobs_of
from util.seed import mix
from util.video.kinds import is_video
from util.video.write import Encoding as VideoEncoding

if TYPE_CHECKING:
    from models.tiles.local import Region

exported = Lazy("models.export.exported")
_one_at_a_time = threading.Lock()


class Translator:
    """A trained network as a function of images. It may be called from several threads; a process
    may have any number of them, and nothing is written.

    Args:
        model: set up, and set to test.
        opt: the options that it was made of.
    """

    def __init__(self, model: BaseModel, opt: argparse.Namespace) -> None:
        self.model, self.opt = model, opt
        self.in_lab = opt.dataset_mode == "colorization"
        self.channels = 3 if self.in_lab else opt.input_nc
        source, target = oriented(opt.direction, "A", "B")  # of the data
        self.value_range = range_of(opt.value_range, source)
        # Where images are label maps: their classes.
        self.taken_labels, self.made_labels = opt.labels.get(source), opt.labels.get(target)
        self._lock = threading.Lock()
        self._held = False  # see `steady`

    @classmethod
    def load(
        cls, run: str | os.PathLike, epoch: str | int = "latest", direction: str | None = None,
        **flags: Any,
    ) -> Translator:  # fmt: skip
        """The generator of a run.

        Args:
            run: its folder, e.g. "checkpoints/horse2zebra", a published <epoch>_net_G*.pth, or what
                scripts/export.py has made: an .onnx or .pt2 file, or a folder for a hub.
            epoch: "latest", or the number of one that was saved.
            direction: "AtoB" or "BtoA"; None: as trained. CycleGAN has a generator for each.
            flags: of test.py by their names: device="cpu", precision="bf16", eval=True, tile="off",
                tile_memory=2, seed=1, value_range=[0, 4095], style_blend=[0.3, 0.7], ...

        Raises:
            UserError: there is no such run or epoch, or the flags do not fit it.
        """
        folder, network = Path(run).absolute(), ""
        if folder.suffix == ".pth":
            epoch, _, network = folder.stem.partition("_net_")
            if not network.startswith("G"):
                raise UserError(f"{run}: accepted: the folder of a run, or <epoch>_net_G*.pth")
            folder = folder.parent
        flags |= {"checkpoints_dir": folder.parent, "name": folder.name}
        flags |= {"epoch": epoch} if epoch != "latest" else {}
        flags |= {"direction": direction} if direction else {}
        flags |= {"model_suffix": network[1:]} if network[1:] else {}
        return cls.of(TranslateOptions().parse(words_of(flags)))

    @classmethod
    def of(cls, opt: argparse.Namespace) -> Translator:
        """The generator that parsed TranslateOptions describe."""
        if exports.is_file(opt.run_dir):
            return cls(exported.ExportedModel(Path(opt.run_dir), opt.device), opt)
        # Weights are drawn before they are loaded, from the process's numbers, which come back.
        with _one_at_a_time, torch.random.fork_rng(devices=[]):
            model = create_model(opt)
        model.setup(opt)
        model.test_mode(opt.eval)
        tile_model(model, vars(opt))
        return cls(model, opt)

    def __call__(self, image: Any) -> Any:
        """Translate an image, or each of a list.

        Args:
            image: PIL's; an array (H, W) or (H, W, C), whole numbers in the range of their type,
                floats in [0, 1]; a tensor (C, H, W) or (N, C, H, W), uint8 or floats in [-1, 1];
                or a list of such. Of a run on label maps: see `util.labels.in_memory`.

        Returns: the same kind, size and type, with the network's channels and the image's opacity.
            Of a label map an 8-bit picture; where the run makes label maps, ids.

        Raises:
            UserError: it is no image, or not one that the network takes.
        """
        if isinstance(image, (list, tuple)):
            return [self(each) for each in image]
        given = self.taken(image)
        if given.header is not None:
            made = self.levels(given.images[0], given.header)
            labels = self.made_labels
            return given_back(made, image, labels) if labels else given.back(made)
        return given.back(torch.cat([self.translate(each) for each in given.images]))

    def taken(self, image: Any) -> Given:
        """An image as a call takes it, as the network does."""
        if self.taken_labels:
            return taken_labels(image, self.taken_labels)
        return taken(image, self.channels, self.value_range)

    def levels(
        self, picture: Picture, header: Header, name: str = IN_MEMORY, place: int = 0
    ) -> np.ndarray:
        """A picture -> (H, W, C) of a header's type, or a label map as its files are. What is large
        enough to be computed in tiles is read and written in them: as floats it is never whole.

        Args:
            name, place: see `translate`.
        """
        made, seed = Levels(header, self.value_range), self._seed(place)
        shape = (1, 1 if self.in_lab else self.channels, picture.height, picture.width)

        def read(region: Region) -> torch.Tensor:
            top, bottom, left, right = region
            part = self._tensor(picture.crop((left, top, right, bottom)))
            return (lab.rgb_to_lab(part)[0] if self.in_lab else in_range(part))[None]

        if self.made_labels:
            classes = class_map(self.translate(picture, name, place))
            return values_like_files(classes, self.made_labels)
        with self._lock:
            if translate_parts(self.model, shape, read, made.write, seed, name):
                return made.values
        return levels_of(self.translate(picture, name, place), header, self.value_range)

    def translate(
        self, image: Picture | torch.Tensor, name: str = IN_MEMORY, place: int = 0
    ) -> torch.Tensor:
        """A picture, or a tensor (C, H, W) in [-1, 1] -> (1, C, H, W) in [-1, 1], on the CPU.

        Args:
            name: for messages.
            place: among the images of a test, whose noise it gets.
        """
        return self.translate_together([image], [name], place)[0]

    def translate_together(
        self, images: list[Picture] | list[torch.Tensor], names: list[str], place: int = 0
    ) -> list[torch.Tensor]:
        """`translate` of images of one size, at once; each as if it were alone."""
        samples = [self._sample(*one) for one in zip(images, names, strict=True)]
        with self._lock:
            seeds = [self._seed(place)] * len(samples)
            return translate_together(self.model, samples, seeds, self.opt.direction)

    def _seed(self, place: int) -> int:
        return mix(self.opt.seed, 0 if self._held else place)

    def steady(self, images: Iterable[Any]) -> str:
        """From here on take all images by the norms' statistics of these, and with the same noise:
        frames of one video do not flicker then. See docs/video.md.

        Args:
            images: some of the frames, as a call takes them, or as `decode` gives them.

        Returns: what is held, in words.
        """
        samples = [self._sample(one, IN_MEMORY) for image in images for one in self._each(image)]
        with self._lock:
            self._held = True
            return hold_statistics(self.model, samples, self._seed(0), self.opt.direction)

    def _each(self, image: Any) -> list:
        return [image] if isinstance(image, Picture) else self.taken(image).images

    def _sample(self, image: Picture | torch.Tensor, name: str) -> dict:
        is_picture = isinstance(image, Picture)
        values = self._tensor(image) if is_picture else image.detach().cpu().float()
        if self.in_lab:
            values = values if is_picture else values.add(1).div(2)
            A, B = lab.rgb_to_lab(values)
            return {"A": A, "B": B, "A_paths": name, "B_paths": name}
        values = in_range(values) if is_picture else values
        return {"A": values, "A_paths": name}

    def _tensor(self, picture: Picture) -> torch.Tensor:
        """(C, H, W), uint8 or float32 in [0, 1]."""
        return ToChannels(self.taken_labels)(picture) if self.taken_labels else picture.tensor()

    def decode(self, data: bytes, name: str = IN_MEMORY) -> Picture:
        """The image that an image file holds, as the network takes it.

        Raises:
            BadImage: it is none, or not one that the network takes.
        """
        if labels := self.taken_labels:
            return ToClasses(labels)(decode_values(name, data, labels.by_colour))
        return decode_picture(name, data, self.channels, self.value_range)

    def header(self, data: bytes, name: str = IN_MEMORY) -> Header:
        """Of what a translation is like: the image file, or a plain picture of a label map."""
        header = read_header(name, data)
        return Header(header.size, 3) if self.taken_labels else header

    def encode(
        self, made: torch.Tensor | np.ndarray, data: bytes, name: str = IN_MEMORY,
        encoding: Encoding | None = None,
    ) -> tuple[str, bytes]:  # fmt: skip
        """A translation, (1, C, H, W) or of `levels`, as the image file `data` that it is made of,
        or in another encoding: the extension, e.g. ".png", and the content."""
        if not self.made_labels:
            data = None if self.taken_labels else data
            return encode_like(made, data, name, self.value_range, encoding)
        if encoding and encoding.kind != "png":
            raise UserError(
                f"--format {encoding.kind}: results are label maps; png keeps their ids"
            )
        if isinstance(made, torch.Tensor):
            made = values_like_files(class_map(made), self.made_labels)
        return encode_labels(made, self.made_labels)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Translate files; returns the exit code: 1 if some could not be read."""
    out, options = sys.stdout.buffer, TranslateOptions()
    with contextlib.ExitStack() as within:
        if "-" in (argv or sys.argv[1:]):  # perhaps to standard output, where no line may go
            within.enter_context(contextlib.redirect_stdout(sys.stderr))
        opt = options.parse(argv)
        within.enter_context(allowing(round(opt.max_megapixels * 10**6)))
        if not options.images or not opt.output:
            raise UserError("give images, and -o: a file for one, or a folder (--help)")
        tune_process(opt.device, opt.precision, False, opt.deterministic)
        translator = Translator.of(opt)
        encoding = Encoding.of(opt.format) if opt.format else None
        if opt.output == "-":
            out.write(_translated_bytes(translator, options.images, encoding))
            return 0
        jobs = jobs_of(options.images, Path(opt.output), encoding, _listed)
        left = [job for job in jobs if not (opt.skip_existing and is_made(job))]
        if len(left) < len(jobs):
            say(f"{len(jobs) - len(left)} of {len(jobs)} images are translated already")
        for job in left[:1]:  # what does not fit ends here
            with work.told(job):
                pass
        videos = {job.ending: VideoEncoding.of(job.ending, opt.codec, opt.crf)
                  for job in left if job.is_video}  # fmt: skip
        if opt.steady:
            work.steady_over(translator, [job for job in left if not job.is_video])
        return _translate_files(translator, left, videos)


def _translated_bytes(
    translator: Translator, images: list[str], encoding: Encoding | None
) -> bytes:
    """The file of one image."""
    if len(images) > 1 or os.path.isdir(images[0]):
        raise UserError("-o -: it takes one image; for several give a folder: -o FOLDER")
    return work.translated(translator, Job(images[0], Path(), encoding, 0))[1]


def _listed(folder: str) -> list[str]:
    """The images and videos below a folder; what else is there is told."""
    listing = list_images(folder)
    videos = [file for file in listing.files if is_video(file)]
    listing.others -= Counter(Path(file).suffix.lower() for file in videos)
    for line in listing.describe_left_out():
        warn(f"{folder}: {line}")
    return listing.images + videos


@begun()
def _translate_files(
    translator: Translator, jobs: list[Job], videos: dict[str, VideoEncoding]
) -> int:
    """One after the other; returns the exit code."""
    bad, opt = 0, translator.opt
    for job in tqdm(jobs, unit="img", dynamic_ncols=True, disable=None):
        try:
            if job.is_video:
                file = work.translate_video(translator, job, videos[job.ending], opt.steady)
            else:
                file = work.translate_image(translator, job)
        except BadImage as error:
            warn(f"{error}; left out")
            bad += 1
    if len(jobs) == 1 and not bad:
        say(f"written: {file}")
    else:
        what = "files" if videos else "images"
        say(f"translated: {len(jobs) - bad} of {len(jobs)} {what}, in {opt.output}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
