"""Tables 4, 5 and 6 at T = 100, the two-sequence problem, with smaller steps.

    PYTHONPATH=results/paper longlag study two_sequence:STUDY --out results/paper/two_sequence

The rows of the tables as they are, with the error of eq. 19, which halves the gradient, and with a
quarter of the paper's learning rate.
"""

from __future__ import annotations

from dataclasses import replace

from longlag.learning.recipe import recipe
from longlag.studies.experiments import TWO_SEQUENCE, Line, study

TRIALS, LENGTH = 30, 100


def _variants(number: int, line: Line) -> list[Line]:
    rate = recipe(line.recipe).settings()["learning_rate"]
    steps = {
        "eq. 16": {},
        "eq. 19": {"error": "halved"},
        f"rate {rate / 4:g}": {"learning_rate": rate / 4},
    }
    return [
        replace(line, what=f"{number}: {line.what}, {name}", changes={**line.changes, **change})
        for name, change in steps.items()
    ]


LINES = [
    variant
    for number, lines in TWO_SEQUENCE.items()
    for line in lines
    if line.changes["min_length"] == LENGTH
    for variant in _variants(number, line)
]

STUDY = study(
    "two-sequence",
    LINES,
    (),
    TRIALS,
    title="The two-sequence problem with smaller steps",
    help="Tables 4, 5 and 6 of the paper at T = 100 with smaller steps",
    figure="",  # it has too many rows for one
)
