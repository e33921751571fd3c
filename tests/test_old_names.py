"""Names and loops of the reference that other people's scripts have copied."""

import importlib
import os
import re
import time

import numpy as np
import pytest
import torch

from data import create_dataset
from data.image_folder import ImageFolder
from models import create_model
from options.test_options import TestOptions as Options  # pytest would collect a class Test...
from options.train_options import TrainOptions
from tests.browser import open_page
from tests.helpers import (
    TINY,
    loaded_pictures,
    make_aligned,
    make_unaligned,
    metrics,
    needs_browser,
    page_rows,
    train,
)
from util import html
from util import util as old_util
from util.errors import UserError
from util.image_pool import ImagePool
from util.util import cleanup_ddp, init_ddp
from util.visualizer import Visualizer, save_images

NAMES = {
    "util.util": "tensor2im save_image mkdir mkdirs diagnose_network print_numpy init_ddp "
    "cleanup_ddp",
    "util.image_pool": "ImagePool",
    "util.html": "HTML",
    "util.visualizer": "Visualizer save_images",
    "util.get_data": "GetData main",
    "util.visdom_server": "main",
    "models": "create_model find_model_using_name get_option_setter",
    "models.networks": "define_G define_D GANLoss cal_gradient_penalty init_net init_weights "
    "get_scheduler get_norm_layer ResnetGenerator ResnetBlock UnetGenerator "
    "UnetSkipConnectionBlock NLayerDiscriminator PixelDiscriminator Identity",
    "models.base_model": "BaseModel",
    "data": "create_dataset find_dataset_using_name get_option_setter",
    "data.base_dataset": "BaseDataset get_params get_transform",
    "data.image_folder": "make_dataset is_image_file load_image IMG_EXTENSIONS default_loader "
    "ImageFolder",
}
OF_A_MODEL = (
    "setup save_networks load_networks print_networks set_requires_grad eval test "
    "compute_visuals get_image_paths update_learning_rate get_current_visuals get_current_losses"
)
STATE_OF_A_MODEL = (
    "opt gpu_ids isTrain device save_dir loss_names model_names visual_names optimizers "
    "image_paths metric"
)


@pytest.mark.parametrize("module", NAMES)
def test_names_that_plug_ins_import_are_there(module):
    found = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_a_model_has_what_scripts_ask_it_for(tmp_path):
    words = ["--dataroot", str(make_aligned(tmp_path / "d")), "--model", "pix2pix", *TINY]
    model = create_model(TrainOptions().parse([*words, "--netG", "resnet_6blocks"]))
    names = f"{OF_A_MODEL} {STATE_OF_A_MODEL}".split()
    assert [name for name in names if not hasattr(model, name)] == []


def reference_test_loop() -> None:
    """test.py as the reference has it, and as scripts have copied it."""
    opt = Options().parse()  # get test options
    opt.num_threads = 0  # test code only supports num_threads = 0
    opt.batch_size = 1  # test code only supports batch_size = 1
    opt.serial_batches = True  # disable data shuffling
    opt.no_flip = True  # no flip
    opt.display_id = -1  # no visdom display
    dataset = create_dataset(opt)
    model = create_model(opt)
    model.setup(opt)
    web_dir = os.path.join(opt.results_dir, opt.name, f"{opt.phase}_{opt.epoch}")
    if opt.load_iter > 0:
        web_dir = f"{web_dir}_iter{opt.load_iter:d}"
    title = f"Experiment = {opt.name}, Phase = {opt.phase}, Epoch = {opt.epoch}"
    webpage = html.HTML(web_dir, title)
    if opt.eval:
        model.eval()
    for i, data in enumerate(dataset):
        if i >= opt.num_test:
            break
        model.set_input(data)
        model.test()
        visuals = model.get_current_visuals()
        img_path = model.get_image_paths()
        save_images(webpage, visuals, img_path, aspect_ratio=opt.aspect_ratio,
                    width=opt.display_winsize, use_wandb=opt.use_wandb)  # fmt: skip
    webpage.save()


