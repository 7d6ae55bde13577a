"""The movement study in words: for the terminal, and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longlag.studies.movement.cases import ALGORITHMS, KINDS, WIDTHS, Case
from longlag.studies.page import bullets, markdown, setting
from longlag.version import __version__
from longlag.words import seconds

PARTS = ("T", "hidden", "batch", "reads", "forward", "backward", "update", "cost")


def cells(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table for the terminal, its head first."""
    rows = [row for row in content["rows"] if row["bytes"] == 4]
    return [("algorithm", *PARTS), *((r["algorithm"], *(f"{r[p]:,}" for p in PARTS)) for r in rows)]


def remarks(content: Mapping[str, Any]) -> list[str]:
    """Conclusions from the numbers."""
    lines = [_headline(content)]
    if content["quick"]:
        lines.append("Quick form, on short sequences: it shows that everything runs, no more.")
    return lines


def _headline(content: Mapping[str, Any]) -> str:
    one, many = content["headline"].values()
    batch = list(content["headline"])[-1].removeprefix("batch_")
    return (
        "A training step of catalog (T = 30, 8 cells, 4-byte scalars, reference's order) costs "
        f"{one['bytes_4']:,} with one sequence and {many['bytes_4']:,} with a batch of {batch}."
    )


def page(content: Mapping[str, Any], results: Any, command: str) -> str:
    """README.md."""
    quick = "\nQuick form, on short sequences: it shows that everything runs, no more.\n"
    return (
        "# Data movement in the training of an LSTM\n\n"
        "The data movement distance counts, for every byte that is read, the square root of how "
        "many bytes were used more recently. The variant is "
        f"{content['variant']}: only reads cost, ⌈√⌉ of the depth on one LRU stack, byte by byte "
        "(`longlag.movement`). Costs are of scalars of 4 bytes where nothing else is said.\n"
        f"{quick if content['quick'] else ''}\n"
        f"**{_headline(content)}**\n\n{_headline_table(content, results)}\n\n"
        f"{'' if content['quick'] else findings(content, results)}"
        f"## By phase and order, at T = 30\n\n{_parts_table(results)}\n\n"
        "![By phase and by what is read](parts.png)\n\n"
        f"## Against T\n\n{_length_table(results)}\n\n![Against T](length.png)\n\n"
        f"Exponents of T, fitted from T = {content['fitted_from']} up:\n\n"
        f"{_exponent_table(content)}\n\n![With and without liveness](dropping.png)\n\n"
        f"## Against cells and batch\n\n{_size_tables(results)}\n\n![Against size](size.png)\n\n"
        f"Command: `{command}`  \nlonglag {__version__}, stack distances by "
        f"{'the native kernel' if content['native'] else 'plain Python'}, {setting()}; "
        f"{seconds(content['elapsed_sec'])}. The numbers do not depend on the machine. Every case "
        "is in movement.csv.\n"
    )


def _headline_table(content: Mapping[str, Any], results: Any) -> str:
    rows = []
    for batch in (1, results.batches[-1]):
        costs = content["headline"][f"batch_{batch}"]
        measured = results[Case("bptt", batch=batch)]
        rows.append(
            [f"batch {batch}", f"{measured.reads:,}"]
            + [f"{costs[f'bytes_{width}']:,}" for width in WIDTHS]
            + [f"{costs['bytes_4'] / batch:,.0f}"]
        )
    head = ["T = 30, H = 8", "reads", *(f"{w} byte{'s' * (w > 1)}" for w in WIDTHS)]
    return markdown([[*head, "4 bytes, a sequence"], *rows])


def _parts_table(results: Any) -> str:
    cases = [Case(name, batch=batch) for batch in (1, results.batches[-1]) for name in ALGORITHMS]
    shown = [case for case in cases if case.batch == 1 or case.algorithm.startswith("bptt")]
    shown = [case for case in shown if case != Case("bptt-each")]
    rows = []
    for case in shown:
        measured = results[case]
        rows.append(
            [ALGORITHMS[case.algorithm], str(case.batch)]
            + [f"{cost:,}" for cost in measured.phases[1]]
            + [f"{measured.cost(width):,}" for width in (4, 8)]
        )
    head = ["", "batch", "forward", "backward", "update", "all, 4 bytes", "all, 8 bytes"]
    return markdown([head, *rows])


def _length_table(results: Any) -> str:
    rows = [
        [ALGORITHMS[name], *(f"{m.cost():,}" for m in results.over_lengths(name))]
        for name in ALGORITHMS
        if name != "bptt-each"
    ]
    return markdown([["one sequence, T =", *map(str, results.lengths)], *rows])


