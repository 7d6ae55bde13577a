"""Lag scaling: how do sequences and seconds to the strict rule grow with T?"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag.learning.recipe import recipe
from longlag.studies.cases import (
    FRESH,
    QUICK_FRESH,
    STRICT,
    Case,
    Outcome,
    Row,
    good_on_fresh,
    reached,
    solved,
    spread,
)
from longlag.studies.declaration import WITH_LENGTHS, Columns, Request, Study, worded
from longlag.studies.page import in_interval, in_seconds, in_share, in_spread

TRIALS = {30: 30, 100: 30, 300: 30, 1000: 30, 3000: 30, 10_000: 10}
FULL_TRIALS = {**TRIALS, 30_000: 3, 100_000: 3}
QUICK_TRIALS = {20: 2, 40: 2}
BASELINE_LENGTHS = (30, 100, 300)
BASELINE_SEQUENCES = 72_000  # ten times what robust needs
FRESH_UP_TO = 1000  # T: beyond, so many more sequences would cost more than the training

OWN = recipe("robust")
TEST_EVERY = int(OWN.settings()["test_every"])
ROBUST, BIAS_1, BIAS_LOG_T = "robust", "forget bias 1", "forget bias log T"
GRU, IRNN = "GRU", "ReLU, identity"
TORCH: dict[str, dict[str, Any]] = {
    GRU: {"hidden": 8, "batch_size": 32, "learning_rate": 0.025, "clip": 0.1, "epsilon": 1e-8},
    IRNN: {"hidden": 100, "batch_size": 16, "learning_rate": 1e-3, "clip": 0.1, "epsilon": 1e-8},
}
TORCH_NETWORKS = {GRU: "torch-gru", IRNN: "torch-irnn"}
TORCH_LENGTHS = (30, 100)
TORCH_TRIALS = 10
TORCH_SEQUENCES = 96_000
TORCH_TEST_EVERY = 1600  # training sequences


def _in_words(own: dict[str, Any]) -> str:
    return (
        f"{own['hidden']} units, batches of {own['batch_size']}, rate {own['learning_rate']:g}, "
        f"clip {own['clip']:g}, Adam's epsilon {own['epsilon']:g}"
    )


def cases(request: Request) -> list[Case]:
    """Robust at all lengths, then the baselines at the shorter ones."""
    grid = QUICK_TRIALS if request.quick else FULL_TRIALS if request.full else TRIALS
    lengths = tuple(sorted(request.lengths)) or tuple(grid)
    found = [_case(request, ROBUST, T, grid.get(T, 3)) for T in lengths]
    for name in (BIAS_1, BIAS_LOG_T):
        feasible = [T for T in lengths if T in BASELINE_LENGTHS or request.quick]
        found += [_case(request, name, T, grid.get(T, 3)) for T in feasible]
    for name in TORCH if has_torch() else ():
        feasible = [T for T in lengths if T in TORCH_LENGTHS or request.quick]
        found += [_torch_case(request, name, T, grid.get(T, 3)) for T in feasible]
    return found


def columns(rows: Sequence[Row]) -> Columns:
    """A column head with the number of fresh sequences."""
    further = max((row["fresh"]["of"] for row in rows if row["fresh"]), default=FRESH)
    return {
        "recipe": lambda row: row["recipe"],
        "T": lambda row: f"{row['T']:,}",
        "strict": in_share,
        "95 % interval": in_interval,
        f"≤ 0.65 % wrong of {further:,} more": lambda row: (
            in_share(row["fresh"]) if row["fresh"] else "–"
        ),
        "sequences": lambda row: in_spread(row["sequences"]),
        "seconds": lambda row: in_spread(row["seconds"], in_seconds),
        "ns a step": lambda row: "–" if math.isnan(row["step_ns"]) else f"{row['step_ns']:.0f}",
    }


def remarks(rows: Sequence[Row]) -> list[str]:
    """How robust's sequences and seconds grow with T."""
    lines = []
    if not has_torch() and any(row["recipe"] == BIAS_1 for row in rows):
        lines.append(
            "PyTorch's GRU and ReLU network are left out: PyTorch is not installed "
            "(pip install 'longlag[torch]', then the same command adds them)."
        )
    mine = [row for row in rows if row["recipe"] == ROBUST and row["solved"]]
    if len(mine) < 2:
        return lines
    log_T = np.log([row["T"] for row in mine])
    seen, cost = ([row[k]["median"] for row in mine] for k in ("sequences", "seconds"))
    a, b = (float(np.polyfit(log_T, np.log(values), 1)[0]) for values in (seen, cost))
    first, last = mine[0], mine[-1]
    return [
        *lines,
        f"robust, from T = {first['T']:,} to {last['T']:,}: the median number of sequences "
        f"goes from {seen[0]:,.0f} to {seen[-1]:,.0f}, as T to the power {a:.2f} (least "
        f"squares on the logarithms of the medians), seconds as T to the power {b:.2f}, "
        f"nanoseconds a training step from {first['step_ns']:.0f} to {last['step_ns']:.0f}.",
    ]


