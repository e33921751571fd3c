"""Files from the wild: models and datasets as other people wrote them for the reference."""

import re
import sys
from pathlib import Path

import pytest

import data
import models
from options import test_options
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, metrics, pictures, timeless
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.errors import UserError

MODEL = """
import torch
from util.image_pool import ImagePool
from .base_model import BaseModel
from . import networks
import util.util as util


class SketchModel(BaseModel):
    @staticmethod
    def modify_commandline_options(parser, is_train=True):
        parser.set_defaults(norm='instance', netG='resnet_6blocks', dataset_mode='halves')
        parser.add_argument('--sketch_depth', type=int, default=2, help='an architecture flag')
        if is_train:
            parser.set_defaults(pool_size=4, gan_mode='lsgan')
            parser.add_argument('--lambda_sketch', type=float, default=10.0, help='weight')
        return parser

    def __init__(self, opt):
        BaseModel.__init__(self, opt)
        self.loss_names = ['G_GAN', 'G_L1', 'D']
        self.visual_names = ['real_A', 'fake_B', 'real_B', 'both']
        self.model_names = ['G', 'D'] if self.isTrain else ['G']
        self.netG = networks.define_G(opt.input_nc, opt.output_nc, opt.ngf * opt.sketch_depth,
                                      opt.netG, opt.norm, not opt.no_dropout, opt.init_type,
                                      opt.init_gain, self.gpu_ids)
        if self.isTrain:
            self.netD = networks.define_D(opt.output_nc, opt.ndf, opt.netD, opt.n_layers_D,
                                          opt.norm, opt.init_type, opt.init_gain, self.gpu_ids)
            self.fake_B_pool = ImagePool(opt.pool_size)
            self.criterionGAN = networks.GANLoss(opt.gan_mode).to(self.device)
            self.criterionL1 = torch.nn.L1Loss()
            self.optimizer_G = torch.optim.Adam(self.netG.parameters(), lr=opt.lr,
                                                betas=(opt.beta1, 0.999))
            self.optimizer_D = torch.optim.Adam(self.netD.parameters(), lr=opt.lr,
                                                betas=(opt.beta1, 0.999))
            self.optimizers.append(self.optimizer_G)
            self.optimizers.append(self.optimizer_D)

    def set_input(self, input):
        AtoB = self.opt.direction == 'AtoB'
        self.real_A = input['A' if AtoB else 'B'].to(self.device)
        self.real_B = input['B' if AtoB else 'A'].to(self.device)
        self.image_paths = input['A_paths' if AtoB else 'B_paths']

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def compute_visuals(self):
        self.both = (self.fake_B + self.real_B) / 2
        assert util.tensor2im(self.both).ndim == 3

    def optimize_parameters(self):
        self.forward()
        self.set_requires_grad(self.netD, True)
        self.optimizer_D.zero_grad()
        fake = self.fake_B_pool.query(self.fake_B)
        self.loss_D = 0.5 * (self.criterionGAN(self.netD(fake.detach()), False)
                             + self.criterionGAN(self.netD(self.real_B), True))
        penalty, _ = networks.cal_gradient_penalty(self.netD, self.real_B, fake.detach(),
                                                   self.device, 'mixed', 1.0, 1.0)
        (self.loss_D + penalty).backward()
        self.optimizer_D.step()
        self.set_requires_grad([self.netD], False)
        self.optimizer_G.zero_grad()
        self.loss_G_GAN = self.criterionGAN(self.netD(self.fake_B), True)
        self.loss_G_L1 = self.criterionL1(self.fake_B, self.real_B) * self.opt.lambda_sketch
        (self.loss_G_GAN + self.loss_G_L1).backward()
        self.optimizer_G.step()
"""

