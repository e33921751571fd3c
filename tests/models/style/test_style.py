"""Style transfer: figures of the reference, options, pictures, what bad input gets."""

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from models.style import perceptual
from models.style.flags import PRESETS
from models.style.net import StyleNet
from models.style.objective import StyleObjective
from tests import closed_form
from tests.helpers import (
    TINY,
    golden,
    make_data,
    make_single,
    metrics,
    page_rows,
    photo,
    pictures,
    style_flags,
)
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.checkpoint import list_checkpoints
from util.checkpoints.weights import save_file
from util.errors import UserError
from util.images.convert import tensor2im
from util.images.read import load_image

CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "conv4_4": 512}


def image(number: int) -> torch.Tensor:
    return closed_form.image(1, 3, 64, 64, golden()["salt"] + number)


def features_of(name: str) -> torch.nn.Sequential:
    """The convolutional part of a classifier, its weights unset."""
    with torch.device("meta"):
        net = getattr(torchvision.models, name)()
    return net.features.to_empty(device="cpu")


@pytest.fixture(scope="module")
def closed_vggs(tmp_path_factory) -> Path:
    """Files of closed-form weights, with torchvision's keys."""
    folder = tmp_path_factory.mktemp("vgg")
    for name in ("vgg16", "vgg19"):
        net = features_of(name)
        closed_form.fill_(net)
        weights = {f"features.{key}": value for key, value in net.state_dict().items()}
        torch.save(weights, folder / f"{name}.pth")
    return folder


def objective(folder: Path, net: str, preset: str) -> StyleObjective:
    chosen = PRESETS[preset]
    channels = perceptual.layer_channels(net, chosen.style_layers)
    style = {layer: chosen.layer_weight(layer, channels[layer]) * chosen.style_weight
             for layer in chosen.style_layers}  # fmt: skip
    extractor = perceptual.Extractor(
        net, str(folder / f"{net}.pth"), chosen.perceptual_input,
        [*chosen.content_layers, *chosen.style_layers],
    )  # fmt: skip
    content = dict.fromkeys(chosen.content_layers, chosen.content_weight)
    return StyleObjective(extractor, content, style, chosen.gram_norm, tv_weight=0.0)


@pytest.mark.parametrize(
    ("entry", "net", "preset", "start"),
    [
        ("gatys_vgg19", "vgg19", "gatys", 1),
        ("gatys_vgg19_from_other", "vgg19", "gatys", 3),
        ("tutorial_vgg19", "vgg19", "tutorial", 3),
        ("johnson_vgg16", "vgg16", "johnson", 3),
    ],
)
def test_terms_are_those_of_the_published_settings(closed_vggs, entry, net, preset, start):
    expected, judge = golden()["style"][entry], objective(closed_vggs, net, preset)
    picture = image(start).requires_grad_()
    terms = judge(picture, judge.content_targets(image(1)), judge.style_targets([image(2)]))
    content = terms.pop("content").item()
    style = [term.item() for term in terms.values()]
    if preset == "johnson":  # its figures are unweighted
        assert [t / 1e10 for t in style] == pytest.approx(expected["style_mse"], rel=1e-3)
        assert content / 1e5 == pytest.approx(expected["content_mse_relu2_2"], rel=1e-3)
        return
    assert style == pytest.approx(expected["style_losses"], rel=1e-3)
    assert content == pytest.approx(expected["content_loss"], rel=1e-3, abs=1e-6)
    if "grad_abs_sum" in expected:  # in units of the BGR picture
        sum(terms.values(), judge.content["conv4_2"](judge.extractor(picture)["conv4_2"],
            judge.content_targets(image(1))["conv4_2"])).backward()  # fmt: skip
        gradient = picture.grad.abs().sum().item() / 127.5
        assert gradient == pytest.approx(expected["grad_abs_sum"], rel=1e-3)


