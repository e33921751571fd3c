"""What all pages share, and the reference's page, for scripts that say `from util import html`."""

import base64
import hashlib
from pathlib import Path
from urllib.parse import quote

import dominate
from dominate import tags
from dominate.util import raw

from util import atomic
from util.errors import readable

CLOSING = "</main></body></html>\n"
# Nothing is loaded from outside, and no script runs, whatever a file is called.
POLICY = "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'"
STYLE = """:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif}
table{table-layout:fixed;border-collapse:collapse}
td{border:1px solid #8884;padding:.25rem;overflow-wrap:anywhere;text-align:center;
vertical-align:top}
td p{margin:0}"""


def head(style: str, policy: str = POLICY) -> str:
    """What the head of a page begins with: encoding, width, what may be loaded, and the style."""
    return (
        '<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{style}</style>\n"
    )


def to_bytes(text: str) -> bytes:
    """UTF-8; bytes of file names that are not UTF-8 become question marks."""
    return readable(text).encode("utf-8", "replace")


def address(file: str | Path) -> str:
    """Of a file beside a page, as a link in it; a name may hold any bytes."""
    return quote(str(file).encode("utf-8", "surrogateescape"))


def only_script(code: str) -> str:
    """The source of a Content-Security-Policy that lets this inline script run, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


class HTML:
    """One page, web_dir/index.html, written by `save`; its pictures lie in web_dir/images.

    Args:
        web_dir: the folder; it is made.
        title: of the page.
        refresh: seconds after which an open page is read again; 0: never.
    """

    def __init__(self, web_dir: str | Path, title: str, refresh: int = 0) -> None:
        self.title, self.web_dir = title, Path(web_dir)
        self.img_dir = self.web_dir / "images"
        atomic.own_folder(self.img_dir)
        self.doc = dominate.document(title=title)
        self.doc.head.add(raw(head(STYLE)))
        if refresh > 0:
            self.doc.head.add(tags.meta(http_equiv="refresh", content=str(refresh)))

    def get_image_dir(self) -> Path:
        """Where the pictures belong."""
        return self.img_dir

    def add_header(self, text: str) -> None:
        """A heading above the pictures that follow."""
        self.doc.add(tags.h3(text))

    def add_images(
        self, ims: list[str], txts: list[str], links: list[str], width: int = 400
    ) -> None:
        """A row of pictures.

        Args:
            ims: their files, relative to the folder of pictures.
            txts: what stands below each.
            links: the file, relative to the same folder, that each leads to.
            width: px of a picture.
        """
        row = tags.tr()
        for image, text, link in zip(ims, txts, links, strict=True):
            source, target = address(f"images/{image}"), address(f"images/{link}")
            shown = tags.img(src=source, alt=text, style=f"width:{width}px")
            row.add(tags.td(tags.p(tags.a(shown, href=target), tags.br(), text)))
        self.doc.add(tags.table(row))

    def save(self) -> None:
        """Write the page as it now is."""
        atomic.write(self.web_dir / "index.html", to_bytes(self.doc.render()), durable=False)
