"""Any cell on any task: seeds solved, sequences, seconds."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from longlag import checks, files
from longlag.learning.recipe import NETWORKS, ROBUST_FOR, recipe
from longlag.settings import Option, imported
from longlag.studies import cell_pairs, page
from longlag.studies.cases import Case, Outcome, Row, Slow, share, spread
from longlag.studies.comparing import restricted_mean
from longlag.studies.declaration import (
    COMMON,
    FIRST_SEED,
    LENGTHS,
    SEED,
    Request,
    Study,
    worded,
)
from longlag.tasks.registry import TASKS
from longlag.tasks.task import Task
from longlag.terminal import results_alone

Settings = dict[str, Any]

# Each cell's network and its own settings, in the order of the help.
PLAIN: Settings = {"hidden": 32, "learning_rate": 0.003, "clip": 1.0}
CELLS: dict[str, Settings] = {
    "lstm": {"network": "lstm"},
    "torch-lstm": {"network": "torch-lstm", **PLAIN},
    "chrono": {"network": "chrono-lstm", **PLAIN},
    "gru": {"network": "torch-gru", **PLAIN},
    "rnn": {"network": "torch-rnn", **PLAIN},
    "irnn": {"network": "torch-irnn", **PLAIN, "hidden": 100, "learning_rate": 1e-3, "clip": 0.1},
    "mingru": {"network": "mingru", **PLAIN},
    "minlstm": {"network": "minlstm", **PLAIN},
    "lru": {"network": "lru", **PLAIN},
    "attention": {"network": "attention", **PLAIN},
}
PROTOCOL = ("optimizer", "beta1", "beta2", "average_decay")  # robust's, whatever it has for a task
SHARED: Settings = {"batch_size": 16, "test_every": 100, "epsilon": 1e-8}
LSTM_ALONE = (*SHARED, "hidden", "learning_rate", "clip", "output_bias")
TRIALS, QUICK_TRIALS, BUDGET = 10, 2, 96_000
SLOW_SECONDS = 60.0
LENGTH, QUICK_LENGTH = 100, 20
SIZES = ("min_length", "lag", "max_symbols")  # which setting a task has its T in

# The search: every cell gets the same settings to choose from, on seeds apart.
RATES, CLIPS = (0.001, 0.003, 0.01, 0.03), (0.1, 1.0)
SEARCH_SEED, SEARCH_TRIALS, SEARCH_BUDGET = 500, 3, 32_000
SEED_APART = replace(SEED, default=None)
TUNED_FILE = "tuned.json"
CHOSEN = ("learning_rate", "clip")  # what it holds of a cell
SEEDS = "seeds"  # that the search had
PAIRS_FILE = "pairs.csv"

FIRST = next(iter(TASKS))
OPTIONS = (
    Option(
        "cell",
        list[str],
        f"cells to compare: {', '.join(CELLS)}, or your own as name=module:Class",
        tuple(CELLS),
        otherwise="all of them",
        metavar="NAME,NAME=MODULE:CLASS,...",
    ),
    Option("task", list[str], f"tasks: {', '.join(TASKS)}", (FIRST,), shown=FIRST),
    Option("hidden", int, "units of every cell", high=1024, otherwise="the cell's own"),
    Option(
        "learning_rate",
        float,
        "learning rate of every cell",
        low=0,
        high=1e3,
        otherwise="the cell's own",
    ),
    Option(
        "clip",
        float,
        "limit on the gradient's norm, of every cell",
        low=1e-30,
        otherwise="the cell's own",
    ),
    Option("device", str, "where PyTorch or JAX computes: cpu, cuda, cuda:1, mps ...", "cpu"),
    Option(
        "until_unsolved",
        bool,
        "leave a cell out at the longer T of a task once no trial of it is solved there",
        False,
    ),
    Option(
        "slow_trials",
        int,
        "trials of a cell, task and T where one takes longer than --slow-seconds, by the median "
        "of these",
        high=100_000,
        otherwise="as many as --trials",
    ),
    Option(
        "slow_seconds",
        float,
        "seconds of a trial above which --slow-trials holds",
        low=0,
        otherwise=f"{SLOW_SECONDS:g}",
    ),
    Option(
        "search",
        bool,
        f"compare the same {len(RATES) * len(CLIPS)} settings of each cell, on seeds from "
        f"{SEARCH_SEED}, and write the best of each into {TUNED_FILE}",
        False,
    ),
    Option(
        "tuned", str, f"train cells with the settings in a {TUNED_FILE} of --search", metavar="FILE"
    ),
)


# -- the grid -------------------------------------------------------------------------------------


def cases(request: Request) -> list[Case]:
    """A case a cell, task and T; with --search also for each setting."""
    cells = _cells(request.cell)
    if request.search:
        _check_search(request)
    tuned, seeds = _tuned(request.tuned)
    _check_seeds(request, seeds)
    slow = _slow(request)
    if request.tuned and (left := [name for name in cells if name not in tuned]):
        raise ValueError(
            f"{request.tuned} has no settings for {', '.join(left)}: search with them, or leave "
            "them out of --cell"
        )
    lengths = request.lengths or (QUICK_LENGTH if request.quick else LENGTH,)
    for name in request.task:
        for T in lengths:
            task_at(name, T)  # refused before any work
    variants: Sequence[Settings] = ({},)
    if request.search:
        pairs = itertools.product(RATES, CLIPS)
        variants = [{"learning_rate": rate, "clip": clip} for rate, clip in pairs]
    found = [
        replace(_case(request, cell, {**own, **tuned.get(cell, {}), **variant}, task, T), slow=slow)
        for task in request.task
        for T in lengths
        for cell, own in cells.items()
        for variant in variants
    ]
    if all(case.refused for case in found):
        raise ValueError(found[0].refused)
    return found


def _usual_trials(request: Request) -> int:
    if request.quick:
        return QUICK_TRIALS
    return SEARCH_TRIALS if request.search else TRIALS


def _check_seeds(request: Request, searched: Sequence[int]) -> None:
    """Raises a ValueError where the comparison has seeds of the search that chose its settings."""
    seeds = request.seeds(_usual_trials(request))
    if any(seed in seeds for seed in searched):
        raise ValueError(
            f"the comparison would have seeds {seeds[0]} to {seeds[-1]}, and the search in "
            f"{request.tuned} had {min(searched)} to {max(searched)}: give --seed "
            f"{max(searched) + 1} or a larger one"
        )


def _slow(request: Request) -> Slow | None:
    """When a cell has fewer trials on a task and T; None where it never has.

    Raises:
        ValueError: seconds without trials, or more trials than other cells have.
    """
    seconds = SLOW_SECONDS if request.slow_seconds is None else request.slow_seconds
    if request.slow_trials is None:
        if request.slow_seconds is not None:
            raise ValueError("--slow-seconds says when --slow-trials holds: give both")
        return None
    trials = len(request.seeds(_usual_trials(request)))
    if request.slow_trials > trials and not request.quick:
        raise ValueError(
            f"slow_trials must be at most the {trials} of --trials, not {request.slow_trials}"
        )
    return Slow(request.slow_trials, seconds) if request.slow_trials < trials else None


def _check_search(request: Request) -> None:
    """Raises a ValueError for what a search chooses itself, or has no use for."""
    for name in (*CHOSEN, "tuned"):
        if getattr(request, name) is not None:
            option = name.replace("_", "-")
            raise ValueError(
                f"--search chooses the learning rate and the clip: leave --{option} out"
            )
    if request.until_unsolved:
        raise ValueError("--search tries all settings at every T: leave --until-unsolved out")
    if request.slow_trials is not None:
        raise ValueError("--search tries all settings on the same seeds: leave --slow-trials out")


def _cells(given: Sequence[str]) -> dict[str, Settings]:
    """The cells by the names that the table has.

    Raises:
        ValueError: an unknown name (the nearest is suggested), a name given twice, or one that a
            table cannot have.
    """
    found: dict[str, Settings] = {}
    for word in given:
        name, _, where = word.rpartition("=")
        where = where or name
        name = name if "=" in word else where.rpartition(":")[2]
        checks.label("the name of a cell", name)
        if where.startswith("__main__:"):
            raise ValueError(
                f"cell {word} cannot be imported by workers, since __main__ is the script that is "
                "run: put it into a file of its own, such as mycell.py, and name that"
            )
        if ":" not in where and where not in CELLS:
            module, _, inside = where.rpartition(".")
            meant = f"{module}:{inside}" if module else checks.near(where, CELLS)
            hint = f"; did you mean {meant!r}?" if meant else ""
            raise ValueError(
                f"cell must be one of {', '.join(CELLS)}, or your own as name=module:Class, "
                f"not {checks.shown(word)}{hint}"
            )
        if name in found:
            raise ValueError(f"cell has the name {name!r} twice: give one of them another")
        found[name] = CELLS.get(where, {"network": where, **PLAIN})
    return found


def _tuned(path: str | None) -> tuple[dict[str, Settings], list[int]]:
    """The settings that a search wrote, by cell, and the seeds that it had.

    Raises:
        ValueError: no such file, or another kind of one.
    """
    if path is None:
        return {}, []
    where = Path(path)
    if not where.is_file():
        raise ValueError(f"tuned must be a {TUNED_FILE} that --search wrote: there is no {path}")
    with files.damage_named(where):
        content = json.loads(where.read_bytes())
    found = content if isinstance(content, dict) else {}
    cells, seeds = found.get("cells"), found.get(SEEDS)
    if (
        not isinstance(cells, dict)
        or not all(isinstance(own, dict) and own.keys() == {*CHOSEN} for own in cells.values())
        or not isinstance(seeds, list)
        or not seeds
        or not all(type(seed) is int for seed in seeds)
    ):
        raise ValueError(
            f"{path} must hold {' and '.join(CHOSEN)} of cells, the seeds of the search, and "
            f"nothing else, as the {TUNED_FILE} of --search does"
        )
    ranges = {option.name: (option.low, option.high) for option in OPTIONS}
    for name, own in cells.items():
        for setting, value in own.items():
            try:
                checks.number(setting, value, *ranges[setting])
            except ValueError as error:
                raise ValueError(f"{path}: of cell {name}, {error}") from error
    return cells, seeds


def task_at(name: str, T: int) -> Task:
    """A task with its T, or its lag, or its longest string.

    Raises:
        ValueError: an unknown task, or a T that it cannot have.
    """
    task = TASKS[name]
    setting = next((one for one in SIZES if one in task.settings()), None)
    if setting is None:
        raise ValueError(f"task {name} has none of {', '.join(SIZES)}, which T would be")
    try:
        return task.with_settings({setting: T})
    except ValueError as error:
        raise ValueError(f"task {name} cannot have T = {T}: {error}") from error


def _case(request: Request, cell: str, own: Settings, task: str, T: int) -> Case:
    changes = {**_usual(own["network"], task), "task": task, **_sizes(task, T), **own}
    chosen = {
        "hidden": request.hidden,
        "learning_rate": request.learning_rate,
        "clip": request.clip,
    }
    changes |= {name: value for name, value in chosen.items() if value is not None}
    if own["network"] != "lstm" and request.device != "cpu":
        changes["device"] = request.device
    if ":" in own["network"]:
        del changes["output_bias"]  # the cell has its own answer
    batch = changes["batch_size"]
    budget = SEARCH_BUDGET if request.search else BUDGET
    changes["max_iterations"] = request.iterations(batch, budget // batch)
    if request.quick:
        changes |= {"max_iterations": request.iterations(batch, 40)}
        changes |= {"test_every": 20, "test_size": 100}
    about: Settings = {"cell": cell, "task": task, "T": T}
    if request.search:
        about |= {name: changes[name] for name in CHOSEN}
    units = tuple((name, changes[name]) for name in ("hidden", "device") if name in changes)
    reason = _refusal(cell, own["network"], task, T, units)
    engine = None if own["network"] == "lstm" else "numpy"
    stage = T if request.until_unsolved else 0
    trials = _usual_trials(request)
    return Case(about, "robust", changes, trials, engine=engine, refused=reason, stage=stage)


def _usual(network: str, task: str) -> Settings:
    """A cell's settings on a task, before its own: the protocol; of lstm, what robust has there; of
    the others, what they share."""
    robust = recipe("robust").settings()
    protocol = {name: robust[name] for name in PROTOCOL}
    for_task = ROBUST_FOR.get(task, {})
    if network == "lstm":
        return {**{name: robust[name] for name in LSTM_ALONE}, **for_task, **protocol}
    linear = for_task.get("output", robust["output"]) == "linear"  # as the answers of all cells are
    bias = for_task.get("output_bias", robust["output_bias"]) if linear else robust["output_bias"]
    return {**SHARED, "output_bias": bias, **protocol}


def _sizes(task: str, T: int) -> Settings:
    made = task_at(task, T)
    return {name: value for name, value in made.settings().items() if name in SIZES}


def needless(case: Case, outcomes: Sequence[Outcome]) -> bool:
    """Whether no trial of the cell was solved on the task at the longest T before, if any."""
    shorter = [one for one in outcomes if _series(one.case) == _series(case)]
    if not shorter:
        return False
    longest = max(shorter, key=lambda one: one.case.stage)
    return all(row["status"] != "target" for row in longest.rows)


def _series(case: Case) -> Settings:
    return {name: value for name, value in case.about.items() if name != "T"}


def untried(cases: Sequence[Case]) -> list[str]:
    """A sentence a task and T with the cells that were left out there."""
    left: dict[tuple[str, int], dict[str, None]] = {}
    for case in cases:
        key = case.about["task"], case.about["T"]
        left.setdefault(key, {})[case.about["cell"]] = None
    return [
        f"{task}, T = {T}: not tried with {', '.join(cells)}, of which no trial was solved at a "
        "shorter T."
        for (task, T), cells in left.items()
    ]


# -- a cell that will not do ----------------------------------------------------------------------


Units = tuple[tuple[str, Any], ...]  # settings of a network: hidden, and device where it is given


def _refusal(cell: str, network: str, task: str, T: int, units: Units) -> str:
    """Why a cell cannot be tried on a task, in one sentence; empty where it can."""
    with results_alone():
        try:
            maker = imported(network) if ":" in network else None
        except (Exception, SystemExit):
            maker = None  # _fault tells why
        if reason := _fault(network, maker, units):
            return f"Cell {cell} is left out: {reason}."
        special = ":" in network or len(units) > 1
        if special and (reason := _fault_on(network, maker, units, task, T)):
            return f"Cell {cell} is left out on {task}, T = {T}: {reason}."
    return ""


def _reason(error: BaseException) -> str:
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return (kind + " ".join(str(error).split())).rstrip(".")


@functools.lru_cache(maxsize=64)
def _fault(network: str, maker: object, units: Units) -> str:
    """What is wrong with a cell on any task: a user's cell may mix sequences or read padding.

    The adding problem shows it, as the values behind the end of a sequence can be changed there. It
    is looked for again when the cell's file was imported anew: then it has another `maker`.
    """
    adding = TASKS["adding"].with_settings({"min_length": 20, "max_length": 24})
    try:
        made: Any = NETWORKS[network].with_settings(dict(units))
        if ":" in network:
            made.check_itself(adding)
    except (Exception, SystemExit) as error:  # whatever a class of the user's raises
        return _reason(error)
    return ""


@functools.lru_cache(maxsize=256)
def _fault_on(network: str, maker: object, units: Units, task: str, T: int) -> str:
    """What is wrong with a cell's answers to one task, such as a cell that reads the future where
    answers are asked for at every step; or with its device."""
    try:
        made, one = NETWORKS[network].with_settings(dict(units)), task_at(task, T)
        made.check_itself(one)
        rng = np.random.default_rng(0)
        batch = one.sample(2, rng)
        made.of(made.start(one, rng), one).predict(batch.inputs, batch.lengths)
    except (Exception, SystemExit) as error:  # the same
        return _reason(error)
    return ""


# -- the table ------------------------------------------------------------------------------------


def rows(outcome: Outcome) -> list[Row]:
    """A line a case, with the result of every seed."""
    made = outcome.case.made()
    limit = made.rule.budget * made.batch_size
    solved = [row["status"] == "target" for row in outcome.rows]
    needed = [r["sequences"] if ok else limit for r, ok in zip(outcome.rows, solved, strict=True)]
    return [
        {
            **share(outcome, [n for n, ok in zip(needed, solved, strict=True) if ok]),
            "restricted_mean": restricted_mean(needed, solved, limit),
            "max_sequences": limit,
            "seconds": spread([row["seconds"] for row in outcome.rows]),
            "slow": outcome.case.slow.seconds if outcome.slow and outcome.case.slow else None,
            "mse": spread([_number(row["score"]["mse"]) for row in outcome.rows]),
            "weights": made.network.size(made.task),
            "seeds": {
                str(row["seed"]): n if ok else None
                for row, n, ok in zip(outcome.rows, needed, solved, strict=True)
            },
        }
    ]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def columns(rows: Sequence[Row]) -> dict[str, Any]:
    """At most 80 columns wide; a search has its settings and the error in the place of intervals,
    of restricted means and of weights, which no setting changes.
    """
    searched = "learning_rate" in rows[0]
    about = {"cell": lambda row: row["cell"], "task": lambda row: row["task"]}
    about |= {"T": lambda row: str(row["T"])}
    if searched:
        about |= {
            "rate": lambda row: f"{row['learning_rate']:g}",
            "clip": lambda row: f"{row['clip']:g}",
        }
    solved = {"solved": lambda row: f"{row['solved']}/{row['trials']}"}
    interval = {} if searched else {"95 %": _interval}
    error = {"MSE": lambda row: _short(row["mse"]["median"])} if searched else {}
    weights = {} if searched else {"weights": lambda row: f"{row['weights']:,}"}
    mean = {} if searched else {"mean": _mean}
    return {
        **about,
        **solved,
        **interval,
        **error,
        "sequences": lambda row: _median(row["sequences"], "{:,.0f}"),
        **mean,
        "seconds": lambda row: _median(row["seconds"], "{:.3g}"),
        **weights,
    }


def _interval(row: Row) -> str:
    low, high = row["interval"]
    return f"{low:.2f}–{high:.2f}"


def _mean(row: Row) -> str:
    """Of all trials, those that were not solved counted with what they may have."""
    bound = "≥ " if row["solved"] < row["trials"] else ""
    return f"{bound}{row['restricted_mean']:,.0f}"


def _median(values: Row, form: str) -> str:
    return "–" if math.isnan(values["median"]) else form.format(values["median"])


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


# -- what it comes to -----------------------------------------------------------------------------


def remarks(rows: Sequence[Row]) -> list[str]:
    """Which cells differ beyond chance, seed by seed; of a search, which settings are best."""
    most = " or ".join(f"{n:,}" for n in sorted({row["max_sequences"] for row in rows}))
    return [*_found(rows), *_slow_ones(rows), f"A trial has {most} sequences at most."]


def _slow_ones(rows: Sequence[Row]) -> list[str]:
    """Why some rows have fewer seeds than others."""
    slow = [row for row in rows if row["slow"] is not None]
    if not slow:
        return []
    seeds = max(row["trials"] + row["failed"] for row in slow)
    return [
        f"Rows of which a trial took longer than {slow[0]['slow']:g} s (median of {seeds}) have no "
        "more seeds."
    ]


def _found(rows: Sequence[Row]) -> list[str]:
    lines = []
    for cell in dict.fromkeys(row["cell"] for row in rows):
        own = [row for row in rows if row["cell"] == cell]
        if diverged := sum(row["diverged"] for row in own):
            trials = sum(row["trials"] for row in own)
            why = "loss or gradient not finite"
            lines.append(f"{cell}: {diverged} of {trials} trials diverged ({why}).")
    if "learning_rate" in rows[0]:
        return lines + [_chosen(rows, cell, own) for cell, own in best_settings(rows).items()]
    return lines + cell_pairs.remarks(cell_pairs.pairs(rows))


def _chosen(rows: Sequence[Row], cell: str, own: Settings) -> str:
    """A cell's best settings in words, and why they may not be its best."""
    rate, solved = own["learning_rate"], any(row["solved"] for row in rows if row["cell"] == cell)
    doubts = {
        "no trial was solved with any, so the lowest error chose them": not solved,
        "this rate is the largest that was tried": rate == max(RATES),
        "this rate is the smallest that was tried": rate == min(RATES),
    }
    doubt = "".join(f"; {words}" for words, holds in doubts.items() if holds)
    return f"{cell}: best with rate {rate:g} and clip {own['clip']:g}{doubt}."


