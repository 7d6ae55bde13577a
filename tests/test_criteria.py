"""Scores against direct formulas, and the paper's two thresholds."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.tasks.score import Score, is_loose, is_strict, score

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
    assert not is_strict(got)
    assert not is_loose(score(np.full(2560, np.nan), np.zeros(2560)))


def test_the_tolerance_is_four_hundredths() -> None:
    targets = np.zeros(4)
    assert score(np.array([0.04, -0.04, 0.0399, 0.0]), targets).wrong == 0
    assert score(np.array([0.0401, -0.0401, 0.04, 0.0]), targets).wrong == 2


def with_wrong(n: int, wrong: int) -> Score:
    predictions = np.zeros(n)
    predictions[:wrong] = 1
    return score(predictions, np.zeros(n))


@pytest.mark.parametrize(
    ("n", "strict", "loose"), [(2560, 16, 179), (2000, 13, 140), (512, 3, 35), (25600, 166, 1792)]
)
def test_thresholds(n: int, strict: int, loose: int) -> None:
    assert is_strict(with_wrong(n, strict))
    assert not is_strict(with_wrong(n, strict + 1))
    assert is_loose(with_wrong(n, loose))
    assert not is_loose(with_wrong(n, loose + 1))


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
