"""Tests of whether cells differ: paired and exact, of rates and of sequences to success.

The distributions are SciPy's. A trial that was not solved is *censored*: it would have needed more
sequences than it had.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


def mcnemar(first_alone: int, second_alone: int) -> float:
    """p of McNemar's exact test (1947) that two cells solve the same share of seeds.

    Args:
        first_alone, second_alone: seeds that one of them alone solved.
    """
    one = first_alone + second_alone
    return float(stats.binomtest(first_alone, one, 0.5).pvalue) if one else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """p values of several tests, corrected for their number (Holm 1979), in the same order."""
    adjusted, most = [0.0] * len(values), 0.0
    for rank, k in enumerate(np.argsort(values, kind="stable")):
        most = max(most, min(1.0, (len(values) - rank) * values[k]))
        adjusted[k] = most
    return adjusted


class LogRank(NamedTuple):
    """What a log-rank test says.

    p: that two cells are solved after the same sequences; z: above 0 where the first is solved on
    more seeds than that would make it, as long as trials of either are left; so it is sooner.
    """

    p: float
    z: float


def log_rank(
    first: Sequence[float], second: Sequence[float], solved: tuple[Sequence[bool], Sequence[bool]]
) -> LogRank:
    """The log-rank test (Mantel 1966) of two cells' sequences to success.

    Args:
        first, second: training sequences of each trial.
        solved: of the first and of the second, which trials were solved; the others are censored.
    """
    if not any(solved[0]) and not any(solved[1]):
        return LogRank(1.0, 0.0)
    a, b = _censored(first, solved[0]), _censored(second, solved[1])
    with np.errstate(invalid="ignore"):
        found = stats.logrank(a, b)
    if math.isnan(found.pvalue):  # all were solved at the same moment
        return LogRank(1.0, 0.0)
    return LogRank(float(found.pvalue), float(found.statistic))


def restricted_mean(sequences: Sequence[float], solved: Sequence[bool], limit: float) -> float:
    """Mean training sequences until success, those beyond `limit` counted as `limit`.

    It is the area below the Kaplan-Meier curve of the trials that are not yet solved (Irwin 1949).
    """
    curve = stats.ecdf(_censored(sequences, solved)).sf
    inside = curve.quantiles < limit
    ends = np.array([0.0, *curve.quantiles[inside], limit])
    left = np.array([1.0, *curve.probabilities[inside]])
    return float(np.sum(np.diff(ends) * left))


def _censored(times: Sequence[float], solved: Sequence[bool]) -> stats.CensoredData:
    return stats.CensoredData.right_censored(np.asarray(times, float), ~np.asarray(solved, bool))
