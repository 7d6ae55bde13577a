"""The interface of a network: sizes, initial weights, steps, gradients.

A `Network` is an architecture with its settings, a part of a recipe: it knows the shapes of its
weights and how they start. `Network.of(weights, task)` is a `Model`, the network with weights,
which computes answers, states, and the gradient of its error. Weights outside are one float32
vector (P,). Dimension legend: `tasks/task.py`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from longlag import checks
from longlag.settings import Part
from longlag.tasks.task import Answered, Task, beside

Output = Literal["linear", "sigmoid"]
Shapes = Mapping[str, tuple[int, ...]]


class Model(Protocol):
    """A network with weights."""

    @property
    def titles(self) -> Mapping[str, str]:
        """What its states are, in words, in the order in which a picture shows them; names of
        gates end in `_gate`."""
        ...

    @property
    def parameters(self) -> Any:
        """The weights: a named tuple of arrays."""
        ...

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers to inputs (B, T, D) or symbols (B, T), in the shape of the task's targets."""
        ...

    def states(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """What can be seen inside, by name, each (B, T, ·); zero after a sequence's end."""
        ...

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, Any]:
        """The mean squared error of a batch and its gradient, in the form of the weights.

        `counted` (B, T) is given by tasks that ask at every step and count some of the answers.
        """
        ...


class Inside:
    """What training changes in a network besides its weights: nothing, but in a PyTorch module."""

    def at_work(self) -> AbstractContextManager[None]:
        """In it the network learns."""
        return nullcontext()

    def marked(self) -> Callable[[], None]:
        """A function that restores its present state."""
        return lambda: None

    def state(self) -> dict[str, np.ndarray]:
        """Arrays from which `restore` continues to the same bits."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave; it may stand among other values."""


@dataclass(frozen=True)
class Network(Part, ABC):
    """An architecture with its settings.

    Attributes:
        can_be_named: whether its settings determine it, so that a file can hold it.
    """

    can_be_named: ClassVar[bool] = True

    @abstractmethod
    def shapes(self, task: Task) -> Shapes:
        """Shapes of the weights by name, in the order of the flat vector."""

    @abstractmethod
    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        """Initial weights, a new vector (P,), float32."""

    @abstractmethod
    def of(self, weights: np.ndarray, task: Task) -> Any:
        """The `Model` with flat weights (P,)."""

    @property
    @abstractmethod
    def words(self) -> str:
        """How large it is, in words: '8 cells'."""

    def inside(self, seed: int) -> Inside:
        """What training changes besides the weights, at its start."""
        return Inside()

    def kept(self) -> dict[str, np.ndarray]:
        """What answers depend on besides settings and weights, by name, for `put_back`."""
        return {}

    def put_back(self, kept: Mapping[str, np.ndarray]) -> None:
        """Puts back what `kept` gave.

        Raises:
            ValueError: other names, shapes or types.
        """

    def check(self, task: Task) -> None:
        """Refuses a task that the network cannot learn.

        Raises:
            ValueError: the reason, in one sentence.
        """

    def check_itself(self, task: Task) -> None:
        """Refuses a network of the user's that does not answer each sequence by itself, or that
        reads the future.

        Raises:
            ValueError: it mixes sequences, reads padding, gives answers of another shape ...
        """

    def size(self, task: Task) -> int:
        """P, the number of weights."""
        return sum(math.prod(shape) for shape in self.shapes(task).values())


GIVEN = ("torch-module:", "jax-function:")  # how names begin of what was given in Python


@dataclass(frozen=True, kw_only=True)
class Unbuilt(Network):
    """A network that was given in Python, of which a file knows the name alone."""

    can_be_named: ClassVar[bool] = False

    called: str = ""

    @property
    def name(self) -> str:
        return self.called

    @property
    def words(self) -> str:
        return self.called.partition(":")[2]

    def shapes(self, task: Task) -> Shapes:
        raise self._unknown()

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        raise self._unknown()

    def of(self, weights: np.ndarray, task: Task) -> Any:
        raise self._unknown()

    def _unknown(self) -> ValueError:
        return ValueError(
            f"network {self.called} was given in Python, and a file has its name alone: give the "
            "network again"
        )


