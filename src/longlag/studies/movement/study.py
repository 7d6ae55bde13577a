"""Data movement in the training of an LSTM: the study of the data movement distance.

The output directory holds README.md (what was found), movement.csv (a line a case and byte width),
and four figures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longlag import files
from longlag.figures import style
from longlag.kernel import load_kernel
from longlag.movement import VARIANT
from longlag.runs import directory as runs
from longlag.studies.declaration import Request
from longlag.studies.movement import figures
from longlag.studies.movement import page as movement_page
from longlag.studies.movement.cases import ALGORITHMS, KINDS, WIDTHS, Case, Measured, measure
from longlag.studies.page import csv_text
from longlag.studies.result import Result
from longlag.sweeps.sweep import Observer, Progress

LENGTHS = (15, 30, 60, 120, 250, 500, 1000)
HIDDEN = (2, 4, 8, 16, 32)
BATCHES = (1, 2, 4, 8, 16, 32)
ORDERS = ("bptt", "bptt-fused", "bptt-each")
QUICK_LENGTHS, QUICK_HIDDEN, QUICK_BATCHES = (15, 30), (2, 8), (1, 2)
FITTED = 250  # exponents are fitted from this T up; in the quick form, over all of it


def _same(case: Case) -> Case:
    """The case that stands for this one: of one sequence, groups of any size are the same."""
    alone = case.algorithm == "bptt-each" and case.batch == 1
    return case._replace(algorithm="bptt-fused") if alone else case


class Results:
    """The measured cases, each measured once."""

    lengths: tuple[int, ...]
    hidden: tuple[int, ...]
    batches: tuple[int, ...]

    def __init__(self, quick: bool) -> None:
        self.lengths = QUICK_LENGTHS if quick else LENGTHS
        self.hidden = QUICK_HIDDEN if quick else HIDDEN
        self.batches = QUICK_BATCHES if quick else BATCHES
        self._measured: dict[Case, Measured] = {}

    def cases(self) -> list[Case]:
        """All of them, those of the headline first."""
        found = [Case("bptt"), Case("bptt", batch=self.batches[-1])]
        found += [Case(name, T=T) for name in ALGORITHMS for T in self.lengths]
        found += [Case(name, hidden=H) for name in ORDERS for H in self.hidden]
        found += [Case(name, batch=B) for name in ORDERS for B in self.batches]
        return list(dict.fromkeys(map(_same, found)))

    def run(self, observe: Observer) -> None:
        """Measures every case."""
        cases, start = self.cases(), time.monotonic()
        for n, case in enumerate(cases):
            self._measured[case] = measure(case)
            observe(Progress(len(cases), done=n + 1, elapsed=time.monotonic() - start))

    def __getitem__(self, case: Case) -> Measured:
        return self._measured[_same(case)]

    def all(self) -> list[Measured]:
        """Every measured case, in order."""
        return list(self._measured.values())

    def over_lengths(self, algorithm: str) -> list[Measured]:
        """One sequence, H = 8, against T."""
        return [self[Case(algorithm, T=T)] for T in self.lengths]


def exponent(lengths: Sequence[int], costs: Sequence[float]) -> float:
    """The slope of log cost in log T, by least squares over the T from FITTED up."""
    x, y = np.asarray(lengths, float), np.asarray(costs, float)
    used = (x >= FITTED) & (y > 0)
    if used.sum() < 2:
        used = y > 0
    if used.sum() < 2:
        return float("nan")
    return float(np.polyfit(np.log(x[used]), np.log(y[used]), 1)[0])


def exponents(results: Results) -> list[dict[str, Any]]:
    """By algorithm, at 4 bytes: the exponents of the cost and its parts, and if none is dropped."""
    four = WIDTHS.index(4)
    found = []
    for algorithm in ALGORITHMS:
        measured = results.over_lengths(algorithm)
        parts = {kind: [m.kinds[four, k] for m in measured] for k, kind in enumerate(KINDS)}
        parts |= {
            "cost": [m.costs[four] for m in measured],
            "nothing_dropped": [m.undropped[four] for m in measured],
        }
        slopes = {name: exponent(results.lengths, costs) for name, costs in parts.items()}
        found.append({"algorithm": algorithm, **slopes})
    return found


def carry_out(request: Request, observe: Observer) -> Result:
    """Runs the study to its end and writes its files; raises as `declaration.run`."""
    directory = runs.writable(request.directory)
    start = time.monotonic()
    results = Results(request.quick)
    results.run(observe)
    content = {
        "study": "movement",
        "variant": VARIANT,
        "quick": request.quick,
        "headline": headline(results),
        "exponents": exponents(results),
        "fitted_from": results.lengths[0] if request.quick else FITTED,
        "rows": [row for measured in results.all() for row in measured.rows()],
        "native": load_kernel() is not None,
        "elapsed_sec": time.monotonic() - start,
        "out": str(directory),
    }
    _write(request, results, content, directory)
    return Result(
        request.study.title,
        content,
        movement_page.cells(content),
        movement_page.remarks(content),
        lead=f"{VARIANT}; scalars of 4 bytes",
    )


def headline(results: Results) -> dict[str, Any]:
    """catalog, T = 30, 8 cells, in the reference's order: a training step."""
    return {
        f"batch_{batch}": {
            f"bytes_{width}": results[Case("bptt", batch=batch)].cost(width) for width in WIDTHS
        }
        for batch in (1, results.batches[-1])
    }


def _write(request: Request, results: Results, content: Mapping[str, Any], directory: Path) -> None:
    files.write_bytes(directory / "movement.csv", csv_text(content["rows"]).encode())
    pictures = {
        "length.png": figures.against_length(
            results.lengths, {name: results.over_lengths(name) for name in ALGORITHMS}
        ),
        "parts.png": figures.parts(
            [results[Case("bptt")]]
            + [results[Case(name, batch=results.batches[-1])] for name in ORDERS]
            + [results[Case(name, T=30)] for name in ("1997", "1997-sums")]
        ),
        "size.png": figures.against_size(
            {name: [results[Case(name, hidden=H)] for H in results.hidden] for name in ORDERS},
            {name: [results[Case(name, batch=B)] for B in results.batches] for name in ORDERS},
        ),
        "dropping.png": figures.dropping(
            results.lengths, {name: results.over_lengths(name) for name in ("bptt", "1997")}
        ),
    }
    for name, picture in pictures.items():
        files.write_bytes(directory / name, style.png(picture))
    page = movement_page.page(content, results, request.command)
    files.write_bytes(directory / "README.md", page.encode())
