"""Two versions of longlag side by side: `python -m longlag.benchmarks.versions BEFORE AFTER`.

BEFORE and AFTER are the Python programs of two environments, each with a version of longlag. Each
case runs in both in turn, three times: a whole command, or trainings that time themselves. Seconds
are of processor time, over all threads and processes, since other work on the machine disturbs
them least; all but the study take one thread. The table is printed, and written as Markdown with
`--out FILE`. `--only TEXT` takes the cases with this text in their names.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from longlag import files, machine

ROUNDS = 3
TRAININGS = """
import json, statistics, time, longlag
def took(seed):
    start = time.process_time()
    run = longlag.train(longlag.recipe({recipe}), seed)
    return time.process_time() - start, run.sequences
longlag.train(longlag.recipe("robust", max_iterations=1), 0)  # the first call takes longer
both = [took(seed) for seed in range({seeds})]
print(json.dumps([statistics.median(part) for part in zip(*both)]))
"""
TEST = """
import json, time, longlag
run = longlag.train(longlag.recipe("robust", min_length=10_000, max_iterations=1), 0)
start = time.process_time()
longlag.evaluate(run, n=2560, seed=1)
print(json.dumps([time.process_time() - start, None]))
"""


def trainings(recipe: str, seeds: int) -> tuple[str, ...]:
    return ("-c", TRAININGS.format(recipe=recipe, seeds=seeds))


STUDY = "`study table8 --trials 10`, all cores"
CASES = {  # what is timed: the words that Python gets, and whether they print what they measured
    "`longlag --help`": (("-m", "longlag.cli", "--help"), False),
    "`import longlag`": (("-c", "import longlag"), False),
    "`catalog`, 2,000 iterations": (trainings('"catalog", max_iterations=2000', 5), True),
    "`robust`, T = 100, to its stop": (trainings('"robust", min_length=100', 10), True),
    "`robust`, T = 1000, to its stop": (trainings('"robust", min_length=1000', 10), True),
    "`robust`, T = 10,000, to its stop": (trainings('"robust", min_length=10_000', 1), True),
    "`robust`, T = 100,000, 100 iterations and a test": (
        trainings('"robust", min_length=100_000, max_iterations=100', 1),
        True,
    ),
    "a test of 2560 sequences, T = 10,000": (("-c", TEST), True),
    STUDY: (
        ("-m", "longlag.cli", "study", "table8", "--trials", "10", "--out", "table8"),
        False,
    ),
}


@dataclass(frozen=True)
class Installed:
    """One version of longlag, in an environment of its own."""

    python: str
    compiled: Path  # where Python keeps what it has compiled

    @property
    def version(self) -> str:
        printed = self.run(("-m", "longlag.cli", "--version"))
        return printed.split()[-1]

    def run(self, words: tuple[str, ...]) -> str:
        """What a Python program printed, run in a directory of its own."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment["PYTHONPYCACHEPREFIX"] = str(self.compiled)
        with tempfile.TemporaryDirectory() as here:
            done = subprocess.run(
                [self.python, *words], cwd=here, env=environment, capture_output=True, text=True
            )
        if done.returncode:
            raise SystemExit(f"{self.python} {' '.join(words)} failed: {done.stderr[-500:]}")
        return done.stdout

    def took(self, words: tuple[str, ...], prints: bool) -> Took:
        """Of one round."""
        start, clock = processor_seconds(), time.perf_counter()
        printed = self.run(words)
        seconds, clock = processor_seconds() - start, time.perf_counter() - clock
        return Took(*json.loads(printed)) if prints else Took(seconds, clock=clock)


class Took(NamedTuple):
    """Processor seconds, the sequences to a stop, and seconds by the clock, where measured."""

    seconds: float
    sequences: float | None = None
    clock: float = 0.0


def processor_seconds() -> float:
    """Of all programs that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows(name: str, versions: list[Installed]) -> list[list[str]]:
    """A case's lines: each version's median, least and most seconds, and before / after."""
    words, prints = CASES[name]
    rounds = [[version.took(words, prints) for version in versions] for _ in range(ROUNDS)]
    each = list(zip(*rounds, strict=True))  # of each version, its rounds
    found = [_row(name, each, "seconds")]
    if name == STUDY:  # what its user waits for; one thread waits as long as it computes
        found.append(_row("the same, by the clock", each, "clock"))
    return found


def _row(name: str, each: Sequence[Sequence[Took]], what: str) -> list[str]:
    entries, medians = [], []
    for took in each:
        seconds = [getattr(one, what) for one in took]
        medians.append(statistics.median(seconds))
        sequences = took[0].sequences
        entry = f"{medians[-1]:.3g} s ({min(seconds):.3g} – {max(seconds):.3g})"
        entries.append(entry if sequences is None else f"{entry}, {sequences:,.0f} sequences")
    return [name, *entries, f"{medians[0] / medians[1]:.2f}"]


def main() -> None:
    """Prints each row as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", help="a Python program that has longlag")
    parser.add_argument("after", help="another one")
    parser.add_argument("--out", type=Path, help="a Markdown file to write")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with it in their names")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as compiled:
        versions = [
            Installed(python, Path(compiled) / name)
            for name, python in (("before", asked.before), ("after", asked.after))
        ]
        names = [version.version for version in versions]
        heads = [f"longlag {name}" for name in names]
        lines = [
            f"# Version {names[0]} beside {names[1]}\n",
            f"On {machine.processor()}, {machine.cores()} cores. Seconds of processor time: median,"
            f" least and most of {ROUNDS} rounds.\n",
            f"| what | {heads[0]} | {heads[1]} | before / after |",
            "|---|---|---|---|",
        ]
        print(*lines, sep="\n")
        for name in filter(lambda name: asked.only in name, CASES):
            new = [f"| {' | '.join(row)} |" for row in rows(name, versions)]
            lines += new
            print(*new, sep="\n", flush=True)
    only = f" --only {asked.only}" if asked.only else ""
    words = f"python -m longlag.benchmarks.versions BEFORE AFTER{only} --out FILE"
    lines.append(f"\nCommand: `{words}`")
    if asked.out:
        files.write_bytes(asked.out, "\n".join([*lines, ""]).encode())


if __name__ == "__main__":
    sys.exit(main())
