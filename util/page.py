"""What pages of pictures share: what a row stands for, and the policy that keeps them offline."""

import base64
import hashlib
from typing import NamedTuple

CLOSING = "</main></body></html>\n"
# Nothing is loaded from outside, and no script runs, whatever a file is called.
POLICY = "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'"


class PageRow(NamedTuple):
    """A row of pictures: its number never falls; its pictures' files begin with the stem."""

    number: int
    heading: str
    file_stem: str


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
    return text.encode("utf-8", "replace")


def only_script(code: str) -> str:
    """The source of a Content-Security-Policy that lets this inline script run, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
