"""Demo data and the demo itself, shortened; commands find the project."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from scripts import demo, demo_style
from tests.helpers import ROOT, pictures, script
from tests.processes import Process

make_demo_data = script("datasets/make_demo_data.py")


@pytest.fixture(scope="module")
def demo_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert make_demo_data.main(["--out", str(folder)]) == 0
    return folder


def test_demo_data_is_the_same_at_every_call(tmp_path, demo_data):
    make_demo_data.main(["--out", str(tmp_path)])
    files = sorted(p.relative_to(demo_data) for p in demo_data.rglob("*.png"))
    assert len(files) > 300
    for file in files:
        assert (demo_data / file).read_bytes() == (tmp_path / file).read_bytes()


def test_train_and_test_come_from_different_photographs(demo_data):
    for train, test in (("edges2photo/train", "edges2photo/test"), ("photos/train", "photos/test"),
                        ("photo2sepia/trainA", "photo2sepia/testA"),
                        ("photo2sepia/trainB", "photo2sepia/testB")):  # fmt: skip
        sources = [
            {p.stem.rstrip("0123456789_") for p in (demo_data / f).iterdir()} for f in (train, test)
        ]
        assert sources[0] and sources[1] and not sources[0] & sources[1]
    pair = Image.open(next((demo_data / "edges2photo" / "train").iterdir()))
    assert pair.size == (256, 128)


@pytest.fixture
def commands(monkeypatch, demo_data):
    """The demos' commands, in processes that have torch already; with data that is there already,
    and a part of it for training."""

    def run(command):
        _, script, *argv = map(str, command)
        if Path(script).name == "make_demo_data.py":
            shutil.copytree(demo_data, argv[argv.index("--out") + 1])
            return SimpleNamespace(returncode=0)
        process = Process(script, *argv, cwd=Path.cwd())
        out, err = process.communicate()
        print(out, err)
        return SimpleNamespace(returncode=process.returncode)

    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(demo, "TRAIN", demo.TRAIN + " --max_dataset_size 12")


def test_the_demo_ends_with_a_page(tmp_path, commands, capfd):
    assert demo.main(["--out", str(tmp_path), "--epochs", "1"]) == 0
    results = tmp_path / "results" / demo.NAME / "test_latest"
    assert str(results / "index.html") in capfd.readouterr().out
    assert len(pictures(results)) == 3 * 40


def test_the_style_demo_ends_with_a_picture_and_says_what_weights_it_had(tmp_path, commands, capfd):
    quick = ["--image_size", "64", "--n_evaluations", "10"]
    assert demo_style.main(["--out", str(tmp_path), *quick]) == 0
    text = capfd.readouterr().out
    picture = tmp_path / "checkpoints" / demo_style.NAME / "pictures" / "chelsea.png"
    assert str(picture) in text and Image.open(picture).width == 64
    assert "using random ones" in text


OURS = {"data", "models", "options", "util", "scripts", "benchmarks", "train", "test"}
COMMANDS = [
    file
    for folder in ("scripts", "datasets", "benchmarks")
    for file in sorted((ROOT / folder).glob("*.py"))
    if '__name__ == "__main__"' in file.read_text()
]


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_command_finds_the_project_before_it_imports_it(file):
    names = []
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    tops = [name.partition(".")[0] for name in names]
    first = next((place for place, top in enumerate(tops) if top in OURS), None)
    assert first is None or "_root" in tops[:first]


@pytest.mark.parametrize(
    "words",
    [
        [str(ROOT / "scripts" / "split_data.py")],
        [str(ROOT / "datasets" / "combine_A_and_B.py")],
        ["-m", "scripts.split_data"],
    ],
)
def test_commands_work_from_anywhere(words, tmp_path):
    where = ROOT if words[0] == "-m" else tmp_path
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *words, "--help"], cwd=where, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0 and "usage:" in done.stdout, done.stderr
