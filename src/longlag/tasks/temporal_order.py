"""Temporal order: in which order did two or three symbols come, far back?

Experiments 6a and 6b of Hochreiter & Schmidhuber 1997 (section 5.6). The symbols are E (begin), B
(trigger of the answer), a, b, c, d (distractors), X and Y. A sequence starts with E, ends with B,
and between them consists of distractors drawn at random, but for some elements that are X or Y,
each with probability 1/2: two in 6a, at positions t1 and t2, and three in 6b, at t1, t2 and t3.
Its length is drawn from {100, ..., 110}, and the positions from

    6a    t1 in {10, ..., 20}    t2 in {50, ..., 60}
    6b    t1 in {10, ..., 20}    t2 in {33, ..., 43}    t3 in {66, ..., 76}

At the last step the network tells the order: XX, XY, YX or YY in 6a, one of eight in 6b, one
output being 1 and the others 0. An answer is right where every output's error is at most 0.3.

At another minimal length T the positions keep their share of it (rounded down), and lengths are
in {T, ..., 1.1 T}. `ordered` is the number of symbols whose order is asked for, 2 or 3.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.task import Batch, Drawing, Role, Task

SYMBOLS = "EBabcdXY"
BEGIN, TRIGGER, DISTRACTORS, X = 0, 1, (2, 6), 6  # indices in SYMBOLS; Y follows X
# In hundredths of T, the first and the last position at which each of the symbols can be.
WINDOWS: dict[int, tuple[tuple[int, int], ...]] = {
    2: ((10, 20), (50, 60)),
    3: ((10, 20), (33, 43), (66, 76)),
}
COUNT = {2: "two", 3: "three"}


class Sequence(NamedTuple):
    """One sequence: symbols (L,), the target (4,) or (8,), and the positions."""

    inputs: np.ndarray
    target: np.ndarray
    marks: tuple[int, ...]


@dataclass(frozen=True)
class TemporalOrder(Task):
    """The task and its rules; see the module's docstring.

    Args:
        ordered: symbols whose order is asked for, 2 (6a) or 3 (6b).
        min_length, max_length: sequence lengths in steps; min_length is at least 10.

    Raises:
        ValueError: a setting out of range.
    """

    inputs: ClassVar[int] = len(SYMBOLS)
    symbols: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.3
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, Experiments 6a and 6b"

    ordered: int = setting(2, "symbols whose order is asked for: 2 or 3", 2, 3)

    @property
    def name(self) -> str:
        return "temporal-order"

    @property
    def shortest(self) -> int:
        return 10

    @property
    def room(self) -> str:
        return "to hold the symbols whose order is asked for"

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 2**self.ordered

    @property
    def windows(self) -> tuple[range, ...]:
        """Positions in which each of the symbols can fall."""
        T = self.min_length
        return tuple(range(T * a // 100, T * b // 100 + 1) for a, b in WINDOWS[self.ordered])

    @property
    def minimal_lag(self) -> int:
        """Least number of steps from the last of the symbols to the end of a sequence."""
        return self.min_length - 1 - self.windows[-1][-1]

    @property
    def mean_target(self) -> np.ndarray:
        return np.full(self.outputs, 1 / self.outputs)

    @property
    def chance_mse(self) -> float:
        """Variance of an output that is 1 with probability 1/K: 3/16 for 4 outputs."""
        return (1 - 1 / self.outputs) / self.outputs

    @property
    def chance_correct(self) -> float:
        return 1 / self.outputs

    @property
    def what(self) -> str:
        return "order"

    @property
    def asks(self) -> str:
        return "the order of X and Y"

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map("".join, itertools.product("XY", repeat=self.ordered)))

    def drawing(self, sequence: Sequence) -> Drawing:
        """Distractors as bars of four heights; X and Y by name."""
        inputs, (low, high) = sequence.inputs, DISTRACTORS
        values = np.where(inputs >= X, 1.0, (inputs - low + 1) / (high - low + 2))
        ends = [0, len(inputs) - 1]
        values[ends] = 1.0
        legend: dict[Role, str] = {
            "plain": "distractor (a, b, c, d)",
            "mark": "X or Y",
            "end": "begin, trigger",
        }
        roles: dict[Role, list[int]] = {"mark": list(sequence.marks), "end": ends}
        letters = {p: SYMBOLS[inputs[p]] for p in (*sequence.marks, *ends)}
        about = f"symbols, {COUNT[self.ordered]} of them X or Y"
        return Drawing(values, roles, letters, 0, 1, legend, about)

    def explain(self, sequence: Sequence) -> str:
        """'X at 13, Y at 55: XY'."""
        order = self.classes[int(np.argmax(sequence.target))]
        found = (f"{symbol} at {p}" for symbol, p in zip(order, sequence.marks, strict=True))
        return f"{', '.join(found)}: {order}"

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence.

        Random numbers are used in this order: the length (where not given), a distractor for every
        step between the first and the last, the positions, the symbols at them.

        Raises:
            ValueError: a length below min_length.
        """
        checks.generator("rng", rng)
        length = self._length(rng, length)
        inputs = np.empty(length, dtype=np.int64)
        inputs[0], inputs[-1] = BEGIN, TRIGGER
        inputs[1:-1] = rng.integers(*DISTRACTORS, size=length - 2)
        marks = tuple(int(rng.integers(w.start, w.stop)) for w in self.windows)
        kinds = rng.integers(2, size=self.ordered)
        inputs[list(marks)] = X + kinds
        return Sequence(inputs, np.eye(self.outputs)[self._order(kinds)], marks)

    def _order(self, kinds: np.ndarray) -> np.ndarray:
        """Which of the orders it is: X is 0 and Y 1, read as a binary number; (..., 2 or 3)."""
        return kinds @ (2 ** np.arange(self.ordered)[::-1])

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences of their own lengths in a few vectorised calls.

        Random numbers are used in this order: n lengths, n * max_length distractors, n first
        positions, n second ones and so on, the symbols of the n sequences at them.

        Returns:
            Batch with T = max_length: symbols (n, T), lengths (n,), targets (n, K).
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        lengths = rng.integers(self.min_length, self.max_length + 1, size=n)
        inputs = rng.integers(*DISTRACTORS, size=(n, self.max_length))
        marks = [rng.integers(w.start, w.stop, size=n) for w in self.windows]
        kinds = rng.integers(2, size=(n, self.ordered))
        rows = np.arange(n)
        inputs[:, 0] = BEGIN
        for k, positions in enumerate(marks):
            inputs[rows, positions] = X + kinds[:, k]
        inputs[rows, lengths - 1] = TRIGGER
        inputs[np.arange(self.max_length) >= lengths[:, None]] = 0
        return Batch(inputs, lengths, np.eye(self.outputs, dtype=np.float32)[self._order(kinds)])
