"""A JAX cell as a part of a recipe: a pair of functions (init, apply).

    init(key, D, K, size) -> parameters, a tree of arrays
    apply(parameters, inputs, lengths) -> answers

with inputs (B, T, D) float32, zeros after the end of a sequence, and lengths (B,); symbols come as
vectors of which one number is 1. It answers at every step, (B, T, K), or at each sequence's own
last step, (B, K); where K is 1 that axis may be left out. Where a task asks at the last step alone,
answers at every step are read there. Both are pure functions; `apply` is compiled by `jax.jit`.
Where `apply` has an attribute `titles`, what its states are, in words, by name, and one
`states(parameters, inputs, lengths)`, which gives a dict of arrays (B, T, ·) by the same names,
figures and animations show them (`longlag.networks.torch` says what names mean).

Needs the extra: pip install 'longlag[jax]'.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

try:
    import jax  # pyright: ignore[reportMissingImports]  # an extra
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
except ImportError as _missing:
    raise ImportError("cells in JAX need JAX: pip install 'longlag[jax]'") from _missing

from longlag import checks
from longlag.networks.checking import check_answers, check_form, in_form
from longlag.networks.network import (
    Network,
    Offered,
    Shapes,
    counted,
    live_steps,
    views,
    without_zeros,
)
from longlag.settings import imported, setting
from longlag.tasks.task import Task

Pair = tuple[Callable[..., Any], Callable[..., Any]]  # init, apply


@dataclass(frozen=True)
class Form:
    """The form of a cell's parameters: names, shapes, and the tree that a flat vector is made
    into.
    """

    shapes: Shapes
    tree: Any

    @classmethod
    def of(cls, parameters: Any) -> Form:
        """The form of a tree of real arrays.

        Raises:
            ValueError: it has none, or what is no real array, such as a function or a number.
        """
        leaves, tree = jax.tree_util.tree_flatten_with_path(parameters)
        if not leaves:
            raise ValueError("a JAX cell's init must make parameters, and it makes none")
        for path, leaf in leaves:
            array = isinstance(leaf, jax.Array | np.ndarray)
            if not array or not jnp.issubdtype(leaf.dtype, jnp.floating):
                kind = f"of {leaf.dtype}" if array else checks.shown(leaf)
                raise ValueError(
                    "a JAX cell's parameters must be a tree of real arrays, and "
                    f"{jax.tree_util.keystr(path)} is {kind}: keep it out of the tree, in Equinox "
                    "by eqx.field(static=True) or eqx.partition(module, eqx.is_inexact_array)"
                )
        return cls({jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in leaves}, tree)

    def parameters(self, weights: np.ndarray) -> Any:
        """The tree of arrays that has these flat weights (P,)."""
        parts = views(weights, list(self.shapes.values()))
        return jax.tree_util.tree_unflatten(self.tree, [jnp.asarray(part) for part in parts])


def flat(parameters: Any) -> np.ndarray:
    """All parameters as one new vector (P,), float32."""
    leaves = jax.tree_util.tree_leaves(parameters)
    return np.concatenate([np.asarray(leaf, np.float32).ravel() for leaf in leaves])


class JaxModel(Offered):
    """A function `apply` with weights (P,)."""

    def __init__(
        self, apply: Any, form: Form, weights: np.ndarray, task: Task, device: Any
    ) -> None:
        self._apply, self._form, self._weights = apply, form, weights
        self._task, self._device = task, device

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        """The weights, in the order of `Network.shapes`."""
        return tuple(views(self._weights, list(self._form.shapes.values())))

    @property
    def tree(self) -> Any:
        """The weights as `init` made them."""
        with jax.default_device(self._device):
            return self._form.parameters(self._weights)

    @property
    def offers(self) -> Any:
        """The function."""
        return self._apply

    def found(self, inputs: np.ndarray, lengths: np.ndarray) -> Any:
        """The states that `apply` offers."""
        with jax.default_device(self._device):
            return self._apply.states(self.tree, _real(inputs, self._task), lengths)

    def array(self, found: Any) -> np.ndarray:
        """An array of them, on the CPU."""
        return np.asarray(found)

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers, float64."""
        given = np.full(len(inputs), inputs.shape[1]) if lengths is None else lengths
        with jax.default_device(self._device):
            answers = _answers(self._apply, self._task)(self.tree, inputs, given)
        return np.asarray(answers, np.float64)

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, list[np.ndarray]]:
        """The mean squared error of a batch and its gradient, by `jax.grad`."""
        live = np.ones(len(lengths), bool)
        if self._task.answered == "every":
            live = live_steps(lengths, inputs.shape[1], counted)
        with jax.default_device(self._device):
            of = _gradient(self._apply, self._task)
            loss, parts = of(self.tree, inputs, lengths, targets, live)
        return float(loss), [np.asarray(p, np.float32) for p in jax.tree_util.tree_leaves(parts)]


