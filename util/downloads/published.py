"""What the authors of CycleGAN and pix2pix have published, by name; no file is touched here."""

import re
from pathlib import Path
from typing import NamedTuple

from util.errors import did_you_mean
from util.record import command_line

HOST = "efrosgans.eecs.berkeley.edu"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# Folder and file on the server -> SHA-256. The authors have published none; `--sha256` gives one.
PINNED: dict[str, str] = {}


class Shelf(NamedTuple):
    """A folder of the server."""

    what: str  # "data set" or "model"
    folder: str
    ending: str
    names: tuple[str, ...]

    def file(self, name: str) -> str:
        """Folder and file on the server."""
        return f"{self.folder}/{name}{self.ending}"


DATA_SETS = {
    "cyclegan": Shelf("data set", "cyclegan/datasets", ".zip", (
        "apple2orange", "summer2winter_yosemite", "horse2zebra", "monet2photo", "cezanne2photo",
        "ukiyoe2photo", "vangogh2photo", "maps", "facades", "iphone2dslr_flower", "ae_photos",
        "grumpifycat", "mini", "mini_pix2pix", "mini_colorization")),
    "pix2pix": Shelf("data set", "pix2pix/datasets", ".tar.gz", (
        "facades", "maps", "edges2shoes", "edges2handbags", "night2day")),
}  # fmt: skip

# Data set -> a run's name and the flags that train it, where its layout does not tell.
TRAIN_FLAGS = {
    ("cyclegan", "mini_colorization"): ("mini_colorization", "--model colorization"),
    ("pix2pix", "facades"): ("facades_pix2pix", "--model pix2pix --direction BtoA"),
}
# Name -> flags with which test.py tries the weights.
MODEL_FLAGS = {
    "cyclegan": {
        "apple2orange": "apple2orange/testA",
        "orange2apple": "apple2orange/testB",
        "summer2winter_yosemite": "summer2winter_yosemite/testA",
        "winter2summer_yosemite": "summer2winter_yosemite/testB",
        "horse2zebra": "horse2zebra/testA",
        "zebra2horse": "horse2zebra/testB",
        "monet2photo": "monet2photo/testA",
        "style_monet": "monet2photo/testB",
        "style_cezanne": "cezanne2photo/testB",
        "style_ukiyoe": "ukiyoe2photo/testB",
        "style_vangogh": "vangogh2photo/testB",
        "sat2map": "maps/testA",
        "map2sat": "maps/testB",
        "cityscapes_photo2label": "cityscapes/testA",
        "cityscapes_label2photo": "cityscapes/testB",
        "facades_photo2label": "facades/testA",
        "facades_label2photo": "facades/testB",
        "iphone2dslr_flower": "iphone2dslr_flower/testA",
    },
    "pix2pix": {
        "edges2shoes": "edges2shoes --phase val",
        "sat2map": "maps --phase val",
        "map2sat": "maps --phase val --direction BtoA",
        "facades_label2photo": "facades --direction BtoA",
        "day2night": "night2day --direction BtoA",
    },
}
MODELS = {
    "cyclegan": Shelf(
        "model", "cyclegan/pretrained_models", ".pth", tuple(MODEL_FLAGS["cyclegan"])
    ),
    "pix2pix": Shelf("model", "pix2pix/models-pytorch", ".pth", tuple(MODEL_FLAGS["pix2pix"])),
}
CITYSCAPES = (
    "its licence lets nobody else hand it out; get gtFine and leftImg8bit from "
    "https://www.cityscapes-dataset.com and make it with datasets/prepare_cityscapes_dataset.py"
)


def near(name: str, shelf: Shelf) -> str:
    """`; did you mean ...?`, on the same shelf or with the same name on another."""
    for model, shelves in (("", DATA_SETS), (" --model", MODELS)):
        for technique, other in shelves.items():
            if name in other.names and other != shelf:
                return f"; did you mean {technique} {name}{model}?"
    return did_you_mean(name, shelf.names)


def command_to_test(technique: str, name: str, folder: Path) -> str:
    """What to type to try the weights in `folder`."""
    data = MODEL_FLAGS[technique].get(name, "DATA")
    model = "test --no_dropout" if technique == "cyclegan" else "pix2pix"
    flags = {"dataroot": f"./datasets/{data}", "name": folder.name}
    if folder.parent != Path("checkpoints"):
        flags["checkpoints_dir"] = str(folder.parent)
    return f"{command_line(['python', 'test.py'], flags)} --model {model}"


def command_to_train(technique: str, name: str, folder: Path) -> str:
    """What to type to train on the data set in `folder`: with its own flags, or else those of its
    layout; empty if that says nothing."""
    unpaired = (folder / "trainA").is_dir()
    if not unpaired and not (folder / "train").is_dir():
        return ""
    where = folder if folder.is_absolute() else f"./{folder}"
    run, flags = f"{folder.name}_pix2pix", "--model pix2pix"
    if unpaired:
        run, flags = f"{folder.name}_cyclegan", "--model cycle_gan"
    run, flags = TRAIN_FLAGS.get((technique, name), (run, flags))
    where_and_name = {"dataroot": where, "name": run}
    return f"{command_line(['python', 'train.py'], where_and_name)} {flags}"
