"""Training: bits, stopping rules, divergence, snapshots, and scoring afterwards."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longlag.judging import evaluate
from longlag.learning import engine as engines
from longlag.learning.engine import NumpyEngine, choose
from longlag.learning.judging import measure
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.rules import Learned, Minibatch
from longlag.learning.training import Run, Training
from longlag.networks.lstm import LSTM
from longlag.networks.network import flatten
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.score import score
from longlag.tasks.task import Batch
from longlag.training import train

snapshot_due = Minibatch().snapshot_due


def finish(training: Training) -> Run:
    while training.stopped_by is None:
        training.advance()
    return training.run()


def assert_same_run(a: Run, b: Run) -> None:
    """Everything but the time, to the bit."""
    np.testing.assert_array_equal(a.history.train_losses, b.history.train_losses)
    assert a.history.tests == b.history.tests
    np.testing.assert_array_equal(flatten(a.network.parameters), flatten(b.network.parameters))
    assert (a.score, a.stopped_by, a.recipe, a.seed) == (b.score, b.stopped_by, b.recipe, b.seed)
    assert list(a.snapshots) == list(b.snapshots)
    for k, vector in a.snapshots.items():
        np.testing.assert_array_equal(vector, b.snapshots[k])


# -- a scripted engine -------------------------------------------------------------------------


@dataclass
class Scripted:
    """Answers test sets as a script says; the weights count the updates.

    script: the wrong answers of each test set, in order (the last repeats). The right answers are
    read from the inputs, by the paper's rules. nan_at: the iteration whose loss is NaN; loss: of
    each iteration.
    """

    script: list[int] = field(default_factory=lambda: [0])
    nan_at: int | None = None
    loss: Callable[[int], float] = float
    name: str = "scripted"
    isa: str | None = None
    lanes: int = 1
    most: int = 16
    tests: list[np.ndarray] = field(default_factory=list)
    batches: list[np.ndarray] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)

    def predict(self, network: LSTM, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        wrong = self.script[min(len(self.tests), len(self.script) - 1)]
        self.tests.append(inputs)
        self.judged.append(float(network.parameters.by[0]))
        answers = np.where(inputs[:, :, 1] == 1, inputs[:, :, 0], 1).prod(axis=1)
        answers[:wrong] += 1
        return answers

    def learn(
        self, recipe: Recipe, learners: Sequence[Any], data: Sequence[Batch], observe: Any
    ) -> list[Learned]:
        return [self._learn(*pair) for pair in zip(learners, data, strict=True)]

    def _learn(self, learner: Any, data: Batch) -> Learned:
        losses: list[float] = []
        for inputs in data.inputs:
            self.batches.append(inputs)
            if len(self.batches) == self.nan_at:
                return Learned(np.array([*losses, np.nan]), len(losses))
            learner.optimizer.step += 1
            learner.weights[:] = learner.optimizer.step
            losses.append(self.loss(learner.optimizer.step))
        return Learned(np.array(losses), len(losses))


@pytest.fixture(autouse=True)
def whole_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test is one call of an engine, and so one entry of a script."""
    if "early" not in request.node.name:
        monkeypatch.setattr("longlag.learning.judging.LEAST_TESTED", 10**9)


def scripted(
    tiny: Recipe,
    *script: int,
    nan_at: int | None = None,
    loss: Callable[[int], float] = float,
    **changes: Any,
) -> Training:
    r = tiny.with_settings({"test_size": 2560, **changes})
    return Training(r, 0, Scripted(list(script), nan_at, loss))


def streams(r: Recipe, seed: int) -> list[np.random.Generator]:
    """Where a trial's weights, training sequences and test sequences come from."""
    seeds: list[Any] = list(np.random.SeedSequence(seed).spawn(3))
    if r.name == "catalog":
        seeds = [seed, seed, seed + 1_000_003]
    return [np.random.default_rng(s) for s in seeds]


# -- what is learned ---------------------------------------------------------------------------


