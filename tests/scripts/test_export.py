"""scripts/export.py: a file that gives the network's pictures without this project, or none."""

import argparse
import base64
import functools
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import models
import translate
from models.compute.configure import set_test_mode
from models.export import files, int8, page, verify
from models.export.picture_net import Around, PictureNet, exportable
from models.generators import GENERATORS
from models.networks import define_G
from scripts import examples
from tests.browser import open_page
from tests.helpers import (
    ROOT,
    TINY,
    environment,
    make_aligned,
    make_single,
    make_unaligned,
    needs_browser,
    photo,
    script,
    train,
)
from tests.helpers import test as run_test
from translate import Translator
from util.checkpoints.exports import read_facts
from util.errors import UserError

GENERATOR = """
from torch import nn

from models.features import ChainNet


class SmallGenerator(ChainNet):
    size_multiple, smallest_px = 8, 16

    def __init__(self, input_nc, output_nc, ngf, norm_layer, use_dropout):
        super().__init__()
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(input_nc, ngf, 7), norm_layer(ngf), nn.ReLU(),
            nn.Conv2d(ngf, ngf, 4, 8, padding=0), norm_layer(ngf), nn.ReLU(),
            nn.Dropout(0.5 if use_dropout else 0.0), nn.ConvTranspose2d(ngf, output_nc, 8, 8),
            nn.Tanh())
"""
SHORT = [*TINY, "--n_epochs", "1", "--n_epochs_decay", "0", "--no_html", "--netG", "small",
         "--init_gain", "0.3"]  # fmt: skip
needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime"))),
    reason="pip install -r requirements-export.txt",
)
# Of onnxruntime-web, where it has been installed by npm in the project's folder.
NPM = ROOT / "node_modules" / "onnxruntime-web" if (ROOT / "node_modules").is_dir() else None
OWN_PAGE = """<link rel="icon" href="data:,"><canvas width="45" height="37"></canvas>
<script type="module">
globalThis.canvas = document.querySelector("canvas");
const picture = await createImageBitmap(await (await fetch("odd.png")).blob());
canvas.getContext("2d").drawImage(picture, 0, 0);
"""
KINDS = ["pt2", pytest.param("onnx", marks=needs_onnx)]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with runs of a generator that is small, and wants sides of multiples of 8 px."""
    root = tmp_path_factory.mktemp("home")
    (root / "plugins").mkdir()
    (root / "plugins" / "small_generator.py").write_text(GENERATOR)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(models, "__path__", [*models.__path__, str(root / "plugins")])
        make_aligned(Path("pairs"), count=2)
        make_unaligned(Path("sets"), count=2)
        make_single(Path("colour/train"), count=2)
        train("--dataroot", "pairs", "--name", "pix", "--model", "pix2pix", "--norm", "batch",
              *SHORT)  # fmt: skip
        train("--dataroot", "sets", "--name", "cycle", "--model", "cycle_gan", *SHORT)
        train("--dataroot", "colour", "--name", "colours", "--model", "colorization",
              "--no_dropout", *SHORT)  # fmt: skip
        make_single(Path("photos"), 3)
        photo(3, (45, 37)).save("odd.png")
        yield root


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setattr(script("scripts/export.py"), "SIZES", ((32, 32), (45, 37), (24, 16)))


def export(*argv, expect=0):
    assert script("scripts/export.py").main([*map(str, argv)]) == expect


def levels(image):
    return np.asarray(image).astype(int)


@pytest.fixture(scope="module")
def made(home):
    """The file of (run, kind, flags), made once."""

    @functools.cache
    def make(run, kind, *flags):
        out = home / "".join(["made_", run, *flags, f".{kind}"])
        export(run, "--format", kind, *flags, "-o", out)
        return out

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("run", "flags", "of_test"),
    [
        ("pix", ["--eval"], {"eval": True}),
        ("cycle", ["--direction", "BtoA"], {"direction": "BtoA"}),
        ("colours", ["--float"], {}),
    ],
)
def test_an_export_gives_the_pictures_of_its_run(run, flags, of_test, kind, made, capsys):
    out = made(run, kind, *flags)
    said = capsys.readouterr().out
    assert "32x32, 45x37, 24x16 px, one and three at once" in said and f"written: {out}" in said
    assert ("opset 20" in said) == (kind == "onnx")
    image = Image.open("odd.png")
    there = levels(Translator.load(f"checkpoints/{run}", device="cpu", **of_test)(image))
    translated = Translator.load(out, device="cpu")(image)
    assert translated.size == (45, 37) and abs(levels(translated) - there).max() <= 1
    facts = read_facts(out)
    assert (facts["run"], facts["epoch"]) == (run, "latest")
    assert facts["direction"] == ("BtoA" if run == "cycle" else "AtoB")
    assert "dataroot" not in json.loads(facts["run_options"])


def test_the_default_is_each_images_own_statistics_and_no_noise(made, capsys):
    out = made("pix", "pt2")
    assert "without noise" in capsys.readouterr().err
    file = files.opened(out)
    pictures = np.stack([levels(photo(n)).astype(np.uint8) for n in range(3)])
    together, alone = file.run(pictures)[0], file.run(pictures[1:2])[0]
    assert abs(together[1].astype(int) - alone[0]).max() <= 1
    assert (file.run(pictures)[0] == together).all()
    assert "own statistics" in read_facts(out)["norm"]
    with zipfile.ZipFile(out) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b".py" not in content and str(Path.cwd()).encode() not in content


def test_deeper_pictures_keep_their_depth_in_a_file_for_floats(made, capsys):
    deep = levels(photo(2)).astype(np.uint16) * 257 + 100
    there = Translator.load("checkpoints/colours", device="cpu")(deep).astype(int)
    translated = Translator.load(made("colours", "pt2", "--float"), device="cpu")(deep)
    assert abs(translated - there).max() < 20
    capsys.readouterr()
    Translator.load(made("pix", "pt2"), device="cpu")(deep)
    assert "--float" in capsys.readouterr().err


def test_what_is_not_the_network_is_not_written(tmp_path, made, monkeypatch, capsys):
    other, out = made("pix", "pt2").read_bytes(), tmp_path / "x.pt2"
    out.write_bytes(b"as before")
    monkeypatch.setattr(files, "taken_down", lambda *given: None)
    monkeypatch.setattr(files, "write_pt2", lambda program, path, facts: path.write_bytes(other))
    export("cycle", "--format", "pt2", "-o", out, expect=1)
    assert "the export is not the network" in capsys.readouterr().err
    assert out.read_bytes() == b"as before" and list(tmp_path.iterdir()) == [out]


def test_a_difference_that_is_no_number_is_refused():
    pictures = np.zeros((1, 2, 2, 3), np.uint8)
    found = verify.difference(
        lambda x: (x, np.full(x.shape, np.nan)), lambda x: x - 1.0, [pictures, pictures]
    )
    with pytest.raises(UserError, match="nan"):
        found.check()


def test_translate_py_takes_an_export(tmp_path, made, capsys):
    file = str(made("cycle", "pt2", "--direction", "BtoA"))
    argv = ["--device", "cpu", "odd.png", "-o", str(tmp_path / "out.png")]
    assert translate.main(["--name", file, *argv]) == 0
    there = Translator.load(file, device="cpu")(Image.open("odd.png"))
    assert (levels(Image.open(tmp_path / "out.png")) == levels(there)).all()
    for flag in (["--eval"], ["--epoch", "5"], ["--direction", "AtoB"], ["--precision", "bf16"]):
        assert translate.main(["--name", file, *flag, *argv]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert flag[0] in line and "export the run anew" in line


@needs_onnx
def test_the_examples_of_the_guide_run_without_this_project(made, tmp_path, monkeypatch):
    text = (ROOT / "docs/deploy.md").read_text()
    elsewhere = re.findall(r"```python\n(.*?)```", text, re.S)
    here = elsewhere.pop()
    assert len(elsewhere) == 2 and "Translator" in here
    for kind in ("onnx", "pt2"):
        shutil.copy(made("cycle", kind, "--direction", "BtoA"), tmp_path / f"facades.{kind}")
    photo(1, (45, 37)).save(tmp_path / "photo.jpg")
    first, second = (code.replace("translated.png", f"{n}.png") for n, code in enumerate(elsewhere))
    end = "\nimport sys\nassert not {'models', 'util', 'translate'} & set(sys.modules)"
    environ = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", first + second + end]
    said = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True)
    assert said.stdout.strip() == b"cycle"
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(here, names)
    for n in range(2):
        assert abs(levels(Image.open(f"{n}.png")) - levels(names["translation"])).max() <= 1


def test_test_py_leads_to_translate_py(made, capsys):
    run_test("--name", made("pix", "pt2"), "--dataroot", "photos", expect=2)
    assert "translate.py takes it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "suffix"), [(b"", "onnx"), (b"no", "pt2"), (b"\x3a\xff\x7f", "onnx")]
)
def test_a_damaged_file_is_one_line(content, suffix, tmp_path):
    file = tmp_path / f"x.{suffix}"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.\w+: not an export .* write it anew"):
        Translator.load(file, device="cpu")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["nothere", "--format", "pt2"], "runs there: colours, cycle, pix"),
        (["cycle", "--format", "tflite"], "onnx"),
        (["cycle", "--format", "pt2", "-o", "x.onnx"], "ends in .pt2"),
        (["cycle", "--format", "pt2", "-o", "not/there.pt2"], "there is no folder not"),
        (["cycle", "--format", "hub", "-o", "photos"], "there already"),
        (["cycle", "--format", "pt2", "--images", "nowhere"], "--images nowhere"),
        (["cycle", "--format", "pt2", "--int8"], "--format onnx"),
        (["cycle", "--format", "pt2", "--epoch", "7"], "7"),
    ],
)
def test_wrong_calls_are_one_line(argv, told, capsys):
    export(*argv, expect=2)
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_package_is_told_with_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    export("cycle", "--format", "onnx", expect=2)
    assert "pip install -r requirements-export.txt" in capsys.readouterr().err


def test_pictures_are_those_of_the_data_or_generated_and_that_is_said():
    def of(root, direction):
        opt = argparse.Namespace(trained={"dataroot": root}, direction=direction)
        return examples.Examples.of(None, opt)

    assert of("sets", "BtoA").where == "sets/testB"
    assert (of("pairs", "BtoA").where, of("pairs", "BtoA").half) == ("pairs/test", 1)
    assert "generated pictures" in of("gone", "AtoB").where
    assert examples.generated(1, 3).size == (400, 300)


@needs_onnx
def test_8_bits_are_kept_if_they_gain_or_are_wanted(tmp_path, made, monkeypatch, capsys):
    module, out = script("scripts/export.py"), tmp_path / "x.onnx"
    out.write_bytes(made("cycle", "onnx", "--direction", "BtoA").read_bytes())
    translator = Translator.load("checkpoints/cycle", device="cpu", direction="BtoA")
    shown = examples.Examples.of("photos", translator.opt)
    with monkeypatch.context() as patch:
        patch.setattr(int8, "compare", lambda *given: int8.Gain(0.9, 31.5))
        with pytest.raises(UserError, match="not faster") as refused:
            module.int8_beside(translator, out, shown, keep=False)
        assert refused.value.exit_code == 1 and list(tmp_path.iterdir()) == [out]
    module.int8_beside(translator, out, shown, keep=True)
    assert "dB (PSNR)" in capsys.readouterr().out
    translated = Translator.load(tmp_path / "x_int8.onnx", device="cpu")(Image.open("odd.png"))
    assert translated.size == (45, 37)


@pytest.mark.parametrize(("run", "flags"), [("cycle", ["--direction", "BtoA"]), ("colours", [])])
def test_a_hubs_folder_is_the_network_with_a_card(run, flags, tmp_path, capsys):
    results = Path(f"results/{run}/test_latest")
    results.mkdir(parents=True)
    (results / "metrics.jsonl").write_text('{"stem": "0", "l1": 4}\n{"stem": "1", "l1": 6}\n')
    out = tmp_path / "made"
    export(run, "--format", "hub", *flags, "--license", "mit", "-o", out)
    assert f"hf upload USER/made {out}" in capsys.readouterr().out
    assert {file.name for file in out.iterdir()} == {
        "config.json", "model.safetensors", "README.md", "samples"}  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["made"]
    image = Image.open("odd.png")
    of_test = {"direction": "BtoA"} if flags else {}
    there = Translator.load(f"checkpoints/{run}", device="cpu", **of_test)(image)
    assert (levels(Translator.load(out, device="cpu")(image)) == levels(there)).all()
    card = (out / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "mit" and head["pipeline_tag"] == "image-to-image"
    assert "| l1 | 5 (4 to 6), 2 images |" in card and "samples/2.png" in card
    assert all((out / name).is_file() for name in re.findall(r"!\[.*?\]\((.*?)\)", card))
    facts = read_facts(out)
    assert "dataroot" not in facts["options"]
    assert facts["direction"] == ("BtoA" if flags else "AtoB")


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *told):
        pass


@pytest.fixture
def server(tmp_path):
    """An address at which a folder's files are."""
    handler = functools.partial(_Files, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@needs_onnx
@needs_browser
@pytest.mark.skipif(NPM is None, reason="npm install onnxruntime-web")
def test_a_page_gives_the_networks_picture_in_a_browser(tmp_path, made, server):
    out = tmp_path / "x.onnx"
    shutil.copy(made("cycle", "onnx", "--direction", "BtoA"), out)
    script("scripts/export.py").page_beside(out, page.runtime_folder(NPM), 3)
    picture = Path("odd.png").absolute()
    shutil.copy(picture, tmp_path / "x_page")
    example = (ROOT / "docs/deploy.md").read_text().split("```js\n")[1].split("```")[0]
    (tmp_path / "x_page/own.html").write_text(OWN_PAGE + example + "document.title='done'</script>")
    with open_page(f"{server}/x_page/index.html") as shown:
        shown.set_input_files("#file", picture)
        shown.wait_for_function("document.getElementById('told').textContent.includes(' px in ')")
        address = shown.get_attribute("#save", "href")
        shown.set_input_files("#file", {"name": "bad.png", "mimeType": "", "buffer": b"no image"})
        shown.wait_for_function("document.getElementById('told').textContent[0] === 'b'")
        shown.wait_for_function("!document.getElementById('told').textContent.includes('...')")
        assert "bad.png: " in shown.inner_text("#told")
        assert not shown.errors
        shown.goto(f"{server}/x_page/own.html")
        shown.wait_for_function("document.title === 'done'")
        own = shown.evaluate("canvas.toDataURL()")
        assert not shown.errors
        assert all(asked.startswith((server, "data:")) for asked in shown.requests)
    expected = levels(Translator.load(out, device="cpu")(Image.open(picture)))
    for content in (address, own):
        file = io.BytesIO(base64.b64decode(content.partition(",")[2]))
        assert abs(levels(Image.open(file).convert("RGB")) - expected).max() <= 1


def test_a_page_without_its_runtime_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "check_packages", lambda *names: None)
    out = tmp_path / "x.onnx"
    export("cycle", "--format", "onnx", "--page", tmp_path, "-o", out, expect=2)
    assert "npm install onnxruntime-web" in capsys.readouterr().err
    export("cycle", "--format", "onnx", "--page", "--float", "-o", out, expect=2)
    assert "leave --float out" in capsys.readouterr().err
    (tmp_path / "x_page").mkdir()
    export("cycle", "--format", "onnx", "--page", "-o", out, expect=2)
    assert "x_page is there already" in capsys.readouterr().err


