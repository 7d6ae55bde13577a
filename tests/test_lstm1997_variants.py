"""The networks of the paper's other experiments: weights, gradients at every step, refusals."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.kernel import load_kernel
from longlag.learning.native import NativeEngine
from longlag.learning.recipe import recipe
from longlag.networks.lstm1997 import (
    LSTM1997,
    BlockLSTM,
    Variant,
    Weights,
    connected,
    initial_weights,
    unflatten,
    weight_count,
)
from longlag.networks.network import flatten
from longlag.tasks.registry import task
from toys import toy

WITHOUT: dict[str, Any] = {
    "biases": "none", "inputs_to_outputs": True, "output_gate": False, "recurrent": False,
    "g": "logistic", "h": "identity",
}  # fmt: skip
OF_2A = {**WITHOUT, "blocks": 1, "block_size": 1}


# -- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("P", "name", "settings", "network"),
    [
        (264, "reber", {}, {"blocks": 4, "block_size": 1, "biases": "gates"}),
        (276, "reber", {}, {"blocks": 3, "block_size": 2, "biases": "gates"}),
        (10504, "long-lag", {"lag": 100}, OF_2A),
        (10504, "long-lag", {"lag": 100, "middle": "random"}, OF_2A),
        *(
            (P, "very-long-lag", {"lag": p, "distractors": p},
             {"blocks": 2, "block_size": 1, "biases": "none"})
            for P, p in ((364, 50), (664, 100), (1264, 200), (3064, 500), (6064, 1000))
        ),
        (102, "two-sequence", {}, {"blocks": 3, "block_size": 1, "biases": "hidden"}),
        (93, "adding", {}, {}),
        (93, "multiplication", {}, {}),
        (156, "temporal-order", {}, {}),
        (308, "temporal-order", {"ordered": 3}, {"blocks": 3}),
    ],
)  # fmt: skip
def test_an_experiments_network_has_the_papers_number_of_weights(
    P: int, name: str, settings: dict[str, Any], network: dict[str, Any]
) -> None:
    net, asked = BlockLSTM(**network), task(name, **settings)
    assert net.size(asked) == P
    start = net.start(asked, np.random.default_rng(0))
    assert start.shape == (P,)
    np.testing.assert_array_equal(flatten(net.of(start, asked).parameters), start)
    assert len(np.unique(start)) > 0.99 * P, "all of them are drawn"


@st.composite
def variants(draw: st.DrawFn) -> Variant:
    return Variant(
        draw(st.sampled_from(["none", "gates", "hidden", "all"])),
        *(draw(st.booleans()) for _ in range(3)),
        draw(st.sampled_from(["centered", "logistic"])),
        draw(st.sampled_from(["centered", "identity"])),
    )


sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))


@given(size=sizes, variant=variants())
def test_a_flat_vector_holds_the_weights_that_there_are(
    size: tuple[int, int, int, int], variant: Variant
) -> None:
    blocks, block_size, D, K = size
    C = blocks * block_size
    there, P = connected(*size, variant), weight_count(*size, variant)
    vector = np.arange(1.0, P + 1)
    weights = unflatten(vector, *size, variant)
    net = LSTM1997(weights, blocks, variant=variant)
    np.testing.assert_array_equal(flatten(net.parameters), vector)
    assert (net.cells, net.inputs, net.block_size, len(net.read)) == (C, D, block_size, K)
    for array, part in zip(weights, there, strict=True):
        np.testing.assert_array_equal(array != 0, part)
    rows = C + blocks * (1 + variant.output_gate)
    wide = D + rows * variant.recurrent
    biases = {"none": 0, "gates": rows - C, "hidden": rows, "all": rows + K}[variant.biases]
    read = K * (C + D * variant.inputs_to_outputs)
    assert rows * wide + read + biases == P


def test_initial_weights_have_their_range_and_biases_their_blocks_values() -> None:
    asked = task("two-sequence")
    net = BlockLSTM(
        blocks=3, block_size=1, biases="hidden", initial_range=0.2,
        input_gate_bias=-1.0, input_gate_step=-2.0, output_gate_bias=-2.0,
    )  # fmt: skip
    made = net.of(net.start(asked, np.random.default_rng(3)), asked).weights
    assert made.W[3:6, -1].tolist() == [-1, -3, -5]
    assert made.W[6:, -1].tolist() == [-2, -4, -6]
    others = np.concatenate([made.W[:, :-1].ravel(), made.W[:3, -1], made.Wk[:-1]])
    assert 0.18 < np.abs(others).max() <= 0.2
    assert made.Wk[-1] == 0
    twice = replace(net, input_gate_step=0.0)
    made = twice.of(twice.start(asked, np.random.default_rng(3)), asked).weights
    assert made.W[3:6, -1].tolist() == [-1, -2, -3]
    drawn = BlockLSTM(initial_range=0.4).start(task("adding"), np.random.default_rng(5))
    usual = BlockLSTM().start(task("adding"), np.random.default_rng(5))
    np.testing.assert_allclose(drawn, 4 * usual, rtol=1e-6)


# -- gradients ------------------------------------------------------------------------------------

CASES = [
    Variant(),
    Variant("none"),
    Variant("gates"),
    Variant("hidden"),
    Variant(inputs_to_outputs=True),
    Variant(output_gate=False),
    Variant(recurrent=False),
    Variant(g="logistic"),
    Variant(h="identity"),
    Variant(**WITHOUT),
    Variant("gates", inputs_to_outputs=True, output_gate=False, g="logistic"),
]
READ = [*itertools.product(["current", "previous"], ["sigmoid", "linear"], ["last", "every"])]


def network(variant: Variant, seed: int, size: Any = (2, 2, 3, 2), *how: Any) -> LSTM1997:
    rng = np.random.default_rng(seed)
    vector = rng.normal(0, 0.8, weight_count(*size, variant))
    return LSTM1997(unflatten(vector, *size, variant), size[0], *how, variant=variant)


def sequence(L: int, net: LSTM1997, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (L, D), and a target in the shape of the answer."""
    rng = np.random.default_rng(seed)
    every = net.answered == "every"
    shape = (*[L] * every, *[len(net.read)] * (len(net.read) > 1))
    return rng.uniform(-1, 1, (L, net.inputs)), rng.uniform(size=shape)


