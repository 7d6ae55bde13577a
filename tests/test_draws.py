"""Inputs drawn where they are needed: the same bits from numpy, the kernel and its plain form.

What the kernel draws is read from what a network makes of it at every step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import longlag
from longlag.kernel import load_kernel
from longlag.learning.engine import NumpyEngine, choose
from longlag.learning.native import NativeEngine
from longlag.learning.rules import OnlineLearner
from longlag.learning.side_by_side import Trials
from longlag.learning.training import Training
from longlag.networks.lstm import parameter_count
from longlag.networks.lstm1997 import weight_count
from longlag.tasks.drawn import Drawn, new_streams
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.registry import TASKS
from longlag.tasks.task import Batch
from plain import Plain

kernel: Any = load_kernel()
ISAS: list[str] = kernel.isas() if kernel else []
needs_kernel = pytest.mark.skipif(kernel is None, reason="the kernel was not built")
SHORT = {"max_iterations": 20, "test_every": 10, "test_size": 40}
ONLINE = {"max_sequences": 90, "window": 50, "first_stop": 51, "last_stop": 1, "test_size": 40}
MARKED: dict[str, tuple[str, dict[str, Any]]] = {
    "robust": ("robust", {**SHORT, "min_length": 21}),
    "robust, adding": ("robust", {**SHORT, "min_length": 20, "task": "adding", "batch_size": 19}),
    "robust, shown": ("robust", {**SHORT, "min_length": 20, "first_mark": "shown", "hidden": 3}),
    "robust, catalog's rules": ("robust", {**SHORT, "min_length": 20, "rules": "catalog"}),
    "paper": ("paper", {**ONLINE, "min_length": 21}),
    "paper, current": ("paper", {**ONLINE, "min_length": 33, "reads": "current", "blocks": 3}),
    "paper-adding": ("paper-adding", {**ONLINE, "first_stop": 51, "min_length": 20}),
}


def drawn(B: int, T: int, seed: int, D: int = 2, M: int = 3, shortest: int = 1) -> Drawn:
    """Sequences of `shortest` to T steps; some of the steps that are given lie behind the end."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, T + 1, B)
    at = rng.integers(lengths[:, None], size=(B, M))
    numbers = rng.uniform(-1, 1, (B, M, D)).astype(np.float32)
    low, span = rng.uniform(-2, 2, 2)
    return Drawn(new_streams(B, rng), lengths, at, numbers, T, float(low), float(span))


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, 4096).astype(np.float32)


SIZES = {
    "B": st.integers(1, 35),
    "T": st.integers(1, 41),
    "seed": st.integers(0, 2**32),
    "D": st.integers(1, 4),
    "M": st.integers(1, 4),
}


def test_a_streams_numbers_are_those_of_numpys_own_generator() -> None:
    words = np.random.SeedSequence(5).generate_state(3, np.uint64)
    bits = np.random.SFC64()
    bits.state = {
        "bit_generator": "SFC64",
        "state": {"state": np.array([*words, 1], np.uint64)},
        "has_uint32": 0,
        "uinteger": 0,
    }
    wanted = np.random.Generator(bits).random(9, dtype=np.float32)
    at, numbers = np.array([[4]]), np.full((1, 1, 1), 7, np.float32)
    made = np.asarray(Drawn(words[None], np.array([9]), at, numbers, 11))[0, :, 0]
    wanted[4] = 7
    np.testing.assert_array_equal(made, [*wanted, 0, 0])


@given(**SIZES)
def test_the_plain_form_draws_numpys_bits(
    plain: Plain, B: int, T: int, seed: int, D: int, M: int
) -> None:
    made = drawn(B, T, seed, D, M)
    np.testing.assert_array_equal(plain.draw(made), np.asarray(made))


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
@given(**SIZES)
def test_a_batch_is_drawn_with_numpys_bits(
    weights: np.ndarray, isa: str, B: int, T: int, seed: int, D: int, M: int
) -> None:
    assert_states_of_both(weights, drawn(B, T, seed, D, M), isa)


