"""Flags that people type and that are not there: former names of the reference implementation, and
usual names of other projects. Each has what to type today; docs/options.md shows the table.

In an answer `{}` stands for the value that was given; answers that are the same in train.py and in
test.py are one text, others are a pair.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from util.registry import Registry

if TYPE_CHECKING:
    from options.base_options import BaseOptions


class Answer(NamedTuple):
    """What to type instead.

    Args:
        train, test: the flag and its value; empty: nothing, the reason says why.
        why: what else there is to know.
    """

    train: str
    test: str
    why: str = ""


def _same(text: str, why: str = "") -> Answer:
    return Answer(text, text, why)


def _of_train(text: str, why: str = "") -> Answer:
    return Answer(text, "", why)


# Of the releases of the reference since 2017.
FORMER = {
    "niter": _of_train("--n_epochs {}"),
    "niter_decay": _of_train("--n_epochs_decay {}"),
    "batchSize": _same("--batch_size {}"),
    "loadSize": _same("--load_size {}"),
    "fineSize": _same("--crop_size {}"),
    "resize_or_crop": _same("--preprocess {}"),
    "which_direction": _same("--direction {}"),
    "which_epoch": _same("--epoch {}"),
    "which_model_netG": _same("--netG {}"),
    "which_model_netD": _same("--netD {}"),
    "nThreads": _same("--num_threads {}"),
    "no_lsgan": _of_train("--gan_mode vanilla"),
    "identity": _of_train("--lambda_identity {}"),
    "how_many": Answer("", "--num_test {}"),
    "ntest": Answer("", "--num_test {}"),
    "display_single_pane_ncols": _of_train("--display_ncols {}"),
    "tf_log": _of_train("--track tensorboard"),
    "isTrain": _same("", "train.py trains, test.py tests"),
    "local_rank": _same("", "start with torchrun --nproc_per_node N train.py ..."),
}
WITH_DECAY = "--n_epochs_decay more follow, 100 by default, in which the learning rate falls to 0"
SQUARE = "the one scales, the other cuts out; --preprocess tells how"
FOLDER_OF_RUN = "the folder of the run is --checkpoints_dir/--name"
# Of other projects of this kind: what to type, and the names that mean it.
USUAL = [
    (_of_train("--n_epochs {}", WITH_DECAY),
     "epochs n_epoch num_epochs nepochs nepoch max_epochs total_epochs train_epochs"),
    (_of_train("--n_epochs_decay {}"),
     "decay_epochs epochs_decay lr_decay_epochs"),
    (_of_train("--n_epochs {}", "the learning rate falls after so many"),
     "decay_epoch"),
    (_of_train("--epoch_count {}"),
     "start_epoch"),
    (_of_train("--lr {}"),
     "learning_rate learningrate base_lr lr_g lr_G lr_d lr_D"),
    (_of_train("--beta1 {}"),
     "b1 beta_1 momentum"),
    (_of_train("", "it is 0.999; a model of your own may set another"),
     "b2 beta2 beta_2"),
    (_same("--batch_size {}"),
     "bs batch batchsize train_batch_size b"),
    (_same("--num_threads {}"),
     "workers num_workers n_workers nworkers n_cpu j"),
    (_same("--device cpu"),
     "cpu no_cuda no_gpu use_cpu"),
    (_same("--device cuda"),
     "cuda use_cuda use_gpu"),
    (_same("--device cuda:{}"),
     "gpu gpu_id cuda_device"),
    (_same("", "for several GPUs: torchrun --nproc_per_node N train.py ..."),
     "gpus n_gpu n_gpus num_gpus ngpu world_size"),
    (_same("--dataroot {}"),
     "data data_dir data_root data_path datadir dataset dataset_dir dataset_path "
     "dataset_root dataset_name input input_dir root"),
    (_same("--name {}", FOLDER_OF_RUN),
     "exp exp_name expname experiment experiment_name run run_name model_name"),
    (Answer("--checkpoints_dir {}", "--results_dir {}", FOLDER_OF_RUN),
     "output output_dir out out_dir outdir output_path result_dir save_path"),
    (_same("--checkpoints_dir {}", FOLDER_OF_RUN),
     "checkpoint_dir ckpt_dir save_dir log_dir logdir model_dir models_dir work_dir"),
    (Answer("--init_from {}", "--name {}", "a run goes on with --name NAME --continue_train"),
     "checkpoint ckpt checkpoint_path ckpt_path weights pretrained pretrain load "
     "model_path load_path load_dir load_pretrain"),
    (_of_train("--name {} --continue_train"),
     "resume_from resume_path resume_from_checkpoint"),
    (_of_train("--continue_train"),
     "continue"),
    (_same("--load_size {} --crop_size {}", SQUARE),
     "image_size img_size imsize imgsize size resolution res input_size resize patch_size"),
    (_same("--load_size {} --crop_size {}", f"images become squares; {SQUARE}"),
     "img_height img_width image_height image_width height width"),
    (_same("--input_nc {}"),
     "in_channels in_ch input_channels channels nc img_channels"),
    (_same("--output_nc {}"),
     "out_channels out_ch output_channels"),
    (_same("--ngf {}"),
     "nf dim num_filters base_channels"),
    (_same("--netG resnet_{}blocks"),
     "n_residual_blocks n_res_blocks num_residual_blocks n_blocks res_blocks"),
    (_same("--netG {}"),
     "generator net_G netg_type backbone arch architecture"),
    (_same("--netD {}"),
     "discriminator net_D"),
    (_same("", "dropout is on unless --no_dropout is given"),
     "dropout use_dropout"),
    (_same("--norm {}"),
     "normalization norm_type norm_layer"),
    (_of_train("--gan_mode {}", "lsgan, vanilla or wgangp"),
     "gan_loss gan_type adv_loss loss loss_type gan criterion"),
    (_of_train("--gan_mode lsgan"),
     "lsgan use_lsgan"),
    (_of_train("--gan_mode wgangp"),
     "wgan wgangp wgan_gp"),
    (_of_train("--lambda_gp {}", "with --gan_mode wgangp"),
     "gp_weight gp lambda_grad_penalty"),
    (_of_train("--lambda_L1 {}"),
     "lambda_l1 l1_lambda l1_weight lambda_pixel L1_lambda"),
    (_of_train("--lambda_A {} --lambda_B {}"),
     "lambda_cyc lambda_cycle lambda_cycle_loss cycle_lambda cycle_weight"),
    (_of_train("--lambda_identity {}", "relative to --lambda_A and --lambda_B"),
     "lambda_id lambda_idt identity_weight idt_weight"),
    (_same("--seed {}"),
     "manual_seed manualSeed random_seed rng_seed"),
    (_same("--precision {}", "fp32, tf32, bf16 or fp16"),
     "dtype"),
    (_same("--precision fp16"),
     "fp16 half use_fp16"),
    (_same("--precision bf16"),
     "bf16 amp use_amp mixed_precision autocast"),
    (_of_train("--track wandb"),
     "wandb log_wandb enable_wandb"),
    (_of_train("--wandb_project_name {}"),
     "wandb_project project project_name"),
    (_of_train("--track tensorboard"),
     "tensorboard tb use_tensorboard"),
    (_of_train("--track visdom"),
     "visdom use_visdom"),
    (_of_train("--print_freq {}"),
     "print_every log_freq log_interval log_every log_step"),
    (_of_train("--save_epoch_freq {}"),
     "save_freq save_every save_interval save_step checkpoint_interval checkpoint_freq "
     "model_save_step"),
    (_of_train("--display_freq {}"),
     "sample_interval sample_freq sample_step display_interval vis_freq"),
    (_of_train("--no_flip"),
     "no_augment no_augmentation no_aug"),
    (_of_train("", "images are shuffled unless --serial_batches is given"),
     "shuffle"),
    (Answer("--max_dataset_size {}", "--num_test {}"),
     "num_images n_images num_samples n_samples max_images"),
    (_same("--max_dataset_size {}"),
     "max_samples limit"),
    (_same("--phase {}"),
     "split mode subset"),
    (_same("--verbose"),
     "v"),
    (_of_train("--lr_policy {}", "linear, step, plateau or cosine"),
     "scheduler lr_scheduler lr_schedule"),
    (_of_train("--lr_policy step --lr_decay_iters {}"),
     "step_size lr_step lr_step_size"),
    (_of_train("--lr_policy plateau", "it waits for 5 epochs"),
     "patience"),
    (_of_train("--n_epochs {}", "the length of a training is counted in epochs"),
     "max_steps iterations num_iters n_iters niters max_iter max_iters total_iters"),
    (_of_train("--pool_size {}"),
     "buffer_size replay_buffer_size history_size"),
    (_same("--netD n_layers --n_layers_D {}"),
     "num_D_layers n_D_layers d_layers"),
    (_same("--init_type {}"),
     "init init_method weight_init"),
    (_same("--input_nc 1 --output_nc 1"),
     "gray grey grayscale greyscale"),
    (_same("", "images are mirrored unless --no_flip is given"),
     "flip hflip horizontal_flip random_flip augment"),
    (_same("--config {}"),
     "cfg conf config_file options"),
    (_of_train("--continue_train --epoch {}"),
     "resume_epoch load_epoch"),
    (Answer("--continue_train --epoch {}", "--epoch {}"),
     "test_epoch"),
    (_same("--direction {}", "AtoB or BtoA"),
     "dir mapping task_direction"),
]  # fmt: skip
ANSWERS = FORMER | {name: answer for answer, names in USUAL for name in names.split()}


def answer(flag: str, value: str, command: str, elsewhere: Mapping[str, str]) -> str:
    """What to say to somebody who typed a flag that is not there; empty if nothing is known of it.

    Args:
        flag: as typed, without dashes before it.
        value: what followed it, or empty.
        command: "train" or "test".
        elsewhere: flags that are not of this call -> where they are, e.g. "a flag of cycle_gan".
    """
    name = flag.replace("-", "_")
    known = ANSWERS.get(name) or ANSWERS.get(name.lower()) or Answer("", "")
    typed, other = (known.train, known.test) if command == "train" else (known.test, known.train)
    notes = [elsewhere[name]] if name in elsewhere else []
    if other and not typed:
        away = "test" if command == "train" else "train"
        notes.append(f"{away}.py has {other.split()[0]} for it")
    elif known.why:
        notes.append(known.why)
    if not typed:
        return ", ".join(notes)
    first = typed.split()[0].lstrip("-")
    notes += [elsewhere[first]] if first in elsewhere else []
    remark = f" ({'; '.join(notes)})" if notes else ""
    return f"type {typed.replace('{}', value or first.upper())}{remark}"


def elsewhere(commands: Sequence[BaseOptions], registries: dict[str, Registry]) -> dict[str, str]:
    """Flags -> whose they are. Reads all models and datasets, which takes a while: for somebody who
    typed what is not there.

    Args:
        commands: the options of train.py and test.py, those of this call first.
        registries: flag that chooses -> what it chooses from.
    """
    owners: dict[str, list[str]] = {}  # flag -> what adds it
    where: dict[str, str] = {}  # flag -> how that is chosen
    found: dict[str, str] = {}
    for options in commands:
        script = "" if options is commands[0] else f"{options.command}.py"
        if script:
            found |= dict.fromkeys(options.common_parser().flags(), f"a flag of {script}")
        for flag, registry in registries.items():
            chosen = f"--{flag}, {script}" if script else f"--{flag}"
            for name in registry.names():
                for added in _added_flags(options, registry, name):
                    if where.setdefault(added, chosen) == chosen:
                        owners.setdefault(added, []).append(name)
    return {
        flag: f"a flag of {' and '.join(names)} ({where[flag]})" for flag, names in owners.items()
    } | found


def _added_flags(options: BaseOptions, registry: Registry, name: str) -> set[str]:
    """Flags that a model or dataset adds; none of one that is not for the command, or broken."""
    parser = options.common_parser()
    parser.tells, common = False, set(parser.flags())
    with contextlib.suppress(Exception):  # of somebody's file: anything
        options.add_plugin_flags(parser, registry, name)
    return parser.flags().keys() - common


def table() -> list[tuple[str, str, str, str]]:
    """(former or usual names, in train.py, in test.py, remark) for the options reference."""
    rows: dict[Answer, list[str]] = {}
    for name, known in ANSWERS.items():
        rows.setdefault(known, []).append(f"`--{name}`")
    return [
        (", ".join(names), *(f"`{part.replace('{}', 'X')}`" if part else "" for part in known[:2]),
         known.why)
        for known, names in rows.items()
    ]  # fmt: skip