def backwards(net: LSTM1997, x: np.ndarray, target: np.ndarray, truncated: bool) -> np.ndarray:
    asked = replace(net, truncated=truncated)
    return flatten(asked.gradient(x[None], np.array([len(x)]), target[None])[1])


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def autograd(
    torch: ModuleType, net: LSTM1997, x: np.ndarray, target: np.ndarray, truncated: bool
) -> np.ndarray:
    """The gradient by autograd, every recurrent input detached where it is truncated."""
    B, S, C, how = net.blocks, net.block_size, net.cells, net.variant
    K, D = len(net.read), net.inputs
    W, Wk = (torch.tensor(a, requires_grad=True) for a in (net.weights.W, net.read))
    units, state = torch.zeros(C + 2 * B, dtype=W.dtype), torch.zeros(C, dtype=W.dtype)
    one, answers = torch.ones(1, dtype=W.dtype), []
    for row in torch.from_numpy(x):
        before, received = units, units.detach() if truncated else units
        net_all = W @ torch.cat([row, received, one])
        y_in, y_out = torch.sigmoid(net_all[C:]).split(B)
        if not how.output_gate:
            y_out = torch.ones_like(y_out)
        g = torch.sigmoid(net_all[:C])
        state = state + y_in.repeat_interleave(S) * (g if how.g == "logistic" else 4 * g - 2)
        h = state if how.h == "identity" else 2 * torch.sigmoid(state) - 1
        units = torch.cat([y_out.repeat_interleave(S) * h, y_in, y_out])
        read = (units if net.reads == "current" else before)[:C]
        shown = [read, row, one] if how.inputs_to_outputs else [read, one]
        y = Wk @ torch.cat(shown)
        answers.append(torch.sigmoid(y) if net.output == "sigmoid" else y)
    given = torch.stack(answers) if net.answered == "every" else answers[-1]
    torch.mean((torch.from_numpy(target).reshape(given.shape) - given) ** 2).backward()
    dense = [np.zeros(w.shape) if w.grad is None else w.grad.numpy() for w in (W, Wk)]
    there = connected(B, S, D, K, how)
    return np.concatenate([a[part.reshape(a.shape)] for a, part in zip(dense, there, strict=True)])


