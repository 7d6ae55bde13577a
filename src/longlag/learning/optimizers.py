"""Optimisers on one flat parameter vector, and clipping by the global norm.

An optimiser updates the vector in place; its state is `step`, the number of updates made, and
`moments`, a dict of arrays.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


def clip_by_global_norm(gradient: np.ndarray, limit: float) -> tuple[np.ndarray, float]:
    """Scales a gradient (P,) down to the norm `limit` where it is longer.

    Returns:
        The gradient, and its norm before clipping (accumulated in float64).
    """
    norm = float(np.sqrt(np.sum(gradient.astype(np.float64) ** 2)))
    if norm > limit:
        gradient = gradient * gradient.dtype.type(limit / norm)
    return gradient, norm


class Optimizer(Protocol):
    """What training needs of an optimiser."""

    step: int
    moments: dict[str, np.ndarray]

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        """Takes one step of size `rate` from `parameters` (P,), in place."""
        ...


class Adam:
    """Adam with bias correction (Kingma & Ba 2015, algorithm 1).

    Args:
        size: P, the number of parameters.
        beta1, beta2: decay of the two moments, each in [0, 1).
        epsilon: added to the root of the second moment.
    """

    beta1: float
    beta2: float
    epsilon: float
    step: int
    moments: dict[str, np.ndarray]

    def __init__(
        self,
        size: int,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.step = 0
        self.moments = {"first": np.zeros(size, dtype), "second": np.zeros(size, dtype)}

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        self.step += 1
        m, v = self.moments["first"], self.moments["second"]
        m[:] = self.beta1 * m + (1 - self.beta1) * gradient
        v[:] = self.beta2 * v + (1 - self.beta2) * gradient * gradient
        unbiased_m = m / (1 - self.beta1**self.step)
        unbiased_v = v / (1 - self.beta2**self.step)
        parameters -= rate * unbiased_m / (np.sqrt(unbiased_v) + self.epsilon)


class GradientDescent:
    """Plain gradient descent."""

    step: int

    def __init__(self) -> None:
        self.step = 0
        self.moments: dict[str, np.ndarray] = {}

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        self.step += 1
        parameters -= rate * gradient
