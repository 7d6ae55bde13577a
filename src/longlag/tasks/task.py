"""What a task is: sequences, the answers they ask for, and which answers are right.

Dimension legend, used in the whole package:

    B  sequences in a batch        D  inputs a step
    T  steps, padding included     K  numbers in an answer
    H  memory cells                G  gate rows (4 H)
    P  parameters

A task with `symbols` gives a whole number a step, of D that there are; others give D real numbers.
The network answers at the last step of a sequence, or at every one. Where K is 1 it has no axis
of its own: answers are then (B,) or (B, T).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Sequence_
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np

from longlag import checks
from longlag.settings import Part, setting
from longlag.tasks.score import TOLERANCE, Score, absolute_errors, of_errors

Answered = Literal["last", "every"]
LAG = "steps over which something must be remembered"  # the setting of that name


class _Arrays(NamedTuple):
    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray


class Batch(_Arrays):
    """B sequences; as a tuple it is what every batch has, `inputs, lengths, targets = batch`.

    Attributes:
        inputs: (B, T, D) float32, or symbols (B, T) int64; zeros after the end of a sequence.
        lengths: (B,) int64.
        targets: (B, K) float32, or (B, T, K) where the network answers at every step.
        truth: what an answer is judged by, where it is not the targets; its meaning is the task's.
        counted: (B, T) bool, where the network answers at every step and only some answers
            count; False after the end of a sequence.
    """

    truth: np.ndarray | None = None
    counted: np.ndarray | None = None

    def __new__(
        cls,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        truth: np.ndarray | None = None,
        counted: np.ndarray | None = None,
    ) -> Self:
        made = super().__new__(cls, inputs, lengths, targets)
        made.truth, made.counted = truth, counted
        return made

    @property
    def learned(self) -> tuple[np.ndarray, ...]:
        """What a gradient is taken of: inputs, lengths, targets, and `counted` where there is."""
        return (*self,) if self.counted is None else (*self, self.counted)

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Batch:
        """The batch with every array changed: `batch.each(lambda a: a[:5])`."""
        arrays = (*self, self.truth, self.counted)
        return Batch(*(a if a is None else change(a) for a in arrays))  # type: ignore[arg-type]

    def pieces(self, most: int) -> Iterator[Batch]:
        """Its sequences, at most so many at a time."""
        for start in range(0, len(self.lengths), most):
            yield self.each(lambda a, start=start: a[start : start + most])


class Sequence(Protocol):
    """One sequence: inputs (L, D) float64 or symbols (L,); target, a number or an array.

    Where a task's batches have them, also `truth`, and `counted` (L,).
    """

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
        answered: whether the network answers at the `last` step or at `every` one.
        tolerance: errors above it are wrong.
        telling_step: the step whose answer tells most of what is remembered, where every one is
            answered, counted from the last: 0 is the last.
        source: where the task comes from.
    """

    inputs: ClassVar[int]
    outputs: ClassVar[int] = 1
    symbols: ClassVar[bool] = False
    answered: ClassVar[Answered] = "last"
    tolerance: ClassVar[float] = TOLERANCE
    telling_step: ClassVar[int] = 0
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

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """The sequences of `sample`, whose inputs an engine may draw itself (`Drawn`)."""
        return self.sample(n, rng)

    def in_pieces(self, n: int, rng: np.random.Generator, most: int) -> Iterator[Batch]:
        """The sequences of `sample`, at most so many at a time; a task may draw a piece when it is
        asked for.
        """
        return self.draw(n, rng).pieces(most)

    def sample_in_order(self, n: int, rng: np.random.Generator) -> Batch:
        """n sequences of one common length, drawn one after another (the catalogue's order)."""
        checks.whole("n", n, 1)
        checks.generator("rng", rng)
        length = int(rng.integers(self.min_length, self.max_length + 1))
        made = self.batch([self.sequence(rng, length) for _ in range(n)])
        inputs = made.inputs if self.symbols else made.inputs.astype(np.float32)
        targets = made.targets.astype(np.float32)
        return Batch(inputs, made.lengths, targets, made.truth, made.counted)

    def batch(self, sequences: Sequence_[Any]) -> Batch:
        """Sequences as one batch, in float64, with zeros after their ends."""
        every = self.answered == "every"
        lengths = np.array([len(one.inputs) for one in sequences], dtype=np.int64)

        def together(arrays: Iterable[Any], padded: bool) -> np.ndarray:
            arrays = [np.asarray(a) for a in arrays]
            if not padded:
                return np.array(arrays)
            room = (len(arrays), int(lengths.max()), *arrays[0].shape[1:])
            made = np.zeros(room, dtype=arrays[0].dtype)
            for row, array in zip(made, arrays, strict=True):
                row[: len(array)] = array
            return made

        def beside(name: str) -> np.ndarray | None:
            found = [getattr(one, name, None) for one in sequences]
            return None if found[0] is None else together(found, every)

        inputs = together((one.inputs for one in sequences), True)
        targets = together((np.asarray(s.target, dtype=np.float64) for s in sequences), every)
        return Batch(inputs, lengths, targets, beside("truth"), beside("counted"))

    def with_settings(self, settings: Any) -> Self:
        """A copy with some settings changed; min_length alone implies max_length = 1.1 T."""
        settings = dict(settings)
        if "min_length" in settings and "max_length" not in settings:
            low = checks.whole("min_length", settings["min_length"], 0, checks.LARGEST * 10 // 11)
            settings["max_length"] = low * 11 // 10
        return super().with_settings(settings)

    def at_length(self, length: int) -> Self:
        """The same task with sequences of exactly `length` steps.

        Raises:
            ValueError: a length that is no whole number, or too short for the rules.
        """
        checks.whole("length", length, self.shortest)
        return replace(self, min_length=length, max_length=length)

    def _length(self, rng: np.random.Generator, length: int | None) -> int:
        """The length of a sequence: drawn where it is not given.

        Raises:
            ValueError: a length below min_length.
        """
        if length is None:
            length = int(rng.integers(self.min_length, self.max_length + 1))
        return checks.whole("length", length, self.min_length)

    @property
    def tested(self) -> Task:
        """The task on which a run is tested."""
        return self

    @property
    def fixed_sets(self) -> tuple[Batch, ...]:
        """The fixed sets of sequences, to train with and to test; none where all are fresh."""
        return ()

    @property
    def mean_length(self) -> float:
        """Steps of a sequence, on average."""
        return (self.min_length + self.max_length) / 2

    @property
    def most_values(self) -> int:
        """Numbers that the targets of the longest sequence take where every step is answered; its
        steps where the last one is."""
        return self.max_length * (self.outputs if self.answered == "every" else 1)

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

    @property
    def masked(self) -> bool:
        """Whether only some of the answers at every step count: its batches have `counted`."""
        return False

    @property
    def chance_correct(self) -> float | None:
        """Share of sequences that a constant answer gets right at best; None: no closed form."""
        return None

    def correct(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """Which sequences are answered right, (B,): no error is above the tolerance."""
        return ~(self._errors(answers, batch) > self.tolerance)

    @property
    def wrong_means(self) -> str:
        """What makes an answer wrong, in a few words."""
        return f"error > {self.tolerance:g}"

    def wanted(self, batch: Batch) -> np.ndarray:
        """What answers are compared with, in their shape."""
        return batch.targets

    def judged(self, batch: Batch) -> np.ndarray:
        """Steps whose answers must be right, (B, T), of a task with answers at every step."""
        return counted_steps(batch)

    def _errors(self, answers: np.ndarray, batch: Batch) -> np.ndarray:
        """The largest absolute error of each sequence, (B,); infinite for what is no number."""
        if self.answered == "last":
            return _largest(answers, self.wanted(batch))
        judged = self.judged(batch)
        errors = np.zeros(judged.shape)
        errors[judged] = _largest(answers[judged], self.wanted(batch)[judged])
        return errors.max(axis=1)

    def target_count(self, batch: Batch) -> int:
        """How many target values of a batch count; none after a sequence's end."""
        if self.answered == "last":
            return len(batch.lengths) * self.outputs
        n = batch.lengths if batch.counted is None else batch.counted
        return int(np.sum(n)) * self.outputs

    def score(self, answers: np.ndarray, batch: Batch) -> Score:
        """Scores answers, which have the shape of the targets, by the task's own rule.

        Raises:
            ValueError: answers of another shape.
        """
        answers, wanted = np.asarray(answers), self.wanted(batch)
        if answers.shape != wanted.shape:
            raise ValueError(f"answers must have shape {wanted.shape}, not {answers.shape}")
        counted = counted_steps(batch) if self.answered == "every" else ...
        error = absolute_errors(answers[counted], wanted[counted])
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
        if answer.ndim == 2:  # at every step: the last ten
            return " ".join(self.say(one) for one in answer[-10:])
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
        """Whether a sequence is a good example of the task."""
        return True

    @property
    def published(self) -> tuple[tuple[str, float, str], ...]:
        """The source's own results: where, the root mean squared error, and how many were wrong."""
        return ()

    @property
    def rules_name(self) -> str:
        """By which rules the sequences are drawn, in a word, where there are several."""
        return ""


@dataclass(frozen=True)
class OwnLengths(Task):
    """A task whose lengths follow from other settings, such as a lag."""

    min_length: int = field(init=False, default=0)
    max_length: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        Part.__post_init__(self)
        for name, steps in zip(("min_length", "max_length"), self.steps, strict=True):
            object.__setattr__(self, name, steps)

    @property
    @abstractmethod
    def steps(self) -> tuple[int, int]:
        """Steps of the shortest and of the longest sequence."""

    @abstractmethod
    def at_length(self, length: int) -> Self: ...

    def _check_length(self, length: int | None) -> None:
        """Refuses a length that a sequence cannot have."""
        if length is not None:
            checks.whole("length", length, self.min_length, self.max_length)


class LagSteps(OwnLengths):
    """A task of sequences of exactly `lag` steps, of which the last asks for the first.

    Attributes:
        longest: the largest lag.
    """

    longest: ClassVar[int]
    lag: int

    @property
    def steps(self) -> tuple[int, int]:
        return self.lag, self.lag

    @property
    def shortest(self) -> int:
        return 2

    def at_length(self, length: int) -> Self:
        return replace(self, lag=checks.whole("length", length, self.shortest, self.longest))

    @property
    def minimal_lag(self) -> int:
        """Steps from the first symbol to where it is asked for."""
        return self.lag - 1


# -- steps and answers ----------------------------------------------------------------------------


def _largest(answers: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The largest absolute error of each answer (N, ...), (N,); infinite for what is no number."""
    errors = absolute_errors(answers, wanted).reshape(len(answers), -1).max(axis=1)
    return np.where(np.isnan(errors), np.inf, errors)


def counted_steps(batch: Batch) -> np.ndarray:
    """Which steps count, (B, T): those before a sequence's end, or fewer."""
    if batch.counted is not None:
        return batch.counted
    return np.arange(batch.targets.shape[1]) < batch.lengths[:, None]


def last_steps(batch: Batch) -> np.ndarray:
    """Which steps are the last of their sequences, (B, T)."""
    return np.arange(batch.targets.shape[1]) == batch.lengths[:, None] - 1


def beside(steps: np.ndarray, axes: int) -> np.ndarray:
    """Steps (B, T) with axes of one added behind, to stand beside an array of so many axes."""
    return steps.reshape(steps.shape + (1,) * (axes - 2))


def one_hot(symbols: np.ndarray, K: int) -> np.ndarray:
    """Symbols (...) as vectors (..., K) of which one number is 1, and the others 0; float32."""
    vectors = np.zeros((*symbols.shape, K), np.float32)
    np.put_along_axis(vectors, symbols[..., None], 1, axis=-1)
    return vectors


def most_active(answers: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether the outputs that are right are more active than all others.

    Args:
        answers: (..., K).
        right: (..., K), bool.

    Returns:
        (...,) bool; False where an output that is right is not above the others, or no number.
    """
    least = np.where(right, answers, np.inf).min(axis=-1)
    return least > np.where(right, -np.inf, answers).max(axis=-1)
