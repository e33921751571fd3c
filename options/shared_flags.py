"""The flags that train and test share, each with its kind; see `options.lives`."""

import argparse
import math
from collections.abc import Callable

import data
import models
from data.transforms import PREPROCESS_MODES
from models.compute import MEMORY_FORMATS, PRECISIONS
from models.discriminators import DISCRIMINATORS
from models.generators import GENERATORS
from models.layers import INIT_TYPES, NORMS
from options import types
from options.counts import Needs, Values
from util import trackers
from util.direction import DIRECTIONS
from util.machine import DEVICE_HELP
from util.record import command_line

Add = Callable[..., argparse.Action]  # a group's add_argument
# Values of --preprocess in which --load_size and --crop_size have a meaning.
SCALING = ("resize_and_crop", "scale_width", "scale_width_and_crop", "scale_shorter_and_crop",
           "scale_longer")  # fmt: skip
CROPPING = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop",
            "scale_shorter_and_crop")  # fmt: skip


def _loads(o: Values) -> bool:
    """Whether weights are loaded that --epoch and --load_iter choose."""
    return not o["isTrain"] or o["continue_train"] or bool(o["resume"])


def _meant_instead(o: Values) -> str:
    """What a number as --epoch of a new training was meant as: its length, or whose weights."""
    if not o["epoch"].isdigit() or _loads(o):
        return ""
    if o["init_from"]:
        file = f"{o['init_from']}/{o['epoch']}_net_G.pth"
        return f"give the file: {command_line([], {'init_from': file})}"
    return f"for so many epochs type --n_epochs {o['epoch']}"


def _loading_needs(o: Values) -> str:
    return "without --load_iter" if _loads(o) else "with --continue_train"


LOADING = Needs(_loading_needs, lambda o: _loads(o) or o["load_iter"] == 0)  # 0 chooses nothing
LOADING_EPOCH = Needs(_loading_needs, lambda o: _loads(o) and not o["load_iter"], _meant_instead)


def add_shared_flags(parser: argparse.ArgumentParser, phase: str) -> None:
    """All of them, in groups; `phase` is the usual folder of the data."""
    _add_run_flags(parser.add_argument_group("run").add_argument)
    _add_network_flags(parser.add_argument_group("model and networks").add_argument)
    add_to_data = parser.add_argument_group("data").add_argument
    _add_data_flags(add_to_data, phase)
    _add_cache_flags(add_to_data)
    _add_speed_flags(parser.add_argument_group("speed").add_argument)
    _add_view_flags(parser.add_argument_group("live views and old scripts", life="machine"), phase)


# fmt: off
def _add_run_flags(add: Add) -> None:
    add("--dataroot", life="machine", help="folder of the images (needed)")
    add("--name", life="place", type=types.run_name, default="experiment_name",
        help="the run's name: its folder in checkpoints_dir and results_dir")
    add("--checkpoints_dir", life="place", default="./checkpoints", help="where runs are kept")
    add("--suffix", life="place", default="",
        help="appended to the name, e.g. {model}_{netG}_size{load_size}")
    add("--config", life="call", nargs="+", action="extend", default=[], metavar="FILE",
        help="YAML files of options; the later wins, the command line wins over all")
    add("--device", life="machine", resume="own", default="auto", help=DEVICE_HELP)
    add("--gpu_ids", life="machine", resume="own",
        help="old form of --device: -1 is the CPU, 0 or 0,1 the first of them")
    add("--seed", life="run", test="taken", type=types.seed,
        help="of every random draw; drawn and recorded if absent")
    add("--deterministic", life="run", action="store_true",
        help="the same numbers on a GPU each time, at some cost of speed; the CPU's are anyway")
    add("--verbose", life="call", action="store_true",
        help="print the networks' layers and all options")
    add("--debug", life="call", action="store_true", help="show the trace of an error")


