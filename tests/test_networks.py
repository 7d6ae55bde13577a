"""Every network of numpy with D inputs, K outputs, answers at the last or at every step.

Its answers, states and gradients are those of PyTorch's layers and autograd, in float64; its
gradients are those of finite differences, too.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.networks.gru import GRU, GatedRecurrentUnit
from longlag.networks.gru import Parameters as GRUParameters
from longlag.networks.lstm import LSTM, ForgetGateLSTM
from longlag.networks.lstm1997 import LSTM1997, BlockLSTM
from longlag.networks.network import Network, flatten
from longlag.networks.registry import NETWORKS
from longlag.tasks.registry import TASKS
from toys import Toy, toy

# Every network with every variant of it.
OUTPUTS = ("linear", "sigmoid")
LSTMS = [
    ForgetGateLSTM(hidden=3, output=output, forget_gate=gate)
    for output in OUTPUTS
    for gate in (True, False)
]
BLOCKS = [
    BlockLSTM(blocks=2, block_size=2, reads=reads, output=output, gradient=gradient)
    for reads in ("current", "previous")
    for output in OUTPUTS
    for gradient in ("truncated", "full")
]
VARIANTS: list[Network] = [
    *LSTMS,
    *BLOCKS,
    BlockLSTM(blocks=1, block_size=3, reads="current", gradient="full"),
    BlockLSTM(blocks=3, block_size=1, reads="previous", gradient="truncated"),
    *(GatedRecurrentUnit(hidden=3, output=output) for output in OUTPUTS),
]
SHAPES: list[tuple[int, int, Any, bool]] = [
    (D, K, answered, symbols)
    for D, K in ((1, 1), (2, 3), (5, 1), (4, 4))
    for answered in ("last", "every")
    for symbols in (False, True)
]


def words(network: Network) -> str:
    return "-".join(str(value) for value in (network.name, *network.settings().values()))


class Data(NamedTuple):
    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray


def model(network: Network, task: Toy, seed: int = 0) -> Any:
    """In float64, with weights large enough to saturate some gates."""
    vector = np.random.default_rng(seed).normal(0, 0.8, network.size(task))
    return network.of(vector, task)


def data(task: Toy, B: int, T: int, seed: int = 0) -> Data:
    """Sequences with *noise* after their ends; lengths that include 1 and T."""
    drawn = task.at_length(T).sample(B, np.random.default_rng(seed))
    lengths = np.random.default_rng(seed + 1).integers(1, T + 1, B)
    lengths[0], lengths[-1] = 1, T
    inputs = drawn.inputs if task.symbols else drawn.inputs.astype(np.float64)
    return Data(inputs, lengths, drawn.targets.astype(np.float64))


def live(given: Data) -> np.ndarray:
    """Steps before a sequence's end, (B, T)."""
    return np.arange(given.inputs.shape[1]) < given.lengths[:, None]


# -- PyTorch ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def layer(torch: ModuleType, kind: str, weights: dict[str, Any], x: Any, hidden: int) -> Any:
    """The hidden states (B, T, H) of a layer of PyTorch's with these weights."""
    made = getattr(torch.nn, kind)(x.shape[2], hidden, batch_first=True, dtype=torch.float64)
    named = {f"{name}_l0": value for name, value in weights.items()}
    return torch.func.functional_call(made, named, (x,))[0]


def lstm_states(torch: ModuleType, net: LSTM, p: list[Any], x: Any) -> Any:
    Wx, Wh, b, *_ = p
    if net.forget_gate:

        def order(a: Any) -> Any:  # PyTorch's is i, f, g, o
            i, f, o, g = a.chunk(4, dim=-1)
            return torch.cat([i, f, g, o], dim=-1)

        own = {"weight_ih": order(Wx).T, "weight_hh": order(Wh).T, "bias_ih": order(b)}
        own["bias_hh"] = torch.zeros_like(b)
        return layer(torch, "LSTM", own, x, net.hidden)
    c = h = torch.zeros(len(x), net.hidden, dtype=torch.float64)
    states = []
    for t in range(x.shape[1]):
        i, _, o, g = (x[:, t] @ Wx + h @ Wh + b).chunk(4, dim=1)
        c = c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states, dim=1)


def gru_states(torch: ModuleType, net: GRU, p: list[Any], x: Any) -> Any:
    Wx, Wh, bx, bh, *_ = p  # the gates stand in PyTorch's order
    own = {"weight_ih": Wx.T, "weight_hh": Wh.T, "bias_ih": bx, "bias_hh": bh}
    return layer(torch, "GRU", own, x, net.hidden)


