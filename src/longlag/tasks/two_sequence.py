"""The two-sequence problem: of which of two classes is a sequence, by its first elements?

Experiments 3a, 3b and 3c of Hochreiter & Schmidhuber 1997 (section 5.3, tables 4 to 6), after
Bengio, Simard & Frasconi 1994. A sequence has length L, uniform in {T, ..., 1.1 T}, and one real
input. It is of class 1 or 2, each with probability 1/2. Its first N elements are 1.0 in class 1
and -1.0 in class 2; all others are Gaussian, of mean 0 and variance 0.2. The network answers
at the last step.

    a   the target is 1.0 in class 1 and 0.0 in class 2
    b   the same, and Gaussian noise (mean 0, variance 0.2) is added to the first N elements, too
    c   as a, but the targets are 0.2 in class 1 and 0.8 in class 2, and Gaussian noise (mean 0,
        variance 0.1, standard deviation 0.32) is added to them

An answer is right where its error is at most 0.2; in c at most 0.1, compared with the target
without noise, which is the batch's `truth`.

Here T is min_length, N is `first_elements`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.task import Batch, Drawing, Role, Task

Variant = Literal["a", "b", "c"]
DEVIATION = 0.2**0.5  # of the elements' noise
TARGET_DEVIATION = 0.1**0.5  # of the noise on targets in c
TARGETS = {"a": (1.0, 0.0), "b": (1.0, 0.0), "c": (0.2, 0.8)}  # of classes 1 and 2


class Sequence(NamedTuple):
    """One sequence: inputs (L, 1), its target, that without noise (truth), and its class."""

    inputs: np.ndarray
    target: float
    truth: float
    kind: int


@dataclass(frozen=True)
class TwoSequence(Task):
    """The task and its rules; see the module's docstring.

    Args:
        variant: `a`, `b` or `c`.
        first_elements: N, below min_length.
        min_length, max_length: sequence lengths in steps.

    Raises:
        ValueError: a setting out of range.
    """

    inputs: ClassVar[int] = 1
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, Experiment 3"

    variant: Variant = setting(
        "a",
        "variant of Experiment 3: a; b, whose first elements are noisy, too; c, with noisy targets",
    )
    first_elements: int = setting(
        3, "number of first elements, which tell the class", 1, checks.LARGEST - 1
    )

    @property
    def name(self) -> str:
        return "two-sequence"

    @property
    def shortest(self) -> int:
        return self.first_elements + 1

    @property
    def room(self) -> str:
        return f"for {self.first_elements} elements that tell the class and one that does not"

    @property
    def tolerance(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 0.1 if self.variant == "c" else 0.2

    @property
    def minimal_lag(self) -> int:
        """Least number of steps from the last element that tells the class to the end."""
        return self.min_length - self.first_elements

    @property
    def mean_target(self) -> float:
        return 0.5

    @property
    def chance_mse(self) -> float:
        """(1/2)², and 0.3² in c: what counts is the target without noise."""
        one, other = TARGETS[self.variant]
        return ((one - other) / 2) ** 2

    @property
    def chance_correct(self) -> float:
        return 1 / 2

    def wanted(self, batch: Batch) -> np.ndarray:
        """The targets without noise."""
        return batch.targets if batch.truth is None else batch.truth

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence.

        Random numbers are used in this order: the length (where not given), the class, a normal
        number for each element, one for the target.

        Raises:
            ValueError: a length below min_length.
        """
        checks.generator("rng", rng)
        length = self._length(rng, length)
        kind = 1 + int(rng.integers(2))
        elements, first = DEVIATION * rng.standard_normal(length), slice(self.first_elements)
        if self.variant != "b":
            elements[first] = 0
        elements[first] += 1.0 if kind == 1 else -1.0
        target = truth = TARGETS[self.variant][kind - 1]
        if self.variant == "c":
            target += TARGET_DEVIATION * float(rng.standard_normal())
        return Sequence(elements[:, None], target, truth, kind)

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences of their own lengths in a few vectorised calls.

        Random numbers are used in this order: n lengths, n classes, n * max_length normal
        numbers, n for the targets in c.

        Returns:
            Batch with T = max_length: inputs (n, T, 1), lengths, targets and, in c, truth (n,).
        """
        (batch,) = self._drawn(n, rng, n)
        if self.variant != "c":
            return batch
        targets = batch.targets + TARGET_DEVIATION * rng.standard_normal(n)
        return Batch(batch.inputs, batch.lengths, targets.astype(np.float32), batch.targets)

    def in_pieces(self, n: int, rng: np.random.Generator, most: int) -> Iterator[Batch]:
        """The sequences of `sample`; normal numbers are drawn with their piece, in c at once."""
        if self.variant == "c":
            return super().in_pieces(n, rng, most)
        return self._drawn(n, rng, most)

    def _drawn(self, n: int, rng: np.random.Generator, most: int) -> Iterator[Batch]:
        """Sequences with targets without noise, at most so many at a time."""
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        every_length = rng.integers(self.min_length, self.max_length + 1, size=n)
        every_kind = rng.integers(2, size=n)
        first, targets = slice(self.first_elements), np.array(TARGETS[self.variant], np.float32)
        for start in range(0, n, most):
            lengths, kinds = (a[start : start + most] for a in (every_length, every_kind))
            elements = rng.standard_normal((len(lengths), self.max_length), dtype=np.float32)
            elements *= np.float32(DEVIATION)
            if self.variant != "b":
                elements[:, first] = 0
            elements[:, first] += np.where(kinds == 0, 1, -1)[:, None]
            elements[np.arange(self.max_length) >= lengths[:, None]] = 0
            yield Batch(elements[..., None], lengths, targets[kinds])

    @property
    def what(self) -> str:
        return "class"

    @property
    def asks(self) -> str:
        return "the class that the first elements tell"

    @property
    def rules_name(self) -> str:
        return f"3{self.variant}"

    def explain(self, sequence: Sequence) -> str:
        """'class 1: 1'."""
        noise = f", with noise {sequence.target:.3f}" if self.variant == "c" else ""
        return f"class {sequence.kind}: {sequence.truth:g}{noise}"

    def drawing(self, sequence: Sequence) -> Drawing:
        """Elements as bars."""
        legend: dict[Role, str] = {"plain": "noise", "mark": "tells the class"}
        values, most = sequence.inputs[:, 0], max(2.0, float(np.abs(sequence.inputs).max()))
        roles: dict[Role, list[int]] = {"mark": list(range(self.first_elements))}
        return Drawing(values, roles, {}, -most, most, legend, "elements")
