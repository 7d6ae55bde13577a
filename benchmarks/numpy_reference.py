"""longlag's own reference: the mathematics in plain numpy."""

from __future__ import annotations

from longlag.bench import Case
from longlag.learning import engine as engines
from longlag.tasks.marked_pairs import Batch

from .harness import Train, batches, serve


def prepare(case: Case, threads: int = 1, variant: str = "") -> Train:
    """Threads are numpy's own, by the environment."""
    recipe = case.recipe
    network = recipe.network(recipe.streams(0).weights)
    learner = engines.Learner.start(recipe, network)
    engine = engines.NumpyEngine()
    data = batches(case)

    def train(iterations: int) -> None:
        for _ in range(iterations):
            engine.learn(learner, recipe, Batch(*(array[None] for array in next(data))))

    return train


if __name__ == "__main__":
    serve(prepare)
