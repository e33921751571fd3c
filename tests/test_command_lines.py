"""The reference's command lines run unmodified: tiny networks come in through a config file.

Only sizes are added (`--config tiny.yaml`, fewer epochs where a line has none); every flag of the
lines themselves stands as published.
"""

from pathlib import Path

import pytest

from tests.helpers import (
    ROOT,
    make_aligned,
    make_single,
    make_unaligned,
    photo,
    pictures,
)
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from tests.processes import two_processes

TINY = "ngf: 4\nndf: 4\nload_size: 34\ncrop_size: 32\nnum_threads: 0\ndevice: cpu\n"
SHORT = "n_epochs: 1\nn_epochs_decay: 0\nmax_dataset_size: 2\n"
SIZES = ["--config", "tiny.yaml"]


@pytest.fixture
def root(tmp_path):
    """Data for every layout, and the config files."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "short.yaml").write_text(TINY + SHORT)
    # A U-Net halves seven or eight times: its images are larger.
    (tmp_path / "unet.yaml").write_text((TINY + SHORT).replace("34", "256").replace("32", "256"))
    make_aligned(tmp_path / "D", 2)
    make_unaligned(tmp_path / "D", 2)
    return tmp_path


CYCLE_GAN = "--dataroot D --name N --model cycle_gan"
PIX2PIX = "--dataroot D --name N --model pix2pix --direction BtoA"
PIX2PIX_FULL = (
    "--dataroot D --name N --model pix2pix --netG unet_256 --direction BtoA --lambda_L1 100 "
    "--dataset_mode aligned --norm batch --pool_size 0"
)


@pytest.mark.parametrize(
    ("line", "config"),
    [
        (CYCLE_GAN, "short"),
        (CYCLE_GAN + " --use_wandb", "short"),
        (CYCLE_GAN + " --gpu_ids -1", "short"),
        ("--dataroot D --name N --model cycle_gan --pool_size 50 --no_dropout", "short"),
        (PIX2PIX, "unet"),
        (PIX2PIX_FULL, "unet"),
        ("--model cycle_gan --name N --dataroot D --n_epochs 1 --n_epochs_decay 0 "
         "--save_latest_freq 10 --print_freq 1 --display_id -1", "tiny"),
        ("--model template --name N --dataroot D --n_epochs 1 --n_epochs_decay 0 "
         "--save_latest_freq 10", "tiny"),
    ],
)  # fmt: skip
def test_training_lines(root, line, config):
    run_train(*line.split(), "--config", f"{config}.yaml")
    assert list((root / "checkpoints" / "N").glob("latest_net_G*.pth"))


def test_pix2pix_lines_from_training_to_single_images(root):
    run_train(*PIX2PIX_FULL.split(), "--config", "unet.yaml")
    (root / "unet.yaml").write_text(
        (root / "unet.yaml").read_text().replace("n_epochs: 1", "n_epochs: 6")
    )
    line = "--dataroot D --name N --model pix2pix --continue_train --epoch_count 6 --direction BtoA"
    run_train(*line.split(), "--config", "unet.yaml")
    line = ("--dataroot D --name N --model pix2pix --netG unet_256 --direction BtoA "
            "--dataset_mode aligned --norm batch --gpu_ids -1")  # fmt: skip
    run_test(*line.split())
    results = root / "results" / "N" / "test_latest"
    assert (results / "index.html").is_file() and "0_fake_B.png" in pictures(results)
    line = ("--dataroot D/testB/ --name N --model test --netG unet_256 --direction BtoA "
            "--dataset_mode single --norm batch --gpu_ids -1")  # fmt: skip
    run_test(*line.split())
    assert "0_fake.png" in pictures(results)


def test_colorization_lines(root):
    (root / "unet.yaml").write_text((root / "unet.yaml").read_text() + "batch_size: 2\n")
    line = "--dataroot D --name N --model colorization"
    run_train(*line.split(), "--config", "unet.yaml")
    run_test(*line.split(), "--gpu_ids", "-1", "--batch_size", "2")
    shown = pictures(root / "results" / "N" / "test_latest")
    assert {f"{i}_{v}.png" for i in (0, 1) for v in ("real_A", "real_B_rgb", "fake_B_rgb")} == set(
        shown
    )


def test_colorization_through_model_test_is_refused(root, capsys):
    line = "--dataroot D --name N --model colorization"
    run_train(*line.split(), "--config", "unet.yaml")
    run_test(
        *["--dataroot", "D/testA", "--name", "N", "--model", "test", "--gpu_ids", "-1"], expect=2
    )
    assert "colours without lightness" in capsys.readouterr().err


def test_cycle_gan_lines_from_training_to_high_resolution(root):
    run_train(*CYCLE_GAN.split(), "--config", "short.yaml")
    (root / "runs").mkdir()
    cpu = "--gpu_ids -1"
    run_test(*f"{CYCLE_GAN} {cpu}".split())
    run_test(*f"{CYCLE_GAN} --phase test --no_dropout {cpu}".split())
    run_test(*f"--model test --name N --dataroot D/testA --num_test 1 --model_suffix _A "
             f"--no_dropout {cpu} --results_dir one".split())  # fmt: skip
    assert len(pictures(root / "one" / "N" / "test_latest")) == 2
    make_single(root / "wide", 1)
    for flags in ("--preprocess scale_width --load_size 64", "--preprocess none"):
        line = f"--dataroot wide --name N --model test --model_suffix _A {cpu} {flags}"
        run_test(*line.split())


def test_a_downloaded_model(root):
    """X_pretrained: one file, no options beside it."""
    run_train(*CYCLE_GAN.split(), "--config", "short.yaml")
    folder = root / "checkpoints" / "X_pretrained"
    folder.mkdir()
    (root / "checkpoints" / "N" / "latest_net_G_A.pth").rename(folder / "latest_net_G.pth")
    line = "--dataroot D/testA --name X_pretrained --model test --no_dropout"
    run_test(*line.split(), *SIZES)
    assert len(pictures(root / "results" / "X_pretrained" / "test_latest")) == 4


def test_torchrun_with_two_processes_and_synchronised_batch_norm(root):
    """Gloo is chosen on the CPU; one process writes. (test_distributed compares numbers.)"""
    line = "--dataroot D --name N --model cycle_gan --norm syncbatch --config short.yaml"
    out = two_processes(ROOT / "train.py", *line.split(), "--print_freq", "1")
    assert out.count("end of epoch 1 / 1") == 1
    assert (root / "checkpoints" / "N" / "latest_net_D_B.pth").is_file()


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("t*.sh")), ids=lambda p: p.name)
def test_shell_scripts_hold_lines_that_parse(script):
    """Each script is one command of ours, with flags that exist."""
    from options import test_options, train_options

    (command,) = [w for w in script.read_text().splitlines() if w.startswith("python ")]
    _, entry, *argv = command.replace('"$@"', "").split()
    for word in argv:
        if word.endswith(".jpg"):
            Path(word).parent.mkdir(exist_ok=True)
            photo(1).save(word)
    parsers = {
        "train.py": train_options.TrainOptions,
        "test.py": test_options.TestOptions,
    }
    assert parsers[entry]().parse(argv).name in command