def assert_states_of_both(weights: np.ndarray, made: Drawn, isa: str) -> None:
    D = made.shape[-1]
    named = {"hidden": 1, "sigmoid_output": False, "forget_gate": True, "isa": isa}
    one, other = (
        kernel.states(weights[: parameter_count(1, D, 1)], x, made.lengths, input_size=D, **named)
        for x in (made.for_kernel, np.asarray(made))
    )
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
@given(late=st.booleans(), **SIZES)
def test_sequences_of_trials_are_drawn_with_numpys_bits(
    weights: np.ndarray, isa: str, B: int, T: int, seed: int, D: int, M: int, late: bool
) -> None:
    """Sequences that end together begin at steps of their own, odd and even."""
    made = drawn(B, T, seed, D, M)
    P = weight_count(1, 1, D, 1) + D
    named = {"blocks": 1, "block_size": 1, "sigmoid_output": False, "every": True, "isa": isa}
    one, other = (
        kernel.predict1997(
            weights[:P],
            x,
            made.lengths,
            reads_current=not late,
            input_size=D,
            inputs_to_outputs=True,
            **named,
        )
        for x in (made.for_kernel, np.asarray(made))
    )
    np.testing.assert_array_equal(one, other)


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
def test_long_sequences_go_on_where_a_piece_of_them_ended(weights: np.ndarray, isa: str) -> None:
    """Where no step is kept, the inputs of so many are drawn at a time."""
    made = drawn(5, 2500, 3, shortest=1000)
    named = {"hidden": 2, "sigmoid_output": False, "forget_gate": True, "isa": isa}
    one, other = (
        kernel.predict(weights[: parameter_count(2)], x, made.lengths, **named)
        for x in (made.for_kernel, np.asarray(made))
    )
    np.testing.assert_array_equal(one, other)


def test_an_index_and_a_new_shape_take_the_same_sequences() -> None:
    made = drawn(12, 9, 1)
    whole = np.asarray(made)
    np.testing.assert_array_equal(np.asarray(made[3]), whole[3])
    np.testing.assert_array_equal(np.asarray(made[2:7]), whole[2:7])
    shaped = made.reshape(3, 4, 9, 2)
    assert (shaped.shape, shaped.ndim, len(shaped)) == ((3, 4, 9, 2), 4, 3)
    np.testing.assert_array_equal(np.asarray(shaped[1]), whole.reshape(3, 4, 9, 2)[1])
    np.testing.assert_array_equal(np.asarray(Drawn.stack([made[:2], made[2:4]])), [
        whole[:2],
        whole[2:4],
    ])  # fmt: skip


@pytest.mark.parametrize("name", TASKS.ready())
def test_every_task_draws_what_it_samples(name: str) -> None:
    task = TASKS[name]
    one, other = (draw(5, np.random.default_rng(2)) for draw in (task.draw, task.sample))
    for name, array in vars(other).items():
        np.testing.assert_array_equal(np.asarray(getattr(one, name)), array, err_msg=name)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), theirs)


# -- training -------------------------------------------------------------------------------------


class Reading(NativeEngine):
    """The kernel with inputs as arrays."""

    def predict(self, network: Any, inputs: Any, lengths: np.ndarray) -> np.ndarray:
        return super().predict(network, np.asarray(inputs), lengths)

    def learn(self, recipe: Any, learners: Any, data: Any, observe: Any = None) -> Any:
        return super().learn(recipe, learners, [one.each(np.asarray) for one in data], observe)


def trained(case: str, engine: Any, steps: int = 10**9, state: Any = None) -> Training:
    name, settings = MARKED[case]
    training = Training(longlag.recipe(name, **settings), 3, engine)
    if state is not None:
        training.restore(state)
    while training.stopped_by is None and steps > 0:
        training.advance()
        steps -= 1
    return training


