"""Table 3, very long lags among distractors, with other initial weights and connections.

    PYTHONPATH=results/paper longlag study distractors:STUDY --out results/paper/distractors

What the lines do not name is as in the first one of each lag.
"""

from __future__ import annotations

from typing import Any

from longlag.studies.experiments import Line, study

Settings = dict[str, Any]

TRIALS = 10
PAPER = {  # its mean of sequences, by q and p
    **{(50, 50): 30_000, (100, 100): 31_000, (200, 200): 33_000, (500, 500): 38_000},
    **{(1000, 1000): 49_000, (1000, 500): 49_000, (1000, 200): 75_000, (1000, 100): 135_000},
    (1000, 50): 203_000,
}
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

# What was run at which lag, with how many distractors.
ALONE = "no recurrent connections"
FEWER = ("as the paper has it", "initial weights in ±0.02", ALONE)
AT = dict.fromkeys(PAPER, (ALONE,)) | {
    (50, 50): FEWER,
    (100, 100): tuple(READINGS),
    (200, 200): FEWER,
}
SMALL = {"lag": 4, "distractors": 4, "window": 100, "max_sequences": 300}

LINES = [
    Line(
        f"q = {q}, p = {p}: {reading}",
        "paper-very-long-lag",
        {"lag": q, "distractors": p, **READINGS[reading]},
        ({"solved": "", "sequences": PAPER[q, p]},),
        SMALL,
    )
    for (q, p), readings in AT.items()
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
