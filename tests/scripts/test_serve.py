"""scripts/serve.py: real runs, a real browser, and an end in the midst of work."""

import base64
import http.client
import io
import json
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.browser import open_page
from tests.helpers import ROOT, TINY, make_unaligned, needs_browser, photo, train
from tests.processes import Process
from translate import Translator

SLOW = """
import sys, time
import models.translation as translation
at_once = translation.translate_together
def slowly(model, samples, *rest):
    print("at work", flush=True)
    time.sleep(0.2)
    return at_once(model, samples, *rest)
translation.translate_together = slowly
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a run of two generators, and a photograph."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_unaligned(Path("sets"), count=1)
        train("--dataroot", "sets", "--name", "edges", "--model", "cycle_gan", *TINY, "--netG",
              "resnet_6blocks", "--n_epochs", 1, "--n_epochs_decay", 0, "--no_html",
              "--save_epoch_freq", 1)  # fmt: skip
        photo(3, (45, 37)).save("photo.png")
    return root


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.chdir(home)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["edgs"], "runs in it: edges; did you mean edges?"),
        (["sets"], "no weights of a generator in it"),
        (["edges", "checkpoints/edges"], "give each once"),
        (["edges", "--port", "70000"], "--port"),
        (["edges", "--queue", "0"], "--queue"),
        (["edges", "--max_mp", "-1"], "--max_mp"),
        (["edges", "--device", "abacus"], "--device abacus"),
        (["edges", "--host", "192.0.2.1"], "an address of this machine"),
        (["edges", "--prot", "1"], "did you mean --port?"),
        ([], "--help"),
    ],
)
def test_wrong_calls_are_one_line(words, told, capsys):
    pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")
    from scripts import serve

    assert serve.main(words) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1, err


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    from scripts import serve

    for name in [name for name in sys.modules if name.startswith("util.serving.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setitem(sys.modules, "starlette.requests", None)
    assert serve.main(["edges"]) == 2
    err = capsys.readouterr().err
    assert "pip install -r requirements-serve.txt" in err and err.count("\n") == 1


def test_a_signal_in_the_midst_loses_nothing(home):
    pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")
    process = Process(ROOT / "scripts/serve.py", "edges", "--port", 0, "--device", "cpu",
                      "--batch_size", 1, cwd=home, before=SLOW)  # fmt: skip
    process.wait_for("(Ctrl-C ends)")
    place = urlsplit(process.out.split("edges: ")[1].split()[0]).netloc
    content = Path("photo.png").read_bytes()

    def ask(_: int = 0) -> bytes:
        client = http.client.HTTPConnection(place)
        client.request("POST", "/translate", content, {"Content-Type": "image/png"})
        return client.getresponse().read()

    expected = ask()
    with ThreadPoolExecutor(3) as clients:
        answers = clients.map(ask, range(3))
        process.wait_for("at work\nat work\n")  # the second of them waits meanwhile
        other = http.client.HTTPConnection(place)
        other.request("GET", "/runs")
        assert other.getresponse().status == 200
        process.send_signal(signal.SIGTERM)
        assert list(answers) == [expected] * 3
    assert process.wait() == 143
    assert "SIGTERM: answering what has come" in process.err
    assert "stopped by SIGTERM" in process.out + process.err
    assert "Traceback" not in process.err
    with pytest.raises(OSError):
        ask()


@pytest.fixture
def server():
    """The run, served in this process."""
    pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")
    from scripts.served_runs import find_runs
    from tests.util.serving.serving import serving

    with serving(*find_runs(["edges"], Path("checkpoints"), {"device": "cpu"})) as server:
        yield server


def test_the_pictures_are_those_of_a_translator(server):
    client = http.client.HTTPConnection(*server.listener.getsockname())
    for epoch, direction in (("latest", "AtoB"), ("1", "BtoA")):
        client.request("POST", f"/translate?epoch={epoch}&direction={direction}",
                       Path("photo.png").read_bytes(), {"Content-Type": "image/png"})  # fmt: skip
        made = np.asarray(Image.open(io.BytesIO(client.getresponse().read())))
        translator = Translator.load("checkpoints/edges", epoch, direction, device="cpu")
        assert (made == np.asarray(translator(Image.open("photo.png")))).all()
    client.request("GET", "/runs")
    (run,) = json.loads(client.getresponse().read())["runs"]
    assert run == {"name": "edges", "epochs": ["latest", "1"], "directions": ["AtoB", "BtoA"],
                   "model": "cycle_gan", "drawn": True, "size": 64}  # fmt: skip


DROP = """text => {
  const data = new DataTransfer();
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  data.items.add(new File([bytes], "photo.png", { type: "image/png" }));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.querySelector("main").dispatchEvent(
      new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
INK = """() => { const canvas = document.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((level, i) => i % 4 === 0 && level < 128).length }"""
CUT = "() => document.querySelector('.stage').style.getPropertyValue('--cut')"
SHOWN = """() => [...document.querySelectorAll(".stage img")].map(
  (image) => [image.alt, image.naturalWidth, image.naturalHeight])"""


def translated(page, text: str) -> None:
    page.wait_for_selector(f"#status:not(.busy):has-text('{text}')")


@needs_browser
def test_a_photograph_is_dropped_compared_and_downloaded(server, tmp_path):
    with open_page(server.address) as page:
        page.wait_for_selector("#tab-drawing[aria-selected=true]")  # as its name suggests
        page.evaluate(DROP, base64.b64encode(Path("photo.png").read_bytes()).decode())
        translated(page, "edges, epoch latest: 45 x 37 px")
        assert page.evaluate(SHOWN) == [["before", 45, 37], ["after", 45, 37]]
        assert page.evaluate(CUT) == "50"
        page.focus("#knife")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(CUT) == "50.5"
        box = page.locator(".stage").bounding_box()
        page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 5)
        assert abs(float(page.evaluate(CUT)) - 80) < 1
        with page.expect_download() as download:
            page.click("#download")
        assert download.value.suggested_filename == "photo_edges.png"
        download.value.save_as(tmp_path / "made.png")
        page.select_option("#direction", "BtoA")  # the same image, the other way
        translated(page, "45 x 37 px")
        page.set_input_files("#file", "sets/trainA/0.png")
        translated(page, "48 x 48 px")
        assert not page.errors
        assert all(url.startswith((server.address, "blob:", "data:")) for url in page.requests)
        page.set_input_files("#file", {"name": "x.png", "mimeType": "", "buffer": b"no image"})
        page.wait_for_selector("#fault:has-text('no known format')")
    expected = Translator.load("checkpoints/edges", device="cpu")(Image.open("photo.png"))
    assert (np.asarray(Image.open(tmp_path / "made.png")) == np.asarray(expected)).all()


@needs_browser
def test_a_drawing_is_made_by_pointer_and_keyboard_and_translated(server):
    with open_page(server.address, 480, 900, dark=True) as page:
        page.wait_for_selector("#undo")
        box = page.locator("canvas").bounding_box()
        at = [
            (box["x"] + part * box["width"], box["y"] + part * box["height"]) for part in (0.2, 0.6)
        ]
        page.mouse.move(*at[0])
        page.mouse.down()
        page.mouse.move(*at[1])
        page.mouse.up()
        drawn = page.evaluate(INK)
        assert drawn > 20
        page.click("#rubber")
        page.mouse.move(*at[0])
        page.mouse.down()
        page.mouse.move(*at[1])
        page.mouse.up()
        assert page.evaluate(INK) < drawn / 3
        page.click("#undo")
        assert page.evaluate(INK) == drawn
        page.click("#clear")
        assert page.evaluate(INK) == 0 and page.is_disabled("#undo")
        page.click("#pen")
        page.focus("canvas")
        for key in ("Space", *["Shift+ArrowRight"] * 2, "Space", "ArrowDown"):
            page.keyboard.press(key)
        assert page.evaluate(INK) >= 20
        page.keyboard.press("Enter")
        translated(page, "64 x 64 px")
        assert [alt for alt, *_ in page.evaluate(SHOWN)] == ["before", "after"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 480
        assert not page.errors