def _exponent_table(content: Mapping[str, Any]) -> str:
    names = ("cost", *KINDS, "nothing_dropped")
    rows = [
        [ALGORITHMS[found["algorithm"]], *(_slope(found[name]) for name in names)]
        for found in content["exponents"]
        if found["algorithm"] != "bptt-each"
    ]
    head = ["", "cost", *(f"reads of {kind}" for kind in KINDS), "cost, nothing dropped"]
    return markdown([head, *rows])


def _slope(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _size_tables(results: Any) -> str:
    orders = [name for name in ALGORITHMS if name.startswith("bptt")]
    cells = [
        [ALGORITHMS[name], *(f"{results[Case(name, hidden=H)].cost():,}" for H in results.hidden)]
        for name in orders
        if name != "bptt-each"
    ]
    batches = [
        [ALGORITHMS[name], *(_each(results[Case(name, batch=B)]) for B in results.batches)]
        for name in orders
    ]
    return (
        markdown([["one sequence, H =", *map(str, results.hidden)], *cells])
        + "\n\n"
        + markdown([["cost a sequence, batch", *map(str, results.batches)], *batches])
    )


def _each(measured: Any) -> str:
    return f"{measured.cost() / measured.case.batch:,.0f}"


def findings(content: Mapping[str, Any], results: Any) -> str:
    """The findings, sentences with the numbers."""
    slope = {found["algorithm"]: found for found in content["exponents"]}
    T, batch = results.lengths[-1], results.batches[-1]
    bptt, local = (results[Case(name, T=T)] for name in ("bptt", "1997"))
    one = results[Case("bptt")]
    whole, fused, each = (
        results[Case(name, batch=batch)].cost() for name in ("bptt", "bptt-fused", "bptt-each")
    )
    share = one.phases[1] / one.costs[1]
    lines = [
        f"**BPTT is linear in T here, not T^1.5.** Its exponent is {slope['bptt']['cost']:.3f}, "
        f"the local algorithm's {slope['1997']['cost']:.3f}. BPTT keeps 48 values a step, but uses "
        "them like a stack: the backward pass reads last what was kept first, and drops what it "
        "has read for the last time. So a kept value lies just below the working set when it is "
        "read, at a depth that does not grow with T. Reads of what was kept grow with exponent "
        f"{slope['bptt']['kept']:.3f}.",
        "**One part does grow faster: the inputs.** They lie on the stack before the run, the last "
        "step's on top: an early step's inputs lie below all later ones, and in BPTT also below "
        "everything that was kept since. They are read at depths of order T, so their reads grow "
        f"with exponent {slope['bptt']['inputs']:.3f} (BPTT; it tends to 1.5) and "
        f"{slope['1997']['inputs']:.3f} (1997), but are only "
        f"{bptt.kinds[1, KINDS.index('inputs')] / bptt.costs[1]:.1%} and "
        f"{local.kinds[1, KINDS.index('inputs')] / local.costs[1]:.1%} of the cost at T = {T}.",
        "**The reason is that dead values are dropped.** The same reads without dropping anything "
        f"cost {bptt.undropped[1] / bptt.costs[1]:.1f} times as much (BPTT) and "
        f"{local.undropped[1] / local.costs[1]:.1f} times (1997) at T = {T}, with exponents "
        f"{slope['bptt']['nothing_dropped']:.3f} and {slope['1997']['nothing_dropped']:.3f} that "
        "still rise with T, because what was kept or is still to come then lies below everything "
        "that was computed since and is no longer needed. The argument for T^1.5 holds for a stack "
        "that drops nothing.",
        f"**Locality in time saves space.** The deepest read of BPTT at T = {T} is "
        f"{bptt.largest:,}, that of the local algorithm {local.largest:,}, of which {2 * T:,} are "
        "the inputs themselves. (The two networks differ in size, 8 cells and 4, so their costs "
        "are to be compared in growth, not in height.) For the 1997 network itself, summing "
        "backwards over kept values costs less than carrying the traces along, since it does fewer "
        "operations.",
        f"**The backward pass costs most**: forward {share[0]:.0%}, backward {share[1]:.0%}, "
        f"update {share[2]:.0%} of a training step on one sequence at T = 30. The update hardly "
        "depends on batch or T.",
        f"**Order matters.** With a batch of {batch}, the kernel's fused order in groups of 16 "
        f"costs {1 - fused / whole:.0%} less than array by array, the same one sequence at a time "
        f"{1 - each / whole:.0%} less: the lanes of a group push each other down the stack. (A "
        "vector unit reads 16 lanes at once; this metric counts each as a scalar.) On one sequence "
        f"fusing saves {1 - results[Case('bptt-fused')].cost() / one.cost():.0%}.",
        "**Width.** From 4 to 8 bytes a scalar the cost grows by a factor of "
        f"{one.cost(8) / one.cost(4):.2f}, near 2^1.5: twice the bytes, each √2 times as far.",
    ]
    return f"## Findings\n\n{bullets(lines)}\n\n"
