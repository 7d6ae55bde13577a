"""The forget gate: which factor unsticks the described recipe's seeds, and by how much?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from longlag.figures import rates
from longlag.learning.recipe import recipe
from longlag.networks.lstm import ForgetGateLSTM
from longlag.studies.cases import STRICT, Case, Outcome, Row, reached
from longlag.studies.frame import Request, budget
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
# What the untrained network answers to everything: 1/2 as described, or 1/4, the mean target.
OUTPUT_BIASES: dict[tuple[str, float], float] = {
    ("sigmoid", 0.5): 0.0,
    ("sigmoid", 0.25): -math.log(3),
    ("linear", 0.5): 0.5,
    ("linear", 0.25): 0.25,
}
DESCRIBED = ("bias 1", "sigmoid from 1/2")  # gate, output
TRIALS, QUICK_TRIALS = 30, 2
LENGTHS, FULL_LENGTHS, QUICK_LENGTHS = (30,), (30, 100), (14,)


class ForgetGate:
    """The described recipe at fixed T, with each gate and each output."""

    name = "forget-gate"
    title = "The forget gate: which factor unsticks the seeds"
    notes: tuple[str, ...] = (
        "The described system (8 cells, Adam 5e-3, clip 1, batches of 32) at a fixed T by its own "
        "task rules, 8000 batches at most, tested every 200; every case on the same seeds. The "
        "described sigmoid output answers 1/2 to everything at first, its bias being 0; with a "
        "bias of −log 3 it answers 1/4, the mean of the targets. A linear output's bias is what "
        "it answers.",
        "chrono: forget bias log U(1, T − 1), input bias its negative; robust's: forget bias "
        "log T + 2, input bias −log T − 4.",
        "Retention is the share of a stored value that the initial forget gate leaves over the "
        "shortest lag, σ(b)^lag (chrono: its mean over the draws of b). It says nothing of what "
        "the input gate writes over the value meanwhile.",
        "The strict rule holds at the second of two successive tests with at most 16 of 2560 "
        "wrong. Intervals are exact (Clopper-Pearson, 95 %); sequences are those of the seeds that "
        "met the rule, median (range).",
        "no gate fixes the modern cell's forget gate at 1. The 1997 cell is the paper's own: four "
        "blocks of two cells, gates that a block shares and that feed back into all units, inputs "
        "of cells squashed to ±2 and their states to ±1, weights uniform in ±0.1 at the start; all "
        "else, the full gradient included, is as in the other lines. Numpy trains it.",
    )

    def cases(self, request: Request) -> Sequence[Case]:
        """Gates times outputs times lengths."""
        lengths = QUICK_LENGTHS if request.quick else FULL_LENGTHS if request.full else LENGTHS
        return [
            _case(request, T, gate, output, start)
            for T in request.lengths or lengths
            for output, start in OUTPUT_BIASES
            for gate in (*GATES, CELL_1997)
        ]

    def rows(self, outcomes: Sequence[Outcome]) -> list[Row]:
        """A line a case."""
        return [
            {
                **outcome.case.about,
                **_retention(outcome.case),
                "mse": reached(outcome, "MSE < 0.030"),
                "loose": reached(outcome, "n_seq = 140"),
                "strict": reached(outcome, STRICT),
            }
            for outcome in outcomes
        ]

    def cells(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        """The table."""
        head = ("T", "forget gate", "output", "σ(b)^lag", "MSE < 0.030", "strict")
        return [
            (*head, "95 % interval (strict)", "sequences to strict"),
            *(
                (
                    *(str(row["T"]), row["gate"], _output(row), _kept(row)),
                    *(in_share(row["mse"]), in_share(row["strict"]), in_interval(row["strict"])),
                    in_spread(row["strict"]["sequences"]),
                )
                for row in rows
            ),
        ]

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """What every single change does to the described system."""
        lines = []
        for T in sorted({row["T"] for row in rows}):
            of = {(row["gate"], _output(row)): row["strict"] for row in rows if row["T"] == T}
            base = of[DESCRIBED]
            single = [(g, o) for g, o in of if (g == DESCRIBED[0]) != (o == DESCRIBED[1])]
            parts = (
                f"{gate if output == DESCRIBED[1] else output} "
                f"{100 * (of[gate, output]['rate'] - base['rate']):+.0f}"
                for gate, output in single
            )
            lines.append(
                f"T = {T}: as described {in_share(base)} seeds are solved strictly; one change at "
                f"a time alters the rate, in points of per cent, by: {', '.join(parts)}."
            )
        return lines

    def figure(self, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
        """Rates with their intervals."""
        panels = []
        for T in sorted({row["T"] for row in rows}):
            here = [row for row in rows if row["T"] == T]
            lines = []
            for gate in dict.fromkeys(row["gate"] for row in here):
                of = {_output(row): row for row in here if row["gate"] == gate}
                note = _kept(of[DESCRIBED[1]])
                points = {
                    k: (row["strict"]["rate"], row["strict"]["interval"]) for k, row in of.items()
                }
                lines.append(rates.Line(gate, note, points))
            panels.append(rates.Panel(f"T = {T}, shortest lag {here[0]['lag']}", lines))
        subtitle = (
            "share of seeds that meet the strict rule, with exact 95 % intervals; by output, and "
            "the answer that it starts from"
        )
        return rates.draw(panels, self.title, subtitle, "σ(b)^lag")


def _output(about: Mapping[str, Any]) -> str:
    return f"{about['output']} from 1/{1 / about['start']:.0f}"


def _case(request: Request, T: int, gate: str, output: str, start: float) -> Case:
    changes: dict[str, Any] = {
        **{"min_length": T, "max_length": T, "draw_order": "blocks", "stop": "strict"},
        **{"test_every": 200, "test_size": 2560},
        **{"output": output, "output_bias": OUTPUT_BIASES[output, start]},
        **GATES.get(gate, NETWORK_1997),
        "max_iterations": budget(request, 32, 8000),
    }
    if request.quick:
        changes |= {"max_iterations": 100, "test_every": 50, "test_size": 200}
    about = {"T": T, "gate": gate, "output": output, "start": start}
    trials = QUICK_TRIALS if request.quick else TRIALS
    if gate == CELL_1997:
        return Case(about, "catalog", changes, trials, engine="numpy")
    return Case(about, "catalog", changes, trials)


def _kept(row: Row) -> str:
    """Of a value, in words that table and figure share."""
    return f"{row['retention']:.3g}"


def _retention(case: Case) -> Row:
    """What the initial forget gate leaves of a value over the shortest lag."""
    made = recipe(case.recipe, **case.changes)
    task = made.task.tested
    assert isinstance(task, MarkedPairs)
    lag, T = task.minimal_lag, made.task.max_length
    network = made.network
    if not isinstance(network, ForgetGateLSTM) or not network.forget_gate:
        kept = 1.0
    elif network.gate_biases == "chrono":
        u = 1 + (T - 2) * (np.arange(10_000) + 0.5) / 10_000
        kept = float(np.mean((u / (1 + u)) ** lag))
    else:
        bias = network.forget_bias + (np.log(T) if network.gate_biases == "lag" else 0)
        kept = float((1 / (1 + np.exp(-bias))) ** lag)
    return {"lag": lag, "retention": kept}


STUDY = ForgetGate()
