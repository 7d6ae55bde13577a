"""What the copy problem and noiseless memorization have in common.

A pattern of n symbols, each one of A; then blanks, one of which is a signal instead; in the last
n steps the pattern is to be repeated, and in all steps before, blank is the answer. Symbols are
the A of the pattern, numbered from 0, blank (A) and signal (A + 1): A + 2 inputs; the signal is
never an answer: A + 1 outputs. `lag` steps lie between the pattern's end and where its repetition
begins, so that a sequence has lag + 2 n steps and each symbol is asked for lag + n steps after it
was seen.

An answer is right where, at every step that counts, the output of the right symbol is the most
active one.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.task import LAG, Answered, Batch, Drawing, OwnLengths, Role, most_active, one_hot

Counts = Literal["every", "recall"]
COUNTS = "which answers count: those at every step, or those of the recall alone"
LONGEST = 100_000  # lag


class Sequence(NamedTuple):
    """One sequence: symbols (L,), targets (L, K), and the steps that count, (L,) bool."""

    inputs: np.ndarray
    target: np.ndarray
    counted: np.ndarray


class RecallCounts:
    """What tasks have of which every answer counts, or those of the recall alone."""

    counts: Counts

    @property
    def masked(self) -> bool:
        return self.counts == "recall"

    @property
    @abstractmethod
    def mean_target(self) -> np.ndarray: ...

    @property
    def chance_mse(self) -> float:
        """Mean over the outputs of m (1 - m), m being the mean target."""
        m = self.mean_target
        return float(np.mean(m * (1 - m)))


@dataclass(frozen=True)
class Recalled(RecallCounts, OwnLengths):
    """A task of repeating a pattern; see the module's docstring.

    Args:
        lag: steps between the pattern and its repetition, 1 at least.
        counts: whether answers count at `every` step, or in the last n alone (`recall`).

    Raises:
        ValueError: a setting out of range.
    """

    symbols: ClassVar[bool] = True
    answered: ClassVar[Answered] = "every"

    lag: int = setting(100, LAG, 1, LONGEST)
    counts: Counts = setting("every", COUNTS)

    @property
    @abstractmethod
    def pattern(self) -> tuple[int, int]:
        """How many symbols are to be repeated, n, and of how many, A."""

    @property
    @abstractmethod
    def signal(self) -> int:
        """Position of the signal."""

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.pattern[1] + 2

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.pattern[1] + 1

    @property
    def steps(self) -> tuple[int, int]:
        steps = self.lag + 2 * self.pattern[0]
        return steps, steps

    @property
    def shortest(self) -> int:
        return 2 * self.pattern[0] + 1

    def at_length(self, length: int) -> Self:
        checks.whole("length", length, self.shortest, LONGEST + self.shortest - 1)
        return replace(self, lag=length - self.shortest + 1)

    @property
    def minimal_lag(self) -> int:
        """Steps from a symbol to where it is asked for."""
        return self.lag + self.pattern[0]

    # -- what is known in closed form ---------------------------------------------------------

    @property
    def mean_target(self) -> np.ndarray:
        """1/A for each symbol in the recall, and blank before."""
        n, A = self.pattern
        share = 1.0 if self.counts == "recall" else n / self.max_length
        return np.append(np.full(A, share / A), 1 - share)

    @property
    def chance_correct(self) -> float:
        """One symbol at all steps: A^-n in the recall; where blank must be told, too, never."""
        n, A = self.pattern
        return float(A) ** -n if self.counts == "recall" else 0.0

    # -- sequences ----------------------------------------------------------------------------

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence: n symbols of the pattern.

        Raises:
            ValueError: another length than the task's.
        """
        checks.generator("rng", rng)
        self._check_length(length)
        n, A = self.pattern
        pattern, blank, signal = rng.integers(A, size=n).tolist(), A, A + 1
        inputs = np.array(pattern + [blank] * (self.lag + n))
        inputs[self.signal] = signal
        asked = np.array([blank] * (n + self.lag) + pattern)
        counted = np.array([self.counts == "every"] * (n + self.lag) + [True] * n)
        return Sequence(inputs, one_hot(asked, A + 1), counted)

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences, all of their symbols at once.

        Returns:
            Batch: symbols (n, T), lengths (n,), targets (n, T, A + 1), and counted (n, T) where
            not all of the steps count.
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        (size, A), steps = self.pattern, self.max_length
        patterns = rng.integers(A, size=(n, size))
        inputs = np.full((n, steps), A)
        inputs[:, :size] = patterns
        inputs[:, self.signal] = A + 1
        asked = np.full((n, steps), A)
        asked[:, -size:] = patterns
        counted = None
        if self.masked:
            counted = np.zeros((n, steps), bool)
            counted[:, -size:] = True
        return Batch(inputs, np.full(n, steps), one_hot(asked, A + 1), counted=counted)

    # -- answers, words, pictures -------------------------------------------------------------

    def correct(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """Whether the right symbol is the most active output at every step that counts."""
        right = most_active(answers, batch.targets > 0.5)
        return np.all(right | ~self.judged(batch), axis=1)

    @property
    def wrong_means(self) -> str:
        return "another output most active"

    @property
    def what(self) -> str:
        return "pattern"

    @property
    def asks(self) -> str:
        return "the pattern again"

    @property
    def classes(self) -> tuple[str, ...]:
        return (*map(str, range(1, self.pattern[1] + 1)), "blank")

    def explain(self, sequence: Sequence) -> str:
        """'1 2 2 1 2, 100 steps, and again'."""
        first = sequence.inputs[: self.pattern[0]]
        return f"{' '.join(self.classes[s] for s in first)}, {self.lag} steps, and again"

    def drawing(self, sequence: Sequence) -> Drawing:
        """The pattern as bars of A heights, blanks as the lowest."""
        n, A = self.pattern
        values = np.where(sequence.inputs < A, (sequence.inputs + 2) / (A + 1), 1 / (A + 1))
        values[self.signal] = 1.0
        legend: dict[Role, str] = {"plain": "blank", "mark": "pattern", "end": "signal"}
        roles: dict[Role, list[int]] = {"mark": list(range(n)), "end": [self.signal]}
        letters = {p: self.classes[int(sequence.inputs[p])] for p in range(n)}
        return Drawing(values, roles, letters, 0, 1, legend, "symbols of a pattern, and blanks")
