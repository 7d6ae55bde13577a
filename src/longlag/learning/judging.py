"""How a network is scored on fresh sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np

from longlag import checks
from longlag.learning.stopping import LEAST_TESTED
from longlag.learning.streams import EVALUATION, stream
from longlag.tasks.score import Score, joined
from longlag.tasks.task import Batch, Task

Observer = Callable[[int], None]  # called with how many sequences are answered
Failed = Callable[[Score], bool]
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # inputs and lengths to answers

PIECE = 32  # sequences between two calls of `failed`, where a test shall end soon
PREDICTION_VALUES = 2**20  # about so many steps, or targets, are held at once while predicting
PARTS = 1024  # scores of chunks that are kept before they are joined
LANES = 16  # sequences that the widest kernel predicts in the time of one


def ignore(answered: int) -> None:
    """Observes nothing."""


def on_fresh(predict: Predict, task: Task, n: int, seed: int, observe: Observer = ignore) -> Score:
    """Scores answers to the n sequences that the task, n and the seed determine.

    Raises:
        ValueError: an n or a seed that is not allowed.
    """
    checks.whole("n", n, 1)
    return measure(predict, task, n, stream(seed, EVALUATION), observe=observe)


def measure(
    predict: Predict,
    task: Task,
    n: int,
    rng: np.random.Generator,
    in_order: bool = False,
    observe: Observer = ignore,
    failed: Failed | None = None,
    soon: bool = False,
) -> Score:
    """Scores answers to n fresh sequences, drawn and answered in chunks of bounded memory.

    in_order draws all of them first, one after another, of one common length (the catalogue's
    order). failed is called with the score so far, after every LEAST_TESTED sequences, or after
    every PIECE, if soon: where it is true, the test ends early.
    """
    chunk = n if in_order else max(LANES, PREDICTION_VALUES // task.most_values)
    if failed is not None and not in_order:
        chunk = min(chunk, LEAST_TESTED)
    draw = task.sample_in_order if in_order else task.draw
    sizes = (min(chunk, n - start) for start in range(0, n, chunk))
    if soon:
        drawn = chain.from_iterable(task.in_pieces(size, rng, PIECE) for size in sizes)
    else:
        drawn = (draw(size, rng) for size in sizes)
    return _together(predict, task, drawn, observe, failed)


def on_sets(predict: Predict, task: Task, sets: Sequence[Batch], failed: Failed) -> Score:
    """Scores answers to every sequence of some fixed sets, together; `failed` as of `measure`."""
    pieces = chain.from_iterable(batch.pieces(PIECE) for batch in sets)
    return _together(predict, task, pieces, ignore, failed)


def _together(
    predict: Predict,
    task: Task,
    batches: Iterable[Batch],
    observe: Observer,
    failed: Failed | None,
) -> Score:
    """Scores batches together, until `failed` is true of the score so far."""
    parts: list[Score] = []
    counts: list[int] = []
    answered = 0
    for batch in batches:
        parts.append(task.score(predict(batch.inputs, batch.lengths), batch))
        counts.append(task.target_count(batch))
        if len(parts) == PARTS:
            parts, counts = [joined(parts, counts)], [sum(counts)]
        answered += len(batch.lengths)
        observe(answered)
        if failed is not None and failed(joined(parts, counts)):
            break
    return joined(parts, counts)
