"""Exclusive or of two marked bits: do they differ?

Martens & Sutskever 2011, section 4 ("pathological" problems after Hochreiter & Schmidhuber 1997);
the marks' positions are those of the authors' public code. A sequence is a list of pairs (bit,
marker) of length L, uniform in {T, ..., 1.1 T}. The bits are 0 or 1, each with probability 1/2.
Two pairs are marked 1; the first pair and the last have the marker -1, and all others 0. At the
last step the network tells the exclusive or of the two marked bits, 1 where they differ and 0
where not. An answer is right where its error is below 1/2.

In that code T = 50, the first mark falls in {1, ..., 9} and the second in {15, ..., 24}; at
another T the positions keep their share of it (rounded down, the first mark never at 0). There
the marker -1 of the end stands some steps before the answer, and the longest length is not drawn;
here it stands at the last pair and the longest length is, as in the adding problem that the task is
a variant of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from longlag import checks
from longlag.tasks.task import Batch, Drawing, Role, Task


class Sequence(NamedTuple):
    """One sequence: inputs (L, 2) float64, target, and the two marked positions."""

    inputs: np.ndarray
    target: float
    marks: tuple[int, int]


@dataclass(frozen=True)
class ExclusiveOr(Task):
    """The task and its rules; see the module's docstring.

    Args:
        min_length, max_length: sequence lengths in steps; min_length is at least 10.

    Raises:
        ValueError: lengths out of range.
    """

    inputs: ClassVar[int] = 2
    tolerance: ClassVar[float] = 0.5
    source: ClassVar[str] = "Martens & Sutskever 2011"

    @property
    def name(self) -> str:
        return "xor"

    @property
    def shortest(self) -> int:
        return 10

    @property
    def room(self) -> str:
        return "to hold two marks"

    @property
    def mark_windows(self) -> tuple[range, range]:
        """Positions in which the first and the second mark can fall."""
        T = self.min_length
        return range(max(1, T // 50), T // 5), range(3 * T // 10, T // 2)

    @property
    def minimal_lag(self) -> int:
        """Least number of steps from the second mark to the end of a sequence."""
        return self.min_length - 1 - self.mark_windows[1][-1]

    @property
    def mean_target(self) -> float:
        return 0.5

    @property
    def chance_mse(self) -> float:
        """Variance of a target that is 1 with probability 1/2."""
        return 1 / 4

    @property
    def chance_correct(self) -> float:
        return 1 / 2

    def correct(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """Whether the error is below 1/2: an answer of 1/2 is wrong."""
        return self._errors(answers, batch) < self.tolerance

    @property
    def wrong_means(self) -> str:
        return f"error at least {self.tolerance:g}"

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence.

        Random numbers are used in this order: the length (where not given), a bit a step, the
        first mark, the second mark.

        Raises:
            ValueError: a length below min_length.
        """
        checks.generator("rng", rng)
        length = self._length(rng, length)
        bits, markers = rng.integers(2, size=length), np.zeros(length)
        first, second = (int(rng.integers(w.start, w.stop)) for w in self.mark_windows)
        markers[[first, second]] = 1
        markers[[0, -1]] = -1
        inputs = np.stack([bits, markers], axis=-1)
        return Sequence(inputs, float(bits[first] ^ bits[second]), (first, second))

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences of their own lengths in a few vectorised calls.

        Random numbers are used in this order: n lengths, n * max_length bits, n first marks, n
        second marks.

        Returns:
            Batch with T = max_length: inputs (n, T, 2), lengths (n,), targets (n,).
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        lengths = rng.integers(self.min_length, self.max_length + 1, size=n)
        bits = rng.integers(2, size=(n, self.max_length))
        first, second = (rng.integers(w.start, w.stop, size=n) for w in self.mark_windows)
        rows, inputs = np.arange(n), np.zeros((n, self.max_length, 2), np.float32)
        inputs[..., 0] = bits * (np.arange(self.max_length) < lengths[:, None])
        inputs[rows, first, 1] = inputs[rows, second, 1] = 1
        inputs[:, 0, 1] = inputs[rows, lengths - 1, 1] = -1
        targets = bits[rows, first] ^ bits[rows, second]
        return Batch(inputs, lengths, targets.astype(np.float32))

    @property
    def what(self) -> str:
        return "exclusive or"

    @property
    def asks(self) -> str:
        return "whether the two marked bits differ"

    def explain(self, sequence: Sequence) -> str:
        """'1 and 0 differ: 1'."""
        a, b = (int(sequence.inputs[p, 0]) for p in sequence.marks)
        return f"{a} and {b} {'differ: 1' if sequence.target else 'do not differ: 0'}"

    def drawing(self, sequence: Sequence) -> Drawing:
        """Bits as bars, in the markers' colours; a 0 as a low one."""
        values = np.maximum(sequence.inputs[:, 0], 0.1)
        legend: dict[Role, str] = {
            "plain": "bit (marker 0)",
            "mark": "marked bit (+1)",
            "end": "sentinel (−1)",
        }
        roles: dict[Role, list[int]] = {
            "mark": list(sequence.marks),
            "end": [0, len(sequence.inputs) - 1],
        }
        letters = {p: str(int(sequence.inputs[p, 0])) for p in sequence.marks}
        return Drawing(values, roles, letters, 0, 1, legend, "bits, two of them marked")
