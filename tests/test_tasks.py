"""The marked-pair task obeys the paper's and the catalogue's rules, in both of its forms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.task import Batch

SHORTEST = {"paper": 11, "catalog": 12}


@st.composite
def tasks(draw: st.DrawFn, longest: int = 70) -> MarkedPairs:
    rules: Any = draw(st.sampled_from(["paper", "catalog"]))
    low = draw(st.integers(SHORTEST[rules], longest))
    high = draw(st.integers(low, low + 12))
    first_mark: Any = draw(st.sampled_from(["hidden", "shown"]))
    kind: Any = draw(st.sampled_from(["multiplication", "adding"]))
    return MarkedPairs(kind, rules, first_mark, min_length=low, max_length=high)


def visible(inputs: np.ndarray) -> list[int]:
    """Positions that carry the marker 1; without the first, whose value does not count."""
    return [int(p) for p in np.flatnonzero(inputs[:, 1] == 1) if p > 0]


def answer(task: MarkedPairs, inputs: np.ndarray) -> float:
    """The target, from what a network can see."""
    shown = [float(inputs[p, 0]) for p in visible(inputs)]
    if task.kind == "multiplication":
        return math.prod(shown)
    return 0.5 + math.fsum(shown) / 4


def check_one(task: MarkedPairs, inputs: np.ndarray, target: float, atol: float) -> None:
    """Every rule that one sequence, cut to its length, can be checked for."""
    length = len(inputs)
    values, markers = inputs[:, 0], inputs[:, 1]
    assert task.min_length <= length <= task.max_length
    low = -1 if task.kind == "adding" else 0
    assert np.all((values >= low) & (values <= 1))
    assert markers[-1] == -1
    assert set(markers[1:-1].tolist()) <= {0.0, 1.0}

    shown = visible(inputs)
    on_first = len(shown) == 1 and task.first_mark == "shown"
    assert markers[0] == (1 if on_first else -1)
    assert len(shown) in ((1, 2) if task.rules == "paper" else (2,))
    assert length - 1 - shown[-1] >= task.minimal_lag
    half = task.min_length // 2
    if task.rules == "paper":
        # One mark among the first ten pairs, the other among the first T/2 pairs: of the first
        # T/2 - 1 unmarked pairs, the last one moves up by one where the first mark precedes it.
        assert shown[-1] <= max(9, half - 1)
        assert len(shown) == 1 or shown[0] <= 9
    else:
        assert 1 <= shown[0] <= 9
        assert 10 <= shown[1] <= max(11, length // 2) - 1
    assert abs(target - answer(task, inputs)) <= atol


@given(task=tasks(), seed=st.integers(0, 2**32))
def test_one_sequence_obeys_the_rules(task: MarkedPairs, seed: int) -> None:
    inputs, target, marks = task.sequence(np.random.default_rng(seed))
    check_one(task, inputs, target, 1e-12)
    assert inputs.dtype == np.float64
    assert marks[0] != marks[1]
    assert [p for p in sorted(marks) if p > 0] == visible(inputs)
    for p, window in zip(marks, task.mark_windows, strict=True):
        assert p in window


@given(task=tasks(), n=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_a_batch_obeys_the_rules(task: MarkedPairs, n: int, seed: int) -> None:
    inputs, lengths, targets = task.sample(n, np.random.default_rng(seed))
    assert inputs.shape == (n, task.max_length, 2)
    assert lengths.shape == targets.shape == (n,)
    assert (inputs.dtype, lengths.dtype, targets.dtype) == (np.float32, np.int64, np.float32)
    assert all(array.flags.c_contiguous for array in (inputs, lengths, targets))
    for row, length, target in zip(inputs, lengths, targets, strict=True):
        check_one(task, row[:length], float(target), 2e-7)
        assert not row[length:].any()


@given(task=tasks(), n=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_a_batch_in_order_obeys_the_rules(task: MarkedPairs, n: int, seed: int) -> None:
    inputs, lengths, targets = task.sample_in_order(n, np.random.default_rng(seed))
    assert inputs.shape == (n, lengths[0], 2)
    assert (lengths == lengths[0]).all()
    assert (inputs.dtype, lengths.dtype, targets.dtype) == (np.float32, np.int64, np.float32)
    assert all(array.flags.c_contiguous for array in (inputs, lengths, targets))
    for row, target in zip(inputs, targets, strict=True):
        check_one(task, row, float(target), 2e-7)


@pytest.mark.parametrize("kind", ["multiplication", "adding"])
def test_a_mark_on_the_first_pair_stays_hidden_and_neutral(kind: Any) -> None:
    task = MarkedPairs(kind, "paper", min_length=11, max_length=12)
    rng = np.random.default_rng(5)
    hidden = {0: 0, 1: 0}
    for _ in range(300):
        inputs, target, marks = task.sequence(rng)
        if 0 not in marks:
            continue
        hidden[marks.index(0)] += 1
        (other,) = (p for p in marks if p > 0)
        assert inputs[0, 1] == -1
        assert visible(inputs) == [other]
        x = inputs[other, 0]
        expected = x if kind == "multiplication" else 0.5 + x / 4
        assert target == pytest.approx(expected, rel=1e-12)
    assert min(hidden.values()) > 10, "both marks must have been seen on the first pair"


@pytest.mark.parametrize("kind", ["multiplication", "adding"])
def test_a_first_mark_that_is_shown_changes_its_marker_alone(kind: Any) -> None:
    hidden, shown = (
        MarkedPairs(kind, "paper", mark, min_length=11, max_length=12)
        for mark in ("hidden", "shown")
    )
    for seed in range(60):
        one, other = (task.sequence(np.random.default_rng(seed)) for task in (hidden, shown))
        assert (one.target, one.marks) == (other.target, other.marks)
        if 0 in one.marks:
            assert (one.inputs[0, 1], other.inputs[0, 1]) == (-1, 1)
            one.inputs[0, 1] = 1
        np.testing.assert_array_equal(one.inputs, other.inputs)
    one, other = (task.sample(400, np.random.default_rng(1)) for task in (hidden, shown))
    np.testing.assert_array_equal(one.targets, other.targets)
    marked = other.inputs[:, 0, 1] == 1
    assert np.mean(marked) == pytest.approx(hidden.hidden_share, abs=0.1)
    one.inputs[marked, 0, 1] = 1
    np.testing.assert_array_equal(one.inputs, other.inputs)


@pytest.mark.parametrize("kind", ["multiplication", "adding"])
def test_words_and_drawings_of_a_mark_on_the_first_pair(kind: Any) -> None:
    hidden = MarkedPairs(kind=kind, min_length=20)
    shown = replace(hidden, first_mark="shown")
    rng = np.random.default_rng(0)
    sequence = next(one for one in iter(lambda: shown.sequence(rng), None) if 0 in one.marks)
    unseen = sequence._replace(inputs=sequence.inputs.copy())
    unseen.inputs[0, 1] = -1
    last = len(sequence.inputs) - 1
    later = max(sequence.marks)
    neutral = 1 if kind == "multiplication" else 0
    for task, one, word, roles in (
        (shown, sequence, "(first pair)", {"mark": [0, later], "end": [last]}),
        (hidden, unseen, "(hidden)", {"mark": [later], "end": [0, last], "hidden": [0]}),
    ):
        assert f"{neutral} {word}" in task.explain(one)
        assert task.drawing(one).roles == roles
        assert task.is_special(one) is (task is hidden)
        assert (task.special_share > 0) is (task is hidden)


def test_a_batch_with_other_arrays_has_neither_truth_nor_what_counts() -> None:
    batch = MarkedPairs(min_length=20).sample(3, np.random.default_rng(0))
    changed = batch._replace(lengths=batch.lengths - 1)
    assert (changed.truth, changed.counted) == (None, None)
    assert len(changed.learned) == 3


def test_the_second_mark_may_precede_the_first() -> None:
    rng = np.random.default_rng(0)
    marks = [MarkedPairs(min_length=100).sequence(rng).marks for _ in range(500)]
    assert any(0 < second < first for first, second in marks)


@pytest.mark.parametrize("rules", ["paper", "catalog"])
@pytest.mark.parametrize("kind", ["multiplication", "adding"])
def test_the_shortest_length_works_and_one_less_is_refused(kind: Any, rules: Any) -> None:
    shortest = SHORTEST[rules]
    task = MarkedPairs(kind, rules, min_length=shortest, max_length=shortest)
    rng = np.random.default_rng(1)
    batch = task.sample(500, rng)
    for row, target in zip(batch.inputs, batch.targets, strict=True):
        check_one(task, row, float(target), 2e-7)
    with pytest.raises(ValueError, match=rf"min_length .* at least {shortest}.*{shortest - 1}"):
        MarkedPairs(kind, rules, min_length=shortest - 1, max_length=shortest)


# -- distributions, against closed forms -------------------------------------------------------


def mark_probabilities(rules: str, length: int, shortest: int) -> dict[tuple[int, int], float]:
    """Exact probability of every (first, second)."""
    if rules == "catalog":
        seconds = range(10, max(11, length // 2))
        return {(a, b): 1 / 9 / len(seconds) for a in range(1, 10) for b in seconds}
    window = shortest // 2 - 1
    table = {}
    for first in range(10):
        unmarked = [p for p in range(length) if p != first][:window]
        table |= {(first, second): 1 / 10 / window for second in unmarked}
    return table


def chi_square(observed: Counter[Any], probabilities: dict[Any, float]) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom; every outcome must be a possible one."""
    assert set(observed) <= set(probabilities), set(observed) - set(probabilities)
    n = observed.total()
    assert math.isclose(sum(probabilities.values()), 1)
    statistic = sum((observed[k] - n * p) ** 2 / (n * p) for k, p in probabilities.items())
    return statistic, len(probabilities) - 1


