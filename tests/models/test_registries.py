"""A generator, a discriminator and a GAN mode of other people: one file each, known everywhere."""

import re
import sys

import pytest
import torch
from PIL import Image

import models
from models import losses, networks
from models.discriminators import DISCRIMINATORS, check_discriminator_size
from models.generators import (
    GENERATORS,
    Generator,
    check_generator_size,
    describe_generator,
)
from models.layers import INIT_TYPES, NORMS
from options import test_options
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, make_single, pictures
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints import weights as checkpoint
from util.errors import UserError

GENERATOR = """
import torch
from torch import nn


class PlainTextGenerator(nn.Module):
    size_multiple = 6

    def __init__(self, input_nc, output_nc, ngf=64, depth=1):
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(ngf, ngf, 1) for _ in range(depth))
        self.first = nn.Conv2d(input_nc, ngf, 3, 3)
        self.last = nn.ConvTranspose2d(ngf, output_nc, 3, 3)

    def forward(self, image):
        assert image.shape[2] % 6 == image.shape[3] % 6 == 0, "the file says so"
        x = self.first(image)
        for layer in self.inner:
            x = layer(x).relu()
        return self.last(x).tanh()

    @staticmethod
    def describe(weights):
        if "inner.0.weight" not in weights:
            return {}
        (ngf, input_nc), output_nc = weights["first.weight"].shape[:2], len(weights["last.bias"])
        return {"ngf": ngf, "input_nc": input_nc, "output_nc": output_nc, "no_dropout": True}
"""
DISCRIMINATOR = """
from torch import nn


class StripesDiscriminator(nn.Module):
    smallest_px = 20

    def __init__(self, input_nc, ndf, n_layers, norm_layer):
        super().__init__()
        chain = [nn.Sequential(nn.Conv2d(ndf, ndf, 1), norm_layer(ndf)) for _ in range(n_layers)]
        self.chain = nn.Sequential(nn.Conv2d(input_nc, ndf, (20, 1)), *chain, nn.Conv2d(ndf, 1, 1))

    def forward(self, image):
        return self.chain(image)
"""
MODEL = """
import torch.nn.functional as F
from torch import nn

from models.generators import GENERATORS, Generator
from models.losses import GAN_MODES
from models.pix2pix_model import Pix2PixModel


class AffineGenerator(nn.Module):
    def __init__(self, input_nc, output_nc):
        super().__init__()
        self.conv = nn.Conv2d(input_nc, output_nc, 1)

    def forward(self, image):
        return self.conv(image).tanh()


class OwnModel(Pix2PixModel):
    pass


GENERATORS["affine"] = Generator("models.own_model:AffineGenerator")
GAN_MODES["logistic"] = lambda scores, real, label: F.softplus(-scores if real else scores).mean()
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The three files, in a folder that belongs to the package for one test."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "plain_text_generator.py").write_text(GENERATOR)
    (folder / "stripes_discriminator.py").write_text(DISCRIMINATOR)
    (folder / "own_model.py").write_text(MODEL)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    yield folder
    GENERATORS.data.pop("affine", None)
    losses.GAN_MODES.pop("logistic", None)
    for name, module in list(sys.modules.items()):  # the next test's files have the same names
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


OURS = ["--netG", "plain_text", "--netD", "stripes"]


def test_networks_of_others_train_resume_and_test_without_being_told_again(tmp_path, plugins):
    root = make_aligned(tmp_path / "data", 2)
    flags = ["--dataroot", root, "--name", "r", "--model", "pix2pix", *TINY, *OURS, "--crop_size",
             30, "--n_layers_D", 2, "--n_epochs_decay", 0]  # fmt: skip
    run_train(*flags, "--n_epochs", 1)
    run_train("--name", "r", "--continue_train", "--n_epochs", 2, "--gpu_ids", -1)
    weights = torch.load(tmp_path / "checkpoints" / "r" / "latest_net_D.pth")
    assert sum(key.endswith(".weight") for key in weights) == 2 + 2 * 2  # layers, and batch norms
    run_test("--dataroot", root, "--name", "r", "--gpu_ids", -1)
    assert len(pictures(tmp_path / "results" / "r" / "test_latest")) == 6
    photos = make_single(tmp_path / "photos", 1)  # is padded, and the result cut back
    run_test("--dataroot", photos, "--name", "r", "--model", "test", "--preprocess", "scale_width",
             "--load_size", 31, "--gpu_ids", -1)  # fmt: skip
    (fake,) = (tmp_path / "results" / "r").rglob("0_fake.png")
    assert Image.open(fake).size == (31, 31)


def test_help_names_them_without_reading_them(plugins, capsys):
    for name in ("plain_text_generator", "stripes_discriminator"):
        (plugins / f"{name}.py").write_text("raise ImportError('read for --help')")
    with pytest.raises(SystemExit) as stopped:
        run_train("--help")
    assert stopped.value.code == 0
    text = "".join(capsys.readouterr().out.split())
    ours = "resnet_9blocks,resnet_6blocks,unet_128,unet_256,style_net"
    assert re.search(rf"\{{{ours}[^}}]*,plain_text[,}}]", text)
    assert re.search(r"\{basic,n_layers,pixel[^}]*,stripes[,}]", text)
    parsed = TrainOptions().parse(["--dataroot", ".", *OURS])
    assert (parsed.netG, parsed.netD) == ("plain_text", "stripes")


def test_near_names_are_suggested(plugins, capsys):
    run_train("--dataroot", ".", "--netG", "plain_txt", expect=2)
    assert "--netG plain_txt: accepted: resnet_9blocks" in (text := capsys.readouterr().err)
    assert text.endswith("did you mean plain_text?\n")
    with pytest.raises(UserError, match="--netD stripe: .*stripes; did you mean stripes"):
        networks.define_D(3, 4, "stripe")


def test_sizes_are_checked_by_what_the_file_says(tmp_path, plugins, capsys):
    root = make_aligned(tmp_path / "data", 1)
    flags = ["--dataroot", root, "--model", "pix2pix", *TINY, *OURS]
    run_train(*flags, "--crop_size", 32, expect=2)
    assert (
        "--crop_size 32 does not fit --netG plain_text: accepted are multiples of 6; use "
        "--crop_size 30 (and a --load_size of at least that), or --netG resnet_6blocks"
    ) in capsys.readouterr().err
    run_train(*flags, "--crop_size", 18, expect=2)
    assert "--crop_size 18 is too small for --netD stripes: accepted is 20 and more" in (
        capsys.readouterr().err
    )
    run_train(*flags, "--preprocess", "keep", "--batch_size", 1, "--dry_run")  # 48 px photographs
    run_train(*flags, "--preprocess", "scale_width", "--load_size", 33, expect=2)
    assert "--load_size 33 does not fit --netG plain_text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (130, "multiples of 128; use --load_size 128"),
        (512, None),
        (64, "--load_size 64 does not fit.*multiples of 128 from 128 px; use --load_size 128"),
    ],
)
def test_sizes_of_our_own(size, words):
    if words is None:
        check_generator_size("unet_128", size, "load_size")
        return
    with pytest.raises(UserError, match=words):
        check_generator_size("unet_128", size, "load_size")


def test_a_size_that_leaves_a_resnet_nothing_to_reflect_is_refused():
    with pytest.raises(UserError, match="crop_size 4 .*multiples of 4 from 8 px; use .* 8"):
        check_generator_size("resnet_9blocks", 4)
    check_generator_size("resnet_9blocks", 8)
    net = networks.define_G(3, 3, 2, "resnet_9blocks", "instance")
    assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_smallest_images_of_our_discriminators():
    for netD, n_layers, smallest in (("basic", 9, 24), ("n_layers", 2, 12), ("pixel", 3, 1)):
        net = networks.define_D(3, 2, netD, n_layers, "batch").eval()
        check_discriminator_size(netD, n_layers, smallest)
        assert net(torch.zeros(1, 3, smallest, smallest)).shape == (1, 1, 1, 1)
        if smallest > 1:
            with pytest.raises(RuntimeError):
                net(torch.zeros(1, 3, smallest - 1, smallest - 1))
            with pytest.raises(UserError, match=f"too small for --netD {netD} of . layers"):
                check_discriminator_size(netD, n_layers, smallest - 1)


def test_weights_are_recognised_by_their_class(tmp_path, plugins, capsys):
    net = networks.define_G(3, 1, 5, "plain_text")
    checkpoint.save_file(net.state_dict(), tmp_path / "checkpoints" / "d" / "latest_net_G.pth")
    photos = make_single(tmp_path / "photos", 1)
    run_test("--dataroot", photos, "--name", "d", "--model", "test", "--gpu_ids", -1)
    assert "read from the weights: netG plain_text, ngf 5" in capsys.readouterr().err
    assert describe_generator({"nothing": torch.zeros(1)}) == {}


def test_a_row_of_ours_brings_its_recognition_along(monkeypatch):
    row = GENERATORS["resnet_9blocks"]
    deep = Generator(row.where, {"n_blocks": 12}, 4, 8, describe=row.describe)
    monkeypatch.setitem(GENERATORS, "resnet_12blocks", deep)
    weights = networks.define_G(3, 3, 4, "resnet_12blocks", "instance").state_dict()
    assert describe_generator(weights)["netG"] == "resnet_12blocks"


def test_arguments_of_its_own_reach_a_generator_and_others_are_told(plugins):
    assert len(networks.define_G(3, 3, 4, "plain_text", depth=3).inner) == 3
    with pytest.raises(UserError, match="--netG plain_text takes no argument 'dept'.*depth"):
        networks.define_G(3, 3, 4, "plain_text", dept=3)
    with pytest.raises(UserError, match="--netG unet_128 takes no argument 'n_styles'"):
        networks.define_G(3, 3, 4, "unet_128", n_styles=2)


def test_norms_that_a_generator_does_not_have_are_refused(plugins):
    with pytest.raises(UserError, match="--norm batch: --netG style_net has norms of its own; acc"):
        networks.define_G(3, 3, 4, "style_net", "batch")
    file = plugins / "plain_text_generator.py"
    file.write_text(GENERATOR.replace("size_multiple = 6", "norms = ('none', 'instance')"))
    with pytest.raises(UserError, match="--netG plain_text has norms.*accepted: none, instance"):
        networks.define_G(3, 3, 4, "plain_text", "batch")
    assert networks.define_G(3, 3, 4, "plain_text", "none")


def test_a_file_without_the_class_is_told(plugins):
    (plugins / "empty_generator.py").write_text("")
    with pytest.raises(UserError, match=r"write `class EmptyGenerator\(torch\.nn\.Module\)`"):
        networks.define_G(3, 3, 4, "empty")


def test_a_models_file_adds_rows_for_itself(tmp_path, plugins, capsys):
    root = make_aligned(tmp_path / "data", 2)
    flags = ["--dataroot", root, "--name", "o", "--model", "own", *TINY, "--netG", "affine",
             "--gan_mode", "logistic"]  # fmt: skip
    run_train(*flags, "--n_epochs", 1, "--n_epochs_decay", 0)
    run_test("--dataroot", root, "--name", "o", "--gpu_ids", -1)
    assert len(pictures(tmp_path / "results" / "o" / "test_latest")) == 6
    opt = test_options.TestOptions().parse(
        ["--dataroot", str(root), "--name", "o", "--gpu_ids", "-1"]
    )
    assert opt.netG == "affine"
    capsys.readouterr()
    run_train(*flags[:-1], "logstic", expect=2)
    assert "--gan_mode logstic: accepted: lsgan, vanilla, wgangp, logistic; did you mean" in (
        capsys.readouterr().err
    )


def test_several_generators_take_what_all_of_them_take():
    style, resnet, unet = (GENERATORS[n] for n in ("style_net", "resnet_9blocks", "unet_128"))
    assert style.sides == (1, 8) and resnet.sides == (4, 8) and unet.sides == (128, 128)
    for first, second in ((resnet, unet), (unet, resnet)):  # the order does not matter
        assert second.sides_with(first.sides) == (128, 128)
    assert Generator("x:Y", size_multiple=6).sides_with(resnet.sides) == (12, 8)


def test_tables_are_read_without_torch_and_hold_what_they_promise():
    for table in (GENERATORS, DISCRIMINATORS):
        assert len(table) == len(list(table)) and "no_such" not in table
        for row in table.values():
            assert issubclass(row.load(), torch.nn.Module)
        with pytest.raises(KeyError):
            table["no_such"]
    for name in NORMS:
        assert isinstance(networks.get_norm_layer(name)(4), torch.nn.Module)
    for name, draw in INIT_TYPES.items():
        weight = torch.zeros(8, 8, 3, 3)
        draw(weight, 0.02)
        assert weight.abs().sum() > 0, name
