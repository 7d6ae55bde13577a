"""Rounds that alternate between the contestants, and the rows that they give."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from longlag.bench.cases import Case, Plan
from longlag.bench.floor import Needs
from longlag.bench.process import PREPARE_SECONDS, Failed, Process, Took, run
from longlag.kernel import load_kernel
from longlag.learning import engine as engines


@dataclass
class Entrant:
    """A contestant in a case: its process, the iterations of a round, the rounds, what failed."""

    process: Process
    case: Case
    iterations: int = 0
    rounds: list[Took] = field(default_factory=list)  # an iteration of one training
    peaks: list[float] = field(default_factory=list)  # of its core, in GFLOP/s
    needed: list[float] = field(default_factory=list)  # seconds of a step's arithmetic alone
    error: str = ""

    def attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Does it where nothing went wrong yet; notes what goes wrong, and has no figures then."""
        if self.error:
            return
        try:
            action(*arguments)
        except Failed as failure:
            self.error = str(failure)
            self.rounds.clear()

    def start(self, seconds: float) -> None:
        """Prepares the case and finds how many iterations take so many seconds."""
        self.process.prepare(self.case)
        self.process.ask(run, 1, seconds=PREPARE_SECONDS)  # what is compiled is compiled
        unit = 1 if self.process.contestant.family else self.case.block
        blocks, took = 1, 0.0
        while took < seconds / 3:
            took = self.process.ask(run, blocks * unit).clock
            blocks = max(1, math.ceil(blocks * min(seconds / max(took, 1e-9), 20)))
        self.iterations = blocks * unit

    def round(self) -> None:
        took = self.process.ask(run, self.iterations)
        done = self.iterations * self.process.contestant.seeds
        self.rounds.append(Took(took.clock / done, took.processor / done))

    def peak(self) -> None:
        self.peaks.append(self.process.ask(core_peak))
        self.needed.append(self.process.ask(core_needed, self.case.needs))

    def figures(self) -> Took:
        """The median round in the case's unit; NaN where it failed."""
        if not self.rounds:
            return Took(math.nan, math.nan)
        return Took(*map(self.case.figure, median(self.rounds)))


def median(rounds: Sequence[Took]) -> Took:
    """By the clock and by the processor."""
    return Took(*map(statistics.median, zip(*rounds, strict=True)))


def core_peak() -> float:
    """The processor's measured multiply-adds, in 10^9 operations a second on one core."""
    kernel, isa = load_kernel(), engines.choose("native").isa
    assert kernel is not None
    return max(kernel.peak(isa) for _ in range(3))  # others may have had a part of the core


def core_needed(needs: Needs) -> float:
    """Measured seconds of a step of one sequence that consists of its arithmetic alone."""
    kernel, isa = load_kernel(), engines.choose("native").isa
    assert kernel is not None
    return min(kernel.needed(isa, *needs) for _ in range(3))


def alternate(entrants: Sequence[Entrant], plan: Plan) -> None:
    """Runs the rounds; after each of its own, the first one measures its core's peak."""
    for entrant in entrants:
        entrant.attempt(entrant.start, plan.seconds)
    for _ in range(plan.rounds):
        for entrant in entrants:
            entrant.attempt(entrant.round)
            if entrant is entrants[0]:
                entrant.attempt(entrant.peak)


def rows(entrants: Sequence[Entrant], gflops: float) -> list[dict[str, Any]]:
    """A row an entrant of a case; ratios are to the first one.

    gflops: the core's peak; ours has beside it how many times its floor it takes.
    """
    ours = entrants[0].figures()
    return [_row(entrant, ours, gflops) for entrant in entrants]


def _row(entrant: Entrant, ours: Took, gflops: float) -> dict[str, Any]:
    case, process, figures = entrant.case, entrant.process, entrant.figures()
    samples = [case.figure(took.clock) for took in entrant.rounds]
    row = {
        "who": process.contestant.who,
        "what": f"{case.name}, {threads(process.threads)}",
        case.unit.name: figures.clock,
        "ratio": figures.clock / ours.clock,
        "min": min(samples, default=math.nan),
        "max": max(samples, default=math.nan),
        case.unit.processor: figures.processor,
        "processor_ratio": figures.processor / ours.processor,
        "threads": process.threads,
        "rounds": len(samples),
        "iterations": entrant.iterations,
        "case": case.size,
    }
    if not process.contestant.family and process.threads == 1:
        row["floors"] = figures.clock / case.floor(gflops)
        row["processor_floors"] = figures.processor / case.floor(gflops)
    if entrant.needed and process.threads == 1:
        needed = case.unit.per_second * case.steps * min(entrant.needed)
        row |= {"needed": needed, "needed_floors": needed / case.floor(gflops)}
    return row | ({"error": entrant.error} if entrant.error else {})


def threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def floors(cases: Sequence[Case], gflops: float) -> dict[str, Any]:
    """The floor of every case, and of the first one at the top.

    gflops: the best that the core was seen to do in the run; less, and it was disturbed.
    """
    each = [
        {"what": case.name, "operations": case.operations, case.unit.name: case.floor(gflops)}
        for case in cases
    ]
    return {"gflops": gflops, **each[0], "cases": each}
