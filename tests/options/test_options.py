"""Flags: defaults, precedence, what is saved, and what wrong input is told."""

import math

import pytest
import torch
import yaml

import data
import models
from options import test_options, train_options
from tests.helpers import golden, make_aligned
from util.errors import UserError
from util.trackers import asked_trackers


def parse(*argv: str, test: bool = False):
    options = test_options.TestOptions() if test else train_options.TrainOptions()
    return options, options.parse(["--dataroot", ".", *argv])


@pytest.mark.parametrize("key", golden()["option_defaults"])
def test_defaults_are_those_of_the_reference(key):
    command, model = key.split("/")
    if model not in models.registry.names():
        pytest.skip(f"--model {model} is not built yet")
    options, _ = parse("--model", model, test=command == "test")
    expected = dict(golden()["option_defaults"][key])
    if command == "test":
        expected["num_test"] = "inf"  # the reference stops silently at 50 images
        if model == "test":
            expected["preprocess"] = "keep"  # results have their images' sizes
        expected |= {"no_flip": True, "serial_batches": True}  # its test.py sets them after parsing
    for flag, value in expected.items():
        assert options.values[flag] == (math.inf if value == "inf" else value), flag


def test_precedence_from_built_in_to_command_line(tmp_path, monkeypatch):
    """Each layer wins over those before it: built-in, train, model, dataset, config, command."""

    class Train(train_options.TrainOptions):
        def initialize(self, parser):
            super().initialize(parser)
            parser.set_defaults(ngf=1, ndf=1, batch_size=1, beta1=0.1, load_size=1000)

    template = models.find_model_using_name("template")

    def of_the_model(parser, is_train):
        parser.set_defaults(ndf=2, batch_size=2, beta1=0.2, load_size=2000, dataset_mode="template")
        return parser

    def of_the_dataset(parser, is_train):
        parser.set_defaults(batch_size=3, beta1=0.3, load_size=3000)
        return parser

    monkeypatch.setattr(template, "modify_commandline_options", staticmethod(of_the_model))
    monkeypatch.setattr(data.find_dataset_using_name("template"), "modify_commandline_options",
                        staticmethod(of_the_dataset))  # fmt: skip
    (tmp_path / "one.yaml").write_text("beta1: 0.4\nload_size: 4000\n")
    (tmp_path / "two.yaml").write_text("load_size: 5000\nlr: 0.5\n")
    options = Train()
    opt = options.parse(["--dataroot", ".", "--model", "template", "--lr", "0.7",
                         "--config", "one.yaml", "two.yaml"])  # fmt: skip
    assert (opt.num_threads, opt.ngf, opt.ndf, opt.batch_size) == (4, 1, 2, 3)
    assert (opt.beta1, opt.load_size, opt.lr) == (0.4, 5000, 0.7)
    assert [options.set_by[flag] for flag in
            ("num_threads", "ngf", "ndf", "batch_size", "beta1", "load_size", "lr")] == [
        "default", "train", "model template", "dataset template", "one.yaml", "two.yaml",
        "command line"]  # fmt: skip


def test_what_a_run_saves_can_be_read_back_as_a_config(tmp_path):
    options, opt = parse("--model", "pix2pix", "--no_flip", "--ngf", "8", "--gpu_ids", "-1")
    options.save(tmp_path)
    again, opt2 = parse("--config", "train_opt.yaml")
    of_the_call = {"config": None}
    assert vars(opt) | of_the_call == vars(opt2) | of_the_call
    text = (tmp_path / "train_opt.txt").read_text()
    assert "ngf: 8" in text and "[default: 64, set by command line]" in text
    assert "[default: instance, set by model pix2pix]" in text
    assert "[default: None, set by drawn]" in text  # the seed
    assert len({line.index(":") for line in text.splitlines()[1:-1]}) == 1  # aligned


def test_a_flag_of_an_earlier_version_in_a_runs_file_is_read_over(tmp_path):
    """--repeat was of content images, and saved though the model decided it."""
    (tmp_path / "train_opt.yaml").write_text("ngf: 7\nrepeat: 4\n")
    opt = parse("--config", "train_opt.yaml")[1]
    assert opt.ngf == 7 and not hasattr(opt, "repeat")


def test_config_may_be_given_twice(tmp_path):
    (tmp_path / "a.yaml").write_text("ngf: 7\n")
    (tmp_path / "b.yaml").write_text("ndf: 9\n")
    opt = parse("--config", "a.yaml", "--config", "b.yaml")[1]
    assert (opt.ngf, opt.ndf) == (7, 9)


