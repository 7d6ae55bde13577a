"""Traps of foreign models: who falls into which one, and who must not be suspected.

The models here are numpy alone; PyTorch's are in `test_torch.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longlag.learning.recipe import recipe
from longlag.networks.checking import check_answers, check_form
from longlag.networks.lstm1997 import LSTM1997, initial_weights
from longlag.tasks.marked_pairs import MarkedPairs

ONE = MarkedPairs()  # asks for one number
Model = Callable[[np.ndarray, np.ndarray], Any]
TASKS = {
    "short": MarkedPairs(min_length=11, max_length=12),
    "usual": MarkedPairs(min_length=100, max_length=110),
    "adding": MarkedPairs("adding", "catalog", min_length=30, max_length=60),
}


def states(x: np.ndarray, gain: float = 0.9) -> np.ndarray:
    """Hidden states (B, T, 6) of a plain recurrent network, float32."""
    rng = np.random.default_rng(7)
    Wx, Wh = rng.normal(size=(2, 6)).astype("f"), rng.normal(size=(6, 6)).astype("f")
    Wh *= np.float32(gain / np.abs(np.linalg.eigvals(Wh)).max())
    h, all_of_them = np.zeros((len(x), 6), "f"), []
    for step in x.swapaxes(0, 1):
        h = np.tanh(step @ Wx + h @ Wh)
        all_of_them.append(h)
    return np.stack(all_of_them, axis=1)


def read(h: np.ndarray) -> np.ndarray:
    return h @ np.linspace(-0.5, 1, 6, dtype="f")


def own(h: np.ndarray, n: np.ndarray) -> np.ndarray:
    """What stands at each sequence's own last step."""
    return h[np.arange(len(n)), n - 1]


