"""JAX cells: the same sequences, rules and optimiser as every other network."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import longlag
from fuzzing import inline_workers
from longlag import cli, figures
from longlag.learning import training
from longlag.learning.recipe import recipe
from longlag.signals import Ended

jax = pytest.importorskip("jax")

from longlag.jax_training import Descent  # noqa: E402
from longlag.networks.jax_cell import Form, JaxCell, JaxFunction, flat  # noqa: E402

SHORT: dict[str, Any] = {
    **{"min_length": 12, "hidden": 5, "batch_size": 8, "learning_rate": 0.01, "clip": 1.0},
    **{"max_iterations": 30, "test_every": 10, "test_size": 100},
}
RNN = "jaxcells:RNN"


class Unhashable:
    """A callable as a dataclass makes it."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, parameters: Any, inputs: Any, lengths: Any) -> Any:
        return inputs[:, 0, 0]


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


def test_a_read_out_that_starts_at_zero_hides_no_trap() -> None:
    import jaxcells

    made = longlag.task("adding", min_length=20, max_length=24)
    parameters = jaxcells.init(jax.random.PRNGKey(0), 2, 1, 5)
    parameters["read"]["W"] = np.zeros((5, 1), np.float32)
    JaxFunction.given((jaxcells.apply, parameters)).check_itself(made)
    with pytest.raises(ValueError, match="mixes sequences"):
        JaxFunction.given((jaxcells.mixed, parameters)).check_itself(made)


@pytest.mark.parametrize(
    ("cell", "name", "says"),
    [
        ("MIXES", "temporal-order", "mixes sequences"),
        ("PADS", "temporal-order", "reads padding"),
        ("MIXES", "reber", "mixes sequences"),
        ("AHEAD", "reber", "reads the future"),
        ("AHEAD", "copy", "reads the future"),
    ],
)
def test_traps_are_found_on_tasks_with_symbols(cell: str, name: str, says: str) -> None:
    size = {"lag": 5} if name == "copy" else {} if name == "reber" else {"min_length": 20}
    made = recipe("robust", task=name, **size)
    training.begin(replace(made, network=JaxCell(where=RNN)))
    with pytest.raises(ValueError, match=f"the model {says}"):
        training.begin(replace(made, network=JaxCell(where=f"jaxcells:{cell}")))


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


# -- what only Python has -------------------------------------------------------------------------


def started() -> tuple[Any, Any]:
    """A function and its parameters."""
    import jaxcells

    return jaxcells.apply, jaxcells.init(jax.random.PRNGKey(0), 2, 1, 5)


def plain(**more: Any) -> Any:
    return recipe("robust", **{**SHORT, **more})


def ctrl_c(training: Any) -> None:
    if len(training.tests) == 2:
        os.kill(os.getpid(), signal.SIGINT)


def scheduled(optax: Any) -> Any:
    return optax.adamw(optax.cosine_decay_schedule(0.01, 40))


def noisy(optax: Any) -> Any:
    """Its state holds a random key, of a type that numpy does not have."""
    return optax.chain(optax.add_noise(0.01, 0.55, 0), optax.adam(0.01))


@pytest.mark.parametrize("own", [None, scheduled, noisy])
def test_a_training_stopped_by_ctrl_c_goes_on_to_the_same_bits(own: Any, tmp_path: Path) -> None:
    how = {"optimizer": own(pytest.importorskip("optax"))} if own else {}
    whole = longlag.train_jax(started(), plain(), 3, **how)
    with pytest.raises(Ended, match="continues with resume=True"):
        longlag.train_jax(started(), plain(), 3, directory=tmp_path, callback=ctrl_c, **how)
    resumed = longlag.train_jax(started(), plain(), 3, directory=tmp_path, resume=True, **how)
    loaded = longlag.load(tmp_path, started())
    for other in (resumed, loaded):
        assert other.score == whole.score
        np.testing.assert_array_equal(other.history.train_losses, whole.history.train_losses)
        for mine, theirs in zip(
            jax.tree_util.tree_leaves(other.network.tree),
            jax.tree_util.tree_leaves(whole.network.tree),
            strict=True,
        ):
            np.testing.assert_array_equal(mine, theirs)
    assert longlag.evaluate(loaded, 50) == longlag.evaluate(whole, 50)


