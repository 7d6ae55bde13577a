"""The study `register` in words: for the terminal, as a page, and as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from longlag.networks.network import counted
from longlag.studies.cases import Row
from longlag.studies.page import bullets, csv_text, engine, markdown, setting
from longlag.studies.register.measure import PRODUCT_FROM_BOTH
from longlag.studies.register.sequences import POINTS

HEAD = (
    *("recipe", "T", "seed", "RMSE", "answers: R²"),
    *("between the marks: cells", "closed", "by all others", "by random sets", "on a line"),
    *("after them: cells", "closed", "by all others", "by random sets", "on a line"),
    *("R² of the product, at the later mark", "half-way on", "of the earlier value, best cell"),
    *("formed", "verdict"),
)
QUICK = "Quick form, on few short sequences: it shows that everything runs, no more."

NOTES = (
    "*Earlier* and *later* refer to time: a network cannot see which mark was drawn first, and by "
    "the paper's rules the second may precede the first. Sequences with a mark hidden on the first "
    "pair, whose value counts as 1, are left out. In the figure against t, x₁ and x₂ are the "
    "values in the order in which the rules draw them, so that no readout can tell one from the "
    "other fully.",
    "**Cells, closed.** The two sequences of a pair have the same length and marks and different "
    "values. At one step, the states of some cells of one, the donor, replace those of the other, "
    "the host, which then continues with its own inputs. The distance is that between the host's "
    "answer and its answer with the donor's whole state (c, h); *closed* is the share of it that a "
    "set of cells closes, 1 − Σ|rest| / Σ|distance|. The set is the smallest that closes 0.9 (all "
    "sets of a size are tried before larger ones), found on some pairs and judged on others; the "
    "controls are all other cells together, and random sets of the same size (mean).",
    "**Between the marks** is half-way from the earlier to the later, **after them** half-way from "
    "the later to the end; the marks are at least 4 steps apart. c is replaced and h follows, h = "
    "o tanh c, with the host's output gate, since h is made from c at every step; replacing c "
    "alone (h is then one step old), or c with the donor's h, is there for comparison.",
    "**R²** is of a linear map fitted by least squares on half the sequences and judged on the "
    "other half; in the table, of the product from the cells that carry most after the marks. Two "
    "baselines are exact: x₁ and x₂ held separately give R² = 6/7 = 0.857 for the product (the "
    "best linear answer, with an MSE of 1/144 = 0.0069), and the product alone gives 3/7 = 0.429 "
    "for each value. *Formed*: the first point at which the R² of those cells is half-way from 6/7 "
    "to 1.",
    "**On a line**: instead of taking the donor's states, the host's cells are moved along one "
    "straight line, by the difference of the two values. It is the line along which the states of "
    "other sequences change with the earlier value (from the later mark on: with the product). "
    "Where this closes the distance, the cells carry one number, however many they are.",
    "**Verdicts.** *value and product*: half-way from the later mark to the end one cell alone "
    "tells the earlier value with R² 0.9 or more, and another the product; *one cell*: one cell "
    "carries the earlier value and, from the later mark on, the product; *handed over*: one "
    "carries the value, another the product; *several cells*: more than one is needed to close "
    "0.9; *no product*: the answers are no better than the best linear function of both values.",
)


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table in words, its head first."""
    return [HEAD, *(_line(row) for row in rows)]


def _line(row: Row) -> tuple[str, ...]:
    told = row["readout"]
    return (
        *(row["recipe"], f"{row['T']:,}", str(row["seed"])),
        *(f"{row['rmse']:.3f}", f"{row['answers_r2']:.3f}"),
        *_carried(row["between"]),
        *_carried(row["after"]),
        f"{told['product_later_register']:.3f}",
        f"{told['product_after_register']:.3f}",
        f"{told['earlier_after_best_cell']:.2f}",
        row["formed"],
        row["verdict"],
    )


def _carried(found: Row) -> tuple[str, ...]:
    value, low, high = found["closed"]
    numbers = " ".join(map(str, found["cells"]))
    closed = f"{value:.2f} ({low:.2f} to {high:.2f})"
    names = ("all_others", "random_mean", "line")
    return numbers, closed, *(_median([found[name]]) for name in names)


# -- what the numbers come to ---------------------------------------------------------------------


def remarks(content: Mapping[str, Any]) -> list[str]:
    """Conclusions from the numbers, and what to know to read them."""
    lines = findings(content["rows"])
    for name in ("failed", "diverged"):
        if content[name]:
            lines.append(f"Left out: {counted(content[name], 'network')} that {name}.")
    if content["quick"]:
        lines.append(QUICK)
    return lines


def findings(rows: Sequence[Row]) -> list[str]:
    """Conclusions from the numbers, by recipe."""
    lines = []
    for name in dict.fromkeys(row["recipe"] for row in rows):
        mine = [row for row in rows if row["recipe"] == name]
        kinds = []
        for T in sorted({row["T"] for row in mine}):
            of = [row["verdict"] for row in mine if row["T"] == T]
            kinds.append(f"T = {T:,}: {_count(of)} of {len(of)}")
        lines.append(f"**{name}**, {counted(len(mine), 'network')}. {'; '.join(kinds)}.")
        able = [row for row in mine if row["verdict"] != "no product"]
        if able:
            lines += [make(able) for make in (_answer, _causes, _moment, _how)]
    return lines


