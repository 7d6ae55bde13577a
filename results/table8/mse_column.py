"""What the paper's "MSE" column can be: bounds from its own numbers, and errors measured here.

    .venv/bin/python results/table8/mse_column.py

Bounds: answers and targets lie in [0, 1], so an error is at most 1, and at most 0.04 where the
answer counts as correct. Measured: fresh RMSE, mean absolute error and MSE of the trials here,
of the main reading and every variant, against their number of wrong answers; a straight line in
the logarithms gives what goes with the paper's 139 and 14. Writes mse_column.md beside itself.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from longlag.files import write_bytes
from longlag.studies.page import written_by

HERE = Path(__file__).resolve().parent
N, TOLERANCE = 2560, 0.04
PAPER = {140: (139, 0.0223), 13: (14, 0.0139)}
MEASURES = {"RMSE": "fresh_rmse", "mean absolute error": "fresh_mae", "MSE": "fresh_mse"}
RESAMPLES = 2000


def bounds(wrong: int) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each measure with so many of 2560 errors above 0.04."""
    share = wrong / N
    mae = (share * TOLERANCE, share + (1 - share) * TOLERANCE)
    mse = (share * TOLERANCE**2, share + (1 - share) * TOLERANCE**2)
    return {"MSE": mse, "RMSE": (mse[0] ** 0.5, mse[1] ** 0.5), "mean absolute error": mae}


def measured() -> list[dict[str, str]]:
    """Every trial at every stopping point that it reached, of every reading."""
    paths = [HERE / "trials.csv", *sorted(HERE.glob("variants/*/trials.csv"))]
    lines = [line for path in paths for line in csv.DictReader(path.read_text().splitlines())]
    return [line for line in lines if line["reached"] == "1"]


def at(lines: list[dict[str, str]], name: str, wrong: int) -> tuple[float, float, float]:
    """The measure at `wrong` on the line through these trials, and its 95 % bootstrap interval."""
    x = np.log([float(line["fresh_wrong"]) for line in lines])
    y = np.log([float(line[name]) for line in lines])

    def line(rows: np.ndarray) -> float:
        slope, start = np.polyfit(x[rows], y[rows], 1)
        return float(np.exp(start + slope * np.log(wrong)))

    rng = np.random.default_rng(0)
    drawn = [line(rng.integers(len(x), size=len(x))) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return line(np.arange(len(x))), float(low), float(high)


def main() -> None:
    lines = measured()
    head = ("stop", "measure", "least possible", "largest possible", "measured here", "paper")
    rows = [head, ("---",) * len(head)]
    for n_seq, (wrong, printed) in PAPER.items():
        own = [line for line in lines if int(line["n_seq"]) == n_seq]
        for name, column in MEASURES.items():
            low, high = bounds(wrong)[name]
            value, least, most = at(own, column, wrong)
            possible = "" if low <= printed <= high else " (impossible)"
            here = f"{value:.5f} ({least:.5f} to {most:.5f})"
            ends = f"{low:.5f}", f"{high:.5f}"
            rows.append((f"{n_seq}: {wrong} wrong", name, *ends, here, f"{printed}{possible}"))
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    page = (
        "# What the paper's \"MSE\" column can be\n\nPossible: with the paper's number of wrong "
        "answers of 2560, for any errors whatever. Measured here: at that number of wrong answers, "
        f"on a line through the {len(lines)} stops of all trials of all readings, with its 95 % "
        f"bootstrap interval.\n\n{body}\n\n" + written_by("python results/table8/mse_column.py")
    )
    write_bytes(HERE / "mse_column.md", page.encode())
    print(page)


if __name__ == "__main__":
    main()