class TestExtractor:
    def test_layers_by_block_and_counted_through(self):
        names = perceptual.layer_names(features_of("vgg19"))
        assert [names[n] for n in ("relu1_1", "relu4_2", "conv_4", "pool5")] == [1, 22, 7, 36]
        names = perceptual.layer_names(features_of("squeezenet1_0"))
        assert [names[n] for n in ("relu_1", "fire2", "fire9")] == [1, 3, 12]

    def test_features_before_a_relu_keep_their_sign(self):
        extractor = perceptual.Extractor("squeezenet1_0", "random", "plain", ["conv_1", "relu_1"])
        features = extractor(image(1))
        assert features["conv_1"].min() < 0 and features["relu_1"].min() == 0

    def test_random_weights_are_seeded_and_frozen(self):
        nets = [perceptual.Extractor("squeezenet1_0", "random", "imagenet", ["fire2"], seed=s)
                for s in (1, 1, 2)]  # fmt: skip
        one, same, other = (net(image(1))["fire2"] for net in nets)
        assert torch.equal(one, same) and not torch.equal(one, other)
        assert not any(p.requires_grad for p in nets[0].parameters())
        assert not nets[0].train().training

    def test_gatys_own_file_loads(self, tmp_path):
        features = features_of("vgg19")
        closed_form.fill_(features)
        at = {
            v: k for k, v in perceptual.layer_names(features).items() if re.match(r"conv\d_\d", k)
        }
        weights = {re.sub(r"^\d+", lambda m: at[int(m[0])], key): value
                   for key, value in features.state_dict().items()}  # fmt: skip
        torch.save(weights, tmp_path / "vgg_conv.pth")
        assert "conv1_1.weight" in weights
        file = str(tmp_path / "vgg_conv.pth")
        extractor = perceptual.Extractor("vgg19", file, "caffe", ["conv1_1"])
        assert torch.equal(extractor.features[0].weight, features[0].weight)

    def test_pooling_by_mean(self):
        layers = ["pool1"]
        maxima, means = (perceptual.Extractor("squeezenet1_0", "random", "plain", layers, pooling=p)
                         (image(1))["pool1"] for p in ("max", "avg"))  # fmt: skip
        assert (maxima >= means).all() and not torch.equal(maxima, means)

    def test_imagenet_without_internet_says_which_file_to_put_where(self, monkeypatch, tmp_path):
        def offline(*args, **kwargs):
            raise OSError("no route to host")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
        monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
        with pytest.raises(UserError, match=r"put vgg16-397923af.pth from .* into .*hub.*checkp"):
            perceptual.Extractor("vgg16", "imagenet", "imagenet", ["relu1_1"])


def painting(tmp_path: Path, name: str = "painting.png", number: int = 7) -> Path:
    photo(number, (40, 36)).save(tmp_path / name)
    return tmp_path / name


SMALL = ["--perceptual_net", "squeezenet1_0", "--perceptual_weights", "random", *TINY]
NEURAL = ["--model", "neural_style", "--name", "n", *SMALL, "--image_size", "48",
          "--n_evaluations", "12", "--step_evaluations", "4"]  # fmt: skip


@pytest.fixture
def content(tmp_path) -> Path:
    photo(1, (96, 64)).save(tmp_path / "content.png")
    return tmp_path / "content.png"


