"""What every metric keeps, whichever file it is found in; and figures worked out by hand."""

import subprocess
import sys

import numpy as np
import pytest

from tests.helpers import environment
from util.errors import UserError
from util.metrics import registry
from util.metrics.base_metric import Metric
from util.metrics.flicker import Flicker
from util.metrics.l1_metric import L1Metric


def pictures(count: int, seed: int = 0, dtype: str = "uint8", side: int = 32) -> np.ndarray:
    """(count, side, side, 3) of random values."""
    values = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3))
    return values.astype(dtype)


@pytest.fixture(params=registry.names())
def metric(request) -> Metric:
    """Each metric that there is, as it begins."""
    return registry.find(request.param)()


def measured(metric: Metric, *batches: tuple[np.ndarray, np.ndarray]) -> float:
    for fake, real in batches:
        metric.update(fake, real)
    return metric.compute()


def test_it_says_what_it_needs_and_what_is_better(metric):
    assert metric.needs in ("pairs", "sets") and metric.better in ("higher", "lower")
    assert isinstance(metric.unit, str) and type(metric).__doc__


def test_equal_pictures_are_better_than_others(metric):
    real = pictures(4)
    noisy = np.clip(real.astype(int) + pictures(4, seed=1) // 4, 0, 255).astype(np.uint8)
    equal, other = (measured(type(metric)(), (fake, real)) for fake in (real, noisy))
    assert equal < other if metric.better == "lower" else equal > other


def test_batches_do_not_matter(metric):
    fake, real = pictures(6), pictures(6, seed=1)
    whole = measured(type(metric)(), (fake, real))
    empty = (fake[:0], real[:0])
    parts = measured(metric, (fake[:1], real[:1]), empty, (fake[1:], real[1:]))
    assert type(parts) is float and parts == pytest.approx(whole, rel=1e-9)


def test_asking_twice_changes_nothing(metric):
    fake, real = pictures(4), pictures(4, seed=1)
    assert measured(metric, (fake, real)) == metric.compute()


def test_its_inputs_are_left_as_they_were(metric):
    fake, real = pictures(2), pictures(2, seed=1)
    kept = fake.copy(), real.copy()
    measured(metric, (fake, real))
    assert (fake == kept[0]).all() and (real == kept[1]).all()


def test_what_cannot_be_measured_is_refused(metric):
    with pytest.raises(UserError, match="no pictures"):
        metric.compute()
    with pytest.raises(UserError, match=r"accepted: \(N, H, W, C\)"):
        metric.update(pictures(1)[0], pictures(1)[0])
    with pytest.raises(UserError, match="one depth"):
        metric.update(pictures(2), pictures(2, dtype="uint16"))
    if metric.needs == "pairs":
        with pytest.raises(UserError, match="a target of its own size"):
            metric.update(pictures(2), pictures(3))


def test_the_mean_absolute_error_by_hand():
    zeros, tens = np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), 10, np.uint8)
    assert measured(L1Metric(), (zeros, tens)) == measured(L1Metric(), (tens, zeros)) == 10
    high = np.full((1, 4, 4, 3), 65535, np.uint16)
    assert measured(L1Metric(), (np.zeros_like(high), high)) == 65535
    assert measured(L1Metric(), (zeros, tens), (zeros, zeros)) == 5
    floats = zeros.astype(np.float32)
    assert measured(L1Metric(), (floats + 1.5, floats)) == 1.5


def test_a_metric_in_one_file_is_found(tmp_path, monkeypatch):
    import util.metrics as package

    (tmp_path / "largest_error_metric.py").write_text(
        "import numpy as np\n"
        "from util.metrics.base_metric import Metric\n"
        "class LargestErrorMetric(Metric):\n"
        "    needs, better = 'pairs', 'lower'\n"
        "    def add(self, fake, real):\n"
        "        found = float(np.abs(fake.astype(float) - real).max())\n"
        "        self.most = max(found, getattr(self, 'most', 0.0))\n"
        "    def result(self):\n"
        "        return self.most\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert "largest_error" in registry.names()
    kind = registry.find("largest_error")
    assert measured(kind(), (pictures(1) * 0, pictures(1) * 0 + 9)) == 9


def test_names_are_known_without_anything_heavy():
    code = (
        "import sys\nfrom util.metrics import registry\nprint(registry.names())\n"
        "for name in registry.names(): registry.find(name)\n"
        "assert not {'torch', 'scipy.signal', 'skimage.feature'} & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0 and "'l1'" in done.stdout, done.stderr


def test_flicker_is_the_change_from_frame_to_frame_over_the_videos_own():
    own = np.zeros((3, 4, 4, 3), np.uint8)
    own[1], own[2] = 250, 244  # changes of 250 and 6, which do not wrap
    made = np.zeros_like(own)
    made[2] = 64  # 0 and 64
    assert flicker_of(made, own).compute() == 0.25
    assert flicker_of(made, own).changes == (32, 128)
    still = np.zeros_like(own)
    assert flicker_of(still, still).compute() == 1
    assert flicker_of(made, still).compute() == float("inf")


def flicker_of(made: np.ndarray, own: np.ndarray) -> Flicker:
    flicker = Flicker()
    for frames in zip(made, own, strict=True):
        flicker.update(*frames)
    return flicker