DATASET = """
import os
import random
from PIL import Image
from data.base_dataset import BaseDataset, get_params, get_transform
from data.image_folder import make_dataset


class HalvesDataset(BaseDataset):
    @staticmethod
    def modify_commandline_options(parser, is_train):
        parser.add_argument('--halves_noise', type=float, default=0.0, help='noise level')
        parser.set_defaults(load_size=34)
        return parser

    def __init__(self, opt):
        BaseDataset.__init__(self, opt)
        self.paths = sorted(make_dataset(os.path.join(opt.dataroot, opt.phase),
                                         opt.max_dataset_size))

    def __getitem__(self, index):
        AB = Image.open(self.paths[index]).convert('RGB')
        w, h = AB.size
        params = get_params(self.opt, (w // 2, h))
        transform = get_transform(self.opt, params, grayscale=False)
        A = transform(AB.crop((0, 0, w // 2, h))) + random.random() * self.opt.halves_noise
        B = transform(AB.crop((w // 2, 0, w, h)))
        return {'A': A, 'B': B, 'A_paths': self.paths[index], 'B_paths': self.paths[index]}

    def __len__(self):
        return len(self.paths)
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The two files, in folders that belong to the packages for one test."""
    for package, name, text in ((models, "sketch_model", MODEL), (data, "halves_dataset", DATASET)):
        folder = tmp_path / "plugins" / package.__name__
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    yield tmp_path
    for name, module in list(sys.modules.items()):  # the next test's files have the same names
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_model_and_a_dataset_of_others_train_resume_and_test(plugins, capsys):
    root = make_aligned(plugins / "data")
    flags = ["--dataroot", root, "--model", "sketch", "--name", "s", *TINY, "--sketch_depth", 1]
    run_train(*flags, "--n_epochs", 1, "--n_epochs_decay", 0, "--print_freq", 2)
    run_train(*flags, "--n_epochs", 2, "--n_epochs_decay", 0, "--continue_train",
              "--lr_policy", "plateau", "--allow_changed")  # fmt: skip
    # Test takes the plug-in's own flag, dataset and model from the run.
    run_test("--dataroot", root, "--name", "s", "--gpu_ids", -1)
    names = pictures(plugins / "results" / "s" / "test_latest")
    assert {name.split("_", 1)[1] for name in names} == {
        "real_A.png", "fake_B.png", "real_B.png", "both.png"}  # fmt: skip


NEWEST = """
import torch
from .base_model import BaseModel
from . import networks


class DeviceBase(BaseModel):
    def __init__(self, opt):
        BaseModel.__init__(self, opt)
        self.device = opt.device
        self.pinned = opt.device.type == 'cuda'


class NewestModel(DeviceBase):
    @staticmethod
    def modify_commandline_options(parser, is_train=True):
        parser.set_defaults(norm='batch', netG='resnet_6blocks', dataset_mode='aligned')
        if is_train:
            parser.set_defaults(pool_size=0, gan_mode='vanilla')
            parser.add_argument('--lambda_L1', type=float, default=100.0, help='weight')
        return parser

    def __init__(self, opt):
        DeviceBase.__init__(self, opt)
        self.loss_names = ['G_GAN', 'G_L1', 'D_real', 'D_fake']
        self.visual_names = ['real_A', 'fake_B', 'real_B']
        self.model_names = ['G', 'D'] if self.isTrain else ['G']
        self.netG = networks.define_G(opt.input_nc, opt.output_nc, opt.ngf, opt.netG, opt.norm,
                                      not opt.no_dropout, opt.init_type, opt.init_gain)
        if self.isTrain:
            self.netD = networks.define_D(opt.input_nc + opt.output_nc, opt.ndf, opt.netD,
                                          opt.n_layers_D, opt.norm, opt.init_type, opt.init_gain)
            self.criterionGAN = networks.GANLoss(opt.gan_mode).to(self.device)
            self.criterionL1 = torch.nn.L1Loss()
            both = (self.netG, self.netD)
            self.optimizer_G, self.optimizer_D = (
                torch.optim.Adam(net.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))
                for net in both)
            self.optimizers = [self.optimizer_G, self.optimizer_D]

    def setup(self, opt):
        BaseModel.setup(self, opt)
        self.is_set_up = True

    def set_input(self, input):
        AtoB = self.opt.direction == 'AtoB'
        self.real_A = input['A' if AtoB else 'B'].to(self.device)
        self.real_B = input['B' if AtoB else 'A'].to(self.device)
        self.image_paths = input['A_paths' if AtoB else 'B_paths']

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def optimize_parameters(self):
        self.forward()
        self.set_requires_grad(self.netD, True)
        self.optimizer_D.zero_grad()
        fake = torch.cat((self.real_A, self.fake_B), 1)
        self.loss_D_fake = self.criterionGAN(self.netD(fake.detach()), False)
        self.loss_D_real = self.criterionGAN(
            self.netD(torch.cat((self.real_A, self.real_B), 1)), True)
        ((self.loss_D_fake + self.loss_D_real) * 0.5).backward()
        self.optimizer_D.step()
        self.set_requires_grad(self.netD, False)
        self.optimizer_G.zero_grad()
        self.loss_G_GAN = self.criterionGAN(self.netD(fake), True)
        self.loss_G_L1 = self.criterionL1(self.fake_B, self.real_B) * self.opt.lambda_L1
        (self.loss_G_GAN + self.loss_G_L1).backward()
        self.optimizer_G.step()
        self.metric = 7.0
"""