class _Blended(torch.nn.Module):
    def forward(self, image, blend):
        return image * blend[:, :1, None, None] + blend[:, 1:, None, None]


def test_a_blend_of_styles_is_in_the_file(tmp_path):
    """As `StyleModel.one_network` gives it: an option of the network, and a cut at the end."""
    around = Around(_Blended(), {"blend": torch.tensor([[2.0, -0.5]])}, lambda _, x: x.clamp(-1, 1))
    program = files.taken_down(PictureNet(around, (1, 1)), 3)
    files.write_pt2(program, tmp_path / "x.pt2", {})
    pictures = np.stack([levels(photo(n, (9, 7))).astype(np.uint8) for n in range(3)])
    expected = np.clip((pictures / 127.5 - 1) * 2 - 0.5, -1, 1)
    found = files.opened(tmp_path / "x.pt2").run(pictures)[1] * 2 - 1
    assert abs(found - expected).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["batch", "instance", "syncbatch", "none"])
@pytest.mark.parametrize("netG", ["resnet_6blocks", "unet_128", "unet_256", "style_net"])
def test_every_generator_and_norm(netG, norm, kind, tmp_path):
    if netG == "style_net" and norm != "instance":
        pytest.skip("has norms of its own")
    torch.manual_seed(0)
    net = define_G(3, 3, 8, netG, norm, True)
    for eval_mode in (False, True):
        set_test_mode([net], eval_mode)
        around = PictureNet(Around(exportable(net)), GENERATORS[netG].sides)
        make = files.write_onnx if kind == "onnx" else files.write_pt2
        make(files.taken_down(around, 3), tmp_path / f"x.{kind}", {})
        file = files.opened(tmp_path / f"x.{kind}")
        for count, size in ((1, (70, 41)), (3, (64, 64)), (2, (300, 129))):
            pictures = np.stack([levels(photo(n, size)).astype(np.uint8) for n in range(count)])
            with torch.no_grad():
                expected = around(torch.from_numpy(pictures))[1].numpy()
            assert abs(file.run(pictures)[1] - expected).max() < 1e-4
