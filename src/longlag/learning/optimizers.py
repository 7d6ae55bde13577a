"""Optimisers on one flat parameter vector, and clipping by the global norm.

An optimiser updates the vector in place. One of the user's is given as a `Start`: what makes it of
the initial vector, which it then updates (`longlag.torch.Descent`, `longlag.jax_training.Descent`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from longlag import checks

LARGEST_SQUARE = float(np.finfo(np.float32).max)
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)


def clip_by_global_norm(gradient: np.ndarray, limit: float) -> tuple[np.ndarray, float]:
    """Scales a gradient (P,) down to the norm `limit` where it is longer.

    Returns:
        The gradient, and its norm before clipping (accumulated in float64).
    """
    norm = float(np.sqrt(np.sum(gradient.astype(np.float64) ** 2)))
    if norm > limit:
        gradient = gradient * gradient.dtype.type(limit / norm)
    return gradient, norm


def can_learn_from(norm: float, limit: float) -> bool:
    """Whether a gradient of this norm is finite, and float32 once it is clipped.

    A norm far above the limit is no hindrance, as clipping makes it short. What it is scaled by
    must be a normal float32, and so must the square of what is left, Adam's second moment.
    """
    kept = min(norm, limit)
    return kept * kept <= LARGEST_SQUARE and norm * SMALLEST_SCALE <= limit


class Optimizer(Protocol):
    """What training needs of an optimiser."""

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        """Takes one step of size `rate` from `parameters` (P,), in place."""
        ...

    def marked(self) -> Callable[[], None]:
        """A function that restores the optimiser's present state."""
        ...

    def state(self) -> dict[str, Any]:
        """Arrays and JSON-ready values from which `restore` continues to the same bits."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave; it may stand among other values."""
        ...


Start = Callable[[np.ndarray], Optimizer]


class WithMoments:
    """What our optimisers have: the number of updates made, and arrays of the vector's size."""

    step: int
    moments: dict[str, np.ndarray]

    def __init__(self, **moments: np.ndarray) -> None:
        self.step, self.moments = 0, moments

    def next_step(self) -> int:
        """Counts an update: its number, from 1."""
        self.step += 1
        return self.step

    def marked(self) -> Callable[[], None]:
        """A function that restores the optimiser's present state."""
        moments = copied([*self.moments.values()])
        return in_turn([moments, partial(setattr, self, "step", self.step)])

    def state(self) -> dict[str, Any]:
        """The arrays as `moment_...`, and the number of updates."""
        arrays = {f"moment_{name}": moment.copy() for name, moment in self.moments.items()}
        return {**arrays, "step": self.step}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave.

        Raises:
            LookupError, TypeError, ValueError: it is no such state.
        """
        for name, moment in self.moments.items():
            full = f"moment_{name}"
            moment[:] = checks.array(full, state[full], moment.dtype, moment.shape)
        self.step = int(state["step"])


def copied(arrays: Sequence[np.ndarray]) -> Callable[[], None]:
    """A function that restores the present values of arrays."""
    copies = [array.copy() for array in arrays]

    def put_back() -> None:
        for array, copy in zip(arrays, copies, strict=True):
            array[...] = copy

    return put_back


def in_turn(functions: Sequence[Callable[[], None]]) -> Callable[[], None]:
    """A function that calls all of these."""

    def all_of_them() -> None:
        for function in functions:
            function()

    return all_of_them


class Adam(WithMoments):
    """Adam with bias correction (Kingma & Ba 2015, algorithm 1).

    Args:
        size: P, the number of parameters.
        beta1, beta2: decay of the two moments, each in [0, 1).
        epsilon: added to the root of the second moment.
    """

    beta1: float
    beta2: float
    epsilon: float

    def __init__(
        self,
        size: int,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        super().__init__(first=np.zeros(size, dtype), second=np.zeros(size, dtype))

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        step = self.next_step()
        m, v = self.moments["first"], self.moments["second"]
        m[:] = self.beta1 * m + (1 - self.beta1) * gradient
        v[:] = self.beta2 * v + (1 - self.beta2) * gradient * gradient
        unbiased_m = m / (1 - self.beta1**step)
        unbiased_v = v / (1 - self.beta2**step)
        parameters -= rate * unbiased_m / (np.sqrt(unbiased_v) + self.epsilon)


class GradientDescent(WithMoments):
    """Plain gradient descent."""

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        self.next_step()
        parameters -= rate * gradient
