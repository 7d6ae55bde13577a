"""Training from Python: `train`, with progress and a callback.

`longlag.learning.training` is what it consists of.
"""

from __future__ import annotations

from collections.abc import Callable

from longlag import checks
from longlag.learning.recipe import Recipe, as_recipe
from longlag.learning.training import Run, Training, begin, ignore
from longlag.progress import heard, of_training


def train(
    recipe: Recipe | str,
    seed: int = 0,
    *,
    engine: str = "auto",
    threads: int = 1,
    progress: bool = False,
    callback: Callable[[Training], None] = ignore,
) -> Run:
    """Trains to the end of the recipe.

    Args:
        recipe: from `longlag.recipe`, or the name of a registered one.
        seed: 0 .. 2**63 - 1, of all random numbers; recipe, engine and seed determine the run.
        engine: `auto`, `native` or `numpy`.
        threads: of the native kernel, at most; the bits do not depend on it.
        progress: show it on standard error, as the command does: a bar on a terminal or in a
            notebook, elsewhere a line now and then.
        callback: called after every step, a block of iterations that ends at a test at the
            latest, with the `longlag.learning.training.Training`: its `iteration`, `losses` and
            `tests`. It must not change it. What it raises ends the training.

    Raises:
        ValueError: a recipe, seed, engine or thread number that is not allowed, a `progress` that
            is no bool, a `callback` that cannot be called.
    """
    checks.function("callback", callback)
    training = begin(as_recipe(recipe), seed, engine=engine, threads=threads)
    with heard(progress, of_training) as observe:
        return training.to_end(observe, callback)