def test_help_shows_defaults_of_the_chosen_model(capsys):
    with pytest.raises(SystemExit):
        parse("--model", "pix2pix", "--help")
    text = " ".join(capsys.readouterr().out.split())
    for default in ("doubles (default: unet_256)", "weight of the L1 loss (default: 100.0)"):
        assert default in text


def test_a_config_may_turn_a_models_switch_off(tmp_path):
    (tmp_path / "c.yaml").write_text("no_dropout: false\nmax_dataset_size: .inf\nlr: 1e-3\n")
    opt = parse("--model", "cycle_gan", "--config", "c.yaml")[1]
    assert (opt.no_dropout, opt.max_dataset_size, opt.lr) == (False, math.inf, 0.001)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lamda_A: 1\n", "c.yaml: unknown option 'lamda_A'; did you mean lambda_A"),
        ("netG: resnet\n", "c.yaml: --netG resnet: accepted: resnet_9blocks"),
        ("no_flip: 3\n", "c.yaml: no_flip: 3: accepted: true, false"),
        ("- a\n- b\n", "c.yaml: accepted: YAML lines"),
        ("model: pix2pi\n", "c.yaml: --model pix2pi: accepted: .*did you mean pix2pix"),
        ("model: 5\n", "c.yaml: --model 5: accepted"),
        ("netG: [resnet_6blocks, unet_256]\n", "c.yaml: netG: .*accepted: one value"),
        ("a: [\n", "c.yaml: not YAML"),
    ],
)
def test_a_wrong_config_is_told_with_its_name(tmp_path, text, words):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        parse("--config", "c.yaml")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("--modle pix2pix", "unknown flag --modle; did you mean --model"),
        ("--lr_polic step", "unknown flag --lr_polic; did you mean --lr_policy"),  # no abbreviation
        ("pix2pix", "unexpected argument 'pix2pix'"),
        ("--model pix2pi", "--model pix2pi: accepted: .*did you mean pix2pix"),
        ("--dataset_mode alined", "--dataset_mode alined.*did you mean aligned"),
        ("--netG unet", "--netG unet: accepted: resnet_9blocks, .*unet_256"),
        ("--netD basics", "did you mean basic"),
        ("--norm batches", "did you mean batch"),
        ("--gan_mode ls", "--gan_mode ls: accepted: lsgan, vanilla, wgangp"),
        ("--init_type norml", "did you mean normal"),
        ("--lr_policy lin", "--lr_policy lin: accepted: linear, step, plateau, cosine"),
        ("--preprocess resize", "--preprocess resize: accepted"),
        ("--direction btoa", "--direction btoa: accepted: AtoB, BtoA; did you mean BtoA"),
        ("--batch_size 0", "--batch_size 0: accepted: a whole number from 1 up"),
        ("--n_epochs -1", "--n_epochs -1: accepted: a whole number from 0 up"),
        ("--ngf x", "--ngf 'x': accepted"),
        ("--lr nan", "--lr 'nan': accepted: a number above 0"),
        ("--model pix2pix --lambda_L1 nan", "--lambda_L1 nan: accepted: a number"),
        ("--beta1 1", "--beta1 '1': accepted: a number from 0 below 1"),
        ("--max_dataset_size 0", "--max_dataset_size 0: accepted"),
        ("--seed -1", "--seed -1: accepted"),
        ("--name a/b", "--name 'a/b': accepted: the name of one folder"),
        ("--name ..", "--name '..'"),
        ("--phase ../x", "--phase '../x'"),
        ("--suffix {netg}", "--suffix {netg}"),
        ("--suffix {", "--suffix {"),
        ("--suffix {model.x}", "--suffix {model.x}"),
        (
            "--epoch_count 5 --n_epochs 2 --n_epochs_decay 0",
            "--epoch_count 5 is beyond the last epoch, 2",
        ),
        ("--crop_size 300", "--crop_size 300 is larger than --load_size 286; use --load_size 300"),
        ("--gpu_ids x", "--gpu_ids x: accepted: -1"),
        ("--gpu_ids -1 --device cuda", "give one of the two"),
        ("--model test", "--model test: cannot be trained"),
        ("--model colorization --input_nc 3", "--input_nc 3: --model colorization goes from L"),
        ("--lambda_identity 0.5 --input_nc 1", "--lambda_identity 0.5.*use --lambda_identity 0"),
        ("--config none.yaml", "--config none.yaml: cannot be read"),
        ("--netG", "--netG expected one argument"),
    ],
)
def test_a_mistake_is_told_in_one_line(argv, words):
    with pytest.raises(UserError, match=words) as caught:
        parse(*argv.split())
    assert "\n" not in str(caught.value)


