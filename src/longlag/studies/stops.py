"""Tables of the paper with stopping points: on-line trials beside what it prints.

A trial that does not reach a point within the budget counts with the whole budget in the mean of
sequences, which is then a restricted mean. Errors are those of the trials that did.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_type_hints

import numpy as np

from longlag.learning.recipe import Recipe, recipe
from longlag.learning.stopping import Fresh, Points, Stop
from longlag.settings import Option, setting_fields
from longlag.statistics import bootstrap_mean, clopper_pearson
from longlag.studies.cases import Case, Outcome, Row
from longlag.studies.declaration import BUDGET, COMMON, SEED, TRIALS, Request, Study
from longlag.sweeps.trial import stops_of

READING = (  # of the paper
    *("error", "gradient", "reads", "output", "biases", "first_mark", "check_every"),
)
QUICK_TRIALS, N_TRIALS = 4, 10


def study(
    name: str,
    recipe_name: str,
    *,
    reading: Sequence[str] = READING,
    trials: int = N_TRIALS,
    budget: str = "",
    **more: Any,
) -> Study:
    """A study of such trials of a recipe, whose options are a reading of the paper too.

    budget: sequences of a trial at most, in words, where they are not the recipe's.
    """
    own = recipe(recipe_name)
    settings = {one.name: one for part in own.parts.values() for one in _options(part)}
    most = "" if budget else settings["max_sequences"].shown
    first = (
        replace(TRIALS, text="trials, a seed each", shown=str(trials), otherwise=""),
        replace(BUDGET, shown=most, otherwise=budget),
        replace(SEED, default=0),
    )
    return Study(
        name=name,
        options=(*first, *COMMON[len(first) :], *(settings[name] for name in reading)),
        remarks=remarks,
        lead=_lead,
        about=lambda outcomes, rows: about(outcomes, reading),
        lines=lines,
        picture="solved.png",
        **{
            **{"rows": rows, "columns": COLUMNS, "published": PUBLISHED, "notes": NOTES},
            "figure": "longlag.studies.figures:stops",
            **more,
        },
    )


def _lead(content: Mapping[str, Any]) -> str:
    counts = {row["solved"] + row["unsolved"] for row in content["rows"]}
    trials = " or ".join(map(str, sorted(counts))) + f" trials, each {_at_most(content)}"
    reading = in_words(content["reading"])
    return f"{trials}; {reading}" if reading else trials


def _at_most(content: Mapping[str, Any]) -> str:
    budgets = [row["max_sequences"] for row in content["rows"]]
    low, high = min(budgets), max(budgets)
    if low == high:
        return f"of at most {low:,} sequences"
    return f"of at most {low:,} to {high:,} sequences, depending on the row"


def _options(part: Any) -> Iterator[Option]:
    """The settings of a part, with their values as defaults."""
    hints, values = get_type_hints(type(part)), part.settings()
    for one in setting_fields(type(part)):
        meta, value = one.metadata, values[one.name]
        yield Option(
            name=one.name,
            kind=hints[one.name],
            text=meta["help"],
            low=meta["low"],
            high=meta["high"],
            shown=str(value),
            part="a reading of the paper",
        )


def case(request: Request, of: str, T: int, published: Sequence[Row], quick: int) -> Case:
    """Trials of a recipe at a length, or in the quick form of short sequences and so many."""
    changes = {"min_length": T}
    if request.quick:
        changes = {"min_length": 14, "max_sequences": quick}
    changes |= settings_given(request)
    trials = QUICK_TRIALS if request.quick else N_TRIALS
    return Case({"min_length": changes["min_length"]}, of, changes, trials, published=published)


def settings_given(request: Request, reading: Sequence[str] = READING) -> dict[str, Any]:
    """The reading and the budget that the user gave."""
    given = {name: request.options[name] for name in (*reading, "max_sequences")}
    return {name: value for name, value in given.items() if value is not None}


# -- rows -----------------------------------------------------------------------------------------


def rows(outcome: Outcome) -> list[Row]:
    """A row a stopping point."""
    made = outcome.case.made()
    trials = [stops_of(row) for row in outcome.rows]
    diverged = sum(row["status"] == "diverged" for row in outcome.rows)
    n = outcome.case.trials  # as many as the paper's
    return [{**_row(made, stops, n), "diverged": diverged} for stops in zip(*trials, strict=True)]


def _row(made: Recipe, stops: Sequence[Stop], as_many: int) -> Row:
    reached = [stop for stop in stops if stop.reached]
    counted = [stop.sequences if stop.reached else made.rule.budget for stop in stops]
    solved, n = len(reached), len(stops)
    assert isinstance(made.stop, Points)
    tested = isinstance(made.stop, Fresh)
    return {
        "decided_by": "the test" if tested else "the training window",
        "n_seq": stops[0].n_seq,
        "max_sequences": made.rule.budget,
        "solved": solved,
        "solved_interval": clopper_pearson(solved, n),
        "unsolved": n - solved,
        "sequences": {
            **spread(counted),
            "interval": bootstrap_mean(counted),
            "means": bootstrap_mean(counted, size=as_many),
            "restricted": solved < n,
            "mean_of_solved": _mean([stop.sequences for stop in reached]),
        },
        "wrong": {**spread([stop.fresh.wrong for stop in reached]), "of": made.stop.test_size},
        "mse": _mean([stop.fresh.mse for stop in reached]),
        "rmse": _mean([stop.fresh.rmse for stop in reached]),
        "mae": _mean([stop.fresh.mae for stop in reached]),
        "rmse_range": spread([stop.fresh.rmse for stop in reached]),
        "window": _window(reached),
    }


def _window(reached: Sequence[Stop]) -> Row:
    """Errors of the sequences that decided the stop."""
    squares = [stop.window_mse for stop in reached]
    return {
        "mse": _mean(squares),
        "rmse": _mean([square**0.5 for square in squares]),
        "mae": _mean([stop.window_mae for stop in reached]),
    }


def spread(values: Sequence[float]) -> Row:
    """Mean, median and range; NaN of nothing."""
    if not values:
        return dict.fromkeys(("mean", "median", "min", "max"), math.nan)
    median = float(np.median(values))
    return {"mean": _mean(values), "median": median, "min": min(values), "max": max(values)}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def about(outcomes: Sequence[Outcome], reading: Sequence[str] = READING) -> Row:
    """What the JSON has besides: trials of a case, and of all; their budget, the reading, and
    trial_sec, the mean seconds of a trial, summed over the cases.
    """
    made = outcomes[0].case.made()
    settings = made.settings()
    return {
        "recipe": made.name,
        "trials": outcomes[0].n,
        "all_trials": sum(outcome.n for outcome in outcomes),
        "max_sequences": made.rule.budget,
        "trial_sec": sum(sum(r["seconds"] for r in o.rows) / max(1, o.n) for o in outcomes),
        "reading": {name: settings[name] for name in reading},
    }


_HEADS = {"min_length": "T"}


def lines(outcome: Outcome) -> Iterator[Row]:
    """A line a trial and stopping point."""
    for row in outcome.rows:
        for stop in stops_of(row):
            fresh = stop.fresh
            yield {
                **{_HEADS.get(name, name): value for name, value in outcome.case.about.items()},
                "seed": row["seed"],
                **{"ended_by": row["status"], "n_seq": stop.n_seq, "reached": int(stop.reached)},
                **{"sequences": stop.sequences, "window_mse": stop.window_mse},
                **{"window_rmse": math.sqrt(stop.window_mse), "window_mae": stop.window_mae},
                **{f"fresh_{name}": value for name, value in fresh.as_dict().items()},
            }


# -- words ----------------------------------------------------------------------------------------

NOTES = (
    "Wrong predictions and errors are on fresh sequences, with the weights of the stop; the "
    "paper's column of squared errors is printed under its own name, in quotation marks. Means "
    "have 95 % bootstrap intervals.",
)


def point(row: Mapping[str, Any]) -> str:
    """Which stopping point a row is of."""
    if "what" in row:
        return ", ".join(filter(None, (row["what"], row["stop"])))
    if row["n_seq"] == 1:
        return f"T = {row['min_length']}"
    return f"fewer than {row['n_seq']} wrong"


def in_words(reading: Mapping[str, Any]) -> str:
    """The reading of the paper's details, in one line."""
    said = (words(reading[name]) for name, words in _WORDS.items() if name in reading)
    return ", ".join(filter(None, said))


