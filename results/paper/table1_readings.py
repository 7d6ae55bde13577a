"""Table 1 under many readings of Experiment 1, of which one at a time is changed.

    python results/paper/table1_readings.py [--trials 30]

Compiles `table1_readings.c` with the C compiler `cc` in a temporary directory. As in the paper a
reading's trials are of three pairs of string sets in turn, with initial weights of their own.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from longlag.statistics import clopper_pearson
from longlag.tasks.reber import SET_SIZE, EmbeddedReber

SOURCE = Path(__file__).with_name("table1_readings.c")
FIRST_SEED = 10_000
PAIRS = 3
WHOLE = [
    "blocks",
    "size",
    "every_step",
    "output_biases",
    "cell_biases",
    "gates_lead",
    "possible",
    "entropy",
    "most_active",
    "test_every",
    "most",
]
REAL = [
    "rate",
    "factor",
    "range",
    "output_gate",
    "output_gate_step",
    "input_gate",
    "input_gate_step",
]
STRING = np.dtype([("symbols", "i1", 64), ("possible", "u1", 64), ("length", "i4")])


class Reading(ctypes.Structure):
    """The C structure of that name."""

    _fields_ = [
        *((name, ctypes.c_int) for name in WHOLE),
        *((name, ctypes.c_double) for name in REAL),
    ]


BASE = {
    "blocks": 3,
    "size": 2,
    "every_step": 0,
    "gates_lead": 1,
    "test_every": 100,
    "most": 40_000,
    "rate": 0.5,
    "factor": 2,
    "range": 0.2,
    "output_gate": -1,
    "output_gate_step": -1,
}


@dataclass(frozen=True)
class Row:
    """A reading in words: what it changes, and of which sets its strings are."""

    words: str
    changes: dict[str, Any] = field(default_factory=dict)
    sets: str = "natural"


ON_LINE = {"every_step": 1, "factor": 1}
GERS = ON_LINE | {
    "gates_lead": 0,
    "output_biases": 1,
    "cell_biases": 1,
    "output_gate": -0.5,
    "output_gate_step": -0.5,
    "input_gate": -0.5,
    "input_gate_step": -0.5,
}
ROWS = (
    Row("512 different strings; weights change after a string; eq. 16", {}, "different"),
    Row("the same, eq. 19", {"factor": 1}, "different"),
    Row("512 different strings; weights change at every step; eq. 19", ON_LINE, "different"),
    Row("sets with repetitions; weights change after a string; eq. 16"),
    Row("the same, eq. 19", {"factor": 1}),
    Row("sets with repetitions; weights change at every step; eq. 16", {"every_step": 1}),
    Row("**A**: sets with repetitions; weights change at every step; eq. 19", ON_LINE),
    Row("A, rate 0.2", ON_LINE | {"rate": 0.2}),
    Row("A, rate 0.1", ON_LINE | {"rate": 0.1}),
    Row("A, rate 0.1, 300,000 strings at most", ON_LINE | {"rate": 0.1, "most": 300_000}),
    Row("A, 4 blocks of 1", ON_LINE | {"blocks": 4, "size": 1}),
    Row("A, 4 blocks of 1, rate 0.1", ON_LINE | {"blocks": 4, "size": 1, "rate": 0.1}),
    Row("A, tested after every string", ON_LINE | {"test_every": 1}),
    Row("A, test set may have training strings", ON_LINE, "same"),
    Row("A, right: the most active output alone is possible", ON_LINE | {"most_active": 1}),
    Row("A, targets: every possible symbol 1", ON_LINE | {"possible": 1}),
    Row("A, targets: every possible symbol 1 / n", ON_LINE | {"possible": 2}),
    Row("A, error without the outputs' slope, rate 0.1", ON_LINE | {"entropy": 1, "rate": 0.1}),
    Row("A, output biases", ON_LINE | {"output_biases": 1}),
    Row("A, cell biases", ON_LINE | {"cell_biases": 1}),
    Row("A, both", ON_LINE | {"output_biases": 1, "cell_biases": 1}),
    Row("A, initial weights ±0.1", ON_LINE | {"range": 0.1}),
    Row("A, initial weights ±0.5", ON_LINE | {"range": 0.5}),
    Row("A, gates lead nowhere but to their cells", ON_LINE | {"gates_lead": 0}),
    Row("A, output-gate biases drawn", ON_LINE | {"output_gate": 0}),
    Row("A, output-gate biases −2, −4, −6", ON_LINE | {"output_gate": -2, "output_gate_step": -2}),
    Row("A, output-gate biases −3, −3, −3", ON_LINE | {"output_gate": -3, "output_gate_step": 0}),
    Row("A, input-gate biases −1, −2, −3", ON_LINE | {"input_gate": -1, "input_gate_step": -1}),
    Row("A, input-gate biases −3, −3, −3", ON_LINE | {"input_gate": -3}),
    Row("A, 4 blocks of 2", ON_LINE | {"blocks": 4}),
    Row("A, 6 blocks of 2", ON_LINE | {"blocks": 6}),
    Row("**B**: A as Gers et al. (2000) have it, 3 blocks of 2", GERS),
    Row("B, 4 blocks of 2, as they have", GERS | {"blocks": 4}),
    Row("B, 4 blocks of 2, rate 0.2", GERS | {"blocks": 4, "rate": 0.2}),
    Row("B, 6 blocks of 2", GERS | {"blocks": 6}),
    Row("B, 6 blocks of 2, 512 different strings", GERS | {"blocks": 6}, "different"),
    Row("B, 4 blocks of 2, every possible symbol 1 / n", GERS | {"blocks": 4, "possible": 2}),
)


@functools.cache
def pair(kind: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A training and a test set.

    `different`: 512 different strings. `natural`: the training set as it is drawn, with
    repetitions, the test set too, but without the training set's strings; `same`: with them.
    """
    if kind == "different":
        fixed = (EmbeddedReber(strings=one, string_set=number) for one in ("training", "test"))
        training, test = (one.fixed_set() for one in fixed)
        return packed(training), packed(test)
    task, rng = EmbeddedReber(), np.random.default_rng(number)
    training = [task.string(task.sequence(rng)) for _ in range(SET_SIZE)]
    known, test = set(training) if kind == "natural" else set(), []
    while len(test) < SET_SIZE:
        if (string := task.string(task.sequence(rng))) not in known:
            test.append(string)
    return packed(training), packed(test)


