"""PyTorch's GRU and ReLU network as trials of a sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import longlag
from longlag.learning.recipe import recipe
from longlag.sweeps.trial import perform, trial

torch = pytest.importorskip("torch")

from longlag.networks.cells.gru import TorchGRU  # noqa: E402
from longlag.networks.cells.irnn import IdentityRNN  # noqa: E402
from longlag.networks.torch import Recurrent, trainable, vector  # noqa: E402
from longlag.torch import train_torch  # noqa: E402

CHANGES: dict[str, Any] = {
    **{"min_length": 14, "hidden": 5, "batch_size": 8, "learning_rate": 0.01, "clip": 1.0},
    **{"max_iterations": 40, "test_every": 20, "test_size": 100},
}


def run(name: str, seed: int = 1) -> dict[str, Any]:
    settings = {"network": f"torch-{name}", **CHANGES}
    return perform(vars(trial("robust", seed, "numpy", fresh=50, **settings)))


@pytest.mark.parametrize("name", ["gru", "irnn"])
def test_a_trial_is_a_function_of_recipe_and_seed(name: str) -> None:
    stream = torch.get_rng_state()
    first, again, other = run(name), run(name), run(name, 2)
    assert torch.equal(stream, torch.get_rng_state())
    assert first["status"] == "max_iterations", first["error"]
    assert (first["sequences"], first["engine"], first["isa"]) == (320, "numpy", None)
    assert [k for k, _, _ in first["curve"]] == [20, 40]
    assert first["versions"]["torch"] == torch.__version__
    assert first["fresh"]["n"] == 50
    same = ("status", "sequences", "score", "fresh", "curve")
    assert [first[name] for name in same] == [again[name] for name in same]
    assert first["curve"] != other["curve"]


def test_a_trial_is_train_torch_of_the_network() -> None:
    outcome = run("gru")
    made = recipe("robust", network="torch-gru", **CHANGES)
    module = made.network_of(made.learner(1).weights).module
    theirs = train_torch(module, made, 1)
    assert [(k, mse) for k, mse, _ in outcome["curve"]] == theirs.history.test_curve
    assert outcome["score"] == theirs.score.as_dict()


def test_the_relu_network_starts_at_the_identity() -> None:
    made = recipe("robust", network="torch-irnn", hidden=4)
    module = made.network_of(made.learner(1).weights).module
    assert isinstance(module, Recurrent)
    own = dict(module.units.named_parameters())
    assert torch.equal(own["weight_hh_l0"], torch.eye(4))
    assert not own["bias_ih_l0"].any()
    assert not own["bias_hh_l0"].any()
    assert 0.01 < own["weight_ih_l0"].std() < 0.4
    assert module.read.bias.item() == 0.25
    # With inputs that add nothing it holds what it has: the states only add up relu(W x).
    x = torch.rand(1, 6, 2)
    states, _ = module.units(x)
    assert (states.diff(dim=1)[states[:, 1:] > 0].abs() < 1).all()


def test_an_answer_is_read_at_each_sequences_own_end() -> None:
    module = TorchGRU(hidden=4).built(recipe("robust").task)
    x = torch.rand(2, 9, 2)
    both = module(x, torch.tensor([9, 4]))
    torch.testing.assert_close(both[1:], module(x[1:, :4], torch.tensor([4])))


@pytest.mark.parametrize("network", [TorchGRU(hidden=3), IdentityRNN(hidden=3)])
@pytest.mark.parametrize("name", ["adding", "temporal-order"])
def test_a_gradient_is_that_of_finite_differences(network: Any, name: str) -> None:
    task, rng = longlag.task(name, min_length=12), np.random.default_rng(0)
    weights = network.start(task, rng)
    assert (
        len(weights) == network.size(task) == len(vector(trainable(network.built(task)).values()))
    )
    batch = task.sample(3, rng)
    _, parts = network.of(weights, task).gradient(*batch)
    gradient = np.concatenate([part.ravel() for part in parts])
    direction = rng.normal(size=len(weights)).astype(np.float32)
    ends = [network.of(weights + s * direction, task).gradient(*batch)[0] for s in (2e-4, -2e-4)]
    assert (ends[0] - ends[1]) / 4e-4 == pytest.approx(float(gradient @ direction), rel=2e-2)
