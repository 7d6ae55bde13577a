"""Table 7 with biases of the gates alone: neither cells nor the output have one.

    PYTHONPATH=results/paper longlag study biases:STUDY --out results/paper/biases

The output unit is linear, or up to T = 500 logistic, and reads this step's or the previous step's
cells. At T = 500 there are also biases of cells and gates, not of the output.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from longlag.studies.experiments import Line, study
from longlag.studies.table7 import PAPER

TRIALS, BUDGET = 10, 3_000_000
OUTPUTS = {"logistic": "sigmoid", "linear": "linear"}
BOTH = tuple(OUTPUTS)
READS = {"this": "current", "previous": "previous"}
SMALL = {"min_length": 14, "max_length": 15, "window": 100, "max_sequences": 1000}


def _readings(T: int, what: str, outputs: Sequence[str], biases: str) -> list[Line]:
    """A row each output unit, and each step whose cells it reads."""
    return [
        Line(
            f"{what}: {output}, {reads}",
            "paper-adding",
            {
                **{"min_length": T, "max_sequences": BUDGET, "biases": biases},
                **{"output": OUTPUTS[output], "reads": READS[reads]},
            },
            (PAPER[T],),
            SMALL,
        )
        for output, reads in itertools.product(outputs, READS)
    ]


LINES = [
    *_readings(100, "T = 100", BOTH, "gates"),
    *_readings(500, "T = 500", BOTH, "gates"),
    *_readings(1000, "T = 1000", ["linear"], "gates"),
    *_readings(500, "T = 500, cells with biases", ["linear"], "hidden"),
]

STUDY = study(
    "biases",
    LINES,
    (),
    TRIALS,
    title="Table 7 with biases of the gates alone",
    help="Table 7 of the paper with biases of the gates alone",
    budget=f"{BUDGET:,}",
    figure="",  # it has too many rows for one
)
