"""Two versions of longlag side by side: `python -m longlag.benchmarks.versions BEFORE AFTER`.

BEFORE and AFTER are the Python programs of two environments, each with a version of longlag. Each
case runs in both in turn, three times: a whole command, or trainings that time themselves. Seconds
are of processor time, over all threads and processes, since other work on the machine disturbs
them least; all but the study take one thread. The table is printed, and written as Markdown with
`--out FILE`.
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
from dataclasses import dataclass
from pathlib import Path

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


CASES = {  # what is timed: the words that Python gets, and whether they print what they measured
    "`longlag --help`": (("-m", "longlag.cli", "--help"), False),
    "`import longlag`": (("-c", "import longlag"), False),
    "`catalog`, 2,000 iterations": (trainings('"catalog", max_iterations=2000', 5), True),
    "`robust`, T = 100, to its stop": (trainings('"robust", min_length=100', 10), True),
    "`robust`, T = 1000, to its stop": (trainings('"robust", min_length=1000', 10), True),
    "`robust`, T = 10,000, to its stop": (trainings('"robust", min_length=10_000', 1), True),
    "a test of 2560 sequences, T = 10,000": (("-c", TEST), True),
    "`study table8 --trials 10`, all cores": (
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

    def took(self, words: tuple[str, ...], prints: bool) -> tuple[float, float | None]:
        """(seconds, sequences to the stop or None) of one round."""
        start = processor_seconds()
        printed = self.run(words)
        seconds = processor_seconds() - start
        return tuple(json.loads(printed)) if prints else (seconds, None)


def processor_seconds() -> float:
    """Of all programs that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(name: str, versions: list[Installed]) -> list[str]:
    """A case's entries: each version's median, least and most seconds, and before / after."""
    words, prints = CASES[name]
    rounds = [[version.took(words, prints) for version in versions] for _ in range(ROUNDS)]
    entries, medians = [], []
    for took in zip(*rounds, strict=True):
        seconds = [s for s, _ in took]
        medians.append(statistics.median(seconds))
        sequences = took[0][1]
        entry = f"{medians[-1]:.3g} s ({min(seconds):.3g} – {max(seconds):.3g})"
        entries.append(entry if sequences is None else f"{entry}, {sequences:,.0f} sequences")
    return [name, *entries, f"{medians[0] / medians[1]:.2f}"]


def main() -> None:
    """Prints each row as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", help="a Python program that has longlag")
    parser.add_argument("after", help="another one")
    parser.add_argument("--out", type=Path, help="a Markdown file to write")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as compiled:
        versions = [
            Installed(python, Path(compiled) / name)
            for name, python in (("before", asked.before), ("after", asked.after))
        ]
        heads = [f"longlag {version.version}" for version in versions]
        lines = [
            f"On {machine.processor()}, {machine.cores()} cores. Seconds of processor time: median,"
            f" least and most of {ROUNDS} rounds.\n",
            f"| what | {heads[0]} | {heads[1]} | before / after |",
            "|---|---|---|---|",
        ]
        print(*lines, sep="\n")
        for name in CASES:
            lines.append(f"| {' | '.join(row(name, versions))} |")
            print(lines[-1], flush=True)
    if asked.out:
        files.write_bytes(asked.out, "\n".join([*lines, ""]).encode())


if __name__ == "__main__":
    sys.exit(main())
