"""3x3 convolutions with a quarter of the multiplications, for float32 on a CPU.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016, section 4): 6x6 px of the input give
4x4 px of the output. With the points 0, 1, -1, 1/2, -2 (Barabasz et al. 2020) the rounding error
is about twice that of the direct sum.
"""

import torch
from torch.nn import functional as F

OUT, IN = 4, 6  # px of a tile's side
MOST_TILES = 1024  # at once: bounds the memory of large images

_OUTPUT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 1 / 2, -2, 0], [0, 1, 1, 1 / 4, 4, 0],
           [0, 1, -1, 1 / 8, -8, 1]]  # fmt: skip
_WEIGHT = [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [-1 / 3, 1 / 3, -1 / 3],
           [-16 / 15, -8 / 15, -4 / 15], [1 / 15, -2 / 15, 4 / 15], [0, 0, 1]]  # fmt: skip
_INPUT = [[1, -3 / 2, -2, 3 / 2, 1, 0], [0, -1, 1 / 2, 5 / 2, 1, 0],
          [0, 1, -5 / 2, 1 / 2, 1, 0], [0, -2, -1, 2, 1, 0],
          [0, 1 / 2, -1, -1 / 2, 1, 0], [0, 1, -3 / 2, -2, 3 / 2, 1]]  # fmt: skip


def _both_ways(matrix: list[list[float]]) -> torch.Tensor:
    """The transform of flattened squares: along rows and along columns."""
    m = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(m, m).float()


TO_OUTPUT = _both_ways(_OUTPUT)  # (16, 36)
FROM_WEIGHT = _both_ways(_WEIGHT)  # (36, 9)
FROM_INPUT = _both_ways(_INPUT)  # (36, 36)


def conv3x3(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, padding: tuple[int, int]
) -> torch.Tensor:
    """F.conv2d of stride 1 for (N, C, H, W) float32 images and a weight (K, C, 3, 3); the result
    is channels_last."""
    height, width = (s + 2 * p - 2 for s, p in zip(x.shape[2:], padding, strict=True))
    rest_y, rest_x = -height % OUT, -width % OUT
    around = (padding[1], padding[1] + rest_x, padding[0], padding[0] + rest_y)
    x = F.pad(x, around) if any(around) else x
    x = x.contiguous(memory_format=torch.channels_last)
    out = _Conv.apply(x, weight, bias)
    return out[:, :, :height, :width] if rest_y or rest_x else out


def _squares(image: torch.Tensor, rows: range, side: int) -> torch.Tensor:
    """A view (side, side, N, tile rows, tile columns, C) of channels_last images (N, C, H, W):
    squares that begin at every fourth px, of some rows of tiles."""
    n, channels, _, width = image.shape
    columns = (width - side) // OUT + 1
    by_n, by_c, by_y, by_x = image.stride()
    shape = (side, side, n, len(rows), columns, channels)
    stride = (by_y, by_x, by_n, OUT * by_y, OUT * by_x, by_c)
    return image.as_strided(shape, stride, image.storage_offset() + rows.start * OUT * by_y)


def _transformed(matrix: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
    """(36, tiles, C): each square, as a vector, times the matrix."""
    channels = squares.shape[-1]
    flat = squares.reshape(matrix.shape[1], -1)
    return (matrix @ flat).view(matrix.shape[0], -1, channels)


def _chunks(out_shape: torch.Size) -> list[range]:
    """Rows of tiles that are worked on at once."""
    n, _, height, width = out_shape
    step = max(1, MOST_TILES // (n * (width // OUT)))
    rows = range(height // OUT)
    return [rows[start : start + step] for start in rows[::step]]


class _Conv(torch.autograd.Function):
    """On channels_last images whose output sides are multiples of 4."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        n, height, width, nc = x.shape[0], x.shape[2] - 2, x.shape[3] - 2, weight.shape[0]
        out = torch.empty_strided(
            (n, nc, height, width), (height * width * nc, 1, width * nc, nc), dtype=x.dtype
        )
        filters = _filters(weight)
        for rows in _chunks(out.shape):
            tiles = _transformed(FROM_INPUT, _squares(x, rows, IN))
            products = torch.bmm(tiles, filters)  # (36, tiles, K)
            target = _squares(out, rows, OUT)
            result = (TO_OUTPUT @ products.flatten(1)).view(target.shape)
            target.copy_(result) if bias is None else torch.add(result, bias, out=target)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: torch's has one
            wanted = list(ctx.needs_input_grad)
            args = ([weight.shape[0]], [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
            return torch.ops.aten.convolution_backward(grad, x, weight, *args, wanted)
        to_x, to_weight, to_bias = ctx.needs_input_grad
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = torch.zeros_like(x) if to_x else None
        by_filter = 0
        filters = _filters(weight).transpose(1, 2) if to_x else None
        for rows in _chunks(grad.shape):
            products = _transformed(TO_OUTPUT.T, _squares(grad, rows, OUT))
            if to_weight:
                tiles = _transformed(FROM_INPUT, _squares(x, rows, IN))
                by_filter = by_filter + torch.bmm(tiles.transpose(1, 2), products)
            if to_x:
                _add_squares(grad_x, rows, FROM_INPUT.T @ torch.bmm(products, filters).flatten(1))
        return (
            grad_x,
            _to_weight(by_filter, weight) if to_weight else None,
            (grad.sum((0, 2, 3)) if to_bias else None),
        )


def _filters(weight: torch.Tensor) -> torch.Tensor:
    """(36, C, K) of a weight (K, C, 3, 3)."""
    nc_out, nc_in = weight.shape[:2]
    return (FROM_WEIGHT @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(-1, nc_in, nc_out)


def _to_weight(by_filter: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The gradient for the weight from that for its `_filters`."""
    nc_out, nc_in = weight.shape[:2]
    return (FROM_WEIGHT.T @ by_filter.flatten(1)).view(3, 3, nc_in, nc_out).permute(3, 2, 0, 1)


def _add_squares(image: torch.Tensor, rows: range, squares: torch.Tensor) -> None:
    """Add (36, tiles * C) to the overlapping squares that they came from: in four parts, each of
    which overlaps with nothing."""
    target = _squares(image, rows, IN)
    squares = squares.view(target.shape)
    for y in (slice(0, OUT), slice(OUT, IN)):
        for x in (slice(0, OUT), slice(OUT, IN)):
            target[y, x].add_(squares[y, x])