def counted(n: int, thing: str) -> str:
    """'1 cell', '8 cells'."""
    return f"{n} {thing}" + ("" if n == 1 else "s")


class Offered(ABC):
    """States of a user's module or function, where it has both `titles` and `states`."""

    @property
    @abstractmethod
    def offers(self) -> Any:
        """What may have them."""

    @abstractmethod
    def found(self, inputs: np.ndarray, lengths: np.ndarray) -> Any:
        """What `states` gives, whatever stands after a sequence's end."""

    @abstractmethod
    def array(self, found: Any) -> np.ndarray:
        """One of the states as an array."""

    @property
    def titles(self) -> Mapping[str, str]:
        """What the states are, by name; none where none are offered.

        Raises:
            ValueError: `titles` is no mapping.
        """
        titles = getattr(self.offers, "titles", {}) if hasattr(self.offers, "states") else {}
        if not isinstance(titles, Mapping):
            shown = checks.shown(titles)
            raise ValueError(f"titles must be a dict of words by the names of states, not {shown}")
        return titles

    def states(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """The states (B, T, ·) of these names; zero after a sequence's end.

        Raises:
            ValueError: `states` does not give them, or gives other shapes.
        """
        if not self.titles:
            return {}
        B, T = inputs.shape[:2]
        given = np.full(B, T) if lengths is None else lengths
        found = self.found(inputs, given)
        _check_states(found, self.titles, B, T)
        live = live_steps(given, T, None)[..., None]
        return {name: np.where(live, self.array(found[name]), 0) for name in self.titles}


def _check_states(found: Any, titles: Mapping[str, str], B: int, T: int) -> None:
    """Raises a ValueError for states that are not those of the titles, (B, T, ·) each."""
    if not isinstance(found, Mapping):
        raise ValueError(f"states must give a dict of arrays, not a {type(found).__name__}")
    for name in titles:
        if name not in found:
            held = ", ".join(map(str, found)) or "nothing"
            raise ValueError(f"states must give {name!r}, which is in titles, and gives {held}")
        shape = tuple(getattr(found[name], "shape", ()))
        if len(shape) != 3 or shape[:2] != (B, T):
            raise ValueError(f"states must give {name!r} of shape ({B}, {T}, units), not {shape}")


def live_steps(lengths: np.ndarray, steps: int, counted: np.ndarray | None = None) -> np.ndarray:
    """Which steps count, (B, T): those before a sequence's end, and of these those of `counted`.

    Raises:
        ValueError: counted is no array of bool of that shape.
    """
    live = np.arange(steps) < lengths[:, None]
    if counted is None:
        return live
    return live & checks.array("counted", counted, np.bool_, live.shape)


# -- one vector and many arrays -----------------------------------------------------------------


def flatten(parameters: Iterable[np.ndarray]) -> np.ndarray:
    """Arrays as one new vector (P,)."""
    return np.concatenate([array.ravel() for array in parameters])


def views(vector: np.ndarray, shapes: Iterable[Any]) -> list[np.ndarray]:
    """Views of a flat vector (P,), one of each shape, in order.

    Raises:
        ValueError: a vector of another size.
    """
    shapes = list(shapes)
    size = sum(math.prod(shape) for shape in shapes)
    if np.shape(vector) != (size,):
        raise ValueError(f"weights must be a vector of {size} numbers, not {checks.shown(vector)}")
    found, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        found.append(vector[start : start + size].reshape(shape))
        start += size
    return found


def without_zeros(vector: np.ndarray, shapes: Iterable[Any]) -> np.ndarray:
    """A copy of a flat vector (P,) in which arrays that are all zeros have random numbers.

    Behind a read-out or a gate that starts at zero a check of the answers would see no change.
    """
    vector, rng = vector.copy(), np.random.default_rng(0)
    for part in views(vector, shapes):
        if not part.any():
            width = part.shape[-1] if part.ndim else 1
            part[...] = rng.uniform(-1, 1, part.shape) / max(width, 1) ** 0.5
    return vector


# -- inputs, answers, errors --------------------------------------------------------------------


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function, without overflow for large `|x|`."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def check_lengths(inputs: np.ndarray, lengths: np.ndarray | None, D: int = 2) -> np.ndarray:
    """Lengths (B,) of inputs (B, T, D) or symbols (B, T), T where not given.

    Raises:
        ValueError: inputs that are no array of numbers, inputs or lengths of the wrong shape, a
            length outside 1..T, or a symbol outside 0..D - 1.
    """
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "fiu":
        kind = getattr(inputs, "dtype", type(inputs).__name__)
        raise ValueError(f"inputs must be a numpy array (B, T, {D}) of numbers, not {kind}")
    symbols = np.issubdtype(inputs.dtype, np.integer) and inputs.ndim == 2
    if (not symbols and (inputs.ndim != 3 or inputs.shape[2] != D)) or 0 in inputs.shape:
        raise ValueError(f"inputs must have shape (B, T, {D}), not {inputs.shape}")
    if symbols and (inputs.min() < 0 or inputs.max() >= D):
        raise ValueError(
            f"symbols must lie between 0 and {D - 1}, not {inputs.min()} to {inputs.max()}"
        )
    B, T = inputs.shape[:2]
    if lengths is None:
        return np.full(B, T)
    lengths = checks.numbers("lengths", lengths)
    if lengths.shape != (B,) or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"lengths must be {B} whole numbers, one a sequence, "
            f"not {lengths.dtype} of shape {lengths.shape}"
        )
    if lengths.min() < 1 or lengths.max() > T:
        raise ValueError(
            f"lengths must lie between 1 and T = {T}, not {lengths.min()} to {lengths.max()}"
        )
    return lengths


