"""Pictures as files: of any size, with small copies for pages."""

import numpy as np
import torch
from PIL import Image

from util.images import convert, write
from util.images.header import Header


def test_pages_show_a_small_copy_of_a_large_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "SHOWN_PX", 1000)
    monkeypatch.setattr(write, "SHOWN_SIDE", 20)
    image = torch.rand(1, 3, 40, 30) * 2 - 1
    how = (tmp_path / "out", Header((30, 40), 3), None, 1.0, None, tmp_path / "shown" / "out")
    shown = write.save_like(image, *how)
    assert shown == tmp_path / "shown" / "out.png" and Image.open(shown).size == (15, 20)
    assert Image.open(tmp_path / "out.png").size == (30, 40)
    assert write.save_like(image[..., :20, :], *how) == tmp_path / "out.png"


def test_levels_of_a_large_picture_are_made_strip_by_strip_and_are_the_same(monkeypatch):
    image = torch.rand(1, 3, 40, 30) * 2.4 - 1.2
    headers = [Header((30, 40), 3), Header((30, 40), 3, "uint16"), Header((30, 40), 3, "float32")]
    whole = [convert.levels_of(image, header) for header in headers]
    monkeypatch.setattr(convert, "STRIP_PX", 200)
    for header, expected in zip(headers, whole, strict=True):
        found = convert.levels_of(image, header)
        assert found.dtype == header.dtype and np.array_equal(found, expected)
