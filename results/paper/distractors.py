"""Table 3, very long lags among distractors, with other initial weights and connections.

    PYTHONPATH=results/paper longlag study distractors:STUDY --out results/paper/distractors

What the lines do not name is as in the first one of each lag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from longlag.studies import stops
from longlag.studies.cases import Case
from longlag.studies.declaration import Request
from longlag.studies.experiments import COLUMNS, PATIENCE, PUBLISHED, rows

Settings = dict[str, Any]

TRIALS = 10
PAPER = {50: 30_000, 100: 31_000, 200: 33_000, 500: 38_000, 1000: 49_000}  # sequences, where q = p
READINGS: dict[str, Settings] = {
    "as the paper has it": {},
    "initial weights in ±0.1": {"initial_range": 0.1},
    "initial weights in ±0.05": {"initial_range": 0.05},
    "initial weights in ±0.02": {"initial_range": 0.02},
    "no recurrent connections": {"recurrent": False},
    "linear outputs": {"output": "linear"},
    "linear outputs, no recurrent connections": {"output": "linear", "recurrent": False},
    "rate 0.1": {"learning_rate": 0.1},
    "h is the identity": {"h": "identity"},
    "no output gates": {"output_gate": False},
    "eq. 19": {"error": "halved"},
    "full gradient": {"gradient": "full"},
}

# What was run at which lag.
ALONE = "no recurrent connections"
FEWER = ("as the paper has it", "initial weights in ±0.02", ALONE)
AT = {50: FEWER, 100: tuple(READINGS), 200: FEWER, 500: (ALONE,), 1000: (ALONE,)}


def cases(request: Request) -> list[Case]:
    """A case a lag and reading."""
    given = stops.asked(request, ())
    return [
        Case(
            {"what": f"q = p = {q}: {what}"},
            "paper-very-long-lag",
            {"lag": q, "distractors": q, "max_sequences": PATIENCE * PAPER[q]}
            | READINGS[what]
            | given,
            TRIALS,
            published=({"solved": "", "sequences": PAPER[q]},),
        )
        for q, readings in AT.items()
        for what in readings
    ]


STUDY = replace(
    stops.study(
        "distractors",
        "paper-very-long-lag",
        reading=(),
        title="Very long lags among distractors, with other initial weights and connections",
        help="Table 3 of the paper with other initial weights and connections",
        budget=f"{PATIENCE} times the paper's mean",
        cases=cases,
        rows=rows,
        columns=COLUMNS,
        published=PUBLISHED,
    ),
    figure="",  # it has too many rows for one
)
