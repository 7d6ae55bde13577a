"""What tests of tasks share: whether counts fit, and sequences of both forms in one shape."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from longlag.tasks.task import Batch, Task


def assert_fits(observed: Counter[Any], outcomes: Any) -> None:
    """Chi-square within five standard deviations (the seeds are fixed).

    outcomes: those that can be, all equally likely, or a dict of their probabilities.
    """
    if not isinstance(outcomes, dict):
        outcomes = dict.fromkeys(outcomes, 1 / len(outcomes))
    assert set(observed) <= set(outcomes), set(observed) - set(outcomes)
    expected = {k: observed.total() * p for k, p in outcomes.items()}
    freedom = len(outcomes) - 1
    statistic = sum((observed[k] - e) ** 2 / e for k, e in expected.items())
    assert statistic <= freedom + 5 * math.sqrt(2 * freedom), (statistic, freedom)


def both_forms(task: Task, n: int = 20_000, m: int = 4_000) -> list[list[tuple[np.ndarray, ...]]]:
    """Inputs and targets, cut to their lengths: n of `sample` and m of `sequence`."""
    rng = np.random.default_rng(2)
    return [
        list(rows(task, task.sample(n, np.random.default_rng(1)))),
        [(one.inputs, np.asarray(one.target)) for one in (task.sequence(rng) for _ in range(m))],
    ]


def rows(task: Task, batch: Batch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each sequence of a batch, cut to its length; after it there is nothing."""
    for inputs, length, target in zip(*batch, strict=True):
        assert not inputs[length:].any()
        every = task.answered == "every"
        assert not every or not target[length:].any()
        yield inputs[:length], target[:length] if every else target
