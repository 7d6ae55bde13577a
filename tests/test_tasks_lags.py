"""Long lags, two sequences and exclusive or: every rule, in both forms of drawing."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fits import assert_fits, both_forms, rows
from longlag.tasks.long_lag import LongLag
from longlag.tasks.registry import task as registered
from longlag.tasks.task import Task
from longlag.tasks.two_sequence import TwoSequence
from longlag.tasks.very_long_lag import VeryLongLag
from longlag.tasks.xor import ExclusiveOr

seeds = st.integers(0, 2**32)


def all_of(task: Task, n: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """One sequence and n of a batch."""
    one = task.sequence(np.random.default_rng(seed))
    return [
        (one.inputs, np.asarray(one.target)),
        *rows(task, task.sample(n, np.random.default_rng(seed))),
    ]


# -- noise-free long lag --------------------------------------------------------------------------

middles = st.sampled_from(["regular", "random"])


@given(p=st.integers(2, 40), middle=middles, n=st.integers(1, 5), seed=seeds)
def test_long_lag_obeys_the_rules(p: int, middle: Any, n: int, seed: int) -> None:
    task = LongLag(lag=p, middle=middle)
    assert (task.inputs, task.outputs, task.max_length) == (p + 1, p + 1, p)
    assert task.classes[-2:] == ("x", "y")
    for symbols, target in all_of(task, n, seed):
        assert symbols.shape == (p,)
        assert target.sum(axis=1).tolist() == [1] * p
        follows = target.argmax(axis=1)
        assert follows[:-1].tolist() == symbols[1:].tolist()
        assert follows[-1] == symbols[0]
        assert symbols[0] in (p - 1, p), "x or y"
        assert set(symbols[1:].tolist()) <= set(range(p - 1)), "a1 to a(p-1)"
        if middle == "regular":
            assert symbols[1:].tolist() == list(range(p - 1))


def test_long_lag_draws_both_forms_alike() -> None:
    for many in both_forms(LongLag(lag=3, middle="random")):
        drawn = Counter(tuple(x.tolist()) for x, _ in many)
        assert_fits(drawn, [(first, a, b) for first in (2, 3) for a in (0, 1) for b in (0, 1)])
    for many in both_forms(LongLag(lag=5)):
        assert_fits(Counter(int(x[0]) for x, _ in many), [4, 5])


def test_long_lag_is_judged_by_the_largest_error_where_all_can_be_told() -> None:
    for middle, right in (("regular", [True, False, False]), ("random", [True, True, False])):
        task = LongLag(lag=6, middle=middle)  # type: ignore[arg-type]
        batch = task.sample(3, np.random.default_rng(0))
        answers = batch.targets.astype(float)
        answers[0, 2, 3] += 0.2499
        answers[1, 2, 3] += 0.2501
        answers[2, 5, 0] -= 0.2501
        assert task.correct(answers, batch).tolist() == right


@pytest.mark.parametrize("middle", ["regular", "random"])
def test_long_lag_may_count_the_last_answer_alone(middle: Any) -> None:
    task, rng = LongLag(lag=6, middle=middle, counts="recall"), np.random.default_rng(0)
    batch = task.sample(3, rng)
    assert batch.counted is not None
    assert batch.counted.tolist() == [[False] * 5 + [True]] * 3
    assert task.sequence(rng).counted.tolist() == batch.counted[0].tolist()
    answers = np.full_like(batch.targets, 9.0)
    answers[:, -1] = batch.targets[:, -1]
    assert task.score(answers, batch).wrong == 0
    assert task.score(answers, batch).mse == 0
    answers[1, -1, 0] += 0.2501
    assert task.score(answers, batch).wrong == 1


# -- very long lag --------------------------------------------------------------------------------


@given(q=st.integers(1, 30), p=st.integers(1, 9), n=st.integers(1, 5), seed=seeds)
def test_very_long_lag_obeys_the_rules(q: int, p: int, n: int, seed: int) -> None:
    task = VeryLongLag(lag=q, distractors=p)
    assert (task.inputs, task.outputs) == (p + 4, 2)
    begin, trigger, x, y = range(p, p + 4)
    for symbols, target in all_of(task, n, seed):
        assert q + 3 <= len(symbols) <= q + 203
        assert (symbols[0], symbols[-1]) == (begin, trigger)
        assert symbols[1] in (x, y)
        assert np.all(symbols[2:-1] < p)
        assert target.tolist() == [float(symbols[1] == x), float(symbols[1] == y)]
        assert len(symbols) - 2 >= task.minimal_lag


def test_very_long_lag_draws_both_forms_alike() -> None:
    ks = {k: 0.1 * 0.9**k for k in range(40)} | {40: 0.9**40}
    for many in both_forms(VeryLongLag(lag=2, distractors=3)):
        assert_fits(Counter(min(len(x) - 5, 40) for x, _ in many), ks)
        assert_fits(Counter(int(x[1]) for x, _ in many), [5, 6])
        assert_fits(Counter((int(x[2]), int(x[3])) for x, _ in many), [
            (a, b) for a in range(3) for b in range(3)
        ])  # fmt: skip


def test_so_many_more_distractors_than_drawn_are_as_improbable_as_said() -> None:
    np.testing.assert_allclose(1 / 0.9**201, 1.6e9, rtol=0.05)
    assert VeryLongLag(lag=1000).mean_length == pytest.approx(1012)


# -- two sequences --------------------------------------------------------------------------------


@st.composite
def two_sequences(draw: st.DrawFn) -> TwoSequence:
    N = draw(st.integers(1, 5))
    variant: Any = draw(st.sampled_from("abc"))
    low = draw(st.integers(N + 1, N + 30))
    return TwoSequence(variant, N, min_length=low, max_length=low + draw(st.integers(0, 5)))


@given(task=two_sequences(), n=st.integers(1, 5), seed=seeds)
def test_two_sequences_obey_the_rules(task: TwoSequence, n: int, seed: int) -> None:
    one, N = task.sequence(np.random.default_rng(seed)), task.first_elements
    targets = {"c": (0.2, 0.8)}.get(task.variant, (1.0, 0.0))
    assert one.truth == targets[one.kind - 1]
    assert (one.target == one.truth) == (task.variant != "c")
    if task.variant != "b":
        assert np.all(one.inputs[:N] == (1 if one.kind == 1 else -1))
    batch = task.sample(n, np.random.default_rng(seed))
    truth = batch.targets if batch.truth is None else batch.truth
    assert (batch.truth is not None) == (task.variant == "c")
    for (inputs, _), wanted in zip(rows(task, batch), truth, strict=True):
        kind = 1 if wanted == np.float32(targets[0]) else 2
        assert wanted == np.float32(targets[kind - 1])
        assert task.min_length <= len(inputs) <= task.max_length
        if task.variant != "b":
            assert np.all(inputs[:N] == (1 if kind == 1 else -1))
    assert task.min_length - N == task.minimal_lag


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_two_sequences_draw_both_forms_alike(variant: Any) -> None:
    task = TwoSequence(variant, 2, min_length=5, max_length=7)
    for many in both_forms(task, 20_000, 10_000):
        n, all_ = len(many), np.concatenate([x[2:] for x, _ in many]).ravel()
        first, targets = np.stack([x[:2, 0] for x, _ in many]), np.array([t for _, t in many])
        ones = first.mean(axis=1) > 0
        assert_fits(Counter(len(x) for x, _ in many), [5, 6, 7])
        assert abs(all_.mean()) < 5 * math.sqrt(0.2 / len(all_))
        assert all_.var() == pytest.approx(0.2, rel=5 * math.sqrt(2 / len(all_)))
        assert np.mean(all_**4) == pytest.approx(3 * 0.2**2, rel=0.06), "it is normal"
        noise = first - np.where(ones, 1, -1)[:, None]
        spread = 0.2 if variant == "b" else 0
        assert noise.var() == pytest.approx(spread, rel=0.06), "up to the few whose signs changed"
        assert abs(noise.mean()) < 5 * math.sqrt(0.2 / n)
        assert abs(ones.mean() - 0.5) < 5 * 0.5 / math.sqrt(n)
        means = {"c": (0.2, 0.8)}.get(variant, (1.0, 0.0))
        off = targets - np.where(ones, *means)
        assert abs(off.mean()) < 5 * math.sqrt(0.12 / n)
        assert off.var() == pytest.approx({"a": 0, "c": 0.1}.get(variant, 0.0008), abs=0.005)


def test_two_sequences_are_judged_by_the_targets_without_noise() -> None:
    task = TwoSequence("c")
    batch = task.sample(4, np.random.default_rng(0))
    assert batch.truth is not None
    answers = batch.truth.astype(float) + np.array([0, 0.099, -0.101, np.nan])
    assert task.correct(answers, batch).tolist() == [True, True, False, False]
    assert task.score(answers[:2], batch.each(lambda a: a[:2])).max_error < 0.1
    assert np.abs(batch.targets - batch.truth).max() > 0.1
    for variant in ("a", "b"):
        task = TwoSequence(variant)
        batch = task.sample(3, np.random.default_rng(0))
        answers = batch.targets + np.array([0.199, -0.199, 0.201])
        assert task.correct(answers, batch).tolist() == [True, True, False]


# -- exclusive or ---------------------------------------------------------------------------------


@given(low=st.integers(10, 120), more=st.integers(0, 9), n=st.integers(1, 5), seed=seeds)
def test_exclusive_or_obeys_the_rules(low: int, more: int, n: int, seed: int) -> None:
    task = ExclusiveOr(min_length=low, max_length=low + more)
    for inputs, target in all_of(task, n, seed):
        bits, markers = inputs.T
        marks = np.flatnonzero(markers == 1)
        assert low <= len(inputs) <= low + more
        assert set(bits.tolist()) <= {0.0, 1.0}
        assert (markers[0], markers[-1], len(marks)) == (-1, -1, 2)
        assert np.flatnonzero(markers).tolist() == [0, *marks, len(inputs) - 1]
        assert max(1, low // 50) <= marks[0] < low // 5
        assert int(low * 0.3 + 1e-9) <= marks[1] < low // 2
        assert target == (bits[marks[0]] != bits[marks[1]])
        assert len(inputs) - 1 - marks[1] >= task.minimal_lag
    one = task.sequence(np.random.default_rng(seed))
    assert np.flatnonzero(one.inputs[:, 1] == 1).tolist() == list(one.marks)


def test_exclusive_or_draws_both_forms_alike() -> None:
    task = ExclusiveOr(min_length=50, max_length=52)
    assert task.mark_windows == (range(1, 10), range(15, 25)), "those of the public code"
    for many in both_forms(task, 20_000, 10_000):
        marks = [tuple(np.flatnonzero(x[:, 1] == 1).tolist()) for x, _ in many]
        assert_fits(Counter(marks), [(p, q) for p in range(1, 10) for q in range(15, 25)])
        bits = [(*(int(x[p, 0]) for p in at), int(t)) for (x, t), at in zip(many, marks)]  # noqa: B905
        assert_fits(Counter(bits), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
        assert_fits(Counter(len(x) for x, _ in many), [50, 51, 52])
        assert_fits(Counter(int(x[30, 0]) for x, _ in many), [0, 1])


def test_exclusive_or_is_right_where_the_error_is_below_a_half() -> None:
    task = ExclusiveOr()
    batch = task.sample(4, np.random.default_rng(0))
    answers = np.abs(batch.targets - [0.0, 0.4999, 0.5, 0.51])
    assert task.correct(answers, batch).tolist() == [True, True, False, False]


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("long-lag", {"lag": 1}, "^lag must be a whole number from 2 to 10,000, not 1$"),
        ("long-lag", {"middle": "both"}, "^middle must be one of regular, random, not 'both'$"),
        ("very-long-lag", {"lag": 0}, "^lag must be a whole number from 1 to 1,000,000, not 0$"),
        ("very-long-lag", {"distractors": 0}, "^distractors must be a whole number from 1 to"),
        ("very-long-lag", {"p": 3}, "^very-long-lag has no setting 'p'"),
        ("two-sequence", {"variant": "d"}, "^variant must be one of a, b, c, not 'd'$"),
        ("two-sequence", {"first_elements": 0}, "^first_elements must be a whole number from 1"),
        ("two-sequence", {"min_length": 3}, "^min_length must be at least 4 steps for 3 elements"),
        (
            "xor",
            {"min_length": 9},
            "^min_length must be at least 10 steps to hold two marks, not 9",
        ),
    ],
)
def test_bad_settings_are_named(name: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        registered(name, **settings)
    assert "\n" not in str(caught.value)
