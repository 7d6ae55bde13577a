"""Trials in slices: the bits of trials that were never interrupted."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from longlag import files
from longlag.kernel import load_kernel
from longlag.learning.native import NativeEngine
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.training import begin
from longlag.sweeps.ledger import check_row
from longlag.sweeps.slices import perform_slice, restore
from longlag.sweeps.trial import perform, stops_of, train, trial

ENGINES = ["numpy"] if load_kernel() is None else ["numpy", "native"]
PASSING = ("seconds", "started", "ended", "state")
SEEDS = range(12, 15)


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial takes many."""
    monkeypatch.setattr(NativeEngine, "most", 64)


def small(**changes: Any) -> Recipe:
    """A trial of some hundred short sequences, of which some stop."""
    easy = {"min_length": 12, "window": 40, "first_stop": 34, "last_stop": 26, "tolerance": 0.1}
    return recipe("paper", **{**easy, "max_sequences": 700, "test_size": 20, **changes})


def work(made: Recipe, engine: str) -> dict[str, Any]:
    return {"recipe": made.name, "settings": made.settings(), "engine": engine, "function": ""}


def carried_on(
    made: Recipe, engine: str, states: list[bytes | None], slices_: int | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Trials taken on by slices of a round each, to their ends or so many; rows, and slices."""
    asked, rows, count = work(made, engine), {}, 0
    left = dict(zip(SEEDS, states, strict=True))
    while left and count != slices_:
        for row in perform_slice(asked, list(left), list(left.values()), 0.0):
            rows[row["seed"]] = row
        left = {k: row["state"] for k, row in rows.items() if row["status"] == "unfinished"}
        count += 1
    return [rows[seed] for seed in SEEDS], count


def plain(row: dict[str, Any]) -> str:
    """What a row tells, but for times; a NaN is itself here."""
    return json.dumps({k: v for k, v in row.items() if k not in PASSING}, sort_keys=True)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.long
def test_slices_end_where_a_whole_trial_does(engine: str) -> None:
    made = small()
    rows, count = carried_on(made, engine, [None] * 3)
    assert count > 1
    whole = perform_slice(work(made, engine), SEEDS, [None] * 3, 1000.0)
    assert list(map(plain, rows)) == list(map(plain, whole))
    for row in rows:
        check_row({**row, "key": "k"})
        alone = train(made.settings(), row["seed"], engine)
        assert plain(alone) == plain({name: row[name] for name in alone})
        assert row["seconds"] > 0
    assert {row["status"] for row in rows} == {"target", "max_iterations"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.long
def test_a_larger_budget_goes_on_from_a_smaller_one(engine: str) -> None:
    short, _ = carried_on(small(max_sequences=300, test_size=30), engine, [None] * 3)
    assert "max_iterations" in {row["status"] for row in short}
    rows, count = carried_on(small(), engine, [row["state"] for row in short])
    whole, all_ = carried_on(small(), engine, [None] * 3)
    assert list(map(plain, rows)) == list(map(plain, whole))
    assert count < all_


def test_an_unfinished_trial_tells_how_far_it_is() -> None:
    rows, _ = carried_on(small(), "numpy", [None] * 3, 2)
    for row in rows:
        check_row({**row, "key": "k"})
        assert (row["status"], row["score"], row["engine"]) == ("unfinished", None, "numpy")
        training = begin(small(), row["seed"], engine="numpy")
        seconds = restore(training, row["state"])
        assert (training.iteration, seconds) == (row["sequences"], row["seconds"])
    assert max(row["sequences"] for row in rows) > 0


def test_the_weights_at_the_stops_are_in_the_state() -> None:
    made = small()
    (row, *_), _ = carried_on(made, "numpy", [None] * 3)
    training = begin(made, row["seed"], engine="numpy")
    restore(training, row["state"])
    whole = begin(made, row["seed"], engine="numpy")
    while whole.stopped_by is None:
        whole.advance()
    for name, array in training.learner.state().items():
        np.testing.assert_array_equal(array, whole.learner.state()[name], err_msg=name)
    assert repr(stops_of(row)) == repr(whole.stops)


def test_a_trial_that_diverges_is_at_its_end() -> None:
    made = small(learning_rate=1000.0)
    rows, _ = carried_on(made, "numpy", [None] * 3, 1)
    arrays = files.unpacked(rows[0]["state"])
    arrays["weights"][:] = 0  # the first error is huge, by the output's bias
    arrays["weights"][-5] = 1e38
    rows, _ = carried_on(made, "numpy", [files.packed(arrays), None, None])
    assert [row["status"] == "diverged" for row in rows] == [True, False, False]
    (again,) = perform_slice(work(made, "numpy"), [SEEDS[0]], [rows[0]["state"]], 9.0)
    assert plain(again) == plain(rows[0])


@pytest.mark.parametrize("state", [b"", b"no zip", None])
def test_a_trial_whose_state_does_not_fit_starts_again(state: bytes | None) -> None:
    if state is None:  # of another network
        (other, *_), _ = carried_on(small(blocks=1), "numpy", [None] * 3, 1)
        state = other["state"]
    rows = perform_slice(work(small(), "numpy"), [0, 1], [None, state], 0.0)
    assert list(map(plain, rows)) == list(
        map(plain, perform_slice(work(small(), "numpy"), [0, 1], [None, None], 0.0))
    )
    assert [row["status"] for row in rows] == ["unfinished", "unfinished"]


def test_what_is_raised_is_a_row() -> None:
    asked = {**work(small(), "numpy"), "engine": "abacus"}
    rows = perform_slice(asked, [0, 1], [None, None], 0.0)
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert all("abacus" in row["error"] for row in rows)


# -- alone ----------------------------------------------------------------------------------------

TRAINED = [
    *(("lstm", engine) for engine in ENGINES),
    *((network, "numpy") for network in ("torch-gru", "mycells:Drops", "jaxcells:RNN")),
]
AT_ONCE = -1.0  # a moment that has passed: one step


def alone(network: str, engine: str, recipe_name: str = "robust", **changes: Any) -> dict[str, Any]:
    """A trial of some steps, of which several have a test."""
    pytest.importorskip({"t": "torch", "m": "torch", "j": "jax"}.get(network[0], "numpy"))
    settings = {"network": network, "min_length": 12, "hidden": 4, "batch_size": 4, **changes}
    short = {"max_iterations": 150, "test_every": 30, "test_size": 20}
    return vars(trial(recipe_name, 3, engine, fresh=10, **short, **settings))


def step_by_step(work: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a trial that is saved after every step."""
    rows = [perform(work, None, AT_ONCE)]
    while rows[-1]["status"] == "unfinished":
        rows.append(perform(work, rows[-1]["state"], AT_ONCE))
    return rows


@pytest.mark.parametrize(("network", "engine"), TRAINED)
def test_a_trial_ends_step_by_step_as_it_does_at_once(network: str, engine: str) -> None:
    work = alone(network, engine)
    whole, rows = perform(work), step_by_step(work)
    assert whole["status"] == "max_iterations", whole["error"]
    assert plain(rows[-1]) == plain(whole)
    assert [row["sequences"] for row in rows] == [120, 240, 360, 480, 600]
    assert rows[-1]["state"] is None, "nothing goes on from it"
    for row in rows:
        check_row({**row, "key": "k"})
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds), "those of all steps so far"