def block_states(torch: ModuleType, net: LSTM1997, p: list[Any], x: Any) -> Any:
    """Outputs of the cells, (B, T + 1, C), the initial zeros first; see the paper's eqs. 3 to 9."""
    W, _ = p
    B, S, C = net.blocks, net.block_size, net.cells
    units = x.new_zeros(len(x), C + 2 * B)
    state, hidden = x.new_zeros(len(x), C), [units[:, :C]]
    for now in x.unbind(1):
        received = units.detach() if net.truncated else units
        nets = torch.cat([now, received, now.new_ones(len(x), 1)], dim=1) @ W.T
        y_in, y_out = torch.sigmoid(nets[:, C:]).split(B, dim=1)
        g = 4 * torch.sigmoid(nets[:, :C]) - 2
        state = state + y_in.repeat_interleave(S, dim=1) * g
        y_c = y_out.repeat_interleave(S, dim=1) * (2 * torch.sigmoid(state) - 1)
        units = torch.cat([y_c, y_in, y_out], dim=1)
        hidden.append(y_c)
    return torch.stack(hidden, dim=1)


class Peer(NamedTuple):
    """What PyTorch finds, in the form of ours."""

    answers: np.ndarray
    hidden: np.ndarray
    loss: float
    gradient: list[np.ndarray]


def peer(torch: ModuleType, net: Any, task: Toy, given: Data) -> Peer:
    p = [torch.tensor(a, requires_grad=True) for a in net.parameters]
    x = torch.from_numpy(np.eye(task.inputs)[given.inputs] if task.symbols else given.inputs)
    ends = torch.from_numpy(given.lengths - 1)
    if isinstance(net, LSTM1997):
        hidden = block_states(torch, net, p, x)
        read = hidden[:, 1:] if net.reads == "current" else hidden[:, :-1]
        hidden, rows = hidden[:, 1:], p[1].reshape(task.outputs, -1)
        Wy, by = rows[:, :-1].T, rows[:, -1]
    else:
        states = gru_states if isinstance(net, GRU) else lstm_states
        read = hidden = states(torch, net, p, x)
        Wy, by = p[-2:]
    every = task.answered == "every"
    y = (read if every else read[torch.arange(len(x)), ends]) @ Wy + by
    y = torch.sigmoid(y) if net.output == "sigmoid" else y
    y = y[..., 0] if task.outputs == 1 else y
    counted = live(given) if every else slice(None)
    wanted = torch.from_numpy(given.targets)
    loss = torch.nn.functional.mse_loss(y[counted], wanted[counted])
    loss.backward()
    gradient = [np.zeros(a.shape) if a.grad is None else a.grad.numpy() for a in p]
    return Peer(y.detach().numpy(), hidden.detach().numpy(), loss.item(), gradient)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("network", VARIANTS, ids=words)
def test_answers_states_and_gradients_are_pytorchs(
    torch: ModuleType, network: Network, shape: tuple[int, int, Any, bool]
) -> None:
    task = toy(*shape)()
    net, given = model(network, task), data(task, 5, 9)
    want = peer(torch, net, task, given)
    alive = live(given)
    counted = alive if task.answered == "every" else slice(None)

    answers = net.predict(given.inputs, given.lengths)
    assert answers.shape == given.targets.shape
    np.testing.assert_allclose(answers[counted], want.answers[counted], rtol=1e-11, atol=1e-13)
    states = net.states(given.inputs, given.lengths)
    np.testing.assert_allclose(states["hidden"][alive], want.hidden[alive], rtol=1e-11, atol=1e-13)

    loss, gradient = net.gradient(*given)
    assert loss == pytest.approx(want.loss, rel=1e-12)
    names = network.shapes(task)
    assert {name: a.shape for name, a in zip(names, gradient, strict=True)} == dict(names)
    for name, ours, theirs in zip(names, gradient, want.gradient, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13, err_msg=name)
        assert np.abs(theirs).max() > 1e-5, f"{name} has a gradient that a test can see"


@pytest.mark.parametrize("network", BLOCKS[:2], ids=words)
def test_truncation_makes_a_difference_at_every_step(torch: ModuleType, network: Network) -> None:
    task = toy(2, 3, "every")()
    given = data(task, 5, 9)
    net = model(network, task)
    both = [replace(net, truncated=truncated).gradient(*given)[1].W for truncated in (0, 1)]
    assert np.abs(both[0] - both[1]).max() > 1e-4


