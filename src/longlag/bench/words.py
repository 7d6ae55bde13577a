"""The result of `longlag bench` as text, 80 columns wide."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from longlag.bench.cases import unit_of
from longlag.bench.measure import threads
from longlag.learning.native import LANES
from longlag.words import table

GROUPS = ("", "clock", "", "", "", "CPU", "")
HEADINGS = ("", "median", "spread", "× ours", "× floor", "× ours", "× floor")
NOTE = """\
Medians of rounds that alternate between the contestants, a process each; the
spread is from the fastest round to the slowest. The time of longlag includes
drawing its data (first line); the peers' data are drawn before. The floor is
the operations of an iteration at the core's measured multiply-add peak. CPU
time leaves out waiting for a core that others use. `Its steps in registers` is
a measured loop of the products, sums and activations of every step, in which
nothing is stored and nothing waits for anything else."""
ONLINE_NOTE = f"""
On-line (one sequence, one update) a figure is for a step of one trial: ours
takes {LANES} trials through it side by side, the peers one."""


def render(result: dict[str, Any]) -> str:
    """The tables, the kernel by itself, and the machine."""
    online = any("ns_per_trial_step" in at for at in result["floor"]["cases"])
    parts = [
        *sections(result["rows"], result["floor"]["gflops"]),
        checks_text(result["checks"]),
        NOTE + (ONLINE_NOTE if online else ""),
        _machine(result["machine"]),
    ]
    return "\n\n".join(parts)


def sections(rows: Sequence[dict[str, Any]], gflops: float) -> Iterator[str]:
    """A table for each case and number of threads; who has no figures stands below it."""
    for what, group in groupby(rows, key=lambda row: row["what"]):
        of_case = list(group)
        unit, ours = unit_of(of_case[0]), of_case[0]
        lines = [GROUPS, HEADINGS]
        if "floors" in ours and "error" not in ours:
            time = _figure(ours[unit.name] / ours["floors"])
            lines.append((f"floor, at {gflops:.0f} GFLOP/s", time, "", "", "1", "", "1"))
        if "needed" in ours and "error" not in ours:
            share = _multiple(ours["needed_floors"])
            lines.append(
                ("its steps in registers", _figure(ours["needed"]), "", "", share, "", share)
            )
        lines += [(row["who"], *_figures(row)) for row in of_case if "error" not in row]
        failed = [f"{row['who']}: {row['error']}" for row in of_case if "error" in row]
        yield "\n".join([f"{what}: {unit.words}", "", table(lines, keys=1), *failed])


def _figures(row: dict[str, Any]) -> tuple[str, ...]:
    """A row's cells beside its name."""
    time = row[unit_of(row).name]
    return (
        _figure(time),
        f"{100 * (row['max'] - row['min']) / time:.0f} %",
        _multiple(row["ratio"]),
        _multiple(row.get("floors", math.nan)),
        _multiple(row["processor_ratio"]),
        _multiple(row.get("processor_floors", math.nan)),
    )


def _multiple(value: float) -> str:
    if math.isnan(value):
        return ""
    return _figure(value) if value >= 10 else f"{value:.2f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def checks_text(checks: dict[str, Any]) -> str:
    """The kernel by itself, a line each."""
    if "error" in checks:
        return f"the kernel by itself: {checks['error']}"
    lines = [("cost of a step", _cost(checks)), ("two seeds on two cores", _seeds(checks))]
    memory = checks["memory"]
    if "error" in memory:
        lines.append(("memory", memory["error"]))
    else:
        lines += [(f"memory with {threads(one['threads'])}", _memory(one)) for one in memory]
    return table(lines)


def _cost(checks: dict[str, Any]) -> str:
    cost = checks["cost_per_step"]
    if "error" in cost:
        return cost["error"]
    (short, long), (fast, slow) = cost["lengths"], cost["ns_per_step"]
    return (
        f"{fast:.1f} ns at T = {short}, {slow:.1f} at {long}: "
        f"× {cost['ratio']:.2f} (CPU × {cost['processor_ratio']:.2f})"
    )


def _seeds(checks: dict[str, Any]) -> str:
    seeds = checks["two_seeds"]
    if "error" in seeds:
        return seeds["error"]
    return (
        f"{seeds['us_alone']:.1f} µs alone, {seeds['us_together']:.1f} both: "
        f"× {seeds['speedup']:.2f} of one (CPU × {seeds['processor_speedup']:.2f})"
    )


def _memory(one: dict[str, Any]) -> str:
    used, needed = one["bytes"] / 1e6, one["needed_bytes"] / 1e6
    return f"{used:.1f} MB, × {one['ratio']:.2f} of the {needed:.1f} that BPTT must keep"


def _machine(about: dict[str, Any]) -> str:
    bare = ("processor", "system", "date")  # their values say what they are
    items = [str(value) if name in bare else f"{name} {value}" for name, value in about.items()]
    return textwrap.fill(", ".join(items), 79)