def test_another_optimiser_rate_or_schedule_is_no_resumption(tmp_path: Path) -> None:
    optax = pytest.importorskip("optax")

    def cosine(steps: int) -> Any:
        return optax.adam(optax.cosine_decay_schedule(0.01, steps))

    def train(optimizer: Any, directory: str, **how: Any) -> Any:
        how |= {"optimizer": optimizer, "directory": tmp_path / directory}
        return longlag.train_jax(started(), plain(), 3, **how)

    for directory, optimizer in (("rate", optax.adam(0.01)), ("cosine", cosine(1000))):
        with pytest.raises(Ended):
            train(optimizer, directory, callback=ctrl_c)
    was = "was started with own optimizer 'an optimizer whose state is ScaleByAdamState, "
    for directory, other in (
        ("rate", optax.adam(0.02)),
        ("rate", optax.adam(0.01, b2=0.99)),
        ("rate", optax.adamw(0.01)),
        ("cosine", cosine(2000)),
    ):
        with pytest.raises(ValueError, match=f"{was}.*', not 'an .*': resume it with the same"):
            train(other, directory, resume=True)
    assert train(cosine(1000), "cosine", resume=True).score.n


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_in_an_optimisers_state_come_back_as_they_were(impl: str) -> None:
    optax = pytest.importorskip("optax")
    form, weights = Form.of(started()[1]), flat(started()[1])

    def keeping(seed: int) -> Descent:
        key = jax.random.key(seed, impl=impl)
        made = optax.GradientTransformation(lambda p: key, lambda g, state, p: (g, state))
        return Descent(made, form, weights)

    state, other = keeping(5).state(), keeping(6)
    assert [v.dtype for v in state.values() if isinstance(v, np.ndarray)] == [np.uint32]
    other.restore(state)
    assert other._state == jax.random.key(5, impl=impl)


@pytest.mark.parametrize(
    ("make", "lacks"),
    [
        (lambda optax: optax.lbfgs(), "'value'"),
        (lambda optax: optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()), "'value'"),
    ],
    ids=["lbfgs", "reduce_on_plateau"],
)
def test_an_optimiser_that_needs_more_than_the_gradient_is_refused(
    make: Any, lacks: str, tmp_path: Path
) -> None:
    optax = pytest.importorskip("optax")
    pytest.importorskip("optax.contrib")
    says = f"optimizer must take a step from the gradient, .* this one does not: .*{lacks}"
    with pytest.raises(ValueError, match=says) as caught:
        longlag.train_jax(started(), plain(), directory=tmp_path / "run", optimizer=make(optax))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_optax_adam_does_what_the_recipes_does() -> None:
    optax = pytest.importorskip("optax")
    ours = longlag.train_jax(started(), plain(), 1)
    theirs = longlag.train_jax(started(), plain(), 1, optimizer=optax.adam(0.01, eps=1e-12))
    ours, theirs = ours.history.train_losses, theirs.history.train_losses
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_a_function_learns_as_the_cell_of_its_name_from_the_same_start() -> None:
    import jaxcells

    by_name = longlag.train(recipe("robust", network=RNN, **SHORT), 3)
    weights = recipe("robust", network=RNN, **SHORT).learner(3).weights
    tree = JaxCell(where=RNN, hidden=5).of(weights, by_name.recipe.task).tree
    given = longlag.train_jax((jaxcells.apply, tree), plain(), 3)
    np.testing.assert_array_equal(given.history.train_losses, by_name.history.train_losses)
    assert longlag.train_jax(RNN, plain(hidden=5), 3).score == by_name.score


