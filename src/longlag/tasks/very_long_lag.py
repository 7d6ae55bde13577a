"""Very long time lag among distractors: which of two symbols came at the beginning?

Experiment 2c of Hochreiter & Schmidhuber 1997 (section 5.2, table 3). The symbols are a1, ..., ap
(distractors), b (begin), e (trigger of the answer), x and y: p + 4 of them. A sequence is

    b, x or y (1/2 each), q + k distractors drawn at random, e, the same x or y

where k grows with probability 9/10 at each draw, P(k) = 1/10 (9/10)^k, 9 on average. The network
sees all but the last symbol, q + k + 3 steps, and at e, the last of them, it answers which comes:
one of two outputs is 1, the other 0. An answer is right where both errors are at most 0.2.

Here `lag` is q and `distractors` is p. So that arrays are finite, k is at most 200: larger ones,
one in 1.6 billion, count as 200.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.task import LAG, Batch, Drawing, OwnLengths, Role

STOPS = 1 / 10  # probability that k grows no more
MOST = 200  # k at most
KINDS = ("x", "y")


class Sequence(NamedTuple):
    """One sequence without its last symbol: symbols (L,), and the target (2,)."""

    inputs: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class VeryLongLag(OwnLengths):
    """The task and its rules; see the module's docstring. Symbols are a1 ... ap, b, e, x, y.

    Args:
        lag: q, 1 at least.
        distractors: p, 1 at least.

    Raises:
        ValueError: a setting out of range.
    """

    outputs: ClassVar[int] = 2
    symbols: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.2
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, Experiment 2c"

    lag: int = setting(100, LAG, 1, 10**6)
    distractors: int = setting(100, "number of different distractors", 1, 10**6)

    @property
    def name(self) -> str:
        return "very-long-lag"

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.distractors + 4

    @property
    def steps(self) -> tuple[int, int]:
        return self.lag + 3, self.lag + 3 + MOST

    @property
    def shortest(self) -> int:
        return 4

    @property
    def mean_length(self) -> float:
        """q + 3 and the mean of k, capped: 9 (1 - (9/10)^200)."""
        return self.lag + 3 + (1 / STOPS - 1) * (1 - (1 - STOPS) ** MOST)

    def at_length(self, length: int) -> Self:
        """The task with sequences of `length` steps at least, and `MOST` more at most."""
        return replace(self, lag=checks.whole("length", length, self.shortest) - 3)

    @property
    def minimal_lag(self) -> int:
        """Least number of steps from x or y to the trigger."""
        return self.lag + 1

    @property
    def mean_target(self) -> np.ndarray:
        return np.full(2, 0.5)

    @property
    def chance_mse(self) -> float:
        """Variance of an output that is 1 with probability 1/2."""
        return 1 / 4

    @property
    def chance_correct(self) -> float:
        return 1 / 2

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence.

        Random numbers are used in this order: x or y, k (where the length is not given), q + k
        distractors.

        Raises:
            ValueError: a length that sequences cannot have.
        """
        checks.generator("rng", rng)
        self._check_length(length)
        p, kind = self.distractors, int(rng.integers(2))
        k = min(int(rng.geometric(STOPS)) - 1, MOST) if length is None else length - self.lag - 3
        between = rng.integers(p, size=self.lag + k)
        begin, trigger, x = p, p + 1, p + 2
        return Sequence(np.array([begin, x + kind, *between, trigger]), np.eye(2)[kind])

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences in a few vectorised calls.

        Random numbers are used in this order: n times x or y, n times k, n (q + 200) distractors.

        Returns:
            Batch with T = q + 203: symbols (n, T), lengths (n,), targets (n, 2).
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        p, q, kinds = self.distractors, self.lag, rng.integers(2, size=n)
        lengths = q + 3 + np.minimum(rng.geometric(STOPS, size=n) - 1, MOST)
        inputs = np.empty((n, q + 3 + MOST), np.int64)
        inputs[:, 0], inputs[:, 1] = p, p + 2 + kinds
        inputs[:, 2:-1] = rng.integers(p, size=(n, q + MOST))
        inputs[np.arange(n), lengths - 1] = p + 1
        inputs[np.arange(q + 3 + MOST) >= lengths[:, None]] = 0
        return Batch(inputs, lengths, np.eye(2, dtype=np.float32)[kinds])

    @property
    def what(self) -> str:
        return "second symbol"

    @property
    def asks(self) -> str:
        return "whether x or y came second"

    @property
    def classes(self) -> tuple[str, ...]:
        return KINDS

    def explain(self, sequence: Sequence) -> str:
        """'b, x, 109 distractors, e: x'."""
        kind = KINDS[int(np.argmax(sequence.target))]
        return f"b, {kind}, {len(sequence.inputs) - 3} distractors, e: {kind}"

    def drawing(self, sequence: Sequence) -> Drawing:
        """Distractors as bars of p heights; b, e, x and y by name."""
        p, last = self.distractors, len(sequence.inputs) - 1
        values = np.where(sequence.inputs < p, (sequence.inputs + 1) / (p + 1), 1.0)
        legend: dict[Role, str] = {
            "plain": "distractor",
            "mark": "x or y",
            "end": "begin, trigger",
        }
        roles: dict[Role, list[int]] = {"mark": [1], "end": [0, last]}
        letters = {k: "bexy"[sequence.inputs[k] - p] for k in (0, 1, last)}
        return Drawing(values, roles, letters, 0, 1, legend, "symbols, one of them x or y")