@pytest.mark.parametrize("how", READ, ids="-".join)
@pytest.mark.parametrize("variant", CASES, ids=str)
def test_gradients_are_those_of_autograd(torch: ModuleType, variant: Variant, how: Any) -> None:
    """Truncated, by forward traces and by backward sums, and in full."""
    for L, size in ((1, (2, 2, 3, 2)), (2, (1, 3, 2, 1)), (9, (2, 2, 3, 2)), (9, (3, 1, 1, 1))):
        net = network(variant, L, size, *how)
        x, target = sequence(L, net, L)
        truncated = autograd(torch, net, x, target, truncated=True)
        traces = flatten(net.truncated_gradient(x, target))
        np.testing.assert_allclose(traces, truncated, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(
            backwards(net, x, target, True), truncated, rtol=1e-9, atol=1e-13
        )
        full = autograd(torch, net, x, target, truncated=False)
        np.testing.assert_allclose(backwards(net, x, target, False), full, rtol=1e-9, atol=1e-13)
    if variant.recurrent:
        assert np.abs(full - truncated).max() > 1e-5, "truncation makes a difference"
    else:
        np.testing.assert_allclose(full, truncated, rtol=1e-12, atol=1e-15)


@given(
    variant=variants(),
    size=sizes,
    how=st.sampled_from(READ),
    L=st.integers(1, 12),
    seed=st.integers(0, 2**32),
)
def test_traces_and_backward_sums_are_one_gradient(
    variant: Variant, size: Any, how: Any, L: int, seed: int
) -> None:
    net = network(variant, seed, size, *how)
    x, target = sequence(L, net, seed)
    traces, sums = flatten(net.truncated_gradient(x, target)), backwards(net, x, target, True)
    assert traces.shape == (weight_count(*size, variant),)
    np.testing.assert_allclose(traces, sums, rtol=1e-9, atol=1e-13)


@given(variant=variants(), size=sizes, how=st.sampled_from(READ), seed=st.integers(0, 2**32))
def test_the_full_gradient_is_that_of_finite_differences(
    variant: Variant, size: Any, how: Any, seed: int
) -> None:
    net = network(variant, seed, size, *how)
    x, target = sequence(6, net, seed)
    vector, step = flatten(net.parameters), 1e-5

    def error(moved: np.ndarray) -> float:
        there = replace(net, weights=unflatten(moved, *size, variant))
        return float(np.mean((there.predict(x[None])[0] - target) ** 2))

    moves = step * np.eye(len(vector))
    numeric = [(error(vector + m) - error(vector - m)) / (2 * step) for m in moves]
    np.testing.assert_allclose(backwards(net, x, target, False), numeric, rtol=1e-5, atol=1e-9)


def test_symbols_are_their_one_hot_vectors() -> None:
    for variant in CASES:
        net = network(variant, 3, (2, 1, 4, 3), "current", "sigmoid", "every")
        symbols = np.array([[0, 3, 1, 1, 2], [2, 2, 0, 3, 3]])
        lengths, targets = np.array([5, 3]), np.random.default_rng(0).random((2, 5, 3))
        pairs = [net.gradient(x, lengths, targets) for x in (symbols, np.eye(4)[symbols])]
        assert pairs[0][0] == pairs[1][0]
        np.testing.assert_array_equal(*(flatten(parts) for _, parts in pairs))


def test_float32_stays_float32() -> None:
    for variant in CASES:
        net = network(variant, 2, (2, 2, 3, 2), "previous", "sigmoid", "every")
        single = replace(net, weights=Weights(*(a.astype(np.float32) for a in net.weights)))
        x, target = sequence(7, net, 3)
        assert single.predict(x[None]).dtype == np.float32
        for got, wanted in (
            (single.truncated_gradient(x, target), net.truncated_gradient(x, target)),
            (single.gradient(x[None], np.array([7]), target[None])[1],
             net.gradient(x[None], np.array([7]), target[None])[1]),
        ):  # fmt: skip
            assert flatten(got).dtype == np.float32
            np.testing.assert_allclose(flatten(got), flatten(wanted), rtol=1e-3, atol=1e-6)


def test_the_network_of_2a_by_hand() -> None:
    """One cell, one input gate: s adds sigmoid(a . x) sigmoid(b . x), y = sigmoid(c s + C x)."""
    net = network(Variant(**WITHOUT), 4, (1, 1, 3, 2), "current", "sigmoid", "every")
    (W, Wk), s, x = net.weights, 0.0, np.random.default_rng(0).random((5, 3))

    def squashed(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    for given_, answer in zip(x, net.predict(x[None])[0], strict=True):
        s += squashed(W[0, :3] @ given_) * squashed(W[1, :3] @ given_)
        np.testing.assert_allclose(answer, squashed(Wk[:, 0] * s + Wk[:, 1:4] @ given_), rtol=1e-12)
    assert np.count_nonzero(W) == 6


# -- parts of recipes, and the kernel -------------------------------------------------------------

SETTINGS = [{name: value} for name, value in WITHOUT.items()]


@pytest.mark.parametrize("given_", SETTINGS, ids=lambda s: next(iter(s)))
def test_the_kernel_has_whatever_a_variant_is_without(given_: dict[str, Any]) -> None:
    made = recipe("paper", **given_, max_sequences=20, window=10, first_stop=0, test_size=8)
    assert NativeEngine.lacks(made) == ""
    kernel = load_kernel()
    if kernel is None:
        return
    asked = made.task
    net = made.network.of(made.network.start(asked, np.random.default_rng(0)), asked)
    batch = asked.sample(3, np.random.default_rng(0))
    wanted = net.predict(*batch[:2])
    for isa in kernel.isas():
        answers = NativeEngine(kernel, isa, 1).predict(net, *batch[:2])
        np.testing.assert_allclose(answers, wanted, rtol=1e-4, atol=1e-6)


def test_any_task_has_a_network_of_any_variant() -> None:
    for settings in SETTINGS:
        for shape in ((1, 1, "last", False), (3, 2, "every", True)):
            asked, net = toy(*shape)(), BlockLSTM(**settings)
            start = net.start(asked, np.random.default_rng(0))
            assert sum(np.prod(s) for s in net.shapes(asked).values()) == len(start)
            model, batch = (
                net.of(start, asked),
                asked.at_length(4).sample(3, np.random.default_rng(0)),
            )
            assert model.predict(*batch[:2]).shape == batch.targets.shape
            gates = model.states(*batch[:2])["output_gate"][:, 0]
            assert np.all(gates == 1) == ("output_gate" in settings)


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"biases": "some"}, "^biases must be one of none, gates, hidden, all, not 'some'$"),
        ({"g": "tanh"}, "^g must be one of centered, logistic, not 'tanh'$"),
        ({"h": None}, "^h must be one of centered, identity, not None$"),
        ({"recurrent": 1}, "^recurrent must be True or False, not 1$"),
        ({"initial_range": -0.1}, r"^initial_range must be a number from 0 to 10, not -0\.1$"),
        ({"biases": "none", "input_gate_bias": -1.0}, "^input_gate_bias must be 0 where there is"),
        ({"output_gate": False, "output_gate_bias": -1.0}, "^output_gate_bias must be 0 where"),
        (
            {"biases": "hidden", "output_bias": 1.0},
            r"^output_bias must be 0 .* hidden.*, not 1\.0$",
        ),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        recipe("paper", **settings)


def test_weights_that_do_not_fit_are_refused() -> None:
    W, Wk = network(Variant(), 0, (2, 2, 3, 2)).weights
    direct = Variant(inputs_to_outputs=True)
    with pytest.raises(ValueError, match=r"^Wk must have shape \(C \+ D \+ 1,\).*, not \(2, 5\)$"):
        LSTM1997(Weights(W, Wk), variant=direct)
    with pytest.raises(ValueError, match=r"^weights must be a vector of 4 numbers"):
        BlockLSTM(**OF_2A).of(np.zeros(9, np.float32), toy(1)())
    with pytest.raises(ValueError, match=r"^output_gate_biases must be 2 numbers, .*, not 1$"):
        initial_weights(np.random.default_rng(0), output_gate_biases=(-1.0,))
    for wrong in ({"biases": "some"}, {"g": 3}, {"recurrent": "no"}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be "):
            Variant(**wrong)  # type: ignore[arg-type]
