"""Data: `create_dataset(opt)` gives the loader of the dataset that `--dataset_mode` names.

A new dataset is one file, data/<name>_dataset.py with a class <Name>Dataset; see
docs/new_dataset.md.
"""

import argparse
import math
import multiprocessing
from collections.abc import Callable
from pathlib import Path

from data.base_dataset import BaseDataset
from data.cache import Cache, DiskCache, RamCache
from data.check import doubts, look_at, refuse_bad, refuse_mixed_sizes
from data.loader import Loader, Order, Reading
from data.order import ordered
from data.pair_rules import SIDE_BY_SIDE, parse_rule
from data.standard import is_standard
from util import distributed, machine
from util.atomic import files_of
from util.errors import UserError, say, warn
from util.registry import Registry

registry = Registry("data", "dataset", base="BaseDataset")


def find_dataset_using_name(dataset_name: str) -> type[BaseDataset]:
    """The class in data/<dataset_name>_dataset.py."""
    return registry.find(dataset_name)


def get_option_setter(dataset_name: str) -> Callable:
    """The class's `modify_commandline_options`."""
    return registry.find(dataset_name).modify_commandline_options


def create_dataset(opt: argparse.Namespace, singles: bool = False) -> Loader:
    """The loader of `opt.dataset_mode`; iterate over it for batches, `len()` counts images.

    Args:
        singles: give lists of `--batch_size` samples instead, of any sizes, for
            `models.translation`.

    Raises:
        UserError: folders or images are missing, damaged, or do not fit together.
    """
    kind = registry.find(opt.dataset_mode)
    if opt.pairs and not kind.reads_pairs:
        raise UserError(f"--pairs {opt.pairs}: it belongs to --dataset_mode aligned; give that too")
    if opt.isTrain and not opt.continue_train:
        refuse_run_around(opt)
    with ordered(opt.file_order), files_of(vars(opt)):
        dataset = kind(opt)
    told_later = singles or (not opt.isTrain and opt.batch_size == 1)
    sizes = {} if told_later else check(opt, dataset)  # test tells of each file on its page
    if told_later and dataset.reads_pairs and len(dataset.checked_files()) > 1:
        for line in look_at(dataset.expected()).doubts:  # which only two files show
            warn(f"--dataroot {opt.dataroot}: {line}")
    if opt.isTrain:  # test reads each image once
        dataset.cache = cache_of(opt, dataset)
    order = Order(
        seed=opt.seed,
        shuffle=not opt.serial_batches,
        max_dataset_size=opt.max_dataset_size,
        rank=distributed.rank(),
        world_size=distributed.world_size(),
    )
    reading = Reading(
        num_threads=threads(opt, math.ceil(len(dataset) / (1 if singles else opt.batch_size))),
        bad_images=opt.bad_images,
        replace_bad=opt.isTrain,
        device=opt.device,
        singles=singles,
    )
    return Loader(dataset, opt.batch_size, order, reading, sizes)


def is_table(pairs: str) -> bool:
    """Whether `--pairs` names a file, and is no rule."""
    return pairs != SIDE_BY_SIDE and parse_rule(pairs) is None


def refuse_run_around(opt: argparse.Namespace) -> None:
    """Raise UserError if the images lie in the folder of the run, where a new run would move them
    away, or delete them, with all that an earlier run has left there."""
    if Path(opt.dataroot).resolve().is_relative_to(Path(opt.run_dir).resolve()):
        raise UserError(
            f"--name {opt.name}: its folder, {opt.run_dir}, holds the images (--dataroot "
            f"{opt.dataroot}); choose another --name, or another --checkpoints_dir"
        )


def check(opt: argparse.Namespace, dataset: BaseDataset) -> dict[tuple[int, int], str]:
    """A quick look at the files: in training all that is wrong with them is told now.

    Returns: (width, height) px after `--preprocess` -> one of the files of that size.
    """
    found = look_at(dataset.expected())
    if opt.isTrain and opt.bad_images == "stop":
        refuse_bad(found)
    for line in doubts(found, opt.dataset_mode) if opt.isTrain else ():
        warn(f"--dataroot {opt.dataroot}: {line}")
    refuse_mixed_sizes(found, opt.batch_size, opt.preprocess)
    return found.sizes


def cache_of(opt: argparse.Namespace, dataset: BaseDataset) -> Cache | None:
    """What `--cache` asks for; None also where a plug-in reads images in its own way."""
    if opt.cache == "off" or not is_standard(dataset.picture):
        return None
    most = int(opt.cache_gb * 1e9)
    if opt.cache == "disk":
        folder = Path(opt.cache_dir or Path(opt.checkpoints_dir, ".image_cache"))
        recipe = {flag: getattr(opt, flag) for flag in opt.pixel_flags}
        return DiskCache(most, folder, repr(recipe | {"labels": opt.labels}))
    if opt.num_threads and multiprocessing.get_start_method() != "fork":
        return None  # spawned loader processes share no memory; docs/data.md says so
    files = dataset.checked_files()
    keys = [(path, side) for side, paths in files.items() for path in paths]
    room = machine.free_memory() / 4 / distributed.world_size()
    try:
        return RamCache(int(min(most, room)), keys)
    except OSError as error:
        warn(f"--cache ram: the system gives no memory for it ({error.strerror}); go on without")
        return None


def threads(opt: argparse.Namespace, batches: int) -> int:
    """The number of loader processes for so many batches an epoch."""
    if opt.num_threads != "auto":
        return opt.num_threads
    count = auto_threads(machine.cores(), str(opt.device), batches)
    say(f"--num_threads auto: {count} loader process{'es' * (count != 1)}")
    return count


def auto_threads(cores: int, device: str, batches: int) -> int:
    """On a GPU all cores but one read, at most 8; a CPU has to train as well, and one is enough."""
    most = 1 if device == "cpu" else min(8, max(1, cores // distributed.world_size() - 1))
    return min(most, batches)
