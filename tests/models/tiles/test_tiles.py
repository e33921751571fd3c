"""Networks in tiles give what they give on the whole image."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from models import networks
from models.compute.configure import configure, image_noise, set_test_mode, undo
from models.generators import GENERATORS
from models.tiles.form import Tiling, tile_networks
from models.tiles.plan import Planner, Room
from models.tiles.record import CannotTile, record
from models.tiles.store import Store
from models.tiles.sweep import TiledForward, TileRules
from tests.helpers import TINY, make_aligned, test, train
from util.errors import UserError

CPU = torch.device("cpu")
LEVEL = 2 / 255  # of an 8-bit picture, in [-1, 1]


def smooth_image(height: int, width: int, channels: int = 3) -> torch.Tensor:
    """(1, C, H, W) in [-1, 1], with large shapes in it as photographs have."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, channels, height // 16 + 2, width // 16 + 2, generator=generator)
    return F.interpolate(2 * coarse - 1, (height, width), mode="bicubic").clamp(-1, 1)


def difference(net: nn.Module, image: torch.Tensor, tiling: Tiling, **options) -> float:
    """The largest difference that tiles make, in levels of an 8-bit picture."""
    with torch.inference_mode(), image_noise([net], CPU) as noise:
        noise.seed([5])
        whole = net(image, **options)
        tile_networks([net], tiling)
        noise.seed([5])
        in_tiles = net(image, **options)
        undo(net, "tiles")
    assert in_tiles.shape == whole.shape
    return float((in_tiles - whole).abs().max() / LEVEL)


