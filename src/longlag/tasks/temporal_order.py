"""Temporal order: in which order did two symbols come, far back?

Experiment 6a of Hochreiter & Schmidhuber 1997 (section 5.6). The symbols are E (begin), B (trigger
of the answer), a, b, c, d (distractors), X and Y. A sequence starts with E, ends with B, and
between them consists of distractors drawn at random, but for two elements at positions t1 and t2
that are X or Y, each with probability 1/2. Its length is drawn from {100, ..., 110}, t1 from
{10, ..., 20} and t2 from {50, ..., 60}. At the last step the network tells the order, XX, XY, YX
or YY, one of four outputs being 1 and the others 0. An answer is right where every output's error
is at most 0.3.

At another minimal length T the positions keep their share of it: t1 lies in
{T/10, ..., T/5}, t2 in {T/2, ..., 3T/5}, and lengths in {T, ..., 1.1 T}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from longlag import checks
from longlag.tasks.task import Batch, Drawing, Role, Task

SYMBOLS = "EBabcdXY"
BEGIN, TRIGGER, DISTRACTORS, X = 0, 1, (2, 6), 6  # indices in SYMBOLS; Y follows X
ORDERS = ("XX", "XY", "YX", "YY")


class Sequence(NamedTuple):
    """One sequence: symbols (L,), the target (4,), and the two positions."""

    inputs: np.ndarray
    target: np.ndarray
    marks: tuple[int, int]


@dataclass(frozen=True)
class TemporalOrder(Task):
    """The task and its rules; see the module's docstring.

    Args:
        min_length, max_length: sequence lengths in steps; min_length is at least 10.

    Raises:
        ValueError: lengths out of range.
    """

    inputs: ClassVar[int] = len(SYMBOLS)
    outputs: ClassVar[int] = len(ORDERS)
    symbols: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.3
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, Experiment 6a"

    @property
    def name(self) -> str:
        return "temporal-order"

    @property
    def shortest(self) -> int:
        return 10

    @property
    def room(self) -> str:
        return "to hold two symbols whose order is asked for"

    @property
    def windows(self) -> tuple[range, range]:
        """Positions in which the first and the second symbol can fall."""
        T = self.min_length
        return range(T // 10, T // 5 + 1), range(T // 2, 3 * T // 5 + 1)

    @property
    def minimal_lag(self) -> int:
        """Least number of steps from the later symbol to the end of a sequence."""
        return self.min_length - 1 - self.windows[1][-1]

    @property
    def mean_target(self) -> np.ndarray:
        return np.full(4, 0.25)

    @property
    def chance_mse(self) -> float:
        """Variance of an output that is 1 with probability 1/4: 3/16."""
        return 3 / 16

    @property
    def what(self) -> str:
        return "order"

    @property
    def asks(self) -> str:
        return "the order of X and Y"

    @property
    def classes(self) -> tuple[str, ...]:
        return ORDERS

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
        return Drawing(values, roles, letters, 0, 1, legend, "symbols, two of them X or Y")

    def explain(self, sequence: Sequence) -> str:
        """'X at 13, Y at 55: XY'."""
        order = ORDERS[int(np.argmax(sequence.target))]
        (a, b), (p, q) = order, sequence.marks
        return f"{a} at {p}, {b} at {q}: {order}"

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence.

        Random numbers are used in this order: the length (where not given), a distractor for every
        step between the first and the last, the two positions, the two symbols.

        Raises:
            ValueError: a length below min_length.
        """
        checks.generator("rng", rng)
        if length is None:
            length = int(rng.integers(self.min_length, self.max_length + 1))
        length = checks.whole("length", length, self.min_length)
        inputs = np.empty(length, dtype=np.int64)
        inputs[0], inputs[-1] = BEGIN, TRIGGER
        inputs[1:-1] = rng.integers(*DISTRACTORS, size=length - 2)
        first, second = (int(rng.integers(w.start, w.stop)) for w in self.windows)
        a, b = rng.integers(2, size=2)
        inputs[first], inputs[second] = X + a, X + b
        return Sequence(inputs, np.eye(4)[2 * a + b], (first, second))

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences of their own lengths in a few vectorised calls.

        Random numbers are used in this order: n lengths, n * max_length distractors, n first
        positions, n second ones, n pairs of symbols.

        Returns:
            Batch with T = max_length: symbols (n, T), lengths (n,), targets (n, 4).
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        lengths = rng.integers(self.min_length, self.max_length + 1, size=n)
        inputs = rng.integers(*DISTRACTORS, size=(n, self.max_length))
        first, second = (rng.integers(w.start, w.stop, size=n) for w in self.windows)
        kinds = rng.integers(2, size=(n, 2))
        rows = np.arange(n)
        inputs[:, 0] = BEGIN
        inputs[rows, first], inputs[rows, second] = X + kinds[:, 0], X + kinds[:, 1]
        inputs[rows, lengths - 1] = TRIGGER
        inputs[np.arange(self.max_length) >= lengths[:, None]] = 0
        targets = np.eye(4, dtype=np.float32)[2 * kinds[:, 0] + kinds[:, 1]]
        return Batch(inputs, lengths, targets)
