"""Cases of a study, and their results: which trials met which rules, after how many sequences."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longlag.learning.recipe import Recipe, recipe
from longlag.statistics import clopper_pearson
from longlag.tasks.score import LOOSE_SHARE, STRICT_SHARE

MSE_TARGET = 0.030
FRESH, QUICK_FRESH = 25_600, 200  # further sequences, apart from those that a trial stops by

Row = dict[str, Any]


@dataclass(frozen=True)
class Slow:
    """A case has no more than so many trials where they take longer than so many seconds.

    trials: that are carried out first; seconds: that their median may have.
    """

    trials: int
    seconds: float

    def holds(self, rows: Sequence[Row]) -> bool:
        """Whether it does of the rows of these trials; also where all of them failed."""
        seconds = [row["seconds"] for row in rows if row["status"] != "failed"]
        return not seconds or float(np.median(seconds)) > self.seconds


@dataclass(frozen=True)
class Case:
    """Trials that differ in their seeds alone.

    about: what distinguishes the case from the study's others; changes: of the registered recipe's
    settings; trials: how many, where the user does not say; most: how many at most, whatever the
    user says; fresh: further sequences to score on; engine: what computes it, where that is not the
    user's choice; published: a paper's values, a mapping for each row of the case; refused: why it
    cannot be tried, in a sentence; stage: cases of a later stage are tried after those of earlier
    ones, where the study still needs them then; slow: when it has fewer trials.
    """

    about: Mapping[str, Any]
    recipe: str
    changes: Mapping[str, Any]
    trials: int
    fresh: int = 0
    engine: str | None = None
    published: Sequence[Row] = ()
    refused: str = ""
    most: int | None = None
    stage: int = 0
    slow: Slow | None = None

    @property
    def label(self) -> str:
        """What distinguishes it, in words."""
        return ", ".join(str(value) for value in self.about.values())

    def made(self) -> Recipe:
        """The recipe with its changes."""
        return recipe(self.recipe, **self.changes)


@dataclass(frozen=True)
class Outcome:
    """A case with its trials' rows from the ledger, those that failed left out.

    failed: how many did; reason: why the first of them did; slow: whether it has its first trials
    alone, as these took so long.
    """

    case: Case
    rows: Sequence[Row]
    failed: int
    reason: str = ""
    slow: bool = False

    @property
    def n(self) -> int:
        return len(self.rows)

    def setting(self, name: str) -> Any:
        """A setting that all trials share."""
        return self.rows[0]["settings"][name]


def sequences_to_mse(row: Row) -> int | None:
    """Training sequences at the first test with an MSE below 0.030; None if there was none."""
    batch = row["settings"]["batch_size"]
    return next((k * batch for k, mse, _ in row["curve"] if mse < MSE_TARGET), None)


def sequences_to_share(row: Row, share: float) -> int | None:
    """Training sequences at the second of two successive tests with so small a share wrong."""
    batch, most = row["settings"]["batch_size"], share * row["settings"]["test_size"]
    good = [wrong <= most for _, _, wrong in row["curve"]]
    for k in range(1, len(good)):
        if good[k - 1] and good[k]:
            return row["curve"][k][0] * batch
    return None


RULES: dict[str, Callable[[Row], int | None]] = {
    "MSE < 0.030": sequences_to_mse,
    "n_seq = 140": lambda row: sequences_to_share(row, LOOSE_SHARE),
    "n_seq = 13": lambda row: sequences_to_share(row, STRICT_SHARE),
}
STRICT = "n_seq = 13"


def solved(outcome: Outcome, rule: str = STRICT) -> list[Row]:
    """The rows of the trials that met a rule."""
    return [row for row in outcome.rows if RULES[rule](row) is not None]


def reached(outcome: Outcome, rule: str) -> Row:
    """How many trials met a rule, with the rate's exact interval, and after how many sequences."""
    return share(outcome, [n for row in outcome.rows if (n := RULES[rule](row)) is not None])


def share(outcome: Outcome, sequences: Sequence[int]) -> Row:
    """The same of trials that were solved after so many sequences."""
    return {
        "solved": len(sequences),
        "trials": outcome.n,
        "rate": len(sequences) / outcome.n,
        "interval": clopper_pearson(len(sequences), outcome.n),
        "sequences": spread(sequences),
        "diverged": sum(row["status"] == "diverged" for row in outcome.rows),
        "failed": outcome.failed,
    }


def good_on_fresh(outcome: Outcome) -> Row:
    """How many final networks are strict on sequences that were not used to stop the training."""
    scores = [row["fresh"] for row in outcome.rows]
    good = sum(one["wrong"] <= STRICT_SHARE * one["n"] for one in scores)
    return {
        "of": scores[0]["n"],
        "solved": good,
        "trials": outcome.n,
        "rate": good / outcome.n,
        "interval": clopper_pearson(good, outcome.n),
    }


def lines(outcome: Outcome) -> Iterator[Row]:
    """A line a trial: after how many sequences it met which rule, its scores and its tests."""
    for row in outcome.rows:
        scores = {
            f"{kind}_{name}": (row[kind] or {}).get(name)
            for kind in ("score", "fresh")
            for name in ("n", "wrong", "mse", "rmse")
        }
        tests = " ".join(f"{k}:{mse:.6g}:{wrong}" for k, mse, wrong in row["curve"])
        yield {
            **outcome.case.about,
            **{name: row[name] for name in ("seed", "status", "sequences")},
            "seconds": round(row["seconds"], 4),
            **{name: rule(row) for name, rule in RULES.items()},
            **scores,
            "tests (iteration:mse:wrong)": tests,
        }


def spread(values: Sequence[float]) -> Row:
    """Median and range; NaN of nothing."""
    if not values:
        return dict.fromkeys(("median", "min", "max"), math.nan)
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}
