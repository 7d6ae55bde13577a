"""The embedded Reber grammar: its strings, their distribution, what can come next, fixed sets."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fits import assert_fits
from longlag.tasks.reber import SYMBOLS, EmbeddedReber
from longlag.tasks.registry import task as registered

# The inner grammar written down once more: node, symbol, node to which it leads.
WAYS = {
    1: {"T": 2, "P": 3}, 2: {"S": 2, "X": 4}, 3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6}, 5: {"P": 4, "V": 6},
}  # fmt: skip


def inner(longest: int) -> dict[str, Fraction]:
    """Every Reber string of so many symbols at most, with its probability."""
    found, open_ = {}, [("B", 1, Fraction(1))]
    while open_:
        string, node, p = open_.pop()
        for symbol, to in WAYS[node].items():
            if to == 6:
                found[string + symbol + "E"] = p / 2
            elif len(string) < longest - 2:
                open_.append((string + symbol, to, p / 2))
    return found


def embedded(low: int, high: int) -> dict[str, Fraction]:
    """Every embedded string of such lengths, with its probability among them."""
    found = {
        f"B{outer}{string}{outer}E": p / 2
        for outer in "TP"
        for string, p in inner(high - 4).items()
        if len(string) >= low - 4
    }
    return {string: p / sum(found.values()) for string, p in found.items()}


def next_symbols(string: str) -> list[set[str]]:
    """What can follow each symbol of a string, but the last."""
    node, found = 1, [{"T", "P"}, {"B"}, {"T", "P"}]
    for symbol in string[3:-3]:
        node = WAYS[node][symbol]
        found.append({"E"} if node == 6 else set(WAYS[node]))
    return [*found, {string[1]}, {"E"}]


def string_of(inputs: np.ndarray, target: np.ndarray) -> str:
    assert target.sum(axis=1).tolist() == [1] * len(inputs)
    follows = target.argmax(axis=1)
    assert inputs[1:].tolist() == follows[:-1].tolist()
    return "".join(SYMBOLS[s] for s in [*inputs, follows[-1]])


def check(inputs: np.ndarray, target: np.ndarray, truth: np.ndarray) -> str:
    """All that a sequence, cut to its length, can be checked for; its string."""
    string = string_of(inputs, target)
    said = [{SYMBOLS[k] for k in np.flatnonzero(row)} for row in truth]
    assert said == next_symbols(string)
    assert np.all(truth[target > 0])
    return string


@st.composite
def tasks(draw: st.DrawFn) -> EmbeddedReber:
    if draw(st.booleans()):
        low = draw(st.integers(9, 40))
        return EmbeddedReber(low, draw(st.integers(low, low + 40)))
    strings: Any = draw(st.sampled_from(["training", "test"]))
    return EmbeddedReber(strings=strings, string_set=draw(st.integers(0, 2)))


@given(task=tasks(), n=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_strings_of_both_forms_are_the_grammars(task: EmbeddedReber, n: int, seed: int) -> None:
    one = task.sequence(np.random.default_rng(seed))
    string = check(*one)
    assert task.min_symbols <= len(string) <= task.max_symbols
    assert task.string(one) == string
    assert task.explain(one) == f"{string}: {string[1]} is second, and so last but one"
    again = task.spelled(string)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    batch = task.sample(n, np.random.default_rng(seed))
    assert batch.truth is not None
    for inputs, length, target, truth in zip(*batch, batch.truth, strict=True):
        string = check(inputs[:length], target[:length], truth[:length])
        assert task.min_symbols <= len(string) <= task.max_symbols
        assert length - 2 >= task.minimal_lag
        for array in (inputs, target, truth):
            assert not array[length:].any()


@pytest.mark.parametrize(("low", "high"), [(9, 12), (11, 14), (13, 13)])
def test_both_forms_draw_the_strings_of_such_lengths_as_often_as_the_grammar(
    low: int, high: int
) -> None:
    task = EmbeddedReber(low, high)
    expected = {string: float(p) for string, p in embedded(low, high).items()}
    batch, rng = task.sample(20_000, np.random.default_rng(1)), np.random.default_rng(2)
    many = [string_of(x[:n], t[:n]) for x, n, t in zip(*batch, strict=True)]
    assert_fits(Counter(many), expected)
    ones = [string_of(s.inputs, s.target) for s in (task.sequence(rng) for _ in range(5_000))]
    assert_fits(Counter(ones), expected)
    if low < high:
        given_length = (task.sequence(rng, low - 1) for _ in range(2_000))
        shortest = {string: float(p) for string, p in embedded(low, low).items()}
        assert_fits(Counter(string_of(s.inputs, s.target) for s in given_length), shortest)


def test_chance_is_that_of_all_strings_by_hand() -> None:
    task, strings = EmbeddedReber(9, 13), embedded(9, 13)
    asked = {s: sum(p * string[1:].count(s) for string, p in strings.items()) for s in SYMBOLS}
    total = sum(asked.values())
    assert task.mean_length == pytest.approx(float(total))
    shares = [float(asked[s] / total) for s in SYMBOLS]
    np.testing.assert_allclose(task.mean_target, shares, rtol=1e-12)
    assert task.chance_mse == pytest.approx(sum(p * (1 - p) for p in shares) / 7)


def test_longer_strings_than_the_default_are_as_improbable_as_said() -> None:
    """By the probabilities of all lengths: 11.0 symbols are asked for on average, and one string
    in nine million is longer than 60."""
    at, over = dict.fromkeys(WAYS, 0.0) | {1: 1.0}, 1.0
    for _ in range(60 - 6):  # two symbols come before node 1's B and three after, with B itself
        new = dict.fromkeys(WAYS, 0.0)
        for node, p in at.items():
            for to in WAYS[node].values():
                if to == 6:
                    over -= p / 2
                else:
                    new[to] += p / 2
        at = new
    assert 1 / over == pytest.approx(9e6, rel=0.03)
    assert EmbeddedReber().mean_length == pytest.approx(11, abs=1e-5)


@pytest.mark.parametrize("length", [2864, 6000])
def test_a_string_may_have_a_length_of_vanishing_probability(length: int) -> None:
    """Its probability is below the smallest number: those of its symbols are not."""
    task = EmbeddedReber(max_symbols=length + 1)
    one = task.sequence(np.random.default_rng(0), length)
    string = "".join(SYMBOLS[k] for k in one.inputs) + "E"
    assert len(one.inputs) == length
    assert np.array_equal(task.spelled(string).inputs, one.inputs)


def test_right_is_where_all_that_can_come_is_most_active() -> None:
    task = EmbeddedReber()
    batch = task.batch([task.spelled("BTBPVPSETE")] * 6)
    assert batch.truth is not None
    answers = np.where(batch.truth, 0.4, 0.3)
    answers[1] = 1 - answers[1]
    answers[2, 4] = [0.1, 0.1, 0.1, 0.1, 0.9, 0.2, 0.1]  # after V: P or V, both above the rest
    answers[3, 4] = [0.1, 0.15, 0.1, 0.1, 0.9, 0.14, 0.1]
    answers[4] = 0.5
    answers[5, 8, 6] = np.nan
    assert task.correct(answers, batch).tolist() == [True, False, True, False, False, False]
    assert not task.correct(batch.targets, batch).any(), "P alone after V is not enough"


@pytest.mark.parametrize("seed", [0, 1, 2, 2**31 - 1])
def test_no_string_of_the_test_set_is_in_the_training_set(seed: int) -> None:
    training = EmbeddedReber(strings="training", string_set=seed)
    sets = [set(training.fixed_set()), set(training.tested.fixed_set())]
    assert [len(one) for one in sets] == [256, 256]
    assert not sets[0] & sets[1]
    assert training.tested.tested == training.tested
    assert EmbeddedReber(strings="training", string_set=seed).fixed_set() == training.fixed_set()


def test_sets_are_those_of_their_seed_and_drawn_from_evenly() -> None:
    task = EmbeddedReber(strings="training", string_set=3)
    other = EmbeddedReber(strings="training", string_set=4)
    assert task.fixed_set() != other.fixed_set()
    batch = task.sample(50_000, np.random.default_rng(0))
    many = Counter(string_of(x[:n], t[:n]) for x, n, t in zip(*batch, strict=True))
    assert_fits(many, task.fixed_set())
    rng = np.random.default_rng(1)
    assert_fits(Counter(task.string(task.sequence(rng)) for _ in range(9_000)), task.fixed_set())
    assert EmbeddedReber().tested == EmbeddedReber()


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("string", "says"),
    [
        ("BTBTXSETZ", "^symbols must be of BTSXPVE, not 'Z'$"),
        ("BTBtXSETE", "^symbols must be of BTSXPVE, not 't'$"),
        ("TBTXSETE", "^after '' the grammar has B, not 'T'$"),
        ("BTBTXSEPE", "^after 'BTBTXSE' the grammar has T, not 'P'$"),
        ("BTBTVSETE", "^after 'BTBT' the grammar has S or X, not 'V'$"),
        ("BTBTXSETEB", "^after 'BTBTXSETE' the grammar has nothing, not 'B'$"),
        ("BTBTXS", "^a string must go on to the grammar's end, not stop after 'BTBTXS'$"),
        ("", "^a string must go on to the grammar's end, not stop after ''$"),
    ],
)
def test_a_string_that_the_grammar_does_not_have_is_refused(string: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EmbeddedReber().spelled(string)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"min_symbols": 8}, "^min_symbols must be a whole number from 9 to 10,000, not 8$"),
        ({"min_symbols": 70}, r"^max_symbols must be at least min_symbols \(70\), not 60$"),
        ({"max_symbols": 9, "strings": "training"}, "^two sets of 256 strings need more .* 9 to 9"),
        ({"strings": "tset"}, "^strings must be one of fresh, training, test, not 'tset'$"),
        ({"min_length": 50}, "^reber has no setting 'min_length'; known are min_symbols"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        registered("reber", **settings)


def test_a_length_that_a_set_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no string of the training set has 59 steps$"):
        EmbeddedReber(strings="training").sequence(np.random.default_rng(0), 59)


def test_fresh_strings_are_no_fixed_set() -> None:
    with pytest.raises(ValueError, match=r"^strings must be training or test .*, not fresh$"):
        EmbeddedReber().fixed_set()
