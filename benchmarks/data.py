"""What the contestants share: the data, drawn beforehand, and a training of single updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from longlag.learning.recipe import OnlineRecipe, Recipe
from longlag.tasks.marked_pairs import Batch

Train = Callable[[int], None]
"""Trains for so many iterations, and returns when they are done."""


def each(update: Callable[..., Any], data: Iterator[tuple[Any, ...]]) -> Train:
    """An update for each item of the data."""

    def train(iterations: int) -> None:
        for _ in range(iterations):
            update(*next(data))

    return train


def draw(recipe: Recipe, rng: np.random.Generator) -> Batch:
    """A block of training data: inputs (N, B, T, 2), lengths and targets (N, B)."""
    n, size = recipe.block, recipe.batch_size
    flat = recipe.task.sample(n * size, rng)
    return Batch(*(array.reshape(n, size, *array.shape[1:]) for array in flat))


def batches(recipe: Recipe, seed: int = 0) -> list[Batch]:
    """A block's batches: inputs (B, T, 2), lengths and targets (B,)."""
    block = draw(recipe, recipe.streams(seed).training)
    return [Batch(*arrays) for arrays in zip(*block, strict=True)]


def sequences(recipe: OnlineRecipe, seed: int = 0) -> list[tuple[np.ndarray, np.float32]]:
    """A block's sequences: inputs (L, 2) and target, float32."""
    drawn = zip(*recipe.training_data(seed, 0), strict=True)
    return [(inputs[:length].copy(), target) for inputs, length, target in drawn]
