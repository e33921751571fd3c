"""Which run a command line means."""

from pathlib import Path

import pytest
import yaml

from options import test_options, train_options
from options.runs import run_or_file
from tests.helpers import TINY, make_aligned, script
from tests.helpers import train as run_train
from util.errors import UserError

SWEEP = ["--name", "s1", "--model", "pix2pix", "--suffix", "L{lambda_L1}"]
SHORT = [*TINY, "--netG", "resnet_6blocks", "--n_epochs", 1, "--n_epochs_decay", 0, "--no_html"]


def parse(*argv: str, test: bool = False):
    options = test_options.TestOptions() if test else train_options.TrainOptions()
    return options.parse(["--dataroot", ".", *argv])


def save_run(*argv: str, name: str = "") -> None:
    """What a training with these flags leaves first; `name`: under another folder's name."""
    options = train_options.TrainOptions()
    opt = options.parse(["--dataroot", ".", *argv])
    options.save(Path(opt.checkpoints_dir) / (name or opt.name))
    Path(opt.checkpoints_dir, name or opt.name, "latest_net_G.pth").touch()


@pytest.mark.parametrize("weight", ["10", "10.0", "1e1"])
@pytest.mark.parametrize("spelling", ["s1_L10", "s1_L10.0"])
@pytest.mark.parametrize("flag", [["--resume", "auto"], ["--continue_train"]])
def test_of_a_sweep_the_flags_name_one_run(weight, spelling, flag):
    """User report 9: also where the version before wrote 10.0 into the name."""
    save_run(*SWEEP, "--lambda_L1", "10", name=spelling)
    save_run(*SWEEP, "--lambda_L1", "100")
    opt = parse(*SWEEP, "--lambda_L1", weight, *flag)
    assert (opt.name, opt.lambda_L1, opt.continue_train) == (spelling, 10, True)
    assert parse(*SWEEP, *flag).name == "s1_L100"  # the default


def test_a_new_member_of_a_sweep_begins_anew():
    """User report 9: --resume auto does not take up another one."""
    save_run(*SWEEP, "--lambda_L1", "10")
    opt = parse(*SWEEP, "--lambda_L1", "1", "--resume", "auto")
    assert (opt.name, opt.continue_train) == ("s1_L1", False)


def test_flags_in_a_config_file_name_the_run_too(tmp_path):
    """User report 9: the sweep may be kept in files."""
    for weight in (1.0, 2.5):
        (tmp_path / f"{weight}.yaml").write_text(yaml.safe_dump({"lambda_L1": weight}))
        save_run(*SWEEP, "--config", f"{weight}.yaml")
    assert parse(*SWEEP, "--config", "2.5.yaml", "--resume", "auto").name == "s1_L2.5"
    assert parse(*SWEEP, "--config", "1.0.yaml", "--continue_train").name == "s1_L1"
    assert parse("--name", "s1", "--suffix", "L{lambda_L1}", "--config", "1.0.yaml",
                 "--continue_train").name == "s1_L1"  # the model is the run's  # fmt: skip


def test_a_seed_that_is_drawn_leaves_the_only_run():
    """User report 9: what no flag tells does not count against a run."""
    sweep = ["--name", "s", "--suffix", "{seed}_{ngf}"]
    save_run(*sweep, "--ngf", "8")
    save_run(*sweep, "--ngf", "16")
    assert parse(*sweep, "--ngf", "8", "--resume", "auto").name.endswith("_8")


def test_a_sweep_is_restarted_with_its_own_command(tmp_path, capsys):
    """User report 9, as it was met."""
    flags = ["--dataroot", make_aligned(tmp_path / "D", 2), *SWEEP, *SHORT, "--resume", "auto"]
    for weight in (10, 100):
        run_train(*flags, "--lambda_L1", weight)
    capsys.readouterr()
    run_train(*flags, "--lambda_L1", 10)
    assert "already complete" in capsys.readouterr().out
    assert sorted(path.name for path in Path("checkpoints").iterdir()) == ["s1_L10", "s1_L100"]


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        ("{x.__class__}", "not the plain name of a flag; accepted: text with"),
        ("{name.__class__.__init__.__globals__}", "not the plain name of a flag"),
        ("{track[0]}", "not the plain name"),
        ("{name!r}", "{name!r} is not the plain name"),
        ("{ngf:>99999999}", "{ngf:>99999999} is not the plain name"),
        ("{ngf:{ndf}}", "not the plain name"),
        ("{}", "{} is not the plain name"),
        ("{0}", "{0} is not the plain name"),
        ("{netg}", "{netg}: there is no flag --netg; did you mean netG?"),
        ("{isTrain}", "there is no flag --isTrain"),
        ("{", "--suffix {: "),
        ("a}b", "--suffix a}b: "),
        ("{dataroot}", "accepted: the name of one folder"),
    ],
)
@pytest.mark.parametrize("flag", [[], ["--resume", "auto"], ["--continue_train"]])
def test_a_suffix_holds_plain_names_only(suffix, words, flag):
    """Fault 110: no attributes, indices, conversions or formats."""
    with pytest.raises(UserError) as caught:
        parse("--name", "n", "--suffix", suffix, "--dataroot", "a/b", *flag)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_suffix_writes_numbers_as_people_do():
    """Fault 110 and user report 9: braces may be doubled, and 10.0 is 10."""
    suffix = "{{x}}{lr}_{lambda_A}_{beta1}_{max_dataset_size}_{no_flip}"
    opt = parse("--name", "n", "--suffix", suffix, "--lambda_A", "10.0")
    assert opt.name == "n_{x}0.0002_10_0.5_inf_False"


