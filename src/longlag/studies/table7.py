"""Table 7 of the paper: the adding problem, Experiment 4, at three lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longlag.learning.recipe import recipe
from longlag.studies.online_rows import Published
from longlag.studies.online_study import Case, Study

PAPER = {
    100: Published(sequences=74_000, wrong=1),
    500: Published(sequences=209_000, wrong=0),
    1000: Published(sequences=853_000, wrong=1),
}
QUICK = {"min_length": 14, "max_sequences": 100_000}


def cases(settings: Mapping[str, Any], *, quick: bool, full: bool) -> tuple[Case, ...]:
    """T = 100 and 500, with `full` also 1000; `quick` has one case of short sequences."""
    if quick:
        made = recipe("paper-adding", **QUICK | dict(settings))
        return (Case(made, (PAPER[100],)),)
    lengths = (100, 500, 1000) if full else (100, 500)
    return tuple(
        Case(recipe("paper-adding", **{"min_length": T} | dict(settings)), (PAPER[T],))
        for T in lengths
    )


STUDY = Study(name="table7", title="Table 7: the adding problem (Experiment 4)", cases=cases)
