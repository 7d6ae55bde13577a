"""Where the adding problem's wrong answers lie: by target, after 200,000 training sequences.

    .venv/bin/python results/paper/where_wrong.py

Sixteen trials a reading at T = 100; 20,000 fresh sequences answered by each trial's network. Writes
where_wrong.md beside itself.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import longlag
from longlag.files import write_bytes
from longlag.learning.side_by_side import Trials
from longlag.studies.page import markdown, written_by
from longlag.tasks.score import TOLERANCE

HERE = Path(__file__).resolve().parent
TRIALS, SEQUENCES, FRESH = 16, 200_000, 20_000
BANDS = (0.0, 0.1, 0.3, 0.7, 0.9, 1.0)
READINGS: dict[str, dict[str, Any]] = {
    "main reading": {},
    "current step's cells": {"reads": "current"},
    "eq. 19 (halved)": {"error": "halved"},
    "mark on the first pair shown": {"first_mark": "shown"},
    "rate 0.1": {"learning_rate": 0.1},
    "linear output": {"output": "linear"},
    "input-gate biases drawn like all weights": {"input_gate_bias": 0.0},
}


def row(label: str, settings: dict[str, Any]) -> list[str]:
    """One reading: trials that stopped, the window, and the share of wrong answers by target."""
    recipe = longlag.recipe("paper-adding", max_sequences=SEQUENCES, **settings)
    trials = Trials(recipe, range(TRIALS), threads=os.cpu_count() or 1)
    for _ in trials.rounds():
        pass
    data = recipe.task.sample(FRESH, np.random.default_rng(5))
    wrong = np.zeros(len(BANDS) - 1)
    for one in trials.trainings:
        answers = trials.engine.predict(one.network, data.inputs, data.lengths)
        error = np.abs(answers - data.targets)
        wrong += np.histogram(data.targets[error > TOLERANCE], BANDS)[0]
    share = wrong / (TRIALS * np.histogram(data.targets, BANDS)[0])
    stopped = sum(one.stopped_by == "target" for one in trials.trainings)
    window = np.array([int(one.learner.wrong) for one in trials.trainings])
    return [
        label,
        f"{stopped} of {TRIALS}",
        f"{np.median(window):.0f} ({window.min()} to {window.max()})",
        *(f"{100 * s:.1f} %" for s in share),
    ]


def main() -> None:
    bands = [f"{a:g} to {b:g}" for a, b in pairwise(BANDS)]
    head = ["reading", "stopped", "wrong in the last 2000, median (range)"]
    head += [f"wrong, target {band}" for band in bands]
    table = markdown([head, *(row(*reading) for reading in READINGS.items())])
    page = (
        f"# Where the wrong answers of the adding problem lie\n\n{TRIALS} trials a reading at "
        f"T = 100 after {SEQUENCES:,} training sequences; shares are of {FRESH:,} fresh sequences, "
        f"over all trials. What a line does not name is as in the main reading.\n\n{table}\n\n"
        + written_by("python results/paper/where_wrong.py")
    )
    write_bytes(HERE / "where_wrong.md", page.encode())
    print(table)


if __name__ == "__main__":
    main()
