"""What kind a flag is, and what follows: as the tables said that were there before `life=`."""

import sys

import pytest
import yaml

import data
import models
from data.transforms import PREPROCESS_MODES, without_crop
from options import lives, test_options
from options.train_options import TrainOptions, lives_of_run
from scripts.write_options_reference import names_on
from tests.helpers import ROOT, TINY, make_aligned, needed_flags
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.errors import UserError

# The tables of the version before, which named flags far from where they are declared; those of
# values (TEST_PREPROCESS, what is resolved) are in tests of their own.
TABLES = """
NOT_SAVED:
  config dry_run debug verbose continue_train epoch epoch_count load_iter resume overwrite
  allow_changed requeue
OF_THE_CALL:
  name checkpoints_dir suffix device gpu_ids continue_train resume epoch epoch_count load_iter
  overwrite allow_changed requeue
FREE:
  dataroot pairs config dry_run debug verbose n_epochs n_epochs_decay num_threads cache cache_gb
  cache_dir display_freq print_freq update_html_freq no_html save_latest_freq save_epoch_freq
  save_by_iter save_every_minutes keep_last keep_checkpoints save_state
  safetensors on_nan display_winsize track use_wandb
  wandb_project_name display_id display_server display_port display_env display_ncols
  memory_format compile lean
FIXED_BY_TRAINING:
  netG norm ngf no_dropout input_nc output_nc direction
INHERITED:
  model dataset_mode ndf netD n_layers_D preprocess crop_size load_size seed label_A label_B
  label_void
  value_range
DECIDES:
  preprocess load_size crop_size input_nc output_nc direction value_range label_A label_B label_void
  dataset_mode fast_decode
OF_THE_PLACE:
  name suffix checkpoints_dir
"""
TABLE = {name: set(flags.split()) for name, flags in yaml.safe_load(TABLES).items()}
TABLE["FREE"] |= TABLE["OF_THE_CALL"]

OURS = names_on((ROOT / "docs" / "options.md").read_text())
PLUGINS = [("model", name) for name in OURS["model"]]
PLUGINS += [("dataset", name) for name in OURS["dataset_mode"]]


def parser_of(options, kind: str, name: str):
    parser = options.common_parser()
    registry = models.registry if kind == "model" else data.registry
    try:
        options.add_plugin_flags(parser, registry, name)
    except UserError:
        pytest.skip(f"{name} is not for {options.command}")
    return parser


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
@pytest.mark.parametrize("options", [TrainOptions(), test_options.TestOptions()])
def test_what_follows_from_a_flags_kind_is_what_the_tables_said(options, kind, name):
    parser = parser_of(options, kind, name)
    for flag in parser.flags():
        life, of_plugin = parser.lives[flag], parser.source[flag] == f"{kind} {name}"
        assert life.saved == (flag not in TABLE["NOT_SAVED"]), flag
        assert life.decides_pixels == (flag in TABLE["DECIDES"]), flag
        if options.isTrain:
            assert life.compared == (flag not in TABLE["OF_THE_PLACE"]), flag
            taken_over = flag not in TABLE["OF_THE_CALL"] and flag not in TABLE["NOT_SAVED"]
            assert (life.resume != lives.OWN) == taken_over, flag
            assert (life.resume == lives.FIXED) == (flag not in TABLE["FREE"]), flag
        else:
            inherited = flag in TABLE["FIXED_BY_TRAINING"] | TABLE["INHERITED"] or of_plugin
            assert (life.test != lives.OWN) == inherited, flag
            assert (life.test == lives.FIXED) == (flag in TABLE["FIXED_BY_TRAINING"]), flag


@pytest.mark.parametrize("options", [TrainOptions(), test_options.TestOptions()])
def test_every_flag_of_train_and_test_says_its_kind(options):
    for flag, action in options.common_parser().flags().items():
        assert action.life is not None, flag


def test_what_test_makes_of_a_trainings_preprocess():
    other = {
        "crop": "none",
        "scale_width_and_crop": "scale_width",
        "scale_shorter_and_crop": "keep",
    }
    for mode in PREPROCESS_MODES:
        assert without_crop(mode) == other.get(mode, mode)


def test_what_is_resolved_is_shown_and_saved_as_it_was_given(tmp_path):
    options = TrainOptions()
    flags = ["--dataroot", ".", "--name", "n", "--suffix", "{ngf}", "--device", "cpu"]
    opt = options.parse(flags)
    assert options.given == {"name": "n", "device": "cpu", "gpu_ids": None}
    assert (opt.name, opt.device.type, opt.gpu_ids) == ("n_64", "cpu", [])
    options.save(tmp_path)
    saved = yaml.safe_load((tmp_path / "train_opt.yaml").read_text())
    assert (saved["name"], saved["device"], "gpu_ids" in saved) == ("n", "cpu", False)


def test_the_disk_caches_recipe_holds_what_decides_pixels():
    opt = TrainOptions().parse(["--dataroot", "."])
    assert opt.pixel_flags == sorted(TABLE["DECIDES"])


