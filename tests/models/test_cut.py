"""CUT and FastCUT: PatchNCE by closed forms and by another way of computing it, the antialiased
networks, what is refused."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.antialias import Downsample, Upsample
from models.contrast.patch_nce import PatchHeads, at_places, draw_places, patch_nce
from models.cut_model import CUTModel
from models.discriminators import describe_discriminator
from models.features import ChainNet
from models.generators import describe_generator
from models.networks import define_D, define_G
from options.train_options import TrainOptions
from tests.helpers import TINY, make_single, make_unaligned, pictures
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from tests.models.steps import make_model, take_step
from translate import main as translate

SMALL = [*TINY, "--netG", "resnet_6blocks_antialias", "--ngf", "4", "--ndf", "4", "--netF_nc", "16"]


def unit_vectors(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(1)), dim=-1)


class TestPatchNCE:
    def test_equal_features_are_told_apart_by_chance_only(self):
        same = unit_vectors(1, 1, 256).expand(2, 256, 256)
        assert patch_nce(same, same).item() == pytest.approx(math.log(256), rel=1e-6)

    def test_orthonormal_features_are_told_apart_at_once(self):
        apart = torch.eye(256, dtype=torch.double)[None]
        expected = math.log1p(255 * math.exp(-1 / 0.07))
        assert expected == pytest.approx(1.59e-4, rel=1e-2)
        assert patch_nce(apart, apart).item() == pytest.approx(expected, rel=1e-6)

    def test_it_is_the_papers_sum_over_places_with_negatives_of_the_same_image(self):
        q, k = unit_vectors(2, 5, 8), unit_vectors(3, 5, 8)[1:]
        total = 0.0
        for image in range(2):
            for place in range(5):
                scores = [
                    math.exp(q[image, place].dot(k[image, other]) / 0.1) for other in range(5)
                ]
                total -= math.log(scores[place] / sum(scores))
        assert patch_nce(q, k, 0.1).item() == pytest.approx(total / 10, rel=1e-5)

    def test_no_gradient_flows_into_keys(self):
        q, k = (
            unit_vectors(2, 5, 8).requires_grad_(),
            unit_vectors(2, 5, 8).clone().requires_grad_(),
        )
        patch_nce(q, k).backward()
        assert k.grad is None and q.grad.abs().sum() > 0


def test_places_are_different_ones_and_all_where_there_are_few():
    large, small = draw_places([torch.zeros(2, 3, 40, 50), torch.zeros(2, 3, 4, 5)], 256)
    assert len(large) == len(set(large.tolist())) == 256 and large.max() < 2000
    assert sorted(small.tolist()) == list(range(20))


def test_vectors_are_those_of_the_places_in_every_image():
    x = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    (found,) = at_places([x], [torch.tensor([7, 0])])
    assert torch.equal(found, torch.stack([x[:, :, 1, 2], x[:, :, 0, 0]], 1))


def test_the_length_of_a_vector_does_not_count():
    q, k = unit_vectors(2, 5, 8), unit_vectors(3, 5, 8)[1:]
    assert patch_nce(3 * q, k / 7).item() == pytest.approx(patch_nce(q, k).item(), rel=1e-5)


class TestModel:
    def test_settings_are_the_papers(self):
        cut, fast = (TrainOptions().parse(["--dataroot", ".", "--model", name, "--gpu_ids", "-1"])
                     for name in ("cut", "fastcut"))  # fmt: skip
        assert (cut.lambda_NCE, cut.nce_idt, cut.flip_equivariance) == (1, True, False)
        assert (fast.lambda_NCE, fast.nce_idt, fast.flip_equivariance) == (10, False, True)
        assert (cut.n_epochs, cut.n_epochs_decay) == (200, 200)
        assert (fast.n_epochs, fast.n_epochs_decay) == (150, 50)
        for opt in (cut, fast):
            assert (opt.num_patches, opt.nce_T, opt.netF_nc, opt.pool_size) == (256, 0.07, 256, 0)
            assert (opt.gan_mode, opt.init_type, opt.no_dropout) == ("lsgan", "xavier", True)
            assert (opt.netG, opt.netD) == ("resnet_9blocks_antialias", "basic_antialias")

    def test_a_step_has_the_gradients_of_the_papers_way_to_compute_it(self):
        """Features of A by a pass of their own, and the loss place by place."""
        model = make_model(["--model", "cut", *SMALL, "--no-nce_idt", "--num_patches", "4"],
                           plain=True, dtype=torch.double)  # fmt: skip
        model.set_input({"A": (A := torch.rand(2, 3, 32, 32).double() * 2 - 1), "B": A.flip(0),
                         "A_paths": ["a"] * 2, "B_paths": ["b"] * 2})  # fmt: skip
        model.forward()
        model.set_requires_grad(model.netD, False)
        torch.manual_seed(5)
        model.backward_G()
        found = [p.grad for net in (model.netG, model.netF) for p in net.parameters()]

        fake = model.netG(A)
        queries = model.netG(fake, model.layers, encode_only=True)
        torch.manual_seed(5)
        places = draw_places(queries, 4)
        keys = model.netG(A, model.layers, encode_only=True)
        total = 0.0
        for head, query, key, ids in zip(model.netF.heads, queries, keys, places, strict=True):
            for n in range(2):
                q, k = (
                    torch.stack([head(x[n].flatten(1)[:, i]) for i in ids]) for x in (query, key)
                )
                q, k = q / q.norm(dim=1, keepdim=True), (k / k.norm(dim=1, keepdim=True)).detach()
                total -= (q @ k.T / 0.07).log_softmax(1).diagonal().mean() / 2 / len(queries)
        assert model.loss_NCE.item() == pytest.approx(total.item(), rel=1e-9)
        loss = ((model.netD(fake) - 1) ** 2).mean() + total
        weights = [p for net in (model.netG, model.netF) for p in net.parameters()]
        for mine, expected in zip(found, torch.autograd.grad(loss, weights), strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-9)

    def test_the_identity_is_half_of_the_loss(self):
        model = make_model(["--model", "cut", *SMALL, "--lambda_NCE", "3"])
        losses = take_step(model, 0, 1, 32)
        total = losses["G_GAN"] + 0.5 * (losses["NCE"] + losses["NCE_Y"])
        assert model.loss_G.item() == pytest.approx(total, rel=1e-6)
        assert CUTModel.loss_weights(model.opt) == {"NCE": 3, "NCE_Y": 3}

    def test_fastcut_mirrors_the_input_and_compares_with_the_output_mirrored_back(self):
        class Same(ChainNet):
            """Gives the image itself, and its px as features."""

            def __init__(self) -> None:
                super().__init__()
                self.model = nn.Sequential(nn.Identity())

        model = make_model(["--model", "fastcut", *SMALL])
        model.netG, model.layers, A = Same(), [0], torch.rand(1, 3, 32, 32)
        model.netF = PatchHeads([3])
        model.set_input({"A": A, "B": A, "A_paths": ["a"], "B_paths": ["b"]})
        losses = {}
        for mirrored in (False, True):
            model.mirrored = mirrored
            model.forward()
            assert torch.equal(model.fake_B, A.flip(3) if mirrored else A)
            model.netF.zero_grad()
            torch.manual_seed(5)
            model.backward_G()
            losses[mirrored] = model.loss_NCE.item()
        assert losses[True] == losses[False]
        torch.manual_seed(5)
        wrong = model.nce(model.fake_B, model.keys_A).item()
        assert abs(wrong - losses[True]) > 0.01, "the test must see a mirror that is not undone"
        model.compute_visuals()
        assert torch.equal(model.fake_B, A), "shown as A lies"

    def test_fastcut_mirrors_half_of_the_inputs(self):
        model = make_model(["--model", "fastcut", *SMALL])
        seen = []
        model.forward = lambda: seen.append(model.mirrored)
        model.backward_D = model.backward_G = lambda: None
        torch.manual_seed(0)
        for _ in range(200):
            model.optimize_parameters()
        assert 70 < sum(seen) < 130

    @pytest.mark.parametrize("flags", [
        ["--netG", "unet_128", "--nce_layers", "down1", "down3", "--crop_size", "128",
         "--load_size", "128"],
        ["--netG", "resnet_6blocks", "--batch_size", "2", "--netD", "pixel"],
        ["--gan_mode", "wgangp"], ["--precision", "bf16"],
    ], ids=" ".join)  # fmt: skip
    def test_other_networks_and_number_formats(self, flags):
        model = make_model(["--model", "cut", *SMALL, *flags])
        losses = take_step(model, 0, 2, 128 if "unet_128" in flags else 32)
        assert all(math.isfinite(value) for value in losses.values())
        assert ("D_penalty" in losses) == ("wgangp" in flags)
        assert all(p.grad is not None for p in model.netF.parameters())

    @pytest.mark.parametrize(("flags", "line"), [
        (["--input_nc", "1"], "input_nc 1 differs from --output_nc 3"),
        (["--netG", "unet_128", "--crop_size", "128", "--load_size", "128"],
         "name the layers.*down1, down2"),
        (["--nce_layers", "0", "99"], "--nce_layers 99: no layer of --netG .*accepted: 0, 1"),
        (["--nce_layers", "4", "4"], "--nce_layers 4 4: a layer is named twice"),
        (["--nce_T", "0"], "--nce_T"), (["--num_patches", "0"], "--num_patches"),
        (["--lambda_NCE", "-1"], "--lambda_NCE"),
    ])  # fmt: skip
    def test_what_cannot_be_is_one_line(self, tmp_path, capsys, flags, line):
        argv = ["--dataroot", make_unaligned(tmp_path, 1), "--name", "n", "--model", "cut", *SMALL]
        run_train(*argv, *flags, expect=2)
        assert re.search(line, capsys.readouterr().err)
        assert not (tmp_path / "checkpoints").exists()


def test_g_alone_is_needed_to_test_and_to_translate(tmp_path):
    run_train("--dataroot", make_unaligned(tmp_path / "data", 2), "--name", "c", "--model", "cut",
              *SMALL, "--n_epochs", 1, "--n_epochs_decay", 0)  # fmt: skip
    run = tmp_path / "checkpoints" / "c"
    assert {f.name for f in run.glob("latest_net_*.pth")} == {f"latest_net_{x}.pth" for x in "DFG"}
    photo = make_single(tmp_path / "photos", 1) / "0.png"
    outputs = []
    for out in ("all.png", "alone.png"):
        assert translate(["--name", "c", str(photo), "-o", out, "--gpu_ids", "-1"]) == 0
        outputs.append((tmp_path / out).read_bytes())
        for name in "DF":
            for file in [*run.glob(f"*_net_{name}.pth"), *run.glob(f"snapshots/*/net_{name}.pth")]:
                file.unlink()
    assert outputs[0] == outputs[1]
    for model in ([], ["--model", "test"]):
        run_test("--dataroot", tmp_path / "photos", "--name", "c", *model, "--gpu_ids", "-1",
                 "--results_dir", f"r{len(model)}")  # fmt: skip
        assert pictures(tmp_path / f"r{len(model)}" / "c" / "test_latest")


class TestAntialiased:
    def test_a_place_of_the_five_layers_sees_what_the_paper_says(self):
        """1, 9, 15, 35 and 99 px (appendix): of convolutions without norm."""
        torch.manual_seed(0)
        net = define_G(1, 1, 2, "resnet_9blocks_antialias", "none").double()
        for p in net.parameters():
            nn.init.uniform_(p, 0.1, 1.0)  # no ReLU hides a px
        image = torch.rand(1, 1, 160, 160, dtype=torch.double, requires_grad=True)
        sides = []
        for x in net(image, net.contrast_layers, encode_only=True):
            middle = x[0, :, x.shape[2] // 2, x.shape[3] // 2].sum()
            (slope,) = torch.autograd.grad(middle, image, retain_graph=True)
            sides.append([int((slope != 0).any(dim).sum()) for dim in (2, 3)])
        assert sides == [[side, side] for side in (1, 9, 15, 35, 99)]

    def test_halving_and_doubling_by_other_means(self):
        x = torch.randn(2, 3, 6, 9)
        line = torch.tensor([1, 2, 1]) / 4.0
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        blurred = sum(line[i] * line[j] * padded[:, :, i : i + 6, j : j + 9]
                      for i in range(3) for j in range(3))  # fmt: skip
        torch.testing.assert_close(Downsample(3)(x), blurred[:, :, ::2, ::2])
        doubled = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(Upsample(3)(x), doubled)

    @pytest.mark.parametrize("blocks", [6, 9])
    @pytest.mark.parametrize("norm", ["batch", "instance"])
    def test_weights_tell_that_they_are_of_such_a_network(self, blocks, norm):
        for more in ("", "_antialias"):
            netG = f"resnet_{blocks}blocks{more}"
            weights = define_G(3, 1, 4, netG, norm, use_dropout=True).state_dict()
            assert describe_generator(weights) == {
                "netG": netG, "norm": norm, "no_dropout": False, "ngf": 4, "input_nc": 3,
                "output_nc": 1}  # fmt: skip
            for n, told in ((1, {}), (3, None), (4, {})):
                netD = ("basic" if n == 3 else "n_layers") + more
                found = describe_discriminator(define_D(3, 4, netD, n, norm).state_dict())
                expected = {"netD": netD, "norm": norm, "ndf": 4, "channels": 3}
                assert found == expected | ({"n_layers_D": n} if told is not None else {})

    def test_a_discriminator_of_the_smallest_size_has_a_score(self):
        for n in (1, 3):
            scores = define_D(3, 4, "n_layers_antialias", n, "none")(
                torch.zeros(1, 3, 3 * 2**n, 48)
            )
            assert scores.shape[2] == 1
