"""CycleGAN: unpaired image-to-image translation (Zhu et al. 2017)."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator

from models import networks
from models.base_model import BaseModel
from models.compute.process import give_back_freed_memory
from util.errors import UserError
from util.image_pool import ImagePool
from util.lazy import torch


class CycleGANModel(BaseModel):
    """Learns G_A: A -> B and G_B: B -> A from unpaired sets (sections 3 and 5.2).

    D_A judges images of B, D_B images of A.
    forward cycle:   lambda_A * |G_B(G_A(A)) - A|     backward cycle:  lambda_B * |G_A(G_B(B)) - B|
    identity:        lambda_identity * (lambda_B * |G_A(B) - B| + lambda_A * |G_B(A) - A|)
    """

    loss_help = {
        "D_A": "Error of the judge of B's images: is this one real, or made by G_A? (Its name "
        "follows G_A.)",
        "G_A": "How well G_A (A to B) fools D_A; hovers.",
        "cycle_A": "A to B and back, compared with A, times --lambda_A. Should fall and level off; "
        "close to 0 too early: G hides the image in its output instead of translating it.",
        "idt_A": "G_A given an image of B should leave it alone. It keeps colours in place.",
        "D_B": "Error of the judge of A's images, against G_B.",
        "G_B": "How well G_B (B to A) fools D_B; hovers.",
        "cycle_B": "B to A and back, compared with B, times --lambda_B.",
        "idt_B": "G_B given an image of A should leave it alone.",
    }
    translates_alone = True  # test.py translates A alone, too

    visual_sides = {"idt_A": "B", "idt_B": "A"}  # G_A gives images of B, of whatever it sees

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Weights of the losses; by default without dropout."""
        parser.set_defaults(no_dropout=True)  # the paper's generators have none
        if is_train:
            add = functools.partial(parser.add_argument, life="run")
            add("--lambda_A", type=float, default=10.0, help="weight of the cycle A -> B -> A")
            add("--lambda_B", type=float, default=10.0, help="weight of the cycle B -> A -> B")
            add("--lean", life="machine", action="store_true",
                help="train in half of the memory, part by part")  # fmt: skip
            add(
                "--lambda_identity", type=float, default=0.5,
                help="weight of the identity loss, relative to lambda_A and lambda_B; 0: none",
            )  # fmt: skip
        return parser

    @staticmethod
    def check_options(opt: argparse.Namespace) -> None:
        """Refuse an identity loss between images of different channels."""
        if opt.isTrain and opt.lambda_identity > 0 and opt.input_nc != opt.output_nc:
            raise UserError(
                f"--lambda_identity {opt.lambda_identity:g} compares images of A and B, but "
                f"--input_nc {opt.input_nc} differs from --output_nc {opt.output_nc}; "
                "use --lambda_identity 0"
            )

    @staticmethod
    def loss_weights(opt: argparse.Namespace) -> dict[str, float]:
        """Cycles and identities are logged times their weights."""
        identity = {
            "idt_A": opt.lambda_B * opt.lambda_identity,
            "idt_B": opt.lambda_A * opt.lambda_identity,
        }
        cycles = {"cycle_A": opt.lambda_A, "cycle_B": opt.lambda_B}
        return cycles | (identity if opt.lambda_identity > 0 else {})

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.loss_names = ["D_A", "G_A", "cycle_A", "idt_A", "D_B", "G_B", "cycle_B", "idt_B"]
        self.loss_names += ["D_A_penalty", "D_B_penalty"] if self.penalises_gradients else []
        visual_names_A = ["real_A", "fake_B", "rec_A"]
        visual_names_B = ["real_B", "fake_A", "rec_B"]
        if self.isTrain and opt.lambda_identity > 0:
            visual_names_A.append("idt_B")
            visual_names_B.append("idt_A")
        self.visual_names = visual_names_A + visual_names_B
        self.visual_groups = [visual_names_A, visual_names_B]
        self.model_names = ["G_A", "G_B", "D_A", "D_B"] if self.isTrain else ["G_A", "G_B"]
        self.netG_A = self.generator(opt.input_nc, opt.output_nc)
        self.netG_B = self.generator(opt.output_nc, opt.input_nc)
        if self.isTrain:
            self.netD_A = self.discriminator(opt.output_nc)
            self.netD_B = self.discriminator(opt.input_nc)
            self.fake_A_pool = ImagePool(opt.pool_size)
            self.fake_B_pool = ImagePool(opt.pool_size)
            self.criterionGAN = networks.GANLoss(opt.gan_mode)
            self.criterionCycle = torch.nn.L1Loss()
            self.criterionIdt = torch.nn.L1Loss()
            self.optimizer_G = self.adam(self.netG_A, self.netG_B)
            self.optimizer_D = self.adam(self.netD_A, self.netD_B)

    def set_input(self, input: dict) -> None:
        """real_A (N, input_nc, H, W) and real_B (N, output_nc, H, W), unpaired, in [-1, 1]."""
        self.real_A, self.real_B = self.source_and_target(input)

    def forward(self) -> None:
        """Both cycles: A -> B -> A and B -> A -> B."""
        self.forward_cycle()
        self.backward_cycle()

    def forward_cycle(self) -> None:
        """fake_B (N, output_nc, H, W) and rec_A, shaped as real_A, in [-1, 1]."""
        self.fake_B = self.netG_A(self.real_A)  # G_A(A)
        self.rec_A = self.netG_B(self.fake_B)  # G_B(G_A(A))

    def backward_cycle(self) -> None:
        """fake_A (N, input_nc, H, W) and rec_B, shaped as real_B, in [-1, 1]."""
        self.fake_A = self.netG_B(self.real_B)  # G_B(B)
        self.rec_B = self.netG_A(self.fake_A)  # G_A(G_B(B))

    def backward_D_basic(
        self, netD: torch.nn.Module, real: torch.Tensor, fake: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """Halved to slow D down (section 4). Returns: D's loss, and the penalty, not in it."""
        loss = 0.5 * (self.criterionGAN(netD(real), True) + self.criterionGAN(netD(fake), False))
        penalty = self.gradient_penalty(netD, real, fake)
        (loss + penalty).backward()
        return loss, penalty

    def backward_D_A(self) -> None:
        """D_A tells B from the history of G_A(A)."""
        fake_B = self.fake_B_pool.query(self.fake_B.detach())
        self.loss_D_A, self.loss_D_A_penalty = self.backward_D_basic(
            self.netD_A, self.real_B, fake_B
        )

    def backward_D_B(self) -> None:
        """D_B tells A from the history of G_B(B)."""
        fake_A = self.fake_A_pool.query(self.fake_A.detach())
        self.loss_D_B, self.loss_D_B_penalty = self.backward_D_basic(
            self.netD_B, self.real_A, fake_A
        )

    def forward_losses(self) -> torch.Tensor:
        """Of A -> B -> A: GAN(D_A(G_A(A))) + lambda_A * |G_B(G_A(A)) - A|."""
        self.loss_G_A = self.criterionGAN(self.netD_A(self.fake_B), True)
        self.loss_cycle_A = self.criterionCycle(self.rec_A, self.real_A) * self.opt.lambda_A
        return self.loss_G_A + self.loss_cycle_A

    def backward_losses(self) -> torch.Tensor:
        """Of B -> A -> B: GAN(D_B(G_B(B))) + lambda_B * |G_A(G_B(B)) - B|."""
        self.loss_G_B = self.criterionGAN(self.netD_B(self.fake_A), True)
        self.loss_cycle_B = self.criterionCycle(self.rec_B, self.real_B) * self.opt.lambda_B
        return self.loss_G_B + self.loss_cycle_B

    def identity_loss_A(self) -> torch.Tensor | float:
        """lambda_identity * lambda_B * |G_A(B) - B|, or 0.0 for lambda_identity 0."""
        self.loss_idt_A, weight = 0.0, self.opt.lambda_B * self.opt.lambda_identity
        if self.opt.lambda_identity > 0:
            self.idt_A = self.netG_A(self.real_B)  # G_A(B), should be B
            self.loss_idt_A = self.criterionIdt(self.idt_A, self.real_B) * weight
        return self.loss_idt_A

    def identity_loss_B(self) -> torch.Tensor | float:
        """lambda_identity * lambda_A * |G_B(A) - A|, or 0.0 for lambda_identity 0."""
        self.loss_idt_B, weight = 0.0, self.opt.lambda_A * self.opt.lambda_identity
        if self.opt.lambda_identity > 0:
            self.idt_B = self.netG_B(self.real_A)  # G_B(A), should be A
            self.loss_idt_B = self.criterionIdt(self.idt_B, self.real_A) * weight
        return self.loss_idt_B

    def backward_G(self) -> None:
        """Gradients of G_A and G_B: of both cycles and both identities, in one sum."""
        self.loss_G = (
            self.forward_losses() + self.backward_losses()
            + self.identity_loss_A() + self.identity_loss_B()
        )  # fmt: skip
        self.loss_G.backward()

    def parts_of_G(self) -> Iterator[torch.Tensor | float]:
        """The terms of G's loss, each computed when it is asked for."""
        self.forward_cycle()
        yield self.forward_losses()
        give_back_freed_memory(self.device)
        self.backward_cycle()
        yield self.backward_losses()
        give_back_freed_memory(self.device)
        yield self.identity_loss_A()
        yield self.identity_loss_B()

    def backward_G_in_parts(self) -> None:
        """The gradients of `backward_G`; what one part kept for them is freed before the next."""
        self.loss_G = 0.0
        for loss in self.parts_of_G():
            if isinstance(loss, torch.Tensor):
                loss.backward()
                self.loss_G = self.loss_G + loss.detach()

    def optimize_parameters(self) -> None:
        """A step of G_A and G_B together, then a step of D_A and D_B."""
        # G_A and G_B, with both D frozen
        self.set_requires_grad([self.netD_A, self.netD_B], False)
        self.optimizer_G.zero_grad()
        if self.opt.lean:
            self.backward_G_in_parts()
        else:
            self.forward()
            self.backward_G()
        self.optimizer_G.step()
        # D_A and D_B
        self.set_requires_grad([self.netD_A, self.netD_B], True)
        self.optimizer_D.zero_grad()
        self.backward_D_A()
        self.backward_D_B()
        self.optimizer_D.step()
