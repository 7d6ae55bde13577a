"""JAX cells: the same sequences, rules and optimiser as every other network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import longlag
from longlag.learning.recipe import recipe

jax = pytest.importorskip("jax")

from longlag.networks.jax_cell import JaxCell  # noqa: E402

SHORT: dict[str, Any] = {
    **{"min_length": 12, "hidden": 5, "batch_size": 8, "learning_rate": 0.01, "clip": 1.0},
    **{"max_iterations": 30, "test_every": 10, "test_size": 100},
}
RNN = "jaxcells:RNN"


def weights_in_torch(parameters: dict[str, np.ndarray]) -> Any:
    """PyTorch's plain network with the weights of the JAX cell."""
    torch = pytest.importorskip("torch")
    made = recipe("robust", network="torch-rnn", **SHORT)
    module = made.network.built(made.task)  # type: ignore[attr-defined]
    arrays = {
        "units.weight_ih_l0": parameters["['W']"].T,
        "units.weight_hh_l0": parameters["['U']"].T,
        "units.bias_ih_l0": np.zeros(5, np.float32),
        "units.bias_hh_l0": np.zeros(5, np.float32),
        "read.weight": parameters["['read']['W']"].T,
        "read.bias": parameters["['read']['b']"],
    }
    module.load_state_dict({name: torch.tensor(a) for name, a in arrays.items()})
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not name.startswith("units.bias"))
    return module


def test_the_same_network_in_pytorch_learns_the_same_from_the_same_sequences() -> None:
    from longlag.torch import train_torch

    made = recipe("robust", network=RNN, **SHORT)
    mine = longlag.train(made, 3)
    model = made.network_of(made.learner(3).weights)
    named = dict(zip(made.network.shapes(made.task), model.parameters, strict=True))
    theirs = train_torch(weights_in_torch(named), recipe("robust", **SHORT), 3)
    ours, other = mine.history.train_losses, theirs.history.train_losses
    np.testing.assert_allclose(ours, other, rtol=2e-3)
    assert mine.iterations == theirs.iterations
    np.testing.assert_allclose(mine.score.mse, theirs.score.mse, rtol=2e-3)


@pytest.mark.parametrize("name", ["temporal-order", "copy"])
def test_a_gradient_is_that_of_finite_differences(name: str) -> None:
    size = {"lag": 5} if name == "copy" else {"min_length": 12}
    task, rng = longlag.task(name, **size), np.random.default_rng(0)
    network = JaxCell(where=RNN, hidden=4)
    weights, batch = network.start(task, rng), task.sample(3, rng)
    assert len(weights) == network.size(task)
    loss, parts = network.of(weights, task).gradient(*batch.learned)
    assert np.isfinite(loss)
    gradient = np.concatenate([part.ravel() for part in parts])
    direction = rng.normal(size=len(weights)).astype(np.float32)
    ends = [
        network.of(weights + s * direction, task).gradient(*batch.learned)[0] for s in (1e-3, -1e-3)
    ]
    assert (ends[0] - ends[1]) / 2e-3 == pytest.approx(float(gradient @ direction), rel=3e-2)


def test_our_adam_is_optax_adam() -> None:
    optax = pytest.importorskip("optax")
    from longlag.learning.optimizers import Adam

    rng = np.random.default_rng(0)
    ours = rng.normal(size=7).astype(np.float32)
    theirs = jax.numpy.array(ours)  # a copy: ours is updated in place
    mine, other = Adam(7, epsilon=1e-8), optax.adam(0.01)
    state = other.init(theirs)
    for _ in range(20):
        gradient = rng.normal(size=7).astype(np.float32)
        mine.update(ours, gradient, 0.01)
        step, state = other.update(jax.numpy.asarray(gradient), state)
        theirs = optax.apply_updates(theirs, step)
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-4, atol=1e-6)


def test_a_pair_that_mixes_sequences_is_refused() -> None:
    task = longlag.task("adding", min_length=20, max_length=24)
    JaxCell(where=RNN).check_itself(task)
    with pytest.raises(ValueError, match="mixes sequences"):
        JaxCell(where="jaxcells:MIXES").check_itself(task)


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="JAX has no device 'cpu:93' here"):
        longlag.train(recipe("robust", network=RNN, **{**SHORT, "device": "cpu:93"}))


def test_a_run_is_saved_and_loaded(tmp_path: Any) -> None:
    from longlag.runs import directory

    run = longlag.train(recipe("robust", network=RNN, **SHORT), 1)
    directory.put(run, tmp_path / "run")
    again = longlag.load(tmp_path / "run")
    assert longlag.evaluate(again, 50) == longlag.evaluate(run, 50)


def test_an_equinox_module_is_a_tree_of_parameters() -> None:
    eqx = pytest.importorskip("equinox")
    import jaxcells

    class Module(eqx.Module):
        cell: Any
        read: Any

        def __init__(self, D: int, K: int, size: int, key: Any) -> None:
            a, b = jax.random.split(key)
            self.cell = eqx.nn.GRUCell(D, size, key=a)
            self.read = eqx.nn.Linear(size, K, key=b)

        def __call__(self, inputs: Any) -> Any:
            def step(h: Any, x: Any) -> Any:
                h = self.cell(x, h)
                return h, self.read(h)

            return jax.lax.scan(step, jax.numpy.zeros(self.cell.hidden_size), inputs)[1]

    jaxcells.EQUINOX = (  # type: ignore[attr-defined]
        lambda key, D, K, size: Module(D, K, size, key=key),
        lambda module, inputs, lengths: jax.vmap(module)(inputs),
    )
    run = longlag.train(recipe("robust", network="jaxcells:EQUINOX", **SHORT), 1)
    losses = run.history.train_losses
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