def packed(strings: list[str]) -> np.ndarray:
    """Strings as the C structure of that name has them."""
    task, made = EmbeddedReber(), np.zeros(len(strings), STRING)
    for row, string in zip(made, strings, strict=True):
        one = task.spelled(string)
        row["length"] = len(string)
        row["symbols"][: len(string)] = [*one.inputs, int(np.argmax(one.target[-1]))]
        row["possible"][1 : len(string)] = one.truth @ (1 << np.arange(7))
    return made


def compiled(folder: str) -> Any:
    """The C function `trial`."""
    library = Path(folder) / "trial.so"
    subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", library, SOURCE, "-lm"], check=True)
    return ctypes.CDLL(str(library)).trial


def line(trial: Any, row: Row, trials: int) -> str:
    """The table's line of a reading."""
    reading, found, wrong = Reading(**BASE | row.changes), [], []
    for n in range(trials):
        sets, judged = pair(row.sets, n % PAIRS), np.zeros(6, np.int32)
        pointers = (ctypes.c_void_p(a.ctypes.data) for a in (*sets, judged))
        training, test, judged_at = pointers
        seed = ctypes.c_uint64(FIRST_SEED + n)
        seen = trial(ctypes.byref(reading), seed, training, test, SET_SIZE, judged_at)
        if seen > 0:
            found.append(seen)
        else:
            wrong.append(judged[:3])
    low, high = clopper_pearson(len(found), trials)
    mean = f"{np.mean(found):,.0f}" if found else "–"
    wrong = [f"{n:.0f}" for n in np.mean(wrong, axis=0)] if wrong else ["–"] * 3
    cells = [row.words, f"{len(found)} of {trials}", f"{low:.2f} to {high:.2f}", mean, *wrong]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Table 1 under many readings.")
    parser.add_argument("--trials", type=int, default=30)
    trials = parser.parse_args().trials
    heads = (
        "reading",
        "solved",
        "95 % interval",
        "mean strings of solved",
        "wrong strings of 256",
        "last but one wrong",
        "it alone wrong",
    )
    print(f"| {' | '.join(heads)} |")
    print("| --- " * len(heads) + "|")
    with tempfile.TemporaryDirectory() as folder:
        trial = compiled(folder)
        for row in ROWS:
            print(line(trial, row, trials), flush=True)
    print(f"{trials} trials a reading", file=sys.stderr)


if __name__ == "__main__":
    main()
