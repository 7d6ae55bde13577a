"""longlag's native kernel, as `longlag train` uses it: data and all.

Unlike its peers it draws its data within the time measured: a block of batches by the paper's
rules, then as many iterations, as `longlag.learning.training.Training` does. The variant `drawn`
has its data from beforehand, as the peers have.
"""

from __future__ import annotations

import numpy as np

from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe
from longlag.tasks.task import Batch

from .data import Train


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    """Training, block by block.

    Raises:
        ValueError: there is no kernel.
    """
    engine = engines.choose("native", threads)
    learner = recipe.learner(0)
    drawn = learner.draw(0, 0).each(np.asarray) if variant == "drawn" else None

    def train(iterations: int) -> None:
        for start in range(0, iterations, learner.block):
            data = drawn or learner.draw(0, 0)
            piece = Batch(*(array[: iterations - start] for array in data))
            (learned,) = engine.learn(recipe, [learner], [piece])
            if learned.updates < len(piece.lengths):
                raise RuntimeError("the training diverged")

    return train