class TestNeuralStyle:
    def run(self, tmp_path, content, *more, expect=0) -> Path:
        run_train("--dataroot", content, "--style_image", painting(tmp_path), *NEURAL, *more,
                  expect=expect)  # fmt: skip
        return tmp_path / "checkpoints" / "n"

    def test_a_picture_its_losses_and_its_page(self, tmp_path, content):
        run = self.run(tmp_path, content, "--update_html_freq", 1)
        assert Image.open(run / "pictures" / "content.png").size == (48, 32)
        lines = metrics(run)
        assert [m["images"] for m in lines] == [1, 2, 3]
        terms = {"content", "style_relu_1", "style_fire3", "style_fire5", "style_fire8", "total"}
        assert terms <= lines[0].keys() and "tv" not in lines[0]
        assert lines[0]["content"] == 0  # before any step, from the content image
        totals = [m["total"] for m in lines]
        assert totals == sorted(totals, reverse=True) and totals[2] < totals[0]
        assert lines[0]["total"] == pytest.approx(sum(lines[0][t] for t in terms - {"total"}))
        assert "content.png: 48 px, 8 evaluations" in [row[1] for row in page_rows(run)]
        assert (run / "web" / "images" / "step00002_picture.png").is_file()

    def test_sizes_from_coarse_to_fine_and_adam_and_smoothness(self, tmp_path, content):
        run = self.run(tmp_path, content, "--image_size", 32, 64, "--optimizer", "adam",
                       "--tv_weight", 10, "--start", "noise", "--update_html_freq",
                       10**9)  # fmt: skip
        assert {3, 6} <= {row[0] for row in page_rows(run)}  # each size ends with its own
        assert Image.open(run / "pictures" / "content.png").size[0] == 64
        assert len(metrics(run)) == 6 and metrics(run)[0]["tv"] > 0

    @pytest.mark.parametrize("mode", ["single", "aligned", "unaligned"])
    def test_any_data_set_that_gives_images_as_A_has_all_its_evaluations(
        self, tmp_path, monkeypatch, mode
    ):
        """How often an image is given is the model's to say, whatever reads it."""
        folder = make_data(tmp_path / "data", mode)
        if mode == "single":
            make_single(folder, 2)
        called, real = [], StyleObjective.__call__
        monkeypatch.setattr(
            StyleObjective, "__call__", lambda *args: called.append(1) or real(*args)
        )
        run = self.run(tmp_path, folder, "--dataset_mode", mode, "--image_size", 32, 48,
                       "--max_dataset_size", 2)  # fmt: skip
        assert len(called) == 2 * 2 * 12
        assert [line["images"] for line in metrics(run)] == list(range(1, 2 * 2 * 3 + 1))
        painted = [file.name for file in (run / "pictures").rglob("*.png")]
        assert sorted(painted) == ["0.png", "1.png"]

    def test_a_folder_and_a_second_round_from_the_saved_pictures(self, tmp_path):
        folder = make_single(tmp_path / "photos", 2)
        photo(5).save(folder / "0.jpg")
        run = self.run(tmp_path, folder)
        names = {"0.png", "0.png.png", "1.png"}
        assert {f.name for f in (run / "pictures").iterdir()} == names
        last = metrics(run)[-1]["total"]
        run_train("--name", "n", "--continue_train", "--n_epochs", 2, "--gpu_ids", -1)
        second_round = metrics(run)[9:]
        assert {f.name for f in (run / "pictures").iterdir()} == names
        assert {f.name for f in (run / "pictures_round2").iterdir()} == names
        assert len(second_round) == 9 and second_round[-3]["total"] < 1.2 * last

    def test_original_colours_keep_the_contents_chroma(self, tmp_path, content):
        run = self.run(tmp_path, content, "--original_colors")
        picture = np.asarray(Image.open(run / "pictures" / "content.png")).astype(float)
        source = Image.open(content).convert("RGB").resize((48, 32), Image.Resampling.BICUBIC)
        difference = picture - np.asarray(source)
        inside = ((picture > 0) & (picture < 255)).all(axis=2)
        spread = difference.max(axis=2) - difference.min(axis=2)  # the same change in R, G and B
        assert inside.sum() > 100 and spread[inside].max() <= 2 < abs(difference).max()

    def test_two_styles_with_shares(self, tmp_path, content):
        paintings = [painting(tmp_path, f"{n}.png", n) for n in (7, 8)]
        totals = []
        for shares in ((1, 0), (0, 1), (1, 1)):
            run_train("--dataroot", content, *NEURAL, "--style_image", *paintings, "--overwrite",
                      "--style_image_weights", *shares)  # fmt: skip
            totals.append(metrics(tmp_path / "checkpoints" / "n")[0]["total"])
        assert len(set(totals)) == 3

    def test_the_published_presets_by_flag(self, tmp_path, content):
        for preset, evaluations, clamp in (("gatys", 500, False), ("tutorial", 300, True)):
            flags = ["--style_preset", preset, "--perceptual_net", "vgg19", "--dry_run"]
            run_train("--dataroot", content, "--style_image", painting(tmp_path), "--model",
                      "neural_style", "--perceptual_weights", "random", *flags,
                      "--image_size", 32, "--step_evaluations", 1, "--name", "n")  # fmt: skip
            assert (PRESETS[preset].n_evaluations, PRESETS[preset].clamp) == (evaluations, clamp)

    @pytest.mark.parametrize(("more", "words"), [
        (["--style_image"], "--style_image expected at least one argument"),
        (["--style_image", "none.jpg"], "none.jpg: no such file"),
        (["--style_image", "text.jpg"], "text.jpg: cannot be read as an image"),
        (["--style_layers", "relu9_9"], "layer 'relu9_9': not in --perceptual_net squeezenet1_0"),
        (["--style_preset", "gatys"], "layer 'conv4_2': not in --perceptual_net squeezenet1_0"),
        (["--perceptual_weights", "other.pth"], "other.pth: not weights of squeezenet1_0"),
        (["--perceptual_weights", "none.pth"], "--perceptual_weights none.pth: no such file"),
        (["--style_layer_weights", "1", "2"], "2 given for 4 style layers"),
        (["--style_image_weights", "1", "2"], "give one from 0 up for each of the 1"),
        (["--batch_size", "2"], "--batch_size 2: --model neural_style accepts 1 only"),
        (["--start", "none.png"], "none.png: no such file"),
        (["--style_size", "-1"], "--style_size -1: accepted: a number from 0 up"),
        (["--tv_weight", "-1"], "--tv_weight -1.0: accepted: a number from 0 up"),
        (["--image_size", "96", "48"], "accepted: from small to large"),
        (["--style_layer_weights", "-1", "1", "1", "1"], "accepted: numbers from 0 up"),
        (["--content_layers", "fire5", "fire5"], "accepted: each layer once"),
        (["--input_nc", "1"], "--input_nc 1: --model neural_style accepts 3 only"),
        (["--dataroot", "flat"], "b.png: 48x3 px, scaled is too small for a content image"),
        (["--image_size", "0"], "--image_size 0: accepted: whole numbers from 1 up"),
        (["--dataroot", "tiny.png"], "tiny.png: 10x10 px is too small for a content image"),
        (["--dataroot", "nowhere"], "--dataroot nowhere: no such folder"),
    ])  # fmt: skip
    def test_bad_input_is_one_line(self, tmp_path, content, capsys, more, words):
        (tmp_path / "text.jpg").write_text("<html>")
        photo(1, (10, 10)).save(tmp_path / "tiny.png")
        (tmp_path / "flat").mkdir()
        photo(1).save(tmp_path / "flat" / "a.png")
        photo(1, (300, 20)).save(tmp_path / "flat" / "b.png")
        torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
        self.run(tmp_path, content, *more, expect=2)
        lines = capsys.readouterr().err.splitlines()
        told = ("has no effect", "the last counts")  # TINY's --ndf; what is given here again
        (error,) = [line for line in lines if not any(words in line for words in told)]
        assert words in error
        assert not (tmp_path / "checkpoints").exists()

    def test_a_folder_may_move_between_two_sessions(self, tmp_path):
        folder = make_single(tmp_path / "photos", 2)
        run = self.run(tmp_path, folder, "--save_by_iter", "--save_latest_freq", 2)
        shutil.rmtree(run / "pictures")
        folder.rename(tmp_path / "moved")
        more = ["--name", "n", "--continue_train", "--load_iter", 2, "--gpu_ids", -1]
        run_train(*more, "--dataroot", tmp_path / "moved")
        assert {f.name for f in (run / "pictures").iterdir()} == {"0.png", "1.png"}

    def test_a_picture_that_is_not_finite_is_not_written(self, tmp_path, content, capsys):
        run = self.run(tmp_path, content, "--lr", 1e30, "--save_latest_freq", 1, expect=3)
        assert "not finite" in capsys.readouterr().err
        assert not (run / "pictures").exists()
        for unit in list_checkpoints(run):
            assert torch.isfinite(unit.state()["model"]["work"]["variable"]).all()

    def test_no_style_image_and_no_test(self, tmp_path, content, capsys):
        run_train("--dataroot", content, *NEURAL, expect=2)
        assert "--style_image is needed" in capsys.readouterr().err
        run_test("--dataroot", content, "--model", "neural_style", expect=2)
        assert "there is nothing to test" in capsys.readouterr().err


