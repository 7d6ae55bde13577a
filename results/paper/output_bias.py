"""Why a bias of the output delays the adding problem: the output's weights, with and without it.

    .venv/bin/python results/paper/output_bias.py

Sixteen trials a row of table 7's network with a linear output of this step's cells. In one reading
there are all biases, but the output's weights from the cells start at 1 or -1 instead of near 0.
Writes output_bias.md beside itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

import longlag
from longlag.files import write_bytes
from longlag.learning.side_by_side import Trials
from longlag.studies.page import markdown, written_by

HERE = Path(__file__).resolve().parent
TRIALS, BUDGET, CELLS = 16, 300_000, 4
MOMENTS = (1_000, 10_000, 40_000)  # sequences after which weights are looked at
LARGE = "all, the output's weights start at ±1"
READINGS: dict[str, dict[str, Any]] = {
    "all": {"biases": "all"},
    "of the gates alone": {"biases": "gates"},
    LARGE: {"biases": "all"},
}


def learned(T: int, reading: str, sequences: int) -> list[Any]:
    """The trainings after so many sequences, or at their stops."""
    recipe = longlag.recipe(
        "paper-adding",
        **{"min_length": T, "output": "linear", "reads": "current", "max_sequences": sequences},
        **READINGS[reading],
    )
    trials = Trials(recipe, range(TRIALS), threads=os.cpu_count() or 1)
    if reading == LARGE:
        for one in trials.trainings:
            from_cells = one.learner.weights[-CELLS - 1 : -1]
            from_cells[:] = np.where(from_cells < 0, -1, 1)
    for _ in trials.rounds():
        pass
    return trials.trainings


def largest(training: Any) -> float:
    """The largest weight of the output from a cell, without its sign."""
    return float(np.abs(training.network.weights[1].ravel()[:CELLS]).max())


def row(T: int, reading: str) -> list[str]:
    """One reading: its output's weights at the moments, and when its trials stop."""
    medians = [np.median([largest(one) for one in learned(T, reading, n)]) for n in MOMENTS]
    ended = learned(T, reading, BUDGET)
    stopped = [one.iteration for one in ended if one.stopped_by == "target"]
    shown = f"{np.median(stopped):,.0f}" if stopped else "–"
    return [
        f"{T}",
        reading,
        *(f"{median:.2f}" for median in medians),
        f"{len(stopped)} of {TRIALS}",
        shown,
    ]


def main() -> None:
    asked = [(100, reading) for reading in READINGS] + [(500, LARGE)]
    head = ["T", "biases", *(f"after {n:,}" for n in MOMENTS), "stopped", "median sequences"]
    table = markdown([head, *(row(*one) for one in asked)])
    page = (
        "# The output's weights, with and without a bias\n\nThe adding problem of table 7 with a "
        f"linear output of this step's cells, {TRIALS} trials a row, each of at most {BUDGET:,} "
        "sequences. The columns in the middle have the median over trials of the output's largest "
        f"weight from a cell, without its sign.\n\n{table}\n\n"
        + written_by("python results/paper/output_bias.py")
    )
    write_bytes(HERE / "output_bias.md", page.encode())
    print(table)


if __name__ == "__main__":
    main()
