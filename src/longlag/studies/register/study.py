"""Inside the network: which cells form a register, what they hold, and since when.

"Can we read off a two-dimensional register and verify that one cell stores x1 and another x1 x2?"
A trial trains a network and measures it (`probe`); here they are gathered. The output
directory holds

    table.md         a line a network, the findings, the figures, the command
    networks.csv     a line a network
    points.csv       readout and transplant at every point of a sequence's own time
    readout.csv      readout against the step
    *.png            five figures

and, unless another place is named, ledger.sqlite, from which an interrupted study is continued.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from longlag import files
from longlag.figures import style
from longlag.learning.recipe import recipe
from longlag.studies.cases import Row
from longlag.studies.declaration import Request
from longlag.studies.frame import Trials, engines, gather, isas
from longlag.studies.register import figures
from longlag.studies.register import page as register_page
from longlag.studies.register import probe as register_probe
from longlag.studies.register.measure import PRODUCT_FROM_BOTH, beyond
from longlag.studies.register.sequences import AFTER, BETWEEN, LATER, POINTS, SHORTEST
from longlag.studies.result import Result
from longlag.sweeps.sweep import Observer
from longlag.sweeps.trial import Trial, trial
from longlag.version import CODE_VERSION

PROBE = "longlag.studies.register.probe:trial"
LENGTHS, FULL_LENGTHS, QUICK_LENGTHS = (30, 100, 300), (30, 100, 300, 1000), (30,)
TRIALS, FULL_TRIALS, QUICK_TRIALS = 10, 30, 2
CATALOG, QUICK_CATALOG = (0, 2, 3), (2,)  # catalog's solved seeds
SIZES = {"sequences": 3000, "searched": 128, "pairs": 256}
QUICK_SIZES = {"sequences": 400, "searched": 32, "pairs": 48}
FORMED = 0.5  # of what a linear code of both values does not explain: above it, a product is held
STORED = 0.9  # R² from which one cell alone is said to store a number


@dataclass(frozen=True)
class Group:
    """Networks that differ in their seeds alone."""

    recipe: str
    T: int
    changes: Mapping[str, Any]
    seeds: Sequence[int]

    @property
    def label(self) -> str:
        return f"{self.recipe}, T = {self.T:,}"


@dataclass(frozen=True)
class Network:
    """A measured network: its row of the table, and the measurements."""

    row: Row
    measured: Mapping[str, Any]


Members = tuple[Group, Sequence[Network]]


def groups(request: Request) -> list[Group]:
    """The grid: catalog at its own lengths, then robust."""
    grid = QUICK_LENGTHS if request.quick else FULL_LENGTHS if request.full else LENGTHS
    trials = QUICK_TRIALS if request.quick else FULL_TRIALS if request.full else TRIALS
    for T in request.lengths:
        if T < SHORTEST:
            raise ValueError(f"lengths must be at least {SHORTEST} to look between marks, not {T}")
    seeds = request.seeds(trials)
    catalog = (QUICK_CATALOG if request.quick else CATALOG)[: len(seeds)]
    most = 100 if request.quick else None
    found = [Group("catalog", 30, _changes(request, "catalog", most), catalog)]
    for T in request.lengths or grid:
        changes = {"min_length": T, **_changes(request, "robust")}
        found.append(Group("robust", T, changes, seeds))
    return found


def _changes(request: Request, name: str, most: int | None = None) -> dict[str, Any]:
    """The recipe's own budget, or `most` iterations, or what --max-sequences allows."""
    own = recipe(name)
    return {"max_iterations": request.iterations(own.batch_size, most or own.rule.budget)}


def trials_of(group: Group, request: Request) -> Trials:
    """What is carried out."""
    own = QUICK_SIZES if request.quick else SIZES
    engine = register_probe.engine_of(group.recipe, request.engine)

    def make(seed: int) -> Trial:
        one = trial(group.recipe, seed, engine, **group.changes)
        settings = {name: value for name, value in one.settings.items() if name != "fresh"}
        return replace(one, function=PROBE, settings={**settings, **own})

    return Trials(make, group.seeds)


def carry_out(request: Request, observe: Observer) -> Result:
    """Runs the study to its end and writes its files; raises as `declaration.run`."""
    grid = groups(request)
    trials = [trials_of(group, request) for group in grid]
    out, _, rows = gather(trials, request, observe)
    networks = [(group, _measured(group, own)) for group, own in zip(grid, rows, strict=True)]
    networks = [(group, members) for group, members in networks if members]
    if not networks:
        first = next(itertools.chain.from_iterable(rows))
        reason = first["error"] or f"the training of seed {first['seed']} {first['status']}"
        raise OSError(0, f"no network could be measured: {reason}", str(out))
    content = _content(request, list(itertools.chain.from_iterable(rows)), networks, out)
    _write(request, networks, content, out)
    return Result(
        request.study.title,
        content,
        register_page.cells(content["rows"]),
        register_page.remarks(content),
    )


def _content(
    request: Request, rows: Sequence[Row], networks: Sequence[Members], out: Path
) -> dict[str, Any]:
    status = Counter(row["status"] for row in rows)
    return {
        "study": "register",
        "trials": sum(len(members) for _, members in networks),
        "failed": status["failed"],
        "diverged": status["diverged"],
        "seed": request.seed,
        "rows": [network.row for _, members in networks for network in members],
        "quick": request.quick,
        "full": request.full,
        "code": CODE_VERSION,
        "engine": engines(rows),
        "isa": isas(rows),
        "out": str(out),
    }


