"""Table 7 with biases of the gates alone: neither cells nor the output have one.

    PYTHONPATH=results/paper longlag study biases:STUDY --out results/paper/biases

The output unit is linear, or up to T = 500 logistic, and reads this step's or the previous step's
cells. At T = 500 there are also biases of cells and gates, not of the output.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from long_adding import line, of_adding

from longlag.studies.experiments import Line

TRIALS, BUDGET = 10, 3_000_000
OUTPUTS = {"logistic": "sigmoid", "linear": "linear"}
BOTH = tuple(OUTPUTS)
READS = {"this": "current", "previous": "previous"}


def _readings(T: int, what: str, outputs: Sequence[str], biases: str) -> list[Line]:
    """A row each output unit, and each step whose cells it reads."""
    return [
        line(
            T,
            f"{what}: {output}, {reads}",
            BUDGET,
            {"biases": biases, "output": OUTPUTS[output], "reads": READS[reads]},
        )
        for output, reads in itertools.product(outputs, READS)
    ]


LINES = [
    *_readings(100, "T = 100", BOTH, "gates"),
    *_readings(500, "T = 500", BOTH, "gates"),
    *_readings(1000, "T = 1000", ["linear"], "gates"),
    *_readings(500, "T = 500, cells with biases", ["linear"], "hidden"),
]

STUDY = of_adding("biases", "Table 7 with biases of the gates alone", LINES, TRIALS, BUDGET)
