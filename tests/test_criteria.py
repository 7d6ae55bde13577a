"""Scores against direct formulas, how a task judges answers, and the paper's two thresholds."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.learning.judging import measure
from longlag.learning.stopping import Strict
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.score import LOOSE_SHARE, Score, joined, score
from longlag.tasks.task import Batch
from toys import Echo, Toy, toy

numbers = st.floats(-10, 10, width=32)


@given(pairs=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=60))
def test_score_against_direct_formulas(pairs: list[tuple[float, float]]) -> None:
    predictions, targets = (np.array(column, np.float32) for column in zip(*pairs, strict=True))
    errors = [abs(y - t) for y, t in pairs]
    got = score(predictions, targets)
    n = len(pairs)
    mse = math.fsum(e * e for e in errors) / n
    assert got.n == n
    assert got.mse == pytest.approx(mse, rel=1e-12, abs=1e-300)
    assert got.rmse == pytest.approx(math.sqrt(mse), rel=1e-12, abs=1e-300)
    assert got.mae == pytest.approx(math.fsum(errors) / n, rel=1e-12, abs=1e-300)
    assert got.wrong == sum(e > 0.04 for e in errors)
    assert got.max_error == max(errors)
    assert got.wrong_share == got.wrong / n


def test_differences_are_taken_in_float64() -> None:
    targets = np.full(1000, 0.3, np.float32)
    predictions = targets.copy()
    predictions[::2] = np.nextafter(np.float32(0.3), np.float32(1))
    step = float(predictions[0]) - float(targets[0])
    assert score(predictions, targets).mse == pytest.approx(step**2 / 2, rel=1e-12)


def test_an_answer_that_is_no_number_is_wrong() -> None:
    got = score(np.array([0.5, np.nan, np.inf, -np.inf, 0.5]), np.full(5, 0.5))
    assert got.wrong == 3
    assert math.isnan(got.mse)
    assert math.isnan(got.max_error)
    assert not is_met(Strict(wrong_share=1), got)


def test_the_tolerance_is_four_hundredths() -> None:
    targets = np.zeros(4)
    assert score(np.array([0.04, -0.04, 0.0399, 0.0]), targets).wrong == 0
    assert score(np.array([0.0401, -0.0401, 0.04, 0.0]), targets).wrong == 2


def with_wrong(n: int, wrong: int) -> Score:
    predictions = np.zeros(n)
    predictions[:wrong] = 1
    return score(predictions, np.zeros(n))


def is_met(rule: Strict, got: Score) -> bool:
    return rule.met([(1, got), (2, got)])


@pytest.mark.parametrize(
    ("n", "strict", "loose"), [(2560, 16, 179), (2000, 13, 140), (512, 3, 35), (25600, 166, 1792)]
)
def test_thresholds(n: int, strict: int, loose: int) -> None:
    for rule, most in ((Strict(), strict), (Strict(wrong_share=LOOSE_SHARE), loose)):
        assert is_met(rule, with_wrong(n, most))
        assert not is_met(rule, with_wrong(n, most + 1))


def test_strict_may_ask_for_a_mean_error_too() -> None:
    got = with_wrong(1000, 6)  # a mean error of 0.006
    assert is_met(Strict(mean_error=0.0061), got)
    assert not is_met(Strict(mean_error=0.006), got)


def test_a_score_is_ready_for_json_under_the_contracts_names() -> None:
    got = score(np.array([0.1, 0.9], np.float32), np.array([0.1, 0.5], np.float32)).as_dict()
    assert list(got) == ["n", "mse", "rmse", "mae", "wrong", "max_error"]
    assert json.loads(json.dumps(got)) == got
    assert Score(**got) == score(np.array([0.1, 0.9], np.float32), np.array([0.1, 0.5], np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("predictions", "targets"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.zeros((3, 1)), np.zeros(3)),
        (np.zeros((3, 1)), np.zeros((3, 1))),
        (np.zeros(0), np.zeros(0)),
        (np.float64(1), np.float64(1)),
    ],
)
def test_vectors_that_do_not_fit_are_refused(predictions: np.ndarray, targets: np.ndarray) -> None:
    with pytest.raises(ValueError, match="predictions and targets must be") as caught:
        score(predictions, targets)
    assert str(np.shape(predictions)) in str(caught.value)


# -- tasks judge answers ------------------------------------------------------------------------

KINDS: list[Any] = [(K, answered) for K in (1, 3) for answered in ("last", "every")]


def judged_by_hand(task: Toy, answers: np.ndarray, batch: Batch) -> Score:
    """Sequence by sequence, answer by answer."""
    errors, wrong = [], 0
    for y, target, length in zip(answers, batch.targets, batch.lengths, strict=True):
        if task.answered == "every":
            y, target = y[:length], target[:length]
        own = [abs(float(a) - float(b)) for a, b in zip(np.ravel(y), np.ravel(target), strict=True)]
        errors += own
        wrong += not all(e <= task.tolerance for e in own)
    mse = math.fsum(e * e for e in errors) / len(errors)
    mae = math.fsum(errors) / len(errors)
    return Score(len(answers), mse, math.sqrt(mse), mae, wrong, max(errors))


def close(one: Score, other: Score) -> bool:
    return one.as_dict() == pytest.approx(other.as_dict(), rel=1e-12, nan_ok=True)


@given(
    kind=st.sampled_from(KINDS), n=st.integers(1, 30), T=st.integers(1, 9), seed=st.integers(0, 99)
)
def test_a_task_scores_by_its_own_rule(kind: Any, n: int, T: int, seed: int) -> None:
    task = toy(2, *kind)(min_length=T, max_length=T + 3)
    rng = np.random.default_rng(seed)
    batch = task.sample(n, rng)
    # Most answers are right, so that one wrong number in a sequence decides.
    off = np.where(rng.random(batch.targets.shape) < 0.05, 0.05, 0.03)
    answers = batch.targets + off * rng.choice([-1, 1], batch.targets.shape)
    wanted = judged_by_hand(task, answers, batch)
    assert close(task.score(answers, batch), wanted)
    assert wanted.wrong == n - int(task.correct(answers, batch).sum())
    if kind == (1, "last"):
        assert close(score(answers, batch.targets), wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_a_wrong_answer(kind: Any, bad: float) -> None:
    task = toy(2, *kind)(min_length=4, max_length=4)
    batch = task.sample(5, np.random.default_rng(0))
    answers = batch.targets.copy()
    answers.reshape(5, -1)[2, -1] = bad
    assert task.correct(answers, batch).tolist() == [True, True, False, True, True]
    got = task.score(answers, batch)
    assert got.wrong == 1
    assert not np.isfinite(got.mse)


@pytest.mark.parametrize("K", [1, 3])
def test_answers_after_the_end_do_not_count(K: int) -> None:
    task = toy(2, K, "every")(min_length=2, max_length=6)
    batch = task.sample(8, np.random.default_rng(0))
    ended = np.arange(6) >= batch.lengths[:, None]
    assert ended.any()
    answers = batch.targets + np.float32(0.01)
    spoilt = answers.copy()
    spoilt[ended] = np.nan
    assert task.correct(spoilt, batch).all()
    assert task.score(spoilt, batch) == task.score(answers, batch)
    assert task.score(answers, batch).mse == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_another_shape_are_refused(kind: Any) -> None:
    task = toy(2, *kind)(min_length=4, max_length=4)
    batch = task.sample(5, np.random.default_rng(0))
    for bad in (batch.targets[:4], batch.targets[..., None], batch.targets.ravel()[:3]):
        with pytest.raises(ValueError, match=r"^answers must have shape \(5.*not \(") as caught:
            task.score(bad, batch)
        assert str(bad.shape) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_of_parts_is_that_of_the_whole(kind: Any, monkeypatch: Any) -> None:
    """However many sequences are answered at a time."""
    task = toy(2, *kind)(min_length=1, max_length=9)
    rng = np.random.default_rng(1)
    parts = [task.sample(n, rng) for n in (48, 48, 4)]
    given = np.random.default_rng(0).random(parts[0].targets.shape)

    def predict(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return given[: len(inputs)]

    answers = np.concatenate([given[: len(one.lengths)] for one in parts])
    whole = Batch(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    monkeypatch.setattr("longlag.learning.judging.PREDICTION_VALUES", 48 * task.most_values)
    got = measure(predict, task, 100, np.random.default_rng(1))
    assert close(got, task.score(answers, whole))


@given(cuts=st.sets(st.integers(1, 99), max_size=5))
def test_scores_of_parts_are_joined(cuts: set[int]) -> None:
    rng = np.random.default_rng(0)
    targets, answers = rng.random(100), rng.random(100)
    ends = [0, *sorted(cuts), 100]
    parts = [score(answers[a:b], targets[a:b]) for a, b in pairwise(ends)]
    assert close(joined(parts, [one.n for one in parts]), score(answers, targets))


def test_a_part_that_is_no_number_makes_the_whole_none() -> None:
    bad, good = score(np.array([np.nan, 1.0]), np.ones(2)), score(np.ones(3), np.ones(3))
    for parts in ([bad, good], [good, bad]):
        whole = joined(parts, [one.n for one in parts])
        assert (whole.n, whole.wrong) == (5, 1)
        assert all(math.isnan(value) for value in (whole.mse, whole.rmse, whole.mae))
        assert math.isnan(whole.max_error)


def test_errors_are_judged_by_the_tasks_tolerance() -> None:
    pairs, echo = MarkedPairs(min_length=12), Echo(min_length=3, max_length=3)
    for task, right, wrong in ((pairs, 0.0399, 0.0401), (echo, 0.199, 0.201)):
        batch = task.sample(4, np.random.default_rng(0))
        assert task.score(batch.targets + right, batch).wrong == 0
        assert task.score(batch.targets + wrong, batch).wrong == 4
