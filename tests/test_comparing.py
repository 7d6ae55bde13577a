"""Statistics of comparisons, against the libraries that reviewers use."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from longlag.statistics import clopper_pearson
from longlag.studies.comparing import holm, log_rank, mcnemar, restricted_mean

P = st.floats(0, 1)


@given(st.integers(1, 200), st.data())
@settings(max_examples=30, deadline=None)
def test_the_exact_interval_is_scipys(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    want = stats.binomtest(k, n).proportion_ci(method="exact")
    assert clopper_pearson(k, n) == pytest.approx((want.low, want.high), abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_mcnemar_is_statsmodels(first: int, second: int) -> None:
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    want = contingency.mcnemar([[3, first], [second, 5]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(float(want), abs=1e-12)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar(0, 0) == 1


@given(st.lists(P, min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_holm_is_statsmodels(values: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    want = multitest.multipletests(values, method="holm")[1]
    assert holm(values) == pytest.approx(want.tolist())


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_the_log_rank_test_is_statsmodels() -> None:
    duration = pytest.importorskip("statsmodels.duration.api")
    rng = np.random.default_rng(0)
    for scale in (1.0, 3.0):
        times = [rng.exponential(1, 25), rng.exponential(scale, 25)]
        solved = [t < 2 for t in times]
        seen = [np.minimum(t, 2.0) for t in times]
        group = np.repeat([0, 1], 25)
        _, want = duration.survdiff(np.concatenate(seen), np.concatenate(solved), group)
        assert log_rank(*seen, (solved[0], solved[1])).p == pytest.approx(want, rel=1e-9)


def test_the_log_rank_test_of_nothing_solved_tells_nothing() -> None:
    assert log_rank([8, 8], [8, 8], ([False] * 2, [False] * 2)) == (1, 0)
    assert log_rank([8, 8], [8, 8], ([True] * 2, [True] * 2)) == (1, 0)


def test_the_log_rank_test_by_hand() -> None:
    # At 1 one of 4 is solved, and the first had half of them: 1/2 expected. At 2 one of 3, the
    # first with 1 of them: 1/3 expected. At 3 and 4 the first has none left. So it has 2 solved,
    # 5/6 expected, with variance 1/4 + 2/9.
    found = log_rank([1, 2], [3, 4], ([True, True], [True, True]))
    assert found.z == pytest.approx((2 - 5 / 6) / math.sqrt(1 / 4 + 2 / 9))
    turned = log_rank([3, 4], [1, 2], ([True, True], [True, True]))
    assert turned == pytest.approx((found.p, -found.z))


def test_a_restricted_mean_is_the_area_below_the_curve() -> None:
    # One solved at 2, one censored at 3, one solved at 5, one unsolved at the limit of 10:
    # S = 1 to 2, 3/4 to 5, 3/8 to 10.
    mean = restricted_mean([2, 3, 5, 10], [True, False, True, False], 10)
    assert mean == pytest.approx(2 + 0.75 * 3 + 0.375 * 5)
    everything = restricted_mean([4, 6], [True, True], 10)
    assert everything == pytest.approx(5)
    assert restricted_mean([10, 10], [False, False], 10) == 10
