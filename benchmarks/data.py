"""What the contestants share: the data, drawn beforehand, and a training of single updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from longlag.learning.recipe import Recipe
from longlag.networks.lstm import ForgetGateLSTM
from longlag.tasks.task import Batch

Train = Callable[[int], None]
"""Trains for so many iterations, and returns when they are done."""


def each(update: Callable[..., Any], data: Iterator[tuple[Any, ...]]) -> Train:
    """An update for each item of the data."""

    def train(iterations: int) -> None:
        for _ in range(iterations):
            update(*next(data))

    return train


def hidden_of(recipe: Recipe) -> int:
    """H, where the network has forget gates."""
    assert isinstance(recipe.network, ForgetGateLSTM)
    return recipe.network.hidden


def batches(recipe: Recipe, seed: int = 0) -> list[Batch]:
    """A block's batches: inputs (B, T, D) or symbols (B, T), lengths (B,), targets (B, K)."""
    block = recipe.learner(seed).draw(0, 0).each(np.asarray)
    return [Batch(*arrays) for arrays in zip(*block, strict=True)]


def sequences(recipe: Recipe, seed: int = 0) -> list[tuple[np.ndarray, np.float32]]:
    """A block's sequences: inputs (L, 2) and target, float32."""
    learner = recipe.learner(seed)
    drawn = zip(*learner.draw(0, learner.block).each(np.asarray), strict=True)
    return [(inputs[:length].copy(), target) for inputs, length, target in drawn]
