"""How sure a mean over pictures is."""

import numpy as np

DRAWS = 2000
CHUNK = 2**22  # numbers drawn at once


def bootstrap_interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean of values (N,), N >= 1.

    It tells what other pictures of the same kind would have changed, not what another training
    would. Infinite values leave an interval with an infinite end. The same values and seed give the
    same interval.
    """
    rng, size = np.random.default_rng(seed), len(values)
    at_once = max(1, CHUNK // size)
    means = []
    for begin in range(0, DRAWS, at_once):
        drawn = rng.integers(0, size, (min(at_once, DRAWS - begin), size))
        means.append(values[drawn].mean(axis=1))
    # An infinite mean has no place between two others: the interval ends at one of the means.
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], method="nearest")
    return float(low), float(high)
