"""The scripts and fonts of visdom's page, which its package lacks."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

from util import atomic
from util.errors import UserError, say

VERSION = "0.2.4"  # of visdom
DONE = "version.built"  # as visdom names the file that says that all are there
FONT = "glyphicons-halflings-regular"
MATHJAX = ("MathJax.js", "config/Safe.js", "config/TeX-AMS-MML_HTMLorMML.js", "extensions/Safe.js",
           "jax/output/SVG/fonts/TeX/fontdata.js", "jax/output/SVG/jax.js",
           "jax/output/SVG/fonts/TeX/Size1/Regular/Main.js",
           "jax/output/SVG/config.js")  # fmt: skip
# Package -> sha256 of its archive, {file in it -> file of the page}.
PACKAGES = {
    "jquery@3.1.1": (
        "1edfdafd71f26e2730a2029f5c4971598f55f57627fd17c3410914aed2293821",
        {"dist/jquery.min.js": "js/jquery.min.js"},
    ),
    "bootstrap@3.3.7": (
        "a9de9f9d74b46743821bda60e5f81233c7a2dc83ad4db60d0c0e396dc255fc2a",
        {
            "dist/js/bootstrap.min.js": "js/bootstrap.min.js",
            "dist/css/bootstrap.min.css": "css/bootstrap.min.css",
            **{
                f"dist/fonts/{FONT}.{kind}": f"fonts/{FONT}.{kind}"
                for kind in ("eot", "woff2", "woff", "ttf", "svg")
            },
        },
    ),
    "react@16.2.0": (
        "c0d1fc3e4157e03898012d3bd6360879a58f1178ab839859a15433aa60ed5499",
        {"umd/react.production.min.js": "js/react-react.min.js"},
    ),
    "react-dom@16.2.0": (
        "6596694ba625de26e265c4ae5b7a5f568022568573a05bbdb2659792bcc101b6",
        {"umd/react-dom.production.min.js": "js/react-dom.min.js"},
    ),
    "react-modal@3.1.10": (
        "d656a396f68e2a9b2329087840ea005e5da0408410dd8064e1c30ffeaa9d5133",
        {"dist/react-modal.min.js": "js/react-modal.min.js"},
    ),
    "plotly.js-dist-min@2.11.1": (
        "25f1ca783c4e71e01c96031fc85ab114aebf931ba563d250d1ec59421cb79113",
        {"plotly.min.js": "js/plotly-plotly.min.js"},
    ),
    "sjcl@1.0.7": (
        "9fe881f59d05151dd4e38e4eca65821e773f1f8a7eb01f6fdb819008b0ce544e",
        {"sjcl.js": "js/sjcl.js"},
    ),
    "layout-bin-packer@1.4.0": (
        "f5d72447b16e3a912c5001bbda3b7308dfc48749882c8ff4ce8fc0c265176f7a",
        {
            "dist/layout-bin-packer.js": "js/layout_bin_packer.js",
            "dist/layout-bin-packer.js.map": "js/layout-bin-packer.js.map",
        },
    ),
    "d3@3.5.17": (
        "da49ebf01f88a039c748eb4aa682fec45672f7c2abca3b363633b8f835065b35",
        {"d3.min.js": "js/d3.v3.min.js"},
    ),
    "d3-selection-multi@1.0.1": (
        "449fab3b22583c83882bb326857c0be04321cd087162ec1bfe872214bd0b9827",
        {"build/d3-selection-multi.js": "js/d3-selection-multi.v1.js"},
    ),
    "save-svg-as-png@1.4.17": (
        "639bdcaeb3e945de6282670b88a5d058605431aca7d6890661227c6f7cc3f55a",
        {"lib/saveSvgAsPng.js": "js/saveSvgAsPng.js"},
    ),
    "react-resizable@1.4.6": (
        "8855b10f7961dfce72bb032575769b40581a61aa716d0f5d426c4d5e184aa622",
        {"css/styles.css": "css/react-resizable-styles.css"},
    ),
    "react-grid-layout@0.16.3": (
        "b57981208742e5be47a4aa761194103d5c0e3ddd473d7fd8989c608dd9345550",
        {"css/styles.css": "css/react-grid-layout-styles.css"},
    ),
    "classnames@2.2.5": (
        "38c83d48c787e08af4e79e591bb4e3b519e84c492507b16d593a98f576ea8959",
        {"index.js": "fonts/classnames"},
    ),
    "mathjax@2.7.5": (
        "7fc8acc02a4930cdc59983ba4003686208af39fc855245fa8ae8d4b27fab781b",
        {file: f"js/mathjax/2.7.5/{file}" for file in MATHJAX},
    ),
}


def page_folder() -> Path:
    """The folder of the page's files: visdom's own if it is complete, else a copy in a cache.

    Raises:
        ImportError: visdom is not installed.
    """
    spec = find_spec("visdom")
    if spec is None:
        raise ImportError("No module named 'visdom'")
    own = Path(spec.origin).parent / "static"
    if (own / DONE).is_file():
        return own
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(caches) / "image-translation" / f"visdom-{VERSION}"
    shutil.copytree(own, folder, dirs_exist_ok=True)
    return folder


def fetch(folder: Path) -> None:
    """Fetch what is missing; says so, unless nothing is.

    Raises:
        UserError: npm is not there, fails, or brings something else.
    """
    if (folder / DONE).is_file():
        return
    later = "runs are recorded, and the page shows them when this has been done"
    if not (npm := shutil.which("npm")):
        raise UserError(
            "visdom's page needs scripts that its package lacks: install npm and type "
            f"`python -m util.visdom_server --fetch`; {later}"
        )
    say(f"fetching the scripts of visdom's page with npm into {folder} (26 MB, once)")
    with tempfile.TemporaryDirectory() as there:
        command = [npm, "pack", "--silent", "--ignore-scripts", "--fetch-retries=0", *PACKAGES]
        try:
            done = subprocess.run(command, cwd=there, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            raise UserError(f"npm did not end within five minutes; {later}") from None
        if done.returncode:
            why = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise UserError(f"npm failed: {why}; {later}")
        for package, (digest, files) in PACKAGES.items():
            _unpack(Path(there) / f"{package.replace('@', '-')}.tgz", digest, files, folder)
    atomic.write(folder / DONE, VERSION.encode())
    say("the page is complete")


def _unpack(archive: Path, digest: str, files: dict[str, str], folder: Path) -> None:
    """Take the files out of an archive whose content is as expected."""
    if hashlib.sha256(archive.read_bytes()).hexdigest() != digest:
        raise UserError(f"{archive.name}: not the file that was expected; nothing of it is used")
    with tarfile.open(archive) as tar:
        for member, place in files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(path, tar.extractfile(f"package/{member}").read())
