"""Tables 7, 8 and 9 with biases of the gates alone: neither cells nor the output have one.

    PYTHONPATH=results/paper longlag study biases:STUDY --out results/paper/biases

The output unit is logistic or, in tables 7 and 8, linear too, and it reads this step's or the
previous step's cells. At T = 500 there are also biases of cells and gates, not of the output.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from longlag.studies import table7, table8
from longlag.studies.experiments import TEMPORAL_ORDER, Line, study

TRIALS, BUDGET = 10, 3_000_000
OUTPUTS = {"logistic": "sigmoid", "linear": "linear"}
READS = {"this": "current", "previous": "previous"}
SMALL = {"min_length": 14, "max_length": 15, "window": 100, "max_sequences": 1000}


def _readings(
    what: str, recipe: str, paper: Sequence[Mapping[str, Any]], changes: Mapping[str, Any]
) -> list[Line]:
    """A row each output unit, and each step whose cells it reads."""
    outputs = ("logistic",) if recipe.startswith("paper-temporal") else OUTPUTS
    found = []
    for output, reads in itertools.product(outputs, READS):
        own = {"output": OUTPUTS[output], "reads": READS[reads]}
        row = f"{what}: {output}, {reads}"
        found.append(Line(row, recipe, {"biases": "gates", **changes, **own}, paper, SMALL))
    return found


def _lines() -> list[Line]:
    lines = []
    for T, printed in table7.PAPER.items():
        changes = {"min_length": T, "max_sequences": BUDGET}
        lines += _readings(f"7, T = {T}", "paper-adding", (printed,), changes)
    hidden = {"min_length": 500, "max_sequences": BUDGET, "biases": "hidden"}
    lines += _readings(
        "7, T = 500, cells with biases", "paper-adding", (table7.PAPER[500],), hidden
    )
    lines += _readings("8", "paper", table8.PAPER, {"max_sequences": BUDGET})
    for line in TEMPORAL_ORDER:
        what = f"9, {line.what.partition(':')[0]}"
        lines += _readings(what, line.recipe, line.paper, line.changes)
    return lines


STUDY = study(
    "biases",
    _lines(),
    (),
    TRIALS,
    title="Tables 7, 8 and 9 with biases of the gates alone",
    help="Tables 7, 8 and 9 of the paper with biases of the gates alone",
    budget=f"{BUDGET:,}, in table 9 ten times the paper's mean",
    figure="",  # it has too many rows for one
)
