"""The reference LSTM against finite differences, PyTorch and closed forms."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.networks.lstm import (
    LSTM,
    Parameters,
    parameter_count,
    parameter_shapes,
    unflatten,
)
from longlag.networks.network import check_lengths, flatten, sigmoid

VARIANTS = [(output, gate) for output in ("linear", "sigmoid") for gate in (True, False)]


def network(hidden: int, seed: int, output: Any = "linear", forget_gate: bool = True) -> LSTM:
    """A float64 network with weights large enough to saturate some gates."""
    vector = np.random.default_rng(seed).normal(0, 0.8, parameter_count(hidden))
    return LSTM(unflatten(vector, hidden), output, forget_gate)


def batch(B: int, T: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs with *noise* in the padding, lengths that include 1 and T, targets."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, T + 1, B)
    lengths[0], lengths[-1] = 1, T
    return rng.uniform(-1, 1, (B, T, 2)), lengths, rng.uniform(0, 1, B)


def loss(net: LSTM, vector: np.ndarray, data: tuple[np.ndarray, ...]) -> float:
    """Mean squared error, from answers alone."""
    inputs, lengths, targets = data
    other = LSTM(unflatten(vector, net.hidden), net.output, net.forget_gate)
    return math.fsum((other.predict(inputs, lengths) - targets) ** 2) / len(targets)


def differences(net: LSTM, data: tuple[np.ndarray, ...], step: float = 1e-5) -> np.ndarray:
    """Central differences of the loss, one parameter at a time."""
    vector = flatten(net.parameters)
    gradient = np.empty_like(vector)
    for k in range(len(vector)):
        up, down = vector.copy(), vector.copy()
        up[k] += step
        down[k] -= step
        gradient[k] = (loss(net, up, data) - loss(net, down, data)) / (2 * step)
    return gradient


def assert_close(got: Parameters, reference: Parameters, rtol: float, atol: float) -> None:
    """|got - ref| <= atol + rtol |ref|, parameter by parameter."""
    for name, a, b in zip(Parameters._fields, got, reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)


# -- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("output", "forget_gate"), VARIANTS)
def test_gradients_are_those_of_finite_differences(output: str, forget_gate: bool) -> None:
    net, data = network(3, 1, output, forget_gate), batch(4, 7, 2)
    value, gradient = net.gradient(*data)
    assert value == pytest.approx(loss(net, flatten(net.parameters), data), rel=1e-12)
    numeric = unflatten(differences(net, data), 3)
    assert_close(gradient, numeric, rtol=1e-6, atol=1e-9)
    for name, array in zip(Parameters._fields, gradient, strict=True):
        assert np.abs(array).max() > 1e-4, f"{name} has a gradient that a test can see"


@pytest.mark.parametrize("name", Parameters._fields)
def test_the_check_of_gradients_can_fail(name: str) -> None:
    net, data = network(3, 1), batch(4, 7, 2)
    numeric = unflatten(differences(net, data), 3)
    _, gradient = net.gradient(*data)
    spoilt = gradient._replace(**{name: getattr(gradient, name) * 1.001})
    with pytest.raises(AssertionError, match=name):
        assert_close(spoilt, numeric, rtol=1e-6, atol=1e-9)


@given(
    hidden=st.integers(1, 6),
    B=st.integers(1, 5),
    T=st.integers(1, 12),
    variant=st.sampled_from(VARIANTS),
    seed=st.integers(0, 2**32),
)
def test_gradients_along_random_directions(
    hidden: int, B: int, T: int, variant: tuple[str, bool], seed: int
) -> None:
    net, data = network(hidden, seed, *variant), batch(B, T, seed)
    _, gradient = net.gradient(*data)
    vector = flatten(net.parameters)
    direction = np.random.default_rng(seed + 1).standard_normal(len(vector))
    direction /= np.linalg.norm(direction)
    step = 1e-5
    numeric = loss(net, vector + step * direction, data) - loss(
        net, vector - step * direction, data
    )
    assert numeric / (2 * step) == pytest.approx(flatten(gradient) @ direction, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_a_fixed_forget_gate_leaves_its_columns_without_gradient(output: str) -> None:
    net, data = network(3, 5, output, forget_gate=False), batch(4, 7, 2)
    _, gradient = net.gradient(*data)
    for array in (gradient.Wx, gradient.Wh, gradient.b[None]):
        assert not array[:, 3:6].any()
        assert array[:, :3].all()
        assert array[:, 6:].all()
    moved = flatten(net.parameters).copy()
    unflatten(moved, 3).b[3:6] += 5
    assert loss(net, moved, data) == loss(net, flatten(net.parameters), data)


# -- PyTorch -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def torch_order(array: np.ndarray) -> np.ndarray:
    """Our gate columns i, f, o, g in PyTorch's order i, f, g, o."""
    i, f, o, g = np.split(array, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


def peer(torch: ModuleType, net: LSTM) -> tuple[Any, Any]:
    """torch.nn.LSTM and torch.nn.Linear with the same weights; the bias stands in bias_ih."""
    lstm = torch.nn.LSTM(2, net.hidden, batch_first=True, dtype=torch.float64)
    linear = torch.nn.Linear(net.hidden, 1, dtype=torch.float64)
    p = net.parameters
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(torch.from_numpy(torch_order(p.Wx).T.copy()))
        lstm.weight_hh_l0.copy_(torch.from_numpy(torch_order(p.Wh).T.copy()))
        lstm.bias_ih_l0.copy_(torch.from_numpy(torch_order(p.b)))
        lstm.bias_hh_l0.zero_()
        linear.weight.copy_(torch.from_numpy(p.Wy.T.copy()))
        linear.bias.copy_(torch.from_numpy(p.by))
    return lstm, linear


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
@pytest.mark.parametrize(("hidden", "B", "T"), [(8, 6, 30), (1, 1, 1), (5, 3, 13)])
def test_answers_states_and_gradients_are_pytorchs(
    torch: ModuleType, output: str, hidden: int, B: int, T: int
) -> None:
    net, (inputs, lengths, targets) = network(hidden, 3, output), batch(B, T, 4)
    lstm, linear = peer(torch, net)
    x = torch.from_numpy(inputs)

    hidden_states, _ = lstm(x)
    y = linear(hidden_states[torch.arange(B), torch.from_numpy(lengths - 1)])[:, 0]
    y = torch.sigmoid(y) if output == "sigmoid" else y
    error = torch.nn.functional.mse_loss(y, torch.from_numpy(targets))
    error.backward()

    value, gradient = net.gradient(inputs, lengths, targets)
    np.testing.assert_allclose(
        net.predict(inputs, lengths), y.detach().numpy(), rtol=1e-12, atol=1e-13
    )
    assert value == pytest.approx(error.item(), rel=1e-12)
    expected = {
        "Wx": lstm.weight_ih_l0.grad.numpy().T,
        "Wh": lstm.weight_hh_l0.grad.numpy().T,
        "b": lstm.bias_ih_l0.grad.numpy(),
        "Wy": linear.weight.grad.numpy().T,
        "by": linear.bias.grad.numpy(),
    }
    for name, ours in gradient._asdict().items():
        ours = torch_order(ours) if name in ("Wx", "Wh", "b") else ours
        np.testing.assert_allclose(ours, expected[name], rtol=1e-9, atol=1e-13, err_msg=name)

    states = net.states(inputs, lengths)
    live = np.arange(T) < lengths[:, None]
    np.testing.assert_allclose(
        states["hidden"][live], hidden_states.detach().numpy()[live], rtol=1e-11, atol=1e-13
    )
    carried = None  # PyTorch shows the cell state only at the end: one step at a time, then
    for t in range(T):
        with torch.no_grad():
            _, carried = lstm(x[:, t : t + 1], carried)
        cell = carried[1][0].numpy()
        ours = states["cell"][:, t]
        np.testing.assert_allclose(ours[live[:, t]], cell[live[:, t]], rtol=1e-11, atol=1e-13)


def test_packed_sequences_of_pytorch_end_where_ours_do(torch: ModuleType) -> None:
    net, (inputs, lengths, _) = network(4, 3), batch(6, 11, 4)
    lstm, linear = peer(torch, net)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(inputs), torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        _, (last, cell) = lstm(packed)
        y = linear(last[0])[:, 0].numpy()
    np.testing.assert_allclose(net.predict(inputs, lengths), y, rtol=1e-12, atol=1e-13)
    ours = net.states(inputs, lengths)["cell"][np.arange(6), lengths - 1]
    np.testing.assert_allclose(ours, cell[0].numpy(), rtol=1e-11, atol=1e-13)


# -- closed forms ------------------------------------------------------------------------------


def test_open_gates_make_a_sum_of_the_candidates() -> None:
    # One cell, gates open, no recurrence, f fixed at 1: c_L is the sum of tanh(w v_t).
    zero, b = np.zeros((1, 4)), np.array([40.0, -40.0, 40.0, 0.0])
    Wx = np.zeros((2, 4))
    Wx[0, 3] = 0.7
    p = Parameters(Wx, zero, b, np.array([[2.0]]), np.array([-0.5]))
    inputs, lengths, _ = batch(5, 9, 1)
    sums = [
        math.fsum(math.tanh(0.7 * v) for v in x[:n, 0])
        for x, n in zip(inputs, lengths, strict=True)
    ]
    answers = [2 * math.tanh(s) - 0.5 for s in sums]
    linear = LSTM(p, "linear", forget_gate=False).predict(inputs, lengths)
    np.testing.assert_allclose(linear, answers, rtol=1e-12)
    squashed = LSTM(p, "sigmoid", forget_gate=False).predict(inputs, lengths)
    np.testing.assert_allclose(squashed, [1 / (1 + math.exp(-a)) for a in answers], rtol=1e-12)
    # A forget gate that is learned, and shut, keeps the last candidate alone.
    last = [
        2 * math.tanh(math.tanh(0.7 * x[n - 1, 0])) - 0.5
        for x, n in zip(inputs, lengths, strict=True)
    ]
    np.testing.assert_allclose(LSTM(p).predict(inputs, lengths), last, rtol=1e-12)


@pytest.mark.parametrize("forget_gate", [True, False])
def test_states_obey_the_equations_step_by_step(forget_gate: bool) -> None:
    H, (inputs, lengths, _) = 3, batch(4, 8, 9)
    net = network(H, 6, forget_gate=forget_gate)
    p, s = net.parameters, net.states(inputs, lengths)
    assert set(s) == {
        "cell", "hidden", "input_gate", "forget_gate", "output_gate", "candidate",
    }  # fmt: skip
    for k, length in enumerate(lengths):
        c, h = [0.0] * H, [0.0] * H
        for t in range(length):
            z = [
                math.fsum([*(inputs[k, t] * p.Wx[:, j]), *(np.array(h) * p.Wh[:, j]), p.b[j]])
                for j in range(4 * H)
            ]
            i, f, o = ([1 / (1 + math.exp(-v)) for v in z[m * H : m * H + H]] for m in range(3))
            f = f if forget_gate else [1.0] * H
            g = [math.tanh(v) for v in z[3 * H :]]
            c = [f[j] * c[j] + i[j] * g[j] for j in range(H)]
            h = [o[j] * math.tanh(c[j]) for j in range(H)]
            expected = {
                "cell": c,
                "hidden": h,
                "input_gate": i,
                "forget_gate": f,
                "output_gate": o,
                "candidate": g,
            }
            for name, values in expected.items():
                np.testing.assert_allclose(s[name][k, t], values, rtol=1e-11, err_msg=name)


# -- batches, padding, precision ---------------------------------------------------------------


@given(
    B=st.integers(1, 5),
    T=st.integers(1, 10),
    variant=st.sampled_from(VARIANTS),
    size=st.sampled_from([1.0, 1e3, 1e30]),
    seed=st.integers(0, 2**32),
)
def test_nothing_after_the_end_matters(
    B: int, T: int, variant: tuple[str, bool], size: float, seed: int
) -> None:
    net, (inputs, lengths, targets) = network(3, seed, *variant), batch(B, T, seed)
    padded = np.concatenate([inputs, np.zeros((B, 3, 2))], axis=1)
    noise = size * np.random.default_rng(seed).standard_normal(padded.shape)
    ended = np.arange(T + 3) >= lengths[:, None]
    padded[ended] = noise[ended]

    np.testing.assert_array_equal(net.predict(padded, lengths), net.predict(inputs, lengths))
    value, gradient = net.gradient(inputs, lengths, targets)
    other, its_gradient = net.gradient(padded, lengths, targets)
    assert other == value
    for a, b in zip(its_gradient, gradient, strict=True):
        np.testing.assert_array_equal(a, b)
    states = net.states(padded, lengths)
    for name, array in states.items():
        assert array.shape == (B, T + 3, 3)
        assert not array[ended].any(), name
    assert states["cell"][~ended].all()


@given(
    B=st.integers(1, 6),
    T=st.integers(1, 10),
    variant=st.sampled_from(VARIANTS),
    seed=st.integers(0, 2**32),
)
def test_a_batch_is_its_sequences_one_by_one(
    B: int, T: int, variant: tuple[str, bool], seed: int
) -> None:
    net, (inputs, lengths, targets) = network(4, seed, *variant), batch(B, T, seed)
    together = net.predict(inputs, lengths)
    value, gradient = net.gradient(inputs, lengths, targets)
    total, alone = 0.0, np.zeros(parameter_count(4))
    for k, n in enumerate(lengths):
        x = inputs[k : k + 1, :n]
        np.testing.assert_allclose(net.predict(x), together[k : k + 1], rtol=1e-12, atol=1e-14)
        error, g = net.gradient(x, lengths[k : k + 1], targets[k : k + 1])
        total += error / B
        alone += flatten(g) / B
    assert value == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(flatten(gradient), alone, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(("output", "forget_gate"), VARIANTS)
def test_float32_stays_float32_and_near_float64(output: str, forget_gate: bool) -> None:
    net, (inputs, lengths, targets) = network(8, 2, output, forget_gate), batch(5, 40, 3)
    small = Parameters(*(a.astype(np.float32) for a in net.parameters))
    single = LSTM(small, net.output, forget_gate)
    y, exact = single.predict(inputs, lengths), net.predict(inputs, lengths)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(y, exact)
    _, gradient = single.gradient(inputs, lengths, targets)
    _, reference = net.gradient(inputs, lengths, targets)
    assert all(a.dtype == np.float32 for a in gradient)
    assert_close(gradient, reference, rtol=1e-2, atol=1e-4)
    assert all(a.dtype == np.float32 for a in single.states(inputs, lengths).values())


def test_lengths_not_given_are_full() -> None:
    net, (inputs, _, _) = network(3, 2), batch(3, 6, 3)
    np.testing.assert_array_equal(net.predict(inputs), net.predict(inputs, np.full(3, 6)))
    assert net.states(inputs)["cell"].all()


def test_a_forward_pass_changes_nothing() -> None:
    net, (inputs, lengths, targets) = network(3, 2), batch(3, 6, 3)
    before = [inputs.copy(), lengths.copy(), targets.copy(), flatten(net.parameters)]
    net.gradient(inputs, lengths, targets)
    for a, b in zip(before, [inputs, lengths, targets, flatten(net.parameters)], strict=True):
        np.testing.assert_array_equal(a, b)


def test_sigmoid_is_exact_and_does_not_overflow() -> None:
    x = np.array([-1e4, -800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0, 1e4])
    expected = [0, 0, *(1 / (1 + math.exp(-v)) for v in x[2:-2]), 1, 1]
    np.testing.assert_allclose(sigmoid(x), expected, rtol=1e-14, atol=1e-300)
    assert sigmoid(x.astype(np.float32)).dtype == np.float32


# -- shapes, flat vectors, bad input -----------------------------------------------------------


@given(hidden=st.integers(1, 40))
def test_flattening_and_back(hidden: int) -> None:
    P = parameter_count(hidden)
    vector = np.arange(P, dtype=np.float32)
    p = unflatten(vector, hidden)
    assert tuple(a.shape for a in p) == tuple(parameter_shapes(hidden))
    assert P == sum(a.size for a in p) == len(flatten(p))
    np.testing.assert_array_equal(flatten(p), vector)
    assert not np.shares_memory(flatten(p), vector)
    assert all(np.shares_memory(a, vector) for a in p)
    assert p.by[0] == P - 1


def test_the_catalogues_network_has_361_parameters() -> None:
    assert parameter_count(8) == 2 * 32 + 8 * 32 + 32 + 8 + 1 == 361


@pytest.mark.parametrize("name", Parameters._fields)
def test_parameters_that_do_not_fit_are_refused(name: str) -> None:
    p = network(3, 0).parameters
    good = getattr(p, name)
    wrong = np.zeros((*good.shape[:-1], good.shape[-1] + 1))
    # The bias of the answers says how many there are: where it is wrong, Wy does not fit.
    named, shape = ("Wy", p.Wy.shape) if name == "by" else (name, wrong.shape)
    with pytest.raises(ValueError, match=rf"^{named} must have shape .*, not \(") as caught:
        LSTM(p._replace(**{name: wrong}))
    assert str(shape) in str(caught.value)


def test_an_axis_too_many_is_refused() -> None:
    p = network(3, 0).parameters
    for name in Parameters._fields:
        wrong = getattr(p, name)[..., None]
        with pytest.raises(ValueError, match=rf"^{name} must have shape .*, not \(") as caught:
            LSTM(p._replace(**{name: wrong}))
        assert str(wrong.shape) in str(caught.value)


def test_an_unknown_output_is_refused() -> None:
    with pytest.raises(ValueError, match=r"output must be one of linear, sigmoid, not 'softmax'"):
        LSTM(network(3, 0).parameters, "softmax")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(4, 7), (4, 7, 3), (4, 0, 2), (0, 7, 2), (7, 2, 4, 2)])