def times(W: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Inputs times weights W (D, G): (..., D) to (..., G); of symbols (...), the rows of W."""
    return W[inputs] if np.issubdtype(inputs.dtype, np.integer) else inputs @ W


def add_outer(into: np.ndarray, inputs: np.ndarray, errors: np.ndarray) -> None:
    """Adds the gradient of `times` to `into` (D, G): inputs (B, D) or symbols (B,), (B, G)."""
    if np.issubdtype(inputs.dtype, np.integer):
        np.add.at(into, inputs, errors)
    else:
        into += inputs.T @ errors


def as_answers(y: np.ndarray) -> np.ndarray:
    """Answers (..., K), without the last axis where K is 1."""
    return y[..., 0] if y.shape[-1] == 1 else y


def squared_error(
    answers: np.ndarray,
    lengths: np.ndarray,
    targets: np.ndarray,
    answered: Answered,
    counted: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """The mean of (y - t)² over a batch's answers (no 1/2), and its gradient (..., K).

    Args:
        answers: (B,) or (B, K); at every step (B, T) or (B, T, K), of which those after a
            sequence's end do not count.
        targets: of the same shape.
        counted: (B, T) bool, which steps count; those before a sequence's end where not given.

    Raises:
        ValueError: targets or steps of another shape, or no step that counts.
    """
    targets = np.asarray(targets)
    if targets.shape != answers.shape:
        raise ValueError(f"targets must have shape {answers.shape}, not {targets.shape}")
    error = answers - targets.astype(answers.dtype)
    count = error.size
    if answered == "every":
        live = live_steps(np.asarray(lengths), answers.shape[1], counted)
        error = np.where(beside(live, error.ndim), error, 0)
        count = int(np.sum(live)) * (error.size // live.size)
        if count == 0:
            raise ValueError("counted must have a step that counts")
    loss = float(np.mean(error**2)) if count == error.size else float(np.sum(error**2) / count)
    axis_dropped = error.ndim == (1 if answered == "last" else 2)
    gradient = ((2 / count) * error).astype(error.dtype)
    return loss, gradient[..., None] if axis_dropped else gradient
