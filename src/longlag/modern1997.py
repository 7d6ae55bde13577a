"""The LSTM of 1997 under modern training: a sweep's trial, `longlag.modern1997:train`.

The network is the paper's, `networks.lstm1997`: memory cell blocks of two cells with shared gates
that see each other, squashed cell inputs and states, no forget gate. The training is a recipe's:
mini-batches, the full gradient, Adam. Numpy does the arithmetic: a step of this network has some
thirty tiny operations, which cost PyTorch several times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from longlag.learning.engine import Learner, descend
from longlag.learning.recipe import Recipe
from longlag.networks.lstm1997 import LSTM1997, flatten, initial_weights, unflatten
from longlag.sweeps import trial
from longlag.tasks.marked_pairs import Batch

BLOCK_SIZE = 2  # cells that share their gates, as in the paper


class Engine1997:
    """The reference of 1997, as who does the arithmetic of a mini-batch training.

    Of the recipe's settings of the network it takes `hidden`, the number of cells, `output`, and
    `output_bias`; all other weights are the paper's, uniform in ±0.1.

    Raises:
        ValueError: an odd number of cells.
    """

    name = "numpy"
    isa: str | None = None
    recipe: Recipe
    blocks: int

    def __init__(self, recipe: Recipe, rng: np.random.Generator) -> None:
        if recipe.hidden % BLOCK_SIZE:
            raise ValueError(f"hidden must be a multiple of {BLOCK_SIZE}, not {recipe.hidden}")
        self.recipe, self.blocks = recipe, recipe.hidden // BLOCK_SIZE
        weights = initial_weights(rng, self.blocks, BLOCK_SIZE)
        weights.Wk[-1] = recipe.output_bias
        self._initial = flatten(weights)

    def parameters(self) -> np.ndarray:
        """The initial weights (P,)."""
        return self._initial.copy()

    def network(self, vector: np.ndarray) -> LSTM1997:
        """The network with weights (P,)."""
        weights = unflatten(vector, self.blocks, BLOCK_SIZE)
        return LSTM1997(weights, self.blocks, output=self.recipe.output)

    def predict(self, network: np.ndarray, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """See `engine.Engine`."""
        return self.network(network).predict(inputs, lengths)

    def learn(self, learner: Learner, recipe: Recipe, data: Batch) -> tuple[np.ndarray, int]:
        """See `engine.Engine`."""
        network = self.network(learner.parameters)

        def gradient(*batch: np.ndarray) -> tuple[float, np.ndarray]:
            loss, weights = network.gradient(*batch)
            return loss, flatten(weights)

        return descend(gradient, learner, recipe, data)


def train(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """A trial; returns what `longlag.sweeps.trial.train` does."""
    recipe, fresh = trial.asked(settings)
    started = Engine1997(recipe, recipe.streams(seed).weights)
    return trial.carry_out(trial.WatchedForeign(recipe, seed, started), fresh)