def assert_fits(observed: Counter[Any], probabilities: dict[Any, float]) -> None:
    """Chi-square within five standard deviations of its mean (the seeds are fixed)."""
    statistic, freedom = chi_square(observed, probabilities)
    assert statistic <= freedom + 5 * math.sqrt(2 * freedom), (statistic, freedom)


def assert_distribution(sample: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray]) -> None:
    """Kolmogorov–Smirnov distance below its 0.1 % point."""
    ordered = np.sort(sample)
    n = len(ordered)
    theory = cdf(ordered)
    distance = max(np.max(np.arange(1, n + 1) / n - theory), np.max(theory - np.arange(n) / n))
    assert distance < 1.95 / math.sqrt(n), distance


def test_the_checks_of_distributions_can_fail() -> None:
    rng = np.random.default_rng(0)
    skewed = Counter((rng.random(20_000) ** 1.1 * 10).astype(int).tolist())
    with pytest.raises(AssertionError):
        assert_fits(skewed, dict.fromkeys(range(10), 0.1))
    with pytest.raises(AssertionError):
        assert_distribution(rng.random(20_000) ** 1.05, lambda t: t)


def unordered(probabilities: dict[tuple[int, int], float]) -> dict[tuple[int, ...], float]:
    """Probability of every set of *visible* marks."""
    table: dict[tuple[int, ...], float] = {}
    for pair, p in probabilities.items():
        shown = tuple(sorted(q for q in pair if q > 0))
        table[shown] = table.get(shown, 0.0) + p
    return table


