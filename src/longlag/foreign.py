"""Training a network that is not the recipe's own, by the recipe's protocol.

Data, loss, clipping, optimiser, averaging, tests and stopping rules are the recipe's; the network,
its initial parameters and its gradients are the engine's. What a recipe says of its own network
plays no part.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from longlag.learning.engine import Engine
from longlag.learning.recipe import Recipe
from longlag.learning.training import Training


class ForeignEngine(Engine, Protocol):
    """An engine with a network of its own; `predict` takes its parameters (P,) for the network."""

    def parameters(self) -> np.ndarray:
        """The initial parameters, a new vector (P,), float32."""
        ...


class ForeignTraining(Training):
    """A training of the engine's network in steps; it keeps no snapshots."""

    def __init__(self, recipe: Recipe, seed: int, engine: ForeignEngine) -> None:
        self._own = engine
        super().__init__(recipe, seed, engine)

    def predict(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Answers (B,) of the network as it stands, for inputs (B, T, 2)."""
        return self.engine.predict(self.learner.judged, inputs, lengths)

    def _initial(self) -> np.ndarray:
        return self._own.parameters()

    def _snapshot_due(self, iteration: int) -> bool:
        return False

    def _snapshot(self) -> None:
        pass
