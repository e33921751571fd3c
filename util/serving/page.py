"""The page on which networks are tried."""

import functools
from pathlib import Path

from util.html import head, only_script
from util.results.gallery import with_shared

ASSETS = Path(__file__).with_name("assets")
CODE = "\n".join(
    [with_shared(ASSETS / "drawing.js"), (ASSETS / "serve.js").read_text(encoding="utf-8")]
)
# Nothing comes from elsewhere; pictures are those that the script itself is given.
POLICY = (
    f"default-src 'none'; script-src {only_script(CODE)}; style-src 'unsafe-inline'; "
    "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


@functools.cache
def page() -> str:
    """One file that needs nothing else; what is served it asks for itself."""
    style = with_shared(ASSETS / "serve.css")
    body = (ASSETS / "serve.html").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head(style, POLICY)}'
        f'<link rel="icon" href="data:,">\n<title>Translate images</title></head>\n'
        f"{body.rstrip()}\n<script>{CODE}</script>\n</body></html>\n"
    )
