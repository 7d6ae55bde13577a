"""Noise-free long time lag: which of two symbols came first, p steps ago?

Experiments 2a and 2b of Hochreiter & Schmidhuber 1997 (section 5.2). There are p + 1 symbols,
a1, ..., a(p-1), x and y. A sequence is one of

    y, a1, a2, ..., a(p-1), y          x, a1, a2, ..., a(p-1), x

each with probability 1/2, or in Experiment 2b, `middle="random"`, one in which the p - 1 symbols
between are drawn from a1, ..., a(p-1), so that there is no local regularity. At every step but the
last the network sees a symbol and predicts the next one; of the p + 1 outputs that of the next
symbol has the target 1 and the others 0. `lag` is p, and is the number of steps.

In 2b the symbols between cannot be told. The paper leaves open whether their errors are learned
from, too: `counts="every"`, or the last answer alone counts, `counts="recall"`.

An answer is right where no output's error is above 0.25: at every step in 2a; in 2b, and with
`counts="recall"`, at the last (a reading of the paper, which has 0.25 for both).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.recalled import COUNTS, Counts, RecallCounts, Sequence
from longlag.tasks.task import LAG, Answered, Batch, Drawing, LagSteps, Role, last_steps, one_hot

Middle = Literal["regular", "random"]
LONGEST = 10_000


@dataclass(frozen=True)
class LongLag(RecallCounts, LagSteps):
    """The task and its rules; see the module's docstring. Symbols are a1 ... a(p-1), x, y.

    Args:
        lag: p, 2 at least.
        middle: whether the symbols between are `regular` (2a) or `random` (2b).
        counts: whether answers count at `every` step, or at the last alone (`recall`).

    Raises:
        ValueError: a setting out of range.
    """

    symbols: ClassVar[bool] = True
    answered: ClassVar[Answered] = "every"
    longest: ClassVar[int] = LONGEST
    tolerance: ClassVar[float] = 0.25
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, Experiments 2a and 2b"

    lag: int = setting(100, LAG, 2, LONGEST)
    middle: Middle = setting(
        "regular", "whether the symbols between are always the same ones, or random"
    )
    counts: Counts = setting("every", COUNTS)

    @property
    def name(self) -> str:
        return "long-lag"

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.lag + 1

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.lag + 1

    @property
    def mean_target(self) -> np.ndarray:
        """1/p for a1 ... a(p-1), on average over the steps, and 1/(2p) for x, y; or 0 and 1/2."""
        p = self.lag
        if self.counts == "recall":
            return np.append(np.zeros(p - 1), [0.5, 0.5])
        return np.append(np.full(p - 1, 1 / p), [1 / (2 * p)] * 2)

    @property
    def chance_correct(self) -> float:
        """One answer at all steps is right at the last in 1/2, and at two steps never."""
        return 0.5 if self._judged_last else 0.0

    @property
    def _judged_last(self) -> bool:
        return self.middle == "random" or self.counts == "recall"

    def judged(self, batch: Batch) -> np.ndarray:
        return last_steps(batch) if self._judged_last else super().judged(batch)

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence.

        Random numbers are used in this order: x or y, the symbols between where they are random.

        Raises:
            ValueError: another length than p.
        """
        checks.generator("rng", rng)
        self._check_length(length)
        p = self.lag
        first = p - 1 + int(rng.integers(2))  # x or y
        between = np.arange(p - 1)
        if self.middle == "random":
            between = rng.integers(p - 1, size=p - 1)
        whole = np.array([first, *between, first])
        counted = np.full(p, self.counts == "every")
        counted[-1] = True
        return Sequence(whole[:-1], one_hot(whole[1:], p + 1), counted)

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences in a few vectorised calls.

        Random numbers are used in this order: n times x or y, n (p - 1) symbols between where
        they are random.

        Returns:
            Batch: symbols (n, T), lengths (n,), targets (n, T, p + 1), and counted (n, T) where not
            all of the steps count.
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        p = self.lag
        whole = np.empty((n, p + 1), np.int64)
        whole[:, 0] = whole[:, -1] = p - 1 + rng.integers(2, size=n)
        whole[:, 1:-1] = np.arange(p - 1)
        if self.middle == "random":
            whole[:, 1:-1] = rng.integers(p - 1, size=(n, p - 1))
        inputs = np.ascontiguousarray(whole[:, :-1])
        made = Batch(inputs, np.full(n, p), one_hot(whole[:, 1:], p + 1))
        if self.masked:
            made.counted = last_steps(made)
        return made

    @property
    def what(self) -> str:
        return "next symbol"

    @property
    def asks(self) -> str:
        return "the next symbol, and at the end the first"

    @property
    def classes(self) -> tuple[str, ...]:
        return (*(f"a{k}" for k in range(1, self.lag)), "x", "y")

    def explain(self, sequence: Sequence) -> str:
        """'x, 99 symbols, x'."""
        first = self.classes[int(sequence.inputs[0])]
        return f"{first}, {len(sequence.inputs) - 1} symbols, {first}"

    def drawing(self, sequence: Sequence) -> Drawing:
        """Symbols between as bars of p - 1 heights; x or y by name."""
        values = (sequence.inputs + 1) / self.lag
        values[0] = 1.0
        legend: dict[Role, str] = {"plain": "a1, a2, ...", "mark": "x or y, which comes again"}
        letters = {0: self.classes[int(sequence.inputs[0])]}
        return Drawing(values, {"mark": [0]}, letters, 0, 1, legend, "symbols")
