"""Table 8 of the paper: the multiplication problem, Experiment 5, at its two stopping points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longlag.learning.recipe import recipe
from longlag.studies.online_rows import Published
from longlag.studies.online_study import Case, Study

# Its "MSE" column is printed here as the paper prints it; docs/table8.md says what it must be.
PAPER = (
    Published(sequences=482_000, wrong=139, mse=0.0223),
    Published(sequences=1_273_000, wrong=14, mse=0.0139),
)
QUICK = {"min_length": 14, "max_sequences": 300_000}


def cases(settings: Mapping[str, Any], *, quick: bool, full: bool) -> tuple[Case, ...]:
    """One case, the paper's; `full` adds nothing, `quick` has short sequences."""
    return (Case(recipe("paper", **(QUICK if quick else {}) | dict(settings)), PAPER),)


STUDY = Study(
    name="table8",
    title="Table 8: the multiplication problem (Experiment 5)",
    cases=cases,
)