@pytest.mark.parametrize(("rules", "length"), [("paper", 17), ("paper", 40), ("catalog", 31)])
def test_both_forms_draw_marks_with_the_exact_probabilities(rules: Any, length: int) -> None:
    task = MarkedPairs("multiplication", rules, min_length=length, max_length=length)
    exact = mark_probabilities(rules, length, length)

    rng = np.random.default_rng(11)
    assert_fits(Counter(task.sequence(rng).marks for _ in range(12_000)), exact)

    markers = task.sample(40_000, np.random.default_rng(12)).inputs[:, :, 1]
    assert_fits(
        Counter(tuple(np.flatnonzero(row == 1).tolist()) for row in markers), unordered(exact)
    )


def test_the_catalogues_second_mark_follows_each_sequences_own_length() -> None:
    task = MarkedPairs("multiplication", "catalog", min_length=20, max_length=30)
    batch = task.sample(60_000, np.random.default_rng(3))
    for length in (20, 23, 24, 30):
        rows = batch.inputs[batch.lengths == length, :, 1]
        pairs = Counter(tuple(np.flatnonzero(row == 1).tolist()) for row in rows)
        assert_fits(pairs, unordered(mark_probabilities("catalog", length, 20)))


@pytest.mark.parametrize("shortest", [16, 100])
def test_the_second_mark_has_the_closed_form_marginal(shortest: int) -> None:
    # Of w = T/2 - 1 unmarked pairs: a position below ten is taken by the first mark in 1/10; the
    # position w is reached only where the first mark fell below it.
    w = shortest // 2 - 1
    marginal = {j: (0.9 if j < 10 else 1.0) / w for j in range(w)} | {w: min(w, 10) / 10 / w}
    task = MarkedPairs(min_length=shortest, max_length=shortest + 10)
    rng = np.random.default_rng(21)
    assert_fits(Counter(task.sequence(rng).marks[1] for _ in range(12_000)), marginal)