def reference_train_loop(newest: bool) -> Visualizer:
    """train.py as the reference has it; the calls of its newest version, or of those before."""
    opt = TrainOptions().parse()
    if newest:
        opt.device = init_ddp()
    dataset = create_dataset(opt)
    dataset_size = len(dataset)
    model = create_model(opt)
    model.setup(opt)
    visualizer = Visualizer(opt)
    total_iters = 0
    for epoch in range(opt.epoch_count, opt.n_epochs + opt.n_epochs_decay + 1):
        iter_data_time = time.time()
        epoch_iter = 0
        visualizer.reset()
        if newest and hasattr(dataset, "set_epoch"):
            dataset.set_epoch(epoch)
        for data in dataset:
            iter_start_time = time.time()
            t_data = iter_start_time - iter_data_time
            total_iters += opt.batch_size
            epoch_iter += opt.batch_size
            model.set_input(data)
            model.optimize_parameters()
            if total_iters % opt.display_freq == 0:
                save_result = total_iters % opt.update_html_freq == 0
                model.compute_visuals()
                steps = (total_iters,) if newest else ()
                visualizer.display_current_results(
                    model.get_current_visuals(), epoch, *steps, save_result
                )
            if total_iters % opt.print_freq == 0:
                losses = model.get_current_losses()
                t_comp = (time.time() - iter_start_time) / opt.batch_size
                visualizer.print_current_losses(epoch, epoch_iter, losses, t_comp, t_data)
                if newest:
                    visualizer.plot_current_losses(total_iters, losses)
                else:
                    ratio = float(epoch_iter) / dataset_size
                    visualizer.plot_current_losses(epoch, ratio, losses)
            iter_data_time = time.time()
        model.update_learning_rate()
        model.save_networks("latest")
        model.save_networks(epoch)
    if newest:
        cleanup_ddp()
    return visualizer


@pytest.fixture
def call(monkeypatch):
    """Calls a loop with a command line."""

    def with_words(loop, *words, **how):
        monkeypatch.setattr("sys.argv", ["script.py", *map(str, words)])
        return loop(**how)

    return with_words


@needs_browser
@pytest.mark.parametrize("name", ["pix2pix", "cycle_gan"])
def test_a_copied_test_loop_writes_a_page_of_results(call, tmp_path, name):
    make = make_unaligned if name == "cycle_gan" else make_aligned
    root = make(tmp_path / "data set")
    once = ["--n_epochs", 1, "--n_epochs_decay", 0, "--max_dataset_size", 1]
    train("--dataroot", root, "--name", name, "--model", name, *TINY, "--netG", "resnet_6blocks",
          *once)  # fmt: skip
    told = {}
    for mode in ([], ["--eval"]):
        words = ["--dataroot", root, "--name", name, "--model", name, "--gpu_ids", -1, *mode]
        call(reference_test_loop, *words, "--num_test", 3)
        page = tmp_path / "results" / name / "test_latest" / "index.html"
        each = {"pix2pix": 3, "cycle_gan": 6}[name]
        assert loaded_pictures(page) == (3 * each, 3 * each)
        assert f"Experiment = {name}, Phase = test, Epoch = latest" in page.read_text()
        told[bool(mode)] = (page.parent / "images" / "0_fake_B.png").read_bytes()
    # Batch statistics and dropout, or not; instance norm without dropout knows no difference.
    assert (told[False] == told[True]) == (name == "cycle_gan")


