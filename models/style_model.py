"""Feed-forward style transfer (Johnson et al. 2016), with one style or several in a network
(Dumoulin et al. 2017)."""

from __future__ import annotations

import argparse
import math
from typing import Any

from models.base_model import DISCRIMINATOR_FLAGS, BaseModel
from models.style import objective as style_objective
from models.style.flags import LOSS_HELP, add_style_flags, settings, term_weights
from models.translation import OneNetwork
from util.errors import UserError
from util.images.convert import fitted, im2tensor
from util.images.read import load_image
from util.lazy import torch


class StyleModel(BaseModel):
    """Learns G: photograph -> the photograph as if painted in a style.

    G* = arg min_G  content(G(A), A) + style(G(A), S) + tv(G(A)), judged by a frozen classifier.
    """

    loss_help = LOSS_HELP

    no_use_for = dict.fromkeys(DISCRIMINATOR_FLAGS, "with a discriminator: --model pix2pix")

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        parser.set_defaults(netG="style_net", ngf=32, no_dropout=True, dataset_mode="single")
        add_style_flags(parser, is_train, "johnson")
        if is_train:
            parser.set_defaults(
                lr=1e-3, beta1=0.9, batch_size=4, n_epochs=2, n_epochs_decay=0,
                preprocess="scale_shorter_and_crop", load_size=256, no_flip=True,
            )  # fmt: skip
        else:
            parser.set_defaults(preprocess="keep")
            parser.add_argument(
                "--style_index", type=int, help="which of the network's styles, from 0"
            )
            parser.add_argument(
                "--style_blend", nargs="+", type=float, metavar="WEIGHT",
                help="a mixture of the styles, a weight for each",
            )  # fmt: skip
        return parser

    @staticmethod
    def decide_options(opt: argparse.Namespace) -> dict[str, Any]:
        """What `--style_preset` decides."""
        return settings(vars(opt), "johnson") if opt.isTrain else {}

    @staticmethod
    def check_options(opt: argparse.Namespace) -> None:
        """Refuse channels that are no picture, and styles that the network does not have."""
        for flag in ("input_nc", "output_nc"):
            if (given := getattr(opt, flag)) not in (1, 3):
                raise UserError(f"--{flag} {given}: --model style accepts 1 (grey), 3 (colour)")
        if not opt.isTrain:
            blend_of(len(opt.style_image) or 1, opt.style_index, opt.style_blend)
        if len(opt.style_image) > 1 and opt.netG != "style_net":
            raise UserError(
                f"--netG {opt.netG} learns one style, --style_image gives {len(opt.style_image)}; "
                "use --netG style_net"
            )

    @staticmethod
    def loss_weights(opt: argparse.Namespace) -> dict[str, float]:
        """All terms are logged times their weights."""
        return term_weights(vars(opt))

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.model_names = ["G"]
        self.visual_names = ["real_A", "fake_B"]
        self.n_styles = len(opt.style_image) or 1
        own = {"n_styles": self.n_styles} if self.n_styles > 1 else {}
        self.netG = self.generator(opt.input_nc, opt.output_nc, **own)
        if self.isTrain:
            if opt.netG == "style_net":
                self.netG.start_grey()
            self.objective = style_objective.make_objective(vars(opt))
            if "crop" in opt.preprocess:
                self._check_crop(opt.crop_size)
            self.loss_names = [*self.objective.names(), "total"]
            self.visual_names.append("style")
            self.optimizer = self.adam(self.netG)

    def _check_crop(self, px: int) -> None:
        """Raise UserError if nothing is left of such a square in the classifier."""
        try:
            self.objective.extractor(torch.zeros(1, 3, px, px))
        except UserError as error:
            raise UserError(f"--crop_size {px}: {error}") from None

    def setup(self, opt: argparse.Namespace) -> dict | None:
        """As every model's, and the styles that it is trained on or shows."""
        state = super().setup(opt)
        if self.isTrain:
            images = [fitted(load_image(file), opt.style_size) for file in opt.style_image]
            self.styles = [im2tensor(image).to(self.device) for image in images]
            self.grams = self.objective.style_targets(self.styles)
        else:
            self.blend = blend_of(self.n_styles, opt.style_index, opt.style_blend)
        return state

    def set_input(self, input: dict) -> None:
        self.real_A = self.images(input, "A")
        self.image_paths = input["A_paths"]

    def forward(self) -> None:
        """In training each image gets a style at random."""
        if self.n_styles == 1:
            self.fake_B = self.netG(self.real_A)
            return
        n = len(self.real_A)
        if self.isTrain:
            self.drawn = torch.randint(self.n_styles, (n,))
            blend = torch.nn.functional.one_hot(self.drawn, self.n_styles)
        else:
            blend = torch.tensor([self.blend] * n)
        self.fake_B = self.netG(self.real_A, blend=blend.to(self.real_A))

    def one_network(self) -> OneNetwork:
        blend = {"blend": torch.tensor([self.blend]).to(self.device)} if self.n_styles > 1 else {}
        return OneNetwork(self.netG, blend, lambda given, made: made.clamp(-1, 1))

    def compute_visuals(self) -> None:
        self.fake_B = self.fake_B.detach().clamp(-1, 1)
        if self.isTrain:
            self.style = self.styles[int(self.drawn[0]) if self.n_styles > 1 else 0]

    def optimize_parameters(self) -> None:
        self.forward()
        rgb_A, rgb_B = (x.expand(-1, 3, -1, -1) for x in (self.real_A, self.fake_B))  # also of grey
        style = self.grams
        if self.n_styles > 1:
            style = {layer: grams[self.drawn] for layer, grams in style.items()}
        terms = self.objective(rgb_B, self.objective.content_targets(rgb_A), style)
        self.loss_total = sum(terms.values())
        for name, term in terms.items():
            setattr(self, f"loss_{name}", term)
        self.optimizer.zero_grad()
        self.loss_total.backward()
        self.optimizer.step()


def blend_of(n_styles: int, index: int | None, weights: list[float] | None) -> list[float]:
    """The weight of each style, their sum 1, from `--style_index` or `--style_blend`; without
    both the first style.

    Raises:
        UserError: a style that there is not, or not a weight for each.
    """
    if weights is None:
        index = index or 0
        if not 0 <= index < n_styles:
            raise UserError(
                f"--style_index {index}: styles in the network: {n_styles}; accepted: 0 to "
                f"{n_styles - 1}"
            )
        return [float(number == index) for number in range(n_styles)]
    if index is not None:
        raise UserError("--style_index and --style_blend both choose the style; give one of them")
    usable = min(weights) >= 0 and 0 < sum(weights) < math.inf
    if len(weights) != n_styles or not usable:
        raise UserError(
            f"--style_blend {' '.join(map(str, weights))}: styles in the network: {n_styles}; "
            "give a weight for each, from 0 up, with a sum above 0"
        )
    return [weight / sum(weights) for weight in weights]
