"""The kernel by itself: what a step costs at length, two seeds on two cores, and memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from longlag.bench.cases import OURS, Case, Plan, in_batches
from longlag.bench.measure import Entrant, alternate, median
from longlag.bench.process import PREPARE_SECONDS, Failed, Took, processes, run


def _steps(case: Case) -> float:
    """Steps of all sequences of a batch, on average."""
    return case.size["batch"] * case.recipe.task.mean_length


def cost_per_step(plan: Plan) -> dict[str, Any]:
    """ns a step of a sequence, whole iterations: short sequences and long ones, in turn."""
    cases = plan.short, plan.long
    with processes([OURS] * 2) as both:
        entrants = [Entrant(process, case) for process, case in zip(both, cases, strict=True)]
        alternate(entrants, plan)
    for entrant in entrants:
        if entrant.error:
            raise Failed(entrant.error)
    short, long = (
        Took(*(1e3 * time / _steps(entrant.case) for time in entrant.figures()))
        for entrant in entrants
    )
    return {
        "lengths": [case.size["min_length"] for case in cases],
        "ns_per_step": [short.clock, long.clock],
        "ratio": long.clock / short.clock,
        "processor_ratio": long.processor / short.processor,
    }


def two_seeds(plan: Plan) -> dict[str, Any]:
    """Two trainings at once, a process each, against one alone, in turn."""
    alone: list[Took] = []
    together: list[Took] = []
    with processes([OURS] * 2) as both:
        entrants = [Entrant(process, plan.short) for process in both]
        for entrant in entrants:
            entrant.start(plan.seconds)
        iterations = max(entrant.iterations for entrant in entrants)
        for number in range(2 * plan.rounds):
            alone.append(both[number % 2].ask(run, iterations))
            begun = [process.begin(run, iterations) for process in both]
            ended = [process.end(future) for process, future in zip(both, begun, strict=True)]
            together.append(Took(*map(max, zip(*ended, strict=True))))
    one, two = median(alone), median(together)
    return {
        "us_alone": 1e6 * one.clock / iterations,
        "us_together": 1e6 * two.clock / iterations,
        "speedup": 2 * one.clock / two.clock,
        "processor_speedup": 2 * one.processor / two.processor,
    }


def memory(case: Case, threads: int) -> dict[str, Any]:
    """Peak memory of an iteration against the activations that BPTT must keep.

    Those are 6H + 2 floats a step of a sequence: four gates, the cell state and its tanh, and the
    two inputs. With fewer threads than groups of 16 sequences the kernel keeps fewer.
    """
    kernel = replace(OURS, variant="drawn")  # the data do not count
    with processes([kernel], threads) as (process,):
        process.prepare(in_batches(11))
        process.ask(run, 1, seconds=PREPARE_SECONDS)  # what Python and threads need once
        process.prepare(case)
        used = process.ask(added_memory)
    needed = round(4 * (6 * case.size["hidden"] + 2) * _steps(case))
    return {"threads": threads, "bytes": used, "needed_bytes": needed, "ratio": used / needed}


def added_memory() -> int:
    """Bytes that an iteration adds to the peak of the process that it runs in.

    For a process that has done little else: memory used before might be used again, unseen.

    Raises:
        OSError: the system is not Linux, or tells no process its peak.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
    before = _status("VmRSS")
    run(1)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """Bytes by the name they have in /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