def test_catalog_seed_2_comes_out_as_published() -> None:
    run = train(recipe("catalog", max_iterations=8000), seed=2, engine="numpy")
    assert run.stopped_by == "target"
    assert run.sequences == 16_000
    assert round(run.score.mse, 4) == 0.0268
    assert run.history.test_curve == [(500, run.score.mse)]
    assert run.score.n == 512
    assert (run.engine, run.isa) == ("numpy", None)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("catalog", {}),
        ("robust", {"min_length": 20, "batch_size": 8}),
        (
            "robust",
            {
                **{"min_length": 20, "optimizer": "sgd", "learning_rate": 0.3, "clip": 0.1},
                **{"gate_biases": "constant", "input_bias": 0.0, "average_decay": 0.0},
            },
        ),
        ("robust", {"min_length": 20, "average_decay": 0.8, "task": "adding"}),
        ("robust", {"min_length": 20, "forget_gate": False, "beta1": 0.8, "beta2": 0.9}),
    ],
)
def test_a_training_is_pytorchs(name: str, changes: dict[str, Any]) -> None:
    """The first iterations, written once more with autograd in float64."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    N = 12
    r = recipe(name, max_iterations=N, test_every=N, test_size=64, hidden=4, **changes)
    run = train(r, seed=9, engine="numpy")
    settings: Any = r.settings()
    rate, decay = settings["learning_rate"], settings["average_decay"]

    weights, training, testing = streams(r, 9)
    start = r.network_of(r.network.start(r.task, weights)).parameters
    p = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in start]
    average = [a.detach().clone() for a in p]
    if settings["optimizer"] == "adam":
        betas = settings["beta1"], settings["beta2"]
        peer = torch.optim.Adam(p, rate, betas=betas, eps=settings["epsilon"])
    else:
        peer = torch.optim.SGD(p, rate)

    def predict(p: list[Any], x: Any, lengths: np.ndarray) -> Any:
        Wx, Wh, b, Wy, by = p
        c = h = torch.zeros(len(x), 4, dtype=torch.float64)
        ends = []
        for t in range(x.shape[1]):
            i, f, o, g = (x[:, t] @ Wx + h @ Wh + b).chunk(4, dim=1)
            f = torch.sigmoid(f) if settings["forget_gate"] else torch.ones_like(f)
            c = f * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            ends.append(h)
        last = torch.stack(ends)[torch.from_numpy(lengths - 1), torch.arange(len(x))]
        y = (last @ Wy)[:, 0] + by
        return torch.sigmoid(y) if settings["output"] == "sigmoid" else y

    B = r.batch_size
    losses: list[float] = []
    while len(losses) < N:
        if name == "catalog":
            data = r.task.sample_in_order(B, training)
        else:
            data = r.task.sample(B * r.learner(9).block, training)
        for k in range(0, len(data.targets), B):
            x = torch.from_numpy(data.inputs[k : k + B].astype(np.float64))
            targets = torch.from_numpy(data.targets[k : k + B].astype(np.float64))
            peer.zero_grad()
            error = torch.mean((predict(p, x, data.lengths[k : k + B]) - targets) ** 2)
            error.backward()
            torch.nn.utils.clip_grad_norm_(p, settings["clip"])
            peer.step()
            losses.append(error.item())
            for a, q in zip(average, p, strict=True):
                a.mul_(decay).add_((1 - decay) * q.detach())
    np.testing.assert_allclose(run.history.train_losses, losses, rtol=2e-4, atol=1e-7)
    assert len(set(np.round(losses, 3))) > 3, "the losses differ enough to tell orders apart"

    judged = average if decay else [a.detach() for a in p]
    for ours, theirs, before in zip(run.network.parameters, judged, start, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=2e-3, atol=2e-5)
        assert rate > 0
        assert np.abs(ours - before).max() > 1e-4

    # and the test: fresh sequences from the test stream, judged by the same weights
    if name == "catalog":
        tests = r.task.tested.sample_in_order(64, testing)
    else:
        tests = r.task.tested.sample(64, testing)
    y = predict(judged, torch.from_numpy(tests.inputs.astype(np.float64)), tests.lengths)
    expected = score(y.detach().numpy(), tests.targets).mse
    assert run.history.test_curve == [(N, pytest.approx(expected, rel=1e-3))]


def test_a_gradient_longer_than_the_limit_is_clipped(tiny: Recipe) -> None:
    changes = {"optimizer": "sgd", "learning_rate": 1.0, "clip": 1e-3, "output_bias": 5.0}
    r = tiny.with_settings({**changes, "max_iterations": 1})
    training = Training(r, 0, choose("numpy"))
    before = training.learner.weights.astype(float)
    training.advance()
    moved = np.linalg.norm(training.learner.weights.astype(float) - before)
    assert moved == pytest.approx(1e-3, rel=1e-3)


# -- bits --------------------------------------------------------------------------------------


def test_a_seed_determines_every_bit_and_seeds_differ(tiny: Recipe) -> None:
    a, b, c = (train(tiny, seed, engine="numpy") for seed in (5, 5, 6))
    assert_same_run(a, b)
    assert not np.array_equal(a.history.train_losses, c.history.train_losses)
    assert not np.array_equal(a.snapshots[0], c.snapshots[0])
    assert a.score != c.score


def test_snapshots_do_not_change_the_bits(tiny: Recipe) -> None:
    r = tiny.with_settings({"average_decay": 0.5})
    usual = finish(Training(r, 1, choose("numpy")))
    every = finish(Training(r, 1, choose("numpy"), snapshot_every=1))
    np.testing.assert_array_equal(usual.history.train_losses, every.history.train_losses)
    assert (usual.score, usual.history.tests) == (every.score, every.history.tests)
    assert list(every.snapshots) == list(range(24))
    for k, vector in usual.snapshots.items():
        np.testing.assert_array_equal(vector, every.snapshots[k])


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Arrays through npz, the rest through JSON."""
    buffer = io.BytesIO()
    arrays = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
    np.savez(buffer, allow_pickle=False, **arrays)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as loaded:
        back = dict(loaded)
    rest = {k: v for k, v in state.items() if k not in arrays}
    return back | json.loads(json.dumps(rest, allow_nan=False))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.sets(st.integers(0, 8), min_size=1, max_size=3),
    seed=st.integers(0, 2**63 - 1),
    changes=st.sampled_from(
        [
            {},
            {"average_decay": 0.9},
            {"average_decay": 0.9, "optimizer": "sgd", "learning_rate": 0.1},
            {"stop": "mse", "target_test_mse": 0.06},
            {"test_every": 1},
            {"test_every": 50},
            {"draw_order": "published", "rules": "catalog", "min_length": 12, "test_every": 5},
        ]
    ),
)
def test_a_restored_training_goes_on_to_the_same_bits(
    tiny: Recipe, cuts: set[int], seed: int, changes: dict[str, Any]
) -> None:
    r = tiny.with_settings(changes)
    whole = finish(Training(r, seed, choose("numpy")))
    training, steps = Training(r, seed, choose("numpy")), 0
    while True:
        if steps in cuts:
            state = through_a_file(training.state())
            training = Training(r, seed, choose("numpy"))
            training.restore(state)
        if training.stopped_by is not None:
            break
        training.advance()
        steps += 1
    assert_same_run(training.run(), whole)
    assert training.elapsed > 0


