"""longlag's native kernel, as `longlag train` uses it: data and all.

Unlike its peers it draws its data within the time measured: a block of batches by the paper's
rules, then as many iterations, as `longlag.learning.training.Training` does. The variant `drawn`
has its data from beforehand, as the peers have.
"""

from __future__ import annotations

from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe
from longlag.tasks.marked_pairs import Batch

from .data import Train, draw


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    """Training, block by block.

    Raises:
        ValueError: there is no kernel.
    """
    engine = engines.choose("native", threads)
    streams = recipe.streams(0)
    learner = engines.Learner.start(recipe, recipe.network(streams.weights))
    drawn = draw(recipe, streams.training) if variant == "drawn" else None

    def train(iterations: int) -> None:
        for start in range(0, iterations, recipe.block):
            data = drawn or draw(recipe, streams.training)
            piece = Batch(*(array[: iterations - start] for array in data))
            _, updates = engine.learn(learner, recipe, piece)
            if updates < len(piece.inputs):
                raise RuntimeError("the training diverged")

    return train