MODEL = """
from models.template_model import TemplateModel


class KindsModel(TemplateModel):
    @staticmethod
    def modify_commandline_options(parser, is_train):
        TemplateModel.modify_commandline_options(parser, is_train)
        add = parser.add_argument_group("of mine").add_argument
        add("--halo", life="machine", type=int, default=1, help="how it is shown")
        add("--greet", life="call", action="store_true", help="say hello")
        add("--blur", life="data", type=int, default=0, help="of the images as they are read")
        add("--shelf", life="place", default="here", help="where it is")
        add("--depth", type=int, default=1, help="says nothing of its kind")
        either = parser.add_mutually_exclusive_group().add_argument
        either("--heads", life="network", type=int, default=1, help="of the network")
        either("--no_heads", life="network", action="store_true", help="of the network")
        parser.add_argument("--phase", default=parser.get_default("phase"), help="defined anew")
        return parser
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """--model kinds, and a folder of pairs."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "kinds_model.py").write_text(MODEL)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    yield make_aligned(tmp_path / "pairs", 2)
    sys.modules.pop("models.kinds_model", None)


class TestAPluginsOwnFlags:
    FLAGS = ["--halo", "2", "--greet", "--blur", "3", "--shelf", "there", "--depth", "4", "--heads",
             "5"]  # fmt: skip
    SESSION = ["--name", "k", "--continue_train", "--n_epochs", "2", "--gpu_ids", "-1"]

    @pytest.fixture(autouse=True)
    def run(self, plugin):
        self.pairs = ["--dataroot", str(plugin)]
        run_train(*self.pairs, "--model", "kinds", "--name", "k", *TINY, "--netG", "resnet_6blocks",
                  "--n_epochs", 1, "--n_epochs_decay", 0, "--no_html", *self.FLAGS)  # fmt: skip

    def test_of_the_call_is_not_saved_and_what_is_of_the_machine_may_change(self, tmp_path, capsys):
        file = tmp_path / "checkpoints" / "k" / "train_opt.yaml"
        saved = yaml.safe_load(file.read_text())
        assert "greet" not in saved and (saved["halo"], saved["shelf"]) == (2, "there")
        opt = TrainOptions().parse(self.SESSION)
        assert (opt.halo, opt.greet, opt.shelf, opt.depth) == (2, False, "here", 4)
        run_train(*self.SESSION, "--halo", 9)
        assert yaml.safe_load(file.read_text())["halo"] == 9

    @pytest.mark.parametrize("flag", ["blur", "depth", "heads"])
    def test_what_decides_the_result_is_refused_on_resume(self, flag):
        with pytest.raises(UserError, match=f"trained otherwise: --{flag} . -> 7"):
            TrainOptions().parse([*self.SESSION, f"--{flag}", "7"])

    def test_what_test_takes_from_the_run_and_what_it_refuses(self, capsys):
        test = [*self.pairs, "--name", "k"]
        opt = test_options.TestOptions().parse(test)
        assert (opt.blur, opt.depth, opt.heads) == (3, 4, 5)
        assert (opt.halo, opt.shelf) == (1, "here")
        opt = test_options.TestOptions().parse([*test, "--blur", "7", "--depth", "7"])
        assert (opt.blur, opt.depth) == (7, 7)
        run_test(*test, "--heads", 7, expect=2)
        assert "was trained with --heads 5, got 7" in capsys.readouterr().err

    def test_what_is_of_the_data_tells_images_of_the_disk_cache_apart(self):
        def places(blur: int) -> set:
            flags = [*self.pairs, "--model", "kinds", *TINY, "--cache", "disk", "--blur", str(blur)]
            dataset = data.create_dataset(TrainOptions().parse(flags)).dataset
            keys = [(file, side) for side, files in dataset.checked_files().items()
                    for file in files]  # fmt: skip
            return {dataset.cache.place(key) for key in keys}

        assert places(0) == places(0) and not places(0) & places(1)

    def test_kinds_are_known_of_a_saved_run_too(self, tmp_path):
        saved = yaml.safe_load((tmp_path / "checkpoints" / "k" / "train_opt.yaml").read_text())
        assert not lives_of_run(saved)["shelf"].compared and lives_of_run(saved)["halo"].compared
        gone = saved | {"model": "no_longer_here"}
        assert "shelf" not in lives_of_run(gone) and not lives_of_run(gone)["name"].compared

    def test_a_flag_defined_anew_keeps_its_kind(self):
        parser = parser_of(TrainOptions(), "model", "kinds")
        assert parser.lives["phase"] == lives.undeclared(lives.KINDS["run"])
        assert (parser.lives["phase"].resume, parser.lives["phase"].test) == ("fixed", "taken")


def test_an_unknown_kind_is_told_with_the_flag():
    parser = TrainOptions().common_parser()
    with pytest.raises(UserError, match=r"add_argument\('--x', life='machin'\): accepted: call, .*"
                                        r"did you mean machine"):  # fmt: skip
        parser.add_argument("--x", life="machin", help="x")
    with pytest.raises(UserError, match="test='refused'.*accepted: own, taken, fixed"):
        parser.add_argument("--y", life="run", test="refused", help="x")


def test_lean_may_change_from_session_to_session(tmp_path):
    """Its model says so; no table of options knows its name."""
    parser = parser_of(TrainOptions(), "model", "cycle_gan")
    assert parser.flags()["lean"].life.kind == "machine"


@pytest.mark.parametrize("name", ["style", "neural_style"])
def test_what_a_preset_decides_is_recorded_as_the_models(tmp_path, name):
    options = TrainOptions()
    flags = ["--dataroot", ".", "--model", name, *needed_flags(name, tmp_path)]
    opt = options.parse(flags)
    assert opt.gram_norm == "chw" and options.set_by["gram_norm"] == f"model {name}"
    assert options.values["style_preset"] == opt.style_preset
    assert options.set_by["style_preset"] == f"model {name}"