def test_what_a_directory_cannot_build_is_refused(tmp_path: Path, capsys: Any) -> None:
    longlag.train_jax(started(), plain(max_iterations=5), directory=tmp_path)
    assert cli.main(["evaluate", str(tmp_path)]) == 2
    assert "longlag.load(directory, (apply, parameters))" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "more", "says"),
    [
        (3, {}, r"must be a pair \(apply, parameters\), or a name, not 3"),
        ((weights_in_torch, weights_in_torch), {}, "not one of two functions: call init for"),
        ((3, {}), {}, "apply must be a function, not 3"),
        (
            (Unhashable(), {}),
            {},
            "must be hashable, as functions are, not <.*: wrap it in a",
        ),
        ((print, {}), {}, "must make parameters, and it makes none"),
        (
            (print, {"f": jax.nn.relu}),
            {},
            r"of real arrays, and \['f'\] is <.*>: keep it out .* eqx\.partition",
        ),
        ((print, {"rate": 0.5}), {}, r"of real arrays, and \['rate'\] is 0\.5: keep it out"),
        ((print, {"n": np.arange(2)}), {}, r"real arrays, and \['n'\] is of int64: keep it out"),
        ("lstm", {}, "cell must be a JAX cell, not network lstm"),
        ("jaxcells:MIXES", {}, "mixes sequences"),
        ("jaxcells:ROUNDS", {}, "must give answers with a gradient, not int32"),
        ("jaxcells:CONSTANT", {}, "cannot be trained: the gradient of its error is zero"),
        (RNN, {"optimizer": 3}, "optimizer must be a transformation of optax's, not 3"),
    ],
)
def test_what_cannot_be_trained_is_refused(cell: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        longlag.train_jax(cell, plain(), **more)


def test_an_equinox_module_that_holds_a_function_is_refused_with_the_way_out() -> None:
    eqx = pytest.importorskip("equinox")
    layer = eqx.nn.MLP(2, 1, 3, depth=1, key=jax.random.PRNGKey(0))

    def apply(own: Any, inputs: Any, lengths: Any) -> Any:
        return jax.vmap(jax.vmap(eqx.combine(own, fixed)))(inputs)

    with pytest.raises(
        ValueError, match=r"and \.activation is .* by eqx\.field\(static=True\)"
    ) as caught:
        longlag.train_jax((apply, layer), plain())
    assert "\n" not in str(caught.value)
    own, fixed = eqx.partition(layer, eqx.is_inexact_array)
    assert longlag.train_jax((apply, own), plain(max_iterations=5)).iterations == 5


def test_states_that_a_function_offers_are_drawn(tmp_path: Path) -> None:
    import jaxcells

    class Seen:
        titles: ClassVar[dict[str, str]] = {"hidden": "States"}
        __name__ = "Seen"

        def __call__(self, p: Any, inputs: Any, lengths: Any) -> Any:
            return jaxcells.apply(p, inputs, lengths)

        def states(self, p: Any, inputs: Any, lengths: Any) -> Any:
            return {"hidden": inputs @ p["W"]}

    run = longlag.train_jax((Seen(), started()[1]), plain(max_iterations=5))
    inputs = np.ones((2, 4, 2), np.float32)
    seen = run.network.states(inputs, np.array([4, 2]))["hidden"]
    assert seen.shape == (2, 4, 5)
    assert np.all(seen[1, 2:] == 0)
    np.testing.assert_allclose(seen[0, 0], run.weights["['W']"].sum(axis=0), rtol=1e-5)
    assert len(figures.write_figures(run, tmp_path)) == 5


def test_bad_cells_are_left_out_of_a_study_in_one_sentence() -> None:
    from longlag.studies import cells

    asked = ["lstm", "mixes=jaxcells:MIXES", "none=jaxcells:NOTHING", "other=jaxcells:OTHER"]
    found = {c.about["cell"]: c.refused for c in cells.cases(cells.STUDY.request({"cell": asked}))}
    assert found["lstm"] == ""
    assert "mixes sequences" in found["mixes"]
    assert "must make parameters, and it makes none" in found["none"]
    assert "must be made by init(key, D, K, size)" in found["other"]
    assert not any("\n" in text for text in found.values())
    assert longlag.train(recipe("robust", network="jaxcells:NAN", **SHORT)).stopped_by == "diverged"


def test_compare_takes_a_pair_that_its_functions_module_holds(tmp_path: Path) -> None:
    import jaxcells

    size: dict[str, Any] = {"tasks": ["adding"], "lengths": [12], "trials": 1}
    with inline_workers():
        found = longlag.compare({"mine": jaxcells.RNN}, **size, max_sequences=64, out=tmp_path)
    assert [one["cell"] for one in found.rows] == ["mine"]
    page = (tmp_path / "table.md").read_text()
    assert "jaxcells:RNN" in page
    assert f", JAX {jax.__version__}," in page


def test_a_pair_that_workers_cannot_import_is_refused_with_the_way_out() -> None:
    import jaxcells

    def init(key: Any, D: int, K: int, size: int) -> Any:
        return jaxcells.init(key, D, K, size)

    def script(p: Any, inputs: Any, lengths: Any) -> Any:
        return jaxcells.apply(p, inputs, lengths)

    both = (init, script)
    for pair in ((jaxcells.init, jaxcells.apply), (init, jaxcells.apply), both, (3, 4)):
        with pytest.raises(ValueError, match=r'since it is not held .* give it as "module:NAME"'):
            longlag.compare({"mine": pair})
    init.__module__ = script.__module__ = "__main__"
    with pytest.raises(ValueError, match=r'in the script that is run: give it as "module:NAME"'):
        longlag.compare({"mine": both})
