"""The studies of on-line trials in words: for the terminal, as a page, and as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from longlag.studies.frame import left_out
from longlag.studies.online_rows import Ended
from longlag.studies.page import bullets, engine, markdown, setting
from longlag.words import seconds

HEAD = (
    *("stop", "who", "solved", "sequences: mean", "95 % interval", "median", "range"),
    *("wrong of 2560 (range)", "MSE", "RMSE", "mean abs. error"),
)


def csv(trials: Iterable[tuple[int, Ended]]) -> str:
    """A line a trial and stopping point, from pairs of T and trial; numbers read back exactly."""
    head = "T,seed,ended_by,n_seq,reached,sequences,window_mse,window_rmse,window_mae,"
    lines = [head + "fresh_n,fresh_wrong,fresh_mse,fresh_rmse,fresh_mae,fresh_max_error"]
    for T, trial in trials:
        for stop in trial.stops:
            fresh = stop.fresh
            window = (stop.window_mse, math.sqrt(stop.window_mse), stop.window_mae)
            cells = [T, trial.seed, trial.stopped_by, stop.n_seq, int(stop.reached), stop.sequences]
            cells += [*window, fresh.n, fresh.wrong, fresh.mse, fresh.rmse, fresh.mae]
            lines.append(",".join(map(_exact, [*cells, fresh.max_error])))
    return "\n".join(lines) + "\n"


def _exact(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return str(value)


def point(row: Mapping[str, Any]) -> str:
    """Which stopping point a row is of."""
    if row["n_seq"] == 1:
        return f"T = {row['min_length']}"
    return f"fewer than {row['n_seq']} wrong"


def reading(content: Mapping[str, Any]) -> str:
    """The reading of the paper's details, in one line."""
    parts = content["reading"]
    every = parts["check_every"]
    looked = "after every sequence" if every == 1 else f"once every {every:,} sequences"
    return (
        f"error {parts['error']}, gradient {parts['gradient']}, output reads {parts['reads']} "
        f"cells, first mark {parts['first_mark']}, rule looked at {looked}"
    )


def cells(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The table: a line of ours and one of the paper's for every stopping point."""
    lines: list[tuple[str, ...]] = [HEAD]
    for row in rows:
        lines += [_ours(row), _papers(row)]
    return lines


def _ours(row: Mapping[str, Any]) -> tuple[str, ...]:
    seen, wrong, n = row["sequences"], row["wrong"], row["solved"] + row["unsolved"]
    low, high = (f"{value:,.0f}" for value in seen["interval"])
    most = f"> {seen['max']:,}" if seen["restricted"] else f"{seen['max']:,}"
    return (
        point(row),
        "here",
        f"{row['solved']} of {n}",
        ("≥ " if seen["restricted"] else "") + f"{seen['mean']:,.0f}",
        f"{low} to {high}",
        f"{seen['median']:,.0f}",
        f"{seen['min']:,} to {most}",
        f"{_number(wrong['mean'], '.1f')} ({_number(wrong['min'])} to {_number(wrong['max'])})",
        _number(row["mse"], ".5f"),
        _number(row["rmse"], ".4f"),
        _number(row["mae"], ".4f"),
    )


def _papers(row: Mapping[str, Any]) -> tuple[str, ...]:
    paper = row["paper"]
    mse = "" if paper["mse"] is None else f'"{paper["mse"]}"'
    seen = f"{paper['sequences']:,}"
    return ("", "paper", "10 of 10", seen, "", "", "", str(paper["wrong"]), mse, "", "")


def _number(value: float, form: str = "") -> str:
    return "–" if math.isnan(value) else format(value, form)


def asked(content: Mapping[str, Any]) -> str:
    """What was run, in one line."""
    budget = f"{content['trials']} trials of at most {content['max_sequences']:,} sequences"
    return f"{budget}; {reading(content)}"


def remarks(content: Mapping[str, Any]) -> list[str]:
    """What a reader must know to read the table."""
    lines = []
    for row in content["rows"]:
        if row["unsolved"]:
            diverged = f", {row['diverged']} of them diverged" if row["diverged"] else ""
            lines.append(
                f"{point(row)}: {row['unsolved']} of {content['trials']} trials did not stop "
                f"within {content['max_sequences']:,} sequences{diverged}; the mean counts the "
                f"whole budget for them (a restricted mean), errors are those of the others."
            )
        window = row["window"]
        if row["solved"]:
            lines.append(
                f"{point(row)}: over the training window at the stop, MSE {window['mse']:.5f}, "
                f"RMSE {window['rmse']:.4f}, mean absolute error {window['mae']:.4f}."
            )
    lines += left_out(content["failed"])
    if content["quick"]:
        lines.append("Quick form, on short sequences: it shows that everything runs, no more.")
    return lines


def page(title: str, command: str, content: Mapping[str, Any]) -> str:
    """The table as a Markdown page, with what is needed to make it again."""
    seeds = f"seeds {content['seed']} to {content['seed'] + content['trials'] - 1}"
    return (
        f"# {title}\n\n{content['trials']} trials ({seeds}) of at most "
        f"{content['max_sequences']:,} sequences; {reading(content)}.\n\n"
        f"{markdown(cells(content['rows']))}\n\n"
        "Wrong predictions and errors are on fresh sequences, with the weights of the stop; the "
        "paper's column of squared errors stands under its own name, in quotation marks. Means "
        "have 95 % bootstrap intervals.\n\n"
        f"{bullets(remarks(content))}\n\n![Share of trials that have stopped](solved.png)\n\n"
        f"Command: `{command}`  \nlonglag {content['code']}, {engine(content)}, {setting()}; "
        f"learning took {seconds(content['elapsed_sec'])} of the workers' time.\n"
    )
