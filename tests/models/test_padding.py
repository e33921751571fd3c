"""Any size goes through a network that wants multiples, and comes back as it was."""

import pytest
import torch

from models.padding import cut_back, pad_batch, reflect


@pytest.mark.parametrize("size", [(1, 1), (4, 7), (13, 31), (97, 3), (256, 256), (300, 200)])
@pytest.mark.parametrize("sides", [(4, 8), (128, 128), (256, 256), (1, 8)])
def test_padded_and_cut_back_is_the_image(size, sides):
    images = torch.rand(2, 3, *size)
    padded, boxes = pad_batch({"A": images, "A_paths": ["x", "y"]}, *sides)
    height, width = padded["A"].shape[-2:]
    assert height % sides[0] == width % sides[0] == 0 and min(height, width) >= sides[1]
    assert height - size[0] < max(sides) and width - size[1] < max(sides)  # no more than needed
    assert torch.equal(cut_back(padded["A"], boxes), images)
    assert padded["A_paths"] == ["x", "y"]


def test_what_fits_is_left_alone():
    images = torch.rand(1, 3, 32, 64)
    padded, boxes = pad_batch({"A": images}, 4, 8)
    assert padded["A"] is images and not boxes


def test_edges_are_mirrored_without_repeating_the_edge():
    row = torch.arange(4.0).view(1, 1, 1, 4)
    assert reflect(row, (1, 8))[0, 0, 0].tolist() == [2, 1, 0, 1, 2, 3, 2, 1]
    assert reflect(row[..., :2], (1, 7))[0, 0, 0].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert reflect(row[..., 3:], (1, 4))[0, 0, 0].tolist() == [3, 3, 3, 3]


def test_pairs_of_two_sizes_are_told_apart():
    A, B = torch.rand(1, 3, 30, 30), torch.rand(1, 3, 29, 31)
    padded, boxes = pad_batch({"A": A, "B": B}, 16, 16)
    assert torch.equal(cut_back(padded["A"], boxes), A)
    assert torch.equal(cut_back(padded["B"], boxes), B)
