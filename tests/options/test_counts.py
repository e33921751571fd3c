"""A flag that does nothing is told, or refused where it can only be a mistake."""

import sys

import pytest

import models
from options import test_options
from options.train_options import TrainOptions
from util.errors import UserError

IDLE_IN_TRAINING = [
    ("--load_iter 5", "--load_iter 5", "with --continue_train"),
    ("--epoch latest", "--epoch latest", "with --continue_train"),
    ("--allow_changed", "--allow_changed", "with --continue_train"),
    ("--n_layers_D 5", "--n_layers_D 5", "with --netD n_layers"),
    ("--lambda_gp 10", "--lambda_gp 10", "with --gan_mode wgangp"),
    ("--lr_decay_iters 9", "--lr_decay_iters 9", "with --lr_policy step"),
    ("--cache_dir c", "--cache_dir c", "with --cache disk"),
    ("--cache off --cache_gb 1", "--cache_gb 1", "with --cache ram or disk"),
    ("--preprocess none --load_size 99", "--load_size 99", "with --preprocess resize_and_crop, "),
    ("--preprocess none --crop_size 99", "--crop_size 99", "with --preprocess resize_and_crop, "),
    ("--preprocess crop --fast_decode", "--fast_decode", "with --preprocess resize_and_crop"),
    ("--no_html --update_html_freq 9", "--update_html_freq 9", "without --no_html"),
    ("--no_html --display_freq 9", "--display_freq 9", "without --no_html, or with --track"),
    ("--no_html --display_winsize 9", "--display_winsize 9", "without --no_html"),
    ("--display_port 9", "--display_port 9", "with --track visdom"),
    ("--display_env e", "--display_env e", "with --track visdom"),
    ("--wandb_project_name p", "--wandb_project_name p", "with --track wandb"),
    ("--model pix2pix --pool_size 50", "--pool_size 50", "with --model cycle_gan"),
    ("--model template --netD pixel", "--netD pixel", "with a discriminator"),
]
IDLE_IN_TEST = [
    ("--netD pixel", "--netD pixel", "in train.py"),
    ("--init_gain 1", "--init_gain 1", "in train.py"),
    ("--no_flip", "--no_flip", "in train.py"),
    ("--serial_batches", "--serial_batches", "in train.py"),
    ("--cache disk", "--cache disk", "in train.py"),
    ("--use_wandb", "--use_wandb", "in train.py"),
    ("--track wandb", "--track wandb", "in train.py"),
    (
        "--results_layout flat --results_dir ../r --display_winsize 9",
        "--display_winsize 9",
        "with --results_layout page",
    ),
    ("--epoch 5 --load_iter 9", "--epoch 5", "without --load_iter"),
]


def told(capsys, *argv: str, test: bool = False) -> list[str]:
    """The lines that parsing says."""
    options = test_options.TestOptions() if test else TrainOptions()
    options.parse(["--dataroot", ".", *argv])
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("line", "flag", "counts", "test"),
    [(*row, False) for row in IDLE_IN_TRAINING] + [(*row, True) for row in IDLE_IN_TEST],
)
def test_a_flag_that_does_nothing_is_told_once(capsys, line, flag, counts, test):
    """User report 2: one warning, with what would make it count."""
    lines = [text for text in told(capsys, *line.split(), test=test) if "no effect" in text]
    assert len(lines) == 1
    assert lines[0].startswith(f"warning: {flag} has no effect here: it counts {counts}")


@pytest.mark.parametrize(
    "line",
    [
        "--netD n_layers --n_layers_D 5",
        "--gan_mode wgangp --lambda_gp 3",
        "--cache disk --cache_dir c",
        "--load_iter 0 --display_id -1",
        "--track wandb --wandb_project_name p",
        "--no_html --track visdom --display_freq 9",
        "--use_wandb --wandb_project_name p",
        "--lr_policy step --lr_decay_iters 9",
        "--preprocess scale_width --load_size 99 --crop_size 9",
        # Published: the flags of the reference's own command lines.
        "--model pix2pix --netG unet_256 --direction BtoA --lambda_L1 100 --dataset_mode aligned "
        "--norm batch --pool_size 0",
        "--model cycle_gan --pool_size 50 --no_dropout",
    ],
)
def test_a_flag_that_counts_is_not_spoken_of(capsys, line):
    """User report 2, the other way round."""
    assert not told(capsys, *line.split())


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("--epoch 400", "--n_epochs 400"),
        ("--epoch 5 --init_from r", "--init_from r/5_net_G.pth"),
    ],
)
def test_a_number_as_epoch_of_a_new_training_is_refused(tmp_path, line, instead):
    """User report 2: it can only be a mistake, and the line says what to type."""
    (tmp_path / "r").mkdir()
    with pytest.raises(UserError, match=instead):
        TrainOptions().parse(["--dataroot", ".", *line.split()])


def test_what_a_run_hands_down_is_not_spoken_of(capsys, tmp_path):
    """User report 2: only what somebody types; a file of all of a run's options is not typed."""
    options = TrainOptions()
    opt = options.parse(["--dataroot", ".", "--name", "r", "--lambda_gp", "3"])
    options.save(opt.run_dir)
    capsys.readouterr()
    assert not told(capsys, "--name", "r", "--continue_train")
    (line,) = told(capsys, "--name", "s", "--config", "checkpoints/r/train_opt.yaml")
    assert "--lambda_gp 3 has no effect" in line


PLUGIN = """
from models.pix2pix_model import Pix2PixModel


class IdleModel(Pix2PixModel):
    no_use_for = {"gan_mode": "with --model pix2pix"}

    @staticmethod
    def modify_commandline_options(parser, is_train):
        Pix2PixModel.modify_commandline_options(parser, is_train)
        parser.add_argument("--halo", action="store_true", help="around lights")
        parser.add_argument("--halo_px", type=int, default=3, counts_with={"halo": True}, help="px")
        add = parser.add_argument_group("of mine").add_argument
        add("--glow", type=float, default=1, help="of it",
            counts_with=("with --halo_px above 3", lambda o: o["halo_px"] > 3))
        return parser
"""


def test_flags_of_plugins_say_when_they_count(capsys, tmp_path, monkeypatch):
    """User report 2: the mechanism is there for plug-ins; what pix2pix has no use for, a model that
    extends it may read."""
    (tmp_path / "idle_model.py").write_text(PLUGIN)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "models.idle_model", raising=False)
    idle = told(capsys, "--model", "idle", "--halo_px", "3", "--glow", "2", "--gan_mode", "lsgan",
                "--pool_size", "9")  # fmt: skip
    assert [line.split(" has")[0] for line in idle] == [
        "warning: --gan_mode lsgan", "warning: --glow 2", "warning: --halo_px 3"]  # fmt: skip
    assert not told(capsys, "--model", "idle", "--halo", "--halo_px", "4", "--glow", "2")
