"""Folders that this framework has written, known by what is in them, whatever they are called: left
out where images are looked for, or results would be translated and trained on again.

The reference implementation, and earlier versions, wrote the same files into the same layout.
"""

import os
import re
from collections.abc import Collection

WEIGHTS = re.compile(r".+_net_.+\.(pth|safetensors)$")
CACHE_ENTRY = re.compile(r"[0-9a-f]{40}\.image\d*$")
VISUAL = re.compile(r"(?P<stem>.+)_(real|fake|rec|idt)(_[AB])?\.\w+$")
PAGES = (b"default-src 'none'", b"<title>Experiment")  # how ours, and the reference's, begin
PAGE_START = 4000  # bytes
WRITTEN = ("images", "pictures", "web")  # sub-folders of what is ours that hold its pictures


def own_output(folder: str, names: Collection[str]) -> str:
    """What a folder is if a program of ours has written it, e.g. "results of test.py"; else empty.

    Args:
        names: of what is in it.
    """
    if {"train_opt.txt", "train_opt.yaml"} & set(names) or any(map(WEIGHTS.match, names)):
        return "a run of train.py"
    if {"test_opt.txt", "test_opt.yaml"} & set(names):
        return "results of test.py"
    if "index.html" in names and _is_our_page(folder, names):
        return "a page of results"
    if os.path.basename(folder) == "images" and _sources_and_outputs(names):
        return "results of test.py"
    if any(map(CACHE_ENTRY.match, names)):
        return "a cache of images"
    return "a Python environment" if "pyvenv.cfg" in names else ""


def _is_our_page(folder: str, names: Collection[str]) -> bool:
    """Whether index.html is one of ours, by its first bytes or by its pictures."""
    page = os.path.join(folder, "index.html")
    if os.path.isfile(page):
        try:
            with open(page, "rb") as file:
                start = file.read(PAGE_START)
            if any(sign in start for sign in PAGES):
                return True
        except OSError:
            pass  # the pictures tell
    images = os.path.join(folder, "images")
    if "images" not in names or not os.path.isdir(images):
        return False
    return any(map(VISUAL.match, os.listdir(images)))


def _sources_and_outputs(names: Collection[str]) -> bool:
    """Whether there are an x_real_A.png and an x_fake_B.png, as a test writes them."""
    stems: dict[str, set[str]] = {"real": set(), "fake": set()}
    for found in map(VISUAL.match, names):
        if found and found[2] in stems and found[3]:
            stems[found[2]].add(found["stem"])
    return not stems["real"].isdisjoint(stems["fake"])