def best_settings(rows: Sequence[Row]) -> dict[str, Settings]:
    """Of each cell, the settings of a search with most seeds solved, then fewest trials that
    failed, then fewest sequences, then the lowest error.
    """
    of: dict[tuple[str, float, float], list[Row]] = {}
    for row in rows:
        of.setdefault((row["cell"], row["learning_rate"], row["clip"]), []).append(row)

    def worth(key: tuple[str, float, float]) -> tuple[float, ...]:
        own = of[key]
        error = sum(x if math.isfinite(x := r["mse"]["median"]) else math.inf for r in own)
        solved, done = (sum(r[name] for r in own) for name in ("solved", "trials"))
        return solved, done, -sum(r["restricted_mean"] for r in own), -error

    cells = dict.fromkeys(cell for cell, *_ in of)
    best = {cell: max((key for key in of if key[0] == cell), key=worth) for cell in cells}
    return {cell: {"learning_rate": key[1], "clip": key[2]} for cell, key in best.items()}


def about(outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Row:
    """Any two cells on the same task and T; nothing of a search."""
    return {} if "learning_rate" in rows[0] else {"pairs": cell_pairs.pairs(rows)}


def more_files(content: Mapping[str, Any]) -> dict[str, bytes]:
    """What is written besides: the pairs of cells, or the best settings that a search found."""
    if "pairs" in content:
        return {PAIRS_FILE: page.csv_text(content["pairs"]).encode()} if content["pairs"] else {}
    rows = content["rows"]
    found = {"cells": best_settings(rows)}
    found |= {SEEDS: sorted({int(seed) for row in rows for seed in row["seeds"]})}
    return {TUNED_FILE: files.to_json(found).encode()}


def notes(request: Request) -> list[str]:
    """What to know to read the table."""
    return [
        "One protocol for all cells: mean squared error, Adam, a limit on the gradient's norm, "
        "tests of 2560 fresh sequences on averaged weights, and the strict rule: at most 0.65 % "
        "wrong, by the task's own rule, in two successive tests. All cells but lstm learn from the "
        "same sequences where the seed is the same.",
        "lstm is ours, with the batches, cells and initial biases of robust, which were chosen on "
        f"the {FIRST} task, and for some tasks on the task itself: this favours it. The others "
        f"have batches of {SHARED['batch_size']} and {PLAIN['hidden']} units (irnn "
        f"{CELLS['irnn']['hidden']}).",
        _source_of_rates(request),
        "mingru, minlstm, lru and attention have two layers, since their gates see the input alone "
        "and not the state.",
        "Rates have exact (Clopper-Pearson) 95 % intervals; sequences are the median of the seeds "
        "solved; their mean is that of all seeds, and restricted: what diverged or was not solved "
        "counts with all the sequences that a trial may have; seconds are the median of all seeds, "
        "on one core of a shared machine, testing included.",
        "A cell of your own may be a PyTorch module class, a function that makes a module, or a "
        "pair of JAX functions (docs/howto/cells.md).",
    ]


def _source_of_rates(request: Request) -> str:
    """Where learning rates and clips come from, in a sentence."""
    given = [name for name in ("hidden", *CHOSEN) if getattr(request, name) is not None]
    but = f", but for {' and '.join(given)}, which the command has" if given else ""
    if request.search:
        return "Every cell is tried with the same learning rates and clips."
    if request.tuned:
        return f"Learning rates and clips, lstm's too, are those that a search found{but}."
    return (
        "Learning rates and clips are the usual ones of the literature, and lstm's those of "
        f"robust{but}; --search finds others."
    )


STUDY = Study(
    name="cells",
    title="Cells compared by one protocol",
    help="Cells compared on any tasks and lags: seeds solved, sequences, seconds, weights",
    takes="an hour",
    options=worded(
        (*OPTIONS[:2], LENGTHS, *COMMON[:2], SEED_APART, *COMMON[3:], *OPTIONS[2:]),
        seed=f"{FIRST_SEED}; with --search {SEARCH_SEED}",
        trials=f"{TRIALS}; with --search {SEARCH_TRIALS}",
        max_sequences=f"{BUDGET}; with --search {SEARCH_BUDGET}",
        lengths=str(LENGTH),
    ),
    cases=cases,
    rows=rows,
    columns=columns,
    remarks=remarks,
    notes=notes,
    figure="longlag.studies.figures:cells",
    about=about,
    needless=needless,
    untried=untried,
    partial=True,
    more_files=more_files,
    seed=lambda values: SEARCH_SEED if values["search"] else FIRST_SEED,
)
