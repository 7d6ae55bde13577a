"""What a task is: sequences, the answers they ask for, and which answers are right.

Dimension legend, used in the whole package:

    B  sequences in a batch        D  inputs a step
    T  steps, padding included     K  numbers in an answer
    H  memory cells                G  gate rows (4 H)
    P  parameters

A task with `symbols` gives a whole number a step, of D that there are; others give D real numbers.
An answer is asked for at the last step of a sequence, or at every one. Where K is 1 it has no axis
of its own: answers are then (B,) or (B, T).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from collections.abc import Sequence as Sequence_
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np

from longlag import checks
from longlag.settings import Part, setting
from longlag.tasks.score import TOLERANCE, Score, of_errors

Answered = Literal["last", "every"]


class Batch(NamedTuple):
    """B sequences.

    inputs: (B, T, D) float32, or symbols (B, T) int64; zeros after the end of a sequence.
    lengths: (B,) int64.
    targets: (B, K) float32, or (B, T, K) where answers are asked for at every step.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray


class Sequence(Protocol):
    """One sequence: inputs (L, D) float64 or symbols (L,); target, a number or an array."""

    @property
    def inputs(self) -> np.ndarray: ...
    @property
    def target(self) -> Any: ...


Role = Literal["plain", "mark", "end", "hidden"]


@dataclass(frozen=True)
class Drawing:
    """What a picture of a sequence shows: a bar a step, whose colour is its role.

    Attributes:
        values: heights of the bars, (L,).
        roles: positions of the steps that are not plain, by role: what is to be remembered
            (`mark`), begin and end or trigger (`end`), and a mark that cannot be seen (`hidden`).
        letters: a word above a step, by position.
        low, high: range of the values.
        legend: what each role is, in words, for those that occur.
        about: what the bars are: 'values, two of them marked'.
    """

    values: np.ndarray
    roles: Mapping[Role, Sequence_[int]]
    letters: Mapping[int, str]
    low: float
    high: float
    legend: Mapping[Role, str]
    about: str


