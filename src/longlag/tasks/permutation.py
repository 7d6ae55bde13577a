"""Random permutation: the first of many random symbols comes again at the end.

Martens & Sutskever 2011, section 4, a variant of Experiment 2b of Hochreiter & Schmidhuber 1997;
Pascanu, Mikolov & Bengio 2013, section 4.2. There are 100 symbols. The first of a sequence is one
of the first two, each with probability 1/2; the T - 1 after it are drawn, with replacement in spite
of the name, from the 98 others; and at the end the first comes again. At every step the network
predicts the next symbol, at the last step the first one. With T = lag:

    step        1      2 ... T
    input       x      random
    target      random ...      x

These are the rules of both papers' public code. In Martens & Sutskever's the answers at all T steps
count for learning, in Pascanu's the last alone: `counts="recall"`. An answer is judged by the last
step: right is where the output of the first symbol is the most active one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.recalled import COUNTS, LONGEST, Counts, RecallCounts, Sequence
from longlag.tasks.task import (
    LAG,
    Answered,
    Batch,
    Drawing,
    LagSteps,
    Role,
    last_steps,
    most_active,
    one_hot,
)


@dataclass(frozen=True)
class Permutation(RecallCounts, LagSteps):
    """The task and its rules; see the module's docstring.

    Args:
        lag: T, 2 at least.
        counts: whether answers count at `every` step, or at the last alone (`recall`).
        alphabet: number of different symbols, 3 at least.

    Raises:
        ValueError: a setting out of range.
    """

    symbols: ClassVar[bool] = True
    answered: ClassVar[Answered] = "every"
    longest: ClassVar[int] = LONGEST
    source: ClassVar[str] = "Martens & Sutskever 2011; Pascanu, Mikolov & Bengio 2013"

    lag: int = setting(100, LAG, 2, LONGEST)
    counts: Counts = setting("every", COUNTS)
    alphabet: int = setting(100, "number of different symbols", 3, 10_000)

    @property
    def name(self) -> str:
        return "permutation"

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.alphabet

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.alphabet

    @property
    def mean_target(self) -> np.ndarray:
        """1/2 for each of the first two symbols at the last step, 1/98 for the others before."""
        last = 1.0 if self.counts == "recall" else 1 / self.lag
        others = self.alphabet - 2
        return np.array([last / 2] * 2 + [(1 - last) / others] * others)

    @property
    def chance_correct(self) -> float:
        return 1 / 2

    def judged(self, batch: Batch) -> np.ndarray:
        return last_steps(batch)

    def correct(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """Whether the first symbol is the most active output at the last step."""
        return most_active(answers[:, -1], batch.targets[:, -1] > 0.5)

    @property
    def wrong_means(self) -> str:
        return "another output most active"

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence: the first symbol, then the T - 1 others.

        Raises:
            ValueError: another length than T.
        """
        checks.generator("rng", rng)
        self._check_length(length)
        first = int(rng.integers(2))
        others = rng.integers(2, self.alphabet, size=self.lag - 1)
        counted = np.full(self.lag, self.counts == "every")
        counted[-1] = True
        inputs, asked = np.array([first, *others]), np.array([*others, first])
        return Sequence(inputs, one_hot(asked, self.alphabet), counted)

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences in a few vectorised calls: n first symbols, then n (T - 1) others.

        Returns:
            Batch: symbols (n, T), lengths (n,), targets (n, T, 100), and counted (n, T) where not
            all of the steps count.
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        T = self.lag
        inputs = np.empty((n, T), np.int64)
        inputs[:, 0] = rng.integers(2, size=n)
        inputs[:, 1:] = rng.integers(2, self.alphabet, size=(n, T - 1))
        asked = np.roll(inputs, -1, axis=1)
        made = Batch(inputs, np.full(n, T), one_hot(asked, self.alphabet))
        if self.masked:
            made.counted = last_steps(made)
        return made

    @property
    def what(self) -> str:
        return "first symbol"

    @property
    def asks(self) -> str:
        return "the next symbol, and at the end the first"

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map(str, range(1, self.alphabet + 1)))

    def explain(self, sequence: Sequence) -> str:
        """'2, 99 random symbols: 2'."""
        first = self.classes[int(sequence.inputs[0])]
        return f"{first}, {len(sequence.inputs) - 1} random symbols: {first}"

    def drawing(self, sequence: Sequence) -> Drawing:
        """Symbols as bars of as many heights; the first by its number."""
        values = (sequence.inputs + 1) / self.alphabet
        values[0] = 1.0
        legend: dict[Role, str] = {"plain": "random symbol", "mark": "1 or 2, asked for at the end"}
        letters = {0: self.classes[int(sequence.inputs[0])]}
        return Drawing(values, {"mark": [0]}, letters, 0, 1, legend, "symbols")
