"""The sequences that figures show, and what a network answers to them.

They come from random streams of their own, derived from the run's seed and apart from those of
training, tests and `evaluate`; which of them are shown never depends on the network's answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Seq
from typing import Any

import numpy as np

from longlag.learning import streams
from longlag.learning.recipe import Recipe
from longlag.learning.training import Run
from longlag.tasks.task import Batch, Sequence, Task, most_active

STREAMS = {"sequences": 0, "example": 1, "scatter": 2, "bars": 3}
LONGEST = 4  # sequences shown are at most so many times as long as those of the training
FORWARD_VALUES = 2**23  # at most so many gates and states are held at once


def stream(run: Run, name: str) -> np.random.Generator:
    """The random stream of one kind of picture, by a name in STREAMS."""
    return streams.stream(run.seed, streams.FIGURES, STREAMS[name])


def shown_task(recipe: Recipe, length: int | None = None) -> Task:
    """The task on which runs of `recipe` are tested, at `length` steps where given."""
    task = recipe.task.tested
    return task if length is None else task.at_length(length)


def five_sequences(run: Run) -> list[Sequence]:
    """The first five of their stream; where there are special ones, the last is the first such."""
    task, rng = shown_task(run.recipe), stream(run, "sequences")
    if task.special_share == 0:
        return [task.sequence(rng) for _ in range(5)]
    plain: list[Sequence] = []
    special: list[Sequence] = []
    while len(plain) < 4 or not special:
        sequence = task.sequence(rng)
        (special if task.is_special(sequence) else plain).append(sequence)
    return [*plain[:4], special[0]]


def one_sequence(run: Run, length: int | None = None) -> Sequence:
    """The first sequence of its stream that is a good example of the task."""
    task, rng = shown_task(run.recipe, length), stream(run, "example")
    while True:
        sequence = task.sequence(rng)
        if task.is_telling(sequence):
            return sequence


def spread_sequences(run: Run, n: int, length: int | None = None) -> list[Sequence]:
    """n sequences whose targets spread evenly over those of 64 that were drawn."""
    task, rng = shown_task(run.recipe, length), stream(run, "bars")
    drawn = sorted((task.sequence(rng) for _ in range(64)), key=lambda s: tuple(np.ravel(s.target)))
    return [drawn[round(k)] for k in np.linspace(6, 59, n)]


def answers(network: Any, task: Task, sequences: Seq[Sequence]) -> np.ndarray:
    """The network's answers, in the shape of the targets, float64; not finite where the weights
    are not."""
    steps = max(len(s.inputs) for s in sequences)
    chunk = max(1, FORWARD_VALUES // (steps * sum(w.size for w in network.parameters)))
    given = []
    for start in range(0, len(sequences), chunk):
        part = task.batch(sequences[start : start + chunk])
        with np.errstate(all="ignore"):  # a network that diverged is shown, not refused
            given.append(network.predict(part.inputs, part.lengths))
    return np.concatenate(given).astype(np.float64)


def memory(states: Mapping[str, Any]) -> Any:
    """What a network carries along: what it says of its cell states, or of its hidden ones where
    it has no cells; None where it shows neither."""
    return states.get("cell", states.get("hidden"))


def own(task: Task, sequence: Sequence, answer: np.ndarray) -> np.ndarray:
    """A sequence's answer without those to the padding behind it."""
    return answer[: len(sequence.inputs)] if task.answered == "every" else answer


def telling(task: Task, sequences: Seq[Sequence], values: Seq[np.ndarray]) -> np.ndarray:
    """Answers or targets, one a sequence: where every step has one, that which tells most."""
    if task.answered == "last":
        return np.stack([np.asarray(value) for value in values])
    steps = (len(one.inputs) - 1 - task.telling_step for one in sequences)
    return np.stack([value[step] for value, step in zip(values, steps, strict=True)])


def right_steps(batch: Batch, given: np.ndarray) -> np.ndarray:
    """At which steps the most active outputs are right, (B, T), where every one is answered."""
    right = batch.targets > 0.5 if batch.truth is None else batch.truth
    return most_active(given, right)


def marked(targets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One number a sequence, (n,): of several outputs, that of the one whose target is largest."""
    if targets.ndim == 1:
        return values
    return values[np.arange(len(targets)), targets.argmax(axis=1)]


def states(network: Any, sequence: Sequence) -> dict[str, np.ndarray]:
    """The network's states on one sequence, each (T, ·), float64."""
    with np.errstate(all="ignore"):
        named = network.states(sequence.inputs[None])
    return {name: array[0].astype(np.float64) for name, array in named.items()}
