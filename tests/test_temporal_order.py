"""Temporal order of two or three symbols obeys the paper's rules and is judged by its own."""

from __future__ import annotations

import itertools
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fits import assert_fits
from longlag.tasks.registry import task as registered
from longlag.tasks.temporal_order import SYMBOLS, TemporalOrder

E, B, X, Y = (SYMBOLS.index(symbol) for symbol in "EBXY")
DISTRACTORS = {SYMBOLS.index(symbol) for symbol in "abcd"}


@st.composite
def tasks(draw: st.DrawFn, longest: int = 120) -> TemporalOrder:
    low, high = draw(st.integers(10, longest)), draw(st.integers(0, 12))
    return TemporalOrder(draw(st.integers(2, 3)), min_length=low, max_length=low + high)


def windows(T: int, ordered: int = 2) -> list[range]:
    """Where the symbols fall: for T = 100 {10, ..., 20} and {50, ..., 60}, if there are two."""
    shares = {2: ((0.1, 0.2), (0.5, 0.6)), 3: ((0.1, 0.2), (0.33, 0.43), (0.66, 0.76))}
    return [range(int(T * a + 1e-9), int(T * b + 1e-9) + 1) for a, b in shares[ordered]]


def orders(ordered: int) -> list[str]:
    if ordered == 0:
        return [""]
    return [first + rest for first in "XY" for rest in orders(ordered - 1)]


def check_one(task: TemporalOrder, symbols: np.ndarray, target: np.ndarray) -> tuple[int, ...]:
    """Every rule that one sequence, cut to its length, can be checked for; the positions."""
    length = len(symbols)
    assert task.min_length <= length <= task.max_length
    assert (symbols[0], symbols[-1]) == (E, B)
    marks = np.flatnonzero(np.isin(symbols, (X, Y)))
    assert len(marks) == task.ordered
    for p, window in zip(marks, windows(task.min_length, task.ordered), strict=True):
        assert p in window
    rest = np.delete(symbols, [0, length - 1, *marks])
    assert set(rest.tolist()) <= DISTRACTORS
    order = "".join(SYMBOLS[symbols[p]] for p in marks)
    assert target.tolist() == [float(order == name) for name in orders(task.ordered)]
    assert length - 1 - marks[-1] >= task.minimal_lag
    return tuple(marks.tolist())


@given(task=tasks(), seed=st.integers(0, 2**32))
def test_one_sequence_obeys_the_rules(task: TemporalOrder, seed: int) -> None:
    one = task.sequence(np.random.default_rng(seed))
    assert one.inputs.dtype == np.int64
    assert check_one(task, one.inputs, one.target) == one.marks
    found = [SYMBOLS[one.inputs[p]] for p in one.marks]
    told = ", ".join(f"{symbol} at {p}" for symbol, p in zip(found, one.marks, strict=True))
    assert task.explain(one) == f"{told}: {''.join(found)}"


