"""Confirms the robust recipe on seeds that were not used to tune it.

    .venv/bin/python results/robust/confirm.py

Every seed is trained with `longlag train --seed S --json`; the run is then scored on 25,600 fresh
sequences with `longlag evaluate RUN --n 25600 --json`. Writes table.csv and table.md beside itself.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from longlag.criteria import STRICT_SHARE
from longlag.files import write_bytes
from longlag.report import table
from longlag.statistics import clopper_pearson

HERE = Path(__file__).resolve().parent
FRESH = 25_600
COLUMNS = ("seed", "solved", "sequences", "seconds", "wrong of 2560", "wrong of 25600", "share")


def longlag(*args: str) -> dict[str, Any]:
    """A command's JSON."""
    words = [sys.executable, "-m", "longlag.cli", *args, "--json"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def confirm(seed: int, length: int) -> dict[str, Any]:
    """Trains and judges one seed."""
    with tempfile.TemporaryDirectory() as directory:
        where = ("--save-dir", directory, "--min-length", str(length))
        run = longlag("train", "--seed", str(seed), "--quiet", *where)
        fresh = longlag("evaluate", directory, "--n", str(FRESH))
    return {
        "seed": seed,
        "solved": run["stopped_by"] == "target",
        "sequences": run["sequences"],
        "seconds": round(run["elapsed_sec"], 2),
        "wrong of 2560": run["score"]["wrong"],
        "wrong of 25600": fresh["score"]["wrong"],
        "share": f"{100 * fresh['score']['wrong'] / FRESH:.2f} %",
        "rmse": round(fresh["score"]["rmse"], 5),
        "engine": f"{run['engine']} {run['isa'] or ''}".strip(),
    }


def summary(rows: list[dict[str, Any]], length: int) -> str:
    """What the table says, in words."""
    solved = sum(row["solved"] for row in rows)
    good = sum(row["wrong of 25600"] <= STRICT_SHARE * FRESH for row in rows)
    seen = [row["sequences"] for row in rows]
    seconds = statistics.median(row["seconds"] for row in rows)
    lines = []
    for count, what in (
        (solved, "seeds meet the strict rule on two successive, independent test sets"),
        (good, f"have at most 0.65 % of {FRESH:,} further fresh sequences wrong"),
    ):
        low, high = clopper_pearson(count, len(rows))
        share = f"95 % interval of the rate {low:.3f} to {high:.3f}"
        lines.append(f"- {count} of {len(rows)} {what} ({share}, exact)")
    lines.append(
        f"- training sequences at T = {length}: median {int(statistics.median(seen)):,}, "
        f"range {min(seen):,} to {max(seen):,}, mean {statistics.fmean(seen):,.0f}"
    )
    lines.append(f"- seconds a seed, two at a time, testing included: median {seconds:.2f}")
    return "\n".join(lines)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--first-seed", type=int, default=200)
    flags.add_argument("--seeds", type=int, default=30)
    flags.add_argument("--T", type=int, default=200)
    args = flags.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(lambda seed: confirm(seed, args.T), seeds))

    name = "table" if args.T == 100 else f"table_T{args.T}"
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(HERE / f"{name}.csv", text.getvalue().encode())

    versions = longlag("doctor")
    command = " ".join(["python", "results/robust/confirm.py", *sys.argv[1:]])
    where = (
        f"longlag {versions['version']}, {versions['engine']} engine ({versions['isa']}), Python "
        f"{platform.python_version()}, {platform.machine()}, {versions['cores']} cores, "
        f"{datetime.date.today()}"
    )
    rule = ["---"] * len(COLUMNS)
    cells = [list(COLUMNS), rule, *([row[c] for c in COLUMNS] for row in rows)]
    body = "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in cells)
    page = (
        f"# The robust recipe on {len(rows)} confirmation seeds, T = {args.T}\n\n"
        f"{summary(rows, args.T)}\n\nCommand: `{command}`  \n{where}\n\n{body}\n"
    )
    write_bytes(HERE / f"{name}.md", page.encode())
    print(summary(rows, args.T))
    print(table([COLUMNS, *([row[c] for c in COLUMNS] for row in rows)]))


if __name__ == "__main__":
    main()
