"""The LSTM of 1997 in mini-batches, network `lstm1997` under rule `minibatch`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from longlag.learning.recipe import recipe
from longlag.networks.lstm1997 import LSTM1997, Reads, initial_weights
from longlag.sweeps.trial import perform, trial


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    return pytest.importorskip("torch")


def network(blocks: int, size: int, reads: Reads = "current", output: Any = "sigmoid") -> LSTM1997:
    """In float64, with weights large enough for every nonlinearity to show."""
    drawn = initial_weights(np.random.default_rng(blocks), blocks, size)
    return LSTM1997(type(drawn)(*(8 * w.astype(np.float64) for w in drawn)), blocks, reads, output)


def peer(torch: ModuleType, net: LSTM1997) -> Any:
    """The network as a PyTorch module, written from the paper: (N, T, 2), (N,) -> (N,)."""
    C, B, S = net.cells, net.blocks, net.block_size
    sigmoid = torch.sigmoid

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W, self.Wk = (torch.nn.Parameter(torch.tensor(w)) for w in net.weights)

        def forward(self, inputs: Any, lengths: Any) -> Any:
            N = len(inputs)
            units, state = inputs.new_zeros(N, C + 2 * B), inputs.new_zeros(N, C)
            outputs = [units[:, :C]]
            for x in inputs.unbind(1):
                nets = torch.cat([x, units, x.new_ones(N, 1)], 1) @ self.W.T
                y_in, y_out = sigmoid(nets[:, C:]).split(B, 1)
                g = 4 * sigmoid(nets[:, :C]) - 2
                state = state + y_in.repeat_interleave(S, 1) * g
                y_c = y_out.repeat_interleave(S, 1) * (2 * sigmoid(state) - 1)
                units = torch.cat([y_c, y_in, y_out], 1)
                outputs.append(y_c)
            step = lengths if net.reads == "current" else lengths - 1
            y = torch.stack(outputs, 1)[torch.arange(N), step] @ self.Wk[:-1] + self.Wk[-1]
            return sigmoid(y) if net.output == "sigmoid" else y

    return Module()


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
@pytest.mark.parametrize("reads", ["current", "previous"])
@pytest.mark.parametrize(("blocks", "size"), [(2, 2), (4, 2), (1, 3)])
def test_answers_and_gradients_are_pytorchs(
    torch: ModuleType, blocks: int, size: int, reads: Reads, output: str
) -> None:
    net = network(blocks, size, reads, output)
    rng = np.random.default_rng(1)
    inputs, targets = rng.uniform(-1, 1, (7, 12, 2)), rng.uniform(size=7)
    lengths = np.array([12, 1, 5, 12, 7, 2, 11])
    module = peer(torch, net)
    answers = module(torch.from_numpy(inputs), torch.from_numpy(lengths))
    np.testing.assert_allclose(net.predict(inputs, lengths), answers.detach(), rtol=1e-12)
    want = torch.nn.functional.mse_loss(answers, torch.from_numpy(targets))
    want.backward()
    loss, gradient = net.gradient(inputs, lengths, targets)
    assert loss == pytest.approx(want.item(), rel=1e-12)
    for ours, theirs in zip(gradient, (module.W.grad, module.Wk.grad), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13)


def test_what_comes_after_a_sequences_end_has_no_gradient() -> None:
    net = network(2, 2)
    rng = np.random.default_rng(1)
    inputs, targets, lengths = rng.uniform(size=(3, 9, 2)), rng.uniform(size=3), np.array([4, 6, 9])
    _, gradient = net.gradient(inputs, lengths, targets)
    inputs[0, 4:] = 7
    for a, b in zip(gradient, net.gradient(inputs, lengths, targets)[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_an_unknown_output_is_refused() -> None:
    with pytest.raises(ValueError, match="output must be one of linear, sigmoid, not 'tanh'"):
        network(2, 2, output="tanh")


CHANGES: dict[str, Any] = {
    **{"network": "lstm1997", "gradient": "full", "blocks": 4, "block_size": 2},
    **{"min_length": 12, "max_length": 12, "draw_order": "blocks", "stop": "strict"},
    **{"max_iterations": 40, "test_every": 20, "test_size": 100},
}


def run(seed: int = 3, **changes: Any) -> dict[str, Any]:
    given = {**CHANGES, **changes}
    one = trial("catalog", seed, "numpy", **given)
    return perform(vars(one))


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_a_training_is_pytorchs(torch: ModuleType, output: str) -> None:
    from longlag.torch import train_torch

    made = recipe("catalog", **CHANGES, output=output, output_bias=0.25)
    module = peer(torch, made.network_of(made.learner(3).weights))
    theirs = train_torch(module, made, 3)
    ours = run(output=output, output_bias=0.25)
    assert ours["status"] == "max_iterations", ours["error"]
    assert ours["sequences"] == theirs.sequences == 40 * 32
    np.testing.assert_allclose(
        [mse for _, mse, _ in ours["curve"]],
        [mse for _, mse in theirs.history.test_curve],
        rtol=1e-4,
    )


def test_a_trial_is_a_function_of_recipe_and_seed() -> None:
    first, again, other = run(), run(), run(4)
    same = ("status", "sequences", "score", "curve", "engine", "isa")
    assert [first[name] for name in same] == [again[name] for name in same]
    assert first["curve"] != other["curve"]
    assert (first["engine"], first["isa"]) == ("numpy", None)


def test_the_truncated_gradient_is_another_training() -> None:
    first, other = run(), run(gradient="truncated")
    assert first["status"] == other["status"] == "max_iterations"
    assert first["curve"] != other["curve"]


def test_its_weights_start_as_the_papers_do() -> None:
    """Uniform in ±0.1 whatever the rule, but for the biases that are given."""
    made = recipe("catalog", **CHANGES, input_gate_bias=-1.5, output_bias=0.75)
    W, Wk = made.network_of(made.learner(0).weights).weights
    assert W.shape == (16, 19)
    assert W[8:12, -1].tolist() == [-1.5, -3.0, -4.5, -6.0]
    assert Wk[-1] == 0.75
    drawn = np.concatenate([np.delete(W, slice(8, 12), axis=0).ravel(), Wk[:-1]])
    assert 0.09 < np.abs(drawn).max() <= np.float32(0.1)


def test_it_learns() -> None:
    outcome = run(0, max_iterations=600, test_every=200, output="linear", output_bias=0.25)
    assert outcome["curve"][-1][1] < 0.02  # chance is 0.0486
