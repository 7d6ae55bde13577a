"""longlag's own reference: the mathematics in plain numpy."""

from __future__ import annotations

from itertools import cycle

import numpy as np

from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe
from longlag.tasks.task import Batch

from .data import Train, batches, each


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    """Threads are numpy's own, by the environment."""
    learner = recipe.learner(0)
    engine = engines.NumpyEngine()

    def update(*batch: np.ndarray) -> None:
        engine.learn(recipe, [learner], [Batch(*(array[None] for array in batch))])

    return each(update, cycle(batches(recipe)))
