"""What every model needs from its flags to its results; the method has a file of its own."""

from __future__ import annotations

import argparse
import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from models import networks
from models.checks import images_in, loss_in, picture_in
from models.compute.optimizer import align_with_weights, prepare_optimizer
from models.discriminators import check_discriminator_size
from models.generators import GENERATORS, check_generator_size, check_image_sizes
from models.schedulers import make_scheduler, schedule_settings
from models.stateful import StatefulModel
from models.translation import OneNetwork
from util import distributed
from util.checkpoints.state import first_epoch, taking_up
from util.checkpoints.transfer import transfer
from util.direction import oriented
from util.distributed import average_gradients
from util.errors import UserError, say, warn
from util.lazy import Lazy, lr_scheduler, nn, torch
from util.machine import check_free_memory
from util.record import PageRow

compute = Lazy("models.compute.configure")

# Of the adversary: a model without one has no use for them.
DISCRIMINATOR_FLAGS = ("netD", "ndf", "n_layers_D", "gan_mode", "lambda_gp", "pool_size")


class BaseModel(StatefulModel, ABC):
    """Extend this in models/<name>_model.py, class <Name>Model; see docs/new_model.md.

    A model fills these lists of names in its `__init__`:
        loss_names: "X" stands for the attribute loss_X, a scalar; logged.
        model_names: "X" stands for netX; saved, loaded, moved to the device.
        visual_names: attributes holding images (N, C, H, W) in [-1, 1]; shown and saved.
        optimizers: filled in training; their learning rates follow `--lr_policy`.
        image_paths: the files of the current batch.
    """

    loss_help: dict[str, str] = {}  # a loss, or a pattern with `*` -> what it means, for the page
    visual_sides: dict[str, str] = {}  # visual -> "A" or "B", where its name does not tell the side
    translates_alone = False  # one netG, fed with A: --model test may take its place on one folder
    translation_names: tuple[str, ...] = ()  # visuals that G makes; else "fake..." and "output"
    visual_groups: list[list[str]] = []  # visuals that pages keep together where a row is broken
    healthy: list[str] = []  # sentences on how the losses look when all is well, for the page
    # Flags of training that it never reads -> what would make them count. Of this class alone: one
    # that extends it may well read them.
    no_use_for: dict[str, str] = {}
    steps_per_image = 1  # training steps in a row that are taken on each image of an epoch

    def __init__(self, opt: argparse.Namespace) -> None:
        self.opt = opt
        self.gpu_ids: list[int] = opt.gpu_ids
        self.isTrain: bool = opt.isTrain
        self.device = torch.device(opt.device)  # a script may have put its name there
        self.save_dir = os.path.join(opt.checkpoints_dir, opt.name)
        self.loss_names: list[str] = []
        self.model_names: list[str] = []
        self.visual_names: list[str] = []
        self.optimizers: list[torch.optim.Optimizer] = []
        self.image_paths: list[str] = []
        self.schedulers: list = []
        self.loss_scale: compute.LossScale | None = None  # of --precision fp16
        self.accepted_sides = (1, 1)  # (multiple, smallest) px that all generators take
        self.check_gradients: Callable | None = None  # see prepare_optimizers
        self.metric = self._metric = 0.0  # what plateau looks at; see `update_learning_rate`
        self._metric_sum: torch.Tensor | float = 0.0
        self._metric_count = 0

    # What a model file writes.

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Add flags of the model, or set new defaults for existing ones."""
        return parser

    @staticmethod
    def decide_options(opt: argparse.Namespace) -> dict[str, Any]:
        """Flag -> value that follows from the others, decided while they are parsed."""
        return {}

    @staticmethod
    def check_options(opt: argparse.Namespace) -> None:
        """Check flags against each other; raise UserError to refuse."""

    @staticmethod
    def loss_weights(opt: argparse.Namespace) -> dict[str, float]:
        """Name of a loss -> what the flags multiply it by, for losses that are logged with such a
        weight; runs are compared without it."""
        return {}

    @abstractmethod
    def set_input(self, input: dict) -> None:
        """Take a batch from the loader and move it to `self.device`."""

    @abstractmethod
    def forward(self) -> None:
        """Compute the output images from the input."""

    @abstractmethod
    def optimize_parameters(self) -> None:
        """One training step: losses, gradients, updates."""

    def compute_visuals(self) -> None:
        """Make further images to show, just before they are shown."""

    def one_network(self) -> OneNetwork | None:
        """How large images of the source are translated in parts; None: they are not."""

    # Building blocks for model files.

    def generator(self, input_nc: int, output_nc: int, **own: Any) -> nn.Module:
        """The generator that the flags describe, (N, input_nc, H, W) -> (N, output_nc, H, W); see
        `define_G` for `own`. From here on `accepted_sides` are such as it takes, too."""
        o = self.opt
        if "crop" in o.preprocess:  # else the size depends on the image
            check_generator_size(o.netG, o.crop_size)
            numbers = o.batch_size * (input_nc + output_nc) * o.crop_size**2
            check_free_memory(4 * numbers, "a batch of images")
        elif "scale" in o.preprocess and self.isTrain:
            check_generator_size(o.netG, o.load_size, "load_size")
        self.accepted_sides = GENERATORS[o.netG].sides_with(self.accepted_sides)
        norm, dropout, init = o.norm, not o.no_dropout, (o.init_type, o.init_gain)
        given = (input_nc, output_nc, o.ngf, o.netG, norm, dropout, *init)
        build = functools.partial(networks.define_G, *given, **own)
        return networks.built_if_it_fits(build, o.ngf, self.isTrain and self.device.type == "cpu")

    def discriminator(self, input_nc: int) -> nn.Module:
        """The discriminator that the flags describe: (N, input_nc, H, W) -> scores."""
        o = self.opt
        # Where images are of any size: no picture is larger than that.
        size = o.crop_size if "crop" in o.preprocess else 2**20
        check_discriminator_size(o.netD, o.n_layers_D, size)
        given = (input_nc, o.ndf, o.netD, o.n_layers_D, o.norm, o.init_type, o.init_gain)
        build = functools.partial(networks.define_D, *given)
        return networks.built_if_it_fits(build, o.ndf, self.device.type == "cpu")

    def adam(self, *nets: nn.Module) -> torch.optim.Optimizer:
        """Adam over the networks' weights with `--lr` and `--beta1`, added to `self.optimizers`."""
        params = [p for net in nets for p in net.parameters()]
        fused = self.device.type in ("cpu", "cuda")
        betas = (self.opt.beta1, 0.999)
        optimizer = torch.optim.Adam(params, lr=self.opt.lr, betas=betas, fused=fused)
        self.optimizers.append(optimizer)
        return optimizer

    def source_and_target(self, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch's images as `--direction` orients them, on the device, and `image_paths`."""
        source, target = oriented(self.opt.direction, "A", "B")
        images = self.images(batch, source), self.images(batch, target)
        for name in (source, target) if self.isTrain else ():
            self.check_sizes({tuple(batch[name].shape[:1:-1]): batch[f"{name}_paths"][0]})
        self.image_paths = batch[f"{source}_paths"]
        return images

    def images(self, batch: dict, name: str, channels: int | None = None) -> torch.Tensor:
        """The batch's images of one name, (N, C, H, W) in [-1, 1], on the device.

        Args:
            channels: that they have to have; None: any number.

        Raises:
            UserError: the batch holds no images of that name, or none of their files.
        """
        giver, taker = f"--dataset_mode {self.opt.dataset_mode}", f"--model {self.opt.model}"
        return self.to_device(images_in(batch, name, channels, giver, taker))

    def check_sizes(self, found: dict[tuple[int, int], str]) -> None:
        """Raise UserError if training cannot take a size: (width, height) px -> a file of it."""
        check_image_sizes(found, self.accepted_sides, self.opt.netG, self.opt.preprocess)

    def to_device(self, images: torch.Tensor) -> torch.Tensor:
        """Copy a batch to the model's device, without waiting where it can."""
        return images.to(self.device, non_blocking=True)

    def gradient_penalty(
        self, netD: nn.Module, real: torch.Tensor, fake: torch.Tensor
    ) -> torch.Tensor | float:
        """WGAN-GP's penalty with weight `--lambda_gp`; 0 for the other `--gan_mode`s."""
        if self.opt.gan_mode != "wgangp":
            return 0.0
        return networks.cal_gradient_penalty(netD, real, fake, lambda_gp=self.opt.lambda_gp)[0]

    @property
    def penalises_gradients(self) -> bool:
        """Whether `gradient_penalty` is in use: then it is worth a name among the losses."""
        return self.isTrain and self.opt.gan_mode == "wgangp" and self.opt.lambda_gp > 0

    def set_requires_grad(
        self, nets: nn.Module | Iterable[nn.Module], requires_grad: bool = False
    ) -> None:
        """Freeze (False) or thaw (True) networks."""
        for net in [nets] if isinstance(nets, nn.Module) else nets:
            if net is not None:
                net.requires_grad_(requires_grad)

    # The names, looked up.

    def networks(self) -> dict[str, nn.Module]:
        """Name -> network, for the names in `model_names`."""
        return self._look_up("model_names", "net")

    def get_current_losses(self) -> dict[str, float]:
        """Name -> value of the last step, for the names in `loss_names`."""
        return {name: float(value) for name, value in self.current_losses().items()}

    def current_losses(self) -> dict[str, torch.Tensor | float]:
        """Like get_current_losses, without waiting for the device."""
        losses = self._look_up("loss_names", "loss_")
        return {k: loss_in(type(self).__name__, k, v) for k, v in losses.items()}

    def get_current_visuals(self) -> dict[str, torch.Tensor]:
        """Name -> images (N, C, H, W) in [-1, 1], for the names in `visual_names`."""
        visuals = self._look_up("visual_names", "")
        return {k: picture_in(type(self).__name__, k, v) for k, v in visuals.items()}

    def _look_up(self, list_name: str, prefix: str) -> dict[str, Any]:
        """Name -> attribute, for the names of one of the lists."""
        names = getattr(self, list_name)
        for name in names:
            if not hasattr(self, prefix + name):
                raise UserError(
                    f"{type(self).__name__}: {list_name} holds {name!r}, but there is no "
                    f"self.{prefix}{name}; set it, or take the name out"
                )
        return {name: getattr(self, prefix + name) for name in names}

    def page_row(self, epoch: int) -> PageRow:
        """What the pictures now shown stand for on the training page: a row for each epoch."""
        return PageRow.of_epoch(epoch)

    def get_image_paths(self) -> list[str]:
        """The files of the current batch."""
        return self.image_paths

    # The life of a run.

    def setup(self, opt: argparse.Namespace) -> dict | None:
        """Move to the device, load weights (test, or a training that goes on), make schedules.

        Returns: what is left to take up of the training that this one goes on from (its progress,
            pools, random numbers, logs); None for a new one, in test, and from weights only.
        """
        for part in vars(self).values():
            if isinstance(part, nn.Module):  # also those that are not saved, like a frozen teacher
                part.to(self.device)
        self.loss_scale = compute.configure_all(
            self.networks().values(), self.device, opt.precision, opt.memory_format, opt.compile,
            fixed_size="crop" in opt.preprocess,
        )  # fmt: skip
        state = None
        if not self.isTrain or opt.continue_train:
            state = self.load_networks(opt.epoch_label)
        elif opt.init_from:
            explain = self._explain_weights
            for line in transfer(self.networks(), opt.init_from, opt.init_partial, explain):
                say(line)
        if self.isTrain:
            self._resume_training(opt, state)
            self.prepare_optimizers()
        return state

    def _resume_training(self, opt: argparse.Namespace, state: dict | None) -> None:
        """Schedules from the first epoch on, and what the state holds of the optimizers."""
        settings = schedule_settings(opt)
        settings["epoch_count"] = first_epoch(state, opt.epoch_count, opt.epoch_count_given)
        self.schedulers = [make_scheduler(each, **settings) for each in self.optimizers]
        if state is not None and "model" in state:
            with taking_up(self.save_dir, state):
                self.load_state_dict(state.pop("model"))
        elif opt.continue_train:
            warn(
                f"{self.save_dir}: weights only, no training state; optimizers, image pools "
                f"and random numbers begin anew, in epoch {settings['epoch_count']}"
            )

    def prepare_optimizers(self, check: Callable | None = None) -> None:
        """Before each update of `self.optimizers`: align, average over processes, unscale, check
        (takes the optimizer; kept for optimizers that this is called for later)."""
        self.check_gradients = check or self.check_gradients
        unscale = self.loss_scale and self.loss_scale.unscale
        for optimizer in self.optimizers:
            works = [align_with_weights, average_gradients, unscale, self.check_gradients]
            prepare_optimizer(optimizer, works)

    def train(self) -> None:
        """Dropout and batch statistics as in training."""
        for net in self.networks().values():
            compute.leave_test_mode(net, training=True)

    def eval(self) -> None:
        """No dropout, running statistics."""
        for net in self.networks().values():
            compute.leave_test_mode(net, training=False)

    def test_mode(self, eval_mode: bool) -> str:
        """Norms and dropout as test has them; see `set_test_mode`. Returns: how that is."""
        return compute.set_test_mode(self.networks().values(), eval_mode)

    def test(self) -> None:
        """Forward without gradients, and the images to show."""
        with torch.inference_mode():
            self.forward()
            self.compute_visuals()

    def after_step(self) -> None:
        """For plateau add the step's generator loss to the epoch's mean, on the device. It is
        `loss_G` where the model has one, else the sum of the losses that are not D's."""
        if self.opt.lr_policy == "plateau":
            losses = self.current_losses().items()
            terms = [loss for name, loss in losses if not name.startswith("D")]
            terms = [torch.as_tensor(self.loss_G).detach()] if hasattr(self, "loss_G") else terms
            self._metric_sum = self._metric_sum + torch.as_tensor(sum(terms)).nan_to_num(0, 0, 0)
            self._metric_count += 1

    def update_learning_rate(self) -> tuple[float, float]:
        """Step the schedules; call at the end of an epoch. Plateau goes by `metric`: the epoch's
        mean generator loss, or what a model has set it to. Returns: learning rate before, after."""
        before, mean = self.learning_rate(), float(self._metric_sum) / max(1, self._metric_count)
        if any(isinstance(each, lr_scheduler.ReduceLROnPlateau) for each in self.schedulers):
            own = self.metric is not self._metric  # a plug-in has set it
            self.metric = self._metric = distributed.mean(float(self.metric) if own else mean)
        for scheduler in self.schedulers:
            if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
                scheduler.step(self.metric)
            else:
                scheduler.step()
        self._metric_sum, self._metric_count = 0.0, 0
        return before, self.learning_rate()

    def learning_rate(self) -> float:
        """The first optimizer's current learning rate."""
        return self.optimizers[0].param_groups[0]["lr"] if self.optimizers else 0.0

    def print_networks(self, verbose: bool) -> None:
        """Print each network's number of parameters, with `verbose` its layers."""
        for name, net in self.networks().items():
            if verbose:
                say(str(net))
            count = sum(p.numel() for p in net.parameters())
            say(f"network {name}: {count / 1e6:.3f} M parameters")
