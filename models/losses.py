"""Adversarial losses: what the discriminator's scores are worth. Reading the names needs no torch;
`GANLoss`, which uses the table, is in networks.py."""

from __future__ import annotations

from collections.abc import Callable

from util.errors import UserError
from util.lazy import F, nn, torch

GANMode = Callable[["torch.Tensor", bool, float], "torch.Tensor"]


def lsgan(scores: torch.Tensor, target_is_real: bool, label: float) -> torch.Tensor:
    """Mean of (score - label)^2 (Mao et al. 2017)."""
    return F.mse_loss(scores, torch.full_like(scores, label))


def vanilla(scores: torch.Tensor, target_is_real: bool, label: float) -> torch.Tensor:
    """Cross-entropy of the label and sigmoid(score) (Goodfellow et al. 2014)."""
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


def wgangp(scores: torch.Tensor, target_is_real: bool, label: float) -> torch.Tensor:
    """The mean score, for real ones its opposite (Gulrajani et al. 2017); the penalty comes from
    `cal_gradient_penalty`."""
    return -scores.mean() if target_is_real else scores.mean()


# Value of --gan_mode -> (scores of any shape, whether they should be those of real images, the
# label that stands for that) -> a scalar, the lower, the nearer the scores are to the target.
# A model's file may add a row of its own: GAN_MODES["name"] = function.
GAN_MODES: dict[str, GANMode] = {"lsgan": lsgan, "vanilla": vanilla, "wgangp": wgangp}


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