class TestStyleNet:
    def test_its_layers_are_those_of_the_paper(self):
        net = StyleNet(3, 3)
        shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
        assert shapes["conv1.conv2d.weight"] == (32, 3, 9, 9)
        assert shapes["res5.in2.weight"] == (128,) and shapes["deconv3.conv2d.bias"] == (3,)
        assert sum(p.numel() for p in net.parameters()) == 1679235  # as in PyTorch's example

    @pytest.mark.parametrize("size", [(64, 64), (37, 50), (8, 9)])
    def test_the_output_has_the_inputs_size(self, size):
        assert StyleNet(3, 3, ngf=4)(torch.zeros(1, 3, *size)).shape == (1, 3, *size)

    def test_a_blend_lies_between_its_styles(self):
        torch.manual_seed(0)
        net = StyleNet(3, 3, ngf=4, n_styles=2)
        for module in net.modules():
            if hasattr(module, "weight") and module.weight.dim() == 2:
                torch.nn.init.normal_(module.weight, 1, 0.5)
        image = torch.rand(1, 3, 16, 16)
        pure = [net(image, blend=torch.tensor([share])) for share in ([1.0, 0.0], [0.0, 1.0])]
        mixed = net(image, blend=torch.tensor([[0.5, 0.5]]))
        assert not torch.allclose(*pure) and torch.allclose(mixed, net(image))
        assert not torch.allclose(mixed, pure[0])

    def test_one_style_equals_the_plain_layer(self):
        two, one = StyleNet(3, 3, 4, n_styles=2), StyleNet(3, 3, 4)
        weights = {k: v[0] if v.shape[:1] == (2,) and v.dim() == 2 else v
                   for k, v in two.state_dict().items()}  # fmt: skip
        one.load_state_dict(weights)
        image = torch.rand(1, 3, 16, 16)
        assert torch.allclose(one(image), two(image, blend=torch.tensor([[1.0, 0.0]])), atol=1e-5)