# -- finite differences -------------------------------------------------------------------------

FULL = [one for one in VARIANTS if one.settings().get("gradient") != "truncated"]


def loss_of(network: Network, task: Toy, vector: np.ndarray, given: Data) -> float:
    """The mean squared error, from answers alone."""
    squares = (network.of(vector, task).predict(given.inputs, given.lengths) - given.targets) ** 2
    return float(np.mean(squares[live(given)] if task.answered == "every" else squares))


@given(
    network=st.sampled_from(FULL),
    D=st.integers(1, 7),
    K=st.integers(1, 7),
    answered=st.sampled_from(["last", "every"]),
    symbols=st.booleans(),
    B=st.integers(1, 5),
    T=st.integers(1, 12),
    seed=st.integers(0, 2**32),
)
def test_gradients_are_those_of_finite_differences(
    network: Network, D: int, K: int, answered: Any, symbols: bool, B: int, T: int, seed: int
) -> None:
    task = toy(D, K, answered, symbols)()
    net, given = model(network, task, seed), data(task, B, T, seed)
    loss, gradient = net.gradient(*given)
    vector, step = flatten(net.parameters), 1e-5
    assert loss == pytest.approx(loss_of(network, task, vector, given), rel=1e-12)
    ways = np.random.default_rng(seed + 1).standard_normal((3, len(vector)))
    for way in ways / np.linalg.norm(ways, axis=1, keepdims=True):
        ends = [loss_of(network, task, vector + sign * step * way, given) for sign in (1, -1)]
        slope = flatten(gradient) @ way
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_the_comparison_with_finite_differences_can_fail() -> None:
    task, network = toy(3, 2, "every")(), FULL[0]
    net, given = model(network, task), data(task, 4, 6)
    vector, gradient = flatten(net.parameters), flatten(net.gradient(*given)[1])
    numeric = np.array(
        [
            (loss_of(network, task, vector + e, given) - loss_of(network, task, vector - e, given))
            / 2e-5
            for e in 1e-5 * np.eye(len(vector))
        ]
    )
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-9)
    for spoilt in (gradient * 1.001, np.roll(gradient, 1)):
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(spoilt, numeric, rtol=1e-5, atol=1e-9)


# -- steps, ends, batches -----------------------------------------------------------------------

EVERYWHERE = {
    "network": st.sampled_from(VARIANTS),
    "shape": st.sampled_from(SHAPES),
    "B": st.integers(1, 5),
    "T": st.integers(1, 10),
    "seed": st.integers(0, 2**32),
}


@given(**EVERYWHERE)
def test_states_come_about_step_by_step(
    network: Network, shape: Any, B: int, T: int, seed: int
) -> None:
    task = toy(*shape)()
    net, given = model(network, task, seed), data(task, B, T, seed)
    got, found = net.states(given.inputs, given.lengths), []
    for x in given.inputs.swapaxes(0, 1):
        found.append(_stepped(net, task, x, found[-1] if found else None))
    for name, array in got.items():
        assert array.shape[:2] == (B, T)
        assert not array[~live(given)].any(), name
        ours = np.stack([step[name] for step in found], axis=1)
        np.testing.assert_allclose(array[live(given)], ours[live(given)], rtol=1e-12, atol=1e-14)
    assert set(net.titles) <= set(got)


def _stepped(net: Any, task: Toy, x: np.ndarray, before: Any) -> dict[str, np.ndarray]:
    """What `step` makes of one step's inputs and of what stood before it, by name."""
    if isinstance(net, LSTM1997):
        C, N = net.cells, len(x)
        units = np.zeros((N, C + 2 * net.blocks)) if before is None else before["units"]
        s = np.zeros((N, C)) if before is None else before["cell"]
        one = np.eye(task.inputs)[x] if task.symbols else x
        _, s, units = net.step(np.hstack([one, units, np.ones((N, 1))]), s)
        parts = np.split(units, [C, C + net.blocks], axis=1)
        named = dict(zip(("hidden", "input_gate", "output_gate"), parts, strict=True))
        return named | {"cell": s, "units": units}
    zero = np.zeros((len(x), net.hidden))
    h = zero if before is None else before["hidden"]
    if isinstance(net, GRU):
        gates, _, h = net.step(x, h)
        names = ("reset_gate", "update_gate", "candidate")
        return dict(zip(names, np.split(gates, 3, axis=1), strict=True)) | {"hidden": h}
    gates, (c, h) = net.step(x, (zero if before is None else before["cell"], h))
    names = ("input_gate", "forget_gate", "output_gate", "candidate")
    return dict(zip(names, np.split(gates, 4, axis=1), strict=True)) | {"cell": c, "hidden": h}


