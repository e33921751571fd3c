"""Style transfer by optimising the picture itself (Gatys et al. 2016)."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.base_model import DISCRIMINATOR_FLAGS, BaseModel
from models.style import objective as style_objective
from models.style.flags import LOSS_HELP, add_style_flags, settings, term_weights
from util import distributed
from util.atomic import stays
from util.checkpoints.plan import Sizes
from util.errors import NonFinite, UserError
from util.images.convert import fitted, im2tensor, save_image, tensor2im
from util.images.picture import LUMA
from util.images.read import load_given, load_image
from util.lazy import F, torch
from util.record import PageRow

# Units of the optimised picture on [-1, 1]: those of the classifier's input, in which the
# published step sizes are meant.
UNITS = {"caffe": 127.5, "imagenet": 0.5, "plain": 0.5}
NETWORK_FLAGS = ("netG", "ngf", "norm", "no_dropout", "init_type", "init_gain", "memory_format",
                 "safetensors")  # fmt: skip
OPTIMIZERS: dict[str, float] = {"lbfgs": 1.0, "adam": 0.02}  # name -> usual --lr


class NeuralStyleModel(BaseModel):
    """x* = arg min_x  content(x, A) + style(x, S) + tv(x), judged by a frozen classifier.

    A training step is `--step_evaluations` evaluations of the objective on one picture; the
    pictures of a folder are made one after the other. Nothing is learned, so there is no test.
    """

    loss_help = LOSS_HELP

    no_use_for = (
        dict.fromkeys(DISCRIMINATOR_FLAGS, "with a discriminator: --model pix2pix")
        | dict.fromkeys(NETWORK_FLAGS, "with networks that are trained: --model style")
        | {"load_size": "as --image_size", "beta1": "with --model style"}
    )

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        if not is_train:
            raise UserError(
                "--model neural_style: train.py writes its pictures, there is nothing to test; "
                "they are in the run's folder, in pictures/"
            )
        add_style_flags(parser, is_train, "gatys")
        parser.set_defaults(
            perceptual_net="vgg19", dataset_mode="content", preprocess="scale_longer",
            no_flip=True, serial_batches=True, num_threads=1, n_epochs=1, n_epochs_decay=0,
            print_freq=1, display_freq=5, update_html_freq=5, save_latest_freq=5, lr=None,
        )  # fmt: skip
        add = functools.partial(parser.add_argument, life="run")
        # fmt: off
        add("--image_size", nargs="+", type=int, default=[512], metavar="PX",
            help="the picture's longer side; several from coarse to fine")
        add("--n_evaluations", type=int, help="of the objective for each size; by preset")
        add("--step_evaluations", type=int, default=20, help="of the objective in a training step")
        add("--clamp", action=argparse.BooleanOptionalAction, default=None,
            help="keep the picture in range before each evaluation; by preset")
        add("--optimizer", choices=list(OPTIMIZERS), default="lbfgs",
            help="lbfgs, or adam, which needs less memory; --lr is 1 or, of [0, 1], 0.02")
        add("--lbfgs_history", type=int, default=100,
            counts_with={"optimizer": "lbfgs"}, help="steps that L-BFGS remembers")
        add("--start", default="content", metavar="content|noise|FILE", help="the first picture")
        add("--style_image_weights", nargs="+", type=float,
            counts_with=("with several --style_image", lambda o: len(o["style_image"]) > 1),
            help="shares of several style images; equal if absent")
        add("--original_colors", action="store_true",
            help="take over the style's lightness only (Gatys et al. 2016, Preserving Color)")
        # fmt: on
        return parser

    @staticmethod
    def decide_options(opt: argparse.Namespace) -> dict[str, Any]:
        """What `--style_preset` and the sizes decide."""
        decided = settings(vars(opt), "gatys")
        decided["style_image_weights"] = opt.style_image_weights or [1.0] * len(opt.style_image)
        decided["lr"] = OPTIMIZERS[opt.optimizer] if opt.lr is None else opt.lr
        decided["load_size"] = opt.image_size[-1]
        evaluations = decided["n_evaluations"], opt.step_evaluations
        if min(evaluations) > 0:  # else it is refused
            steps = steps_per_size(*evaluations)
            rows = range(min(opt.update_html_freq, steps), 0, -1)
            # A divisor: so that each size ends with a row of its own.
            decided["update_html_freq"] = next(every for every in rows if steps % every == 0)
        return decided

    @staticmethod
    def check_options(opt: argparse.Namespace) -> None:
        """Refuse what one picture after the other cannot be made with."""
        for flag, values in (("image_size", opt.image_size), ("n_evaluations", [opt.n_evaluations]),
                             ("step_evaluations", [opt.step_evaluations]),
                             ("lbfgs_history", [opt.lbfgs_history])):  # fmt: skip
            if min(values) < 1:
                raise UserError(f"--{flag} {min(values)}: accepted: whole numbers from 1 up")
        for flag, needed in (("batch_size", 1), ("lr_policy", "linear"), ("n_epochs_decay", 0),
                             ("preprocess", "scale_longer"), ("on_nan", "stop"),
                             ("input_nc", 3), ("output_nc", 3), ("precision", "auto"),
                             ("compile", False)):  # fmt: skip
            if (given := getattr(opt, flag)) != needed:
                raise UserError(f"--{flag} {given}: --model neural_style accepts {needed} only")
        shares = opt.style_image_weights
        if len(shares) != len(opt.style_image) or min(shares) < 0 or sum(shares) <= 0:
            raise UserError(
                f"--style_image_weights {shares}: give one from 0 up for each of the "
                f"{len(opt.style_image)} style images"
            )
        if opt.start not in ("content", "noise"):
            load_given("start", opt.start)
        if distributed.world_size() > 1:
            raise UserError("--model neural_style works in one process; start it without torchrun")
        if opt.image_size != sorted(opt.image_size):
            raise UserError(f"--image_size {opt.image_size}: accepted: from small to large")

    @staticmethod
    def loss_weights(opt: argparse.Namespace) -> dict[str, float]:
        """All terms are logged times their weights."""
        return term_weights(vars(opt))

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.steps_per_size = steps_per_size(opt.n_evaluations, opt.step_evaluations)
        self.steps_per_image = len(opt.image_size) * self.steps_per_size
        self.objective = style_objective.make_objective(vars(opt))
        self.loss_names = [*self.objective.names(), "total"]
        self.visual_names = ["content", "picture", "style"]
        total = sum(opt.style_image_weights)
        self.shares = [share / total for share in opt.style_image_weights]
        self.units = UNITS[opt.perceptual_input]
        self.path = ""  # of the content image at work
        self.step = 0  # training steps taken on it
        self.begun = -1  # the step before which the present size was begun
        self.finished: list[str] = []  # content images that have their picture
        self.names: dict[str, str] = {}  # content image -> its picture's name, once begun
        self.interrupted: dict | None = None  # state of the picture that a resumed run goes on with

    def page_row(self, epoch: int) -> PageRow:
        """A row for every picture that is shown, numbered by the steps."""
        round_ = len(self.finished) - (self.step == self.steps_per_image)
        number = round_ * self.steps_per_image + self.step
        done = self.step * self.opt.step_evaluations
        px = max(self.content.shape[-2:])
        heading = f"{self._place(self.path)}: {px} px, {done} evaluations"
        return PageRow(number, heading, f"step{number:05d}")

    def checkpoint_sizes(self, picture: int, images: int) -> Sizes:
        """The picture, and what the optimizer remembers of it."""
        history = self.opt.lbfgs_history if self.opt.optimizer == "lbfgs" else 1
        return Sizes(0, picture * (1 + 2 * history))

    def set_input(self, input: dict) -> None:
        self.image_paths = input["A_paths"]
        if self.image_paths[0] != self.path or self.step == self.steps_per_image:
            self.path, self.step, self.begun = self.image_paths[0], 0, -1
            self.whole = self.images(input, "A").expand(-1, 3, -1, -1)  # in its largest size
        if self.interrupted:
            self._take_up(self.interrupted)
        elif self.step % self.steps_per_size == 0 and self.begun != self.step:
            self._begin_size(self.opt.image_size[self.step // self.steps_per_size])

    def _begin_size(self, px: int) -> None:
        """Targets and first picture for a size of the picture, and an optimizer for it."""
        self.begun = self.step
        share_of_last = px / self.opt.image_size[-1]
        self.content = _resized(self.whole, share_of_last)
        style_px = round((self.opt.style_size or self.opt.image_size[-1]) * share_of_last)
        styles = [fitted(load_image(file), style_px) for file in self.opt.style_image]
        styles = [im2tensor(image).to(self.device) for image in styles]
        self.style = styles[0]
        try:
            self.content_targets = self.objective.content_targets(self.content)
        except UserError as error:
            raise UserError(f"{self.path}, scaled to --image_size {px}: {error}") from None
        grams = self.objective.style_targets(styles)  # layer -> (S, C, C)
        shares = torch.tensor(self.shares, device=self.device).view(-1, 1, 1)
        self.grams = {name: (shares * each).sum(0, keepdim=True) for name, each in grams.items()}
        first = self.step == 0
        self._optimize_from(self._first_picture() if first else self.variable / self.units)

    def _first_picture(self) -> torch.Tensor:
        """(1, 3, h, w) in [-1, 1]; in a further round over the images the one of the last round."""
        rounds = self.finished.count(self._place(self.path))
        start = str(self._file(rounds)) if rounds else self.opt.start
        if start == "content":
            return self.content
        if start == "noise":
            return 0.25 * torch.randn_like(self.content)
        return im2tensor(load_image(start)).to(self.device)

    def _optimize_from(self, picture: torch.Tensor) -> None:
        size = self.content.shape[-2:]
        if picture.shape[-2:] != size:
            picture = F.interpolate(picture, size, mode="bicubic", antialias=True)
        self.variable = (picture.detach().clone() * self.units).requires_grad_()
        if self.opt.optimizer == "adam":
            lr = self.opt.lr * 2 * self.units
            optimizer = torch.optim.Adam([self.variable], lr=lr)
        else:
            history = self.opt.lbfgs_history
            never = {"tolerance_grad": 0, "tolerance_change": 0}  # all evaluations are made
            lbfgs = torch.optim.LBFGS
            optimizer = lbfgs([self.variable], self.opt.lr, history_size=history, **never)
        self.optimizer, self.optimizers = optimizer, [optimizer]
        self.prepare_optimizers()

    def forward(self) -> None:
        self.picture = self.variable / self.units

    def optimize_parameters(self) -> None:
        """The losses are those before the step's first update."""
        before: list[dict[str, torch.Tensor]] = []

        def evaluate() -> torch.Tensor:
            self.optimizer.zero_grad()
            if self.opt.clamp:
                self.variable.data.clamp_(-self.units, self.units)
            self.forward()
            terms = self.objective(self.picture, self.content_targets, self.grams)
            total = sum(terms.values())
            total.backward()
            before.append({**terms, "total": total})
            return total

        done = self.step % self.steps_per_size * self.opt.step_evaluations
        self._update(evaluate, min(self.opt.step_evaluations, self.opt.n_evaluations - done))
        for name, term in before[0].items():
            setattr(self, f"loss_{name}", term.detach())
        self.forward()
        self.step += 1
        if self.step == self.steps_per_image:
            self.write_picture()
            self.finished.append(self._place(self.path))

    def _update(self, evaluate: Callable[[], torch.Tensor], evaluations: int) -> None:
        if self.opt.optimizer == "lbfgs":
            self.optimizer.param_groups[0] |= {"max_iter": evaluations, "max_eval": evaluations}
            self.optimizer.step(evaluate)
        else:
            for _ in range(evaluations):
                self.optimizer.step(evaluate)

    def compute_visuals(self) -> None:
        """The picture cut to its range, in the content's colours if asked for."""
        picture = self.variable.detach() / self.units
        if self.opt.original_colors:
            luma = torch.tensor(LUMA, device=self.device).view(1, 3, 1, 1)
            picture = self.content + ((picture - self.content) * luma).sum(1, keepdim=True)
        self.picture = picture.clamp(-1, 1)

    def _place(self, path: str) -> str:
        """A content image's name inside `--dataroot`, which may move."""
        root = Path(self.opt.dataroot)
        return str(Path(path).relative_to(root) if Path(path) != root else Path(path).name)

    def _file(self, rounds: int) -> Path:
        """Where the picture of the content image at work is kept, made in so many rounds."""
        place = self._place(self.path)
        if place not in self.names:  # equal stems: the later one keeps its ending
            taken = self.names.values()
            short, full = str(Path(place).with_suffix(".png")), f"{place}.png"
            self.names[place] = full if short in taken else short
        folder = "pictures" + (f"_round{rounds}" if rounds > 1 else "")
        if not stays(self.names[place]):
            raise UserError(
                f"--continue_train: the state puts the picture of {place} at {self.names[place]}, "
                "which is outside of the run; it is damaged, or was tampered with; begin anew"
            )
        return Path(self.save_dir) / folder / self.names[place]

    def write_picture(self) -> None:
        """Write <run>/pictures/<content image>.png."""
        self.compute_visuals()
        if not torch.isfinite(self.variable).all():
            raise NonFinite(f"the picture of {self.path} is not finite; lower --lr")
        file = self._file(self.finished.count(self._place(self.path)) + 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_image(tensor2im(self.picture), file)

    def state_dict(self) -> dict:
        state = {"finished": self.finished, "names": self.names}
        if self.path and self.step < self.steps_per_image:
            state["work"] = {
                "path": self._place(self.path),
                "step": self.step,
                "variable": self.variable.detach(),
                "optimizer": self.optimizer.state_dict(),
            }
        return state

    def load_state_dict(self, state: dict) -> None:
        self.finished, self.names = list(state["finished"]), dict(state["names"])
        self.interrupted = state.get("work")

    def _take_up(self, work: dict) -> None:
        """Go on with the picture at which the last run was interrupted."""
        self.interrupted = None
        if work["path"] != self._place(self.path):
            raise UserError(
                f"--continue_train: the run was at {work['path']}, --dataroot {self.opt.dataroot} "
                f"has {self._place(self.path)} in its place; give the same images"
            )
        self.step, self.variable = work["step"], work["variable"].to(self.device)
        self._begin_size(self.opt.image_size[self.step // self.steps_per_size])
        if self.step % self.steps_per_size:
            with torch.no_grad():
                self.variable.copy_(work["variable"])
            self.optimizer.load_state_dict(work["optimizer"])


def steps_per_size(n_evaluations: int, step_evaluations: int) -> int:
    """Training steps for each size of a picture; the last one may have fewer evaluations."""
    return -(-n_evaluations // step_evaluations)


def _resized(image: torch.Tensor, factor: float) -> torch.Tensor:
    """(1, 3, H, W) made smaller, both sides alike."""
    if factor == 1:
        return image
    size = [max(1, round(px * factor)) for px in image.shape[-2:]]
    return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(-1, 1)
