"""When a training stops: parts of a recipe, named as the flag `--stop` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from longlag import checks
from longlag.settings import Part, Registry, setting
from longlag.tasks.score import STRICT_SHARE, TOLERANCE, Score

Test = tuple[int, Score]  # an iteration, and the score on fresh sequences there
LEAST_TESTED = 256  # sequences of a test at least, before it may end as failed
MEAN_ERROR = "stop only when the mean error is also below this; 1e9: whatever it is"


@dataclass(frozen=True)
class StoppingRule(Part):
    """What the stopping rules have in common."""


@dataclass(frozen=True, kw_only=True)
class Tested(StoppingRule):
    """Stops by tests on fresh sequences, every so many iterations.

    Attributes:
        by_last_test: whether the run's score is the last test's, or one on sequences of its own.
    """

    by_last_test: ClassVar[bool] = False

    test_every: int = setting(100, "iterations between tests", 1, checks.LARGEST)
    test_size: int = setting(2560, "sequences in a test set", 1, 10**7)

    def met(self, tests: Sequence[Test]) -> bool:
        """Whether the rule is met at the last of these tests."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Strict(Tested):
    """A small share wrong in two successive tests: at most 16 of 2560, as 13 of 2000.

    Each test has fresh sequences, since repeated tests on the same ones would select lucky results.
    A test ends as soon as more answers are wrong than a whole test allows. `mean_error` is a mean
    of absolute errors.
    """

    wrong_share: float = setting(
        STRICT_SHARE, "stop when at most this share of the answers is wrong", 0, 1
    )
    mean_error: float = setting(1e9, MEAN_ERROR, 1e-9, 1e9)

    @property
    def name(self) -> str:
        return "strict"

    def met(self, tests: Sequence[Test]) -> bool:
        return len(tests) > 1 and all(self._is_good(score) for _, score in tests[-2:])

    def failed(self, score: Score) -> bool:
        """Whether a test can no longer be passed, by the score of its first sequences."""
        return score.n >= LEAST_TESTED and score.wrong > self.wrong_share * self.test_size

    def _is_good(self, score: Score) -> bool:
        return score.wrong <= self.wrong_share * score.n and score.mae < self.mean_error


@dataclass(frozen=True, kw_only=True)
class Below(Tested):
    """A test's mean squared error below a target; that test's score is the run's."""

    by_last_test: ClassVar[bool] = True

    target_test_mse: float = setting(0.030, "stop below this test MSE", 0, 1e15)

    @property
    def name(self) -> str:
        return "mse"

    def met(self, tests: Sequence[Test]) -> bool:
        return tests[-1][1].mse < self.target_test_mse


@dataclass(frozen=True, kw_only=True)
class Points(StoppingRule):
    """Stopping points of on-line learning, one or two, where networks are judged.

    A trial ends at the last of them.
    """

    first_stop: int = setting(0, "first stop: fewer wrong than this; 0: no first stop", 0, 10**6)
    last_stop: int = setting(1, "last stop: fewer wrong than this", 1, 10**6)
    mean_error: float = setting(1e9, MEAN_ERROR, 1e-9, 1e9)
    test_size: int = setting(2560, "fresh sequences in a test", 1, 10**7)

    @property
    def stops(self) -> tuple[int, ...]:
        """The paper's n_seq of each stopping point."""
        return (self.first_stop, self.last_stop) if self.first_stop else (self.last_stop,)

    def words(self, s: int) -> str:
        """The condition of stopping point number s, in words."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Recent(Points):
    """The paper's rule: few errors among the most recent training sequences.

    A trial stops for the first time when fewer than `first_stop` and for good when fewer than
    `last_stop` of the `window` most recent training sequences had errors above `tolerance`, and
    their mean absolute error is below `mean_error`. Every training sequence is new, so that these
    are errors on fresh sequences. The error of an answer of several numbers is the largest of them.
    """

    window: int = setting(
        2000, "number of latest training sequences in the stopping rule's window", 1, 10**6
    )
    first_stop: int = setting(140, "first stop: fewer wrong than this; 0: no first stop", 0, 10**6)
    last_stop: int = setting(13, "last stop: fewer wrong than this", 1, 10**6)
    tolerance: float = setting(TOLERANCE, "an answer is wrong if its error is above this", 0, 1e3)
    check_every: int = setting(1, "sequences between two checks of the window", 1, checks.LARGEST)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.first_stop <= self.last_stop:
            raise ValueError(
                f"first_stop must be 0 or above last_stop ({self.last_stop}), not {self.first_stop}"
            )

    @property
    def name(self) -> str:
        return "recent"

    def words(self, s: int) -> str:
        return f"fewer than {self.stops[s]} of the latest {self.window:,} wrong"


@dataclass(frozen=True, kw_only=True)
class Fresh(Points):
    """The paper's rule of Experiments 1 and 3: few errors among sequences that do not train.

    After every `test_every` training sequences the network answers `test_set` fresh ones, or, of a
    task with fixed sets, every sequence of all its sets. A trial stops for the first time when
    fewer than `first_stop` of them are wrong, by the task's own rule, and for good when fewer than
    `last_stop` are and their mean absolute error is below `mean_error`. A test ends as soon as more
    are wrong.
    """

    mean_error: float = setting(
        1e9, "stop for good only with a mean absolute error in a test below this", 1e-9, 1e9
    )
    test_every: int = setting(100, "training sequences between tests", 1, checks.LARGEST)
    test_set: int = setting(256, "fresh sequences in a test that may stop a trial", 1, 10**7)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.first_stop < self.last_stop:
            raise ValueError(
                f"first_stop must be 0 or at least last_stop ({self.last_stop}), "
                f"not {self.first_stop}"
            )

    @property
    def name(self) -> str:
        return "fresh"

    def met(self, score: Score) -> tuple[bool, ...]:
        """Of each stopping point, whether a test's score is good enough for it."""
        last = score.wrong < self.last_stop and score.mae < self.mean_error
        return (score.wrong < self.first_stop, last) if self.first_stop else (last,)

    def failed(self, score: Score) -> bool:
        """Whether a test can no longer be passed, by the score of some of its sequences."""
        return score.wrong >= max(self.stops)

    def words(self, s: int) -> str:
        few = self.stops[s]
        wrong = "none wrong in a test" if few == 1 else f"fewer than {few} wrong in a test"
        bounded = self.mean_error < 1e9 and s == len(self.stops) - 1
        return f"{wrong}, mean error below {self.mean_error:g}" if bounded else wrong


def unwatched(points: int) -> Recent:
    """A window that is never checked, with 1 or 2 stopping points.

    The kernel and the reference are given it where tests decide.
    """
    first = 2 if points == 2 else 0
    return Recent(
        window=1, first_stop=first, last_stop=1, mean_error=1e-9, check_every=checks.LARGEST
    )


STOPS: Registry[StoppingRule] = Registry("stop", StoppingRule, Strict(), Below(), Recent(), Fresh())


@dataclass(frozen=True)
class Stop:
    """A trial at a stopping point, or where it ended without reaching it.

    n_seq: the stopping point asks for fewer wrong sequences than this; reached: whether it was;
    sequences: training sequences seen; window_mse, window_mae: errors of the sequences that
    decided, the recent ones or those of a test (NaN where not reached); fresh: the score on fresh
    sequences with the weights there.
    """

    n_seq: int
    reached: bool
    sequences: int
    window_mse: float
    window_mae: float
    fresh: Score