def test_a_finished_training_comes_back_finished(tiny: Recipe) -> None:
    run = finish(Training(tiny, 3, choose("numpy")))
    first = Training(tiny, 3, choose("numpy"))
    finish(first)
    second = Training(tiny, 3, choose("numpy"))
    second.restore(through_a_file(first.state()))
    assert second.stopped_by == run.stopped_by
    assert second.elapsed == first.elapsed
    assert_same_run(second.run(), run)


def test_a_state_stays_as_it_was_taken(tiny: Recipe) -> None:
    training = Training(tiny.with_settings({"average_decay": 0.5}), 0, choose("numpy"))
    training.advance()
    state = training.state()
    kept = {k: v.copy() for k, v in state.items() if isinstance(v, np.ndarray)}
    training.advance()
    for name, array in kept.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


# -- stopping ----------------------------------------------------------------------------------


def test_strict_asks_for_two_tests_in_a_row_and_scores_on_a_third_set(tiny: Recipe) -> None:
    # Strict, not, not, strict, strict: only the last two are two in a row. The score has 7 wrong.
    training = scripted(tiny, 16, 17, 2560, 16, 16, 7, test_every=3)
    run = finish(training)
    engine: Any = training.engine
    assert run.stopped_by == "target"
    assert run.iterations == 15
    assert run.score.wrong == 7
    assert len(engine.tests) == 6
    assert [k for k, _ in run.history.test_curve] == [3, 6, 9, 12, 15]
    assert [mse for _, mse in run.history.test_curve] == pytest.approx(
        [wrong / 2560 for wrong in (16, 17, 2560, 16, 16)], rel=1e-5
    )
    assert engine.judged == [3, 6, 9, 12, 15, 15]
    for a in range(6):
        for b in range(a):
            assert not np.isin(engine.tests[a][:, 1:9, 0], engine.tests[b][:, 1:9, 0]).all(1).any()


