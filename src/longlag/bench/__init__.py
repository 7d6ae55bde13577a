"""`longlag bench`: this kernel beside its peers and the machine's limit, in one run.

Every contestant (`benchmarks/`) is a process of its own that lives through the run. The rounds of
all contestants alternate (A B C A B C ...), so that what else the machine does falls on all of
them alike; a figure is the median of the rounds. First one thread each, then all cores. Beside
the time stands the processor time, which does not count waiting for a core that others use.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import math
import platform
from collections.abc import Iterator, Sequence
from typing import Any

from longlag import machine
from longlag.bench import alone, measure
from longlag.bench.cases import (
    CONTESTANTS,
    FULL,
    ITERATION,
    OURS,
    PEERS,
    QUICK,
    Plan,
    Unit,
)
from longlag.bench.measure import Entrant
from longlag.bench.process import Failed, processes
from longlag.bench.words import render
from longlag.kernel import load_kernel
from longlag.learning import engine as engines
from longlag.terminal import say
from longlag.version import __version__

__all__ = ["PEERS", "parse_against", "render", "run"]


def parse_against(text: str) -> tuple[str, ...]:
    """Peers from a list such as `numpy,torch`.

    Raises:
        ValueError: a name that is not a peer's.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PEERS:
            raise ValueError(f"against must be a list of {', '.join(PEERS)}, not {text!r}")
    return tuple(dict.fromkeys(names))


def run(against: Sequence[str] = PEERS, quick: bool = False) -> dict[str, Any]:
    """Measures it all; words on standard error.

    Returns:
        `rows` (one a contestant, case and number of threads), `floor` (the core's peak and what
        follows from it for each case), `checks` and `machine`, ready for JSON.

    Raises:
        ValueError: the contestants were not installed.
    """
    if importlib.util.find_spec("longlag.benchmarks") is None:
        raise ValueError("bench needs the benchmarks that come with longlag: install it again")
    plan = QUICK if quick else FULL
    cores = machine.cores()
    done: list[list[Entrant]] = []
    for unit, threads in _parts(plan, cores):
        done += _measured(plan, against, unit, threads)
    gflops = max((peak for entrants in done for peak in entrants[0].peaks), default=math.nan)
    return {
        "rows": [row for entrants in done for row in measure.rows(entrants, gflops)],
        "floor": measure.floors(plan.cases, gflops),
        "checks": _checks(plan, cores),
        "machine": _machine(cores),
    }


def _parts(plan: Plan, cores: int) -> Iterator[tuple[Unit, int]]:
    """Which cases are done with how many threads; the on-line network on one."""
    for unit in dict.fromkeys(case.unit for case in plan.cases):
        for threads in sorted({1, cores}) if plan.all_cores and unit == ITERATION else [1]:
            yield unit, threads


def _measured(
    plan: Plan, against: Sequence[str], unit: Unit, threads: int
) -> Iterator[list[Entrant]]:
    """The contestants after the rounds of each case of a unit."""
    chosen = [c for c in CONTESTANTS[unit] if not c.family or c.family in against]
    with processes(chosen, threads) as started:
        for case in plan.cases:
            if case.unit == unit:
                say(f"bench: {case.name}, {measure.threads(threads)}")
                entrants = [Entrant(p, case) for p in started if p.contestant.takes(case)]
                measure.alternate(entrants, plan)
                yield entrants


def _checks(plan: Plan, cores: int) -> dict[str, Any]:
    """The kernel by itself; a word where it failed."""
    if missing := OURS.missing():
        return {"error": missing}
    checks: dict[str, Any] = {}
    for name, check in (
        ("cost_per_step", lambda: alone.cost_per_step(plan)),
        ("two_seeds", lambda: alone.two_seeds(plan) if cores > 1 else {"error": "one core"}),
        ("memory", lambda: [alone.memory(plan.long, threads) for threads in sorted({1, cores})]),
    ):
        say(f"bench: {name.replace('_', ' ')}")
        try:
            checks[name] = check()
        except Failed as failure:
            checks[name] = {"error": str(failure)}
    return checks


def _machine(cores: int) -> dict[str, Any]:
    known = ("numpy", "torch", "jax", "optax", "numba")
    names = [name for name in known if importlib.util.find_spec(name)]
    kernel = load_kernel()
    return {
        "processor": machine.processor(),
        "cores": cores,
        "isa": None if kernel is None else engines.choose("native").isa,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "longlag": __version__,
        **{name: importlib.metadata.version(name) for name in names},
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }
