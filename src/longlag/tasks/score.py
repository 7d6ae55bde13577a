"""How an answer is judged, and when a run may stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from longlag import checks

TOLERANCE = 0.04  # an answer is correct if its absolute error is below this (section 5.5)
STRICT_SHARE = 13 / 2000  # the paper's second stopping point: fewer than 13 wrong of 2000
LOOSE_SHARE = 140 / 2000  # and its first: fewer than 140


@dataclass(frozen=True)
class Score:
    """Errors over n sequences.

    mse, rmse, mae: mean squared error, its root, mean absolute error; wrong: number of answers
    that are wrong by the task's rule, where it has none of its own those with an absolute error
    above 0.04; max_error: the largest absolute error.
    """

    n: int
    mse: float
    rmse: float
    mae: float
    wrong: int
    max_error: float

    @property
    def wrong_share(self) -> float:
        """Share of answers that are wrong."""
        return self.wrong / self.n

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def score(predictions: np.ndarray, targets: np.ndarray) -> Score:
    """Scores predictions (n,) against targets (n,), in float64.

    Raises:
        ValueError: the two are not made of numbers, differ in shape, are not one-dimensional, or
            are empty.
    """
    predictions = checks.numbers("predictions", predictions)
    targets = checks.numbers("targets", targets)
    if predictions.shape != targets.shape or predictions.ndim != 1 or len(targets) == 0:
        raise ValueError(
            "predictions and targets must be two vectors of one length, "
            f"not of shapes {predictions.shape} and {targets.shape}"
        )
    error = absolute_errors(predictions, targets)
    return of_errors(error, ~(error <= TOLERANCE))  # a NaN is wrong


def absolute_errors(answers: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The absolute errors of answers, float64; both arrays have one shape."""
    errors = answers.astype(np.float64)
    errors -= wanted
    return np.abs(errors, out=errors)


def of_errors(error: np.ndarray, wrong: np.ndarray) -> Score:
    """The score of absolute errors, any number of them, and of n answers, wrong (n,) or not."""
    mse = float(np.mean(error**2))
    return Score(
        n=len(wrong),
        mse=mse,
        rmse=float(np.sqrt(mse)),
        mae=float(np.mean(error)),
        wrong=int(np.sum(wrong)),
        max_error=float(np.max(error)),
    )


def joined(parts: Sequence[Score], counts: Sequence[int]) -> Score:
    """The score of several sets of sequences together; counts: target values of each."""
    if len(parts) == 1:
        return parts[0]
    mse = float(np.average([part.mse for part in parts], weights=counts))
    return Score(
        n=sum(part.n for part in parts),
        mse=mse,
        rmse=float(np.sqrt(mse)),
        mae=float(np.average([part.mae for part in parts], weights=counts)),
        wrong=sum(part.wrong for part in parts),
        max_error=float(np.max([part.max_error for part in parts])),
    )