class TestStyle:
    def train(self, tmp_path, *more) -> list:
        data = make_single(tmp_path / "photos", 4)
        run_train("--dataroot", data, "--model", "style", "--name", "s", *style_flags(tmp_path),
                  *TINY, "--batch_size", 2, "--n_epochs", 1, *more)  # fmt: skip
        return ["--name", "s", "--gpu_ids", -1]

    def test_each_image_keeps_its_own_size(self, tmp_path):
        flags = self.train(tmp_path, "--print_freq", 2, "--tv_weight", 1)
        sizes = {"wide": (61, 40), "high": (33, 57)}
        (tmp_path / "new").mkdir()
        for name, size in sizes.items():
            photo(3, size).save(tmp_path / "new" / f"{name}.png")
        run_test("--dataroot", tmp_path / "new", *flags)
        for name, size in sizes.items():
            result = tmp_path / "results" / "s" / "test_latest" / "images" / f"{name}_fake_B.png"
            assert Image.open(result).size == size
        first = metrics(tmp_path / "checkpoints" / "s")[0]
        terms = ["content", "style_relu_1", "style_fire3", "style_fire5", "style_fire8", "tv"]
        assert first["total"] == pytest.approx(sum(first[term] for term in terms))

    def test_several_styles_by_number_or_blend(self, tmp_path, capsys):
        paintings = [painting(tmp_path, f"{n}.png", n) for n in (7, 8)]
        flags = self.train(tmp_path, "--style_image", *paintings, "--lr", 0.05)
        found = []
        for more in (["--style_index", 0], ["--style_index", 1], ["--style_blend", 1, 3], []):
            run_test("--dataroot", tmp_path / "photos", *flags, *more, "--num_test", 1)
            found.append(pictures(tmp_path / "results" / "s" / "test_latest")["0_fake_B.png"])
        assert len(set(found)) == 3 and found[3] == found[0]
        for more, words in ((["--style_index", 2], "--style_index 2: styles in the network: 2"),
                            (["--style_blend", 1], "give a weight for each"),
                            (["--style_blend", "inf", 1], "give a weight for each"),
                            (["--model", "test"], "run s has 2 styles; leave")):  # fmt: skip
            run_test("--dataroot", tmp_path / "photos", *flags, *more, expect=2)
            assert words in capsys.readouterr().err

    def test_weights_of_fast_neural_style_load(self, tmp_path):
        """Keys and statistics as in files of 2017; the network works on [0, 255]."""
        net = StyleNet(3, 3)
        weights = dict(net.state_dict())
        for name in ("in1", "res1.in1"):
            weights |= {
                f"{name}.running_mean": torch.zeros(32),
                f"{name}.running_var": torch.ones(32),
            }
        save_file(weights, tmp_path / "checkpoints" / "mosaic" / "latest_net_G.pth")
        data = make_single(tmp_path / "photos", 1)
        run_test("--dataroot", data, "--model", "style", "--name", "mosaic", "--gpu_ids", -1)
        found = tmp_path / "results" / "mosaic" / "test_latest" / "images" / "0_fake_B.png"
        pixels = torch.from_numpy(np.asarray(load_image(str(data / "0.png"))).copy()).float()
        with torch.no_grad():
            result = net(pixels.permute(2, 0, 1)[None] / 127.5 - 1).clamp(-1, 1)
        assert np.array_equal(np.asarray(Image.open(found)), tensor2im(result))

    def test_only_style_net_learns_several_styles(self, tmp_path, capsys):
        two = [painting(tmp_path, f"{n}.png", n) for n in (7, 8)]
        run_train("--dataroot", make_single(tmp_path / "photos"), "--model", "style", *SMALL,
                  "--style_image", *two, "--netG", "resnet_6blocks", expect=2)  # fmt: skip
        assert "--netG resnet_6blocks learns one style" in capsys.readouterr().err

    @pytest.mark.parametrize(("more", "words"), [
        (["--crop_size", 8, "--load_size", 8], "--crop_size 8: an image of 8x8 px is too small"),
        (["--output_nc", 2], "--output_nc 2: --model style accepts 1"),
    ])  # fmt: skip
    def test_bad_input_is_one_line(self, tmp_path, capsys, more, words):
        run_train("--dataroot", make_single(tmp_path / "photos"), "--model", "style", *SMALL,
                  "--style_image", painting(tmp_path), *more, expect=2)  # fmt: skip
        assert words in capsys.readouterr().err
        assert not (tmp_path / "checkpoints").exists()

    def test_a_photo_of_4_px_is_padded_and_cut_back(self, tmp_path):
        flags = self.train(tmp_path)
        (tmp_path / "new").mkdir()
        photo(3, (4, 40)).save(tmp_path / "new" / "thin.png")
        run_test("--dataroot", tmp_path / "new", *flags)
        result = next((tmp_path / "results").rglob("thin_fake_B.png"))
        assert Image.open(result).size == (4, 40)


def test_total_variation_counts_neighbours():
    stripes = torch.tensor([0.0, 1.0]).repeat(4)[None, None, None].expand(1, 3, 8, 8)
    assert perceptual.TotalVariationLoss(2.0)(stripes).item() == pytest.approx(2.0)
    assert math.isclose(perceptual.TotalVariationLoss(1.0)(torch.ones(1, 3, 4, 4)), 0.0)