def _looked(every: int) -> str:
    when = "after every sequence" if every == 1 else f"once every {every:,} sequences"
    return f"rule looked at {when}"


_BIASED = {
    "all": "",
    "hidden": "no bias of the output",
    "gates": "biases of gates alone",
    "none": "no biases",
}
_WORDS: dict[str, Callable[[Any], str]] = {
    "error": lambda value: f"error {value}",
    "gradient": lambda value: f"gradient {value}",
    "reads": lambda value: f"output reads {value} cells",
    "output": lambda value: f"output unit {value}",
    "biases": lambda value: _BIASED[value],
    "counts": lambda value: f"{'every' if value == 'every' else 'the last'} answer learned from",
    "first_mark": lambda value: f"first mark {value}",
    "check_every": _looked,
    "test_every": lambda value: f"tested every {value:,} sequences",
    "tolerance": lambda value: f"an error above {value:g} is wrong",
    "string_set": lambda value: f"string set {value}",
    "recurrent": lambda value: "" if value else "no recurrent connections",
}


def _range(row: Row) -> str:
    seen = row["sequences"]
    return f"{seen['min']:,} to {'> ' if seen['restricted'] else ''}{seen['max']:,}"


def _wrong(row: Row) -> str:
    low, high = (_number(row["wrong"][name]) for name in ("min", "max"))
    return f"{_number(row['wrong']['mean'], '.1f')} ({low} to {high})"


