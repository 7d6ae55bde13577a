"""A table's rows: what the trials of a case come to at a stopping point, beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longlag.learning.recipe import Recipe
from longlag.learning.stopping import Recent, Stop
from longlag.statistics import bootstrap_mean, clopper_pearson
from longlag.sweeps.slices import stops_of

Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """What the paper prints: means of 10 trials. mse is its column of that name, None if none."""

    sequences: int
    wrong: int
    mse: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        return {"sequences": self.sequences, "wrong": self.wrong, "mse": self.mse}


@dataclass(frozen=True)
class Ended:
    """A trial at its end: by what it stopped, and its stopping points."""

    seed: int
    stopped_by: str
    stops: tuple[Stop, ...]

    @classmethod
    def of(cls, row: Row) -> Ended:
        """From its row of the ledger.

        Raises:
            LookupError, TypeError: the row is no such trial's.
        """
        return cls(row["seed"], row["status"], stops_of(row))


def row(recipe: Recipe, trials: Sequence[Ended], s: int, paper: Published) -> Row:
    """Stopping point number `s` of finished trials.

    A trial that did not get there within the budget counts, with the whole budget, among the
    sequences: their mean is then the restricted mean. Errors are those of the trials that did.
    """
    assert isinstance(recipe.stop, Recent)
    stops = [trial.stops[s] for trial in trials]
    reached = [stop for stop in stops if stop.reached]
    counted = [stop.sequences if stop.reached else recipe.rule.budget for stop in stops]
    solved, n = len(reached), len(stops)
    return {
        "min_length": recipe.task.min_length,
        "n_seq": recipe.stop.stops[s],
        "solved": solved,
        "solved_interval": clopper_pearson(solved, n),
        "unsolved": n - solved,
        "diverged": sum(trial.stopped_by == "diverged" for trial in trials),
        "sequences": {
            **spread(counted),
            "interval": bootstrap_mean(counted),
            "restricted": solved < n,
            "mean_of_solved": _mean([stop.sequences for stop in reached]),
        },
        "wrong": {**spread([stop.fresh.wrong for stop in reached]), "of": recipe.stop.test_size},
        "mse": _mean([stop.fresh.mse for stop in reached]),
        "rmse": _mean([stop.fresh.rmse for stop in reached]),
        "mae": _mean([stop.fresh.mae for stop in reached]),
        "rmse_range": spread([stop.fresh.rmse for stop in reached]),
        "window": _window(reached),
        "paper": paper.as_dict(),
    }


def _window(reached: Sequence[Stop]) -> Row:
    """Errors of the recent training sequences at the stop."""
    squares = [stop.window_mse for stop in reached]
    return {
        "mse": _mean(squares),
        "rmse": _mean([square**0.5 for square in squares]),
        "mae": _mean([stop.window_mae for stop in reached]),
    }


def spread(values: Sequence[float]) -> Row:
    """Mean, median and range; NaN of nothing."""
    if not values:
        return dict.fromkeys(("mean", "median", "min", "max"), float("nan"))
    return {
        "mean": _mean(values),
        "median": float(np.median(values)),
        "min": min(values),
        "max": max(values),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
