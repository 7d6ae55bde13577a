"""Table 3, very long lags among distractors, with other initial weights and connections.

    PYTHONPATH=results/paper longlag study distractors:STUDY --out results/paper/distractors

What the lines do not name is as in the first one of each lag.
"""

from __future__ import annotations

from typing import Any

from longlag.studies.experiments import Line, study

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
SMALL = {"lag": 4, "distractors": 4, "window": 100, "max_sequences": 300}

LINES = [
    Line(
        f"q = p = {q}: {reading}",
        "paper-very-long-lag",
        {"lag": q, "distractors": q, **READINGS[reading]},
        ({"solved": "", "sequences": PAPER[q]},),
        SMALL,
    )
    for q, readings in AT.items()
    for reading in readings
]

STUDY = study(
    "distractors",
    LINES,
    (),
    TRIALS,
    title="Very long lags among distractors, with other initial weights and connections",
    help="Table 3 of the paper with other initial weights and connections",
    figure="",  # it has too many rows for one
)