@pytest.mark.parametrize("eval_mode", [False, True])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("netG", GENERATORS.data)
def test_tiles_are_exact_for_every_generator_and_norm(netG, norm, eval_mode):
    if GENERATORS[netG].norms and norm not in GENERATORS[netG].norms:
        pytest.skip("it has norms of its own")
    torch.manual_seed(0)
    net = networks.define_G(3, 3, 4, netG, norm, True, "normal", 0.1)
    configure(net, CPU)
    set_test_mode([net], eval_mode)
    multiple = GENERATORS[netG].size_multiple
    image = smooth_image(-(-150 // multiple) * multiple, -(-90 // multiple) * multiple)
    assert difference(net, image, Tiling(side=64)) < 0.05


@pytest.mark.parametrize(
    "rules",
    [
        TileRules(side=48, memory=1, disk=0),
        TileRules(side=48, memory=1),
        TileRules(side=40, memory=1, dtype=torch.bfloat16),
    ],
    ids=["nothing kept", "scratch files", "scratch files in bf16"],
)
def test_where_values_are_kept_changes_nothing(rules, tmp_path):
    torch.manual_seed(0)
    net = networks.define_G(3, 3, 4, "resnet_6blocks", "instance", False, "normal", 0.1)
    image = smooth_image(100, 132)
    rules = replace(rules, folder=str(tmp_path))
    program = record(net, tuple(image.shape))
    output = torch.empty(program.shape(program.output))

    def sink(region, tile):
        output[..., region.top : region.bottom, region.left : region.right] = tile

    def source(region):
        return image[..., region.top : region.bottom, region.left : region.right]

    with torch.inference_mode():
        TiledForward(program, source, CPU, rules).run(sink)
        whole = net(image)
    allowed = 0.05 if rules.dtype == torch.float32 else 12
    assert float((output - whole).abs().max() / LEVEL) < allowed
    assert not list(tmp_path.iterdir()), "scratch files are gone"


class ManyLayers(nn.Module):
    """Of all that a generator may be made of and that parts of an image decide."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, padding=2, padding_mode="replicate")
        self.wide = nn.Conv2d(8, 8, 3, padding="same", dilation=3, groups=4)
        self.down = nn.Conv2d(8, 16, 4, stride=2, padding=1)
        self.norm = nn.InstanceNorm2d(16, affine=True)
        self.groups = nn.GroupNorm(2, 8)
        self.slope = nn.PReLU(16)
        self.last = nn.ConvTranspose2d(12, 3, 3, stride=2, padding=1, output_padding=1)
        self.scale = nn.Parameter(torch.rand(8, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.leaky_relu_(self.first(F.pad(image, (1, 2, 3, 0))[..., 3:, 1:-2]), 0.1)
        x = self.groups(x) + self.scale * self.wide(x).clamp(-2, 2)
        down = self.slope(self.norm(self.down(x)))
        small = F.pixel_shuffle(F.avg_pool2d(down, 2), 2)  # 4 channels, half the size
        up = F.interpolate(F.max_pool2d(x, 4, 4), scale_factor=2, mode="nearest")
        return 1 - torch.tanh(self.last(torch.cat([small, up], dim=1)))


def test_a_generator_of_ones_own_needs_no_more_than_local_layers():
    torch.manual_seed(0)
    assert difference(ManyLayers().eval(), smooth_image(104, 64), Tiling(side=24)) < 0.01


class Attention(nn.Module):
    """Where each pixel looks at all others."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = image.flatten(2)
        weights = (pixels.transpose(1, 2) @ pixels).softmax(-1)
        return (pixels @ weights).view(image.shape)


class Pooling(nn.Module):
    """Each channel times its mean."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * F.adaptive_avg_pool2d(image, 1)


class Reshaped(nn.Module):
    """Pixels that become channels by hand."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        n, c, h, w = image.shape
        return image.view(n, c, h // 2, 2, w // 2, 2).mean((3, 5))


class Decided(nn.Module):
    """What is computed hangs on the values."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image / float(image.abs().max())


@pytest.mark.parametrize(
    ("net", "what"),
    [(Attention(), "'flatten'"), (Pooling(), "'adaptive_avg_pool2d'"), (Reshaped(), "'view'"),
     (Decided(), "'max'")], ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_reaches_over_the_whole_image_is_refused_in_one_line(net, what):
    name, image = type(net).__name__, smooth_image(64, 64)
    with pytest.raises(CannotTile, match=rf"^{name} computes {what}.*--tile off"):
        record(net, (1, 3, 64, 64))
    with torch.inference_mode():
        whole = net(image)
        tile_networks([net], Tiling(memory=2**30))
        assert torch.equal(net(image), whole), "where it fits as a whole nothing is refused"
        for tiling in (Tiling(side=32), Tiling(memory=2**10)):
            tile_networks([net], tiling)
            with pytest.raises(CannotTile, match=rf"{name} computes {what}.*--tile"):
                net(image)


def test_a_scratch_file_has_no_name_and_its_room_is_taken_before_the_work(tmp_path, monkeypatch):
    store = Store((1, 4, 64, 64), torch.float32, CPU, str(tmp_path))
    assert not list(tmp_path.iterdir()), "whatever ends the process, nothing is left"
    if hasattr(os, "posix_fallocate"):
        assert os.fstat(store.file.fileno()).st_size == 4 * 4 * 64 * 64
    store.close()

    def refuse(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    with pytest.raises(UserError, match=r"No space left on device.*--tile_precision bf16"):
        Store((1, 4, 64, 64), torch.float32, CPU, str(tmp_path))
    with pytest.raises(UserError, match="no such folder"):
        Tiling.of({"tile": "auto", "tile_scratch": str(tmp_path / "none"), "tile_memory": 0})


def test_what_is_cheap_is_computed_again_and_little_room_is_told(tmp_path, capsys):
    net = networks.define_G(3, 3, 16, "resnet_6blocks", "instance", False, "normal", 0.02)
    program = record(net, (1, 3, 2048, 2048))
    planners = [
        Planner(program, (), Room(2**24, disk, torch.float32)) for disk in (2**40, 2**27, 0)
    ]
    best = [planner.best() for planner in planners]
    kept = [planner.kept_bytes(sweeps) for planner, sweeps in zip(planners, best, strict=True)]
    work = [planner.work(sweeps, 0) for planner, sweeps in zip(planners, best, strict=True)]
    everything = planners[0].kept_bytes(planners[0].sweeps(planners[0].useful))
    assert kept[0] < everything and kept[1] <= 2**27 + 2**23 and kept[2] <= 2**23
    assert work[0] < work[1] < work[2]
    rules = TileRules(memory=2**24, disk=0, folder=str(tmp_path))
    forward = TiledForward(program, lambda region: None, CPU, rules)
    forward._tell_of_room(forward.planner.best())
    assert "--tile_scratch" in capsys.readouterr().err


def test_approximate_statistics_take_one_sweep_and_are_near():
    torch.manual_seed(0)
    net = networks.define_G(3, 3, 4, "resnet_6blocks", "instance", False, "normal", 0.02)
    image = smooth_image(256, 640)
    assert 0.05 < difference(net, image, Tiling(side=128, approximate=True)) < 40


def test_memory_decides_whether_there_are_tiles_and_how_large_they_are():
    net = networks.define_G(3, 3, 16, "resnet_6blocks", "instance", False, "normal", 0.02)
    program = record(net, (1, 3, 1024, 1024))
    sides = []
    for memory in (2**27, 2**30):
        forward = TiledForward(program, lambda region: None, CPU, TileRules(memory=memory))
        sweep = forward.planner.best()[0]
        first = next(forward.tiles(sweep))
        sides.append(first.bottom - first.top)
    assert 64 <= sides[0] < sides[1] <= 1024


def test_test_py_writes_the_same_pictures_in_tiles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_aligned(Path("data"), count=2)
    epochs = ["--n_epochs", "1", "--n_epochs_decay", "0"]
    small = [*TINY, "--netG", "resnet_6blocks", "--no_html"]
    train("--dataroot", "data", "--name", "run", "--model", "pix2pix", *small, *epochs)
    found = {}
    for tile in ("off", "24"):
        test("--dataroot", "data", "--name", "run", "--preprocess", "none", "--tile", tile,
             "--results_dir", f"results_{tile}", "--device", "cpu")  # fmt: skip
        files = sorted(Path(f"results_{tile}").rglob("*_fake_B.png"))
        found[tile] = [np.asarray(Image.open(file)).astype(int) for file in files]
    assert len(found["off"]) == len(found["24"]) == 2
    for whole, in_tiles in zip(*found.values(), strict=True):
        assert np.abs(whole - in_tiles).max() <= 1