def _measured(group: Group, rows: Sequence[Row]) -> list[Network]:
    """Of the rows from the ledger, those of networks that could be measured."""
    return [Network(row_of(group, row), row["curve"]) for row in rows if row["curve"]]


def row_of(group: Group, row: Row) -> Row:
    """The line of a network in the table."""
    found = row["curve"]
    told, later = found["readout"], found["later"]
    products = [r2[2] for r2 in told["after"]]
    return {
        "recipe": group.recipe,
        "T": group.T,
        "seed": row["seed"],
        "status": row["status"],
        "sequences": row["sequences"],
        "rmse": found["answers"]["rmse"],
        "hidden_rmse": found["answers"]["hidden_rmse"],
        "wrong": found["answers"]["wrong"],
        "answers_r2": found["answers"]["r2"],
        "between": _set(found, "between", BETWEEN),
        "after": _set(found, "after", AFTER),
        "ablated_none": found["ablation"]["none"],
        "readout": {
            "earlier_between": told["all"][BETWEEN][0],
            "earlier_between_register": told["between"][BETWEEN][0],
            "earlier_between_untrained": told["untrained"][BETWEEN][0],
            "product_later": told["all"][LATER][2],
            "product_later_register": products[LATER],
            "product_after": told["all"][AFTER][2],
            "product_after_register": products[AFTER],
            "product_after_untrained": told["untrained"][AFTER][2],
            "earlier_after": told["all"][AFTER][0],
            "earlier_after_register": told["after"][AFTER][0],
            "earlier_after_best_cell": float(_alone(found, AFTER)[:, 0].max()),
        },
        "formed": formed(products),
        "kept_share": later["kept_share"],
        "held": later["held"],
        "verdict": verdict(found),
    }


def _set(found: Mapping[str, Any], name: str, point: int) -> Row:
    """A set's line: cells counted from 1, as in the figures."""
    judged, ablation = found["sets"][name], found["ablation"]
    return {
        **judged,
        "cells": [cell + 1 for cell in judged["cells"]],
        "best_cell": max(found["transplants"]["cells"][point]),
        "ablated_rmse": ablation[f"{name}_set"],
        "emptied": ablation[f"{name}_emptied"],
    }


def formed(products: Sequence[float]) -> str:
    """The first of POINTS at which the product is told beyond a linear code of both values.

    products: R² at every point. `nowhere` if it never is.
    """
    shares = [beyond(r2, PRODUCT_FROM_BOTH) for r2 in products[LATER:]]
    return next((POINTS[LATER + k] for k, s in enumerate(shares) if s >= FORMED), "nowhere")


def verdict(found: Mapping[str, Any]) -> str:
    """What kind of register a network has, in a few words.

    value and product   after the later mark one cell tells the earlier value, another the product
    one cell            one cell carries the earlier value and, from the later mark on, the product
    handed over         one cell carries the earlier value, another one the product
    several cells       more than one cell is needed at one of the two times
    no product          the answers are no better than the best linear function of both values
    """
    if found["answers"]["r2"] <= PRODUCT_FROM_BOTH:
        return "no product"
    alone = _alone(found, AFTER)
    if (alone.max(axis=0)[[0, 2]] >= STORED).all():
        return "value and product"
    between, after = (found["sets"][name]["cells"] for name in ("between", "after"))
    if len(between) == len(after) == 1:
        return "one cell" if between == after else "handed over"
    return "several cells"


def _alone(found: Mapping[str, Any], point: int) -> np.ndarray:
    """R² of the earlier value, the later and the product from each cell alone, (H, 3)."""
    return np.array(found["readout"]["cells"][point]).reshape(-1, 3)


def _write(
    request: Request, networks: Sequence[Members], content: Mapping[str, Any], out: Path
) -> None:
    members = [network for _, found in networks for network in found]
    tables = {
        "networks.csv": register_page.networks_csv(members),
        "points.csv": register_page.points_csv(members),
        "readout.csv": register_page.readout_csv(members),
        "table.md": register_page.page(request.study.title, content, request.command),
    }
    for name, text in tables.items():
        files.write_bytes(out / name, text.encode())
    panels = [figures.Panel(g.label, [n.measured for n in found]) for g, found in networks]
    shown = [
        (f"{n.row['recipe']}, T = {n.row['T']}, seed {n.row['seed']}", n.measured)
        for n in _examples(networks)
    ]
    pictures = {
        "readout.png": figures.readout(panels),
        "cells.png": figures.cells(
            panels, [[n.row["seed"] for n in found] for _, found in networks]
        ),
        "transplant.png": figures.transplant(panels),
        "later_mark.png": figures.later_mark(shown),
        "surface.png": figures.surface(shown),
    }
    for name, picture in pictures.items():
        files.write_bytes(out / name, style.png(picture))


def _examples(networks: Sequence[Members]) -> list[Network]:
    """The first network of robust at a middle length, and the first of catalog."""
    of = {"robust": [], "catalog": []}
    for group, found in networks:
        of[group.recipe].append(found[0])
    robust, catalog = of["robust"], of["catalog"]
    return [*robust[len(robust) // 2 :][:1], *catalog[:1]]