@pytest.mark.parametrize(
    "changes",
    [
        {"average_decay": 0},
        {"optimizer": "sgd"},
        {"learning_rate": 500.0, "clip": 1e30, "optimizer": "sgd"},
        {"stop": "mse", "target_test_mse": 0.06},
        {"recipe_name": "catalog", "learning_rate": 0.01},
    ],
    ids=str,
)
def test_so_it_does_with_other_rules(changes: dict[str, Any]) -> None:
    work = alone("lstm", "numpy", **changes)
    assert plain(step_by_step(work)[-1]) == plain(perform(work))


def test_a_state_does_not_grow_with_the_steps() -> None:
    rows = step_by_step(alone("lstm", "numpy"))[:-1]
    sizes = [len(row["state"]) for row in rows]
    assert max(sizes) < 1.1 * min(sizes)


def test_a_trial_ends_where_there_is_time() -> None:
    assert perform(alone("lstm", "numpy"), None, time.perf_counter() + 600)["sequences"] == 600


def damaged(state: bytes, **changes: Any) -> bytes:
    arrays = files.unpacked(state)
    rest = json.loads(arrays.pop("rest").tobytes()) | changes
    return files.packed({**arrays, "rest": np.frombuffer(json.dumps(rest).encode(), np.uint8)})


@pytest.mark.parametrize("what", ["empty", "no zip", "of another network", "of another version"])
def test_a_trial_whose_state_cannot_be_used_starts_again(what: str) -> None:
    work = alone("lstm", "numpy")
    state = perform(work, None, AT_ONCE)["state"]
    bad = {
        "empty": b"",
        "no zip": b"no zip",
        "of another network": perform(alone("lstm", "numpy", hidden=5), None, AT_ONCE)["state"],
        "of another version": damaged(state, versions={"numpy": "1.0"}, iteration=60),
    }
    assert plain(perform(work, bad[what])) == plain(perform(work))
    assert perform(work, bad[what], AT_ONCE)["sequences"] == 120
    assert perform(work, damaged(state), AT_ONCE)["sequences"] == 240
