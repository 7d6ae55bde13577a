"""On-line trials: the same bits in any company, the stopping rule, resumption, divergence."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longlag.kernel import load_kernel
from longlag.learning.engine import choose
from longlag.learning.recipe import RECIPES, Recipe, recipe
from longlag.learning.rules import OnLine
from longlag.learning.side_by_side import Trials, side_by_side
from longlag.learning.streams import stream
from longlag.learning.training import Training
from longlag.networks.network import flatten

NATIVE = load_kernel() is not None
needs_kernel = pytest.mark.skipif(not NATIVE, reason="the kernel was not built")
ENGINES = ["numpy", pytest.param("native", marks=needs_kernel)]
ONLINE = [name for name, r in RECIPES.items() if isinstance(r.rule, OnLine)]
TRAINING, TEST = 1, 2  # spawn keys of a trial's streams


def small(**changes: Any) -> Recipe:
    """Short sequences; stops early, since its window is short and its rule is easy."""
    easy = {"min_length": 12, "window": 40, "first_stop": 34, "last_stop": 30, "tolerance": 0.1}
    return recipe("paper", **{**easy, "max_sequences": 1500, "test_size": 50, **changes})


def begun(r: Recipe, seeds: Iterable[int], who: str = "auto") -> list[Training]:
    engine = choose(who, recipe=r)
    return [Training(r, seed, engine) for seed in seeds]


def trained(r: Recipe, seeds: Iterable[int], who: str = "auto", threads: int = 1) -> list[Training]:
    trainings = begun(r, seeds, who)
    for _ in side_by_side(trainings, threads):
        pass
    return trainings


def assert_same(one: Training, other: Training) -> None:
    """Everything but the time, to the bit."""
    assert (one.seed, one.recipe, one.stopped_by) == (other.seed, other.recipe, other.stopped_by)
    assert repr(one.stops) == repr(other.stops)  # a NaN is itself here
    assert list(one.snapshots) == list(other.snapshots)
    mine, theirs = one.state(), other.state()
    assert mine.keys() == theirs.keys()
    for name in mine.keys() - {"elapsed_sec"}:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


@pytest.mark.parametrize("name", ONLINE)
@pytest.mark.parametrize("who", ENGINES)
def test_every_online_recipe_learns_and_is_judged(name: str, who: str) -> None:
    made = recipe(name, max_sequences=10, test_size=64)
    short = {"min_length": 20, "lag": 8, "distractors": 5, "max_symbols": 40, "test_every": 5}
    made = made.with_settings({k: v for k, v in short.items() if k in made.settings()})
    for one in trained(made, range(2), who):
        assert (one.stopped_by, one.iteration) == ("max_iterations", 10)
        assert not one.stops[-1].reached
        assert one.stops[-1].fresh.n == 64
        assert 0 < one.stops[-1].fresh.rmse < 1
        assert np.isnan(one.stops[-1].window_mse)


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
    (alone,) = trained(r, seeds[-1:])
    assert_same(together[-1], alone)


@needs_kernel
def test_waiting_trials_take_the_lanes_of_those_that_stop() -> None:
    r = small()
    trainings = begun(r, range(40))
    most, before = 0, np.zeros(40)
    for _ in side_by_side(trainings):
        now = np.array([one.iteration for one in trainings])
        most, before = max(most, int(np.sum(now > before))), now
    assert most == 16
    assert len(set(before.tolist())) > 5, "they stopped at different times"
    reached = np.array([one.learner.stops[-1] >= 0 for one in trainings])
    assert reached.any()
    assert np.all(reached | (before == r.rule.budget))


@pytest.mark.parametrize("who", ENGINES)
def test_a_restored_state_goes_on_to_the_same_bits(who: str) -> None:
    r = small(max_sequences=700)
    whole = trained(r, range(3), who)
    part = begun(r, range(3), who)
    next(side_by_side(part, 2))
    resumed = begun(r, [1, 2, 7], who)
    for one, seed in zip(resumed[:2], (1, 2), strict=True):
        one.restore(part[seed].state())
    for _ in side_by_side(resumed):
        pass
    assert_same(whole[1], resumed[0])
    assert_same(whole[2], resumed[1])
    assert_same(trained(r, [7], who)[0], resumed[2])


@pytest.mark.parametrize("who", ENGINES)
def test_trials_are_trainings_side_by_side(who: str) -> None:
    r = small(max_sequences=700)
    trials = Trials(r, [1, 2, 7], who, 2)
    assert trials.left == 3
    for _ in trials.rounds():
        pass
    assert trials.left == 0
    for one, wanted in zip(trials.trainings, trained(r, [1, 2, 7], who), strict=True):
        assert_same(one, wanted)
    assert [run.seed for run in trials.runs()] == [1, 2, 7]


def test_a_state_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^weights must be float32 of 1 axes, not .*\(93,\)"):
        begun(small(blocks=1), [0])[0].restore(begun(small(), [0])[0].state())


def test_a_state_of_another_window_is_refused() -> None:
    state = begun(small(window=41), [0])[0].state()
    with pytest.raises(ValueError, match=r"^recent must be float32 of 1 axes, not .*\(41,\)"):
        begun(small(), [0])[0].restore(state)


# -- the stopping rule -------------------------------------------------------------------------


@functools.cache
def stops_by_hand(r: Recipe, seed: int) -> tuple[list[int], list[np.ndarray], list[float]]:
    """The rule in plain Python, over the reference network in float32."""
    settings: Any = r.settings()
    thresholds = (settings["first_stop"], settings["last_stop"])
    window, block = settings["window"], r.learner(seed).block
    weights, errors = r.learner(seed).weights, []
    stops, kept, squares = [-1] * 2, [weights] * 2, [0.0] * 2
    for k in range(settings["max_sequences"]):
        if k % block == 0:
            data = r.task.sample(block, stream(seed, TRAINING, k // block))
        inputs, length, target = (a[k % block] for a in data)
        network, x = r.network_of(weights), inputs[None, :length]
        errors.append(float(network.predict(x)[0] - target))
        _, gradient = network.gradient(x, np.array([length]), np.array([target]))
        weights = weights - np.float32(settings["learning_rate"]) * flatten(gradient)
        last = errors[-window:]
        if len(last) == window and (k + 1) % settings["check_every"] == 0:
            count = sum(abs(e) > settings["tolerance"] for e in last)
            mean = sum(map(abs, last)) / window
            for s, n_seq in enumerate(thresholds):
                if stops[s] < 0 and count < n_seq and mean < settings["mean_error"]:
                    stops[s], kept[s] = k + 1, weights
                    squares[s] = sum(e * e for e in last) / window
        if stops[-1] >= 0:
            break
    return stops, kept, squares


@pytest.mark.parametrize("who", ENGINES)
@pytest.mark.parametrize("changes", [{}, {"check_every": 7}, {"mean_error": 0.19}])
def test_trials_stop_as_the_rule_says(who: str, changes: dict[str, Any]) -> None:
    r = small(max_sequences=400, **changes)
    any_reached = False
    for seed, one in enumerate(trained(r, range(4), who)):
        stops, weights, squares = stops_by_hand(r, seed)
        learner = one.learner
        assert learner.stops.tolist() == stops
        for s in range(2):
            if stops[s] >= 0:
                any_reached = True
                kept = learner.stop_weights[s]
                np.testing.assert_allclose(kept, weights[s], rtol=1e-4, atol=1e-5)
                assert learner.stop_errors[s, 0] == pytest.approx(squares[s], rel=1e-3)
                assert one.stops[s].window_mse == learner.stop_errors[s, 0]
    assert any_reached


@needs_kernel
@pytest.mark.parametrize("variant", [{}, {"gradient": "full"}, {"reads": "current"}])
def test_the_reference_learns_as_the_kernel_does(variant: dict[str, Any]) -> None:
    r = small(max_sequences=150, first_mark="shown", error="halved", **variant)
    native, reference = trained(r, range(2), "native"), trained(r, range(2), "numpy")
    for one, other in zip(native, reference, strict=True):
        np.testing.assert_allclose(one.learner.weights, other.learner.weights, rtol=1e-4, atol=1e-5)
        start = r.learner(one.seed).weights
        assert np.abs(one.learner.weights - start).max() > 1e-3, "something was learned"
        assert one.iteration == other.iteration
    one, other = native[0].stops[-1], reference[0].stops[-1]
    assert one.fresh.rmse == pytest.approx(other.fresh.rmse, rel=1e-3)


def test_results_come_from_the_weights_of_the_stop() -> None:
    for one in trained(small(), range(6)):
        run, learner = one.run(), one.learner
        for s, stop in enumerate(run.stops):
            assert stop.reached == (learner.stops[s] >= 0)
            vector = learner.stop_weights[s] if stop.reached else learner.weights
            fresh = run.recipe.task.sample(50, stream(one.seed, TEST, s))
            answers = run.recipe.network_of(vector.astype(np.float64)).predict(
                fresh.inputs.astype(np.float64), fresh.lengths
            )
            mse = np.mean((answers - fresh.targets) ** 2)
            assert stop.fresh.mse == pytest.approx(mse, rel=1e-4)


# -- divergence and bad input ------------------------------------------------------------------


@pytest.mark.parametrize("who", ENGINES)
def test_a_trial_that_diverges_is_a_result(who: str) -> None:
    r = small(max_sequences=60, learning_rate=1000)
    trainings = begun(r, range(3), who)
    # Cells without input: the answer is 1/2, and the first one's error is huge.
    trainings[1].learner.weights[:] = 0
    trainings[1].learner.weights[-5] = 1e38
    for _ in side_by_side(trainings):
        pass
    ended = [one.stopped_by for one in trainings]
    assert ended[1] == "diverged"
    assert "diverged" not in (ended[0], ended[2])
    assert trainings[1].iteration < 60
    assert_same(trainings[0], trained(r, [0], who)[0])
    assert not trainings[1].run().stops[-1].reached


@pytest.mark.parametrize("seeds", [[-1], [2**63], [True]])
def test_bad_seeds_are_refused(seeds: Any) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number"):
        begun(small(), seeds)
    with pytest.raises(ValueError, match="seed must be a whole number"):
        Trials(small(), seeds)


def test_no_threads_are_refused() -> None:
    says = "threads must be a whole number from 1 to 1,024, not 0"
    with pytest.raises(ValueError, match=says):
        next(side_by_side(begun(small(), [0]), 0))
    with pytest.raises(ValueError, match=says):
        Trials(small(), [0], threads=0)
