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

import longlag
import toys
from longlag.learning.recipe import recipe
from longlag.networks.checking import check_answers, check_form
from longlag.networks.lstm1997 import LSTM1997, initial_weights
from longlag.networks.registry import NETWORKS
from longlag.tasks import reber
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.registry import TASKS as REGISTERED
from longlag.tasks.task import Task

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
    Wx, Wh = rng.normal(size=(x.shape[-1], 6)).astype("f"), rng.normal(size=(6, 6)).astype("f")
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


# -- tasks of every kind --------------------------------------------------------------------------

KINDS: dict[str, Task] = {
    "a number after symbols": toys.toy(5, 1, "last", True)(min_length=20, max_length=24),
    "several after symbols": longlag.task("temporal-order", min_length=20),
    "several after numbers": toys.toy(3, 2)(min_length=20, max_length=24),
    "symbols for symbols": longlag.task("reber"),
    "a number for numbers": toys.Echo(min_length=20, max_length=24),
}
EVERY = [kind for kind, task in KINDS.items() if task.answered == "every"]
Maker = Callable[[Task], Model]


def real(task: Task, x: np.ndarray) -> np.ndarray:
    return np.eye(task.inputs, dtype="f")[x] if task.symbols else x


def answers(task: Task, h: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Read out from states (B, T, 6), where the task asks."""
    read_out = np.linspace(-0.5, 1, 6 * task.outputs, dtype="f").reshape(6, task.outputs)
    y = (h if task.answered == "every" else own(h, n)) @ read_out
    return y[..., 0] if task.outputs == 1 else y


def of_states(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Maker:
    """A model of states that are computed from real inputs (B, T, D) and lengths."""
    return lambda task: lambda x, n: answers(task, change(real(task, x), n), n)


def of_answers(change: Callable[[np.ndarray, np.ndarray, int], np.ndarray]) -> Maker:
    """A model whose right answers are changed, given lengths and T."""

    def make(task: Task) -> Model:
        return lambda x, n: change(honest(task)(x, n), n, x.shape[1])

    return make


def along(number: Any, answers: np.ndarray) -> np.ndarray:
    """Numbers (B,), to stand beside answers."""
    return np.asarray(number).reshape(-1, *[1] * (answers.ndim - 1))


def batch_normal(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    h = states(x)
    return (h - h.mean(0)) / (h.std(0) + 0.1)


def last_padded(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.broadcast_to(states(x)[:, -1:], (*x.shape[:2], 6))


def backwards_too(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return states(x) + states(x[:, ::-1])[:, ::-1]


def unsorted(task: Task) -> Model:
    def answer(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        order = np.argsort(-n, kind="stable")
        return honest(task)(x[order], n[order])

    return answer


def noisy(task: Task) -> Model:
    rng = np.random.default_rng(0)
    return of_answers(lambda y, n, T: y * rng.random(y.shape))(task)


def carrying(task: Task) -> Model:
    kept = [np.zeros(1)]

    def change(y: np.ndarray, n: np.ndarray, T: int) -> np.ndarray:
        y = y + (kept[0] if kept[0].shape == y.shape else 0)
        kept[0] = 0.5 * y
        return y

    return of_answers(change)(task)


honest = of_states(lambda x, n: states(x))
MAKERS: dict[str, tuple[Maker, str]] = {
    "time first": (
        of_states(lambda x, n: states(x.swapaxes(0, 1)).swapaxes(0, 1)),
        "takes time first",
    ),
    "viewed": (
        of_states(lambda x, n: states(x.reshape(x.shape[1], len(x), -1).swapaxes(0, 1))),
        "mixes sequences",
    ),
    "batch normalised": (of_states(batch_normal), "mixes sequences"),
    "of the size": (of_answers(lambda y, n, T: y / len(y)), "mixes sequences"),
    "of the place": (
        of_answers(lambda y, n, T: y + along(np.arange(len(y)), y)),
        "depend on the order of the batch: ",
    ),
    "sorted by length": (unsorted, "depend on the order of the batch: they come"),
    "shifted": (
        of_answers(lambda y, n, T: np.roll(y, 1, axis=0)),
        "depend on the order of the batch: they come",
    ),
    "noisy": (noisy, "not deterministic in evaluation mode"),
    "carrying": (carrying, "keep no state from call to call"),
    "of the padded length": (
        of_answers(lambda y, n, T: y + along(n, y) / T),
        "change with the padded length",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trap", MAKERS)
def test_a_trap_is_named_on_tasks_of_every_kind(trap: str, kind: str) -> None:
    make, says = MAKERS[trap]
    with pytest.raises(ValueError, match=f"the model.*{says}") as caught:
        check_answers(make(KINDS[kind]), KINDS[kind])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in EVERY])
@pytest.mark.parametrize("states_of", [last_padded, backwards_too])
def test_a_model_that_reads_padding_is_named_on_tasks_of_every_kind(
    states_of: Any, kind: str
) -> None:
    with pytest.raises(ValueError, match="the model reads padding"):
        check_answers(of_states(states_of)(KINDS[kind]), KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_who_answers_by_itself_is_not_suspected_on_tasks_of_any_kind(kind: str) -> None:
    def scribbles(task: Task) -> Model:
        """Answers with what is no number behind the ends, and writes into what it is given."""

        def answer(x: np.ndarray, n: np.ndarray) -> np.ndarray:
            y = honest(task)(x, n).astype(float)
            if task.answered == "every":
                y[np.arange(x.shape[1]) >= n[:, None]] = len(x) / 0.1
            x[:], n[:] = 0, 1
            return y

        return answer

    half = of_answers(lambda y, n, T: y.astype(np.float16))
    for make in (honest, scribbles, half, of_answers(lambda y, n, T: np.full_like(y, np.nan))):
        check_answers(make(KINDS[kind]), KINDS[kind])


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("trap", ["time first", "batch normalised", "of the place", "shifted"])
def test_traps_are_found_on_every_task(trap: str, name: str) -> None:
    """Those too that have a few different sequences alone."""
    task = small(name)
    check_answers(honest(task), task)
    with pytest.raises(ValueError, match=MAKERS[trap][1]):
        check_answers(MAKERS[trap][0](task), task)


@pytest.mark.parametrize("kind", KINDS)
@given(gain=st.floats(0.5, 4), noise=st.sampled_from([1e-7, 1e-6]))
@settings(max_examples=20, deadline=None)
def test_rounding_in_other_shapes_is_no_trap_on_tasks_of_any_kind(
    kind: str, gain: float, noise: float
) -> None:
    """Symbols cannot be nudged, and yet a network may be chaotic."""

    def rounded(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(x.shape[:2])
        return states(x * (1 + noise * rng.standard_normal(x.shape).astype("f")), gain)

    check_answers(of_states(rounded)(KINDS[kind]), KINDS[kind])


# -- the future -----------------------------------------------------------------------------------


def window(before: int, behind: int) -> Maker:
    """A convolution that sees so many steps on either side, and is padded by zeros."""

    def convolved(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        live = np.arange(x.shape[1]) < n[:, None]
        around = np.pad(x * live[..., None], [(0, 0), (before, behind), (0, 0)])
        steps = [around[:, k : k + x.shape[1]] for k in range(before + behind + 1)]
        weights = np.random.default_rng(5).normal(size=(len(steps), x.shape[2], 6)).astype("f")
        return np.tanh(sum(step @ W for step, W in zip(steps, weights, strict=True)))

    return of_states(convolved)


def attends(masked: bool) -> Maker:
    """Attention to all steps of the sequence, or to those before."""

    def mean(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        steps = np.arange(x.shape[1])
        seen = np.broadcast_to(steps < n[:, None, None], (len(x), len(steps), len(steps)))
        if masked:
            seen = seen & (steps <= steps[:, None])
        h = states(x)
        weights = np.exp(h @ h.swapaxes(1, 2)) * seen
        return weights / weights.sum(2, keepdims=True) @ h

    return of_states(mean)


ASKING = [*EVERY, "copy", "permutation", "long-lag"]


def asking(name: str) -> Task:
    return KINDS[name] if name in KINDS else small(name)


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(
    "make", [window(0, 1), window(3, 2), attends(False), of_states(backwards_too)]
)
def test_a_model_that_reads_the_future_is_refused(make: Maker, name: str) -> None:
    with pytest.raises(
        ValueError, match=r"the model reads the future: .* on the left alone"
    ) as caught:
        check_answers(make(asking(name)), asking(name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("make", [window(3, 0), attends(True)])
def test_a_model_that_reads_the_past_alone_is_not_suspected(make: Maker, name: str) -> None:
    check_answers(make(asking(name)), asking(name))


def test_a_perfect_answer_from_the_future_is_refused() -> None:
    """The next symbol is the right answer on the Reber grammar."""
    task = longlag.task("reber")
    batch = task.sample(50, np.random.default_rng(0))

    def next_one(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        return real(task, np.roll(x, -1, axis=1))

    last = np.arange(50), batch.lengths - 1
    right = np.argmax(next_one(batch.inputs, batch.lengths), -1) == np.argmax(batch.targets, -1)
    right[last] = True
    assert np.all(right | (np.arange(right.shape[1]) >= batch.lengths[:, None]))
    with pytest.raises(ValueError, match="reads the future"):
        check_answers(next_one, task)


def test_a_model_that_knows_the_task_s_rules_alone_is_not_suspected() -> None:
    """It has no answer where the rules are broken."""

    def follows(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        y = np.zeros((*x.shape, len(reber.SYMBOLS)))
        for row, symbols, length in zip(y, x, n, strict=True):
            node = ""
            for step, symbol in enumerate(symbols[:length]):
                node = reber.NODES[node][reber.SYMBOLS[symbol]]
                row[step] = reber.POSSIBLE[reber.NAMES.index(node)]
        return y

    with pytest.raises(KeyError):
        follows(np.array([[0, 0]]), np.array([2]))
    check_answers(follows, longlag.task("reber"))
    assert longlag.judge(follows, longlag.task("reber"), 100).wrong == 0


def test_answers_that_do_not_count_may_depend_on_the_future() -> None:
    make = attends(False)
    recall = longlag.task("permutation", lag=12, counts="recall")
    check_answers(make(recall), recall)
    with pytest.raises(ValueError, match="reads the future"):
        check_answers(make(recall), longlag.task("permutation", lag=12))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in EVERY])
def test_there_is_no_future_where_the_last_step_alone_is_answered(kind: str) -> None:
    check_answers(attends(False)(KINDS[kind]), KINDS[kind])


# -- networks that come with longlag --------------------------------------------------------------


def small(name: str) -> Task:
    """A registered task with short sequences."""
    settings = REGISTERED[name].settings()
    if name == "reber":
        return REGISTERED[name].with_settings({"max_symbols": 20})
    return REGISTERED[name].with_settings({"lag": 8} if "lag" in settings else {"min_length": 20})


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_network_of_ours_is_in_a_trap_on_any_task(network: str, name: str) -> None:
    if network not in ("lstm", "lstm1997", "gru"):
        pytest.importorskip("torch")
    task, made = small(name), NETWORKS[network]
    weights = made.start(task, np.random.default_rng(0))
    check_answers(made.of(weights, task).predict, task)


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


@pytest.mark.parametrize("kind", KINDS)
def test_it_shows_sequences_of_the_task_on_tasks_of_every_kind(kind: str) -> None:
    task, seen = KINDS[kind], []

    def answer(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        seen.append((x, n))
        return honest(task)(x, n)

    check_answers(answer, task)
    assert [len(n) for _, n in seen] == [4, 4, 4, 4, 8, 1] + [4] * (kind in EVERY)
    for x, n in seen:
        assert x.dtype == (np.int64 if task.symbols else np.float32)
        assert x.ndim == 3 - task.symbols
        assert n.max() <= x.shape[1] <= task.max_length
        assert (x >= 0).all() or not task.symbols
        assert (x < task.inputs).all() or not task.symbols
    (first, its), (changed, lengths) = seen[3], seen[4]
    behind = np.arange(task.max_length) >= its[:, None]
    assert not first[behind].any()
    behind = np.arange(task.max_length) >= lengths[:, None]
    filled = changed[behind] if task.symbols else changed[behind][:, 0]
    assert filled.all(), "zeros have become others"
    assert behind.any()


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
    (np.ones((5, 30, 8)), r"shape \(5, 30, 8\): read one number out of each sequence's own last"),
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