def assert_same(one: Training, other: Training) -> None:
    assert (one.losses, one.tests, one.score) == (other.losses, other.tests, other.score)
    np.testing.assert_array_equal(one.learner.weights, other.learner.weights)


@needs_kernel
@pytest.mark.parametrize("case", MARKED)
@pytest.mark.parametrize("isa", ISAS)
def test_a_training_that_draws_is_one_that_reads(case: str, isa: str) -> None:
    assert_same(trained(case, NativeEngine(kernel, isa, 1)), trained(case, Reading(kernel, isa, 1)))


@needs_kernel
@pytest.mark.parametrize("case", MARKED)
def test_both_engines_learn_from_the_same_sequences(case: str) -> None:
    """Their arithmetic differs, and nothing else: so do the results, in their last digits."""
    one, other = (trained(case, engine) for engine in (choose("native"), NumpyEngine()))
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-3)
    np.testing.assert_allclose(one.learner.weights, other.learner.weights, atol=1e-3)


@needs_kernel
@pytest.mark.parametrize("case", MARKED)
def test_a_training_goes_on_to_the_same_bits(case: str) -> None:
    engine = choose("native")
    half = trained(case, engine, 1)
    assert_same(trained(case, engine, state=half.state()), trained(case, engine))


@needs_kernel
def test_a_block_may_be_divided_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained("paper", choose("native"))
    monkeypatch.setattr(NativeEngine, "most", 7)
    assert_same(trained("paper", choose("native")), whole)


@needs_kernel
def test_trials_side_by_side_draw_what_each_would_alone() -> None:
    name, settings = MARKED["paper"]
    trials = Trials(longlag.recipe(name, **settings), range(1, 20), "native")
    for _ in trials.rounds():
        pass
    assert_same(trials.trainings[2], trained("paper", choose("native")))


def test_what_an_on_line_trial_holds_of_a_block_is_small() -> None:
    """No step of a sequence is in memory before it is needed."""
    learner = longlag.recipe("paper", min_length=10_000).learner(0)
    assert isinstance(learner, OnlineLearner)
    batch = learner.draw(0, 8)
    assert isinstance(batch.inputs, Drawn)
    assert sum(a.nbytes for a in (batch.inputs.streams, batch.inputs.at, batch.inputs.given)) < 1000


# -- refusals -------------------------------------------------------------------------------------


def parts(**changed: Any) -> tuple[Any, ...]:
    batch: Batch = MarkedPairs().draw(4, np.random.default_rng(0))
    named = dict(zip(("streams", "at", "given", "steps", "low", "span"),
                     batch.inputs.for_kernel, strict=True))  # type: ignore[attr-defined]  # fmt: skip
    return tuple((named | changed).values())


@needs_kernel
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"streams": np.zeros((4, 2), np.uint64)}, "streams must be a C-contiguous uint64 array"),
        ({"streams": np.zeros((4, 3), np.int64)}, "streams must be .* not an array of int64"),
        ({"at": np.zeros((3, 4), np.int64)}, "at must be .* of shape \\(4, M\\)"),
        ({"given": np.zeros((4, 3, 2), np.float32)}, "given must be .* of shape \\(4, 4, 2\\)"),
        ({"given": np.full((4, 4, 2), np.nan, np.float32)}, "given must be finite"),
        ({"steps": 0}, "steps must be an integer from 1"),
        ({"low": np.inf}, "low must be a number that float32 can hold"),
        ({"span": 1e39}, "span must be a number that float32 can hold"),
    ],
)
def test_the_kernel_refuses_what_it_cannot_draw(changed: dict[str, Any], message: str) -> None:
    lengths = np.full(4, 20)
    weights = np.zeros(parameter_count(2), np.float32)
    named = {"hidden": 2, "sigmoid_output": False, "forget_gate": True, "isa": ISAS[0]}
    with pytest.raises(ValueError, match=message):
        kernel.predict(weights, parts(**changed), lengths, **named)
