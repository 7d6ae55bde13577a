"""longlag's native kernel on-line, 16 trials side by side, as `longlag study` uses it.

A trial draws its data within the time measured. The variant `drawn` is the kernel alone: its data
are drawn and laid out beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe
from longlag.learning.side_by_side import Trials

from .data import Train


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    """Training, block by block of every trial.

    Raises:
        ValueError: there is no kernel.
    """
    if variant == "drawn":
        return alone(recipe, range(seeds))
    return with_data(recipe, range(seeds), threads)


def with_data(recipe: Recipe, seeds: Sequence[int], threads: int) -> Train:
    """Trials as a study has them; every block of data is new."""
    trials = Trials(recipe, seeds, "native", threads)
    rounds, block = trials.rounds(), recipe.learner(0).block

    def train(iterations: int) -> None:
        for _ in range(0, iterations, block):
            next(rounds)
            if trials.left < len(seeds):
                raise RuntimeError("the training diverged")

    return train


def alone(recipe: Recipe, seeds: Sequence[int]) -> Train:
    """The kernel on the first block of every trial, again and again."""
    engine = engines.choose("native", recipe=recipe)
    learners = [recipe.learner(seed) for seed in seeds]
    block = learners[0].block
    drawn = [learner.draw(0, block).each(np.asarray) for learner in learners]

    def train(iterations: int) -> None:
        for _ in range(0, iterations, block):
            learned = engine.learn(recipe, learners, drawn)
            if any(one.updates < block for one in learned):
                raise RuntimeError("the training diverged")

    return train
