"""The forget gate: which factor unsticks catalog's seeds, and by how much?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from longlag.networks.lstm import ForgetGateLSTM
from longlag.studies.cases import RULES, Case, Outcome, Row, reached
from longlag.studies.declaration import WITH_LENGTHS, Request, Study, worded
from longlag.studies.page import in_interval, in_share, in_spread
from longlag.tasks.marked_pairs import MarkedPairs

GATES: dict[str, dict[str, Any]] = {
    "no gate": {"forget_gate": False},
    "bias 1": {"forget_bias": 1.0},
    "bias 2": {"forget_bias": 2.0},
    "bias 4": {"forget_bias": 4.0},
    "chrono": {"gate_biases": "chrono", "forget_bias": 0.0},
    "robust's": {"gate_biases": "lag", "forget_bias": 2.0, "input_bias": -4.0},
}
CELL_1997 = "1997 cell"
NETWORK_1997: dict[str, str | int] = {
    "network": "lstm1997",
    "gradient": "full",
    "blocks": 4,
    "block_size": 2,
}
# What the untrained network answers to everything: 1/2 as in catalog, or 1/4, the mean target.
OUTPUT_BIASES: dict[tuple[str, float], float] = {
    ("sigmoid", 0.5): 0.0,
    ("sigmoid", 0.25): -math.log(3),
    ("linear", 0.5): 0.5,
    ("linear", 0.25): 0.25,
}
CATALOG = ("bias 1", "sigmoid from 1/2")  # gate, output
RATES = ("mse", "loose", "strict")  # what the rows call the rules
TRIALS, QUICK_TRIALS = 30, 2
LENGTHS, FULL_LENGTHS, QUICK_LENGTHS = (30,), (30, 100), (14,)


def cases(request: Request) -> list[Case]:
    """Gates times outputs times lengths."""
    lengths = QUICK_LENGTHS if request.quick else FULL_LENGTHS if request.full else LENGTHS
    return [
        _case(request, T, gate, output, start)
        for T in request.lengths or lengths
        for output, start in OUTPUT_BIASES
        for gate in (*GATES, CELL_1997)
    ]


def rows(outcome: Outcome) -> list[Row]:
    """A line a case."""
    found = {name: reached(outcome, rule) for name, rule in zip(RATES, RULES, strict=True)}
    return [{**retention(outcome.case), **found}]


def remarks(rows: Sequence[Row]) -> list[str]:
    """What every single change does to catalog."""
    lines = []
    for T in sorted({row["T"] for row in rows}):
        of = {(row["gate"], output(row)): row["strict"] for row in rows if row["T"] == T}
        base = of[CATALOG]
        single = [(g, o) for g, o in of if (g == CATALOG[0]) != (o == CATALOG[1])]
        parts = (
            f"{gate if out == CATALOG[1] else out} "
            f"{100 * (of[gate, out]['rate'] - base['rate']):+.0f}"
            for gate, out in single
        )
        lines.append(
            f"T = {T}: {in_share(base)} seeds of catalog itself met the strict rule; one change at "
            f"a time alters the rate, in percentage points, by: {', '.join(parts)}."
        )
    return lines


def output(about: Mapping[str, Any]) -> str:
    return f"{about['output']} from 1/{1 / about['start']:.0f}"


def _case(request: Request, T: int, gate: str, output: str, start: float) -> Case:
    changes: dict[str, Any] = {
        **{"min_length": T, "max_length": T, "draw_order": "blocks", "stop": "strict"},
        **{"test_every": 200, "test_size": 2560},
        **{"output": output, "output_bias": OUTPUT_BIASES[output, start]},
        **GATES.get(gate, NETWORK_1997),
        "max_iterations": request.iterations(32, 8000),
    }
    if request.quick:
        most = request.iterations(32, 100)
        changes |= {"max_iterations": most, "test_every": 50, "test_size": 200}
    about = {"T": T, "gate": gate, "output": output, "start": start}
    trials = QUICK_TRIALS if request.quick else TRIALS
    if gate == CELL_1997:
        return Case(about, "catalog", changes, trials, engine="numpy")
    return Case(about, "catalog", changes, trials)


def kept(row: Row) -> str:
    """Of a value, in words that table and figure share."""
    return f"{row['retention']:.3g}"


def retention(case: Case) -> Row:
    """What the initial forget gate leaves of a value over the shortest lag."""
    made = case.made()
    task = made.task.tested
    assert isinstance(task, MarkedPairs)
    lag, T = task.minimal_lag, made.task.max_length
    network = made.network
    if not isinstance(network, ForgetGateLSTM) or not network.forget_gate:
        share = 1.0
    elif network.gate_biases == "chrono":
        u = 1 + (T - 2) * (np.arange(10_000) + 0.5) / 10_000
        share = float(np.mean((u / (1 + u)) ** lag))
    else:
        bias = network.forget_bias + (np.log(T) if network.gate_biases == "lag" else 0)
        share = float((1 / (1 + np.exp(-bias))) ** lag)
    return {"lag": lag, "retention": share}


STUDY = Study(
    name="forget-gate",
    title="The forget gate: which change lets stuck seeds learn",
    help="Which change lets stuck seeds learn: forget gates and outputs at T = 30, with --full "
    "also at 100",
    takes="35 minutes",
    takes_full="two and a half hours",
    options=worded(
        WITH_LENGTHS,
        trials=str(TRIALS),
        max_sequences="256000",
        lengths="30; with --full 30,100",
    ),
    cases=cases,
    rows=rows,
    columns={
        "T": lambda row: str(row["T"]),
        "forget gate": lambda row: row["gate"],
        "output": output,
        "σ(b)^lag": kept,
        "MSE < 0.030": lambda row: in_share(row["mse"]),
        "strict": lambda row: in_share(row["strict"]),
        "95 % interval (strict)": lambda row: in_interval(row["strict"]),
        "sequences to strict": lambda row: in_spread(row["strict"]["sequences"]),
    },
    remarks=remarks,
    notes=(
        "The recipe catalog (8 cells, Adam 5e-3, clip 1, batches of 32) at a fixed T by its own "
        "task rules, 8000 batches at most, tested every 200; every case on the same seeds. Its "
        "sigmoid output answers 1/2 to every sequence at first, because its bias is 0; with a bias "
        "of −log 3 it answers 1/4, the mean of the targets. A linear output's bias is what it "
        "answers.",
        "chrono: forget bias log U(1, T − 1), input bias its negative; robust's: forget bias "
        "log T + 2, input bias −log T − 4.",
        "Retention is the share of a stored value that the initial forget gate leaves over the "
        "shortest lag, σ(b)^lag (chrono: its mean over the draws of b). It leaves out what the "
        "input gate adds to the value meanwhile.",
        "The strict rule holds at the second of two successive tests with at most 16 of 2560 "
        "wrong. Intervals are exact (Clopper-Pearson, 95 %); sequences are those of the seeds that "
        "met the rule, median (range).",
        "no gate fixes the modern cell's forget gate at 1. The 1997 cell is the paper's own: four "
        "blocks of two cells, gates that a block shares and that feed back into all units, inputs "
        "of cells squashed to ±2 and their states to ±1, weights uniform in ±0.1 at the start; all "
        "else, the full gradient included, is as in the other lines. Numpy trains it.",
    ),
    figure="longlag.studies.figures:forget_gate",
)