@given(**EVERYWHERE, size=st.sampled_from([1.0, 1e30]))
def test_nothing_after_the_end_matters(
    network: Network, shape: Any, B: int, T: int, seed: int, size: float
) -> None:
    task = toy(*shape)()
    net, given = model(network, task, seed), data(task, B, T, seed)
    rng = np.random.default_rng(seed)
    wide = task.at_length(T + 3).sample(B, rng)
    longer = Data(np.array(wide.inputs), given.lengths, np.array(wide.targets, dtype=np.float64))
    if not task.symbols:
        longer = longer._replace(inputs=size * longer.inputs.astype(np.float64))
    longer.inputs[:, :T][live(given)] = given.inputs[live(given)]
    counted: Any = slice(None)
    if task.answered == "every":
        counted = live(given)
        longer.targets[:] = np.nan
        longer.targets[:, :T][counted] = given.targets[counted]
    else:
        longer.targets[:] = given.targets

    answers = net.predict(longer.inputs, given.lengths)
    answers = answers[:, :T] if task.answered == "every" else answers
    np.testing.assert_array_equal(
        answers[counted], net.predict(given.inputs, given.lengths)[counted]
    )
    (loss, gradient), (other, others) = net.gradient(*given), net.gradient(*longer)
    assert other == pytest.approx(loss, rel=1e-13)
    for a, b in zip(others, gradient, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
    states = net.states(given.inputs, given.lengths)
    for name, array in net.states(longer.inputs, given.lengths).items():
        assert not array[~live(longer)].any(), name
        np.testing.assert_array_equal(array[:, :T], states[name])


@given(**EVERYWHERE)
def test_a_batch_is_its_sequences_one_by_one(
    network: Network, shape: Any, B: int, T: int, seed: int
) -> None:
    task = toy(*shape)()
    net, (inputs, lengths, targets) = model(network, task, seed), data(task, B, T, seed)
    every = task.answered == "every"
    together = net.predict(inputs, lengths)
    loss, gradient = net.gradient(inputs, lengths, targets)
    total, sums, count = 0.0, np.zeros(network.size(task)), sum(lengths) if every else B
    for k, n in enumerate(lengths):
        x, wanted = inputs[k : k + 1, :n], targets[k : k + 1]
        answers = together[k : k + 1]
        if every:
            wanted, answers = wanted[:, :n], answers[:, :n]
        np.testing.assert_allclose(net.predict(x), answers, rtol=1e-11, atol=1e-13)
        one, own = net.gradient(x, lengths[k : k + 1], wanted)
        share = (n if every else 1) / count
        total += share * one
        sums += share * flatten(own)
    assert loss == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(flatten(gradient), sums, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("network", VARIANTS, ids=words)
def test_whole_numbers_are_inputs_as_others_are(network: Network) -> None:
    """Not symbols, where there is one for each of D inputs."""
    task = toy(3, 2)()
    net, rng = model(network, task), np.random.default_rng(0)
    whole = rng.integers(-1, 2, (4, 6, 3))
    lengths, targets = np.array([6, 2, 5, 1]), rng.random((4, 2))
    real = whole.astype(np.float64)
    np.testing.assert_array_equal(net.predict(whole, lengths), net.predict(real, lengths))
    one, other = net.gradient(whole, lengths, targets), net.gradient(real, lengths, targets)
    assert one[0] == other[0]
    np.testing.assert_array_equal(flatten(one[1]), flatten(other[1]))


@pytest.mark.parametrize("network", [LSTMS[0], BLOCKS[0], VARIANTS[-1]], ids=words)
@pytest.mark.parametrize("shape", [(3, 1, "last", True), (3, 2, "every", False)], ids=str)
def test_float32_stays_float32_and_near_float64(network: Network, shape: Any) -> None:
    task = toy(*shape)()
    net, given = model(network, task), data(task, 5, 30)
    single = network.of(flatten(net.parameters).astype(np.float32), task)
    y, exact = single.predict(*given[:2]), net.predict(*given[:2])
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(y, exact)
    (loss, gradient), (_, reference) = single.gradient(*given), net.gradient(*given)
    assert all(a.dtype == np.float32 for a in gradient)
    np.testing.assert_allclose(flatten(gradient), flatten(reference), rtol=1e-2, atol=1e-4)
    assert np.isfinite(loss)
    assert all(a.dtype == np.float32 for a in single.states(*given[:2]).values())


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [LSTMS[0], BLOCKS[0], VARIANTS[-1]], ids=words)
def test_what_does_not_fit_a_network_is_refused(network: Network) -> None:
    task = toy(3, 2)()
    net, (inputs, lengths, targets) = model(network, task), data(task, 4, 6)
    for shape in ((4, 6), (4, 6, 2), (4, 6, 4), (4, 0, 3), (0, 6, 3), (1, 4, 6, 3)):
        with pytest.raises(ValueError, match=r"^inputs must have shape \(B, T, 3\), not"):
            net.predict(np.zeros(shape), None)
    for symbols in ([[0, 3]], [[-1, 0]]):
        with pytest.raises(ValueError, match=r"^symbols must lie between 0 and 2, not"):
            net.predict(np.array(symbols))
    for bad in (targets[:, :1], targets[:3], targets[:, 0], targets[..., None]):
        with pytest.raises(ValueError, match=r"^targets must have shape \(4, 2\), not"):
            net.gradient(inputs, lengths, bad)
    for bad in (lengths[:3], lengths * 7, lengths - lengths, lengths.astype(float)):
        with pytest.raises(ValueError, match=r"^lengths must"):
            net.gradient(inputs, bad, targets)


@pytest.mark.parametrize("name", GRUParameters._fields)
def test_parameters_of_a_gru_that_do_not_fit_are_refused(name: str) -> None:
    p = model(GatedRecurrentUnit(hidden=3), toy(2)()).parameters
    wrong = getattr(p, name)[..., None]
    with pytest.raises(ValueError, match=rf"^{name} must have shape .*, not \(") as caught:
        GRU(p._replace(**{name: wrong}))
    assert str(wrong.shape) in str(caught.value)


def test_variants_of_a_gru_that_there_are_not_are_refused() -> None:
    p = model(GatedRecurrentUnit(hidden=3), toy(2)()).parameters
    with pytest.raises(ValueError, match="output must be one of linear, sigmoid, not 'softmax'"):
        GRU(p, "softmax")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="answered must be one of last, every, not 'first'"):
        GRU(p, answered="first")  # type: ignore[arg-type]


