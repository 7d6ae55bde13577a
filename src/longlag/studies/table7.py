"""Table 7 of the paper: the adding problem, Experiment 4, at three lengths."""

from __future__ import annotations

from typing import Any

from longlag.studies import stops
from longlag.studies.cases import Case
from longlag.studies.declaration import Request

PAPER: dict[int, dict[str, Any]] = {  # means of 10 trials
    100: {"sequences": 74_000, "wrong": 1, "mse": None},
    500: {"sequences": 209_000, "wrong": 0, "mse": None},
    1000: {"sequences": 853_000, "wrong": 1, "mse": None},
}


def cases(request: Request) -> list[Case]:
    """A case for each T; the quick form has one."""
    lengths = (min(PAPER),) if request.quick else PAPER
    return [stops.case(request, "paper-adding", T, (PAPER[T],), 100_000) for T in lengths]


STUDY = stops.study(
    "table7",
    "paper-adding",
    title="Table 7: the adding problem (Experiment 4)",
    help="Table 7 of the paper, the adding problem: T = 100, 500 and 1000",
    takes="15 minutes",
    cases=cases,
)
