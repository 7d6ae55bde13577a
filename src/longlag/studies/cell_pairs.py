"""Any two cells on the same task and T: whether they differ, by tests on the same seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from longlag.networks.network import counted
from longlag.studies.cases import Row
from longlag.studies.comparing import LogRank, holm, log_rank, mcnemar

LEVEL = 0.05
TESTS = {
    "p_mcnemar": ("solves it on more seeds than", "McNemar's exact test"),
    "p_log_rank": ("solves it sooner than", "the log-rank test"),
}


def pairs(rows: Sequence[Row]) -> list[Row]:
    """What two tests say of any two cells.

    Args:
        rows: of the study of cells; `seeds` has the sequences to success by seed, None where it was
            not solved.

    Returns:
        A mapping a pair: task and T; first and second, the cells; first_trials and second_trials;
        seeds, those that both had; first_alone and second_alone, of these the ones that one cell
        alone solved; first_mean and second_mean, restricted means of the sequences to success of
        all trials; p_mcnemar, of the seeds; p_log_rank and z_log_rank, of all trials, z above 0
        where the first is sooner; p_mcnemar_holm and p_log_rank_holm, corrected for the number of
        pairs.
    """
    found = [
        _pair(a, b)
        for a, b in itertools.combinations(rows, 2)
        if (a["task"], a["T"]) == (b["task"], b["T"])
    ]
    for name in TESTS:
        for pair, p in zip(found, holm([pair[name] for pair in found]), strict=True):
            pair[f"{name}_holm"] = p
    return found


def _pair(a: Row, b: Row) -> Row:
    seeds = [seed for seed in a["seeds"] if seed in b["seeds"]]
    solved = [(a["seeds"][seed] is not None, b["seeds"][seed] is not None) for seed in seeds]
    first_alone, second_alone = solved.count((True, False)), solved.count((False, True))
    return {
        **{"task": a["task"], "T": a["T"], "first": a["cell"], "second": b["cell"]},
        **{"first_trials": len(a["seeds"]), "second_trials": len(b["seeds"])},
        **{"seeds": len(seeds), "first_alone": first_alone, "second_alone": second_alone},
        **{"first_mean": a["restricted_mean"], "second_mean": b["restricted_mean"]},
        "p_mcnemar": mcnemar(first_alone, second_alone),
        **{f"{name}_log_rank": value for name, value in _log_rank(a, b)._asdict().items()},
    }


def _log_rank(a: Row, b: Row) -> LogRank:
    ends = [
        [row["max_sequences"] if n is None else n for n in row["seeds"].values()] for row in (a, b)
    ]
    solved = [[n is not None for n in row["seeds"].values()] for row in (a, b)]
    return log_rank(ends[0], ends[1], (solved[0], solved[1]))


def remarks(found: Sequence[Row]) -> list[str]:
    """Which cells differ beyond chance, a sentence a cell, task and T, or that none is shown to."""
    if not found:
        return []
    lines: list[str] = []
    for name, (words, test) in TESTS.items():
        better: dict[tuple[Any, ...], list[str]] = {}
        for pair in found:
            if (p := pair[f"{name}_holm"]) < LEVEL:
                first, second = _in_order(pair, name)
                key = pair["task"], pair["T"], first
                better.setdefault(key, []).append(f"{second} (p = {p:.2g})")
        lines += [
            f"{task}, T = {T}: {cell} {words} {', '.join(others)}, by {test}."
            for (task, T, cell), others in better.items()
        ]
        if not better:
            least = min(pair[f"{name}_holm"] for pair in found)
            lines.append(f"No two cells are shown to differ by {test}; the least p is {least:.2g}.")
    return [*lines, f"These p are corrected for {counted(len(found), 'pair')} (Holm)."]


def _in_order(pair: Row, name: str) -> tuple[str, str]:
    """The better cell first."""
    if name == "p_mcnemar":
        swapped = pair["second_alone"] > pair["first_alone"]
    else:
        swapped = pair["z_log_rank"] < 0
    cells = pair["first"], pair["second"]
    return (cells[1], cells[0]) if swapped else cells