@pytest.fixture
def newest(plugins):
    """--model newest, in the manner of the original's latest files."""
    (plugins / "plugins" / "models" / "newest_model.py").write_text(NEWEST)
    return ["--dataroot", make_aligned(plugins / "data"), "--model", "newest", *TINY,
            "--n_epochs_decay", 0, "--print_freq", 1]  # fmt: skip


@pytest.mark.parametrize("model", ["newest", "sketch"])
def test_files_of_both_generations_go_on_exactly(plugins, newest, model):
    """Those that ask `opt.device.type` and pass no gpu_ids, with a `setup` that returns nothing;
    and those that pass them."""
    flags = [*newest, "--model", model, "--lr", 0.001]
    run_train(*flags, "--name", "straight", "--n_epochs", 2)
    run_train(*flags, "--name", "resumed", "--n_epochs", 1)
    run_train("--name", "resumed", "--continue_train", "--n_epochs", 2, "--gpu_ids", -1)
    straight, resumed = (plugins / "checkpoints" / name for name in ("straight", "resumed"))
    assert timeless(resumed) == timeless(straight) and len(metrics(straight)) == 8
    run_test("--dataroot", newest[1], "--name", "resumed", "--gpu_ids", -1)
    assert pictures(plugins / "results" / "resumed" / "test_latest")


def test_a_setup_that_returns_nothing_loses_no_state(newest, plugins):
    """However deep the `setup`s are nested; and nothing of it is held afterwards."""
    deeper = NEWEST.replace("class NewestModel(DeviceBase)", "class MiddleModel(DeviceBase)") + (
        "\n\nclass NewestModel(MiddleModel):\n    def setup(self, opt):\n"
        "        MiddleModel.setup(self, opt)\n"
    )
    (plugins / "plugins" / "models" / "newest_model.py").write_text(deeper)
    run_train(*newest, "--name", "n", "--n_epochs", 1)
    opt = TrainOptions().parse(["--name", "n", "--continue_train", "--gpu_ids", "-1"])
    model = models.create_model(opt)
    state = model.setup(opt)
    assert model.is_set_up and state["progress"] == {"epoch": 2, "seen": 0, "images": 4, "size": 4}
    assert model._state is None
    assert models.create_model(opt).setup(opt)["progress"] == state["progress"]


def test_plateau_goes_by_the_metric_that_a_model_sets(newest):
    opt = TrainOptions().parse([str(word) for word in [*newest, "--lr_policy", "plateau"]])
    model = models.create_model(opt)
    model.setup(opt)
    assert model.metric == 0.0
    model.set_input(data.create_dataset(opt).peek())
    model.optimize_parameters()
    model.after_step()
    model.update_learning_rate()
    assert model.metric == 7.0 and {s.best for s in model.schedulers} == {7.0}
    model.loss_G = 3.0  # set by the model itself no more: the mean of its losses
    model.after_step()
    model.update_learning_rate()
    assert model.metric == 3.0 and {s.best for s in model.schedulers} == {3.0}