def _add_network_flags(add: Add) -> None:
    in_training = {"isTrain": True}
    add("--model", life="network", test="taken", default="cycle_gan",
        choices=models.registry.names(),
        help="the method: cycle_gan, cut and fastcut for two sets without pairs, pix2pix for "
        "pairs, colorization for photographs, style and neural_style for a painting; test, usual "
        "in test.py: one generator on a folder")
    add("--input_nc", life="data", test="fixed", type=types.positive_int, default=3,
        help="channels that G takes")
    add("--output_nc", life="data", test="fixed", type=types.positive_int, default=3,
        help="channels that G gives")
    add("--ngf", life="network", type=types.positive_int, default=64,
        help="channels of G's first layer")
    add("--ndf", life="network", test="taken", type=types.positive_int, default=64,
        counts_with=in_training, help="channels of D's first layer")
    add("--netG", life="network", default="resnet_9blocks", choices=GENERATORS,
        help="generator; ..._antialias blurs where it halves and doubles")
    add("--netD", life="network", test="taken", default="basic", choices=DISCRIMINATORS,
        counts_with=in_training,
        help="discriminator: basic is the 70x70 PatchGAN, n_layers takes --n_layers_D; "
        "..._antialias blurs where it halves")
    add("--n_layers_D", life="network", test="taken", type=types.positive_int, default=3,
        counts_with={"isTrain": True, "netD": ("n_layers", "n_layers_antialias")},
        help="layers of --netD n_layers")
    add("--norm", life="network", default="instance", choices=NORMS,
        help="normalisation of G and D")
    add("--no_dropout", life="network", action="store_true", help="no dropout in G")
    add("--init_type", life="run", default="normal", choices=INIT_TYPES,
        counts_with=in_training, help="how weights are drawn")
    add("--init_gain", life="run", type=types.positive, default=0.02, counts_with=in_training,
        help="scale of drawn weights")
    add("--epoch", life="call", type=types.label, default="latest",
        counts_with=LOADING_EPOCH, help="which weights to load: latest, 5, ...")
    add("--load_iter", life="call", type=types.non_negative_int, default=0, counts_with=LOADING,
        help="load iter_<load_iter> instead of --epoch, if above 0")


def _add_data_flags(add: Add, phase: str) -> None:
    add("--dataset_mode", life="data", default="unaligned", choices=data.registry.names(),
        help="how the folder is read")
    add("--phase", life="run", type=types.folder_name, default=phase,
        help="the data's folder: train, val, test, ...")
    add("--direction", life="data", test="fixed", default="AtoB", choices=DIRECTIONS,
        help="which side is G's input")
    add("--preprocess", life="data", default="resize_and_crop", choices=PREPROCESS_MODES,
        help="how images come to size. resize_and_crop: both sides to --load_size, then a square "
        "of --crop_size is cut out; crop: cut alone; scale_width: the width to --load_size, "
        "keeping the shape; scale_shorter_and_crop: the shorter side; scale_longer: the longer "
        "side; ..._and_crop: then cut; none: only rounds the sides to multiples of 4; keep: "
        "nothing")
    add("--load_size", life="data", type=types.positive_int, default=286,
        counts_with={"preprocess": SCALING}, help="px to scale to")
    add("--crop_size", life="data", type=types.positive_int, default=256,
        counts_with={"preprocess": CROPPING}, help="px of the square to cut out")
    add("--no_flip", life="run", action="store_true",
        counts_with=("in train.py; test.py never mirrors", lambda o: o["isTrain"]),
        help="do not mirror images at random")
    add("--batch_size", life="run", type=types.positive_int, default=1, help="images per step")
    add("--serial_batches", life="run", action="store_true",
        counts_with=("in train.py; test.py never shuffles", lambda o: o["isTrain"]),
        help="in the order of the names, no shuffling")
    add("--num_threads", life="machine", type=types.count_or_auto, default=4,
        help="loader processes; auto: by the cores that are free for them")
    add("--fast_decode", life="data", test="own", action="store_true",
        counts_with={"preprocess": "resize_and_crop"},
        help="--preprocess resize_and_crop: decode larger JPEGs at a fraction of their size; "
        "pixels differ a little")
    add("--file_order", life="run", default="natural", choices=("natural", "plain"),
        help="natural: frame2 before frame10; plain: letter by letter, as earlier versions had "
        "it, which seeds drew from (a run of theirs goes on so by itself)")
    add("--pairs", life="machine", metavar="FILE",
        help="aligned: a CSV file of pairs, columns A, B and maybe phase, its files relative to "
        "--dataroot, by default to the table; or how names of partners differ, as '*_in:*_out' "
        "('*:*': in case and leading zeros); or side_by_side: each file is A|B, as it looks or not")
    add("--bad_images", life="run", default="stop", choices=("stop", "skip"),
        help="a damaged image ends the run, or is left out and told")
    add("--max_dataset_size", life="run", type=types.count_or_inf, default=float("inf"),
        help="use the first so many images only")
    _add_value_flags(add)