@pytest.mark.parametrize(("low", "high"), [(100, 110), (11, 12), (20, 20)])
def test_lengths_are_uniform(low: int, high: int) -> None:
    task = MarkedPairs(min_length=low, max_length=high)
    exact = dict.fromkeys(range(low, high + 1), 1 / (high - low + 1))
    assert_fits(Counter(task.sample(30_000, np.random.default_rng(2)).lengths.tolist()), exact)
    rng = np.random.default_rng(3)
    one = Counter(len(task.sequence(rng).inputs) for _ in range(5_000))
    assert_fits(one, exact)
    in_order = Counter(int(task.sample_in_order(1, rng).lengths[0]) for _ in range(3_000))
    assert_fits(in_order, exact)


@pytest.mark.parametrize("rules", ["paper", "catalog"])
@pytest.mark.parametrize("kind", ["multiplication", "adding"])
def test_both_forms_draw_targets_and_values_from_the_closed_form(kind: Any, rules: Any) -> None:
    task = MarkedPairs(kind, rules, min_length=14, max_length=16)
    w = 14 // 2 - 1
    hidden = 0.0 if rules == "catalog" else 1 / 10 + 9 / 10 / w

    def product(t: np.ndarray) -> np.ndarray:
        return hidden * t + (1 - hidden) * (t - t * np.log(np.maximum(t, 1e-300)))

    def total(t: np.ndarray) -> np.ndarray:
        s = (t - 0.5) * 4
        one = np.clip((s + 1) / 2, 0, 1)
        two = np.where(s < 0, (s + 2) ** 2 / 8, 1 - (2 - s) ** 2 / 8)
        return hidden * one + (1 - hidden) * two

    cdf = product if kind == "multiplication" else total
    batch = task.sample(30_000, np.random.default_rng(8))
    assert_distribution(batch.targets.astype(float), cdf)
    rng = np.random.default_rng(9)
    drawn = [task.sequence(rng) for _ in range(8_000)]
    assert_distribution(np.array([s.target for s in drawn]), cdf)

    low = -1 if kind == "adding" else 0
    for position in (0, 5, 13):
        values = batch.inputs[:, position, 0].astype(float)
        assert_distribution(values, lambda v: (v - low) / (1 - low))


# -- closed forms of the task ------------------------------------------------------------------


