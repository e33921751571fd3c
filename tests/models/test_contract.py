"""Every model and every dataset keeps the contract: new ones are tested without being told."""

import pytest
import torch

import data
import models
from options.train_options import TrainOptions
from tests.helpers import TINY, make_data, metrics, needed_flags, pictures
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.weights import load_file

TRAINABLE = [name for name in models.registry.names() if name != "test"]


def flags_for(model: str, root) -> list[str]:
    """Tiny flags, and those that the model needs."""
    flags = ["--model", model, "--name", model, *TINY, *needed_flags(model, root / "more")]
    mode = TrainOptions().parse(["--dataroot", ".", *flags]).dataset_mode
    return ["--dataroot", str(make_data(root, mode)), *flags]


@pytest.mark.parametrize("model", TRAINABLE)
def test_a_model_trains_saves_loads_and_gives_the_same_pictures_twice(tmp_path, model):
    flags = flags_for(model, tmp_path / "data")
    run_train(*flags, "--n_epochs", 1, "--n_epochs_decay", 0, "--max_dataset_size", 2,
              "--print_freq", 1)  # fmt: skip
    run = tmp_path / "checkpoints" / model
    assert (run / "train_opt.yaml").is_file() and (run / "web" / "index.html").is_file()
    lines = metrics(run)
    if model == "neural_style":  # two content images, in two sizes, with two steps each
        assert len(lines) == 8 and len(list((run / "pictures").rglob("*.png"))) == 2
        run_test("--dataroot", tmp_path / "data", "--name", model, expect=2)
        return
    assert len(lines) == 2
    results = []
    for folder in ("one", "two"):
        run_test("--dataroot", tmp_path / "data", "--name", model, "--results_dir", folder,
                 "--gpu_ids", -1)  # fmt: skip
        results.append(pictures(tmp_path / folder / model / "test_latest"))
    assert results[0] == results[1] and results[0]


@pytest.mark.parametrize("model", TRAINABLE)
def test_a_models_lists_name_what_it_has(tmp_path, model):
    opt = TrainOptions().parse(flags_for(model, tmp_path))
    built = models.create_model(opt)
    built.setup(opt)
    learning = {n: net for n, net in built.networks().items()
                if any(p.requires_grad for p in net.parameters())}  # fmt: skip
    before = {n: [p.clone() for p in net.parameters()] for n, net in learning.items()}
    if model != "neural_style":  # it has one for each picture
        assert built.optimizers, (
            "append optimizers to self.optimizers: --lr_policy moves their rates"
        )
    for batch in list(data.create_dataset(opt))[:2]:
        built.set_input(batch)
        built.optimize_parameters()
    built.compute_visuals()
    assert all(isinstance(value, float) for value in built.get_current_losses().values())
    for image in built.get_current_visuals().values():
        assert image.dim() == 4 and image.shape[0] == 1 and image.abs().max() <= 1.0001
    for name, net in learning.items():
        changed = [
            not torch.equal(a, b) for a, b in zip(before[name], net.parameters(), strict=True)
        ]
        assert any(changed), f"net{name} did not learn"
    assert built.get_image_paths()


@pytest.mark.parametrize("mode", data.registry.names())
def test_a_dataset_works_through_workers(tmp_path, mode):
    argv = ["--dataroot", str(make_data(tmp_path, mode)), "--model", "template",
            "--dataset_mode", mode, *TINY, "--num_threads", "2", "--batch_size", "2"]  # fmt: skip
    batches = list(data.create_dataset(TrainOptions().parse(argv)))
    assert batches[0]["A"].shape[0] == 2
    assert all(isinstance(path, str) for path in batches[0]["A_paths"])


@pytest.mark.parametrize("model", ["pix2pix", "cycle_gan"])
def test_wgangp_adds_its_penalty_and_zero_turns_it_off(tmp_path, model):
    flags = [*flags_for(model, tmp_path), "--gan_mode", "wgangp", "--norm", "instance"]

    def losses(*more: str) -> dict[str, float]:
        opt = TrainOptions().parse([*flags, *more])
        torch.manual_seed(0)
        built = models.create_model(opt)
        built.setup(opt)
        built.set_input(next(iter(data.create_dataset(opt))))
        built.optimize_parameters()
        return built.get_current_losses()

    on, off = losses(), losses("--lambda_gp", "0")
    penalties = [name for name in on if name.endswith("penalty")]
    assert penalties and all(on[name] > 0 for name in penalties)
    assert set(on) - set(off) == set(penalties)


def test_weights_have_the_published_names_and_no_prefix(tmp_path):
    flags = flags_for("cycle_gan", tmp_path / "data")
    run_train(*flags, "--n_epochs", 1, "--n_epochs_decay", 0, "--max_dataset_size", 1)
    folder = tmp_path / "checkpoints" / "cycle_gan"
    names = sorted(f.name for f in folder.glob("*_net_*.pth"))
    assert names == [f"latest_net_{x}.pth" for x in ("D_A", "D_B", "G_A", "G_B")]
    weights = load_file(folder / "latest_net_G_A.pth")
    assert next(iter(weights)) == "model.1.weight"
