"""Tables 7, 8 and 9 under eight readings of the paper, and which of them fits best.

    python results/paper/readings.py [--tables 7,8,9] [--trials 30] [--workers N]

The readings: the output unit logistic or linear, it reads this step's or the previous step's
cells, the error is that of eq. 16 or half of it, as eq. 19 has it. Runs `longlag study` for each,
with the ledger of all the paper's trials, so that what is there already is not run again. Writes
`readings.md`, and every trial to `readings.csv`.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.files import write_bytes
from longlag.studies.page import written_by

HERE = Path(__file__).resolve().parent
WORK = HERE / "readings"
TABLES = ("7", "8", "9")
READINGS = tuple(
    itertools.product(("sigmoid", "linear"), ("current", "previous"), ("squared", "halved"))
)
WORDS = {
    **{"sigmoid": "logistic", "linear": "linear", "current": "this", "previous": "previous"},
    **{"squared": "eq. 16", "halved": "eq. 19"},
}
PAPERS_TRIALS = 10
AT_MOST = {"9": 10}  # trials of a row, where one that does not stop takes minutes
RESAMPLES, DRAWS = 20_000, 2_000
TRIED = ("reading", "table", "row")  # columns before those of a study's trials


# -- running --------------------------------------------------------------------------------------


def study(table: str, reading: tuple[str, ...], trials: int, workers: int | None) -> Any:
    """A study's JSON, each of its rows with its trials."""
    output, reads, error = reading
    out = WORK / "-".join((f"table{table}", *reading))
    words = [sys.executable, "-m", "longlag.cli", "study", f"table{table}", "--json"]
    words += ["--output", output, "--reads", reads, "--error", error, "--trials", str(trials)]
    words += ["--out", str(out), "--ledger", str(HERE / "ledger.sqlite")]
    words += [] if workers is None else ["--workers", str(workers)]
    content = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    with (out / "trials.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for row in content["rows"]:
        row["name"] = _name(table, row)
        row["lines"] = [line for line in lines if _is_of(line, row)]
        if len(row["lines"]) != trials:
            raise SystemExit(f"{out}: {len(row['lines'])} trials of {row['name']}, not {trials}")
    return content


def _trials(table: str, asked: int) -> int:
    return min(asked, AT_MOST.get(table, asked))


def _name(table: str, row: dict[str, Any]) -> str:
    if table == "9":
        return f"9: {row['what'].split(':')[0]}"
    return f"7: T = {row['min_length']}" if table == "7" else f"8: n_seq = {row['n_seq']}"


def _is_of(line: dict[str, str], row: dict[str, Any]) -> bool:
    same = "what" if "what" in row else "min_length"
    return line["n_seq"] == str(row["n_seq"]) and line.get("what", line.get("T")) == str(row[same])


# -- judging --------------------------------------------------------------------------------------


def factor(counts: NDArray[Any], row: dict[str, Any]) -> float:
    """By which the mean of such trials and the paper's differ, at least 1."""
    return float(np.exp(abs(np.log(counts.mean() / row["paper"]["sequences"]))))


def factors(rows: list[dict[str, Any]], rng: np.random.Generator | None = None) -> list[float]:
    """The factor of each row, of all its trials or of ten of them drawn at random."""
    return [
        factor(row["counts"] if rng is None else rng.choice(row["counts"], PAPERS_TRIALS), row)
        for row in rows
    ]


def typical(factors: list[float]) -> float:
    """Their geometric mean."""
    return float(np.exp(np.log(factors).mean()))


def means_of_ten(counts: NDArray[Any]) -> tuple[float, float]:
    """Where 95 % of the means of ten such trials lie."""
    means = np.random.default_rng(0).choice(counts, size=(RESAMPLES, PAPERS_TRIALS)).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


# -- writing --------------------------------------------------------------------------------------


def in_words(reading: tuple[str, ...]) -> str:
    """A reading, as the page has it."""
    return ", ".join(WORDS[word] for word in reading)


def of_row(row: dict[str, Any]) -> str:
    """A cell of the page: the mean, whether the paper's fits, solved trials, wrong answers."""
    trials = len(row["counts"])
    low, high = means_of_ten(row["counts"])
    fits = low <= row["paper"]["sequences"] <= high
    least = "" if row["solved"] == trials else "≥ "
    mean = f"{least}{row['counts'].mean() / 1000:,.0f}"
    wrong = "–" if row["wrong"]["mean"] is None else f"{row['wrong']['mean']:.1f}"
    return f"{f'**{mean}**' if fits else mean} ({row['solved']} of {trials}; {wrong})"


def page(tried: dict[tuple[str, ...], list[Any]], tables: list[str], trials: int) -> str:
    """`readings.md`."""
    first = next(iter(tried.values()))
    names = [row["name"] for row in first]
    paper = [
        f"{row['paper']['sequences'] / 1000:,.0f} (10 of 10; {row['paper']['wrong']})"
        for row in first
    ]
    differ = {reading: typical(factors(rows)) for reading, rows in tried.items()}
    rng = np.random.default_rng(0)
    drawn = [[typical(factors(rows, rng)) for rows in tried.values()] for _ in range(DRAWS)]
    best = np.bincount(np.argmin(drawn, axis=1), minlength=len(tried)) / DRAWS
    share = dict(zip(tried, best, strict=True))
    lines = [["output, cells, error", *names, "factor", "best"], ["---"] * (len(names) + 3)]
    lines.append(["**paper**", *paper, "", ""])
    for reading in sorted(tried, key=differ.__getitem__):
        cells = [of_row(row) for row in tried[reading]]
        lines.append([in_words(reading), *cells, f"{differ[reading]:.2f}", f"{share[reading]:.1%}"])
    nearest = [
        f"- {name}: {in_words(min(tried, key=lambda reading: factors(tried[reading])[k]))}."
        for k, name in enumerate(names)
    ]
    numbers = f"{trials} trials a row and reading"
    fewer = [f"{_trials(table, trials)} of table {table}" for table in tables if table in AT_MOST]
    numbers = ", ".join((numbers, *fewer))
    return (
        f"# Tables {', '.join(tables)} under eight readings\n\n{numbers}. A cell has the mean of "
        "training sequences in thousands (restricted to the budget where trials did not stop, "
        "marked ≥), in bold where the paper's mean lies within 95 % of our means of "
        f"{PAPERS_TRIALS}; then the trials solved, and the mean number of wrong answers of "
        "2560.\n\n"
        "*Factor*: by which our means and the paper's differ, the geometric mean over the rows; a "
        "budget counts as a mean, so that the true factor may be larger. *Best*: how often the "
        f"reading has the smallest factor in {DRAWS:,} draws of ten trials of each row.\n\n"
        + "\n".join("| " + " | ".join(line) + " |" for line in lines)
        + "\n\nThe nearest reading for each row alone:\n\n"
        + "\n".join(nearest)
        + "\n\n"
        + written_by(
            f"python results/paper/readings.py --tables {','.join(tables)} --trials {trials}"
        )
    )


def main() -> None:
    flags = argparse.ArgumentParser(
        description="Tables 7, 8 and 9 under eight readings of the paper."
    )
    flags.add_argument("--tables", default=",".join(TABLES), help="some of 7,8,9")
    flags.add_argument("--trials", type=int, default=30)
    flags.add_argument("--workers", type=int)
    args = flags.parse_args()
    tables = args.tables.split(",")
    if not {*tables} <= {*TABLES}:
        flags.error(f"--tables must be some of {','.join(TABLES)}, not {args.tables}")
    tried: dict[tuple[str, ...], list[Any]] = {reading: [] for reading in READINGS}
    data: list[dict[str, Any]] = []
    for table, reading in itertools.product(tables, READINGS):
        content = study(table, reading, _trials(table, args.trials), args.workers)
        for row in content["rows"]:
            row["reached"] = np.array([line["reached"] == "1" for line in row["lines"]])
            taken = [int(line["sequences"]) for line in row["lines"]]
            row["counts"] = np.where(row["reached"], taken, row["max_sequences"])
            named = dict(zip(TRIED, (in_words(reading), table, row["name"]), strict=True))
            data += [named | line for line in row["lines"]]
        tried[reading] += content["rows"]
        print(f"table {table}, {in_words(reading)}: done", file=sys.stderr)
    columns = list(dict.fromkeys(itertools.chain.from_iterable(data)))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(data)
    write_bytes(HERE / "readings.csv", text.getvalue().encode())
    write_bytes(HERE / "readings.md", page(tried, tables, args.trials).encode())


if __name__ == "__main__":
    main()