def _answer(rows: Sequence[Row]) -> str:
    stored = sum(row["verdict"] == "value and product" for row in rows)
    best = _median([row["readout"]["earlier_after_best_cell"] for row in rows])
    return (
        f"**Does one cell hold x₁ and another x₁ x₂?** Of the networks that compute a product, "
        f"in {stored} of {len(rows)} after the later mark. The cell that then tells most about the "
        f"earlier value does so with R² {best}."
    )


def _causes(rows: Sequence[Row]) -> str:
    parts = []
    for when, where in (("between", "between the marks"), ("after", "after them")):
        told = {
            name: _median([row[when][name] for row in rows])
            for name in ("best_cell", "line", "all_others")
        }
        parts.append(
            f"{where}, the best cell alone closes {told['best_cell']} of the distance, a move "
            f"along one line {told['line']}, all cells outside the set {told['all_others']}"
        )
    within = sum(set(r["between"]["cells"]) <= set(r["after"]["cells"]) for r in rows)
    return (
        f"**What causes the answer**: {'; '.join(parts)}. In {within} of {len(rows)} the cells "
        "that carry the earlier value are among those that carry the product."
    )


def _moment(rows: Sequence[Row]) -> str:
    return (
        f"**When** is the product formed? At: {_count(row['formed'] for row in rows)}. At the step "
        "of the later mark those cells tell it with R² "
        f"{_median([row['readout']['product_later_register'] for row in rows], 3)} (both values "
        f"held separately: {PRODUCT_FROM_BOTH:.3f})."
    )


def _how(rows: Sequence[Row]) -> str:
    held = {name: _median([r["held"][name] for r in rows], 3) for name in rows[0]["held"]}
    nothing = held.pop("nothing")
    parts = ", ".join(f"{name} {value}" for name, value in held.items())
    return (
        "**How**: held at its mean over sequences at the later mark's step alone, each of these "
        f"takes the RMSE from {nothing} to: {parts}."
    )


# The lines of the summary: what, a number of each network, and its digits.
Number = Callable[[Row], float]


def _readout(name: str) -> Number:
    return lambda row: row["readout"][name]


def _hidden(row: Row) -> float:
    return np.nan if row["hidden_rmse"] is None else row["hidden_rmse"]


def _of_set(when: str) -> list[tuple[str, Number, int]]:
    """What was measured of the smallest set."""

    def of(name: str) -> Number:
        return lambda row: row[when][name]

    return [
        ("distance closed by it", lambda row: row[when]["closed"][0], 2),
        ("… by its c alone, h one step behind", lambda row: row[when]["carries"]["cell"], 2),
        ("… by its c and the donor's h", lambda row: row[when]["carries"]["both"], 2),
        ("… by the best cell alone", of("best_cell"), 2),
        ("… by all cells outside it", of("all_others"), 2),
        ("… by random sets of its size", of("random_mean"), 2),
        ("… by a move of all cells along one line", of("line"), 2),
        ("… by all that is beside that line", of("off_line"), 2),
        ("way to the true product, by it", lambda row: row[when]["moved"][0], 2),
        ("… by the whole state", of("moved_whole"), 2),
        ("RMSE with its mean in its place", of("ablated_rmse"), 3),
    ]


SUMMARY: tuple[tuple[str, Sequence[tuple[str, Number, int]]], ...] = (
    (
        "between",
        [
            *_of_set("between"),
            ("R² of the earlier value from it", _readout("earlier_between_register"), 3),
            ("… from all cells, untrained", _readout("earlier_between_untrained"), 3),
            ("way to the later value when emptied", lambda row: row["between"]["emptied"], 2),
        ],
    ),
    (
        "after",
        [
            *_of_set("after"),
            ("R² of the product from it (apart: 6/7)", _readout("product_after_register"), 3),
            ("… at the later mark itself", _readout("product_later_register"), 3),
            ("… from all cells, untrained", _readout("product_after_untrained"), 3),
            ("R² of the earlier value from it (3/7)", _readout("earlier_after_register"), 3),
            ("… from the best cell alone", _readout("earlier_after_best_cell"), 3),
            ("… from all cells", _readout("earlier_after"), 3),
        ],
    ),
    (
        "later",
        [
            ("RMSE where a mark hides on the first pair", _hidden, 3),
            ("RMSE where none does", lambda row: row["held"]["nothing"], 3),
            ("… forget gates held", lambda row: row["held"]["forget gate"], 3),
            ("… what is written held", lambda row: row["held"]["what is written"], 3),
            ("… output gates held", lambda row: row["held"]["output gate"], 3),
            ("… what gates are told held", lambda row: row["held"]["what gates are told"], 3),
            ("share of x₁ x₂ in f c, best cell", lambda row: row["kept_share"], 2),
        ],
    ),
)
TITLES = {
    "between": "**Between the marks**: smallest set",
    "after": "**After the marks**: smallest set",
    "later": "**At the later mark's step**",
}