@needs_browser
@pytest.mark.parametrize("newest", [False, True])
def test_a_copied_train_loop_keeps_log_and_page(call, tmp_path, capsys, newest):
    root = make_aligned(tmp_path / "data")
    words = ["--dataroot", root, "--name", "old", "--model", "pix2pix", *TINY, "--netG",
             "resnet_6blocks", "--n_epochs", 2, "--n_epochs_decay", 0, "--print_freq", 2,
             "--display_freq", 2, "--update_html_freq", 4]  # fmt: skip
    visualizer = call(reference_train_loop, *words, newest=newest)
    visualizer.close()  # as at the end of the program
    run = tmp_path / "checkpoints" / "old"
    log = (run / "loss_log.txt").read_text().splitlines()
    assert len(log) == 5 and re.fullmatch(r"=+ Training Loss \(.*\) =+", log[0])
    line = r"\(epoch: 2, iters: 4, time: \d\.\d{3}, data: \d\.\d{3}\) G_GAN: \d+\.\d{3} G_L1: .+"
    assert re.fullmatch(line, log[-1]) and log[-1] in capsys.readouterr().out
    assert [record["images"] for record in metrics(run)] == [2, 4, 6, 8]
    assert [row[0] for row in page_rows(run)] == [1, 2]
    with open_page(run / "web" / "index.html") as page:
        page.wait_for_selector("#rows img")
        assert page.errors == [] and page.locator("#plot-losses svg path").count() > 0
        assert "finished" in page.locator("#state").text_content()
    # And its weights are what a copied test loop reads.
    words = ["--dataroot", root, "--name", "old", "--model", "pix2pix", *TINY]
    call(reference_test_loop, *words, "--netG", "resnet_6blocks")
    assert (tmp_path / "results" / "old" / "test_latest" / "images" / "0_fake_B.png").is_file()


def test_the_log_of_a_copied_loop_goes_on_where_it_was(call, tmp_path):
    words = ["--dataroot", make_aligned(tmp_path / "data"), "--name", "old", "--model", "pix2pix",
             *TINY, "--netG", "resnet_6blocks", "--n_epochs_decay", 0,
             "--print_freq", 4]  # fmt: skip
    call(reference_train_loop, *words, "--n_epochs", 1, newest=True).close()
    again = ["--n_epochs", 2, "--continue_train", "--epoch_count", 2]
    call(reference_train_loop, *words, *again, newest=True).close()
    run = tmp_path / "checkpoints" / "old"
    assert [record["epoch"] for record in metrics(run)] == [1, 2]
    assert "Training Loss" in (run / "loss_log.txt").read_text()


def test_small_helpers_say_what_they_said(capsys, tmp_path):
    net = torch.nn.Linear(2, 1)
    net(torch.tensor([[1.0, 3.0]])).sum().backward()
    old_util.diagnose_network(net, "netG")
    assert capsys.readouterr().out == "netG\n1.5\n"  # of (1 + 3) / 2 and 1
    old_util.diagnose_network(torch.nn.Linear(2, 1))
    assert capsys.readouterr().out == "network\n0.0\n"
    old_util.print_numpy(np.array([0, 1, 2, 5]), shp=True)
    told = capsys.readouterr().out
    assert told == (
        "shape, (4,)\nmean = 2.000, min = 0.000, max = 5.000, median = 1.500, std=1.871\n"
    )
    old_util.mkdirs([str(tmp_path / "a" / "b"), str(tmp_path / "c")])
    old_util.mkdirs(tmp_path / "d")
    assert all((tmp_path / name).is_dir() for name in ("a/b", "c", "d"))
    pool = ImagePool(0)
    images = torch.zeros(1, 3, 4, 4)
    assert pool.query(images) is images


def test_images_below_a_folder_are_a_data_set(tmp_path):
    make_unaligned(tmp_path, 2)
    images = ImageFolder(str(tmp_path), transform=lambda image: image.size, return_paths=True)
    assert len(images) == 8 and images[0] == ((48, 48), str(tmp_path / "testA" / "0.png"))
    assert ImageFolder(str(tmp_path))[1].mode == "RGB"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no image in it; accepted: \.jpg"):
        ImageFolder(str(tmp_path / "empty"))


def test_a_process_alone_gets_a_device_and_joins_no_group():
    device = init_ddp()
    assert isinstance(device, torch.device)
    assert not torch.distributed.is_initialized()
    cleanup_ddp()
