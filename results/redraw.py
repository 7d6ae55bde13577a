"""Draws figures of studies again from what lies beside them; no trial is run.

python results/redraw.py    # lag/figure.png, paper/table7/solved.png, table8/**/solved.png
"""

from __future__ import annotations

import csv
import re
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from longlag.figures import lag_scaling, solved_share, style
from longlag.files import write_bytes
from longlag.statistics import bootstrap_mean, clopper_pearson
from longlag.studies import table7, table8
from longlag.studies.cases import STRICT

HERE = Path(__file__).parent
PAPER = {(100, stop): paper for stop, paper in zip((140, 13), table8.PAPER, strict=True)}
PAPER |= {(T, 1): paper for T, paper in table7.PAPER.items()}
Line = dict[str, str]


def trials(directory: Path) -> list[Line]:
    """The lines of a study's trials.csv."""
    with (directory / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def title(directory: Path) -> str:
    """The title of a study's table."""
    return (directory / "table.md").read_text().partition("\n")[0].removeprefix("# ")


def lag(directory: Path) -> Figure:
    """Sequences, seconds and rates against T."""

    def point(T: str, own: list[Line]) -> lag_scaling.Point:
        solved = [line for line in own if line[STRICT]]
        rate, interval = len(solved) / len(own), clopper_pearson(len(solved), len(own))
        counts = ([float(line[name]) for line in solved] for name in ("sequences", "seconds"))
        return lag_scaling.Point(int(T), rate, interval, *counts)

    series = [
        lag_scaling.Series(
            name, [point(T, [*own]) for T, own in groupby(mine, lambda line: line["T"])]
        )
        for name, mine in groupby(trials(directory), lambda line: line["recipe"])
    ]
    return lag_scaling.draw(series, title(directory))


def solved(directory: Path) -> Figure:
    """The share of trials that have stopped."""
    asked = re.search(r"at most ([\d,]+) sequences; (.*)\.", (directory / "table.md").read_text())
    assert asked is not None
    budget = int(asked[1].replace(",", ""))
    points: dict[tuple[int, int], list[Line]] = {}
    for line in trials(directory):
        points.setdefault((int(line["T"]), int(line["n_seq"])), []).append(line)

    def curve(T: int, n_seq: int, own: list[Line]) -> solved_share.Curve:
        reached = [int(line["sequences"]) for line in own if line["reached"] == "1"]
        counted = reached + [budget] * (len(own) - len(reached))
        return solved_share.Curve(
            label=f"T = {T}" if n_seq == 1 else f"fewer than {n_seq} wrong",
            sequences=reached,
            trials=len(own),
            budget=budget,
            mean=sum(counted) / len(counted),
            interval=bootstrap_mean(counted),
            restricted=len(reached) < len(own),
            paper=PAPER[T, n_seq]["sequences"],
        )

    curves = [curve(*point, own) for point, own in points.items()]
    return solved_share.draw(curves, title(directory), asked[2])


def stopped() -> list[Path]:
    """The pictures of shares that are drawn here."""
    return [HERE / "paper" / "table7" / "solved.png", *(HERE / "table8").rglob("solved.png")]


def main() -> None:
    write_bytes(HERE / "lag" / "figure.png", style.png(lag(HERE / "lag")))
    for path in stopped():
        write_bytes(path, style.png(solved(path.parent)))


if __name__ == "__main__":
    main()
