"""The kernel's plain form: against the reference in numpy; and the fast forms against it."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.kernel import load_kernel
from longlag.learning.optimizers import Adam, clip_by_global_norm
from longlag.networks import lstm, lstm1997
from longlag.networks.lstm import LSTM
from longlag.networks.lstm1997 import LSTM1997, USUAL, Biases, G, H, Variant
from longlag.networks.network import flatten
from plain import Data, Plain, Sizes

kernel: Any = load_kernel()
ISAS: list[str] = kernel.isas() if kernel else []
FUSED = [isa for isa in ISAS if isa in ("avx512", "avx2")]
needs_kernel = pytest.mark.skipif(kernel is None, reason="the kernel was not built")

ADAM = {"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "clip": 0.05}

VARIANTS = st.just(USUAL) | st.builds(
    Variant,
    biases=st.sampled_from(get_args(Biases)),
    inputs_to_outputs=st.booleans(),
    output_gate=st.booleans(),
    recurrent=st.booleans(),
    g=st.sampled_from(get_args(G)),
    h=st.sampled_from(get_args(H)),
)
SIZES = st.builds(
    Sizes,
    D=st.integers(1, 9),
    K=st.integers(1, 5),
    H=st.integers(1, 7),
    N=st.integers(1, 4),
    S=st.integers(1, 3),
    every=st.booleans(),
    sigmoid=st.booleans(),
    forget_gate=st.booleans(),
    reads_current=st.booleans(),
    truncated=st.booleans(),
    variant=VARIANTS,
)
# What the fast kernels have.
FAST = st.builds(
    Sizes,
    D=st.just(2) | st.integers(1, 40),
    K=st.just(1) | st.integers(1, 9),
    every=st.booleans(),
    H=st.integers(1, 40) | st.sampled_from([64, 128]),
    N=st.integers(1, 4),
    S=st.integers(1, 6),
    sigmoid=st.booleans(),
    forget_gate=st.booleans(),
    reads_current=st.booleans(),
    truncated=st.booleans(),
    variant=VARIANTS,
)
SEEDS = st.integers(0, 2**32)


def problem(n: Sizes, B: int, T: int, seed: int, symbols: bool = False, dtype: Any = float) -> Data:
    """Sequences of 1 to T steps; noise in the padding, which nothing may read. Where every step is
    answered, about half of the answers count for half of the seeds, at least one a sequence."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(n.D, size=(B, T)) if symbols else rng.uniform(-1, 1, (B, T, n.D))
    lengths = rng.integers(1, T + 1, B)
    lengths[rng.integers(B)] = T
    targets = rng.uniform(0, 1, (B, T, n.K) if n.every else (B, n.K))
    counted = None
    if n.every and seed % 2:
        counted = rng.random((B, T)) < 0.5
        counted[np.arange(B), rng.integers(lengths)] = True
    inputs = inputs if symbols else inputs.astype(dtype)
    return Data(inputs, lengths, targets.astype(dtype), counted)


def weights(count: int, scale: float, seed: int, dtype: Any = float) -> np.ndarray:
    return np.random.default_rng([seed, count]).normal(0, scale, count).astype(dtype)


def lstm_weights(n: Sizes, seed: int, dtype: Any = float) -> np.ndarray:
    return weights(lstm.parameter_count(n.H, n.D, n.K), 1.2 / np.sqrt(n.H + n.D), seed, dtype)


def block_weights(n: Sizes, seed: int, dtype: Any = float) -> np.ndarray:
    return weights(lstm1997.weight_count(n.N, n.S, n.D, n.K, n.variant), 0.6, seed, dtype)


def doubled(data: Data) -> Data:
    """The same numbers in float64."""
    return data.each(lambda a: a.astype(np.float64) if a.dtype == np.float32 else a)


def without_k(array: np.ndarray) -> np.ndarray:
    """Without the axis of K where K is 1, as numpy's networks have answers."""
    return array[..., 0] if array.shape[-1] == 1 else array


def known(data: Data) -> tuple[Any, ...]:
    """What numpy's gradients are taken of."""
    return data.inputs, data.lengths, without_k(data.targets), data.counted