def test_help_shows_the_flags_of_the_chosen_plugins(plugins, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_train("--model", "sketch", "--help")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "--lambda_sketch" in text and "--halves_noise" in text and "--n_epochs" in text


def test_a_file_without_the_class_is_told(plugins):
    (plugins / "plugins" / "models" / "empty_model.py").write_text("")
    with pytest.raises(UserError, match=r"empty_model\.py.*class EmptyModel\(BaseModel\)"):
        models.find_model_using_name("empty")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"G_L1", "D"]', '"G_L2", "D"]', "loss_names holds 'G_L2'.*no self.loss_G_L2"),
        ('"real_B", "both"', '"real_B", "bath"', "visual_names holds 'bath'.*no self.bath"),
        ('= ["G", "D"] if', '= ["G", "DD"] if', "model_names holds 'DD'.*no self.netDD"),
    ],
)
def test_a_plugins_mistake_is_told_by_the_dry_run(plugins, capsys, old, new, words):
    text = MODEL.replace("'", '"').replace(old, new).replace("opt.sketch_depth", "1")
    assert text.count(new) == 1
    (plugins / "plugins" / "models" / "slip_model.py").write_text(text.replace("Sketch", "Slip"))
    root = make_aligned(plugins / "data")
    run_train("--dataroot", root, "--model", "slip", *TINY, "--dry_run", expect=2)
    assert re.search(words, capsys.readouterr().err)


def test_flags_of_others_may_be_required_or_defined_anew(plugins, capsys):
    """--lambda_gp is newer than most plug-ins; theirs counts."""
    text = MODEL.replace("'--sketch_depth', type=int, default=2,", "'--vgg_path', required=True,")
    text = text.replace("'--lambda_sketch'", "'--lambda_gp'").replace("opt.sketch_depth", "1")
    text = text.replace("opt.lambda_sketch", "opt.lambda_gp").replace("Sketch", "Needy")
    (plugins / "plugins" / "models" / "needy_model.py").write_text(text)
    flags = ["--dataroot", make_aligned(plugins / "data"), "--model", "needy", *TINY, "--dry_run"]
    run_train(*flags, expect=2)
    assert (
        "error: --vgg_path is needed: an architecture flag (model needy)" in capsys.readouterr().err
    )
    run_train(*flags, "--vgg_path", "x", "--lambda_gp", "3")
    captured = capsys.readouterr()
    assert "model needy defines --lambda_gp anew" in captured.err
    assert "lambda_gp: 3.0" in captured.out


def test_unusual_flags_of_plugins_come_back_from_the_run(plugins):
    """A dash in the name, a switch that turns off, a counter, a type that YAML does not know."""
    extra = """
        parser.add_argument('--blur-px', type=int, default=1, help='x')
        parser.add_argument('--no_attention', dest='attention', action='store_false', help='x')
        parser.add_argument('--level', action='count', default=0, help='x')
        import argparse, json, pathlib
        parser.add_argument('--bo', action=argparse.BooleanOptionalAction, default=True, help='x')
        parser.add_argument('--empty', nargs='+', default=[], help='x')
        parser.add_argument('--app', action='append', help='x')
        parser.add_argument('--js', type=json.loads, help='x')
        parser.add_argument('--js_text', type=json.loads, help='x')
        parser.add_argument('--paths', nargs='+', type=pathlib.Path, help='x')
        parser.add_argument('--size', type=lambda t: tuple(map(int, t.split(','))), default=(1, 1),
                            help='x')
        return parser
"""
    text = MODEL.replace("        return parser\n", extra, 1).replace("Sketch", "Odd")
    assert "--blur-px" in text
    (plugins / "plugins" / "models" / "odd_model.py").write_text(text)
    root = make_aligned(plugins / "data")
    run_train("--dataroot", root, "--model", "odd", "--name", "o", *TINY, "--n_epochs", 1,
              "--n_epochs_decay", 0, "--blur-px", 5, "--no_attention", "--level", "--level",
              "--size", "3,4", "--no-bo", "--app", 1, "--app", 2, "--js", "[1, 2]", "--js_text",
              '"5"', "--paths", "a", "b", "--max_dataset_size", 1)  # fmt: skip
    opt = test_options.TestOptions().parse(["--dataroot", str(root), "--name", "o"])
    assert (opt.blur_px, opt.attention, opt.level, opt.size) == (5, False, 2, (3, 4))
    assert (opt.bo, opt.empty, opt.app, opt.js, opt.js_text) == (False, [], ["1", "2"], [1, 2], "5")
    assert opt.paths == [Path("a"), Path("b")]


