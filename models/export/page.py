"""A page that runs an .onnx file in a browser, with onnxruntime-web beside it."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from util import html as pages
from util.errors import UserError

WHERE = Path("node_modules", "onnxruntime-web", "dist")  # npm puts it there
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "img-src 'self' data:; style-src 'unsafe-inline'"
)
STYLE = pages.STYLE + (
    "body{max-width:70rem;margin:2rem auto;padding:0 1rem}canvas{max-width:100%;height:auto}"
    "#pictures{display:flex;flex-wrap:wrap;gap:1rem}#pictures[hidden]{display:none}"
    "figure{margin:0;flex:1 1 20rem}#most{width:6em}"
)
BODY = """<main><h1>{run}</h1>
<p><label>Picture: <input type="file" id="file" accept="image/*"></label> (or drop one here)
<label>longest side at most <input id="most" type="number" value="1024" min="1"> px</label></p>
<p id="told" role="status">loading model.onnx ...</p>
<div id="pictures" hidden>
<figure><canvas id="before"></canvas><figcaption>before</figcaption></figure>
<figure><canvas id="after"></canvas><figcaption>after · <a id="save">save</a></figcaption></figure>
</div>
<p>epoch {epoch}, {direction}; licence: {license}. Pictures stay on this machine.</p>
</main><script type="module" src="page.js"></script></body></html>
"""


def runtime_folder(given: Path | None) -> Path:
    """The folder of onnxruntime-web's files.

    Args:
        given: that folder, or the package's; None: where npm has put it below the present folder.

    Raises:
        UserError: they are not there.
    """
    folders = [given, given / "dist"] if given else [WHERE]
    for folder in folders:
        if all((folder / name).is_file() for name in RUNTIME):
            return folder
    raise UserError(
        f"--page {folders[0]}: no {RUNTIME[0]} there; give the folder of the npm package "
        "onnxruntime-web: npm install onnxruntime-web, then --page"
    )


def version_of(folder: Path) -> str:
    """Of onnxruntime-web, by its package; empty if that does not tell."""
    try:
        return str(json.loads((folder.parent / "package.json").read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def write(
    folder: Path, model: Path, runtime: Path, known: Mapping[str, str], channels: int
) -> None:  # fmt: skip
    """The page and all that it needs, into a folder that is there.

    Args:
        model: the .onnx file, of uint8.
        runtime: from `runtime_folder`.
        known: the export's facts.
        channels: of the pictures that it takes, 1 or 3.
    """
    told = {name: html.escape(known[name] or "none given")
            for name in ("run", "epoch", "direction", "license")}  # fmt: skip
    text = f'<!doctype html>\n<html lang="en"><head>\n{pages.head(STYLE, POLICY)}'
    text += '<link rel="icon" href="data:,">'  # else browsers ask for one
    text += f'<title>{told["run"]}</title></head>\n<body data-channels="{channels}">'
    (folder / "index.html").write_bytes(pages.to_bytes(text + BODY.format(**told)))
    shutil.copyfile(Path(__file__).with_name("page.js"), folder / "page.js")
    shutil.copyfile(model, folder / "model.onnx")
    (folder / "onnxruntime").mkdir()
    for name in RUNTIME:
        shutil.copyfile(runtime / name, folder / "onnxruntime" / name)
