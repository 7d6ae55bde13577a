"""Copy, memorization and random permutation: every rule, in both forms of drawing."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fits import assert_fits, both_forms
from longlag.tasks.copy import Copy
from longlag.tasks.memorization import Memorization
from longlag.tasks.permutation import Permutation
from longlag.tasks.recalled import Recalled
from longlag.tasks.registry import task as registered
from longlag.tasks.task import Batch

seeds = st.integers(0, 2**32)
counting: st.SearchStrategy[Any] = st.sampled_from(["every", "recall"])


@st.composite
def recalls(draw: st.DrawFn) -> Recalled:
    lag, counts = draw(st.integers(1, 40)), draw(counting)
    if draw(st.booleans()):
        return Copy(lag=lag, counts=counts)
    return Memorization(
        lag=lag, counts=counts, pattern_of=draw(st.sampled_from(["bits", "values"]))
    )


def both(task: Any, n: int, seed: int) -> list[Batch]:
    """One sequence as a batch, and n."""
    one = task.batch([task.sequence(np.random.default_rng(seed))])
    return [one, task.sample(n, np.random.default_rng(seed))]


@given(task=recalls(), n=st.integers(1, 5), seed=seeds)
def test_a_pattern_comes_and_is_asked_for_again(task: Recalled, n: int, seed: int) -> None:
    """The rules of the public code, written down once more."""
    T = task.lag
    if isinstance(task, Copy):
        size, A, blanks = 10, 8, T - 1
    else:
        size, A = {"bits": (5, 2), "values": (10, 5)}[str(task.settings()["pattern_of"])]
        blanks = T
    assert (task.inputs, task.outputs, task.max_length) == (A + 2, A + 1, T + 2 * size)
    for batch in both(task, n, seed):
        for inputs, target in zip(batch.inputs, batch.targets, strict=True):
            pattern, asked = inputs[:size], target.argmax(axis=1)
            assert np.all(pattern < A)
            after = [A] * blanks + [A + 1]
            after += [A] * (T + 2 * size - size - len(after))
            assert inputs[size:].tolist() == after
            assert asked.tolist() == [A] * (T + size) + pattern.tolist()
            assert target.sum(axis=1).tolist() == [1] * len(inputs)
        counted = np.arange(T + 2 * size) >= (T + size if task.counts == "recall" else 0)
        assert batch.counted is None or np.all(batch.counted == counted)
        assert batch.counted is not None or task.counts == "every"
        assert task.target_count(batch) == len(batch.inputs) * counted.sum() * (A + 1)


@pytest.mark.parametrize("task", [Copy(lag=2), Memorization(lag=2, pattern_of="values")])
def test_all_patterns_are_equally_likely(task: Recalled) -> None:
    size, A = task.pattern
    for many in both_forms(task):
        for a, b in itertools.pairwise(range(size)):
            pairs = Counter((int(x[a]), int(x[b])) for x, _ in many)
            assert_fits(pairs, list(itertools.product(range(A), repeat=2)))
    for many in both_forms(Memorization(lag=1)):
        patterns = Counter(tuple(x[:5].tolist()) for x, _ in many)
        assert_fits(patterns, list(itertools.product((0, 1), repeat=5)))


@pytest.mark.parametrize("task", [Copy(lag=3), Memorization(lag=3), Permutation(lag=23)])
def test_right_is_where_the_right_symbol_is_most_active(task: Any) -> None:
    T = task.max_length
    batch = task.sample(5, np.random.default_rng(0))
    answers = 0.1 * batch.targets.astype(float)
    answers[1, 0] = 0  # at the first step nothing is said
    answers[2, T - 1] = 0
    answers[3, T - 1, batch.targets[3, T - 1] == 0] = 0.2
    answers[4, T - 1, 0] = np.nan
    alone = task.with_settings({"counts": "recall"})
    late = task.name == "permutation"  # of which the last step alone is judged
    assert task.correct(answers, batch).tolist() == [True, late, False, False, False]
    recalled = alone.sample(5, np.random.default_rng(0))
    np.testing.assert_array_equal(recalled.inputs, batch.inputs)
    assert alone.correct(answers, recalled).tolist() == [True, True, False, False, False]


def test_chance_in_the_recall_alone() -> None:
    assert Copy(counts="recall").chance_correct == 8.0**-10
    assert Memorization(counts="recall").chance_correct == 1 / 32
    assert Copy(counts="recall").chance_mse == pytest.approx(8 * (1 / 8) * (7 / 8) / 9)
    assert Copy(lag=180).mean_target[-1] == pytest.approx(0.95)


# -- random permutation ---------------------------------------------------------------------------


permutations = st.builds(
    Permutation, lag=st.integers(2, 40), alphabet=st.integers(3, 9), counts=counting
)


@given(task=permutations, n=st.integers(1, 5), seed=seeds)
def test_permutation_obeys_the_rules(task: Permutation, n: int, seed: int) -> None:
    lag, size, counts = task.lag, task.alphabet, task.counts
    assert (task.inputs, task.outputs, task.max_length) == (size, size, lag)
    for batch in both(task, n, seed):
        for inputs, target in zip(batch.inputs, batch.targets, strict=True):
            assert inputs[0] in (0, 1)
            assert np.all(inputs[1:] >= 2)
            assert np.all(inputs < size)
            assert target.argmax(axis=1).tolist() == [*inputs[1:], inputs[0]]
            assert target.sum(axis=1).tolist() == [1] * lag
        counted = np.arange(lag) >= (lag - 1 if counts == "recall" else 0)
        assert batch.counted is None or np.all(batch.counted == counted)


def test_permutation_draws_both_forms_alike() -> None:
    for many in both_forms(Permutation(lag=3, alphabet=5)):
        drawn = Counter(tuple(x.tolist()) for x, _ in many)
        assert_fits(drawn, list(itertools.product((0, 1), (2, 3, 4), (2, 3, 4))))


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("copy", {"lag": 0}, "^lag must be a whole number from 1 to 100,000, not 0$"),
        ("copy", {"counts": "last"}, "^counts must be one of every, recall, not 'last'$"),
        ("copy", {"min_length": 50}, "^copy has no setting 'min_length'; known are lag, counts$"),
        ("memorization", {"pattern_of": "20"}, "^pattern_of must be one of bits, values, not '20'"),
        ("memorization", {"lag": 2.5}, r"^lag must be a whole number from 1 to 100,000, not 2\.5$"),
        ("permutation", {"lag": 1}, "^lag must be a whole number from 2 to 100,000, not 1$"),
        (
            "permutation",
            {"alphabet": 2},
            "^alphabet must be a whole number from 3 to 10,000, not 2",
        ),
    ],
)
def test_bad_settings_are_named(name: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        registered(name, **settings)
    assert "\n" not in str(caught.value)
