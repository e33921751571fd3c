"""Flags that are not there: what to type instead."""

import pytest

from options import former_flags, test_options, train_options
from util.errors import UserError


def told(*argv: str, test: bool = False) -> str:
    """The one line for a command line with a flag that is not there."""
    options = test_options.TestOptions() if test else train_options.TrainOptions()
    with pytest.raises(UserError) as caught:
        options.parse(["--dataroot", ".", *argv])
    assert "\n" not in str(caught.value)
    return str(caught.value)


FORMER = [
    ("--niter 100", "type --n_epochs 100"),
    ("--niter_decay 5", "type --n_epochs_decay 5"),
    ("--no_lsgan", "type --gan_mode vanilla"),
    ("--fineSize 256", "type --crop_size 256"),
    ("--loadSize 286", "type --load_size 286"),
    ("--which_model_netG unet_256", "type --netG unet_256"),
    ("--which_model_netD basic", "type --netD basic"),
    ("--which_direction BtoA", "type --direction BtoA"),
    ("--resize_or_crop crop", "type --preprocess crop"),
    ("--which_epoch=5", "type --epoch 5"),
    ("--nThreads 2", "type --num_threads 2"),
    ("--batchSize 2", "type --batch_size 2"),
    ("--identity 0.5", "type --lambda_identity 0.5"),
    ("--how_many 50", "test.py has --num_test for it"),
    ("--ntest 5", "test.py has --num_test for it"),
]
USUAL = [
    ("--learning_rate 0.1", "type --lr 0.1"),
    ("--workers 2", "type --num_threads 2"),
    ("--num_workers 2", "type --num_threads 2"),
    ("--cpu", "type --device cpu"),
    ("--cuda", "type --device cuda"),
    ("--gpu 0", "type --device cuda:0"),
    ("--epochs 200", "type --n_epochs 200 (--n_epochs_decay more follow"),
    ("--bs 2", "type --batch_size 2"),
    ("--image_size 256", "type --load_size 256 --crop_size 256 ("),
    ("--output o", "type --checkpoints_dir o"),
    ("--checkpoint c", "type --init_from c"),
    ("--wandb", "type --track wandb"),
    ("--seeds 3", "did you mean --seed?"),
    ("--manual_seed 3", "type --seed 3"),
    ("--batch-size 4", "type --batch_size 4"),
    ("-lr 0.1", "type --lr 0.1"),
    ("--num-epochs 4", "type --n_epochs 4"),
    ("--workers", "type --num_threads NUM_THREADS"),
]


@pytest.mark.parametrize(("line", "words"), FORMER + USUAL)
def test_a_former_or_usual_flag_is_answered_with_what_to_type(line, words):
    """User report 13: the flag and the value, not the next name by spelling."""
    assert f"unknown flag {line.replace('=', ' ')}: {words}" in told(*line.split()) or (
        words.startswith("did") and words in told(*line.split())
    )


def test_several_old_flags_are_answered_together():
    """User report 13: an old command line needs one try, not one for each flag."""
    line = told("--niter", "5", "--batchSize", "2", "--modle", "pix2pix")
    for words in (
        "--niter 5: type --n_epochs 5; ",
        "type --batch_size 2; ",
        "did you mean --model",
    ):
        assert words in line


@pytest.mark.parametrize(
    ("line", "words", "test"),
    [
        ("--model pix2pix --lambda_A 5", "--lambda_A 5: a flag of cycle_gan (", False),
        ("--model pix2pix --identity 5", "type --lambda_identity 5 (a flag of cycle_gan", False),
        ("--model cycle_gan --lambda_L1 5", "a flag of colorization and pix2pix (--model)", False),
        ("--hf_split x", "a flag of huggingface (--dataset_mode)", False),
        ("--num_test 5", "--num_test 5: a flag of test.py", False),
        ("--model_suffix _A", "a flag of test (--model, test.py)", False),
        ("--n_epochs 5", "--n_epochs 5: a flag of train.py", True),
        ("--continue_train", "--continue_train: a flag of train.py", True),
        ("--lambda_A 5", "a flag of cycle_gan (--model, train.py)", True),
        ("--how_many 5", "type --num_test 5", True),
        ("--epochs 5", "train.py has --n_epochs for it", True),
        ("--output o", "type --results_dir o", True),
    ],
)
def test_a_flag_of_another_model_or_command_is_called_that(line, words, test):
    """User report 13: a name that is a flag, but not here."""
    assert words in told(*line.split(), test=test)


def test_a_config_file_is_answered_too(tmp_path):
    """User report 13: in a file as on the command line."""
    (tmp_path / "c.yaml").write_text("niter: 5\n")
    assert "c.yaml: unknown option 'niter': type --n_epochs 5" in told("--config", "c.yaml")


def test_every_answer_is_a_flag_that_is_there_and_no_name_has_two():
    """User report 13: the table holds what the parsers hold."""
    there = train_options.TrainOptions().flags_elsewhere().keys()
    there |= train_options.TrainOptions().common_parser().flags().keys()
    for name, answer in former_flags.ANSWERS.items():
        words = f"{answer.train} {answer.test}".split()
        assert {word[2:] for word in words if word.startswith("--")} <= there, name
    names = [name for _, names in former_flags.USUAL for name in names.split()]
    assert len(names) == len(set(names)) and not set(names) & former_flags.FORMER.keys()
    shared = train_options.TrainOptions().common_parser().flags().keys()
    assert not shared & former_flags.ANSWERS.keys()
