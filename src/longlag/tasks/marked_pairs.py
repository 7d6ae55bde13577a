"""The marked-pair task: what a network sees, and what it must answer.

A sequence is a list of pairs (value, marker). Two pairs are marked; at the last step the network
must answer the product of their values (Experiment 5 of Hochreiter & Schmidhuber 1997, section
5.5) or a scaled sum (Experiment 4, section 5.4). Two sets of rules say where the marks fall:

`paper`
    A sequence has length L, uniform in {min_length, ..., max_length}; T = min_length is the
    *minimal* length. The first mark falls among the first ten pairs, the second among the first
    T/2 - 1 pairs that are still unmarked, so it may come before the first. The first and last
    pair carry the marker -1. The value of a marked first pair counts as neutral (1 in the
    product, 0 in the sum), and its mark stays hidden: the marker remains -1. Whether it does is
    a reading of the paper; with `first_mark="shown"` the marker there is 1 instead.
`catalog`
    The rules of the recipe catalog: the first mark at position 1..9, the second at
    10..max(11, L//2) - 1, nothing hidden.

Dimension legend: `tasks/task.py`; here D = 2 (value, marker) and K = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, cast, get_args

import numpy as np

from longlag import checks
from longlag.settings import setting
from longlag.tasks.drawn import Drawn, new_streams
from longlag.tasks.task import Batch, Drawing, Role, Task

Kind = Literal["multiplication", "adding"]
Rules = Literal["paper", "catalog"]
FirstMark = Literal["hidden", "shown"]

FIRST_WINDOW = 10  # the first mark falls among the first ten pairs (section 5.4)
SHORTEST: dict[str, int] = {"paper": 11, "catalog": 12}  # so that no mark meets the last pair


class Published(NamedTuple):
    """A stopping point of Table 8, means of ten trials at T = 100.

    The column "MSE" can only be a root mean squared error (docs/table8.md); wrong is of 2560.
    """

    name: str
    rmse: float
    wrong: int
    sequences: int


TABLE8 = (
    Published("first stop", 0.0223, 139, 482_000),
    Published("second stop", 0.0139, 14, 1_273_000),
)


class Sequence(NamedTuple):
    """One sequence: inputs (L, 2) float64, target, and the two marked positions."""

    inputs: np.ndarray
    target: float
    marks: tuple[int, int]


@dataclass(frozen=True)
class MarkedPairs(Task):
    """The task and its rules; see the module's docstring.

    Args:
        kind: `multiplication` (values in [0, 1), target X1 X2) or `adding` (values in [-1, 1),
            target 0.5 + (X1 + X2)/4).
        rules: `paper` or `catalog`.
        min_length, max_length: sequence lengths in steps; min_length is at least 11 (paper) or
            12 (catalog).
        first_mark: whether a mark on the first pair, whose value counts as neutral, is `hidden`
            behind the marker -1 or `shown` as 1; the catalogue's rules never put one there.

    Raises:
        ValueError: a name that is not listed above, or lengths out of range.
    """

    inputs: ClassVar[int] = 2
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997"

    kind: Kind = "multiplication"
    rules: Rules = setting("paper", "where the marks fall")
    first_mark: FirstMark = setting(
        "hidden", "whether the network sees a mark on the first pair, which counts as 1 (adding: 0)"
    )

    def __post_init__(self) -> None:
        checks.one_of("task", self.kind, get_args(Kind))
        super().__post_init__()

    @property
    def name(self) -> str:
        return self.kind

    @property
    def rules_name(self) -> str:
        return self.rules

    @property
    def shortest(self) -> int:
        return SHORTEST.get(self.rules, 1)

    @property
    def room(self) -> str:
        return f"to hold two marks by the {self.rules} rules"

    @property
    def tested(self) -> MarkedPairs:
        """The catalogue tests at the longest length."""
        return self.at_length(self.max_length) if self.rules == "catalog" else self

    @property
    def what(self) -> str:
        return "product" if self.kind == "multiplication" else "sum"

    @property
    def asks(self) -> str:
        scaled = "" if self.kind == "multiplication" else "scaled "
        return f"the {scaled}{self.what} of the two marked values"

    @property
    def published(self) -> tuple[tuple[str, float, str], ...]:
        """Table 8."""
        if self.kind != "multiplication":
            return ()
        return tuple((f"{p.name} (T = 100)", p.rmse, f"{p.wrong} of 2560") for p in TABLE8)

    def explain(self, sequence: Sequence) -> str:
        """How the target comes about: '0.733 × 0.508 = 0.372'.

        Values have three decimals, or as many more as it takes for the result of what is printed
        to be the result that is printed.
        """
        marks = sorted(sequence.marks)
        product, result = self.kind == "multiplication", f"{sequence.target:.3f}"
        x1, x2 = (float(sequence.inputs[p, 0]) if p else float(product) for p in marks)

        def comes_out(digits: int) -> bool:
            a, b = round(x1, digits), round(x2, digits)
            return f"{a * b if product else 0.5 + (a + b) / 4:.3f}" == result

        digits = next(filter(comes_out, range(3, 16)), 16)
        why = "hidden" if self.first_mark == "hidden" else "first pair"
        first = f"{x1:.0f} ({why})" if marks[0] == 0 else f"{x1:.{digits}f}".replace("-", "−")
        if product:
            return f"{first} × {x2:.{digits}f} = {result}"
        return f"½ + ({first} {'−' if x2 < 0 else '+'} {abs(x2):.{digits}f}) / 4 = {result}"

    def drawing(self, sequence: Sequence) -> Drawing:
        """Values as bars, in the markers' colours."""
        legend: dict[Role, str] = {
            "plain": "value (marker 0)",
            "mark": "marked value (+1)",
            "end": "sentinel (−1)",
        }
        markers = sequence.inputs[:, 1]
        roles: dict[Role, list[int]] = {
            "mark": np.flatnonzero(markers > 0).tolist(),
            "end": np.flatnonzero(markers < 0).tolist(),
        }
        if self.is_special(sequence):
            neutral = 1 if self.kind == "multiplication" else 0
            roles["hidden"] = [0]
            legend["hidden"] = f"hidden mark: seen as a sentinel, counts as {neutral}"
        low = 0 if self.kind == "multiplication" else -1
        values, about = sequence.inputs[:, 0], "values, two of them marked"
        return Drawing(values, roles, {}, low, 1, legend, about)

    def is_special(self, sequence: Sequence) -> bool:
        """Whether one of the marks fell on the first pair, where the network cannot see it."""
        return self.first_mark == "hidden" and 0 in sequence.marks

    @property
    def special_share(self) -> float:
        return self.hidden_share if self.first_mark == "hidden" else 0.0

    def is_telling(self, sequence: Sequence) -> bool:
        """Whether the marks are both visible and a tenth of the length apart."""
        first, second = sequence.marks
        apart = max(2, len(sequence.inputs) // 10)
        return not self.is_special(sequence) and abs(first - second) >= min(apart, 8)

    # -- what is known in closed form ---------------------------------------------------------

    @property
    def hidden_share(self) -> float:
        """Probability that one of the two marks falls on the first pair, so that one counts."""
        if self.rules == "catalog":
            return 0.0
        # The first mark is there in 1/10; else the second, over T/2 - 1 unmarked pairs.
        first = 1 / FIRST_WINDOW
        return first + (1 - first) / self._second_window

    @property
    def mean_target(self) -> float:
        """The best constant answer: the target's mean."""
        if self.kind == "adding":
            return 0.5
        return self.hidden_share / 2 + (1 - self.hidden_share) / 4

    @property
    def chance_mse(self) -> float:
        """Mean squared error of the best constant answer: the target's variance.

        7/144 for the product when nothing is hidden; about 0.0592 by the paper's rules at T = 100.
        """
        hidden = self.hidden_share
        if self.kind == "adding":  # Var U[-1, 1] = 1/3 for each value that counts
            return (hidden / 3 + (1 - hidden) * 2 / 3) / 16
        return hidden / 3 + (1 - hidden) / 9 - self.mean_target**2

    @property
    def minimal_lag(self) -> int:
        """Least number of steps from the later mark to the end of a sequence."""
        if self.rules == "catalog":
            return self.min_length - max(11, self.min_length // 2)
        return self.min_length - 1 - max(FIRST_WINDOW - 1, self._second_window)

    @property
    def mark_windows(self) -> tuple[range, range]:
        """Positions in which the first and the second mark can fall, for the longest sequence."""
        if self.rules == "catalog":
            return range(1, FIRST_WINDOW), range(FIRST_WINDOW, max(11, self.max_length // 2))
        return range(FIRST_WINDOW), range(self._second_window + 1)

    @property
    def _second_window(self) -> int:
        """Number of unmarked pairs among which the paper's second mark is chosen."""
        return self.min_length // 2 - 1

    # -- one sequence: the definition ---------------------------------------------------------

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        """Draws one sequence; this is the definition that `sample` must agree with.

        Random numbers are used in this order: the length (where not given), one uniform a step,
        the first mark, the second mark.

        Args:
            rng: the source of random numbers.
            length: steps, at least min_length; drawn from {min_length, ..., max_length} where
                not given.

        Raises:
            ValueError: a length below min_length, or no generator.
        """
        checks.generator("rng", rng)
        length = self._length(rng, length)
        values = rng.uniform(0.0, 1.0, size=length)
        if self.kind == "adding":
            values = 2 * values - 1
        first, second = self._draw_marks(rng, length)

        inputs = np.zeros((length, 2))
        inputs[:, 0] = values
        markers = inputs[:, 1]
        markers[0] = markers[-1] = -1
        markers[first] = markers[second] = 1
        if self.first_mark == "hidden":
            markers[0] = -1

        neutral = 1.0 if self.kind == "multiplication" else 0.0
        x1, x2 = (values[p] if p > 0 else neutral for p in (first, second))
        target = x1 * x2 if self.kind == "multiplication" else 0.5 + (x1 + x2) / 4
        return Sequence(inputs, float(target), (first, second))

    def _draw_marks(self, rng: np.random.Generator, length: int) -> tuple[int, int]:
        if self.rules == "catalog":
            first = int(rng.integers(1, FIRST_WINDOW))
            return first, int(rng.integers(FIRST_WINDOW, max(11, length // 2)))
        first = int(rng.integers(FIRST_WINDOW))
        unmarked = [p for p in range(self._second_window + 1) if p != first]
        return first, unmarked[int(rng.integers(self._second_window))]

    # -- many sequences at once ---------------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences of their own lengths in a few vectorised calls.

        Returns:
            Batch with T = max_length: inputs (n, T, 2), lengths (n,), targets (n,).

        Raises:
            ValueError: n below 1, or no generator.
        """
        return self.draw(n, rng).each(np.asarray)

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """The same, with inputs that are drawn where they are needed.

        Random numbers are used in this order: n lengths, n first marks, n second marks, n times
        the values (float32) of four pairs, first mark, second mark, first pair and last, and n
        times the three words that the stream of the other values starts from.
        """
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        lengths = rng.integers(self.min_length, self.max_length + 1, size=n)
        first = self._sample_first(n, rng)
        second = self._sample_second(first, lengths, rng)
        values = rng.random((n, 4), dtype=np.float32)
        if self.kind == "adding":
            values *= 2
            values -= 1
        given = np.empty((n, 4, 2), np.float32)
        given[:, :, 0] = values
        given[:, :, 1] = 1, 1, -1, -1
        at = np.stack([first, second, np.zeros_like(first), lengths - 1], axis=1)
        if self.first_mark == "shown":
            given[(first == 0) | (second == 0), 2, 1] = 1
        low, span = (-1.0, 2.0) if self.kind == "adding" else (0.0, 1.0)
        drawn = Drawn(new_streams(n, rng), lengths, at, given, self.max_length, low, span)
        return Batch(cast(np.ndarray, drawn), lengths, self._targets(values, first, second))

    def _sample_first(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(1 if self.rules == "catalog" else 0, FIRST_WINDOW, size=n)

    def _sample_second(
        self, first: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        if self.rules == "catalog":
            return rng.integers(FIRST_WINDOW, np.maximum(11, lengths // 2))
        unmarked = rng.integers(0, self._second_window, size=len(first))
        return unmarked + (unmarked >= first)  # step over the pair that is marked already

    def _targets(self, values: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        neutral = np.float32(1 if self.kind == "multiplication" else 0)
        x1 = np.where(first > 0, values[:, 0], neutral)
        x2 = np.where(second > 0, values[:, 1], neutral)
        if self.kind == "multiplication":
            return x1 * x2
        return np.float32(0.5) + (x1 + x2) / np.float32(4)
