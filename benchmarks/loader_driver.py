"""Reads batches from a checkout's loader for ever, and prints a line for every so many images.

python benchmarks/loader_driver.py IMAGES FLAG ...      (in the checkout's folder)
"""

import itertools
import os
import sys


def main() -> None:
    images, *sys.argv[1:] = sys.argv[1:]
    sys.path[0] = os.getcwd()
    from data import create_dataset
    from options.train_options import TrainOptions

    loader, seen = create_dataset(TrainOptions().parse()), 0
    for epoch in itertools.count(1):
        if hasattr(loader, "set_epoch"):
            loader.set_epoch(epoch)
        for batch in loader:
            seen += len(batch["A"])
            if seen % int(images) == 0:
                print("images", seen, flush=True)


if __name__ == "__main__":
    main()
