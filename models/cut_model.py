"""CUT: unpaired translation in one direction, by contrast (Park et al. 2020)."""

from __future__ import annotations

import argparse
import functools

from models import networks
from models.base_model import BaseModel
from models.contrast import patch_nce
from models.padding import padded_size
from util.errors import UserError
from util.lazy import torch


class CUTModel(BaseModel):
    """Learns G: A -> B from unpaired sets: a place of G(A) shows what the same place of A shows.

    L = GAN(G, D) + lambda_NCE * NCE(A, G(A))                             (section 3.2, equation 4)
    with the identity lambda_NCE * (NCE(A, G(A)) + NCE(B, G(B))) / 2 in the place of the second term
    (the paper adds both; its authors' code takes the mean, as here).
    """

    loss_help = {
        "G_GAN": "How well G fools D. It hovers: it is a contest, not a descent.",
        "D_real": "D's error on real images. Together with D_fake it tells who is winning.",
        "D_fake": "D's error on G's images: near 0 when it sees through all.",
        "NCE": "How hard it is to find a place of A among others by that place of G(A), times "
        "--lambda_NCE. ln 256 = 5.5 is chance; should fall and level off.",
        "NCE_Y": "The same for B and G(B), which should leave B alone.",
    }
    healthy = ["NCE falls well below chance, while D_real and D_fake stay apart from 0."]
    no_use_for = {"pool_size": "with --model cycle_gan"}
    translates_alone = True  # test.py translates A alone, too
    visual_sides = {"idt_B": "B"}

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """The paper's networks (section 4 and appendix), and how places are compared."""
        parser.set_defaults(no_dropout=True, netG="resnet_9blocks_antialias")
        parser.set_defaults(netD="basic_antialias", init_type="xavier")
        if is_train:
            parser.set_defaults(gan_mode="lsgan", pool_size=0, n_epochs=200, n_epochs_decay=200)
            add = functools.partial(parser.add_argument, life="run")
            switch = functools.partial(add, action=argparse.BooleanOptionalAction)
            # fmt: off
            add("--lambda_NCE", type="non_negative", default=1.0, help="weight of PatchNCE")
            switch("--nce_idt", default=True, help="PatchNCE between B and G(B), too")
            switch("--flip_equivariance", default=False,
                   help="mirror every other input of G, and its output back before PatchNCE")
            add("--nce_layers", nargs="+", metavar="LAYER",
                help="of G, whose features are compared; by default five of a resnet")
            add("--num_patches", type="positive_int", default=256,
                help="places that are compared in each layer")
            add("--nce_T", type="positive", default=0.07, help="temperature of PatchNCE")
            add("--netF_nc", life="network", test="taken", type="positive_int", default=256,
                help="width of the two-layer perceptrons between features and PatchNCE")
            # fmt: on
        return parser

    @staticmethod
    def check_options(opt: argparse.Namespace) -> None:
        """Refuse channels with which G cannot see its own output."""
        if opt.isTrain and opt.input_nc != opt.output_nc:
            raise UserError(
                f"--model {opt.model}: G sees its own output, but --input_nc {opt.input_nc} "
                f"differs from --output_nc {opt.output_nc}; make them equal, or use --model "
                "cycle_gan"
            )

    @staticmethod
    def loss_weights(opt: argparse.Namespace) -> dict[str, float]:
        """Both NCE are logged times lambda_NCE."""
        return dict.fromkeys(["NCE", "NCE_Y"] if opt.nce_idt else ["NCE"], opt.lambda_NCE)

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.with_identity = self.isTrain and opt.nce_idt
        self.loss_names = ["G_GAN", "D_real", "D_fake", "NCE"] + ["NCE_Y"] * self.with_identity
        self.visual_names = ["real_A", "fake_B", "real_B"] + ["idt_B"] * self.with_identity
        self.model_names = ["G", "D", "F"] if self.isTrain else ["G"]
        self.netG = self.generator(opt.input_nc, opt.output_nc)
        self.mirrored = False  # whether G was given A mirrored, see `flip_equivariance`
        if self.isTrain:
            self.loss_names += ["D_penalty"] if self.penalises_gradients else []
            self.netD = self.discriminator(opt.output_nc)
            self.layers = patch_nce.layers_to_compare(self.netG, opt.netG, opt.nce_layers)
            # Widths are asked of G, not learned from a first image: before the optimizer, and the
            # same in a run that goes on and in all its processes.
            side = 2 * padded_size((1, 1), *self.accepted_sides)[0]
            shapes = self.netG.feature_shapes(opt.input_nc, side, side, self.layers)
            widths = [shape[0] for shape in shapes.values()]
            heads = patch_nce.PatchHeads(widths, opt.netF_nc)
            self.netF = networks.init_net(heads, opt.init_type, opt.init_gain)
            self.criterionGAN = networks.GANLoss(opt.gan_mode)
            self.optimizer_G = self.adam(self.netG, self.netF)
            self.optimizer_D = self.adam(self.netD)

    def set_input(self, input: dict) -> None:
        """real_A (N, input_nc, H, W) and real_B (N, output_nc, H, W), unpaired, in [-1, 1]."""
        self.real_A, self.real_B = self.source_and_target(input)
        self.mirrored = False

    def forward(self) -> None:
        """fake_B = G(A) and idt_B = G(B), in [-1, 1], shaped as their inputs; in training with the
        features of A and B on the way, which are the keys of PatchNCE."""
        if not self.isTrain:
            self.fake_B = self.netG(self.real_A)
            return
        image = self.real_A.flip(3) if self.mirrored else self.real_A
        self.fake_B, self.keys_A = self.netG(image, self.layers)
        if self.with_identity:
            self.idt_B, self.keys_B = self.netG(self.real_B, self.layers)

    def compute_visuals(self) -> None:
        """Show fake_B as A lies."""
        if self.mirrored:
            self.fake_B, self.mirrored = self.fake_B.flip(3), False

    def backward_D(self) -> None:
        """D tells B from G(A); its loss is halved to slow it down."""
        fake_B = self.fake_B.detach()
        self.loss_D_fake = self.criterionGAN(self.netD(fake_B), False)
        self.loss_D_real = self.criterionGAN(self.netD(self.real_B), True)
        self.loss_D_penalty = self.gradient_penalty(self.netD, self.real_B, fake_B)
        (0.5 * (self.loss_D_fake + self.loss_D_real) + self.loss_D_penalty).backward()

    def nce(
        self, output: torch.Tensor, keys: list[torch.Tensor], mirrored: bool = False
    ) -> torch.Tensor:
        """PatchNCE, the mean over layers, between an image (N, C, H, W) that G made and the
        features of its input; `mirrored`: the image, and not these (section 3.2, equation 3)."""
        queries = self.netG(output, self.layers, encode_only=True)
        queries = [x.flip(3) for x in queries] if mirrored else queries
        places = patch_nce.draw_places(queries, self.opt.num_patches)
        q = self.netF(patch_nce.at_places(queries, places))
        with torch.no_grad():
            k = self.netF(patch_nce.at_places(keys, places))
        losses = [patch_nce.patch_nce(*pair, self.opt.nce_T) for pair in zip(q, k, strict=True)]
        return torch.stack(losses).mean() * self.opt.lambda_NCE

    def backward_G(self) -> None:
        """G fools D, and keeps what each place shows."""
        self.loss_G_GAN = self.criterionGAN(self.netD(self.fake_B), True)
        if self.mirrored:
            with torch.no_grad():
                self.keys_A = self.netG(self.real_A, self.layers, encode_only=True)
        self.loss_NCE = nce = self.nce(self.fake_B, self.keys_A, self.mirrored)
        if self.with_identity:
            self.loss_NCE_Y = self.nce(self.idt_B, self.keys_B)
            nce = 0.5 * (self.loss_NCE + self.loss_NCE_Y)
        self.loss_G = self.loss_G_GAN + nce
        self.loss_G.backward()

    def optimize_parameters(self) -> None:
        """A step of D, then a step of G and the perceptrons."""
        self.mirrored = self.opt.flip_equivariance and bool(torch.rand(()) < 0.5)
        self.forward()
        # D
        self.set_requires_grad(self.netD, True)
        self.optimizer_D.zero_grad()
        self.backward_D()
        self.optimizer_D.step()
        # G and F, with D frozen
        self.set_requires_grad(self.netD, False)
        self.optimizer_G.zero_grad()
        self.backward_G()
        self.optimizer_G.step()