@functools.lru_cache(maxsize=64)
def _answers(apply: Callable[..., Any], task: Task) -> Callable[..., Any]:
    """Parameters, inputs and lengths to answers in the shape of the task's, compiled.

    Raises:
        ValueError: `apply` does not take them.
    """
    try:
        inspect.signature(apply).bind("parameters", "inputs", "lengths")
    except TypeError as error:
        raise ValueError(
            f"a JAX cell must be called by apply(parameters, inputs, lengths): {error}"
        ) from error

    def answers(parameters: Any, inputs: Any, lengths: Any) -> Any:
        x = _real(inputs, task)
        try:
            given = apply(parameters, x, lengths)
        except jax.errors.ConcretizationTypeError as error:
            raise ValueError(
                "apply is compiled by jax.jit, and must not branch on values: use jnp.where or "
                "jax.lax.cond in the place of if"
            ) from error
        if not isinstance(given, jax.Array):
            check_form(given, task, *inputs.shape[:2])
        given = in_form(given, task, x.shape[:2], (jnp.arange(len(lengths)), lengths - 1))
        check_form(given, task, *inputs.shape[:2])
        return given

    return jax.jit(answers)


def _real(inputs: Any, task: Task) -> Any:
    """Inputs (B, T, D), those of symbols too."""
    return jax.nn.one_hot(inputs, task.inputs) if task.symbols else inputs


