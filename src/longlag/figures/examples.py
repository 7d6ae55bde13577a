"""The sequences that figures show, and what a network answers to them.

They come from random streams of their own, derived from the run's seed and apart from those of
training, tests and `evaluate`; which of them are shown never depends on the network's answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from longlag.learning.recipe import Recipe
from longlag.learning.training import Run
from longlag.networks.lstm1997 import LSTM1997
from longlag.tasks.marked_pairs import MarkedPairs, Sequence

FIGURE_STREAM = 5  # spawn key; training has 0, 1, 2 and `evaluate` has 4
STREAMS = {"sequences": 0, "example": 1, "scatter": 2, "bars": 3}
LONGEST = 4  # sequences shown are at most so many times as long as those of the training
FORWARD_VALUES = 2**23  # at most so many gates and states are held at once


def stream(run: Run, name: str) -> np.random.Generator:
    """The random stream of one kind of picture, by a name in STREAMS."""
    key = (FIGURE_STREAM, STREAMS[name])
    return np.random.default_rng(np.random.SeedSequence(run.seed, spawn_key=key))


def shown_task(recipe: Recipe, length: int | None = None) -> MarkedPairs:
    """The task on which runs of `recipe` are tested, at `length` steps where given."""
    task = recipe.task.tested
    return task if length is None else task.at_length(length)


def is_hidden(sequence: Sequence) -> bool:
    """Whether one of the marks fell on the first pair, where the network cannot see it."""
    return 0 in sequence.marks


def five_sequences(run: Run) -> list[Sequence]:
    """The first five of their stream; where marks can hide, the last is the first that has one."""
    task, rng = shown_task(run.recipe), stream(run, "sequences")
    if task.hidden_share == 0:
        return [task.sequence(rng) for _ in range(5)]
    plain: list[Sequence] = []
    hidden: list[Sequence] = []
    while len(plain) < 4 or not hidden:
        sequence = task.sequence(rng)
        (hidden if is_hidden(sequence) else plain).append(sequence)
    return [*plain[:4], hidden[0]]


def one_sequence(run: Run, length: int | None = None) -> Sequence:
    """The first of its stream whose marks are both visible and a tenth of its length apart."""
    task, rng = shown_task(run.recipe, length), stream(run, "example")
    while True:
        sequence = task.sequence(rng)
        first, second = sequence.marks
        apart = max(2, len(sequence.inputs) // 10)
        if not is_hidden(sequence) and abs(first - second) >= min(apart, 8):
            return sequence


def spread_sequences(run: Run, n: int, length: int | None = None) -> list[Sequence]:
    """n sequences whose targets spread evenly over those of 64 that were drawn."""
    task, rng = shown_task(run.recipe, length), stream(run, "bars")
    drawn = sorted((task.sequence(rng) for _ in range(64)), key=lambda s: s.target)
    return [drawn[round(k)] for k in np.linspace(6, 59, n)]


def answers(network: Any, sequences: list[Sequence]) -> np.ndarray:
    """The network's answers (n,), float64; not finite where the weights are not."""
    lengths = np.array([len(s.inputs) for s in sequences])
    longest = int(lengths.max())
    cells = network.cells if isinstance(network, LSTM1997) else network.hidden
    chunk = max(1, FORWARD_VALUES // (longest * 6 * cells))
    given = []
    for start in range(0, len(sequences), chunk):
        part = slice(start, start + chunk)
        inputs = np.zeros((len(lengths[part]), longest, 2))
        for row, sequence in zip(inputs, sequences[part], strict=True):
            row[: len(sequence.inputs)] = sequence.inputs
        with np.errstate(all="ignore"):  # a network that diverged is shown, not refused
            given.append(network.predict(inputs, lengths[part]))
    return np.concatenate(given).astype(np.float64)


def states(network: Any, sequence: Sequence) -> dict[str, np.ndarray]:
    """The network's states on one sequence, each (T, ·), float64."""
    with np.errstate(all="ignore"):
        named = network.states(sequence.inputs[None])
    return {name: array[0].astype(np.float64) for name, array in named.items()}


def formula(task: MarkedPairs, sequence: Sequence) -> str:
    """How the target comes about: '0.733 × 0.508 = 0.372'.

    Values have three decimals, or as many more as it takes for the result of what is printed to
    be the result that is printed.
    """
    marks = sorted(sequence.marks)
    product, result = task.name == "multiplication", f"{sequence.target:.3f}"
    x1, x2 = (float(sequence.inputs[p, 0]) if p else float(product) for p in marks)

    def comes_out(digits: int) -> bool:
        a, b = round(x1, digits), round(x2, digits)
        return f"{a * b if product else 0.5 + (a + b) / 4:.3f}" == result

    digits = next(filter(comes_out, range(3, 16)), 16)
    first = f"{x1:.0f} (hidden)" if marks[0] == 0 else f"{x1:.{digits}f}".replace("-", "−")
    if product:
        return f"{first} × {x2:.{digits}f} = {result}"
    return f"½ + ({first} {'−' if x2 < 0 else '+'} {abs(x2):.{digits}f}) / 4 = {result}"
