"""longlag's native kernel on-line, 16 trials side by side, as `longlag study` uses it.

A trial draws its data within the time measured.
The variant `drawn` is the kernel alone: its data are drawn and laid out beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from longlag.learning import side_by_side as online
from longlag.learning.recipe import OnlineRecipe
from longlag.tasks.marked_pairs import Batch

from .data import Train


def prepare(recipe: OnlineRecipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    """Training, block by block of every trial.

    Raises:
        ValueError: there is no kernel.
    """
    engine, lanes = online.choose("native"), range(seeds)
    if variant == "drawn":
        return alone(recipe, engine, lanes)
    return with_data(recipe, engine, lanes, threads)


def with_data(
    recipe: OnlineRecipe, engine: online.OnlineEngine, seeds: Sequence[int], threads: int
) -> Train:
    """Trials as a study has them; every block of data is new."""
    trials = online.Trials(recipe, seeds, engine, threads)
    pool = ThreadPoolExecutor(threads)

    def train(iterations: int) -> None:
        for _ in range(0, iterations, recipe.block):
            trials.advance(pool)
            if trials.diverged.any():
                raise RuntimeError("the training diverged")

    return train


def alone(recipe: OnlineRecipe, engine: online.OnlineEngine, seeds: Sequence[int]) -> Train:
    """The kernel on the first block of every trial, again and again."""
    state = online.State.start(recipe, seeds)
    blocks = [recipe.training_data(seed, 0) for seed in seeds]
    drawn = Batch(*(np.stack(arrays) for arrays in zip(*blocks, strict=True)))

    def train(iterations: int) -> None:
        for _ in range(0, iterations, recipe.block):
            if np.isnan(engine.learn(recipe, state, drawn)).any():
                raise RuntimeError("the training diverged")

    return train