def test_chance_level_has_the_published_values() -> None:
    catalog = MarkedPairs(rules="catalog", min_length=20, max_length=30)
    assert catalog.chance_mse == pytest.approx(7 / 144)
    figures = {
        0.0592: MarkedPairs(min_length=100, max_length=110),
        0.0629: MarkedPairs(min_length=30, max_length=33),
        0.0392: MarkedPairs("adding", min_length=100, max_length=110),
    }
    for figure, task in figures.items():
        assert round(task.chance_mse, 4) == figure
    hidden = Fraction(1, 10) + Fraction(9, 10) / 49
    assert MarkedPairs(min_length=100).hidden_share == pytest.approx(float(hidden), rel=1e-12)


@pytest.mark.parametrize("low", [12, 30, 100])
@pytest.mark.parametrize("rules", ["paper", "catalog"])
@pytest.mark.parametrize("kind", ["multiplication", "adding"])
def test_chance_level_agrees_with_monte_carlo(kind: Any, rules: Any, low: int) -> None:
    task = MarkedPairs(kind, rules, min_length=low, max_length=low + 3)
    n = 60_000
    batch = task.sample(n, np.random.default_rng(low))
    targets = batch.targets.astype(float)
    centred = targets - targets.mean()
    variance = np.mean(centred**2)
    noise = np.sqrt((np.mean(centred**4) - variance**2) / n)
    assert abs(task.chance_mse - variance) < 4 * noise
    assert abs(task.mean_target - targets.mean()) < 4 * np.sqrt(variance / n)
    share = np.mean(np.sum(batch.inputs[:, :, 1] == 1, axis=1) == 1)
    spread = math.sqrt(max(share * (1 - share), 1e-12) / n)
    assert abs(task.hidden_share - share) <= 4 * spread


@given(task=tasks(longest=60))
def test_windows_and_minimal_lag_are_the_tightest_that_hold(task: MarkedPairs) -> None:
    tables = {
        length: mark_probabilities(task.rules, length, task.min_length)
        for length in range(task.min_length, task.max_length + 1)
    }
    lag = min(length - 1 - max(pair) for length, table in tables.items() for pair in table)
    assert task.minimal_lag == lag
    firsts, seconds = ({pair[k] for table in tables.values() for pair in table} for k in (0, 1))
    windows = task.mark_windows
    assert (set(windows[0]), set(windows[1])) == (firsts, seconds)


