"""A run's folder says all that test needs; weights from elsewhere say what they can."""

import itertools
import re

import pytest
import torch

from models import create_model, networks
from models.generators import GENERATORS
from options import test_options
from options.train_options import TrainOptions
from scripts import rerun
from tests.helpers import TINY, make_aligned, make_single, pictures, style_flags
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.weights import load_file, save_file

SIZES = {"resnet_6blocks": 32, "resnet_9blocks": 32, "unet_128": 128, "unet_256": 256}


@pytest.mark.parametrize(("model", "netG"), [
    *itertools.product(["pix2pix", "cycle_gan", "colorization", "style"], SIZES),
    ("pix2pix", "resnet_6blocks_antialias"),
])  # fmt: skip
def test_the_run_folder_is_all_that_test_needs(tmp_path, model, netG):
    """{batch, instance, none} x dropout x channels: no flag is repeated, outputs are the same."""
    several = (3,) if model == "colorization" else (1, 3)  # it has channels of its own
    for norm, no_dropout, channels in itertools.product(
        ("batch", "instance", "none"), (True, False), several
    ):
        name = f"{norm}_{no_dropout}_{channels}"
        argv = ["--dataroot", ".", "--model", model, "--netG", netG, "--norm", norm, "--ngf", "2",
                "--ndf", "2", "--crop_size", str(SIZES.get(netG, 32)), "--load_size", "256",
                "--name", name, "--gpu_ids", "-1"]  # fmt: skip
        argv += ["--no_dropout"] if no_dropout else []
        if model == "style":
            argv += style_flags(tmp_path / "more")
        argv += ["--lambda_identity", "0"] if model == "cycle_gan" else []
        if model != "colorization":
            argv += ["--input_nc", str(channels), "--output_nc", str(4 - channels)]
        options = TrainOptions()
        opt = options.parse(argv)
        trained = create_model(opt)
        trained.setup(opt)  # computes as a training does, on layers that may be exchanged
        options.save(opt.run_dir)
        trained.save_networks("latest")
        opt = test_options.TestOptions().parse(
            ["--dataroot", ".", "--name", name, "--gpu_ids", "-1"]
        )
        tested = create_model(opt)
        tested.setup(opt)
        assert opt.model == model
        for net_name, net in tested.networks().items():
            image = torch.rand(1, opt.input_nc if net_name != "G_B" else opt.output_nc,
                               SIZES.get(netG, 32), SIZES.get(netG, 32))  # fmt: skip
            outputs = []
            for built in (trained.networks()[net_name], net):
                torch.manual_seed(0)  # dropout
                with torch.no_grad():
                    outputs.append(built(image))
            assert torch.equal(*outputs), name


@pytest.mark.parametrize("netG", GENERATORS.data)
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_foreign_weights_tell_what_they_are(tmp_path, capsys, netG, norm):
    """No options beside them: the architecture comes from keys and shapes, and is said."""
    if (netG == "style_net") != (norm == "instance") and netG == "style_net":
        pytest.skip("style_net has norms of its own")
    photos = make_single(tmp_path / "photos", 1)
    net = networks.define_G(3, 1, 4, netG, norm, use_dropout=netG.startswith("resnet"))
    save_file(net.state_dict(), tmp_path / "checkpoints" / "d" / "latest_net_G.pth")
    run_test("--dataroot", photos, "--name", "d", "--model", "test", "--gpu_ids", -1)
    text = capsys.readouterr()
    assert f"netG {netG}, norm {norm}" in text.err and "ngf 4" in text.err
    assert ("dropout leaves no trace in a U-Net" in text.err) == netG.startswith("unet")
    dropout = "no dropout" if netG == "style_net" else "dropout on"
    assert dropout in text.out


def test_foreign_weights_contradicted_by_a_flag_are_one_line(tmp_path, capsys):
    photos = make_single(tmp_path / "photos", 1)
    net = networks.define_G(3, 3, 4, "resnet_9blocks", "instance")
    weights = {f"module.{key}": value for key, value in net.state_dict().items()}
    save_file(weights, tmp_path / "checkpoints" / "d" / "latest_net_G_B.pth")
    flags = ["--dataroot", photos, "--name", "d", "--model", "test", "--gpu_ids", -1,
             "--model_suffix", "_B"]  # fmt: skip
    run_test(*flags, "--ngf", 8, expect=2)
    assert "was trained with --ngf 4, got 8" in capsys.readouterr().err
    run_test(*flags)
    assert len(pictures(tmp_path / "results" / "d" / "test_latest")) == 2


def test_safetensors_are_written_and_read(tmp_path, capsys):
    pairs = ["--dataroot", make_aligned(tmp_path / "pairs", 2)]
    run_train(*pairs, "--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--name", "p",
              "--n_epochs", 1, "--n_epochs_decay", 0, "--safetensors")  # fmt: skip
    run = tmp_path / "checkpoints" / "p"
    file = run / "latest_net_G.safetensors"
    pth = load_file(run / "latest_net_G.pth")
    assert all(torch.equal(pth[key], value) for key, value in load_file(file).items())
    elsewhere = tmp_path / "checkpoints" / "d"
    elsewhere.mkdir()
    file.rename(elsewhere / file.name)
    run_test("--dataroot", pairs[1] / "test", "--name", "d", "--model", "test", "--gpu_ids", -1,
             "--input_nc", 3)  # fmt: skip
    assert "loaded checkpoints/d/latest_net_G.safetensors" in capsys.readouterr().out
    (elsewhere / file.name).write_bytes(b"no safetensors")
    run_test("--dataroot", pairs[1] / "test", "--name", "d", "--model", "test", "--gpu_ids", -1,
             expect=2)  # fmt: skip
    assert "cannot be read as weights" in capsys.readouterr().err


def test_a_run_is_repeated_from_its_options(tmp_path, capsys):
    pairs = ["--dataroot", make_aligned(tmp_path / "pairs", 3)]
    run_train(*pairs, "--model", "pix2pix", "--netG", "resnet_6blocks", *TINY[:-2], "--name", "p",
              "--n_epochs", 1, "--n_epochs_decay", 0, "--suffix", "{netG}")  # fmt: skip
    capsys.readouterr()
    assert rerun.main(["checkpoints/p_resnet_6blocks", "--name", "q"]) == 0
    text = capsys.readouterr().out
    first, second = re.findall(r"^([0-9a-f]{64})  ", text, re.MULTILINE)
    assert first == second and "the same weights" in text
    assert rerun.main(["checkpoints/none"]) == 2
    assert "no run of this name" in capsys.readouterr().err
