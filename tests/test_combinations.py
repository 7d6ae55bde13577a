"""Every network with every rule, task and stop: it trains, goes on, and has company."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
from typing import Any

import numpy as np
import pytest

import longlag
from longlag.kernel import load_kernel
from longlag.learning.engine import choose
from longlag.learning.recipe import PARTS, RECIPES, Recipe, recipe
from longlag.learning.rules import ONLINE_BLOCK, OnLine
from longlag.learning.side_by_side import side_by_side
from longlag.learning.training import Training
from longlag.networks.network import flatten
from longlag.networks.registry import NETWORKS
from test_training import through_a_file

pytestmark = pytest.mark.long  # every pair of parts, some hundreds

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_kernel = pytest.mark.skipif(load_kernel() is None, reason="no native kernel")
ENGINES = ["numpy", pytest.param("native", marks=needs_kernel)]

# Of these a recipe takes those that its parts have.
TINY: dict[str, Any] = {
    "min_length": 12, "lag": 5, "hidden": 2, "block_size": 1, "batch_size": 2, "max_iterations": 7,
    "max_sequences": 39, "test_every": 2, "test_size": 5, "window": 30, "first_stop": 0,
    "last_stop": 1, "target_test_mse": 0.0,
}  # fmt: skip
KINDS = {
    # Cells of PyTorch are one class each around the same adapter (test_cells: all).
    "network": [*NETWORKS.ready(), "torch-gru", "torch-irnn"],
    "rule": list(PARTS["rule"]),
    # One of each shape: reals or symbols, answered at the end or always (test_tasks_all: all).
    "task": ["multiplication", "adding", "temporal-order", "copy", "toys:Echo"],
    "stop": list(PARTS["stop"]),
}
FIT = [
    dict(zip(KINDS, names, strict=True))
    for names in itertools.product(*KINDS.values())
    if not ("minibatch" in names and {"recent", "fresh"} & {*names})
]


def words(fit: dict[str, str]) -> str:
    return "-".join(fit.values())


def tiny(base: str = "robust", **given: Any) -> Recipe:
    """A recipe of a few iterations."""
    made = recipe(base, **given)
    return made.with_settings({k: v for k, v in TINY.items() if k in made.settings()} | given)


def combined(fit: dict[str, str]) -> Recipe:
    if fit["network"] not in NETWORKS.ready() and not HAS_TORCH:
        pytest.skip("PyTorch is not installed")
    return tiny(**fit)


def finish(training: Training) -> Training:
    while training.stopped_by is None:
        training.advance()
    return training


def assert_same(one: Training, other: Training) -> None:
    """Everything but the time, to the bit."""
    assert (one.seed, one.recipe) == (other.seed, other.recipe)
    assert repr(one.stops) == repr(other.stops)  # a NaN is itself here
    assert list(one.snapshots) == list(other.snapshots)
    mine, theirs = one.state(), other.state()
    assert mine.keys() == theirs.keys()
    for name in mine.keys() - {"elapsed_sec"}:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


def assert_goes_on(r: Recipe, who: str) -> None:
    """A training continues to the same bits from its first states, some, and the last."""
    engine = choose(who, recipe=r)
    whole, states = Training(r, 5, engine), []
    while whole.stopped_by is None:
        states.append(through_a_file(whole.state()))
        whole.advance()
    states.append(through_a_file(whole.state()))
    assert len(states) > 2
    for state in [*states[:4], *states[4::7], states[-1]]:
        resumed = Training(r, 5, engine)
        resumed.restore(state)
        assert_same(finish(resumed), whole)


# -- all that fit -------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", FIT, ids=words)
def test_what_fits_trains_and_comes_back_from_its_settings(fit: dict[str, str]) -> None:
    few = {"max_iterations": 3} if fit["rule"] == "minibatch" else {"max_sequences": 3}
    r = combined(fit).with_settings(few)
    assert {sort: r.settings()[sort] for sort in PARTS} == fit
    through = json.loads(json.dumps(r.settings()))
    assert Recipe.of("robust", through) == r
    for start in RECIPES:
        assert recipe(start, **through).settings() == r.settings()

    run = longlag.train(r, seed=3, engine="numpy")
    assert run.iterations == 3
    assert run.stopped_by in ("max_iterations", "target")
    assert run.sequences == 3 * r.batch_size
    assert np.isfinite(run.history.train_losses).all()
    assert (run.score.n, np.isfinite(run.score.mse)) == (5, True)
    assert run.weights.keys() == dict(r.network.shapes(r.task)).keys()
    start, end = run.snapshots[0], flatten(run.network.parameters)
    assert np.abs(end - start).max() > 0, "something was learned"
    batch = r.task.sample(4, np.random.default_rng(0))
    assert run.network.predict(batch.inputs, batch.lengths).shape == batch.targets.shape
    again = longlag.train(r, seed=3, engine="numpy")
    np.testing.assert_array_equal(flatten(again.network.parameters), end)
    assert again.score == run.score


@pytest.mark.parametrize("fit", FIT, ids=words)
def test_what_fits_goes_on_to_the_same_bits(fit: dict[str, str]) -> None:
    assert_goes_on(combined(fit), "numpy")


@pytest.mark.parametrize(
    ("base", "stop"),
    [("robust", "strict"), ("catalog", "mse"), ("paper", "recent"), ("paper-adding", "strict")],
)
@needs_kernel
def test_what_the_kernel_has_goes_on_to_the_same_bits(base: str, stop: str) -> None:
    r = tiny(base, stop=stop)
    if isinstance(r.rule, OnLine):
        few = {"max_sequences": 2 * ONLINE_BLOCK + 188}  # the kernel takes a block at a time
        r = r.with_settings(few | ({"test_every": 300} if stop != "recent" else {}))
    assert_goes_on(r, "native")


# -- tests when they are due --------------------------------------------------------------------


@pytest.mark.parametrize("who", ENGINES)
@pytest.mark.parametrize("every", [1, 7, 100, 300])
def test_an_online_training_is_tested_when_tests_are_due(who: str, every: int) -> None:
    """However its data are divided; and its tests change nothing of what it learns."""
    r = tiny("paper", stop="strict", max_sequences=700, test_every=every, test_size=2)
    training = finish(Training(r, 1, choose(who, recipe=r)))
    due = [*range(every, 700, every), 700]
    assert [iteration for iteration, _ in training.tests] == due
    untested = r.with_settings({"stop": "recent", "window": 10**6})
    other = finish(Training(untested, 1, choose(who, recipe=untested)))
    np.testing.assert_array_equal(training.learner.weights, other.learner.weights)
    np.testing.assert_array_equal(training.losses, other.losses)


@needs_kernel
def test_online_trainings_that_are_tested_learn_side_by_side() -> None:
    r = tiny("paper", stop="mse", max_sequences=700, test_every=90, target_test_mse=0.08)
    _with_company(r, "native", 20, 2)


# -- side by side -------------------------------------------------------------------------------


@functools.cache
def _alone(r: Recipe, who: str, seed: int) -> Training:
    return finish(Training(r, seed, choose(who, recipe=r)))


def _with_company(r: Recipe, who: str, n: int, threads: int) -> None:
    engine = choose(who, recipe=r)
    trainings = [Training(r, seed, engine) for seed in range(n)]
    for _ in side_by_side(trainings, threads):
        pass
    for one in trainings:
        assert_same(one, _alone(r, who, one.seed))


PAPER: dict[str, Any] = {
    "min_length": 12, "window": 40, "first_stop": 34, "last_stop": 30, "tolerance": 0.1,
    "test_size": 20,
}  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 3, 17, 40])
@needs_kernel
def test_lanes_of_the_kernel_have_the_bits_of_each_alone(n: int, threads: int) -> None:
    r = recipe("paper", **PAPER, max_sequences=1000)
    _with_company(r, "native", n, threads)
    ended = {_alone(r, "native", seed).iteration for seed in range(40)}
    assert len(ended) > 5, "they end at different times"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 3, 17, 40])
@pytest.mark.parametrize("who", ENGINES)
def test_batches_side_by_side_have_the_bits_of_each_alone(who: str, n: int, threads: int) -> None:
    _with_company(tiny(stop="mse", target_test_mse=0.1, test_every=3), who, n, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 3, 17, 40])
def test_online_of_the_reference_side_by_side(n: int, threads: int) -> None:
    _with_company(tiny("paper", task="temporal-order"), "numpy", n, threads)


@pytest.mark.parametrize("network", ["gru", "torch-gru", "torch-irnn"])
def test_other_networks_side_by_side(network: str) -> None:
    if network not in NETWORKS.ready():
        pytest.importorskip("torch")
    for rule in ("minibatch", "online"):
        _with_company(tiny(network=network, rule=rule), "numpy", 3, 2)


def test_trainings_that_have_begun_go_on_side_by_side() -> None:
    r = tiny("paper")
    engine = choose("numpy", recipe=r)
    trainings = [Training(r, seed, engine) for seed in range(3)]
    trainings[1].advance()
    finish(trainings[2])
    for _ in side_by_side(trainings):
        pass
    for one in trainings:
        assert_same(one, _alone(r, "numpy", one.seed))


# -- a task that is answered at every step ------------------------------------------------------

ECHO: dict[str, Any] = {
    "task": "toys:Echo", "min_length": 8, "max_length": 10, "max_iterations": 600,
    "test_every": 200, "test_size": 200, "batch_size": 16, "clip": 1.0, "average_decay": 0.9,
}  # fmt: skip
OPEN = {"gate_biases": "constant", "forget_bias": 0.0, "input_bias": 0.0}
READ = {"reads": "current", "output": "linear", "output_bias": 0.5}


@pytest.mark.parametrize(
    "network",
    [
        {"network": "lstm", **OPEN},
        {"network": "gru"},
        {"network": "lstm1997", **READ, "gradient": "full"},
        {"network": "lstm1997", **READ, "gradient": "truncated"},
        {"network": "torch-gru"},
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_echo_of_the_input_before_is_learned(network: dict[str, Any], seed: int) -> None:
    if network["network"] not in NETWORKS.ready():
        pytest.importorskip("torch")
    run = longlag.train(recipe("robust", **ECHO, **network), seed)
    assert run.engine == ("native" if network["network"] == "lstm" and load_kernel() else "numpy")
    assert run.stopped_by == "target"
    assert run.score.mse < 0.002, "chance is 0.083"
    batch = run.recipe.task.sample(1, np.random.default_rng(3))
    y = run.network.predict(batch.inputs, batch.lengths)[0, : batch.lengths[0]]
    np.testing.assert_allclose(y[1:], batch.inputs[0, : batch.lengths[0] - 1, 0], atol=0.2)


@pytest.mark.parametrize(
    "network",
    [{"network": "lstm", **OPEN}, {"network": "gru"}, {"network": "lstm1997", **READ}],
    ids=lambda given: given["network"],
)
def test_an_echo_is_learned_online(network: dict[str, Any]) -> None:
    task = {"task": "toys:Echo", "min_length": 8, "max_length": 10, "tolerance": 0.2}
    stop = {"window": 50, "first_stop": 0, "last_stop": 5, "max_sequences": 6000}
    r = recipe("paper", **task, **stop, **network, learning_rate=0.05)
    run = longlag.train(r, 0)
    assert run.stopped_by == "target"
    assert run.score.mse < 0.012, "chance is 0.083"