def _case(request: Request, name: str, T: int, trials: int) -> Case:
    batch = OWN.batch_size
    limit = OWN.rule.budget if name == ROBUST else BASELINE_SEQUENCES // batch
    changes: dict[str, Any] = {"min_length": T, "max_iterations": request.iterations(batch, limit)}
    if name != ROBUST:
        longest = T * 11 // 10
        bias = 1.0 if name == BIAS_1 else math.log(longest)
        changes |= {"gate_biases": "constant", "input_bias": 0.0, "forget_bias": bias}
    if request.quick:
        changes |= {"max_iterations": request.iterations(batch, 6400 // batch), "test_size": 200}
    return Case({"recipe": name, "T": T}, "robust", changes, trials, _fresh(request, T))


def _torch_case(request: Request, name: str, T: int, trials: int) -> Case:
    """A network of PyTorch's; its initial weights are PyTorch's own, not the recipe's."""
    batch = TORCH[name]["batch_size"]
    changes: dict[str, Any] = {
        **{"network": TORCH_NETWORKS[name], "min_length": T, **TORCH[name]},
        **{"test_every": TORCH_TEST_EVERY // batch},
        "max_iterations": request.iterations(batch, TORCH_SEQUENCES // batch),
    }
    if request.quick:
        most = request.iterations(batch, 60)
        changes |= {"max_iterations": most, "test_every": 20, "test_size": 200}
    return Case(
        {"recipe": name, "T": T},
        "robust",
        changes,
        min(trials, TORCH_TRIALS),
        _fresh(request, T),
        engine="numpy",
    )


def _fresh(request: Request, T: int) -> int:
    if request.quick:
        return QUICK_FRESH
    return FRESH if T <= FRESH_UP_TO else 0


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def rows(outcome: Outcome) -> list[Row]:
    """A line a case."""
    T, good = outcome.case.about["T"], solved(outcome)
    learned = [row for row in outcome.rows if row["sequences"]]  # not diverged at the first batch
    per_step = [1e9 * row["seconds"] / (row["sequences"] * T) for row in learned]
    return [
        {
            **reached(outcome, STRICT),
            "seconds": spread([row["seconds"] for row in good]),
            "step_ns": spread(per_step)["median"],
            "wrong": spread([row["score"]["wrong"] for row in good]),
            "fresh": good_on_fresh(outcome) if outcome.case.fresh else None,
        }
    ]


STUDY = Study(
    name="lag",
    title="Lag scaling: sequences and seconds against T",
    help="Sequences and seconds that robust needs from T = 30 to 10,000, with --full to 100,000",
    takes="20 minutes",
    takes_full="an hour",
    options=worded(
        WITH_LENGTHS,
        trials="30; fewer at the longest T and of PyTorch's networks",
        max_sequences="200000 of robust, 72000 or 96000 of the others",
        lengths=",".join(map(str, TRIALS)),
    ),
    cases=cases,
    rows=rows,
    columns=columns,
    remarks=remarks,
    notes=(
        "The paper's task rules, lengths T to 1.1 T. The baselines are robust in everything but "
        "their gates: input bias 0, and a forget bias of 1 or of log 1.1 T; they get "
        f"{BASELINE_SEQUENCES:,} sequences, robust {OWN.rule.budget * OWN.batch_size:,}.",
        f"The GRU and the ReLU network (initialised after Le, Jaitly & Hinton 2015) are PyTorch's, "
        f"under robust's protocol with {TORCH_SEQUENCES:,} sequences and their own settings: "
        + "; ".join(f"{name}: {_in_words(own)}" for name, own in TORCH.items())
        + ". Of a few settings, each tried on a seed or two below 1000, these did best at T = 30; "
        "at T = 100 the GRU (8 or 32 units) left chance with none within 64,000 sequences.",
        "Strict: at most 16 of 2560 fresh answers off by more than 0.04 on two successive, "
        "independent test sets. Intervals are exact (Clopper-Pearson, 95 %); sequences and seconds "
        "are those of the seeds that were solved, median (range).",
        "Seconds are of one core of a shared machine, testing included (a test of 2560 sequences "
        f"every {TEST_EVERY * OWN.batch_size:,} training sequences of robust); ns a step: "
        "those seconds over training sequences times T.",
    ),
    figure="longlag.studies.figures:lag",
)
