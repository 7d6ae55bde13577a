"""Table 8 of the paper: the multiplication problem, Experiment 5, at its two stopping points."""

from __future__ import annotations

from typing import Any

from longlag.studies import stops

# Means of 10 trials. The "MSE" column is printed here as the paper prints it; docs/table8.md says
# what it must be.
PAPER: tuple[dict[str, Any], ...] = (
    {"sequences": 482_000, "wrong": 139, "mse": 0.0223},
    {"sequences": 1_273_000, "wrong": 14, "mse": 0.0139},
)

STUDY = stops.study(
    "table8",
    "paper",
    title="Table 8: the multiplication problem (Experiment 5)",
    help="Table 8 of the paper, the multiplication problem: both stopping points",
    takes="a minute",
    cases=lambda request: [stops.case(request, "paper", 100, PAPER, 300_000)],
)