@pytest.mark.parametrize(
    ("script", "answered", "wrong"),
    [([17, 0], 256, 17), ([2], 9 * 256, 18), ([16, *[0] * 99], 2560, 16)],
)
def test_a_test_ends_early_that_cannot_be_met(
    tiny: Recipe, script: list[int], answered: int, wrong: int
) -> None:
    """At 17 wrong of 2560, however many the rest may have; a script's entry is for 256."""
    run = finish(scripted(tiny, *script, max_iterations=6))
    (_, first), *_ = run.history.tests
    assert (first.n, first.wrong) == (answered, wrong)
    assert run.score.n == 2560, "the score that is reported is of a whole set"


def test_strict_every_other_time_does_not_stop(tiny: Recipe) -> None:
    run = finish(scripted(tiny, 0, 17, 0, 17, 5))
    assert run.stopped_by == "max_iterations"
    assert [k for k, _ in run.history.test_curve] == [6, 12, 18, 23]
    assert run.score.wrong == 5


def test_one_strict_test_before_a_resumption_counts(tiny: Recipe) -> None:
    first = scripted(tiny, 2560, 0)
    first.advance()
    first.advance()
    second = scripted(tiny, 0, 3)
    second.restore(first.state())
    assert finish(second).iterations == 18


def test_strict_may_be_met_by_the_last_test(tiny: Recipe) -> None:
    run = finish(scripted(tiny, 2560, 2560, 0, 0, 3))
    assert (run.stopped_by, run.iterations, run.score.wrong) == ("target", 23, 3)


def test_iterations_end_at_the_budget(tiny: Recipe) -> None:
    training = scripted(tiny, 2560)
    run = finish(training)
    engine: Any = training.engine
    assert (run.stopped_by, run.iterations) == ("max_iterations", 23)
    assert run.sequences == 23 * 4
    assert len(engine.batches) == 23
    assert len(engine.tests) == 5
    np.testing.assert_array_equal(run.history.train_losses, np.arange(1, 24))
    with pytest.raises(RuntimeError, match="stopped already, by max_iterations"):
        training.advance()


def test_the_mse_rule_scores_on_the_test_that_stopped_it(tiny: Recipe) -> None:
    changes = {"stop": "mse", "target_test_mse": 0.0998}  # 255 answers off by one: 0.0996
    training = scripted(tiny, 256, 255, 0, **changes)
    run = finish(training)
    engine: Any = training.engine
    assert (run.stopped_by, run.iterations, run.score.wrong) == ("target", 12, 255)
    assert len(engine.tests) == 2
    assert run.score.mse == run.history.test_curve[-1][1]
    run = finish(scripted(tiny, 2560, **changes))
    assert (run.stopped_by, run.iterations) == ("max_iterations", 23)
    assert run.score.wrong == 2560


def test_test_sets_are_no_training_sequences(tiny: Recipe) -> None:
    training = scripted(tiny, 2560)
    finish(training)
    engine: Any = training.engine
    trained = np.concatenate(engine.batches)
    values = {row.tobytes() for row in trained[:, 1:9, 0]}
    assert len(values) == 23 * 4, "no sequence is used twice"
    for test in engine.tests:
        assert not values & {row.tobytes() for row in test[:, 1:9, 0]}