# -- parts of a recipe --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("network", [*map(NETWORKS.__getitem__, NETWORKS.ready())], ids=words)
def test_a_networks_weights_start_for_any_task(
    network: Network, shape: tuple[int, int, Any, bool]
) -> None:
    task = toy(*shape)()
    vector, again, other = (network.start(task, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (vector.dtype, vector.shape) == (np.float32, (network.size(task),))
    np.testing.assert_array_equal(vector, again)
    assert not np.array_equal(vector, other)
    net = network.of(vector, task)
    shapes = [tuple(s) for s in network.shapes(task).values()]
    assert [a.shape for a in net.parameters] == shapes
    assert all(np.shares_memory(a, vector) for a in net.parameters)
    np.testing.assert_array_equal(flatten(net.parameters), vector)
    answers = net.predict(*task.at_length(4).sample(3, np.random.default_rng(0))[:2])
    assert answers.shape == task.at_length(4).sample(3, np.random.default_rng(0)).targets.shape


@pytest.mark.parametrize("name", TASKS.ready())
def test_a_networks_size_is_that_of_its_shapes(name: str) -> None:
    task = TASKS[name]
    D, K = task.inputs, task.outputs
    assert ForgetGateLSTM(hidden=5).size(task) == 20 * (D + 5 + 1) + K * 6
    assert BlockLSTM(blocks=2, block_size=2).size(task) == 8 * (D + 9) + K * 5
    assert GatedRecurrentUnit(hidden=5).size(task) == 15 * (D + 5 + 2) + K * 6


def test_a_gru_starts_as_pytorchs_does(torch: ModuleType) -> None:
    """Uniform in the same bounds, but for the answer's bias."""
    H, task = 100, toy(4, 3)()
    network = GatedRecurrentUnit(hidden=H, output_bias=0.75)
    net = network.of(network.start(task, np.random.default_rng(0)), task)
    theirs = [*torch.nn.GRU(4, H).parameters(), torch.nn.Linear(H, 3).weight]
    bounds = {round(p.abs().max().item(), 2) for p in theirs}
    ours = {round(float(np.abs(a).max()), 2) for a in net.parameters[:-1]}
    assert ours == bounds == {0.1}
    assert net.parameters.by.tolist() == [0.75] * 3
