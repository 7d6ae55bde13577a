"""longlag's native kernel as a test uses it: fresh sequences are drawn, answered and scored.

No states are kept. An iteration is one sequence. The variant `drawn` answers sequences from
beforehand, again and again.
"""

from __future__ import annotations

import numpy as np

from longlag.learning import engine as engines
from longlag.learning.judging import measure
from longlag.learning.recipe import Recipe

from .data import Train

SEQUENCES = 256  # from beforehand


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    """Testing, as `longlag train` and `longlag evaluate` do it.

    Raises:
        ValueError: there is no kernel.
    """
    engine, task = engines.choose("native", threads), recipe.task
    network = recipe.network_of(recipe.learner(0).weights)
    rng = np.random.default_rng(0)
    drawn = task.sample(SEQUENCES, rng) if variant == "drawn" else None

    def test(iterations: int) -> None:
        if drawn is None:
            measure(lambda *given: engine.predict(network, *given), task, iterations, rng)
            return
        for start in range(0, iterations, SEQUENCES):
            part = drawn.each(lambda a, n=iterations - start: a[:n])
            engine.predict(network, part.inputs, part.lengths)

    return test