def test_the_dataroot_is_asked_for():
    with pytest.raises(UserError, match="--dataroot is needed"):
        train_options.TrainOptions().parse([])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told_with_the_remedy():
    with pytest.raises(UserError, match="--gpu_ids 0: no GPU.*--gpu_ids -1"):
        parse("--gpu_ids", "0")


def test_gpu_ids_minus_one_is_the_cpu_and_old_display_flags_are_accepted():
    flags = "--gpu_ids -1 --display_id 1 --display_port 8097 --display_server http://localhost"
    opt = parse(*flags.split(), "--display_env", "main", "--display_ncols", "4")[1]
    assert (opt.device, opt.gpu_ids) == (torch.device("cpu"), [])
    assert asked_trackers(vars(opt)) == {
        "visdom": {"server": "http://localhost", "port": 8097, "env": "main", "columns": 4}
    }


@pytest.mark.parametrize(
    ("flags", "views"),
    [
        ("", []),
        ("--display_id 0", []),
        ("--display_id -1", []),
        ("--display_id 3", ["visdom"]),
        ("--use_wandb", ["wandb"]),
        ("--use_wandb --track wandb tensorboard", ["tensorboard", "wandb"]),
        ("--track", []),
    ],
)
def test_the_live_views_asked_for(flags, views):
    assert list(asked_trackers(vars(parse(*flags.split())[1]))) == views


def test_the_seed_is_drawn_and_recorded_if_absent():
    (first, opt), (_, other) = parse(), parse()
    assert first.values["seed"] == opt.seed != other.seed
    assert parse("--seed", "7")[1].seed == 7


def test_a_suffix_is_filled_in():
    opt = parse("--name", "maps", "--suffix", "{netG}_{load_size}")[1]
    assert opt.name == "maps_resnet_9blocks_286"


def test_wgangp_with_batch_norm_is_warned_about(capsys):
    parse("--gan_mode", "wgangp", "--norm", "batch")
    assert "meant per image" in capsys.readouterr().err


