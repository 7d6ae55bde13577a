"""Stuck seeds: how many seeds of catalog and of robust learn?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from longlag.learning.recipe import recipe
from longlag.studies.cases import (
    FRESH,
    QUICK_FRESH,
    RULES,
    Case,
    Outcome,
    Row,
    good_on_fresh,
    reached,
    spread,
)
from longlag.studies.declaration import WITH_LENGTHS, Request, Study, worded
from longlag.studies.page import in_interval, in_share, in_spread

LENGTHS, QUICK_LENGTHS = (30, 100), (30,)
TRIALS, QUICK_TRIALS = 30, 3
ON_FRESH = "≤ 0.65 % wrong of {:,} more"


def cases(request: Request) -> list[Case]:
    """The three at every length."""
    lengths = request.lengths or (QUICK_LENGTHS if request.quick else LENGTHS)
    return [case(request, T) for T in lengths for case in (_catalog, _from_mean, _robust)]


def _catalog(request: Request, T: int, name: str = "catalog", output_bias: float = 0.0) -> Case:
    changes: dict[str, Any] = {
        **{"min_length": 2 * T // 3, "max_length": T, "stop": "strict"},
        **{"test_every": 250, "test_size": 2560, "output_bias": output_bias},
        "max_iterations": request.iterations(32, 6000),
    }
    if request.quick:
        most = request.iterations(32, 200)
        changes |= {"max_iterations": most, "test_every": 50, "test_size": 200}
    return _case(request, name, "catalog", T, changes)


def _from_mean(request: Request, T: int) -> Case:
    return _catalog(request, T, "catalog from 1/4", -math.log(3))


def _robust(request: Request, T: int) -> Case:
    own = recipe("robust")
    limit = request.iterations(own.batch_size, own.rule.budget)
    changes: dict[str, Any] = {"min_length": T, "max_iterations": limit}
    if request.quick:
        changes |= {"test_size": 200}
    return _case(request, "robust", "robust", T, changes)


def _case(request: Request, name: str, of: str, T: int, changes: dict[str, Any]) -> Case:
    trials, fresh = (QUICK_TRIALS, QUICK_FRESH) if request.quick else (TRIALS, FRESH)
    return Case({"recipe": name, "T": T}, of, changes, trials, fresh)


def rows(outcome: Outcome) -> list[Row]:
    """A line a rule; the last one is for the final weights alone."""
    found = good_on_fresh(outcome)
    last = {"rule": ON_FRESH.format(found["of"]), **found, "sequences": spread([])}
    return [*({"rule": rule, **reached(outcome, rule)} for rule in RULES), last]


def remarks(rows: Sequence[Row]) -> list[str]:
    """The stuck seeds, counted."""
    return [
        f"{row['recipe']}, T = {row['T']}: {row['trials'] - row['solved']} of {row['trials']} "
        f"seeds did not meet {row['rule']}."
        for row in rows
        if row["rule"] in list(RULES)[::2]
    ]


STUDY = Study(
    name="seeds",
    title="Stuck seeds: catalog and robust",
    help="How many seeds of catalog and robust learn at T = 30 and 100, by four rules",
    takes="15 minutes",
    options=worded(
        WITH_LENGTHS,
        trials=str(TRIALS),
        max_sequences="192000 of catalog, 200000 of robust",
        lengths=",".join(map(str, LENGTHS)),
    ),
    cases=cases,
    rows=rows,
    columns={
        "recipe": lambda row: row["recipe"],
        "T": lambda row: str(row["T"]),
        "rule": lambda row: row["rule"],
        "seeds": in_share,
        "95 % interval": in_interval,
        "sequences, median (range)": lambda row: in_spread(row["sequences"]),
    },
    remarks=remarks,
    notes=(
        "catalog is a small fixed system: lengths 2T/3 to T, tested at T, 6000 batches of 32 at "
        "most; here it continues past its own stop (MSE < 0.030) so that the stricter rules can be "
        "judged. Its sigmoid output answers 1/2 to every sequence at first; catalog from 1/4 "
        "differs in its output bias alone, −log 3, with which it answers 1/4, the mean of the "
        "targets. robust has the paper's rules, lengths T to 1.1 T.",
        "n_seq = 140 and 13: at most 7 % and 0.65 % of 2560 fresh answers off by more than 0.04, "
        "on two successive, independent test sets. The last rule is for the final weights, on "
        "sequences that took no part in stopping.",
        "Rates have exact (Clopper-Pearson) 95 % intervals; sequences are of those that met the "
        "rule: median (range).",
    ),
    figure="longlag.studies.figures:seeds",
)
