"""Statistics that go with a rate or a count: exact intervals, bootstrap intervals of a mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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
    tail = (1 - level) / 2
    low, high = 0.0, 1.0
    if successes > 0:
        fewer = _at_most(successes - 1, trials)
        low = _root(lambda p: 1 - fewer(p) - tail)
    if successes < trials:
        as_many = _at_most(successes, trials)
        high = _root(lambda p: tail - as_many(p))
    return low, high


def _at_most(k: int, n: int) -> Callable[[float], float]:
    """P(X <= k) for X ~ Binomial(n, p), as a function of p, within (0, 1)."""
    ways = [
        (math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1), i, n - i)
        for i in range(k + 1)
    ]

    def probability(p: float) -> float:
        a, b = math.log(p), math.log1p(-p)
        return min(1.0, math.fsum([math.exp(log + i * a + j * b) for log, i, j in ways]))

    return probability


def _root(increasing: Callable[[float], float]) -> float:
    """Where an increasing function on [0, 1] crosses zero, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if increasing(middle) < 0 else (low, middle)
    return (low + high) / 2


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
