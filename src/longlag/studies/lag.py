"""Lag scaling: how do sequences and seconds to the strict rule grow with T?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from longlag.figures import lag_scaling
from longlag.studies.sweep_study import (
    RULES,
    STRICT,
    Case,
    Outcome,
    Request,
    Row,
    budget,
    in_interval,
    in_share,
    in_spread,
    reached,
    spread,
)

TRIALS = {30: 30, 100: 30, 300: 30, 1000: 30, 3000: 10, 10_000: 10}
FULL_TRIALS = {**TRIALS, 30_000: 3, 100_000: 3}
QUICK_TRIALS = {20: 2, 40: 2}
BASELINE_LENGTHS = (30, 100)
BASELINE_SEQUENCES = 50_000  # ten times what robust needs
BATCH = 4

ROBUST, BIAS_1, BIAS_LOG_T = "robust", "forget bias 1", "forget bias log T"


class Lag:
    """Robust at every length; plainer initialisations at those that they can afford."""

    name = "lag"
    title = "Lag scaling: from T = 30 on"
    notes: tuple[str, ...] = (
        "The paper's task rules, lengths T to 1.1 T. The baselines are robust in everything but "
        "their gates: input bias 0, and a forget bias of 1 or of log 1.1 T; they get "
        f"{BASELINE_SEQUENCES:,} sequences, robust 200,000.",
        "Strict: at most 16 of 2560 fresh answers off by more than 0.04 on two successive, "
        "independent test sets. Intervals are exact (Clopper-Pearson, 95 %); sequences and seconds "
        "are those of the seeds that were solved, median (range).",
        "Seconds are of one core of a shared machine, testing included (a test of 2560 sequences "
        "every 800 training sequences); ns a step: those seconds over training sequences times T.",
    )

    def cases(self, request: Request) -> Sequence[Case]:
        """Robust at all lengths, then the baselines."""
        grid = QUICK_TRIALS if request.quick else FULL_TRIALS if request.full else TRIALS
        lengths = request.lengths or tuple(grid)
        cases = [_case(request, ROBUST, T, grid.get(T, 3)) for T in lengths]
        feasible = [T for T in lengths if T in BASELINE_LENGTHS or request.quick]
        for name in (BIAS_1, BIAS_LOG_T):
            cases += [_case(request, name, T, grid.get(T, 3)) for T in feasible]
        return cases

    def rows(self, outcomes: Sequence[Outcome]) -> list[Row]:
        """A line a case."""
        return [_row(outcome) for outcome in outcomes]

    def cells(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        """The table."""
        head = ("recipe", "T", "strict", "95 % interval", "sequences", "seconds", "ns a step")
        return [
            head,
            *(
                (
                    *(row["recipe"], f"{row['T']:,}", in_share(row), in_interval(row)),
                    *(in_spread(row["sequences"]), in_spread(row["seconds"], ",.3g")),
                    "–" if math.isnan(row["step_ns"]) else f"{row['step_ns']:.0f}",
                )
                for row in rows
            ),
        ]

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """How robust's numbers grow."""
        mine = [row for row in rows if row["recipe"] == ROBUST and row["solved"]]
        if len(mine) < 2:
            return []
        log_T = np.log([row["T"] for row in mine])
        seen, cost = ([row[k]["median"] for row in mine] for k in ("sequences", "seconds"))
        a, b = (float(np.polyfit(log_T, np.log(values), 1)[0]) for values in (seen, cost))
        first, last = mine[0], mine[-1]
        return [
            f"robust, from T = {first['T']:,} to {last['T']:,}: the median number of sequences "
            f"goes from {seen[0]:,.0f} to {seen[-1]:,.0f}, as T to the power {a:.2f} (least "
            f"squares on the logarithms of the medians), seconds as T to the power {b:.2f}, "
            f"nanoseconds a training step from {first['step_ns']:.0f} to {last['step_ns']:.0f}."
        ]

    def figure(self, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
        """Sequences, seconds and rates against T."""
        names = dict.fromkeys(row["recipe"] for row in rows)
        series = []
        for name in names:
            mine = [(o, r) for o, r in zip(outcomes, rows, strict=True) if r["recipe"] == name]
            points = [
                lag_scaling.Point(
                    row["T"],
                    row["rate"],
                    row["interval"],
                    [one["sequences"] for one in _solved(outcome)],
                    [one["seconds"] for one in _solved(outcome)],
                )
                for outcome, row in mine
            ]
            series.append(lag_scaling.Series(name, points))
        return lag_scaling.draw(series, self.title)


def _case(request: Request, name: str, T: int, trials: int) -> Case:
    limit = 50_000 if name == ROBUST else BASELINE_SEQUENCES // BATCH
    changes: dict[str, Any] = {"min_length": T, "max_iterations": budget(request, BATCH, limit)}
    if name != ROBUST:
        longest = T * 11 // 10
        bias = 1.0 if name == BIAS_1 else math.log(longest)
        changes |= {"gate_biases": "constant", "input_bias": 0.0, "forget_bias": bias}
    if request.quick:
        changes |= {"max_iterations": 1600, "test_size": 200}
    return Case({"recipe": name, "T": T}, "robust", changes, trials)


def _solved(outcome: Outcome) -> list[Row]:
    return [row for row in outcome.rows if RULES[STRICT](row) is not None]


def _row(outcome: Outcome) -> Row:
    T, solved = outcome.case.about["T"], _solved(outcome)
    per_step = [1e9 * row["seconds"] / (row["sequences"] * T) for row in outcome.rows]
    return {
        **outcome.case.about,
        **reached(outcome, STRICT),
        "seconds": spread([row["seconds"] for row in solved]),
        "step_ns": float(np.median(per_step)),
        "wrong": spread([row["score"]["wrong"] for row in solved]),
    }


STUDY = Lag()
