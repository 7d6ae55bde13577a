"""The reference LSTM of 1997 against PyTorch's autograd, finite differences and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.networks.lstm1997 import (
    LSTM1997,
    Weights,
    initial_weights,
    unflatten,
    weight_count,
    weight_shapes,
)
from longlag.networks.network import flatten

SHAPES = [(2, 2), (1, 1), (1, 4), (3, 1), (2, 3)]
READS = ["current", "previous"]


def network(blocks: int, block_size: int, seed: int, reads: Any = "current") -> LSTM1997:
    """A float64 network with weights large enough to saturate some gates."""
    vector = np.random.default_rng(seed).normal(0, 0.8, weight_count(blocks, block_size))
    return LSTM1997(unflatten(vector, blocks, block_size), blocks, reads)


def batch(N: int, T: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs with *noise* in the padding, and lengths that include 1 and T."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, T + 1, N)
    lengths[0], lengths[-1] = 1, T
    return rng.uniform(-1, 1, (N, T, 2)), lengths


def sequence(L: int, seed: int) -> tuple[np.ndarray, float]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (L, 2)), rng.uniform()


def differences(net: LSTM1997, x: np.ndarray, target: float, step: float = 1e-5) -> np.ndarray:
    """Central differences of (target - y)², one weight at a time."""

    def error(vector: np.ndarray) -> float:
        weights = unflatten(vector, net.blocks, net.block_size)
        return (target - LSTM1997(weights, net.blocks, net.reads).predict(x[None])[0]) ** 2

    vector = flatten(net.weights)
    moves = step * np.eye(len(vector))
    return np.array([(error(vector + m) - error(vector - m)) / (2 * step) for m in moves])


def backwards(net: LSTM1997, x: np.ndarray, target: float, truncated: bool) -> Weights:
    """The gradient of one sequence, back through time."""
    asked = replace(net, truncated=truncated)
    return asked.gradient(x[None], np.array([len(x)]), np.array([target]))[1]


def assert_close(got: Weights, reference: Weights, rtol: float, atol: float) -> None:
    """|got - ref| <= atol + rtol |ref|, weight by weight."""
    for name, a, b in zip(Weights._fields, got, reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)


# -- weights -----------------------------------------------------------------------------------


def test_the_papers_network_has_93_weights() -> None:
    assert weight_count() == weight_count(2, 2) == 8 * 11 + 5 == 93


@given(blocks=st.integers(1, 5), block_size=st.integers(1, 5))
def test_flattening_and_back(blocks: int, block_size: int) -> None:
    P = weight_count(blocks, block_size)
    vector = np.arange(P, dtype=np.float32)
    weights = unflatten(vector, blocks, block_size)
    assert tuple(a.shape for a in weights) == tuple(weight_shapes(blocks, block_size))
    np.testing.assert_array_equal(flatten(weights), vector)
    assert not np.shares_memory(flatten(weights), vector)
    assert all(np.shares_memory(a, vector) for a in weights)


def test_initial_weights_are_uniform_and_float32() -> None:
    drawn = [flatten(initial_weights(np.random.default_rng(seed))) for seed in range(100)]
    assert all(vector.dtype == np.float32 and vector.shape == (93,) for vector in drawn)
    everything = np.concatenate(drawn)
    assert 0.0995 < np.abs(everything).max() <= np.float32(0.1)
    assert abs(everything.mean()) < 0.002
    assert everything.var() == pytest.approx(0.2**2 / 12, rel=0.03)
    assert np.abs(np.array(drawn)).min(axis=0).max() < 0.02, "every weight, biases included"
    np.testing.assert_array_equal(drawn[3], flatten(initial_weights(np.random.default_rng(3))))


def test_given_input_gate_biases_replace_those_and_nothing_else() -> None:
    plain = initial_weights(np.random.default_rng(5))
    given = initial_weights(np.random.default_rng(5), input_gate_biases=(-3.0, -6.0))
    np.testing.assert_array_equal(given.W[4:6, -1], [-3, -6])
    given.W[4:6, -1] = plain.W[4:6, -1]
    np.testing.assert_array_equal(flatten(given), flatten(plain))
    with pytest.raises(ValueError, match=r"^input_gate_biases must be 2 numbers.*not 3$"):
        initial_weights(np.random.default_rng(5), input_gate_biases=(-1.0, -2.0, -3.0))


# -- gradients ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def autograd(
    torch: ModuleType, net: LSTM1997, x: np.ndarray, target: float, truncated: bool
) -> Weights:
    """The gradient by autograd, every recurrent input detached where it is truncated."""
    B, S, C = net.blocks, net.block_size, net.cells
    W, Wk = (torch.tensor(a, requires_grad=True) for a in net.weights)
    one, units = torch.ones(1, dtype=W.dtype), torch.zeros(C + 2 * B, dtype=W.dtype)
    state = torch.zeros(C, dtype=W.dtype)
    before = units
    for pair in torch.from_numpy(x):
        before, received = units, units.detach() if truncated else units
        net_all = W @ torch.cat([pair, received, one])
        y_in, y_out = torch.sigmoid(net_all[C:]).split(B)
        state = state + y_in.repeat_interleave(S) * (4 * torch.sigmoid(net_all[:C]) - 2)
        hidden = y_out.repeat_interleave(S) * (2 * torch.sigmoid(state) - 1)
        units = torch.cat([hidden, y_in, y_out])
    read = units if net.reads == "current" else before
    ((target - torch.sigmoid(Wk @ torch.cat([read[:C], one]))) ** 2).backward()
    grads = (torch.zeros_like(w) if w.grad is None else w.grad for w in (W, Wk))
    return Weights(*(g.numpy() for g in grads))


@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize(("blocks", "block_size"), SHAPES)
def test_gradients_are_those_of_autograd(
    torch: ModuleType, blocks: int, block_size: int, reads: str
) -> None:
    for L in (1, 2, 3, 25):
        net, (x, target) = network(blocks, block_size, L, reads), sequence(L, L)
        truncated = autograd(torch, net, x, target, truncated=True)
        assert_close(net.truncated_gradient(x, target), truncated, rtol=1e-9, atol=1e-13)
        full = autograd(torch, net, x, target, truncated=False)
        assert_close(backwards(net, x, target, truncated=False), full, rtol=1e-9, atol=1e-13)
        assert np.abs(full.Wk).max() > 1e-4, "a gradient that a test can see"
    assert np.abs(full.W - truncated.W).max() > 1e-5, "truncation makes a difference"


@pytest.mark.parametrize("row", range(8))
def test_the_check_of_gradients_can_fail(torch: ModuleType, row: int) -> None:
    net, (x, target) = network(2, 2, 1), sequence(9, 1)
    reference = autograd(torch, net, x, target, truncated=True)
    spoilt = net.truncated_gradient(x, target)
    spoilt.W[row] *= 1 + 1e-7
    with pytest.raises(AssertionError, match="W"):
        assert_close(spoilt, reference, rtol=1e-9, atol=1e-13)


@given(
    shape=st.sampled_from(SHAPES),
    reads=st.sampled_from(READS),
    L=st.integers(1, 15),
    seed=st.integers(0, 2**32),
)
def test_traces_and_backward_sum_are_one_gradient(
    shape: tuple[int, int], reads: str, L: int, seed: int
) -> None:
    net, (x, target) = network(*shape, seed, reads), sequence(L, seed)
    forwards = net.truncated_gradient(x, target)
    assert_close(forwards, backwards(net, x, target, truncated=True), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize(("blocks", "block_size"), SHAPES)
def test_the_full_gradient_is_that_of_finite_differences(
    blocks: int, block_size: int, reads: str
) -> None:
    for L in (1, 2, 9):
        net, (x, target) = network(blocks, block_size, L, reads), sequence(L, L)
        numeric = unflatten(differences(net, x, target), blocks, block_size)
        assert_close(backwards(net, x, target, truncated=False), numeric, rtol=1e-6, atol=1e-9)


@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 2**32))
def test_on_one_pair_nothing_is_truncated(shape: tuple[int, int], seed: int) -> None:
    net, (x, target) = network(*shape, seed), sequence(1, seed)
    full = backwards(net, x, target, truncated=False)
    for truncated in (net.truncated_gradient(x, target), backwards(net, x, target, True)):
        assert_close(truncated, full, rtol=1e-12, atol=1e-15)
    assert not full.W[:, 2:-1].any(), "nothing has been active before"


def test_output_gates_learn_from_the_last_step_alone() -> None:
    net, (x, target) = network(2, 2, 3), sequence(12, 3)
    ratio = net.truncated_gradient(x, target).W[6:] / net.forward(x[None]).v[-1, 0]
    np.testing.assert_allclose(ratio, ratio[:, -1:] * np.ones(11), rtol=1e-10)


# -- the forward pass --------------------------------------------------------------------------


@pytest.mark.parametrize(("blocks", "block_size"), SHAPES)
def test_states_obey_the_equations_step_by_step(blocks: int, block_size: int) -> None:
    (inputs, lengths), net = batch(3, 8, 9), network(blocks, block_size, 6)
    C, states = net.cells, net.states(inputs, lengths)
    assert set(states) == {"cell", "hidden", "input_gate", "output_gate"}
    for n, length in enumerate(lengths):
        s, units = [0.0] * C, [0.0] * (C + 2 * blocks)
        for t in range(length):
            received = [*inputs[n, t], *units, 1.0]
            f = [1 / (1 + math.exp(-math.fsum(row * received))) for row in net.weights.W]
            y_in, y_out = f[C : C + blocks], f[C + blocks :]
            s = [s[c] + y_in[c // block_size] * (4 * f[c] - 2) for c in range(C)]
            h = [2 / (1 + math.exp(-value)) - 1 for value in s]
            y_c = [y_out[c // block_size] * h[c] for c in range(C)]
            units = [*y_c, *y_in, *y_out]
            expected = {"cell": s, "hidden": y_c, "input_gate": y_in, "output_gate": y_out}
            for name, values in expected.items():
                np.testing.assert_allclose(states[name][n, t], values, rtol=1e-11, err_msg=name)


@given(
    N=st.integers(1, 5),
    T=st.integers(1, 10),
    reads=st.sampled_from(READS),
    size=st.sampled_from([1.0, 1e30]),
    seed=st.integers(0, 2**32),
)
def test_nothing_after_the_end_matters(N: int, T: int, reads: str, size: float, seed: int) -> None:
    net, (inputs, lengths) = network(2, 2, seed, reads), batch(N, T, seed)
    padded = np.concatenate([inputs, np.zeros((N, 3, 2))], axis=1)
    ended = np.arange(T + 3) >= lengths[:, None]
    padded[ended] = size * np.random.default_rng(seed).standard_normal(padded.shape)[ended]

    np.testing.assert_array_equal(net.predict(padded, lengths), net.predict(inputs, lengths))
    alone = [net.predict(x[None, :n])[0] for x, n in zip(inputs, lengths, strict=True)]
    np.testing.assert_allclose(net.predict(inputs, lengths), alone, rtol=1e-12)
    for name, array in net.states(padded, lengths).items():
        assert array.shape[:2] == (N, T + 3)
        assert not array[ended].any(), name
        assert array[~ended].all(), name


def test_the_answer_is_the_squashed_sum_of_the_cells_it_reads() -> None:
    (inputs, lengths), rows = batch(4, 9, 2), np.arange(4)
    for reads in READS:
        net = network(2, 2, 4, reads)
        hidden = np.concatenate([np.zeros((4, 1, 4)), net.states(inputs)["hidden"]], axis=1)
        read = hidden[rows, lengths - (reads == "previous")]
        y = 1 / (1 + np.exp(-(read @ net.weights.Wk[:4] + net.weights.Wk[4])))
        np.testing.assert_allclose(net.predict(inputs, lengths), y, rtol=1e-12)


def test_float32_stays_float32_and_near_float64() -> None:
    net, (x, target) = network(2, 2, 2), sequence(40, 3)
    single = LSTM1997(Weights(*(a.astype(np.float32) for a in net.weights)))
    assert single.predict(x[None]).dtype == np.float32
    np.testing.assert_allclose(single.predict(x[None]), net.predict(x[None]), rtol=1e-5)
    assert all(a.dtype == np.float32 for a in single.states(x[None]).values())
    ways = (
        lambda n: n.truncated_gradient(x, target),
        lambda n: backwards(n, x, target, truncated=True),
        lambda n: backwards(n, x, target, truncated=False),
    )
    for way in ways:
        got, wanted = way(single), way(net)
        assert all(a.dtype == np.float32 for a in got)
        assert_close(got, wanted, rtol=1e-3, atol=1e-6)


def test_nothing_given_is_changed() -> None:
    net, (x, target) = network(2, 2, 2), sequence(6, 3)
    before = [x.copy(), flatten(net.weights)]
    net.truncated_gradient(x, target)
    backwards(net, x, target, truncated=True)
    backwards(net, x, target, truncated=False)
    for a, b in zip(before, [x, flatten(net.weights)], strict=True):
        np.testing.assert_array_equal(a, b)


# -- bad input ---------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused() -> None:
    W, Wk = network(2, 2, 0).weights
    with pytest.raises(ValueError, match=r"^reads must be one of current, previous, not 'next'"):
        LSTM1997(Weights(W, Wk), 2, "next")  # type: ignore[arg-type]
    for blocks in (0, -1, 2.0, None):
        with pytest.raises(ValueError, match=r"^blocks must be a whole number of at least 1"):
            LSTM1997(Weights(W, Wk), blocks)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^Wk must have shape .* multiple of 3 blocks, not \(5,"):
        LSTM1997(Weights(W, Wk), 3)
    with pytest.raises(ValueError, match=r"^Wk must have shape .* not \(1, 5\)"):
        LSTM1997(Weights(W, Wk[None]))
    with pytest.raises(ValueError, match=r"^Wk must have shape"):
        LSTM1997(Weights(W, Wk[:1]))
    with pytest.raises(ValueError, match=r"^Wk must have shape .* not \(2, 2, 5\)"):
        LSTM1997(Weights(W, np.zeros((2, 2, 5))))
    with pytest.raises(ValueError, match=r"^W must have shape \(8, 11\) .* not \(9, 11\)"):
        LSTM1997(Weights(np.zeros((9, 11)), Wk))
    with pytest.raises(ValueError, match=r"^W must have shape \(8, 10\) .* not \(8, 9\)"):
        LSTM1997(Weights(np.zeros((8, 9)), Wk))
    with pytest.raises(ValueError, match=r"^W must have shape \(6, 11\) for 1 blocks of 4 cells"):
        LSTM1997(Weights(W, Wk), 1)
    for output in ("tanh", None):
        with pytest.raises(ValueError, match="output must be one of linear, sigmoid, not"):
            LSTM1997(Weights(W, Wk), output=output)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="answered must be one of last, every, not 'first'"):
        LSTM1997(Weights(W, Wk), answered="first")  # type: ignore[arg-type]


def test_sequences_of_a_wrong_shape_are_refused() -> None:
    net = network(2, 2, 0)
    for shape in ((4,), (0, 2), (4, 3), (1, 4, 2)):
        with pytest.raises(ValueError, match=r"^inputs must have shape"):
            net.truncated_gradient(np.zeros(shape), 0.5)
        for truncated in (True, False):
            with pytest.raises(ValueError, match=r"^inputs must have shape"):
                backwards(net, np.zeros(shape), 0.5, truncated)
    with pytest.raises(ValueError, match=r"^lengths must lie between 1 and T = 4, not 1 to 5"):
        net.predict(np.zeros((2, 4, 2)), np.array([1, 5]))