def test_blocks_and_single_batches_hold_the_same_data(tiny: Recipe) -> None:
    training = scripted(tiny, 2560)
    finish(training)
    engine: Any = training.engine
    r = training.recipe
    rng, block = streams(r, 0)[1], training.learner.block
    sizes = [block] * (23 // block) + [23 % block] * (23 % block > 0)
    expected = np.concatenate([r.task.sample(4 * n, rng).inputs for n in sizes])
    np.testing.assert_array_equal(np.concatenate(engine.batches), expected)


def test_a_training_that_goes_on_has_no_run(tiny: Recipe) -> None:
    training = Training(tiny, 0, choose("numpy"))
    with pytest.raises(RuntimeError, match="not stopped yet"):
        training.run()
    training.advance()
    with pytest.raises(RuntimeError, match="not stopped yet"):
        training.run()


# -- divergence --------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", ["strict", "mse"])
@pytest.mark.parametrize("nan_at", [1, 2, 6, 7, 16, 23])
def test_a_loss_that_is_no_number_ends_the_run(tiny: Recipe, nan_at: int, stop: str) -> None:
    training = scripted(tiny, 2560, nan_at=nan_at, stop=stop)
    start = training.learner.weights.copy()
    run = finish(training)
    engine: Any = training.engine
    done = nan_at - 1
    assert (run.stopped_by, run.iterations) == ("diverged", done)
    assert len(engine.batches) == nan_at, "nothing is trained on afterwards"
    np.testing.assert_array_equal(run.history.train_losses, np.arange(1, done + 1))
    kept = flatten(run.network.parameters)
    np.testing.assert_array_equal(kept, start if done == 0 else np.full_like(kept, done))
    np.testing.assert_array_equal(run.snapshots[done], kept)
    assert [k for k, _ in run.history.test_curve] == list(range(6, done + 1, 6))
    assert run.score.n == 2560
    assert engine.judged[-1] == kept[-1], "the score is that of the weights that are kept"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_real_divergence_keeps_finite_weights(tiny: Recipe, seed: int, decay: float) -> None:
    r = tiny.with_settings(
        {"optimizer": "sgd", "learning_rate": 1e3, "clip": 1e30, "average_decay": decay}
    )
    run = train(r, seed, engine="numpy")
    assert run.stopped_by == "diverged"
    assert 0 < run.iterations < 23
    assert np.isfinite(run.history.train_losses).all()
    assert all(np.isfinite(vector).all() for vector in run.snapshots.values())
    assert np.isfinite(flatten(run.network.parameters)).all()
    assert run.score.wrong == run.score.n


def test_the_engine_stops_before_the_update(tiny: Recipe) -> None:
    learner, reference = tiny.learner(0), tiny.learner(0)
    data = tiny.task.sample(12, np.random.default_rng(1))
    batches = Batch(*(a.reshape(3, 4, *a.shape[1:]) for a in data))
    batches.targets[1, 2] = np.nan
    NumpyEngine().learn(tiny, [reference], [Batch(*(a[:1] for a in batches))])
    ((losses, updates),) = NumpyEngine().learn(tiny, [learner], [batches])
    assert updates == 1
    assert learner.optimizer.step == 1
    assert len(losses) == 2
    assert np.isfinite(losses[0])
    assert np.isnan(losses[1])
    np.testing.assert_array_equal(learner.weights, reference.weights)


# -- snapshots ---------------------------------------------------------------------------------


@pytest.mark.parametrize("iterations", [500, 2000, 6000, 50_000])
def test_snapshots_are_spaced_geometrically(iterations: int) -> None:
    due = [k for k in range(1, iterations + 1) if snapshot_due(k)]
    assert 45 <= len(due) + 2 <= 110
    assert due[0] == 1
    ratios = [b / a for a, b in pairwise(due) if a >= 40]
    assert max(ratios) < 1.15
    assert min(ratios) > 1.05


def falling(iteration: int) -> float:
    """A loss that stays on a plateau and then falls fast, twentyfold."""
    return 0.05 * float(np.clip(np.exp(-(iteration - 400) / 40), 0.05, 1))


def test_one_more_snapshot_is_kept_whenever_the_smoothed_loss_has_fallen_by_a_tenth(
    tiny: Recipe,
) -> None:
    training = scripted(tiny, 2560, test_every=100, max_iterations=900, loss=falling)
    half = training.recipe, training.seed, training.engine
    while training.iteration < 500:
        training.advance()
    state = training.state()
    run = finish(training)
    losses = run.history.train_losses
    smoothed = {k: np.mean(losses[k - 50 : k]) for k in range(50, 901)}
    lowest, expected = np.inf, []
    for k in range(1, 900):
        fell = k % 25 == 0 and k >= 50 and smoothed[k] < 0.9 * lowest
        if snapshot_due(k) or fell:
            expected.append(k)
            lowest = min(lowest, smoothed.get(k, np.inf))
    assert list(run.snapshots) == [0, *expected, 900]
    fallen = [k for k in expected if not snapshot_due(k)]
    assert 4 <= len(fallen) <= 20
    assert all(400 <= k <= 600 for k in fallen)
    again = Training(*half)
    again.restore(state)
    assert list(finish(again).snapshots) == list(run.snapshots)


def test_snapshots_hold_the_weights_of_their_iteration(tiny: Recipe) -> None:
    training = scripted(tiny, 2560, test_every=50, max_iterations=137)
    start = training.learner.weights.copy()
    run = finish(training)
    assert list(run.snapshots) == sorted(run.snapshots)
    assert {0, 1, 137} <= set(run.snapshots)
    assert set(run.snapshots) - {0, 137} == {k for k in range(1, 137) if snapshot_due(k)}
    np.testing.assert_array_equal(run.snapshots.pop(0), start)
    for k, vector in run.snapshots.items():
        np.testing.assert_array_equal(vector, np.full_like(vector, k))


def test_the_network_at_a_snapshot(tiny: Recipe) -> None:
    run = train(tiny.with_settings({"average_decay": 0.5}), 0, engine="numpy")
    x = tiny.task.sample(5, np.random.default_rng(0)).inputs
    np.testing.assert_array_equal(run.network_at(23).predict(x), run.network.predict(x))
    assert not np.array_equal(run.network_at(0).predict(x), run.network.predict(x))


# -- scores afterwards -------------------------------------------------------------------------


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The engine that `evaluate` gets, whatever it asks for."""
    engine = Scripted()
    monkeypatch.setattr(engines, "choose", lambda *_args, **_kw: engine)
    return engine


@pytest.fixture
def runs(tiny: Recipe) -> list[Run]:
    """Two runs that differ in everything but their task."""
    other = tiny.with_settings({"hidden": 2, "learning_rate": 0.1, "max_iterations": 3})
    return [train(tiny, 0, engine="numpy"), train(other, 1, engine="numpy")]


def test_evaluation_draws_the_same_sequences_for_every_run(
    runs: list[Run], recorder: Scripted
) -> None:
    for run, seed in ((runs[0], 0), (runs[1], 0), (runs[0], 0), (runs[0], 1)):
        assert evaluate(run, 100, seed).wrong == 0
    first, other, again, next_seed = recorder.tests
    np.testing.assert_array_equal(first, other)
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first[:, 1:9, 0], next_seed[:, 1:9, 0]).all(1).any()


def test_evaluation_sees_no_sequence_of_training(tiny: Recipe, recorder: Scripted) -> None:
    run = finish(Training(tiny, 0, recorder))
    seen = {row.tobytes() for x in recorder.batches + recorder.tests for row in x[:, 1:9, 0]}
    recorder.tests.clear()
    evaluate(run, 500, seed=0)
    (fresh,) = recorder.tests
    assert not seen & {row.tobytes() for row in fresh[:, 1:9, 0]}


def test_evaluation_is_the_score_of_its_own_sequences(runs: list[Run]) -> None:
    run = runs[0]
    got = evaluate(run, 300, 4, engine="numpy")
    assert got == evaluate(run, 300, 4, engine="numpy")
    assert got != evaluate(run, 300, 5, engine="numpy")
    stream = np.random.SeedSequence(4, spawn_key=(4,))
    batch = run.recipe.task.sample(300, np.random.default_rng(stream))
    assert got == score(run.network.predict(batch.inputs, batch.lengths), batch.targets)


def test_evaluation_takes_the_recipes_task_or_another(runs: list[Run], recorder: Scripted) -> None:
    catalog = finish(Training(recipe("catalog", max_iterations=1), 0, recorder))
    recorder.tests.clear()
    evaluate(catalog, 50)
    evaluate(runs[0], 50)
    evaluate(runs[0], 50, task=MarkedPairs(min_length=40, max_length=40))
    assert [x.shape for x in recorder.tests] == [(50, 30, 2), (50, 12, 2), (50, 40, 2)]


@pytest.mark.parametrize("length", [110, 5000])
def test_sequences_are_answered_in_chunks_of_bounded_memory(length: int) -> None:
    engine, task = Scripted(), MarkedPairs(min_length=length, max_length=length)
    n = 2 * (2**20 // length) + 5
    robust = recipe("robust")
    network = robust.network_of(robust.learner(0).weights)
    got = measure(partial(engine.predict, network), task, n, np.random.default_rng(0))
    assert got.n == n
    assert got.wrong == 0
    assert len(engine.tests) == 3
    assert all(x.shape[0] * x.shape[1] <= 2**20 for x in engine.tests)
    assert not np.array_equal(engine.tests[0][:5], engine.tests[1][:5])


def test_the_catalogues_tests_are_drawn_in_order_and_go_on_from_test_to_test() -> None:
    engine = Scripted([512])
    finish(Training(recipe("catalog", max_iterations=3, test_every=1), 7, engine))
    rng = np.random.default_rng(7 + 1_000_003)
    task = MarkedPairs(rules="catalog", min_length=30, max_length=30)
    for test in engine.tests:
        np.testing.assert_array_equal(test, task.sample_in_order(512, rng).inputs)
    assert len(engine.tests) == 3


@pytest.mark.parametrize("n", [0, -5])
def test_a_score_of_no_sequences_is_refused(runs: list[Run], n: int) -> None:
    with pytest.raises(ValueError, match=f"n must be a whole number from 1 .*, not {n}"):
        evaluate(runs[0], n)


@pytest.mark.parametrize("seed", [-1, 2**63, None, 1.5, "0"])
def test_a_bad_seed_of_an_evaluation_is_refused(runs: list[Run], seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number"):
        evaluate(runs[0], 10, seed, engine="numpy")


# -- the choice of an engine -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cuda", 1), ["engine", "auto, native, numpy", "'cuda'"]),
        (("numpy", 0), ["threads", "from 1", "0"]),
        (("numpy", -2), ["threads", "from 1", "-2"]),
    ],
)
def test_engines_that_cannot_be_are_refused(
    tiny: Recipe, arguments: tuple[str, int], words: list[str]
) -> None:
    with pytest.raises(ValueError, match=words[0]) as caught:
        train(tiny, 0, engine=arguments[0], threads=arguments[1])
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5])
def test_train_refuses_a_bad_seed(tiny: Recipe, seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number"):
        train(tiny, seed, engine="numpy")


# -- interrupted in the midst of a step -----------------------------------------------------------


class Fails:
    """An engine that is interrupted at its n-th call, of learning or of predicting."""

    def __init__(self, n: int) -> None:
        self.engine, self.left = NumpyEngine(), n
        self.name, self.isa = self.engine.name, self.engine.isa
        self.lanes, self.most, self.threads = self.engine.lanes, self.engine.most, 1

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def learn(self, recipe: Recipe, learners: Any, data: Any, observe: Any) -> Any:
        (learner,) = learners
        start = learner.weights.copy()
        learner.weights += 1  # what is half-done
        self._count()
        learner.weights[:] = start
        return self.engine.learn(recipe, learners, data, observe)

    def predict(self, network: Any, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        self._count()
        return self.engine.predict(network, inputs, lengths)


SHORT = {
    "robust": {"min_length": 12, "max_iterations": 60, "test_every": 20, "test_size": 64},
    "catalog": {"max_iterations": 12, "test_every": 4, "test_size": 16},
    "paper": {"min_length": 12, "max_sequences": 100, "test_size": 64},
}


@pytest.mark.parametrize("name", SHORT)
def test_an_interrupted_step_leaves_the_state_from_before(name: str) -> None:
    made = recipe(name, **SHORT[name])
    whole = Training(made, 3, NumpyEngine())
    while whole.stopped_by is None:
        whole.advance()
    for n in (1, 2, 3, 5, 8):
        training = Training(made, 3, Fails(n))
        interrupted = False
        while not interrupted:
            before = state_of(training)
            try:
                training.advance()
            except KeyboardInterrupt:
                interrupted = True
        assert state_of(training) == before
        while training.stopped_by is None:
            training.advance()
        assert state_of(training) == state_of(whole)


def state_of(training: Training) -> dict[str, Any]:
    """All but the seconds, to be compared by ==."""
    state = {k: v for k, v in training.state().items() if k != "elapsed_sec"}
    return {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in state.items()}