def test_inputs_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"inputs must have shape \(B, T, 2\), not") as caught:
        network(3, 0).predict(np.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ([1, 2, 3], ["4 whole numbers", "(3,)"]),
        ([[1, 2, 3, 4]], ["4 whole numbers", "(1, 4)"]),
        (3, ["4 whole numbers", "()"]),
        ([1.0, 2.0, 3.0, 4.0], ["4 whole numbers", "float64"]),
        ([True, True, True, True], ["an array of numbers", "True"]),
        ([1, 2, 3, 8], ["between 1 and T = 7", "1 to 8"]),
        ([0, 2, 3, 7], ["between 1 and T = 7", "0 to 7"]),
        ([-1, 2, 3, 7], ["between 1 and T = 7", "-1 to 7"]),
    ],
)
def test_bad_lengths_are_refused(lengths: Any, words: list[str]) -> None:
    inputs = np.zeros((4, 7, 2))
    with pytest.raises(ValueError, match=r"^lengths must") as caught:
        check_lengths(inputs, np.asarray(lengths))
    assert all(word in str(caught.value) for word in words), str(caught.value)
    for use in (network(3, 0).predict, network(3, 0).states):
        with pytest.raises(ValueError, match=r"^lengths must"):
            use(inputs, np.asarray(lengths))


def test_lengths_as_a_list_give_the_same_gradient() -> None:
    net, (inputs, lengths, targets) = network(3, 2), batch(3, 6, 3)
    _, expected = net.gradient(inputs, lengths, targets)
    _, got = net.gradient(inputs, lengths.tolist(), targets)  # type: ignore[arg-type]
    assert_close(got, expected, rtol=1e-12, atol=0)
