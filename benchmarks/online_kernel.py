"""longlag's native kernel on-line, 16 trials side by side, as `longlag study` uses it.

A trial draws its data within the time measured.
The variant `drawn` is the kernel alone: its data are drawn and laid out beforehand.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from longlag.bench.cases import Case
from longlag.learning import engine as engines
from longlag.learning import side_by_side as online
from longlag.learning.recipe import OnlineRecipe
from longlag.tasks.marked_pairs import Batch

from .data import Train


def prepare(case: Case[OnlineRecipe], threads: int = 1, variant: str = "") -> Train:
    """Training, block by block of every trial.

    Raises:
        ValueError: there is no kernel.
    """
    engines.choose("native")
    return alone(case) if variant == "drawn" else with_data(case, threads)


def with_data(case: Case[OnlineRecipe], threads: int) -> Train:
    """Trials as a study has them; every block of data is new."""
    trials = online.Trials(case.recipe, range(online.LANES), online.choose("native"), threads)
    pool = ThreadPoolExecutor(threads)

    def train(iterations: int) -> None:
        for _ in range(0, iterations, case.recipe.block):
            trials.advance(pool)
            if trials.diverged.any():
                raise RuntimeError("the training diverged")

    return train


def alone(case: Case[OnlineRecipe]) -> Train:
    """The kernel on the first block of every trial, again and again."""
    recipe, engine = case.recipe, online.choose("native")
    state = online.State.start(recipe, range(online.LANES))
    blocks = [recipe.training_data(seed, 0) for seed in range(online.LANES)]
    drawn = Batch(*(np.stack(arrays) for arrays in zip(*blocks, strict=True)))

    def train(iterations: int) -> None:
        for _ in range(0, iterations, case.recipe.block):
            if np.isnan(engine.learn(recipe, state, drawn)).any():
                raise RuntimeError("the training diverged")

    return train