def counted(n: Sizes, data: Data) -> np.ndarray:
    """Which answers (B, T), or (B,), count."""
    if not n.every:
        return np.ones(len(data.lengths), bool)
    live = np.arange(data.targets.shape[1]) < data.lengths[:, None]
    return live if data.counted is None else live & data.counted


def alive(n: Sizes, array: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Answers (B, ..., K) that are asked for."""
    return array[np.arange(array.shape[1]) < lengths[:, None]] if n.every else array


def assert_close(actual: Any, wanted: Any, rtol: float) -> None:
    """Within rtol of each entry, plus a fiftieth of that of the largest."""
    wanted = np.asarray(wanted)
    atol = rtol / 50 * np.max(np.abs(wanted), initial=1e-3)
    np.testing.assert_allclose(actual, wanted, rtol=rtol, atol=atol)


# The plain form against numpy ------------------------------------------------------------------


def lstm_of(n: Sizes, vector: np.ndarray) -> LSTM:
    parts = lstm.unflatten(vector, n.H, n.D, n.K)
    output = "sigmoid" if n.sigmoid else "linear"
    return LSTM(parts, output, n.forget_gate, "every" if n.every else "last")


def lstm1997_of(n: Sizes, vector: np.ndarray) -> LSTM1997:
    parts = lstm1997.unflatten(vector, n.N, n.S, n.D, n.K, n.variant)
    reads, output = (
        "current" if n.reads_current else "previous",
        "sigmoid" if n.sigmoid else "linear",
    )
    return LSTM1997(
        parts, n.N, reads, output, "every" if n.every else "last", n.truncated, n.variant
    )


@given(n=SIZES, B=st.integers(1, 4), T=st.integers(1, 12), seed=SEEDS, symbols=st.booleans())
def test_plain_lstm_is_the_reference(
    plain: Plain, n: Sizes, B: int, T: int, seed: int, symbols: bool
) -> None:
    data, vector = problem(n, B, T, seed, symbols), lstm_weights(n, seed)
    network = lstm_of(n, vector)
    loss, answers, gradient = plain.gradient(n, vector, data)
    wanted_loss, wanted = network.gradient(*known(data))
    assert loss == pytest.approx(wanted_loss, rel=1e-11)
    assert_close(gradient, flatten(wanted), 1e-9)
    found = alive(n, without_k(answers), data.lengths)
    assert_close(found, alive(n, network.predict(data.inputs, data.lengths), data.lengths), 1e-10)
    states, wanted = plain.states(n, vector, data), network.states(data.inputs, data.lengths)
    assert states.keys() == wanted.keys()
    for name, state in states.items():
        assert_close(state, wanted[name], 1e-10)


@given(n=SIZES, B=st.integers(1, 4), T=st.integers(1, 12), seed=SEEDS, symbols=st.booleans())
def test_plain_lstm_of_1997_is_the_reference(
    plain: Plain, n: Sizes, B: int, T: int, seed: int, symbols: bool
) -> None:
    data, vector = problem(n, B, T, seed, symbols), block_weights(n, seed)
    network = lstm1997_of(n, vector)
    loss, answers, gradient = plain.gradient1997(n, vector, data)
    wanted_loss, wanted = network.gradient(*known(data))
    assert loss == pytest.approx(wanted_loss, rel=1e-11)
    assert_close(gradient, flatten(wanted), 1e-9)
    found = alive(n, without_k(answers), data.lengths)
    assert_close(found, alive(n, network.predict(data.inputs, data.lengths), data.lengths), 1e-10)


@given(n=SIZES, seed=SEEDS)
def test_plain_on_line_learning_is_an_update_a_sequence(plain: Plain, n: Sizes, seed: int) -> None:
    data, vector = problem(n, 5, 9, seed), block_weights(n, seed)
    wanted, answers = vector.copy(), np.zeros_like(data.targets)
    for b in range(5):
        one = data.each(lambda a, b=b: np.ascontiguousarray(a[b : b + 1]))
        asked = n.K * int(np.sum(counted(n, one)))  # of a mean, so many make the sum
        _, answers[b : b + 1], gradient = plain.gradient1997(n, wanted, one)
        wanted -= 0.3 * asked * gradient
    mine = vector.copy()
    np.testing.assert_allclose(plain.learn1997(n, 0.3, mine, data), answers, rtol=1e-12)
    np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("clip", [0.05, np.inf])
@pytest.mark.parametrize("adam", [True, False])
def test_plain_update_is_the_optimiser(plain: Plain, adam: bool, clip: float) -> None:
    rng = np.random.default_rng(0)
    mine, wanted = rng.normal(size=(2, 40)), np.zeros(40)
    wanted[:] = mine[0]
    optimizer, moments = Adam(40, dtype=np.float64), (np.zeros(40), np.zeros(40))
    for count in range(1, 6):
        gradient = rng.normal(size=40)
        clipped, norm = clip_by_global_norm(gradient, clip)
        rule = {**ADAM, "clip": clip, "count": count, "adam": adam}
        assert plain.update(gradient, mine[0], moments, **rule) == pytest.approx(norm, rel=1e-12)
        if adam:
            optimizer.update(wanted, clipped, 0.01)
        else:
            wanted -= 0.01 * clipped
    np.testing.assert_allclose(mine[0], wanted, rtol=1e-11)
    assert adam == any(moment.any() for moment in moments)


@given(n=SIZES, seed=SEEDS, symbols=st.booleans())
def test_single_precision_is_the_same_plain_form(
    plain: Plain, n: Sizes, seed: int, symbols: bool
) -> None:
    data = problem(n, 3, 9, seed, symbols, np.float32)
    for vector, compute in (
        (lstm_weights(n, seed, np.float32), plain.gradient),
        (block_weights(n, seed, np.float32), plain.gradient1997),
    ):
        single = compute(n, vector, data)
        double = compute(n, vector.astype(np.float64), doubled(data))
        for a, b in zip(single, double, strict=True):
            assert_close(a, b, 1e-3)


# The fast forms against the plain one ----------------------------------------------------------


def asked_of_lstm(n: Sizes, symbols: bool, isa: str) -> dict[str, Any]:
    """What the kernel is told of a network."""
    return {
        "hidden": n.H,
        "sigmoid_output": n.sigmoid,
        "forget_gate": n.forget_gate,
        "input_size": n.D,
        "output_size": n.K,
        "symbols": symbols,
        "every": n.every,
        "isa": isa,
    }


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
@given(n=FAST, B=st.integers(1, 40), T=st.integers(1, 40), seed=SEEDS, symbols=st.booleans())
def test_fast_lstm_is_the_plain_one(
    plain: Plain, isa: str, n: Sizes, B: int, T: int, seed: int, symbols: bool
) -> None:
    data, vector = problem(n, B, T, seed, symbols, np.float32), lstm_weights(n, seed, np.float32)
    named = asked_of_lstm(n, symbols, isa)
    batch = (data.inputs, data.lengths, np.ascontiguousarray(without_k(data.targets)))
    found = kernel.gradient(vector, *batch, counted=data.counted, **named)
    double = vector.astype(np.float64), doubled(data)
    loss, answers, gradient = plain.gradient(n, *double)
    for actual, wanted in zip(found, (loss, without_k(answers), gradient), strict=True):
        assert_close(actual, wanted, 1e-3)
    np.testing.assert_array_equal(kernel.predict(vector, *batch[:2], **named), found[1])
    if n.H <= 40:
        states = kernel.states(vector, data.inputs, data.lengths, **named)
        for name, wanted in plain.states(n, *double).items():
            assert_close(states[name], wanted, 1e-3)


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
@given(n=FAST, seed=SEEDS, adam=st.booleans(), count=st.integers(1, 1000), symbols=st.booleans())
def test_fast_update_is_the_plain_one(
    plain: Plain, isa: str, n: Sizes, seed: int, adam: bool, count: int, symbols: bool
) -> None:
    data, vector = problem(n, 5, 9, seed, symbols, np.float32), lstm_weights(n, seed, np.float32)
    moments = (weights(len(vector), 0.01, 1, np.float32), weights(len(vector), 0.01, 2, np.float32))
    np.abs(moments[1], out=moments[1])
    named = asked_of_lstm(n, symbols, isa)
    batch = (data.inputs, data.lengths, np.ascontiguousarray(without_k(data.targets)))
    _, _, gradient = kernel.gradient(vector, *batch, counted=data.counted, **named)
    wanted, known = vector.astype(np.float64), tuple(m.astype(np.float64) for m in moments)
    rule = {**ADAM, "learning_rate": 0.01 if adam else 10.0}  # steps well above float32's rounding
    plain.update(gradient.astype(np.float64), wanted, known, **rule, adam=adam, count=count)
    rate = np.array([rule.pop("learning_rate")])
    before = vector.copy()
    one = data.each(lambda a: a[None])
    how = {"optimizer": "adam" if adam else "sgd", "counted": one.counted}
    batch = (one.inputs, one.lengths, np.ascontiguousarray(without_k(one.targets)))
    kernel.train(vector, *moments, count - 1, *batch, rate, **how, **rule, **named)
    assert_close(vector - before, wanted - before, 1e-3)
    for actual, moment in zip(moments, known, strict=True):
        assert_close(actual, moment, 1e-5)


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
@given(n=FAST, N=st.integers(1, 3), B=st.integers(1, 40), seed=SEEDS, symbols=st.booleans())
def test_training_is_an_update_after_another_on_any_number_of_threads(
    isa: str, n: Sizes, N: int, B: int, seed: int, symbols: bool
) -> None:
    """Each iteration has its own data."""
    flat, vector = problem(n, N * B, 9, seed, symbols, np.float32), lstm_weights(n, seed, "f4")
    data = flat.each(lambda a: a.reshape(N, B, *a.shape[1:]))
    data = data._replace(targets=np.ascontiguousarray(without_k(data.targets)))
    named = asked_of_lstm(n, symbols, isa) | {**ADAM, "optimizer": "sgd"}
    rates = np.full(N, named.pop("learning_rate"))
    many, one = vector.copy(), vector.copy()
    found, updates = kernel.train(
        many, None, None, 0, *data[:3], rates, threads=3, counted=data.counted, **named
    )
    assert updates == N
    for k in range(N):
        piece = data.each(lambda a, k=k: np.ascontiguousarray(a[k : k + 1]))
        loss, _ = kernel.train(
            one, None, None, k, *piece[:3], rates[:1], counted=piece.counted, **named
        )
        assert loss[0] == found[k]
    np.testing.assert_array_equal(many, one)


@needs_kernel
@given(n=FAST, B=st.integers(1, 40), seed=SEEDS, symbols=st.booleans())
def test_fast_lstm_has_the_same_bits_in_either_width(
    n: Sizes, B: int, seed: int, symbols: bool
) -> None:
    data, vector = problem(n, B, 20, seed, symbols, np.float32), lstm_weights(n, seed, np.float32)
    batch = (data.inputs, data.lengths, np.ascontiguousarray(without_k(data.targets)))
    found = [
        kernel.gradient(vector, *batch, counted=data.counted, **asked_of_lstm(n, symbols, isa))
        for isa in FUSED
    ]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


class Trials:
    """Trials that start from the same weights and learn on-line from the same sequences."""

    def __init__(self, n: Sizes, vector: np.ndarray, isa: str, symbols: bool, trials: int = 2):
        self.weights = np.stack([vector] * trials)
        self.recent = np.zeros((trials, 99), np.float32)
        self.seen, self.wrong = np.zeros((2, trials), np.int64)
        self._stops = (
            np.full((trials, 1), -1),
            np.zeros((trials, 1, len(vector)), np.float32),
            np.zeros((trials, 1, 2)),
        )
        self._asked = {
            **{"blocks": n.N, "block_size": n.S, "reads_current": n.reads_current},
            **{"input_size": n.D, "output_size": n.K, "symbols": symbols, "every": n.every},
            **{"sigmoid_output": n.sigmoid, "isa": isa, **vars(n.variant)},
        }
        self._rule = {"full_gradient": not n.truncated, "tolerance": 0.04, "check_every": 1}

    def learn(self, data: Data, rate: float) -> np.ndarray:
        """Answers (trials, N, ...), without the axis of K where K is 1."""
        inputs, lengths, targets, counted = data.each(lambda a: np.stack([a] * len(self.weights)))
        assert targets is not None
        return kernel.online1997(
            *(self.weights, self.recent, self.seen, self.wrong, *self._stops),
            *(inputs, lengths, np.ascontiguousarray(without_k(targets))),
            **{**self._asked, **self._rule, "thresholds": np.array([0]), "rate": rate},
            counted=counted,
        )

    def predict(self, data: Data) -> np.ndarray:
        return kernel.predict1997(self.weights[0], data.inputs, data.lengths, **self._asked)


def roomy(n: Sizes) -> Sizes:
    """Of no more cells than the kernel has room for."""
    return Sizes(**{**vars(n), "S": min(n.S, 32 // n.N - 2)})


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
@given(
    n=FAST,
    N=st.integers(1, 5),
    T=st.integers(1, 30),
    seed=SEEDS,
    symbols=st.booleans(),
    trials=st.sampled_from([2, 9]),
)
def test_fast_on_line_learning_is_the_plain_one(
    plain: Plain, isa: str, n: Sizes, N: int, T: int, seed: int, symbols: bool, trials: int
) -> None:
    # Few and small updates: each multiplies what rounding has done.
    n, rate = roomy(n), 0.05 / (T if n.every else 1)
    data, vector = problem(n, N, T, seed, symbols, np.float32), block_weights(n, seed, np.float32)
    wanted = vector.astype(np.float64)
    answers = plain.learn1997(n, rate, wanted, doubled(data))
    mine = Trials(n, vector, isa, symbols, trials)
    found = mine.learn(data, rate)
    assert_close(found, np.stack([without_k(answers)] * trials), 1e-3)
    assert_close(mine.weights, np.stack([wanted] * trials), 1e-3)
    errors = np.where(np.isnan(answers), 0, answers - data.targets)
    errors[~counted(n, data)] = 0
    largest = np.abs(errors).reshape(N, -1).max(axis=1)
    assert_close(np.abs(mine.recent[:, :N]), np.stack([largest] * trials), 1e-2)


@needs_kernel
@pytest.mark.parametrize("isa", ISAS)
@given(n=FAST, B=st.integers(1, 40), T=st.integers(1, 30), seed=SEEDS, symbols=st.booleans())
def test_fast_answers_of_1997_are_the_plain_ones(
    plain: Plain, isa: str, n: Sizes, B: int, T: int, seed: int, symbols: bool
) -> None:
    n = roomy(n)
    data, vector = problem(n, B, T, seed, symbols, np.float32), block_weights(n, seed, np.float32)
    _, answers, _ = plain.gradient1997(n, vector.astype(np.float64), doubled(data))
    assert_close(Trials(n, vector, isa, symbols).predict(data), without_k(answers), 1e-4)


@needs_kernel
@given(n=FAST, N=st.integers(1, 9), seed=SEEDS, symbols=st.booleans())
def test_a_trial_has_the_same_bits_in_any_width_and_company_and_in_pieces(
    n: Sizes, N: int, seed: int, symbols: bool
) -> None:
    n = roomy(n)
    data, vector = problem(n, N, 12, seed, symbols, np.float32), block_weights(n, seed, np.float32)
    first, second = data.each(lambda a: a[:1]), data.each(lambda a: a[1:])
    found = []
    for isa in FUSED:
        for trials in (1, 5, 17):
            together, apart = (Trials(n, vector, isa, symbols, trials) for _ in range(2))
            answers = together.learn(data, 0.01)
            apart.learn(first, 0.01)
            if N > 1:
                apart.learn(second, 0.01)
            found += [
                (answers[-1], one.weights[-1], one.recent[-1], one.wrong[-1])
                for one in (together, apart)
            ]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@needs_kernel
def test_comparison_can_fail(plain: Plain) -> None:
    n = Sizes(H=8)
    data, vector = problem(n, 17, 20, 0, dtype=np.float32), lstm_weights(n, 0, np.float32)
    _, _, gradient = plain.gradient(n, vector.astype(np.float64), doubled(data))
    order = np.argsort(np.abs(gradient))
    for at, factor in ((order[-1], 1.0015), (order[len(order) // 2], 1.02)):
        wrong = gradient.copy()
        wrong[at] *= factor
        with pytest.raises(AssertionError):
            assert_close(wrong, gradient, 1e-3)
