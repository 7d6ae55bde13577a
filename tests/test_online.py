"""On-line trials: the same bits in any company, the stopping rule, resumption, divergence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longlag.kernel import load_kernel
from longlag.learning import side_by_side as online
from longlag.learning.recipe import ONLINE_RECIPES, OnlineRecipe, recipe
from longlag.learning.side_by_side import NumpyOnline, State, Trials
from longlag.networks.lstm1997 import flatten

NATIVE = load_kernel() is not None
needs_kernel = pytest.mark.skipif(not NATIVE, reason="the kernel was not built")
ENGINES = ["numpy", pytest.param("native", marks=needs_kernel)]


def small(**changes: Any) -> OnlineRecipe:
    """Short sequences; stops early, since its window is short and its rule is easy."""
    easy = {"min_length": 12, "window": 40, "first_stop": 34, "last_stop": 30, "tolerance": 0.1}
    return recipe("paper", **{**easy, "max_sequences": 1500, "test_size": 50, **changes})


def trained(r: OnlineRecipe, seeds: Any, name: str = "auto", threads: int = 1) -> Trials:
    trials = Trials(r, list(seeds), online.choose(name), threads)
    trials.run()
    return trials


def assert_same(one: Trials, row: int, other: Trials, other_row: int) -> None:
    for name, a, b in zip(State._fields, one.arrays, other.arrays, strict=True):
        np.testing.assert_array_equal(a[row], b[other_row], err_msg=name)
    assert one.diverged[row] == other.diverged[other_row]


@pytest.mark.parametrize("name", list(ONLINE_RECIPES))
@pytest.mark.parametrize("who", ENGINES)
def test_every_online_recipe_learns_and_is_judged(name: str, who: str) -> None:
    trials = trained(recipe(name, max_sequences=10, min_length=20), range(2), who)
    for trial in trials.results():
        assert (trial.ended_by, trial.sequences) == ("max_sequences", 10)
        assert not trial.stops[-1].reached
        assert trial.stops[-1].fresh.n == 2560
        assert 0 < trial.stops[-1].fresh.rmse < 1
        assert np.isnan(trial.stops[-1].window_mse)


# -- a trial's bits ----------------------------------------------------------------------------


@needs_kernel
@settings(max_examples=8, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 50), min_size=1, max_size=40, unique=True),
    threads=st.integers(1, 3),
)
def test_a_trial_is_the_same_in_any_company(seeds: list[int], threads: int) -> None:
    # More trials than lanes: some of them wait, and start when others have stopped.
    r = small()
    together = trained(r, seeds, threads=threads)
    alone = trained(r, seeds[-1:])
    assert_same(together, len(seeds) - 1, alone, 0)


@needs_kernel
def test_waiting_trials_take_the_lanes_of_those_that_stop() -> None:
    r = small()
    trials = Trials(r, range(40), online.choose(), 1)
    most = 0
    with ThreadPoolExecutor(1) as pool:
        while not trials.finished:
            before = trials.arrays.seen.copy()
            trials.advance(pool)
            most = max(most, int(np.sum(trials.arrays.seen > before)))
    assert most == 16
    assert len(set(trials.arrays.seen.tolist())) > 5, "they stopped at different times"
    reached = trials.arrays.stops[:, -1] >= 0
    assert reached.any()
    assert np.all(reached | (trials.arrays.seen == r.max_sequences))


@pytest.mark.parametrize("who", ENGINES)
def test_a_restored_state_goes_on_to_the_same_bits(who: str) -> None:
    r = small(max_sequences=700)
    whole = trained(r, range(3), who)
    part = Trials(r, range(3), online.choose(who), 2)
    with ThreadPoolExecutor(2) as pool:
        part.advance(pool)
    resumed = Trials(r, [1, 2, 7], online.choose(who), 1)
    resumed.restore(part.state())
    resumed.run()
    assert_same(whole, 1, resumed, 0)
    assert_same(whole, 2, resumed, 1)
    assert_same(trained(r, [7], who), 0, resumed, 2)


@needs_kernel
def test_a_larger_budget_goes_on_from_a_smaller_one() -> None:
    short, long = small(max_sequences=300), small(max_sequences=777)
    first = trained(short, range(4))
    second = Trials(long, range(4), online.choose(), 2)
    second.restore(first.state())
    second.run()
    whole = trained(long, range(4))
    for row in range(4):
        assert_same(second, row, whole, row)


def test_a_state_of_another_network_is_refused() -> None:
    trials = Trials(small(blocks=1), [0], online.choose(), 1)
    with pytest.raises(ValueError, match="weights of shape"):
        trials.restore(Trials(small(), [0], online.choose(), 1).state())


# -- the stopping rule -------------------------------------------------------------------------


def stops_by_hand(r: OnlineRecipe, seed: int) -> tuple[list[int], list[np.ndarray], list[float]]:
    """The rule in plain Python, over the reference network in float32."""
    weights, errors = r.initial(seed), []
    stops, kept, squares = [-1] * len(r.stops), [weights] * len(r.stops), [0.0] * len(r.stops)
    for k in range(r.max_sequences):
        inputs, lengths, targets = (a[k % r.block] for a in r.training_data(seed, k // r.block))
        network, sequence = r.network_of(weights), inputs[:lengths]
        errors.append(float(network.predict(sequence[None])[0] - targets))
        gradient = flatten(network.truncated_gradient_backward(sequence, targets))
        weights = weights - np.float32(r.rate) * gradient
        last = errors[-r.window :]
        if len(last) == r.window and (k + 1) % r.check_every == 0:
            count = sum(abs(e) > r.tolerance for e in last)
            mean = sum(map(abs, last)) / r.window
            for s, n_seq in enumerate(r.stops):
                if stops[s] < 0 and count < n_seq and mean < r.mean_error:
                    stops[s], kept[s] = k + 1, weights
                    squares[s] = sum(e * e for e in last) / r.window
        if stops[-1] >= 0:
            break
    return stops, kept, squares


@pytest.mark.parametrize("who", ENGINES)
@pytest.mark.parametrize("changes", [{}, {"check_every": 7}, {"mean_error": 0.19}])
def test_trials_stop_as_the_rule_says(who: str, changes: dict[str, Any]) -> None:
    r = small(max_sequences=400, **changes)
    trials = trained(r, range(4), who)
    any_reached = False
    for row in range(4):
        stops, weights, squares = stops_by_hand(r, row)
        assert trials.arrays.stops[row].tolist() == stops
        for s in range(2):
            if stops[s] >= 0:
                any_reached = True
                kept = trials.arrays.stop_weights[row, s]
                np.testing.assert_allclose(kept, weights[s], rtol=1e-4, atol=1e-5)
                mse = trials.arrays.stop_errors[row, s, 0]
                assert mse == pytest.approx(squares[s], rel=1e-3)
    assert any_reached


@needs_kernel
@pytest.mark.parametrize("variant", [{}, {"gradient": "full"}, {"reads": "current"}])
def test_the_reference_learns_as_the_kernel_does(variant: dict[str, Any]) -> None:
    r = small(max_sequences=150, first_mark="shown", error="halved", **variant)
    native, reference = trained(r, range(2), "native"), trained(r, range(2), "numpy")
    pairs = zip(native.arrays.weights, reference.arrays.weights, strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert np.abs(native.arrays.weights - r.initial(0)).max() > 1e-3, "something was learned"
    np.testing.assert_array_equal(native.arrays.seen, reference.arrays.seen)
    one, other = native.results()[0], reference.results()[0]
    assert one.stops[-1].fresh.rmse == pytest.approx(other.stops[-1].fresh.rmse, rel=1e-3)


def test_results_come_from_the_weights_of_the_stop() -> None:
    trials = trained(small(), range(6))
    for row, trial in enumerate(trials.results()):
        for s, stop in enumerate(trial.stops):
            assert stop.reached == (trials.arrays.stops[row, s] >= 0)
            chosen = trials.arrays.stop_weights[row, s] if stop.reached else None
            vector = trials.arrays.weights[row] if chosen is None else chosen
            fresh = trials.recipe.test_data(row, s)
            answers = trials.recipe.network_of(vector.astype(np.float64)).predict(
                fresh.inputs.astype(np.float64), fresh.lengths
            )
            mse = np.mean((answers - fresh.targets) ** 2)
            assert stop.fresh.mse == pytest.approx(mse, rel=1e-4)


# -- divergence and bad input ------------------------------------------------------------------


@pytest.mark.parametrize("who", ENGINES)
def test_a_trial_that_diverges_is_a_result(who: str) -> None:
    r = small(max_sequences=60, learning_rate=1000)
    trials = Trials(r, range(3), online.choose(who), 1)
    # Cells without input: the answer is 1/2, and the first one's error is huge.
    trials.arrays.weights[1] = 0
    trials.arrays.weights[1, -5] = 1e38
    trials.run()
    ended = [trial.ended_by for trial in trials.results()]
    assert ended[1] == "diverged"
    assert "diverged" not in (ended[0], ended[2])
    assert trials.arrays.seen[1] < 60
    assert_same(trials, 0, trained(r, [0], who), 0)


@pytest.mark.parametrize("seeds", [[-1], [2**63], [True]])
def test_bad_seeds_are_refused(seeds: Any) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number"):
        Trials(small(), seeds, NumpyOnline(), 1)


def test_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="threads must be a whole number from 1 to 1,024, not 0"):
        Trials(small(), [0], NumpyOnline(), 0)
