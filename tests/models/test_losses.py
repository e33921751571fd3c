import pytest
import torch

from models import networks
from models.losses import cal_gradient_penalty
from models.networks import GANLoss
from tests import closed_form
from tests.helpers import golden
from util.errors import UserError


@pytest.mark.parametrize("entry", golden()["gan_loss"], ids=lambda e: e["gan_mode"])
def test_gan_loss_agrees_with_the_reference(entry):
    scores = 2 * closed_form.image(2, 1, 6, 6)
    loss = GANLoss(entry["gan_mode"]).to("cpu")
    assert loss(scores, True).item() == pytest.approx(entry["real"], rel=1e-6)
    assert loss(scores, False).item() == pytest.approx(entry["fake"], rel=1e-6)


@pytest.mark.parametrize("entry", golden()["gradient_penalty"], ids=lambda e: e["type"])
def test_gradient_penalty_agrees_with_the_reference(entry):
    netD = networks.define_D(3, 8, "basic", norm="instance")
    closed_form.fill_(netD)
    real, fake = closed_form.image(2, 3, 64, 64, 0), closed_form.image(2, 3, 64, 64, 5)
    penalty, gradients = cal_gradient_penalty(netD, real, fake, "cpu", entry["type"], 1.0, 10.0)
    assert penalty.item() == pytest.approx(entry["value"], rel=1e-5)
    assert gradients.shape == (2, 3 * 64 * 64)


def test_mixed_penalty_reaches_the_discriminators_weights():
    netD = networks.define_D(3, 8, "pixel", norm="none")
    cal_gradient_penalty(netD, torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8))[0].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in netD.parameters())


def test_penalty_is_off_at_weight_zero():
    assert cal_gradient_penalty(None, None, None, lambda_gp=0.0) == (0.0, None)


def test_unknown_modes_are_told():
    with pytest.raises(UserError, match="--gan_mode lsgann.*did you mean lsgan"):
        GANLoss("lsgann")
    with pytest.raises(UserError, match="real, fake, mixed"):
        cal_gradient_penalty(None, None, None, type="both")
