"""Tables 7, 8 and 9 with biases of the gates alone: neither cells nor the output have one.

    PYTHONPATH=results/paper longlag study biases:STUDY --out results/paper/biases

The output unit reads this step's or the previous step's cells. In tables 7 and 8 it is linear, or
up to T = 500 logistic; in table 9 it is logistic. At T = 500 there are also biases of cells and
gates, not of the output.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from longlag.studies import table7, table8
from longlag.studies.experiments import TEMPORAL_ORDER, Line, study

TRIALS, BUDGET = 10, 3_000_000
OUTPUTS = {"logistic": "sigmoid", "linear": "linear"}
BOTH = tuple(OUTPUTS)
READS = {"this": "current", "previous": "previous"}
SMALL = {"min_length": 14, "max_length": 15, "window": 100, "max_sequences": 1000}


def _readings(
    what: str,
    recipe: str,
    paper: Sequence[Mapping[str, Any]],
    outputs: Sequence[str],
    **changes: Any,
) -> list[Line]:
    """A row each output unit, and each step whose cells it reads."""
    found = []
    for output, reads in itertools.product(outputs, READS):
        own = {"output": OUTPUTS[output], "reads": READS[reads]}
        row = f"{what}: {output}, {reads}"
        found.append(Line(row, recipe, {"biases": "gates", **changes, **own}, paper, SMALL))
    return found


def _adding(T: int, what: str, outputs: Sequence[str], **changes: Any) -> list[Line]:
    changes = {"min_length": T, "max_sequences": BUDGET, **changes}
    return _readings(f"7, T = {T}{what}", "paper-adding", (table7.PAPER[T],), outputs, **changes)


LINES = [
    *_adding(100, "", BOTH),
    *_adding(500, "", BOTH),
    *_adding(1000, "", ["linear"]),
    *_adding(500, ", cells with biases", ["linear"], biases="hidden"),
    *_readings("8", "paper", table8.PAPER, BOTH, max_sequences=BUDGET),
    *(
        reading
        for line in TEMPORAL_ORDER
        for reading in _readings(
            f"9, {line.what.partition(':')[0]}",
            line.recipe,
            line.paper,
            ["logistic"],
            **line.changes,
        )
    ),
]

STUDY = study(
    "biases",
    LINES,
    (),
    TRIALS,
    title="Tables 7, 8 and 9 with biases of the gates alone",
    help="Tables 7, 8 and 9 of the paper with biases of the gates alone",
    budget=f"{BUDGET:,}, in table 9 ten times the paper's mean",
    figure="",  # it has too many rows for one
)
