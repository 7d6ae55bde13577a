"""Stopping points that tests decide, and the paper's own protocols as recipes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import longlag
from longlag import words
from longlag.learning import engine as engines
from longlag.learning.judging import PIECE, measure
from longlag.learning.recipe import RECIPES, recipe
from longlag.learning.side_by_side import side_by_side
from longlag.learning.stopping import Fresh, Recent
from longlag.learning.streams import DECIDING, stream
from longlag.learning.training import Training
from longlag.runs import contents
from longlag.sweeps.slices import perform_slice
from longlag.sweeps.trial import UNFINISHED, trial
from longlag.tasks.reber import EmbeddedReber
from longlag.tasks.score import Score
from longlag.tasks.task import Batch

EASY: dict[str, Any] = {  # ends at both stopping points within some hundred sequences
    **{"min_length": 5, "test_every": 20, "test_set": 32, "test_size": 40},
    **{"max_sequences": 2000, "mean_error": 0.04},
}


def training(name: str = "paper-two-sequence", seed: int = 0, **changes: Any) -> Training:
    made = recipe(name, **{**EASY, **changes})
    return Training(made, seed, engines.choose("numpy"))


def finish(one: Training) -> Training:
    while one.stopped_by is None:
        one.advance()
    return one


def score(wrong: int, mae: float) -> Score:
    return Score(256, mae**2, mae, mae, wrong, 1.0)


# -- the rule alone -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrong", "mae", "met"),
    [
        ("paper-two-sequence", 1, 0.001, (False, False)),
        ("paper-two-sequence", 0, 0.01, (True, False)),
        ("paper-two-sequence", 0, 0.0099, (True, True)),
        ("paper-two-sequence-b", 6, 0.01, (False, False)),
        ("paper-two-sequence-b", 5, 0.04, (True, False)),
        ("paper-two-sequence-b", 5, 0.039, (True, True)),
        ("paper-two-sequence-c", 5, 0.015, (False,)),
        ("paper-two-sequence-c", 5, 0.0149, (True,)),
        ("paper-reber", 1, 0.0, (False,)),
        ("paper-reber", 0, 0.4, (True,)),
    ],
)
def test_what_the_papers_rules_ask_for(
    name: str, wrong: int, mae: float, met: tuple[bool, ...]
) -> None:
    rule = recipe(name).stop
    assert isinstance(rule, Fresh)
    assert rule.met(score(wrong, mae)) == met


def test_what_a_stop_asks_for_in_words() -> None:
    rule = Fresh(first_stop=6, last_stop=6, mean_error=0.04)
    assert rule.words(0) == "fewer than 6 wrong in a test"
    assert rule.words(1) == "fewer than 6 wrong in a test, mean error below 0.04"
    assert Fresh().words(0) == "none wrong in a test"
    assert Recent().words(1) == "fewer than 13 of the latest 2,000 wrong"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"first_stop": 3, "last_stop": 4}, "first_stop must be 0 or at least last_stop .4., not"),
        ({"test_every": 0}, "test_every must be a whole number from 1"),
        ({"rule": "minibatch"}, "stop fresh is for .* one by one: it needs rule online, not mini"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        recipe("paper-two-sequence", **changes)


# -- trainings that it ends -----------------------------------------------------------------------


def test_a_stop_is_the_first_test_that_is_good_enough() -> None:
    one = finish(training())
    first, last = one.stops
    assert one.stopped_by == "target"
    assert (first.n_seq, first.reached, last.n_seq, last.reached) == (1, True, 1, True)
    assert first.sequences < last.sequences == one.iteration
    # The same tests, made here from the states of a training that is watched.
    again, met = training(), {}
    while again.stopped_by is None:
        again.advance()
        at = again.iteration
        if at % 20 == 0:
            network, rng = again.network, stream(0, DECIDING, at)
            found = measure(network.predict, again.recipe.task, 32, rng)
            met[at] = (found.wrong == 0, found.wrong == 0 and found.mae < 0.04, found.mae)
    assert first.sequences == next(at for at, (one, _, _) in met.items() if one)
    assert last.sequences == next(at for at, (_, both, _) in met.items() if both)
    assert last.window_mae == met[last.sequences][2]
    assert one.score == last.fresh
    assert last.fresh.n == 40


def test_a_test_ends_soon_after_it_has_failed() -> None:
    rule, task, answered = Fresh(last_stop=5), recipe("paper-two-sequence").task, 0

    def predict(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        nonlocal answered
        answered += len(lengths)
        return np.zeros(len(lengths))  # half of them wrong

    own = (predict, task, rule.test_set, np.random.default_rng(0))
    part = measure(*own, failed=rule.failed, soon=True)
    assert rule.failed(part)
    assert answered == part.n == PIECE < rule.test_set
    answered = 0
    assert measure(*own, failed=lambda score: False, soon=True).n == answered == rule.test_set


def test_tests_are_no_training() -> None:
    often, rarely = (
        finish(training(test_every=every, max_sequences=100, last_stop=1, mean_error=1e-9))
        for every in (10, 50)
    )
    np.testing.assert_array_equal(often.learner.weights, rarely.learner.weights)
    assert often.stopped_by == rarely.stopped_by == "max_iterations"
    assert not often.stops[1].reached
    assert np.isnan(often.stops[1].window_mae)


def test_a_state_goes_on_to_the_same_bits() -> None:
    whole, part = finish(training()), training()
    for _ in range(3):
        part.advance()
    resumed = training()
    resumed.restore(part.state())
    assert repr(finish(resumed).stops) == repr(whole.stops)
    np.testing.assert_array_equal(resumed.learner.weights, whole.learner.weights)


def test_trials_side_by_side_are_trials_alone() -> None:
    together = [training(seed=seed) for seed in range(3)]
    for _ in side_by_side(together):
        pass
    assert repr(together[2].stops) == repr(finish(training(seed=2)).stops)


def test_slices_and_larger_budgets_come_to_the_same_row() -> None:
    one = trial("paper-two-sequence", 0, "numpy", **EASY)
    assert one.side_by_side
    work = {
        "recipe": one.recipe,
        "settings": one.settings,
        "engine": one.engine,
        "function": one.function,
    }
    short = trial("paper-two-sequence", 0, "numpy", **{**EASY, "max_sequences": 70})
    assert short.lineage == one.lineage
    (row,) = perform_slice({**work, "settings": short.settings}, [0], [None], 60)
    assert row["status"] == "max_iterations"
    slices = 0
    while row["status"] in ("max_iterations", UNFINISHED):
        (row,) = perform_slice(work, [0], [row["state"]], 0)
        slices += 1
    assert slices > 2
    wanted = finish(training())
    assert [stop["sequences"] for stop in row["stops"]] == [s.sequences for s in wanted.stops]
    assert row["score"] == wanted.run().score.as_dict()


def test_a_run_with_such_stops_is_written_and_read() -> None:
    run = finish(training()).run()
    told = json.loads(json.dumps(contents.describe(run)))
    assert contents.described(told)["stops"] == run.stops
    card = words.score_card(run, "run")  # type: ignore[arg-type]
    assert "none wrong in a test, mean error below 0.04" in card
    assert "error > 0.2, of 40 fresh" in card


# -- Experiment 1: fixed sets ---------------------------------------------------------------------


def test_all_of_both_fixed_sets_is_looked_at() -> None:
    task = EmbeddedReber(strings="training", max_symbols=40)
    sets = task.fixed_sets
    assert [len(batch.lengths) for batch in sets] == [256, 256]
    found = [{tuple(row) for row in batch.inputs.tolist()} for batch in sets]
    assert not found[0] & found[1]
    assert EmbeddedReber().fixed_sets == ()
    assert replace(task, strings="test").fixed_sets[0].inputs.tolist() == sets[0].inputs.tolist()


class Knows(engines.NumpyEngine):
    """An engine whose networks answer the sequences of the given batches, and these alone, without
    an error."""

    def __init__(self, *batches: Batch) -> None:
        self.truth: dict[bytes, np.ndarray] = {}
        for batch in batches:
            assert batch.truth is not None
            self.truth |= {
                row.tobytes(): t for row, t in zip(batch.inputs, batch.truth, strict=True)
            }

    def predict(self, network: Any, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        unknown = np.zeros((inputs.shape[1], 7))
        return np.stack([self.truth.get(row.tobytes(), unknown) for row in inputs]).astype(float)


@pytest.mark.parametrize(("known", "stops"), [((0, 1), True), ((0,), False), ((1,), False)])
def test_a_reber_trial_stops_where_both_sets_are_right(known: tuple[int, ...], stops: bool) -> None:
    made = recipe("paper-reber", max_symbols=40, test_every=5, max_sequences=10, test_size=5)
    engine = Knows(*(made.task.fixed_sets[k] for k in known))
    one = finish(Training(made, 0, engine))
    assert (one.stopped_by, one.iteration) == (("target", 5) if stops else ("max_iterations", 10))


# -- the paper's protocols ------------------------------------------------------------------------

# Weights, learning rate, and what of the initial weights the paper says.
PROTOCOLS = {
    "paper-reber": (276, 0.5, 0.2, "training"),
    "paper-long-lag": (10_504, 1.0, 0.2, "regular"),
    "paper-long-lag-b": (10_504, 1.0, 0.2, "random"),
    "paper-very-long-lag": (664, 0.01, 0.2, 100),
    "paper-two-sequence": (102, 1.0, 0.1, "a"),
    "paper-two-sequence-b": (102, 1.0, 0.1, "b"),
    "paper-two-sequence-c": (102, 0.1, 0.1, "c"),
    "paper-temporal-order": (156, 0.5, 0.1, 2),
    "paper-temporal-order-b": (308, 0.1, 0.1, 3),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_papers_networks_and_rates(name: str) -> None:
    weights, rate, spread, told = PROTOCOLS[name]
    made = recipe(name)
    start = made.learner(3).weights
    assert len(start) == weights
    assert made.rule.learning_rate == rate
    drawn = np.abs(start[start != np.round(start)])  # biases that are set are whole numbers
    assert 0.95 * spread < drawn.max() <= spread
    assert told in made.task.settings().values()
    settings = made.settings()
    assert [settings[n] for n in ("gradient", "output", "reads", "error", "max_sequences")] == [
        *("truncated", "sigmoid", "current", "squared", 3_000_000)
    ]


@pytest.mark.parametrize(
    ("name", "changes", "weights"),
    [
        ("paper-reber", {"blocks": 4, "block_size": 1}, 264),
        *(
            ("paper-very-long-lag", {"distractors": p, "lag": 1000}, n)
            for p, n in ((50, 364), (200, 1264), (500, 3064), (1000, 6064))
        ),
    ],
)
def test_the_papers_other_networks(name: str, changes: dict[str, Any], weights: int) -> None:
    made = recipe(name, **changes)
    assert made.network.size(made.task) == weights


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("paper-reber", None, (-1, -2, -3)),
        ("paper-two-sequence", (-1, -3, -5), (-2, -4, -6)),
        ("paper-temporal-order", (-2, -4), None),
        ("paper-temporal-order-b", (-2, -4, -6), None),
    ],
)
def test_the_papers_gate_biases(
    name: str, inputs: tuple[int, ...] | None, outputs: tuple[int, ...] | None
) -> None:
    made = recipe(name)
    network = made.network_of(made.learner(0).weights)
    biases = network.weights.W[network.cells :, -1].reshape(2, -1)
    for given, found in zip((inputs, outputs), biases, strict=True):
        if given is None:
            assert 0 < np.abs(found).min() <= np.abs(found).max() <= 0.2
        else:
            np.testing.assert_array_equal(found, given)
    assert np.any(network.read[:, -1]) == (made.network.settings()["biases"] == "all")


def test_the_papers_windows() -> None:
    windows = {
        name: (stop.window, stop.stops, stop.tolerance, stop.mean_error)
        for name, made in RECIPES.items()
        if name.startswith("paper-") and isinstance(stop := made.stop, Recent)
    }
    assert windows == {
        "paper-adding": (2000, (1,), 0.04, 0.01),
        "paper-long-lag": (10_000, (1,), 0.25, 1e9),
        "paper-long-lag-b": (10_000, (1,), 0.25, 1e9),
        "paper-very-long-lag": (10_000, (1,), 0.25, 1e9),
        "paper-temporal-order": (2000, (1,), 0.3, 0.1),
        "paper-temporal-order-b": (2000, (1,), 0.3, 0.1),
    }


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("paper-long-lag", {"lag": 4, "window": 100}),
        ("paper-temporal-order", {"min_length": 10, "window": 60, "mean_error": 0.2}),
    ],
)
def test_small_forms_of_the_protocols_are_solved(name: str, changes: dict[str, Any]) -> None:
    run = longlag.train(recipe(name, max_sequences=6000, test_size=200, **changes), engine="numpy")
    assert run.stopped_by == "target"
    assert run.score.wrong <= 4