@given(task=tasks(), n=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_a_batch_obeys_the_rules(task: TemporalOrder, n: int, seed: int) -> None:
    symbols, lengths, targets = task.sample(n, np.random.default_rng(seed))
    assert (symbols.shape, lengths.shape) == ((n, task.max_length), (n,))
    assert targets.shape == (n, 2**task.ordered)
    assert (symbols.dtype, lengths.dtype, targets.dtype) == (np.int64, np.int64, np.float32)
    for row, length, target in zip(symbols, lengths, targets, strict=True):
        check_one(task, row[:length], target)
        assert not row[length:].any()


@given(task=tasks(), n=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_a_batch_in_order_obeys_the_rules(task: TemporalOrder, n: int, seed: int) -> None:
    symbols, lengths, targets = task.sample_in_order(n, np.random.default_rng(seed))
    assert symbols.shape == (n, lengths[0])
    assert (lengths == lengths[0]).all()
    assert (symbols.dtype, lengths.dtype, targets.dtype) == (np.int64, np.int64, np.float32)
    for row, target in zip(symbols, targets, strict=True):
        check_one(task, row, target)


def test_the_papers_windows() -> None:
    task = TemporalOrder()
    assert (task.min_length, task.max_length) == (100, 110)
    assert task.windows == (range(10, 21), range(50, 61)) == tuple(windows(100))
    assert task.minimal_lag == 39
    assert (task.inputs, task.outputs, task.tolerance) == (8, 4, 0.3)
    three = TemporalOrder(3)
    assert three.windows == (range(10, 21), range(33, 44), range(66, 77)) == (*windows(100, 3),)
    assert (three.inputs, three.outputs, three.tolerance, three.minimal_lag) == (8, 8, 0.3, 23)


@given(low=st.integers(10, 2000), ordered=st.integers(2, 3))
def test_windows_are_apart_and_within_the_shortest_sequence(low: int, ordered: int) -> None:
    found = TemporalOrder(ordered, min_length=low, max_length=low).windows
    assert found[0].start > 0
    assert found[-1].stop < low
    assert all(w.start < w.stop for w in found)
    assert all(w.stop <= v.start for w, v in pairwise(found))


# -- distributions, against closed forms -------------------------------------------------------


@pytest.mark.parametrize(("low", "ordered"), [(10, 2), (37, 2), (100, 2), (10, 3), (41, 3)])
def test_both_forms_draw_positions_orders_and_distractors_alike(low: int, ordered: int) -> None:
    task = TemporalOrder(ordered, min_length=low, max_length=low + 3)
    places = list(itertools.product(*windows(low, ordered)))
    batch, rng = task.sample(20_000, np.random.default_rng(1)), np.random.default_rng(2)
    drawn = [task.sequence(rng) for _ in range(8_000)]
    whole = [(x[:n], t) for x, n, t in zip(*batch, strict=True)]
    for sequences in (whole, [(one.inputs, one.target) for one in drawn]):
        marks = [tuple(np.flatnonzero(x >= X).tolist()) for x, _ in sequences]
        assert_fits(Counter(marks), places)
        found = [
            "".join(SYMBOLS[x[p]] for p in at) for (x, _), at in zip(sequences, marks, strict=True)
        ]
        assert_fits(Counter(found), orders(ordered))
        lengths = Counter(len(x) for x, _ in sequences)
        assert_fits(lengths, list(range(low, low + 4)))
        for position in (1, low - 2):
            symbols = Counter(int(x[position]) for x, _ in sequences if x[position] < X)
            symbols.pop(B, None)
            assert_fits(symbols, sorted(DISTRACTORS))


def test_the_check_of_distributions_can_fail() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError):
        assert_fits(Counter((rng.random(8_000) ** 1.1 * 4).astype(int).tolist()), list(range(4)))


@pytest.mark.parametrize("ordered", [2, 3])
def test_chance_level_agrees_with_monte_carlo(ordered: int) -> None:
    task, n = TemporalOrder(ordered), 100_000
    targets = task.at_length(10).sample(n, np.random.default_rng(5)).targets.astype(float)
    # The mean of K n targets, of which the K of a sequence sum to one.
    np.testing.assert_allclose(targets.mean(axis=0), task.mean_target, atol=4 * 0.44 / n**0.5)
    squares = np.mean((targets - task.mean_target) ** 2)
    assert squares == pytest.approx(task.chance_mse, abs=1e-12)
    for answer in (0.99 * task.mean_target, 1.01 * task.mean_target, 0.0):
        assert np.mean((targets - answer) ** 2) > task.chance_mse
    batch = task.sample(5_000, np.random.default_rng(6))
    constant = np.broadcast_to(task.mean_target, (5_000, 2**ordered))
    assert task.score(constant, batch).mse == pytest.approx(task.chance_mse)
    always = np.broadcast_to(np.eye(2**ordered)[1], (5_000, 2**ordered))
    share = 1 - task.score(always, batch).wrong_share
    assert abs(share - task.chance_correct) < 5 * 0.5 / 5_000**0.5


# -- the order in which random numbers are drawn -----------------------------------------------


def test_a_sequence_drawn_by_hand() -> None:
    one, rng = TemporalOrder().sequence(np.random.default_rng(7)), np.random.default_rng(7)
    length = int(rng.integers(100, 111))
    symbols = np.array([E, *rng.integers(2, 6, size=length - 2), B])
    marks = [int(rng.integers(10, 21)), int(rng.integers(50, 61))]
    symbols[marks] = X + rng.integers(2, size=2)
    np.testing.assert_array_equal(one.inputs, symbols)


def test_a_block_drawn_by_hand() -> None:
    n = 30
    batch, rng = TemporalOrder().sample(n, np.random.default_rng(3)), np.random.default_rng(3)
    lengths = rng.integers(100, 111, size=n)
    distractors = rng.integers(2, 6, size=(n, 110))
    marks = rng.integers(10, 21, size=n), rng.integers(50, 61, size=n)
    kinds = rng.integers(2, size=(n, 2))
    np.testing.assert_array_equal(batch.lengths, lengths)
    for k in range(n):
        own = distractors[k].copy()
        own[0], own[[marks[0][k], marks[1][k]]], own[lengths[k] - 1] = E, X + kinds[k], B
        own[lengths[k] :] = 0
        np.testing.assert_array_equal(batch.inputs[k], own)


# -- judging -----------------------------------------------------------------------------------


def test_an_answer_is_right_where_no_output_is_off_by_more_than_three_tenths() -> None:
    task = TemporalOrder()
    batch = task.sample(6, np.random.default_rng(0))
    answers = batch.targets.astype(np.float64)
    answers[1] += 0.2999
    answers[2, 3] += 0.3001
    answers[3, 0] -= 0.3001
    answers[4] = 0.25
    answers[5, 2] = np.nan
    assert task.correct(answers, batch).tolist() == [True, True, False, False, False, False]
    assert task.score(answers[:5], batch.each(lambda a: a[:5])).wrong == 3


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ordered": 4}, ["ordered", "whole number from 2 to 3", "4"]),
        ({"min_length": 9}, ["min_length", "at least 10 steps", "9"]),
        ({"min_length": -3, "max_length": 5}, ["min_length", "at least 10", "-3"]),
        ({"min_length": 100, "max_length": 99}, ["max_length", "at least min_length (100)", "99"]),
        ({"min_length": 50.0}, ["min_length", "whole number", "50.0"]),
        ({"max_length": True}, ["max_length", "whole number", "True"]),
        ({"max_length": None}, ["max_length", "whole number", "None"]),
        ({"rules": "paper"}, ["temporal-order has no setting 'rules'"]),
        ({"min_lenght": 50}, ["no setting 'min_lenght'; did you mean 'min_length'?"]),
    ],
)
def test_bad_settings_are_named_in_one_sentence(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=words[0]) as caught:
        registered("temporal-order", **settings)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 99, -5, 100.5])
def test_bad_lengths_of_a_sequence_are_refused(length: Any) -> None:
    with pytest.raises(ValueError, match=rf"^length must be a whole number from 100 .*{length}$"):
        TemporalOrder().sequence(np.random.default_rng(0), length)


@pytest.mark.parametrize("n", [0, -1, 2.0])
def test_a_batch_of_no_sequences_is_refused(n: Any) -> None:
    for draw in (TemporalOrder().sample, TemporalOrder().sample_in_order):
        with pytest.raises(ValueError, match=rf"n must be a whole number from 1 .*, not {n}"):
            draw(n, np.random.default_rng(0))