def test_the_papers_minimal_lag_is_half_the_minimal_length() -> None:
    for length in (100, 500, 1000):
        assert (
            MarkedPairs(min_length=length, max_length=length * 11 // 10).minimal_lag == length / 2
        )


def test_at_length_fixes_both_ends() -> None:
    task = MarkedPairs("adding", "catalog", min_length=20, max_length=30)
    assert task.at_length(25) == MarkedPairs("adding", "catalog", min_length=25, max_length=25)


# -- the order in which random numbers are drawn -----------------------------------------------


def test_the_catalogues_order_drawn_by_hand() -> None:
    task = MarkedPairs(rules="catalog", min_length=20, max_length=30)
    batch = task.sample_in_order(6, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    length = int(rng.integers(20, 31))
    assert batch.lengths.tolist() == [length] * 6
    for row, target in zip(batch.inputs, batch.targets, strict=True):
        values = rng.uniform(0, 1, length)
        first = int(rng.integers(1, 10))
        second = int(rng.integers(10, max(11, length // 2)))
        assert visible(row) == [first, second]
        np.testing.assert_array_equal(row[:, 0], values.astype(np.float32))
        assert target == np.float32(values[first] * values[second])


def test_the_papers_order_drawn_by_hand() -> None:
    task = MarkedPairs("adding", "paper", min_length=40, max_length=44)
    batch = task.sample_in_order(30, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    length = int(rng.integers(40, 45))
    for row in batch.inputs:
        values = 2 * rng.uniform(0, 1, length) - 1
        first, k = int(rng.integers(10)), int(rng.integers(19))
        marks = {first, k if k < first else k + 1}
        assert visible(row) == sorted(marks - {0})
        np.testing.assert_array_equal(row[:, 0], values.astype(np.float32))


def test_a_block_drawn_by_hand() -> None:
    n, low, high = 50, 24, 30
    for rules in ("paper", "catalog"):
        task = MarkedPairs("multiplication", rules, min_length=low, max_length=high)
        batch = task.sample(n, np.random.default_rng(3))
        rng = np.random.default_rng(3)
        lengths = rng.integers(low, high + 1, size=n)
        first = rng.integers(1 if rules == "catalog" else 0, 10, size=n)
        if rules == "catalog":
            second = rng.integers(10, np.maximum(11, lengths // 2))
        else:
            second = rng.integers(0, low // 2 - 1, size=n)
            second = np.where(second >= first, second + 1, second)
        values = rng.random((n, 4), dtype=np.float32)  # of both marks, the first pair, the last
        streams = rng.integers(0, 2**64, size=(n, 3), dtype=np.uint64)
        np.testing.assert_array_equal(batch.lengths, lengths)
        for k in range(n):
            assert visible(batch.inputs[k]) == sorted({int(first[k]), int(second[k])} - {0})
            wanted = np.zeros(high, np.float32)
            wanted[: lengths[k]] = from_words(streams[k]).random(lengths[k], dtype=np.float32)
            wanted[[first[k], second[k], 0, lengths[k] - 1]] = values[k]
            np.testing.assert_array_equal(batch.inputs[k, :, 0], wanted)


def from_words(words: np.ndarray) -> np.random.Generator:
    """The stream of SFC64 that starts from three words."""
    bits = np.random.SFC64()
    state = {"state": np.array([*words, 1], np.uint64)}
    bits.state = {"bit_generator": "SFC64", "state": state, "has_uint32": 0, "uinteger": 0}
    return np.random.Generator(bits)


@given(task=tasks(), seed=st.integers(0, 2**32))
def test_the_same_stream_gives_the_same_bits_and_goes_on(task: MarkedPairs, seed: int) -> None:
    streams = [np.random.default_rng(seed) for _ in range(2)]
    batches: list[list[Batch]] = [[task.sample(3, rng) for _ in range(3)] for rng in streams]
    for ours, theirs in zip(*batches, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    for one, other in pairwise(batches[0]):
        assert not np.array_equal(one.inputs, other.inputs)


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "product"}, ["task", "'product'", "multiplication, adding"]),
        ({"kind": ["adding"]}, ["task", "['adding']", "multiplication, adding"]),
        ({"rules": "papers"}, ["rules", "'papers'", "paper, catalog"]),
        ({"min_length": 10}, ["min_length", "10", "at least 11"]),
        ({"rules": "catalog", "min_length": 11}, ["min_length", "11", "at least 12"]),
        ({"min_length": -3}, ["min_length", "-3", "at least 11"]),
        ({"min_length": 100, "max_length": 99}, ["max_length", "99", "at least", "100"]),
        ({"min_length": 50.0}, ["min_length", "50.0", "whole number"]),
        ({"min_length": True}, ["min_length", "True", "whole number"]),
        ({"max_length": "110"}, ["max_length", "'110'", "whole number"]),
        ({"max_length": None}, ["max_length", "None", "whole number"]),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(
    arguments: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ValueError, match=words[0]) as caught:
        MarkedPairs(**arguments)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("n", [0, -1])
def test_a_batch_of_no_sequences_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=rf"n must be a whole number from 1 .*, not {n}"):
        MarkedPairs().sample(n, np.random.default_rng(0))


@pytest.mark.parametrize("n", [0, -1])
def test_a_batch_in_order_of_no_sequences_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=rf"n must be .*{n}"):
        MarkedPairs().sample_in_order(n, np.random.default_rng(0))


@pytest.mark.parametrize("length", [0, 5, 50])
def test_a_length_that_cannot_hold_the_marks_is_refused(length: int) -> None:
    task = MarkedPairs(min_length=100, max_length=110)
    for seed in range(100):
        with pytest.raises(ValueError, match=rf"length .*{length}"):
            task.sequence(np.random.default_rng(seed), length)