def summary(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Median and range over the networks that compute a product, a column a recipe and length."""
    able: dict[str, list[Row]] = {}
    for row in rows:
        if row["verdict"] != "no product":
            able.setdefault(f"{row['recipe']}, T = {row['T']:,}", []).append(row)
    lines = [("", *(f"{name} ({len(found)})" for name, found in able.items()))]
    for when, numbers in SUMMARY:
        sizes = [
            _count(counted(len(row[when]["cells"]), "cell") for row in found)
            if when in found[0]
            else ""
            for found in able.values()
        ]
        lines.append((TITLES[when], *sizes))
        for what, number, digits in numbers:
            lines.append((what, *(_median(map(number, f), digits) for f in able.values())))
    return lines if able else []


def _median(values: Iterable[float], digits: int = 2) -> str:
    """Median (range) of what are numbers."""
    found = np.array(list(values), dtype=float)
    found = found[np.isfinite(found)]
    if len(found) == 0:
        return "–"
    shown = (np.median(found), found.min(), found.max())
    middle, low, high = (f"{round(float(x), digits) + 0.0:.{digits}f}" for x in shown)
    return middle if low == high else f"{middle} ({low} to {high})"


def _count(values: Iterable[Any]) -> str:
    """'one cell 8, several cells 2', the most frequent first; alone, what all are."""
    found = Counter(values).most_common()
    return ", ".join(f"{value}" if len(found) == 1 else f"{value} {n}" for value, n in found)


# -- files ----------------------------------------------------------------------------------------


def page(title: str, content: Mapping[str, Any], command: str) -> str:
    """table.md."""
    pictures = (
        ("readout", "R² against the step, and against a sequence's own time"),
        ("transplant", "Share of the distance closed by transplants"),
        ("cells", "Every cell of every network"),
        ("later_mark", "What one cell does at the later mark"),
        ("surface", "The learned function and its error"),
    )
    found = summary(content["rows"])
    shown = "\n\n".join(f"![{words}]({name}.png)" for name, words in pictures)
    return (
        f"# {title}\n\n## Found\n\n{bullets(remarks(content))}\n\n## In numbers\n\n"
        "Median and range over the networks that compute a product (their number in brackets).\n\n"
        f"{markdown(found) if found else 'None does.'}\n\n## Network by network\n\n"
        f"{markdown(cells(content['rows']))}\n\n"
        f"## How to read it\n\n{bullets(NOTES)}\n\n{shown}\n\n"
        f"Command: `{command}` (robust's seeds from {content['seed']})  \n"
        f"longlag {content['code']}, {engine(content)} (catalog and all measurements: numpy), "
        f"{setting()}\n"
    )


def networks_csv(networks: Iterable[Any]) -> str:
    """A line a network: all that is one number."""
    return csv_text([dict(_flat(network.row)) for network in networks])


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        name = f"{prefix}{name}".replace(" ", "_")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}_")
        elif name.endswith("cells"):
            yield name, " ".join(map(str, value))
        elif isinstance(value, (list, tuple)):
            yield from zip((name, f"{name}_low", f"{name}_high"), value, strict=True)
        else:
            yield name, value


def points_csv(networks: Iterable[Any]) -> str:
    """A line a network, point and set of cells: R² and, where transplanted, the share closed."""
    lines = []
    for network in networks:
        told, swapped = network.measured["readout"], network.measured["transplants"]
        for p, point in enumerate(POINTS):
            singles = enumerate(zip(told["cells"][p], swapped["cells"][p], strict=True), 1)
            sets = [(f"cell {k}", np.ravel(r2), share) for k, (r2, share) in singles]
            sets += [(f"set {n}", told[n][p], swapped[n][p]) for n in ("between", "after")]
            sets += [(n, told[n][p], None) for n in ("all", "quadratic", "untrained")]
            for name, r2, share in sets:
                about = {k: network.row[k] for k in ("recipe", "T", "seed")}
                values = dict(zip(("r2_earlier", "r2_later", "r2_product"), r2, strict=True))
                lines.append({**about, "point": point, "cells": name, **values, "closed": share})
    return csv_text(lines)


def readout_csv(networks: Iterable[Any]) -> str:
    """A line a network and step: R² from all cells, of the same untrained, and of the best cell."""
    lines = []
    names = ("x1", "x2", "product")
    for network in networks:
        told = network.measured["time"]
        best = np.max(np.array(told["cells"]).reshape(len(told["steps"]), -1, 3), axis=1)
        for k, step in enumerate(told["steps"]):
            line = {name: network.row[name] for name in ("recipe", "T", "seed")} | {"t": step}
            for kind, r2 in (
                ("all", told["all"][k]),
                ("untrained", told["untrained"][k]),
                ("best_cell", best[k]),
            ):
                line |= {f"{kind}_{name}": v for name, v in zip(names, r2, strict=True)}
            lines.append(line)
    return csv_text(lines)
