"""Statistics that go with a rate or a count: exact intervals, bootstrap intervals of a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LEVEL = 0.95


def clopper_pearson(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a success rate (Clopper & Pearson 1934).

    The ends are the rates at which so many successes, or more (or fewer), would have probability
    (1 - level)/2.

    Raises:
        ValueError: successes outside 0 .. trials, or no trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes must lie between 0 and {trials} trials, not {successes}")
    from scipy import special  # here: it takes a quarter of a second to import

    k, n, tail = successes, trials, (1 - level) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    level: float = LEVEL,
    draws: int = 10_000,
    size: int | None = None,
) -> tuple[float, float]:
    """Percentile interval of the mean, from resamples with replacement by a fixed stream.

    size: values in a resample; as many as there are where not given.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(draws, size or len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