@dataclass(frozen=True)
class Task(Part, ABC):
    """A task and its rules; its settings are the flags that it adds to the command line.

    Attributes:
        inputs: D.
        outputs: K.
        symbols: whether a step's input is one of D symbols rather than D numbers.
        answered: whether an answer is asked for at the `last` step or at `every` one.
        tolerance: errors above it are wrong.
        source: where the task comes from.
    """

    inputs: ClassVar[int]
    outputs: ClassVar[int] = 1
    symbols: ClassVar[bool] = False
    answered: ClassVar[Answered] = "last"
    tolerance: ClassVar[float] = TOLERANCE
    source: ClassVar[str]

    _: KW_ONLY
    min_length: int = setting(
        100,
        "T, steps of the shortest sequence; alone it implies --max-length 1.1 T",
        -checks.LARGEST,
        checks.LARGEST,
    )
    max_length: int = setting(110, "steps of the longest sequence", -checks.LARGEST, checks.LARGEST)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_length < self.shortest:
            raise ValueError(
                f"min_length must be at least {self.shortest} steps {self.room}, "
                f"not {self.min_length}"
            )
        if self.max_length < self.min_length:
            raise ValueError(
                f"max_length must be at least min_length ({self.min_length}), not {self.max_length}"
            )

    @property
    @abstractmethod
    def shortest(self) -> int:
        """The least min_length."""

    @property
    def room(self) -> str:
        """What needs so many steps: 'to hold two marks by the paper rules'."""
        return "to hold what is asked for"

    # -- sequences ------------------------------------------------------------------------------

    @abstractmethod
    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Any:
        """Draws one `Sequence`: the readable definition, which `sample` must agree with."""

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draws n sequences of their own lengths in a few vectorised calls."""

    def sample_in_order(self, n: int, rng: np.random.Generator) -> Batch:
        """n sequences of one common length, drawn one after another (the catalogue's order)."""
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        length = int(rng.integers(self.min_length, self.max_length + 1))
        drawn = [self.sequence(rng, length) for _ in range(n)]
        inputs = np.stack([s.inputs for s in drawn])
        return Batch(
            inputs if self.symbols else inputs.astype(np.float32),
            np.full(n, length, dtype=np.int64),
            np.array([s.target for s in drawn], dtype=np.float32),
        )

    def with_settings(self, settings: Any) -> Self:
        """A copy with some settings changed; min_length alone implies max_length = 1.1 T."""
        settings = dict(settings)
        if "min_length" in settings and "max_length" not in settings:
            low = checks.whole("min_length", settings["min_length"], 0)
            settings["max_length"] = low * 11 // 10
        return super().with_settings(settings)

    def at_length(self, length: int) -> Self:
        """The same task with sequences of exactly `length` steps.

        Raises:
            ValueError: a length that is no whole number, or too short for the rules.
        """
        checks.whole("length", length, self.shortest)
        return replace(self, min_length=length, max_length=length)

    @property
    def tested(self) -> Task:
        """The task on which a run is tested."""
        return self

    @property
    def mean_length(self) -> float:
        """Steps of a sequence, on average."""
        return (self.min_length + self.max_length) / 2

    def answers_shape(self, batch: int, steps: int) -> tuple[int, ...]:
        """Shape of the answers to B = `batch` sequences of T = `steps` steps."""
        shape = (batch, steps) if self.answered == "every" else (batch,)
        return shape if self.outputs == 1 else (*shape, self.outputs)

    # -- answers --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def mean_target(self) -> float | np.ndarray:
        """The best constant answer: the targets' mean, (K,) where K is above 1."""

    @property
    @abstractmethod
    def chance_mse(self) -> float:
        """Mean squared error of the best constant answer, in closed form."""

    def correct(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """Which sequences are answered right, (B,): no error is above the tolerance."""
        return ~(self._errors(answers, batch) > self.tolerance)

    def _errors(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """The largest absolute error of each sequence, (B,); infinite for what is no number."""
        errors = np.abs(answers.astype(np.float64) - batch.targets.astype(np.float64))
        errors = np.where(np.isnan(errors), np.inf, errors)
        if self.answered == "every":
            errors = np.where(self._alive(batch, errors.ndim), errors, 0)
        return errors.reshape(len(errors), -1).max(axis=1)

    def _alive(self, batch: Batch, axes: int) -> np.ndarray:
        """Which steps are before a sequence's end, (B, T) with axes of one added behind."""
        alive = np.arange(batch.targets.shape[1]) < batch.lengths[:, None]
        return alive.reshape(alive.shape + (1,) * (axes - 2))

    def asked(self, batch: Batch) -> int:
        """How many numbers a batch asks for; none after a sequence's end."""
        n = len(batch.lengths) if self.answered == "last" else int(np.sum(batch.lengths))
        return n * self.outputs

    def score(self, answers: np.ndarray, batch: Batch) -> Score:
        """Scores answers, which have the shape of the targets, by the task's own rule.

        Raises:
            ValueError: answers of another shape.
        """
        answers, targets = np.asarray(answers), batch.targets
        if answers.shape != targets.shape:
            raise ValueError(f"answers must have shape {targets.shape}, not {answers.shape}")
        error = np.abs(answers.astype(np.float64) - targets.astype(np.float64))
        if self.answered == "every":
            error = error[np.broadcast_to(self._alive(batch, error.ndim), error.shape)]
        return of_errors(error, ~self.correct(answers, batch))

    # -- words and pictures -------------------------------------------------------------------

    @property
    @abstractmethod
    def what(self) -> str:
        """What is answered, in a word or two: 'product'."""

    @property
    @abstractmethod
    def asks(self) -> str:
        """The same with what it is of: 'the product of the two marked values'."""

    @abstractmethod
    def explain(self, sequence: Any) -> str:
        """How the target of a sequence comes about: '0.73 × 0.51 = 0.372'."""

    @abstractmethod
    def drawing(self, sequence: Any) -> Drawing:
        """What a picture of a sequence shows."""

    def say(self, answer: Any) -> str:
        """An answer in words: a number, or the name of the most active output."""
        answer = np.asarray(answer)
        if not np.all(np.isfinite(answer)):
            return "not a number" if np.any(np.isnan(answer)) else "infinite"
        if answer.ndim == 0:
            return f"{float(answer):.3f}" if abs(answer) < 1e4 else f"{float(answer):.2e}"
        return self.classes[int(np.argmax(answer))] if self.classes else str(np.argmax(answer))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs, where they stand for something; (K,) or none."""
        return ()

    def is_special(self, sequence: Any) -> bool:
        """Whether a sequence has something that figures show once: a mark that cannot be seen."""
        return False

    @property
    def special_share(self) -> float:
        """Probability of such a sequence."""
        return 0.0

    def is_telling(self, sequence: Any) -> bool:
        """Whether a sequence shows well what is asked for."""
        return True

    @property
    def published(self) -> tuple[tuple[str, float, str], ...]:
        """The source's own results: where, the root mean squared error, and how many were wrong."""
        return ()

    @property
    def rules_name(self) -> str:
        """By which rules the sequences are drawn, in a word, where there are several."""
        return ""
