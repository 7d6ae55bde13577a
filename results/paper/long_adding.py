"""The adding problem at T = 500 and 1000 under readings of the paper that differ in one thing.

    PYTHONPATH=results/paper longlag study long_adding:STUDY --out results/paper/long_adding

What the lines do not name is as in the first one of each length.
"""

from __future__ import annotations

from typing import Any

from longlag.studies.declaration import Study
from longlag.studies.experiments import Line, study
from longlag.studies.table7 import PAPER

Settings = dict[str, Any]

BUDGET, TRIALS = 2_000_000, 10
MAIN: Settings = {"output": "linear", "reads": "current"}
SLOW: Settings = {"learning_rate": 0.1}
READINGS: dict[int, dict[str, Settings]] = {
    500: {
        "linear output of this step's cells, rate 0.5": {},
        "the previous step's cells": {"reads": "previous"},
        "logistic output": {"output": "sigmoid"},
        "rate 0.25, or eq. 19": {"error": "halved"},
        "rate 0.1": SLOW,
        "rate 0.05": {"learning_rate": 0.05},
        "rate 0.02": {"learning_rate": 0.02},
        "full gradient": {"gradient": "full"},
        "full gradient, rate 0.1": SLOW | {"gradient": "full"},
        "first mark shown": {"first_mark": "shown"},
        "input gates -1, -2": {"input_gate_bias": -1.0},
        "input gates -6, -12": {"input_gate_bias": -6.0},
        "input gates -6, -12, rate 0.1": SLOW | {"input_gate_bias": -6.0},
        "input gates -5, -6": {"input_gate_bias": -5.0, "input_gate_step": -1.0},
        "input gates drawn": {"input_gate_bias": 0.0},
        "biases of the gates alone": {"biases": "gates"},
        "biases of the gates alone, rate 0.1": SLOW | {"biases": "gates"},
        "initial weights in ±0.01": {"initial_range": 0.01},
        "initial weights in ±0.2": {"initial_range": 0.2},
        "output starts at 0.5": {"output_bias": 0.5},
        "output starts at 0.5, rate 0.1": SLOW | {"output_bias": 0.5},
        "every sequence has 500 steps": {"max_length": 500},
    },
    1000: {
        "linear output of this step's cells, rate 0.5": {},
        "rate 0.1": SLOW,
        "biases of the gates alone, rate 0.1": SLOW | {"biases": "gates"},
        "input gates -6, -12, rate 0.1": SLOW | {"input_gate_bias": -6.0},
    },
}
SMALL = {"min_length": 14, "max_length": 15, "window": 100, "max_sequences": 1000}


def line(T: int, what: str, budget: int, changes: Settings) -> Line:
    """A row of the adding problem at a T of table 7."""
    settings = {"min_length": T, "max_sequences": budget, **changes}
    return Line(what, "paper-adding", settings, (PAPER[T],), SMALL)


def of_adding(name: str, title: str, lines: list[Line], trials: int, budget: int) -> Study:
    """A study of such rows, which has too many of them for a figure."""
    said = f"{budget:,}"
    return study(name, lines, (), trials, title=title, help=title, budget=said, figure="")


LINES = [
    line(T, f"T = {T}: {reading}", BUDGET, {**MAIN, **changes})
    for T, readings in READINGS.items()
    for reading, changes in readings.items()
]

STUDY = of_adding(
    "long-adding",
    "The adding problem at T = 500 and 1000 under many readings",
    LINES,
    TRIALS,
    BUDGET,
)