def right(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return read(own(states(x), n))


# -- traps ----------------------------------------------------------------------------------------


def time_first(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return read(own(states(x.swapaxes(0, 1)).swapaxes(0, 1), n))


def time_first_to_the_last_step(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return read(states(x.swapaxes(0, 1)).swapaxes(0, 1)[:, -1])


def viewed(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    scrambled = x.reshape(x.shape[1], x.shape[0], 2).swapaxes(0, 1)
    return read(own(states(scrambled), n))


def last_padded_step(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return read(states(x)[:, -1])


def both_ways(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return right(x, n) + read(own(states(x[:, ::-1])[:, ::-1], n))


def mean_of_all(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return read(states(x).mean(1))


def masked_mean_over_padded_length(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    mask = np.arange(x.shape[1]) < n[:, None]
    return read(((1 + states(x)) * mask[..., None]).sum(1) / x.shape[1])


def one_length_for_all(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return read(states(x)[:, n[0] - 1])


def batch_normalised(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    h = own(states(x), n)
    if len(h) == 1:
        raise ValueError("more than one value a channel is needed, as PyTorch says")
    return read((h - h.mean(0)) / h.std(0))


def attending_over_the_batch(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    h = own(states(x), n)
    weights = np.exp(h @ h.T)
    return read(weights / weights.sum(1, keepdims=True) @ h)


def of_the_size_of_the_batch(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return right(x, n) / len(n)


def of_the_place(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return right(x, n) + 0.1 * np.arange(len(n))


def sorted_by_length(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    order = np.argsort(-n, kind="stable")
    return right(x[order], n[order])


def shifted(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.roll(right(x, n), 1)


class Noisy:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, x: np.ndarray, n: np.ndarray) -> np.ndarray:
        return read(own(states(x), n) * self.rng.integers(0, 2, (len(n), 6)))


class Stateful:
    def __init__(self) -> None:
        self.h = np.zeros(6, "f")

    def __call__(self, x: np.ndarray, n: np.ndarray) -> np.ndarray:
        h = own(states(x), n) + self.h
        self.h = h.mean(0)
        return read(h)


class Carries:
    """Begins where the batch before ended, as a stateful layer does, if that had as many rows."""

    def __init__(self, keep: float = 0.3) -> None:
        self.keep, self.h = keep, np.zeros((1, 6), "f")

    def __call__(self, x: np.ndarray, n: np.ndarray) -> np.ndarray:
        begun = self.h if len(self.h) == len(x) else np.zeros((len(x), 6), "f")
        fading = np.float32(self.keep) ** n[:, None].astype("f")
        self.h = own(states(x), n) + fading * begun
        return read(self.h)


TRAPS: list[tuple[Model, str]] = [
    (time_first, "takes time first"),
    (time_first_to_the_last_step, "takes time first"),
    (viewed, "mixes sequences"),
    (last_padded_step, "reads padding"),
    (both_ways, "reads padding"),
    (mean_of_all, "reads padding"),
    (masked_mean_over_padded_length, "change with the padded length"),
    (one_length_for_all, "mixes sequences"),
    (batch_normalised, "mixes sequences"),
    (attending_over_the_batch, "mixes sequences"),
    (of_the_size_of_the_batch, "mixes sequences"),
    (of_the_place, "depend on the order of the batch: a sequence"),
    (sorted_by_length, "depend on the order of the batch: they come"),
    (shifted, "depend on the order of the batch: they come"),
    (Noisy(), "not deterministic in evaluation mode"),
    (Stateful(), "not deterministic in evaluation mode"),
    (Carries(), "keep no state from call to call"),
]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("model", "trap"), TRAPS)
def test_a_trap_is_named(model: Model, trap: str, task: str) -> None:
    with pytest.raises(ValueError, match=trap) as caught:
        check_answers(model, TASKS[task])
    assert "\n" not in str(caught.value)
    check_answers(right, TASKS[task])


@pytest.mark.parametrize("offset", [0.0, 0.25])
@pytest.mark.parametrize(("model", "trap"), TRAPS)
def test_answers_that_hardly_move_yet_show_a_trap(model: Model, trap: str, offset: float) -> None:
    """As those of a network whose read-out starts small."""
    with pytest.raises(ValueError, match="the model"):
        check_answers(lambda x, n: offset + 1e-2 * model(x, n), TASKS["usual"])
    check_answers(lambda x, n: offset + 1e-2 * right(x, n), TASKS["usual"])


# -- no false alarms ------------------------------------------------------------------------------


def positional(T: int) -> Model:
    """Takes this one padded length alone, and masks what stands behind the ends."""
    weights = np.random.default_rng(3).normal(size=(T, 2)) / T

    def answer(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        mask = np.arange(x.shape[1]) < n[:, None]
        return np.einsum("btd,td,bt->b", x, weights, mask)

    return answer


def product_of_the_marked(x: np.ndarray, n: np.ndarray) -> list[float]:
    """Looks for marks in all steps, padding included: there are none in zeros."""
    return np.where(x[:, :, 1] == 1, x[:, :, 0], 1).prod(1)


def writes_into_its_inputs(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    y = right(x, n)
    x[:], n[:] = 0, 1
    return y


@pytest.mark.parametrize("task", TASKS)
def test_who_answers_each_sequence_by_itself_is_not_suspected(task: str) -> None:
    asked = TASKS[task]
    made = recipe("robust")
    robust = made.network_of(made.learner(0).weights)
    old = LSTM1997(initial_weights(np.random.default_rng(0), 2, 2), 2)
    models: list[Model] = [
        *(robust.predict, old.predict, product_of_the_marked, writes_into_its_inputs),
        positional(asked.max_length),
        lambda x, n: np.full(len(n), 0.25),
        lambda x, n: n,
        lambda x, n: right(x, n).astype(np.float16),
    ]
    for model in models:
        check_answers(lambda x, n, model=model: np.asarray(model(x, n), float), asked)


@pytest.mark.parametrize("model", [last_padded_step, both_ways, masked_mean_over_padded_length])
def test_padding_is_no_matter_where_there_is_none(model: Model) -> None:
    check_answers(model, MarkedPairs(min_length=40, max_length=40))


@pytest.mark.parametrize("task", [MarkedPairs(min_length=n, max_length=n) for n in (11, 40)])
@pytest.mark.parametrize("model", [time_first, batch_normalised, of_the_place])
def test_other_traps_are_found_without_padding(model: Model, task: MarkedPairs) -> None:
    with pytest.raises(ValueError, match="the model"):
        check_answers(model, task)


@given(gain=st.floats(0.5, 4), T=st.integers(11, 400), noise=st.sampled_from([1e-7, 1e-6]))
@settings(max_examples=30, deadline=None)
def test_rounding_is_no_trap_even_where_it_grows(gain: float, T: int, noise: float) -> None:
    """A network that may be chaotic, rounded otherwise in batches of other shapes."""

    def answer(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(x.shape[:2])
        rounded = x * (1 + noise * rng.standard_normal(x.shape[2:]).astype("f"))
        return read(own(states(rounded, gain), n))

    check_answers(answer, MarkedPairs(min_length=T, max_length=T + 10))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_compared(odd: float) -> None:
    check_answers(lambda x, n: np.full(len(n), odd), TASKS["usual"])
    check_answers(lambda x, n: np.where(n > 104, odd, right(x, n)), TASKS["usual"])
    with pytest.raises(ValueError, match="mixes sequences"):
        check_answers(lambda x, n: np.where(len(n) == 1, odd, right(x, n)), TASKS["usual"])


def test_a_model_that_fails_fails_with_its_own_error() -> None:
    def fails(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        if len(n) == 1:
            raise ZeroDivisionError("mine")
        return right(x, n)

    with pytest.raises(ZeroDivisionError, match="mine"):
        check_answers(fails, TASKS["usual"])


# -- what a model is shown ------------------------------------------------------------------------


@pytest.mark.parametrize("task", [*TASKS.values(), MarkedPairs(min_length=50, max_length=50)])
def test_it_takes_six_calls_and_shows_what_the_task_gives(
    task: MarkedPairs,
) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def answer(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        seen.append((x, n))
        return right(x, n)

    check_answers(answer, task)
    for x, n in seen[:3]:
        assert (x.shape, set(n)) == ((4, 2, 2), {2})
    del seen[:3]
    assert [len(n) for _, n in seen] == [4, 8, 1]
    (first, its), (changed, all_lengths), (alone, (length,)) = seen
    for x, n in zip(first, its, strict=True):
        assert not x[n:].any()
        assert x[n - 1, 1] == -1
    assert first.shape[1] == changed.shape[1] == task.max_length
    assert alone.shape == (1, length, 2)
    assert (min(all_lengths), max(all_lengths)) == (task.min_length, task.max_length)
    assert {x.dtype for x, _ in seen} == {np.dtype(np.float32)}
    assert {n.dtype for _, n in seen} == {np.dtype(np.int64)}
    behind = np.arange(task.max_length) >= all_lengths[:, None]
    assert behind.any() == (task.min_length < task.max_length)
    assert changed[behind][:, 0].all()
    assert not changed[behind][:, 1].any()


def test_the_random_numbers_of_others_stay_as_they_are() -> None:
    before = np.random.get_state()[1]  # noqa: NPY002  # the stream that a callable may draw from
    check_answers(right, TASKS["usual"])
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# -- the form of the answers ----------------------------------------------------------------------

FORMS: list[tuple[Any, str]] = [
    (np.ones((5, 1)), r"shape \(5, 1\): squeeze the last axis, e.g. answers\[:, 0\]"),
    (
        np.ones((5, 30)),
        r"shape \(5, 30\): .*own last step, e.g. answers\[arange\(5\), lengths - 1\]",
    ),
    (np.ones((5, 30, 1)), r"shape \(5, 30, 1\): .* answers\[arange\(5\), lengths - 1, 0\]"),
    (np.ones((5, 30, 8)), r"shape \(5, 30, 8\): .* answers\[arange\(5\), lengths - 1\]"),
    (np.ones(30), r"shape \(30,\), one for each of T = 30 steps: .* batch_first=True"),
    (np.ones((30, 5, 1)), r"shape \(30, 5, 1\), one for each of T = 30 steps"),
    (np.ones((1, 5)), r"shape \(1, 5\): .* answers.reshape\(-1\)"),
    (np.ones((5, 8)), r"shape \(5, 8\): read one number out for each"),
    (np.ones((2, 3)), r"with shape \(2, 3\)$"),
    (np.float64(1), r"shape \(\): return one for each sequence; squeeze\(\)"),
    ((np.ones(5), np.ones(5)), r"a tuple of 2: return the answers alone; nn.LSTM"),
    ({"answers": np.ones(5)}, "a dict: return the answers alone"),
    ([np.ones(5)], "a list: return the answers alone"),
    (None, "None: return the answers alone"),
    (np.ones(5, complex), "complex128 of shape .*: return real numbers"),
    (np.ones(5, bool), "bool of shape .*: return real numbers"),
    (np.array(["a"] * 5), "str.* of shape .*: return real numbers"),
    (np.array([None] * 5), "object of shape .*: return real numbers"),
]


@pytest.mark.parametrize(("given_", "says"), FORMS)
def test_answers_of_another_form_are_refused_with_what_to_return(given_: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        check_form(given_, ONE, 5, 30)
    assert "must answer 5 sequences with real numbers of shape (5,), not with" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_real_numbers_of_any_kind_and_library_will_do() -> None:
    kinds = ("f2", "f4", "f8", ">f8", "i1", "i8", "u1", "u4")
    arrays = [np.ones(5, kind) for kind in kinds]
    tensors = [
        SimpleNamespace(shape=(5,), dtype=name)
        for name in ("torch.float32", "torch.bfloat16", "bfloat16", "torch.int64")
    ]
    for one in itertools.chain(arrays, tensors):
        check_form(one, ONE, 5, 30)
