"""The flags of train.py and test.py that the benchmarks use, with the published defaults."""

import argparse

import torch

DEFAULTS = {
    "pix2pix": {"norm": "batch", "netG": "unet_256", "dataset_mode": "aligned",
                "pool_size": 0, "gan_mode": "vanilla"},
    "cycle_gan": {"no_dropout": True},
    "test": {"dataset_mode": "single"},
}  # fmt: skip


class BaseOptions:
    """`parse(argv)` gives `opt`; a model's defaults replace the general ones."""

    phase, model, load_size = "train", "cycle_gan", 286

    def parse(self, argv: list[str] | None = None) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        self.initialize(parser)
        model = parser.parse_known_args(argv)[0].model
        known = {action.dest for action in parser._actions}
        values = DEFAULTS.get(model, {})
        parser.set_defaults(**{key: value for key, value in values.items() if key in known})
        return parser.parse_args(argv)

    def initialize(self, parser: argparse.ArgumentParser) -> None:
        add, device = parser.add_argument, "cuda" if torch.cuda.is_available() else "cpu"
        add("--dataroot", required=True)
        add("--name", default="experiment_name")
        add("--checkpoints_dir", default="./checkpoints")
        add("--device", default=device)
        add("--seed", type=int, default=0)
        add("--model", default=self.model, choices=["pix2pix", "cycle_gan", "test"])
        add("--input_nc", type=int, default=3)
        add("--output_nc", type=int, default=3)
        add("--ngf", type=int, default=64)
        add("--ndf", type=int, default=64)
        add("--netG", default="resnet_9blocks")
        add("--norm", default="instance", choices=["batch", "instance"])
        add("--no_dropout", action="store_true")
        add("--epoch", default="latest")
        add("--dataset_mode", default="unaligned", choices=["aligned", "unaligned", "single"])
        add("--phase", default=self.phase)
        add("--direction", default="AtoB", choices=["AtoB", "BtoA"])
        add("--preprocess", default="resize_and_crop", choices=["resize_and_crop"])
        add("--load_size", type=int, default=self.load_size)
        add("--crop_size", type=int, default=256)
        add("--no_flip", action="store_true")
        add("--batch_size", type=int, default=1)
        add("--serial_batches", action="store_true")
        add("--num_threads", type=int, default=4)
