"""The sequences of the study `register`: their marks are known, and pairs of them share the marks.

A network sees two marks one after the other and cannot tell which of them was drawn first: by the
paper's rules the second may precede the first. So beside x1 and x2, the values at the first and the
second mark, there are the *earlier* and the *later* in time. Where a mark is hidden on the first
pair its value counts as 1; such sequences are kept apart here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from longlag.tasks.marked_pairs import MarkedPairs

APART = 4  # steps between the marks of a pair of sequences, at least
SHORTEST = 20  # T from which there are enough steps after the marks

# Where states are looked at, in a sequence's own time: steps relative to the earlier and the later
# mark, half-way between them, half-way from the later mark to the end, and the last step.
POINTS = (
    *("earlier −1", "earlier", "earlier +1", "between", "later −1"),
    *("later", "later +1", "later +2", "later +4", "after", "end"),
)
EARLIER, BETWEEN, LATER, AFTER, END = (
    POINTS.index(name) for name in ("earlier", "between", "later", "after", "end")
)


class Marked(NamedTuple):
    """B sequences: inputs (B, T, 2) float32, lengths (B,), and the marks' positions (B,) each."""

    inputs: np.ndarray
    lengths: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def earlier(self) -> np.ndarray:
        return np.minimum(self.first, self.second)

    @property
    def later(self) -> np.ndarray:
        return np.maximum(self.first, self.second)

    def value(self, marks: np.ndarray) -> np.ndarray:
        """What the marked values count as, (B,) float64."""
        seen = self.inputs[np.arange(len(marks)), marks, 0].astype(np.float64)
        return np.where(marks > 0, seen, 1.0)

    @property
    def product(self) -> np.ndarray:
        """The targets, (B,) float64."""
        return self.value(self.first) * self.value(self.second)

    def points(self) -> np.ndarray:
        """The step of each of POINTS, (points, B)."""
        e, l, last = self.earlier, self.later, self.lengths - 1  # noqa: E741
        steps = (
            e - 1,
            e,
            e + 1,
            (e + l) // 2,
            l - 1,
            l,
            l + 1,
            l + 2,
            l + 4,
            (l + last) // 2,
            last,
        )
        return np.array(steps)


def draw(
    task: MarkedPairs, n: int, rng: np.random.Generator, *, apart: int = 1, hidden: bool = False
) -> Marked:
    """n sequences of the task whose marks are `apart` steps or more apart.

    hidden: those with a mark hidden on the first pair, or those without.
    """
    found = []
    while len(found) < n:
        one = task.sequence(rng)
        if (0 in one.marks) == hidden and abs(one.marks[0] - one.marks[1]) >= apart:
            found.append(one)
    inputs = np.zeros((n, task.max_length, 2), dtype=np.float32)
    for row, one in zip(inputs, found, strict=True):
        row[: len(one.inputs)] = one.inputs
    lengths = np.array([len(one.inputs) for one in found])
    first, second = np.array([one.marks for one in found]).T
    return Marked(inputs, lengths, first, second)


def fresh_values(marked: Marked, rng: np.random.Generator) -> Marked:
    """Sequences of the same lengths and marks, with new values."""
    inputs = marked.inputs.copy()
    live = np.arange(inputs.shape[1]) < marked.lengths[:, None]
    inputs[:, :, 0] = np.where(live, rng.random(live.shape, dtype=np.float32), 0)
    return marked._replace(inputs=inputs)


def with_values(marked: Marked, earlier: np.ndarray, later: np.ndarray) -> Marked:
    """The sequences with these values (B,) at their earlier and later marks."""
    inputs, rows = marked.inputs.copy(), np.arange(len(marked.lengths))
    inputs[rows, marked.earlier, 0] = earlier
    inputs[rows, marked.later, 0] = later
    return marked._replace(inputs=inputs)