def _add_value_flags(add: Add) -> None:
    """What the values of files mean."""
    add("--label_A", life="data", nargs="?", const="nearest", type=types.label_map,
        metavar="N|FILE", help="images of A are label maps of N classes, or of those in a table: a "
        "channel for each; without a value they are only scaled without mixing labels")
    add("--label_B", life="data", nargs="?", const="nearest", type=types.label_map,
        metavar="N|FILE", help="images of B are label maps, as --label_A")
    add("--label_void", life="data", type=types.id_or_none, default=255,
        counts_with=("with --label_A N or --label_B N; a table says itself what is void",
                     lambda o: int in (type(o["label_A"]), type(o["label_B"]))),
        help="the id of places that are of no class, all channels off, unless there are so many "
        "classes; none: there is no such id")
    add("--value_range", life="data", nargs="+", type=types.number(-math.inf), metavar="LOW HIGH",
        help="values that stand for black and white in files that are not 8-bit (default: all "
        "of 16 bits, 0 1 for floats); four numbers: those of A, then of B")


def _add_cache_flags(add: Add) -> None:
    add("--cache", life="machine", default="ram", choices=("ram", "disk", "off"),
        counts_with={"isTrain": True},
        help="training keeps images that were decoded and scaled: in memory that the loader "
        "processes share, or in a folder that runs may share")
    add("--cache_gb", life="machine", type=types.positive, default=2.0,
        counts_with={"isTrain": True, "cache": ("ram", "disk")},
        help="GB (10^9 bytes) that it may hold, in memory at most a quarter of what is free; "
        "further images are read as usual")
    add("--cache_dir", life="machine", metavar="FOLDER",
        counts_with={"isTrain": True, "cache": "disk"},
        help="of --cache disk (default: .image_cache in --checkpoints_dir)")


def _add_speed_flags(add: Add) -> None:
    add("--precision", life="run", default="auto", choices=PRECISIONS,
        help="number format of networks: auto is fp32, with tf32 in a GPU's convolutions; bf16 "
        "and fp16 change the results a little")
    add("--memory_format", life="machine", default="auto", choices=MEMORY_FORMATS,
        help="order of images in memory; auto is what measured faster for the network")
    add("--compile", life="machine", action="store_true",
        help="compile the networks, which takes a minute and gains in bf16 or small sizes")


def _page_needs(phase: str) -> tuple[str, Callable[[Values], bool]]:
    """What flags of a page need: that there is one, of a training or of results."""
    if phase == "train":
        return "without --no_html", lambda o: not o["no_html"]
    return "with --results_layout page", lambda o: o["results_layout"] == "page"


def _add_view_flags(group: argparse._ArgumentGroup, phase: str) -> None:
    add = group.add_argument
    add("--display_winsize", type=types.positive_int, default=256,
        counts_with=_page_needs(phase),
        help="px of an image on the pages")
    add("--track", nargs="*", choices=trackers.registry.names(), default=[],
        counts_with={"isTrain": True},
        help="show a training in these too, where there is a server or a package for it")
    trackers.add_tracker_flags(group)