@functools.lru_cache(maxsize=64)
def _gradient(apply: Callable[..., Any], task: Task) -> Callable[..., Any]:
    answers = _answers(apply, task)

    def loss(parameters: Any, inputs: Any, lengths: Any, targets: Any, live: Any) -> Any:
        given = answers(parameters, inputs, lengths)
        if not jnp.issubdtype(given.dtype, jnp.floating):
            raise ValueError(f"apply must give answers with a gradient, not {given.dtype}")
        error = given - targets
        live = jnp.reshape(live, live.shape + (1,) * (error.ndim - live.ndim))
        count = jnp.sum(live) * (error.size // live.size)
        return jnp.sum(jnp.where(live, error, 0) ** 2) / count

    return jax.jit(jax.value_and_grad(loss))


def device(name: str) -> Any:
    """A device of JAX's: `cpu`, `gpu`, `gpu:1`, `tpu`; PyTorch's word `cuda` will do.

    Raises:
        ValueError: there is none of that name here.
    """
    kind, _, number = name.partition(":")
    try:
        return jax.devices(kind)[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"JAX has no device {name!r} here: {reason}") from error


@functools.lru_cache(maxsize=64)
def _form(pair: Pair, task: Task, size: int) -> Form:
    return Form.of(_initial(pair, task, size, 0))


def _initial(pair: Pair, task: Task, size: int, seed: int) -> Any:
    """The parameters that `init` makes."""
    key = jax.random.PRNGKey(seed)
    try:
        return pair[0](key, task.inputs, task.outputs, size)
    except TypeError as error:
        raise ValueError(
            f"a JAX cell must be made by init(key, D, K, size), a key and three whole numbers: "
            f"{error}"
        ) from error


@dataclass(frozen=True, kw_only=True)
class JaxCell(Network):
    """A cell by its name: `module:NAME`, a pair of functions (init, apply)."""

    where: str = field(default="")
    hidden: int = setting(8, "units", 1, 1024)
    device: str = setting("cpu", "where PyTorch or JAX computes: cpu, cuda, cuda:1, mps, gpu ...")

    @property
    def name(self) -> str:
        return self.where

    @property
    def words(self) -> str:
        return counted(self.hidden, "unit")

    @property
    def pair(self) -> Pair:
        """The two functions."""
        found = imported(self.where)
        if not (isinstance(found, tuple) and len(found) == 2 and all(map(callable, found))):
            shown = checks.shown(found)
            raise ValueError(f"cell {self.where} must be a pair (init, apply), not {shown}")
        return found

    def form(self, task: Task) -> Form:
        """What its flat weights stand for."""
        return _form(self.pair, task, self.hidden)

    def shapes(self, task: Task) -> Shapes:
        return self.form(task).shapes

    def of(self, weights: np.ndarray, task: Task) -> JaxModel:
        return JaxModel(self.pair[1], self.form(task), weights, task, device(self.device))

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        self.form(task)  # refused where there are none
        with jax.default_device(device("cpu")):
            return flat(_initial(self.pair, task, self.hidden, int(rng.integers(2**31 - 1))))

    def check_itself(self, task: Task) -> None:
        """Refuses a cell whose answer to a sequence depends on others, or on what comes later.

        Raises:
            ValueError: it mixes sequences, reads padding or the future, gives answers of another
                shape, or has no gradient.
        """
        _check(self, task)


@dataclass(frozen=True, kw_only=True)
class JaxFunction(Network):
    """A function `apply` of the user's, and the parameters at which it starts, a tree of arrays.

    Raises:
        ValueError: it is no function, it cannot be hashed, or its parameters are not real arrays.
    """

    can_be_named: ClassVar[bool] = False

    apply: Any = field(repr=False)
    parameters: Any = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.apply):
            raise ValueError(f"apply must be a function, not {checks.shown(self.apply)}")
        try:
            hash(self.apply)  # what is compiled of it is found again by it
        except TypeError as error:
            shown = checks.shown(self.apply)
            raise ValueError(
                f"apply must be hashable, as functions are, not {shown}: wrap it in a function"
            ) from error
        Form.of(self.parameters)

    @classmethod
    def given(cls, pair: Any) -> JaxFunction:
        """What a pair (apply, parameters) says.

        Raises:
            ValueError: it is none.
        """
        if not (isinstance(pair, tuple) and len(pair) == 2):
            shown = checks.shown(pair)
            raise ValueError(f"cell must be a pair (apply, parameters), or a name, not {shown}")
        if inspect.isfunction(pair[1]):
            raise ValueError(
                "cell must be a pair (apply, parameters), not one of two functions: call init for "
                'the parameters, or give the cell by its name, "module:NAME"'
            )
        return cls(apply=pair[0], parameters=pair[1])

    @property
    def name(self) -> str:
        return f"jax-function:{self.words}"

    @property
    def words(self) -> str:
        return getattr(self.apply, "__name__", type(self.apply).__name__)

    def form(self, task: Task) -> Form:
        """What its flat weights stand for."""
        return Form.of(self.parameters)

    def shapes(self, task: Task) -> Shapes:
        return self.form(task).shapes

    def of(self, weights: np.ndarray, task: Task) -> JaxModel:
        return JaxModel(self.apply, self.form(task), weights, task, None)

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        return flat(self.parameters)

    def check_itself(self, task: Task) -> None:
        _check(self, task)


def _check(network: JaxCell | JaxFunction, task: Task) -> None:
    """See `Network.check_itself`."""
    rng = np.random.default_rng(0)
    weights = without_zeros(network.start(task, rng), network.shapes(task).values())
    model = network.of(weights, task)
    check_answers(model.predict, task)
    _, gradient = model.gradient(*task.sample(2, rng).learned)
    if not any(part.any() for part in gradient):
        raise ValueError(
            "the model cannot be trained: the gradient of its error is zero for every parameter; "
            "answers must depend on them, and not by jax.lax.stop_gradient or rounding"
        )
