"""What holds for every registered task: shapes, chance, judging, words, refusals, learning."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import longlag
from fits import rows
from longlag.learning.engine import NumpyEngine
from longlag.learning.recipe import recipe
from longlag.networks.gru import GatedRecurrentUnit
from longlag.networks.lstm import ForgetGateLSTM
from longlag.networks.lstm1997 import BlockLSTM
from longlag.networks.network import Network, flatten
from longlag.tasks.copy import Copy
from longlag.tasks.long_lag import LongLag
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.memorization import Memorization
from longlag.tasks.permutation import Permutation
from longlag.tasks.reber import EmbeddedReber
from longlag.tasks.registry import TASKS, task
from longlag.tasks.task import Batch, Task, counted_steps
from longlag.tasks.temporal_order import TemporalOrder
from longlag.tasks.two_sequence import TwoSequence
from longlag.tasks.very_long_lag import VeryLongLag
from longlag.tasks.xor import ExclusiveOr

SMALL: list[Task] = [
    MarkedPairs("multiplication", min_length=12),
    MarkedPairs("adding", min_length=12),
    TemporalOrder(min_length=10, max_length=12),
    TemporalOrder(3, min_length=10, max_length=12),
    EmbeddedReber(),
    EmbeddedReber(min_symbols=14, max_symbols=16),
    EmbeddedReber(strings="training"),
    EmbeddedReber(strings="test", string_set=2),
    LongLag(lag=2),
    LongLag(lag=7),
    LongLag(lag=7, middle="random"),
    LongLag(lag=7, middle="random", counts="recall"),
    VeryLongLag(lag=4, distractors=3),
    TwoSequence(min_length=5, max_length=7),
    TwoSequence("b", 1, min_length=5, max_length=7),
    TwoSequence("c", 2, min_length=5, max_length=7),
    ExclusiveOr(min_length=12, max_length=14),
    Permutation(lag=6, alphabet=5),
    Permutation(lag=6, alphabet=5, counts="recall"),
    Memorization(lag=3),
    Memorization(lag=3, counts="recall", pattern_of="values"),
    Copy(lag=4),
    Copy(lag=4, counts="recall"),
]


@pytest.mark.parametrize("made", SMALL, ids=repr)
@pytest.mark.parametrize("most", [1, 3, 8])
def test_pieces_are_the_sequences_of_one_draw(made: Task, most: int) -> None:
    whole = made.draw(7, np.random.default_rng(5))
    pieces = [*made.in_pieces(7, np.random.default_rng(5), most)]
    assert [len(piece.lengths) for piece in pieces] == [len(p.lengths) for p in whole.pieces(most)]
    for name in ("inputs", "lengths", "targets", "truth", "counted"):
        parts = [getattr(piece, name) for piece in pieces]
        if getattr(whole, name) is None:
            assert parts == [None] * len(pieces)
        else:
            joined = np.concatenate([np.asarray(part) for part in parts])
            np.testing.assert_array_equal(joined, np.asarray(getattr(whole, name)))


def words(made: Any) -> str:
    if not isinstance(made, Task):
        return str(made)
    changed = {k: v for k, v in made.settings().items() if v != TASKS[made.name].settings()[k]}
    return "-".join(map(str, (made.name, *changed.values())))


every_task = pytest.mark.parametrize("made", SMALL, ids=words)


def drawn(made: Task, n: int = 50, seed: int = 3) -> Batch:
    return made.sample(n, np.random.default_rng(seed))


def test_every_registered_task_is_among_these() -> None:
    assert {made.name for made in SMALL} == set(TASKS.ready())


@every_task
def test_a_batch_has_the_shapes_and_types_that_it_promises(made: Task) -> None:
    batch, n = drawn(made), 50
    assert made.symbols == (batch.inputs.ndim == 2)
    assert batch.inputs.shape[:2] == (n, made.max_length)
    assert batch.inputs.dtype == (np.int64 if made.symbols else np.float32)
    assert made.symbols or batch.inputs.shape[2] == made.inputs
    assert (batch.lengths.dtype, batch.lengths.shape) == (np.int64, (n,))
    assert batch.targets.dtype == np.float32
    assert batch.targets.shape == made.answers_shape(n, made.max_length)
    assert np.all((batch.lengths >= made.min_length) & (batch.lengths <= made.max_length))
    assert all(a.flags.c_contiguous for a in batch)
    if made.symbols:
        assert batch.inputs.min() >= 0
        assert batch.inputs.max() < made.inputs
    if batch.counted is not None:
        assert (batch.counted.dtype, batch.counted.shape) == (bool, (n, made.max_length))
    assert len(list(rows(made, batch))) == n


@every_task
def test_one_sequence_has_them_too(made: Task) -> None:
    rng = np.random.default_rng(0)
    many = [made.sequence(rng) for _ in range(20)]
    batch = made.batch(many)
    again = drawn(made, 20)
    assert batch.inputs.shape[2:] == again.inputs.shape[2:]
    assert (
        batch.targets.shape[2 - (made.answered == "last") :]
        == again.targets.shape[2 - (made.answered == "last") :]
    )
    assert (batch.truth is None) <= (again.truth is None)
    assert np.all(made.correct(again.targets, again)) or made.name in ("reber", "two-sequence")
    for one in many:
        assert made.min_length <= len(one.inputs) <= made.max_length
        length = len(one.inputs)
        assert len(made.sequence(rng, length).inputs) == length


@every_task
def test_the_same_generator_gives_the_same_batch(made: Task) -> None:
    for a, b in zip(drawn(made), drawn(made), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(drawn(made).inputs, drawn(made, seed=4).inputs)


@every_task
def test_chance_agrees_with_a_large_sample(made: Task) -> None:
    """The mean target is the mean, and no constant answer near it has a smaller error."""
    batch = drawn(made, 20_000)
    constant = np.broadcast_to(np.asarray(made.mean_target), batch.targets.shape)
    error, n = made.score(constant, batch).mse, 20_000
    spread = (made.wanted(batch).astype(float) - constant) ** 2
    assert error == pytest.approx(made.chance_mse, abs=5 * spread.std() / n**0.5 + 1e-7)
    for change in (0.05, -0.05):
        assert made.score(constant + change, batch).mse > made.chance_mse
    if isinstance(made, EmbeddedReber | VeryLongLag):
        assert batch.lengths.mean() == pytest.approx(made.mean_length, abs=0.4)


@every_task
def test_the_best_constant_answer_is_right_as_often_as_said(made: Task) -> None:
    batch = drawn(made, 4_000)
    if made.chance_correct is None:
        assert made.name in ("multiplication", "adding")
        return
    shape = batch.targets.shape
    if made.outputs == 1:
        tried: list[Any] = [made.wanted(batch).min(), made.wanted(batch).max()]
    else:
        tried = list(np.eye(made.outputs))
    shares = [np.mean(made.correct(np.broadcast_to(one, shape), batch)) for one in tried]
    assert max(shares) == pytest.approx(made.chance_correct, abs=5 * 0.5 / 4_000**0.5)
    middle = np.broadcast_to(np.asarray(made.mean_target), shape)
    assert np.mean(made.correct(middle, batch)) <= made.chance_correct + 0.04


@every_task
def test_answers_that_are_no_numbers_are_wrong(made: Task) -> None:
    batch = drawn(made)
    answers = np.full(batch.targets.shape, np.nan)
    assert not np.any(made.correct(answers, batch))
    with pytest.raises(ValueError, match=r"^answers must have shape \(50"):
        made.score(answers[:, None], batch)


@every_task
def test_answers_beyond_the_end_do_not_matter(made: Task) -> None:
    if made.answered == "last":
        return
    batch = drawn(made)
    answers = np.random.default_rng(1).random(batch.targets.shape)
    other = np.where(counted_steps(batch)[..., None], answers, 1e9)
    np.testing.assert_array_equal(made.correct(answers, batch), made.correct(other, batch))
    assert made.score(answers, batch) == made.score(other, batch)


@every_task
def test_a_task_is_told_and_drawn(made: Task) -> None:
    one = made.sequence(np.random.default_rng(1))
    told, drawing = made.explain(one), made.drawing(one)
    assert told
    assert "\n" not in told
    assert drawing.values.shape == (len(one.inputs),)
    assert np.all((drawing.values >= drawing.low) & (drawing.values <= drawing.high))
    assert {"plain", *drawing.roles} >= set(drawing.legend) - {"hidden"}
    at = [p for places in drawing.roles.values() for p in places] + list(drawing.letters)
    assert all(0 <= p < len(one.inputs) for p in at)
    assert made.say(np.asarray(one.target))
    assert all((made.what, made.asks, made.source))


@every_task
def test_settings_make_the_same_task_again(made: Task) -> None:
    assert task(made.name, **made.settings()) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(made) == hash(dataclasses.replace(made))
    longer = made.at_length(made.min_length + 3)
    assert longer.min_length == made.min_length + 3
    assert longer.max_length <= made.min_length + 3 + (200 if made.name == "very-long-lag" else 0)


@every_task
def test_what_a_task_cannot_draw_is_refused_in_one_sentence(made: Task) -> None:
    rng = np.random.default_rng(0)
    for n in (0, -1, 2.0):
        with pytest.raises(ValueError, match=rf"^n must be a whole number from 1 to .*, not {n}$"):
            made.sample(n, rng)  # type: ignore[arg-type]
    for length in (made.min_length - 1, 0, 7.5):
        with pytest.raises(ValueError, match=rf"^length must be a whole number .*, not {length}$"):
            made.sequence(rng, length)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"^length must be .*, not {made.shortest - 1}$"):
        made.at_length(made.shortest - 1)
    for draw in (made.sample, made.sequence):
        with pytest.raises(ValueError, match=r"^rng must be a generator"):
            draw(1, 0) if draw == made.sample else draw(0)  # type: ignore[arg-type, call-arg]


def test_a_batch_is_a_tuple_of_three_and_keeps_what_stands_beside() -> None:
    batch = drawn(EmbeddedReber())
    inputs, lengths, targets = batch
    assert (inputs is batch[0], lengths is batch[1], targets is batch[2]) == (True, True, True)
    some = batch.each(lambda a: a[3:5])
    assert some.truth is not None
    assert (some.counted, some.lengths.shape, some.truth.shape[0]) == (None, (2,), 2)
    assert len(batch.learned) == 3
    again = pickle.loads(pickle.dumps(some))
    np.testing.assert_array_equal(again.truth, some.truth)
    np.testing.assert_array_equal(again.targets, some.targets)
    assert len(drawn(Copy(lag=4, counts="recall")).learned) == 4


# -- networks -----------------------------------------------------------------------------------

NETWORKS = (ForgetGateLSTM(hidden=3), BlockLSTM(blocks=1), GatedRecurrentUnit(hidden=3))
COUNTED = (Permutation(lag=6, alphabet=4, counts="recall"), Memorization(lag=2, counts="recall"))


@pytest.mark.parametrize("made", COUNTED, ids=words)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_a_gradient_is_of_the_answers_that_count(network: Network, made: Task) -> None:
    """The loss is their mean squared error, and finite differences have its gradient."""
    if isinstance(network, BlockLSTM):
        network = dataclasses.replace(network, gradient="full")
    rng = np.random.default_rng(0)
    batch, w = drawn(made, 3), network.start(made, rng).astype(np.float64)
    net = network.of(w, made)
    loss, parts = net.gradient(*batch.learned)
    assert batch.counted is not None
    error = (net.predict(*batch[:2]) - batch.targets)[batch.counted]
    assert loss == pytest.approx(np.mean(error**2), rel=1e-12)
    gradient = flatten(parts)
    for _ in range(3):
        way = rng.standard_normal(len(w))
        ends = [network.of(w + s * way, made).gradient(*batch.learned)[0] for s in (1e-5, -1e-5)]
        assert gradient @ way == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-9)
    assert not np.allclose(flatten(net.gradient(*batch)[1]), gradient), "all steps count there"


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_steps_that_count_must_fit(network: Network) -> None:
    made = COUNTED[0]
    net, batch = network.of(network.start(made, np.random.default_rng(0)), made), drawn(made, 3)
    for counted in (np.ones((3, 5), bool), np.ones((3, 6)), [True]):
        with pytest.raises(ValueError, match=r"^counted must be bool of 2 axes, not "):
            net.gradient(*batch, counted)
    with pytest.raises(ValueError, match=r"^counted must have a step that counts$"):
        net.gradient(*batch, np.zeros((3, 6), bool))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_a_network_of_other_sizes_is_refused_in_one_sentence(network: Network) -> None:
    mine, other = LongLag(lag=5), LongLag(lag=9)
    net = network.of(network.start(mine, np.random.default_rng(0)), mine)
    batch = drawn(other)
    with pytest.raises(ValueError, match=r"^symbols must lie between 0 and 5, not 0 to 9$"):
        net.predict(*batch[:2])
    real = drawn(TwoSequence())
    with pytest.raises(
        ValueError, match=r"^inputs must have shape \(B, T, 6\), not \(50, 110, 1\)"
    ):
        net.predict(*real[:2])
    inputs = np.minimum(batch.inputs, 5)
    with pytest.raises(
        ValueError, match=r"^targets must have shape \(50, 9, 6\), not \(50, 9, 10\)"
    ):
        net.gradient(inputs, batch.lengths, batch.targets)
    with pytest.raises(
        ValueError, match=r"^answers must have shape \(50, 9, 10\), not \(50, 9, 6\)"
    ):
        other.score(net.predict(inputs, batch.lengths), batch)
    weights = network.start(mine, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^weights must be a vector of \d+ numbers"):
        network.of(weights, other)


@every_task
@pytest.mark.parametrize("rule", ["minibatch", "online"])
def test_a_task_is_learned_from(made: Task, rule: str) -> None:
    """Training and judging go through, by numpy, with all that a batch has."""
    small = {"hidden": 2} if rule == "minibatch" else {"blocks": 1, "block_size": 1}
    limits = {"max_iterations": 4, "batch_size": 3} if rule == "minibatch" else {"max_sequences": 9}
    stop = {} if rule == "minibatch" else {"stop": "recent", "window": 5, "first_stop": 0}
    asked = recipe(
        "robust", task=made.name, rule=rule, network="lstm" if rule == "minibatch" else "lstm1997",
        test_size=7, **made.settings(), **small, **limits, **stop,
    )  # fmt: skip
    run = longlag.train(asked, engine="numpy")
    assert run.score.n == 7
    assert np.isfinite(run.score.mse)


def test_the_mean_of_a_batch_is_that_of_its_parts() -> None:
    """The numpy engine takes pieces of data apart, and keeps what counts beside them."""
    made = recipe("robust", task="copy", lag=2, counts="recall", batch_size=4, max_iterations=2)
    learner = made.learner(0)
    before = learner.weights.copy()
    data = learner.draw(0, 2)
    assert data.counted is not None
    assert data.counted.shape == (2, 4, 22)
    learned = NumpyEngine().learn(made, [learner], [data])[0]
    first = data.each(lambda a: a[0])
    assert (
        learned.losses[0] == made.network_of(before.astype(np.float64)).gradient(*first.learned)[0]
    )
