"""Runs `longlag study table8` for every reading of the paper's details, and puts them side by side.

    .venv/bin/python results/table8/variants.py [--trials 16] [--workers N]

The main reading is in this directory, the others in variants/; what is there already is not run
again. Writes variants.md and variants.csv beside itself.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from longlag.files import write_bytes
from longlag.studies.page import markdown, written_by

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VARIANTS: dict[str, tuple[str, ...]] = {
    "main": (),
    "previous-shown": ("--first-mark", "shown"),
    "current": ("--reads", "current"),
    "current-halved": ("--reads", "current", "--error", "halved"),
    "current-full": ("--reads", "current", "--gradient", "full"),
    "current-shown": ("--reads", "current", "--first-mark", "shown"),
    "current-every-2000": ("--reads", "current", "--check-every", "2000"),
}
WORDS = {
    "main": "**previous** step's cells, eq. 16, truncated, mark hidden, every sequence (main)",
    "previous-shown": "previous step's cells, mark **shown**",
    "current": "**current** step's cells",
    "current-halved": "current step's cells, eq. 19 (**halved**)",
    "current-full": "current step's cells, **full** gradient",
    "current-shown": "current step's cells, mark **shown**",
    "current-every-2000": "current step's cells, rule looked at **every 2000**",
}
LARGE = ("main", "current")  # readings with more trials
HEAD = (
    *("reading", "n_seq", "trials", "solved", "mean sequences", "95 % interval", "of 10 trials"),
    *("wrong of 2560", "range", "RMSE", "paper inside"),
)
RESAMPLES = 20_000


def study(name: str, trials: int, workers: int | None) -> dict[str, Any]:
    """A reading's JSON."""
    out = "results/table8" if name == "main" else f"results/table8/variants/{name}"
    words = [sys.executable, "-m", "longlag.cli", "study", "table8", *VARIANTS[name]]
    words += ["--out", out, "--trials", str(trials), "--json"]
    words += [] if workers is None else ["--workers", str(workers)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout)


def means_of_ten(content: dict[str, Any], n_seq: int) -> tuple[float, float]:
    """Where 95 % of the means of ten trials lie, resampled from these (budget for unsolved)."""
    import numpy as np

    lines = (ROOT / content["out"] / "trials.csv").read_text().splitlines()
    budget = content["max_sequences"]
    counted = [
        int(line["sequences"]) if line["reached"] == "1" else budget
        for line in csv.DictReader(lines)
        if int(line["n_seq"]) == n_seq
    ]
    rng = np.random.default_rng(0)
    means = rng.choice(counted, size=(RESAMPLES, 10)).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def lines(name: str, content: dict[str, Any]) -> list[dict[str, Any]]:
    """A reading's lines of the table, one a stopping point."""
    made = []
    for row in content["rows"]:
        seen, wrong, paper = row["sequences"], row["wrong"], row["paper"]
        low, high = means_of_ten(content, row["n_seq"])
        values = (
            *(WORDS[name], row["n_seq"], content["trials"], row["solved"]),
            f"{'≥ ' if seen['restricted'] else ''}{seen['mean']:,.0f}",
            "{:,.0f} to {:,.0f}".format(*seen["interval"]),
            f"{low:,.0f} to {high:,.0f}",
            "–" if wrong["mean"] is None else f"{wrong['mean']:.1f}",
            "–" if wrong["mean"] is None else f"{wrong['min']} to {wrong['max']}",
            "–" if row["rmse"] is None else f"{row['rmse']:.4f}",
            "yes" if low <= paper["sequences"] <= high else "no",
        )
        made.append(dict(zip(HEAD, values, strict=True)))
    return made


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--trials", type=int, default=16)
    flags.add_argument("--main-trials", type=int, default=32)
    flags.add_argument("--workers", type=int)
    args = flags.parse_args()
    rows = []
    for name in VARIANTS:
        trials = args.main_trials if name in LARGE else args.trials
        rows += lines(name, study(name, trials, args.workers))
        print(f"{name}: done", file=sys.stderr)
    text = io.StringIO()
    writer = csv.DictWriter(text, HEAD)
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(HERE / "variants.csv", text.getvalue().encode())
    body = markdown([HEAD, *([str(row[c]) for c in HEAD] for row in rows)])
    page = (
        "# Table 8 under every reading of the paper's details\n\nWhat a line does not name is "
        "as in the first. The paper has 482,000 and 1,273,000 sequences, and 139 and 14 wrong of "
        '2560. "≥": trials that did not stop within 3,000,000 sequences count with these. "Of 10 '
        f'trials": 95 % of the means of ten, resampled {RESAMPLES:,} times from these trials; '
        '"paper inside": whether its mean of ten lies there.\n\n'
        f"{body}\n\n" + written_by(f"python results/table8/variants.py --trials {args.trials}")
    )
    write_bytes(HERE / "variants.md", page.encode())
    print(body)


if __name__ == "__main__":
    main()