class TestWhatTestTakesFromTheRun:
    @pytest.fixture
    def run(self, tmp_path):
        def write(*argv: str) -> None:
            options, opt = parse("--name", "r", *argv)
            options.save(opt.run_dir)

        return write

    def test_networks_channels_direction_and_scale(self, run):
        run("--model", "pix2pix", "--netG", "resnet_6blocks", "--norm", "instance", "--ngf", "8",
            "--no_dropout", "--input_nc", "1", "--direction", "BtoA", "--crop_size", "128",
            "--load_size", "143")  # fmt: skip
        opt = parse("--name", "r", test=True)[1]
        assert (opt.model, opt.dataset_mode, opt.netG, opt.norm, opt.ngf) == (
            "pix2pix", "aligned", "resnet_6blocks", "instance", 8)  # fmt: skip
        assert (opt.no_dropout, opt.input_nc, opt.direction) == (True, 1, "BtoA")
        assert (opt.crop_size, opt.load_size, opt.preprocess) == (128, 128, "resize_and_crop")
        assert opt.serial_batches and opt.no_flip

    @pytest.mark.parametrize(
        ("trained", "given", "preprocess", "load", "crop"),
        [
            ("", "--crop_size 512", "resize_and_crop", 512, 512),
            ("", "--load_size 512", "resize_and_crop", 512, 512),
            ("", "--preprocess scale_width --load_size 1024", "scale_width", 1024, 256),
            ("", "--preprocess none", "none", 256, 256),
            ("--preprocess crop", "", "none", 256, 256),
            ("--preprocess scale_width_and_crop --load_size 900", "", "scale_width", 900, 256),
        ],
    )
    def test_the_scale_may_be_changed(self, run, trained, given, preprocess, load, crop):
        run(*trained.split())
        opt = parse("--name", "r", *given.split(), test=True)[1]
        assert (opt.preprocess, opt.load_size, opt.crop_size) == (preprocess, load, crop)

    @pytest.mark.parametrize("suffix", ["{model}_{netG}", "size{load_size}", "{lambda_L1}"])
    def test_a_run_with_a_suffix_is_found(self, run, suffix):
        run("--model", "pix2pix", "--suffix", suffix, "--ngf", "8")
        assert parse("--name", "r", "--suffix", suffix, test=True)[1].ngf == 8

    def test_of_several_runs_with_a_suffix_the_flags_choose(self, run):
        for ngf in ("8", "16"):
            run("--model", "pix2pix", "--suffix", "ngf{ngf}", "--ngf", ngf)
        assert parse("--name", "r", "--suffix", "ngf{ngf}", "--ngf", "16", test=True)[1].ngf == 16
        assert parse("--name", "r_ngf8", test=True)[1].ngf == 8
        assert parse("--name", "r", "--suffix", "ngf8", test=True)[1].ngf == 8
        with pytest.raises(UserError, match="several runs fit: r_ngf16, r_ngf8; give one"):
            parse("--name", "r", "--suffix", "ngf{ngf}", test=True)

    def test_a_run_continued_by_its_folders_name_keeps_its_suffix(self, run):
        run("--model", "pix2pix", "--suffix", "{netG}")
        options, opt = parse("--name", "r_unet_256", "--continue_train")
        assert (options.values["name"], options.values["suffix"]) == ("r", "{netG}")
        assert opt.name == "r_unet_256"

    def test_what_it_saves_is_what_was_used(self, run, tmp_path):
        run()
        options, _ = parse("--name", "r", "--crop_size", "64", test=True)
        options.save(tmp_path)
        saved = yaml.safe_load((tmp_path / "test_opt.yaml").read_text())
        assert (saved["load_size"], saved["no_flip"], saved["serial_batches"]) == (64, True, True)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("--model pix2pix", "trained with --model cycle_gan, got pix2pix"),
            ("--model test --direction BtoA", "trained with --direction AtoB, got BtoA"),
            ("--netG unet_256", "trained with --netG resnet_9blocks, got unet_256"),
            ("--ngf 8", "trained with --ngf 64, got 8"),
            ("--norm batch", "trained with --norm instance, got batch"),
            ("--direction BtoA", "trained with --direction AtoB, got BtoA"),
            ("--output_nc 1", "trained with --output_nc 3, got 1"),
        ],
    )
    def test_a_contradiction_is_refused(self, run, given, words):
        run("--model", "cycle_gan")
        with pytest.raises(UserError, match=words):
            parse("--name", "r", *given.split(), test=True)

    def test_a_dropout_contradiction_is_refused_and_the_same_value_is_fine(self, run):
        run("--model", "pix2pix")
        with pytest.raises(UserError, match="trained without --no_dropout, got --no_dropout"):
            parse("--name", "r", "--no_dropout", test=True)
        assert parse("--name", "r", "--norm", "batch", "--netG", "unet_256", test=True)

    def test_without_a_run_the_flags_count(self):
        opt = parse("--name", "none", "--netG", "unet_128", "--norm", "batch", test=True)[1]
        assert (opt.model, opt.netG, opt.norm) == ("test", "unet_128", "batch")


def test_saved_yaml_is_plain(tmp_path):
    options, _ = parse("--model", "template")
    options.save(tmp_path)
    values = yaml.safe_load((tmp_path / "train_opt.yaml").read_text())
    assert values["max_dataset_size"] == math.inf and values["seed"] == options.values["seed"]


def test_help_is_understood_by_newcomers(capsys):
    """What --resume does, which of two frequencies is which, what the values of
    --preprocess are; a flag without a default shows none."""
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "the same as --continue_train", "so that one command starts and restarts it",
        "for the first time", "are replaced by new ones", "scale_longer: the longer side",
        "cycle_gan, cut and fastcut for two sets without pairs", "(default: cycle_gan)",
    ):  # fmt: skip
        assert words in text
    assert "(default: None)" not in text and "(default: False)" not in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--lr", "0.1", "--lr", "0.2"], "--lr is given 2 times: 0.1, 0.2; the last counts"),
        (["--lr=0.1", "--lr", "0.1"], ""),
        (["--no_flip", "--no_flip"], ""),
        (["--lambda_L1", "10", "--lambda_L1=1"], "--lambda_L1 is given 2 times: 10, 1; the last"),
    ],
)
def test_a_flag_that_is_given_twice_is_told(tmp_path, capsys, words, told):
    """Once, where its values differ."""
    flags = ["--dataroot", str(make_aligned(tmp_path)), "--name", "n", "--model", "pix2pix"]
    train_options.TrainOptions().parse([*flags, *words])
    assert capsys.readouterr().err.count("the last counts") == bool(told)
    train_options.TrainOptions().parse([*flags, *words])
    assert told in capsys.readouterr().err