def test_a_default_that_no_flag_has_is_warned_about(plugins, capsys):
    text = MODEL.replace("norm='instance'", "nrom='batch'").replace("Sketch", "Nrom")
    (plugins / "plugins" / "models" / "nrom_model.py").write_text(text)
    run_train("--dataroot", make_aligned(plugins / "data"), "--model", "nrom", *TINY, "--dry_run")
    assert "there is no flag --nrom; did you mean --norm?" in capsys.readouterr().err


def test_a_data_set_that_reads_in_its_own_way_is_not_judged_by_its_parents_rules(tmp_path):
    """One that stacks two colour images, and has attributes of names that ours might use."""
    from data.aligned_dataset import AlignedDataset
    from data.check import look_at

    class Stacked(AlignedDataset):
        def __init__(self, opt):
            super().__init__(opt)
            self.files = [path for path, _ in self.pairs]

        def __getitem__(self, index):
            raise NotImplementedError

    root = make_aligned(tmp_path / "stacked")
    words = ["--dataroot", str(root), "--model", "template", "--dataset_mode", "aligned"]
    opt = TrainOptions().parse([*words, *TINY, "--input_nc", "6"])
    assert look_at(AlignedDataset(opt).expected()).bad
    assert not look_at(Stacked(opt).expected()).bad


OWN_SCHEDULE = """
import torch

from models import networks
from models.template_model import TemplateModel


class Mixin:
    def setup(self, opt):
        super().setup(opt)  # and returns nothing, as the original implementation's
        if self.isTrain:
            self.own = torch.optim.Adam(self.netG.parameters(), lr=opt.lr)
            self.own_schedule = networks.get_scheduler(self.own, opt)


class ScheduledModel(Mixin, TemplateModel):
    criterion_kind = torch.nn.L1Loss

    def __init__(self, opt):
        super().__init__(opt)
        self.metric = self.criterion_kind()  # the name is free for a model without plateau
"""


def test_a_schedule_of_a_models_own_goes_on_where_the_run_does(plugins, monkeypatch):
    (plugins / "plugins" / "models" / "scheduled_model.py").write_text(OWN_SCHEDULE)
    flags = ["--dataroot", plugins / "data", "--name", "own", "--model", "scheduled", *TINY]
    flags += ["--netG", "resnet_6blocks", "--n_epochs", "1", "--no_html"]
    make_aligned(plugins / "data", 2)
    run_train(*flags, "--n_epochs_decay", "2")
    rates = []
    kind = models.registry.find("scheduled")
    step = kind.optimize_parameters

    def watched(self) -> None:
        rates.append([o.param_groups[0]["lr"] for o in (self.own, self.optimizers[0])])
        step(self)

    monkeypatch.setattr(kind, "optimize_parameters", watched)
    run_train("--name", "own", "--continue_train", "--n_epochs_decay", "4", "--device", "cpu")
    assert rates[0][0] == pytest.approx(rates[0][1]) and rates[0][0] < 2e-4
    assert len(rates) == 4  # of epochs 4 and 5: it went on, and did not begin anew
