"""What the documents say is true: options, command lines, links, example code."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

import data
import models
from options import test_options, train_options
from scripts.write_options_reference import all_names, names_on, reference
from tests.helpers import ROOT, TINY, make_aligned, make_single, photo, script
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.downloads import get_data
from util.trackers import visdom_server

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TOOLS = ["datasets/combine_A_and_B.py", "datasets/prepare_cityscapes_dataset.py",
         "scripts/split_data.py", "scripts/edges.py", "scripts/check_data.py",
         "scripts/compare.py", "scripts/evaluate.py", "scripts/export.py", "scripts/plot.py",
         "scripts/serve.py", "benchmarks/run.py", "benchmarks/tiles.py"]  # fmt: skip


def command_lines(scripts: list[str]) -> list[tuple[str, str]]:
    """(page, line) of every command of the scripts in the documents and their docstrings."""
    texts = [(page.name, page.read_text()) for page in PAGES]
    texts += [(name, (ROOT / name).read_text().split('"""')[1]) for name in scripts]
    names = "|".join(map(re.escape, scripts))
    pattern = re.compile(rf"^ {{4}}(?:python|torchrun \S+) ((?:{names}) .*)$", re.MULTILINE)
    return [(name, line) for name, text in texts for line in pattern.findall(text)]


def test_the_options_reference_is_current():
    """As far as it goes: models and datasets that are somebody's own need not be in it."""
    page = (ROOT / "docs" / "options.md").read_text()
    assert page == reference(names_on(page)), "run: python scripts/write_options_reference.py"


def test_a_private_plugin_leaves_the_options_reference_current(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "options.md").read_text()
    for package, suffix in ((models, "model"), (data, "dataset")):
        folder = tmp_path / "plugins" / package.__name__
        folder.mkdir(parents=True)
        template = Path(package.__path__[0], f"template_{suffix}.py").read_text()
        (folder / f"private_{suffix}.py").write_text(template.replace("Template", "Private"))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    assert page == reference(names_on(page))
    assert "model private" in reference(all_names())  # the script itself tells of all


@pytest.mark.parametrize(("page", "line"), command_lines(["train.py", "test.py", "translate.py"]))
def test_documented_command_lines_parse(page, line):
    entry, *argv = shlex.split(line, comments=True)
    argv = [word for word in argv if word != "..."]
    if {"--style_index", "--style_blend"} & set(argv):
        pytest.skip("how many styles there are is known to the run; see test_style.py")
    if {"blur", "tiny"} & set(argv):
        pytest.skip("the example of a guide, tested below")
    if "--dataroot" not in argv and entry != "translate.py":
        argv += ["--dataroot", "taken from the run"]
    for file in [word for word in argv if word.endswith(".jpg")]:
        photo(1).save(file)
    parsers = {
        "train.py": train_options.TrainOptions,
        "test.py": test_options.TestOptions,
        "translate.py": test_options.TranslateOptions,
    }
    assert parsers[entry]().parse(argv).name


@pytest.mark.parametrize(("page", "line"), command_lines(TOOLS))
def test_documented_command_lines_of_tools_parse(page, line):
    entry, *argv = shlex.split(line)
    assert script(entry).parser().parse_args(argv)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_a_documented_line_and_a_manual(tool, capsys):
    pages = ("tools.md", "data.md", "pages.md", "plots.md", "serve.md", "performance.md",
             "deploy.md", "large_images.md", "metrics.md")  # fmt: skip
    assert any(line.startswith(tool) for page, line in command_lines(TOOLS) if page in pages)
    with pytest.raises(SystemExit, match="0"):
        script(tool).main(["--help"])
    assert script(tool).__doc__.splitlines()[0] in capsys.readouterr().out


def test_every_flag_in_the_documents_exists():
    known = set(re.findall(r"`--(\w+)`", (ROOT / "docs" / "options.md").read_text()))
    known |= {"help", "nproc_per_node", "blur_px", "depth", "noise", "upgrade", "mlflow_uri"}
    known |= {a.dest for tool in TOOLS for a in script(tool).parser()._actions}
    known |= set(re.findall(r"--(\w+)", get_data.parser().format_help()))
    known |= test_options.TranslateOptions().common_parser().flags().keys()
    known |= {a.dest for a in visdom_server.parser()._actions} | {"logdir"}  # of TensorBoard
    of_pip = {"use", "pep517"}
    for page in PAGES:
        flags = set(re.findall(r"(?<![\w-])--([A-Za-z]\w*)", page.read_text()))
        assert flags - known - of_pip == set(), page.name


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_names_every_model_and_dataset():
    text = (ROOT / "README.md").read_text()
    page = names_on((ROOT / "docs" / "options.md").read_text())
    for name in [*page["model"], *page["dataset_mode"]]:
        assert name in text, name


def test_the_examples_from_python_run_as_they_are_written(tmp_path):
    """User report 26: one after the other, as in a notebook."""
    root = make_aligned(tmp_path / "D", 2)
    run_train("--dataroot", root, "--name", "facades", "--model", "pix2pix", "--netG",
              "resnet_6blocks", *TINY, "--print_freq", 1, "--n_epochs", 1,
              "--n_epochs_decay", 0)  # fmt: skip
    photo(1, (90, 70)).save("photo.jpg")
    make_single(tmp_path / "photos", 2)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/from_python.md").read_text(), re.S)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert Image.open("translation.png").size == (90, 70)
    assert names["files"] == {"A": "photos/1.png"}
    assert names["output"].shape == (1, 3, 64, 64) and len(names["features"]) == 2
    assert names["code"] == 0
    assert [line["images"] for line in names["steps"]] == [1, 2]


def test_pages_for_users_are_linked_from_the_readme():
    linked = set(re.findall(r"\]\(docs/(\w+\.md)", (ROOT / "README.md").read_text()))
    assert {"from_python.md", "coming_from.md"} <= linked


def test_the_examples_of_the_guides_run(tmp_path, monkeypatch):
    """The model, dataset and generator of the guides, together: trained, tested."""
    for package, page, *names in (
        (models, "new_model", "blur_model"),
        (models, "new_generator", "tiny_generator"),
        (data, "new_dataset", "noisy_dataset", "masked_dataset", "negative_dataset"),
    ):
        guide = (ROOT / "docs" / f"{page}.md").read_text()
        folder = tmp_path / "plugins" / package.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, code in zip(names, re.findall(r"```python\n(.*?)```", guide, re.S), strict=True):
            (folder / f"{name}.py").write_text(code)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    root = make_aligned(tmp_path / "D", 2)
    flags = ["--dataroot", root, "--name", "try", "--model", "blur", "--netG", "tiny", *TINY]
    run_train(*flags, "--dataset_mode", "negative", "--dry_run")
    masks = make_single(root / "trainM", 2)
    run_train(*flags, "--dataset_mode", "masked", "--dry_run")
    (masks / "1.png").unlink()
    run_train(*flags, "--dataset_mode", "masked", "--dry_run", expect=2)
    run_train(*flags, "--dataset_mode", "noisy", "--n_epochs", 1, "--n_epochs_decay", 0)
    run_test("--dataroot", root, "--name", "try", "--gpu_ids", -1)
    shown = {p.name for p in (tmp_path / "results" / "try" / "test_latest" / "images").iterdir()}
    assert "0_soft.png" in shown
