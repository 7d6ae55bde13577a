"""Intervals against closed forms and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.statistics import bootstrap_mean, clopper_pearson


@pytest.mark.parametrize("n", [1, 5, 30, 2560])
def test_none_and_all_have_closed_forms(n: int) -> None:
    bound = 0.025 ** (1 / n)
    assert clopper_pearson(0, n) == pytest.approx((0, 1 - bound), abs=1e-12)
    assert clopper_pearson(n, n) == pytest.approx((bound, 1), abs=1e-12)


def test_a_published_value() -> None:
    # Brown, Cai & DasGupta 2001 and every statistics package: 10 of 30.
    assert clopper_pearson(10, 30) == pytest.approx((0.17287, 0.52812), abs=5e-5)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_covers_the_rate_and_is_symmetric(case: tuple[int, int]) -> None:
    k, n = case
    low, high = clopper_pearson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert clopper_pearson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_its_coverage_is_at_least_the_level() -> None:
    n, p = 20, 0.3
    intervals = [clopper_pearson(k, n) for k in range(n + 1)]
    weights = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    covered = sum(w for w, (low, high) in zip(weights, intervals, strict=True) if low <= p <= high)
    assert covered >= 0.95


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes must lie between"):
        clopper_pearson(k, n)


def test_the_bootstrap_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(10, 2, size=400)
    low, high = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
    assert bootstrap_mean(values) == (low, high), "the interval depends on chance"
    assert all(math.isnan(x) for x in bootstrap_mean([]))
