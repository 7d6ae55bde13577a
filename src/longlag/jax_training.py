"""Bring your own network: training by the same protocol, for JAX.

`longlag.networks.jax_cell` says what a function is given and must answer. Needs the extra:
pip install 'longlag[jax]'.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from longlag import checks
from longlag.learning.recipe import Recipe, as_recipe
from longlag.learning.rules import MADE, Minibatch
from longlag.learning.training import Run, Training, begin, ignore
from longlag.networks.jax_cell import Form, JaxCell, JaxFunction, flat, jax
from longlag.progress import heard, of_training
from longlag.runs import session

OWN = "optimizer_"  # before the numbers of an optimiser's arrays, in a state
TRIED = 100  # steps by which two transformations are told apart


class Descent:
    """A transformation of optax's on a flat vector (P,).

    Args:
        transformation: such as `optax.adamw(optax.cosine_decay_schedule(1e-3, 1000))`; what it is
            given is the tree of the parameters.
        form: of that tree.
        weights: (P,) float32, the initial parameters.

    Raises:
        ValueError: it needs more than the gradient, its state and the parameters.
    """

    def __init__(self, transformation: Any, form: Form, weights: np.ndarray) -> None:
        def step(gradient: Any, state: Any, parameters: Any) -> tuple[Any, Any]:
            updates, state = transformation.update(gradient, state, parameters)
            return jax.tree_util.tree_map(lambda p, u: p + u, parameters, updates), state

        parameters = form.parameters(weights)
        self._form, self._step, self._size = form, jax.jit(step), len(weights)
        self._transformation = transformation
        self._state = transformation.init(parameters)
        try:
            jax.eval_shape(self._step, parameters, self._state, parameters)
        except (TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(
                "optimizer must take a step from the gradient, its state and the parameters alone, "
                f"as optax.adam does, and this one does not: {reason}"
            ) from error

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        """Takes a step, of the transformation's own size."""
        trees = [self._form.parameters(vector) for vector in (gradient, parameters)]
        stepped, self._state = self._step(trees[0], self._state, trees[1])
        parameters[:] = flat(stepped)

    def marked(self) -> Callable[[], None]:
        """A function that restores its present state."""
        state = self._state

        def put_back() -> None:
            self._state = state

        return put_back

    def state(self) -> dict[str, Any]:
        """The arrays of its state, by their numbers in the tree, and what it is in words."""
        leaves = jax.tree_util.tree_leaves(self._state)
        return {f"{OWN}{k}": _numbers(leaf) for k, leaf in enumerate(leaves)} | {MADE: self._made}

    @functools.cached_property
    def _made(self) -> str:
        """It is made of functions: they are told apart by the kinds of their states, and by the
        lengths of the first and the last step on growing gradients, always the same."""
        parameters = self._form.parameters(np.ones(self._size, np.float32))
        state, update = self._transformation.init(parameters), jax.jit(self._transformation.update)
        kinds = ", ".join(type(s).__name__ for s in (state if type(state) is tuple else (state,)))
        lengths = []
        for k in range(TRIED):
            gradient = ((k + 1) * np.cos(np.arange(self._size) + k)).astype(np.float32)
            step, state = update(self._form.parameters(gradient), state, parameters)
            lengths.append(float(np.linalg.norm(flat(step))))
        first, last = (f"{lengths[k]:.3g}" for k in (0, -1))  # rounding differs between machines
        return (
            f"an optimizer whose state is {kinds} and whose step 1 and step {TRIED} on given "
            f"gradients have lengths {first} and {last}"
        )

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave.

        Raises:
            LookupError, ValueError: it is no such state.
        """
        leaves, tree = jax.tree_util.tree_flatten(self._state)
        put = [_as(leaf, f"{OWN}{k}", state[f"{OWN}{k}"]) for k, leaf in enumerate(leaves)]
        self._state = jax.tree_util.tree_unflatten(tree, put)


def _is_key(leaf: Any) -> bool:
    """Whether it is random keys, of a type that numpy does not have."""
    return jax.numpy.issubdtype(jax.numpy.asarray(leaf).dtype, jax.dtypes.prng_key)


def _numbers(leaf: Any) -> np.ndarray:
    """What a checkpoint holds of an array of a state."""
    return np.array(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _as(leaf: Any, name: str, numbers: Any) -> Any:
    """An array in the form of `leaf` of what `_numbers` gave.

    Raises:
        ValueError: it has another form.
    """
    now = _numbers(leaf)
    array = jax.numpy.asarray(checks.array(name, numbers, now.dtype, now.shape))
    if _is_key(leaf):
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
    return array


def train_jax(
    cell: tuple[Callable[..., Any], Any] | str,
    recipe: Recipe | str,
    seed: int = 0,
    *,
    directory: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    optimizer: Any = None,
    progress: bool = False,
    callback: Callable[[Training], None] = ignore,
) -> Run:
    """Trains a function by a recipe's protocol: the twin of `longlag.train_torch`.

    Args:
        cell: a pair (apply, parameters), see `longlag.networks.jax_cell`, whose parameters, a tree
            of arrays, are where it starts; or the name of a cell, `module:NAME`, of as many units
            as the recipe's network.
        recipe, seed, directory, resume, overwrite: as in `longlag.train_torch`; the run is read by
            `longlag.load(directory, (apply, parameters))`.
        optimizer: a transformation of optax's, its schedule included:
            `optax.adamw(optax.cosine_decay_schedule(1e-3, 1000))`. It must need no more than the
            gradient, its state and the parameters. The recipe's learning rate plays no part then,
            its limit on the gradient's norm does. Resumed, it must be the same: compared are the
            kinds of its state and its first steps, not what a schedule does later.
        progress, callback: as in `longlag.train`.

    Returns:
        The run; `run.network.tree` has the parameters that were judged (their average, where the
        recipe has one).

    Raises:
        ValueError: no such cell, recipe or optimiser, a seed that is not allowed, answers of
            another shape or that depend on more than the sequence, or a directory that must not be
            written to.
        KeyboardInterrupt: Ctrl-C; with a directory, the state is saved in it.
    """
    made = as_recipe(recipe)
    if isinstance(cell, str):
        made = made.with_settings({"network": cell})
    else:
        made = replace(made, network=JaxFunction.given(cell))
    network = made.network
    if not isinstance(network, (JaxCell, JaxFunction)):
        raise ValueError(f"cell must be a JAX cell, not network {network.name}")
    if not isinstance(made.rule, Minibatch):
        raise ValueError(f"recipe {made.name} learns on-line, not in batches")
    own = None
    if optimizer is not None:
        if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
            shown = checks.shown(optimizer)
            raise ValueError(f"optimizer must be a transformation of optax's, not {shown}")
        made = made.with_settings({"optimizer": "own"})
        own = functools.partial(Descent, optimizer, network.form(made.task))
    training = begin(made, seed, engine="numpy", own=own)
    with heard(progress, of_training) as observe:
        how = {"resume": resume, "overwrite": overwrite, "observe": observe, "callback": callback}
        return session.carry_out(training, directory, **how)