def _number(value: float, form: str = "") -> str:
    return "–" if math.isnan(value) else format(value, form)


COLUMNS: dict[str, Callable[[Row], str]] = {
    "stop": point,
    "who": lambda row: "here",
    "solved": lambda row: f"{row['solved']} of {row['solved'] + row['unsolved']}",
    "sequences: mean": lambda row: (
        f"{'≥ ' if row['sequences']['restricted'] else ''}{row['sequences']['mean']:,.0f}"
    ),
    "95 % interval": lambda row: "{:,.0f} to {:,.0f}".format(*row["sequences"]["interval"]),
    "median": lambda row: f"{row['sequences']['median']:,.0f}",
    "range": _range,
    "wrong of 2560 (range)": _wrong,
    "MSE": lambda row: _number(row["mse"], ".5f"),
    "RMSE": lambda row: _number(row["rmse"], ".4f"),
    "mean abs. error": lambda row: _number(row["mae"], ".4f"),
}
PUBLISHED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "who": lambda paper: "paper",
    "solved": lambda paper: paper.get("solved", "10 of 10"),
    "sequences: mean": lambda paper: f"{paper['sequences']:,}",
    "wrong of 2560 (range)": lambda paper: str(paper.get("wrong", "")),
    "MSE": lambda paper: "" if paper["mse"] is None else f'"{paper["mse"]}"',
    "mean abs. error": lambda paper: str(paper.get("mae", "")),
}


def remarks(rows: Sequence[Row]) -> list[str]:
    """What a reader must know to read the table."""
    found = []
    for row in rows:
        if row["unsolved"]:
            diverged = f", {row['diverged']} of them diverged" if row["diverged"] else ""
            found.append(
                f"{point(row)}: {row['unsolved']} of {row['solved'] + row['unsolved']} trials did "
                f"not stop within {row['max_sequences']:,} sequences{diverged}; the mean counts "
                f"a whole budget for each (a restricted mean), errors are those of the others."
            )
        window = row["window"]
        if row["solved"]:
            found.append(
                f"{point(row)}: over {row['decided_by']} at the stop, MSE {window['mse']:.5f}, "
                f"RMSE {window['rmse']:.4f}, mean absolute error {window['mae']:.4f}."
            )
    return found
