"""Table 8 of the paper: the multiplication problem, Experiment 5, at its two stopping points."""

from __future__ import annotations

from typing import Any

from longlag.studies import stops
from longlag.tasks.marked_pairs import TABLE8

# The "MSE" column is printed here as the paper prints it.
PAPER: tuple[dict[str, Any], ...] = tuple(
    {"sequences": stop.sequences, "wrong": stop.wrong, "mse": stop.rmse} for stop in TABLE8
)

STUDY = stops.study(
    "table8",
    "paper",
    title="Table 8: the multiplication problem (Experiment 5)",
    help="Table 8 of the paper, the multiplication problem: both stopping points",
    takes="a minute",
    cases=lambda request: [stops.case(request, "paper", 100, PAPER, 300_000)],
)
