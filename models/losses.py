"""Adversarial losses: what the discriminator's scores are worth."""

import torch
import torch.nn.functional as F
from torch import nn

from models.choices import GAN_MODES
from util.errors import UserError, choose


class GANLoss(nn.Module):
    """The GAN objective, with the labels kept out of the models.

    vanilla: cross-entropy on logits (Goodfellow et al. 2014); lsgan: squared distance to the label
    (Mao et al. 2017); wgangp: the mean score (Gulrajani et al. 2017; the penalty comes from
    `cal_gradient_penalty`). The discriminator must not end in a sigmoid.
    """

    def __init__(
        self, gan_mode: str, target_real_label: float = 1.0, target_fake_label: float = 0.0
    ) -> None:
        super().__init__()
        self.gan_mode = choose("gan_mode", gan_mode, {mode: mode for mode in GAN_MODES})
        self.labels = {True: target_real_label, False: target_fake_label}

    def forward(self, prediction: torch.Tensor, target_is_real: bool) -> torch.Tensor:
        """A scalar from scores of any shape; the lower, the nearer to the target."""
        if self.gan_mode == "wgangp":
            return -prediction.mean() if target_is_real else prediction.mean()
        target = torch.full_like(prediction, self.labels[bool(target_is_real)])
        if self.gan_mode == "lsgan":
            return F.mse_loss(prediction, target)
        return F.binary_cross_entropy_with_logits(prediction, target)


def cal_gradient_penalty(
    netD: nn.Module,
    real_data: torch.Tensor,
    fake_data: torch.Tensor,
    device: torch.device | None = None,
    type: str = "mixed",
    constant: float = 1.0,
    lambda_gp: float = 10.0,
) -> tuple[torch.Tensor | float, torch.Tensor | None]:
    """lambda_gp * (|grad D| - constant)^2, mean over the batch (WGAN-GP, equation 3).

    Args:
        real_data, fake_data: (N, C, H, W); no gradient flows into them.
        device: not needed, kept for old plug-ins.
        type: where the gradient is taken: `real`, `fake`, or `mixed` (random points between).

    Returns:
        (penalty, gradients (N, C*H*W)); (0.0, None) for lambda_gp = 0.
    """
    if lambda_gp <= 0:
        return 0.0, None
    if type == "real":
        points = real_data.detach()
    elif type == "fake":
        points = fake_data.detach()
    elif type == "mixed":
        share = torch.rand(len(real_data), 1, 1, 1, device=real_data.device)
        points = share * real_data.detach() + (1 - share) * fake_data.detach()
    else:
        raise UserError(f"gradient penalty type {type!r}: accepted: real, fake, mixed")
    points.requires_grad_(True)
    scores = netD(points)
    (gradients,) = torch.autograd.grad(
        scores, points, grad_outputs=torch.ones_like(scores), create_graph=True
    )
    gradients = gradients.flatten(1)
    # The small offset keeps the norm differentiable where the gradient is zero.
    penalty = ((gradients + 1e-16).norm(2, dim=1) - constant).square().mean() * lambda_gp
    return penalty, gradients
