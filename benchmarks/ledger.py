"""What a ledger costs: `python -m longlag.benchmarks.ledger` makes one and prints a table.

By default it has 10,000 trials in 100 groups. Rows are those of a real trial of `robust` with the
tests of 2,000 iterations, under other settings, seeds and ends. Timed are the writing of rows, 64
in a transaction as a sweep may write them, and the commands that read all of them, each a process
of its own, the best of three.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from longlag.sweeps.ledger import Ledger
from longlag.sweeps.trial import perform, trial

SEVERAL, ROUNDS = 64, 3
TRIAL: dict[str, Any] = {"min_length": 20, "max_iterations": 2000, "wrong_share": 0.0}


def rows(trials: int, groups: int) -> Iterator[dict[str, Any]]:
    """Rows of as many groups, which differ in two settings."""
    own = perform(vars(trial("robust", 0, "auto", **TRIAL)))
    rng = np.random.default_rng(0)
    for k in range(trials):
        seed, group = divmod(k, groups)
        rate, hidden = 10.0 ** -(1 + group % 10 / 4), 1 + group // 10
        made = trial("robust", seed, "auto", **TRIAL, learning_rate=rate, hidden=hidden)
        solved = rng.random() < 0.1 * (group % 10)
        yield {
            **own,
            "key": made.key,
            "seed": seed,
            "settings": {**own["settings"], "learning_rate": rate, "hidden": hidden},
            "status": "target" if solved else "max_iterations",
            "sequences": int(rng.integers(1, 2000)) * 8,
        }


def written(path: Path, trials: int, groups: int) -> float:
    """Rows a second."""
    made = list(rows(trials, groups))
    with Ledger.open(path) as book:
        start = time.perf_counter()
        for first in range(0, trials, SEVERAL):
            book.record(made[first : first + SEVERAL])
        return trials / (time.perf_counter() - start)


def seconds(*words: str) -> float:
    """Of a command of longlag's."""
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "longlag.cli", *words], check=True, capture_output=True
        )
        took.append(time.perf_counter() - start)
    return min(took)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m longlag.benchmarks.ledger")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.sqlite"
        print(f"{asked.trials:,} trials in {asked.groups} groups")
        print(f"rows written a second   {written(path, asked.trials, asked.groups):8,.0f}")
        print(f"bytes a trial           {path.stat().st_size / asked.trials:8,.0f}")
        drawn = ("ledger", "plot", str(path), "--x", "learning_rate", "--out", f"{path}.png")
        print(f"ledger plot, seconds    {seconds(*drawn):8.2f}")
        print(f"ledger rates, seconds   {seconds('ledger', 'rates', str(path)):8.2f}")


if __name__ == "__main__":
    main()