@pytest.mark.parametrize("flag", ["--continue_train", "--resume"])
def test_a_mistyped_run_is_told_with_the_runs_there_are(tmp_path, flag):
    """User report 16: near names first; nobody has to find out by --dataroot."""
    for name in ("alpha", "facades_2", "facades_1", "zebra"):
        save_run("--name", name)
    Path("checkpoints/no_run").mkdir()
    with pytest.raises(UserError) as caught:
        train_options.TrainOptions().parse(["--name", "facade_1", flag])
    assert str(caught.value) == (
        f"{flag}: no run 'facade_1' in ./checkpoints; runs there: facades_1, facades_2, alpha, "
        "zebra; did you mean facades_1?"
    )
    with pytest.raises(UserError, match="no run 'x' in elsewhere; runs there: none"):
        train_options.TrainOptions().parse(["--name", "x", flag, "--checkpoints_dir", "elsewhere"])


@pytest.mark.parametrize("path", ["checkpoints/r1", "checkpoints/r1/", "./checkpoints/r1", "r1/"])
@pytest.mark.parametrize("test", [False, True])
def test_a_runs_path_is_its_name(path, test):
    """User report 16: as tab completion writes it."""
    save_run("--name", "r1", "--ngf", "8")
    opt = parse("--name", path, *([] if test else ["--continue_train"]), test=test)
    assert (opt.name, opt.ngf, Path(opt.run_dir)) == ("r1", 8, Path("checkpoints/r1"))


def test_a_path_into_another_folder_of_runs_says_where_they_are():
    """User report 16: a new run, too, may be given by the path that it will have."""
    save_run("--name", "r1", "--checkpoints_dir", "other", "--ngf", "8")
    opt = parse("--name", "other/r1", "--continue_train")
    assert (opt.name, opt.ngf, opt.checkpoints_dir) == ("r1", 8, "other")
    assert parse("--name", "other/r1", test=True).ngf == 8
    assert parse("--name", "checkpoints/new").name == "new"
    with pytest.raises(UserError, match="is in other, not in --checkpoints_dir checkpoints"):
        parse("--name", "other/r1", "--checkpoints_dir", "checkpoints")


@pytest.mark.parametrize("name", ["../r1", "other/new", "/r1", "/", "checkpoints/..", "a\\b", ".."])
def test_a_path_that_is_no_run_is_refused(tmp_path, name):
    """User report 16: nothing is written elsewhere by mistake."""
    save_run("--name", "r1", "--checkpoints_dir", "..")
    with pytest.raises(UserError, match="accepted: the name of one folder"):
        parse("--name", name)


@pytest.mark.parametrize("given", ["r1", "checkpoints/r1", "checkpoints/r1/", "./checkpoints/r1"])
def test_init_from_takes_a_runs_name(tmp_path, given):
    """User report 16: --init_from r1, though a folder of images has the name as well."""
    data = make_aligned(tmp_path / "r1", 2)
    flags = ["--dataroot", data, "--model", "pix2pix", *SHORT]
    run_train(*flags, "--name", "r1")
    run_train(*flags, "--name", "r2", "--init_from", given)
    saved = yaml.safe_load(Path("checkpoints/r2/train_opt.yaml").read_text())
    assert saved["init_from"] == given
    with pytest.raises(UserError, match="--init_from r3: .*; runs there: r1, r2"):
        parse("--init_from", "r3")


@pytest.mark.parametrize("given", ["r1", "checkpoints/r1", "checkpoints/r1/"])
def test_scripts_take_runs_by_name_and_by_path(tmp_path, given):
    """User report 16: plot.py, rerun.py and compare.py; which asks for one test of the run."""
    save_run("--name", "r1")
    Path("checkpoints/r1/metrics.jsonl").touch()
    Path("results/r1/test_latest").mkdir(parents=True)
    Path("results/r1/test_latest/index.html").touch()
    assert script("scripts/plot.py").find_run(given, Path("checkpoints")).name == "r1"
    assert Path(run_or_file("RUN", given, "checkpoints")).resolve() == tmp_path / "checkpoints/r1"
    assert script("scripts/compare.py").results_of(Path(given)) == Path("results/r1/test_latest")


def test_a_script_told_a_run_that_is_not_there_names_those_that_are(capsys):
    """User report 16: rerun.py."""
    save_run("--name", "r1")
    assert script("scripts/rerun.py").main(["r"]) == 2
    assert "RUN r: no such file or folder, and no run" in capsys.readouterr().err
