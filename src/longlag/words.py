"""Results in words: score cards, comparisons, tables, and the contents of their JSON."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longlag.learning.stopping import Points
from longlag.learning.training import Run
from longlag.networks.network import counted
from longlag.runs import contents
from longlag.sweeps.rates import Group, Pairs, telling
from longlag.tasks.score import Score
from longlag.tasks.task import Task
from longlag.terminal import one_line

LEAST = 24  # columns of a terminal that a cell is given
SHORT = 16  # characters that a key keeps at least


def table(rows: Iterable[Iterable[Any]], keys: int = 0) -> str:
    """Rows of cells in aligned columns, the head first.

    Where a table has keys, its first columns, and is wider than the terminal that it is for, so
    many columns as are the same in every line stand above it, and long keys lose their middle. What
    is still too wide stands below each other in several parts, each beside the keys, or beside the
    lines' numbers where the keys leave no room. A cell that is too wide even so takes several
    lines.
    """
    columns = list(zip(*([_cell(value) for value in row] for row in rows), strict=True))
    keys = min(keys, len(columns) - 1)
    if not (keys and sys.stdout.isatty()):
        return _aligned(columns)
    room = shutil.get_terminal_size().columns
    above, columns, keys = _common(columns, keys, room)
    columns = _shortened(columns, keys, room)
    parts = (_aligned(_folded(part, room)) for part in _parts(columns, keys, room))
    return "\n\n".join([*above, *parts])


def paragraph(text: str) -> str:
    """A sentence or more, in lines that fit the terminal that it is for."""
    if not sys.stdout.isatty():
        return text
    return "\n".join(_wrapped(text, shutil.get_terminal_size().columns))


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, max(room, LEAST), break_on_hyphens=False) or [""]


Columns = list[tuple[str, ...]]


def _common(columns: Columns, keys: int, room: int) -> tuple[list[str], Columns, int]:
    """A sentence with what every line has, the columns left, and how many of them are keys.

    Of a table of one line these are keys alone.
    """
    common: list[str] = []
    left: Columns = []
    for k, column in enumerate(columns[:-1]):
        head, *cells = column
        is_key = len(left) < keys
        same = len({*cells}) == 1 and (len(cells) > 1 or is_key)
        if same and _width([*left, *columns[k:]]) > room:
            common.append(f"{head} {cells[0]}")
            keys -= is_key
        else:
            left.append(column)
    above = [paragraph(f"in every line: {', '.join(common)}")] if common else []
    return above, [*left, columns[-1]], keys


def _shortened(columns: Columns, keys: int, room: int) -> Columns:
    """The columns, keys without their middle where that makes room and they stay different."""
    found = list(columns)
    for k, column in enumerate(columns[:keys]):
        wide = _width([column])
        length = max(SHORT, wide - max(0, _width(found) - room))
        shorter = tuple(_middle_out(cell, length) for cell in column)
        if len({*shorter}) == len({*column}):
            found[k] = shorter
    return found


def _middle_out(text: str, length: int) -> str:
    """At most so many characters of a text, its beginning and its end."""
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}…{text[-end:]}"


def _parts(columns: Columns, keys: int, room: int) -> list[Columns]:
    """The columns, as many to a part as there is room for, and one at least."""
    least = max(_width([*columns[:keys], column]) for column in columns[keys:])
    if least > room and room - _width(columns[:keys]) < LEAST:
        numbers = ("", *map(str, range(1, len(columns[0]))))
        columns, keys = [numbers, *columns], 1
    parts = [columns[:keys]]
    for column in columns[keys:]:
        if len(parts[-1]) > keys and _width([*parts[-1], column]) > room:
            parts.append(columns[:keys])
        parts[-1] = [*parts[-1], column]
    return parts


def _folded(columns: Columns, room: int) -> Columns:
    """The columns, the cells of the last on several lines where there is no room for them."""
    *others, last = columns
    if _width(columns) <= room:
        return columns
    rows = zip(*others, (_wrapped(cell, room - _width(others) - 2) for cell in last), strict=True)
    lines: list[tuple[str, ...]] = []
    for *left, (first, *rest) in rows:
        lines += [(*left, first), *((*("" for _ in others), more) for more in rest)]
    return list(zip(*lines, strict=True))


def _width(columns: Columns) -> int:
    return sum(2 + max(map(len, column)) for column in columns) - 2


def _aligned(columns: Columns) -> str:
    padded = ([cell.ljust(_width([column])) for cell in column] for column in columns)
    return "\n".join("  ".join(row).rstrip() for row in zip(*padded, strict=True))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        value = ", ".join(f"{k} {v}" for k, v in value.items()) or None
    elif isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value)) or None
    return "none" if value is None else one_line(str(value))


def seconds(value: float) -> str:
    """A time in words: '0.4 ms', '48 ms', '3.2 s', '1,234 s'."""
    if value < 0.9995:
        return f"{1e3 * value:.{0 if value >= 9.5e-3 else 1}f} ms"
    return f"{value:,.{0 if value >= 99.95 else 1}f} s"


# -- one run ----------------------------------------------------------------------------------


def training_json(run: Run) -> dict[str, Any]:
    return {
        **contents.summary(run),
        "elapsed_sec": run.history.elapsed_sec,
        "score": run.score.as_dict(),
        **contents.stops_json(run),
    }


def score_card(run: Run, directory: Path) -> str:
    """What a finished training prints."""
    reasons = {
        "target": "the target was reached",
        "max_iterations": "the budget was used up before the target",
        "diverged": "the loss was no longer finite",
    }
    updates = "an update each" if run.stops else f"{run.iterations:,} iterations"
    head = f"{run.words}: trained elsewhere"
    if not run.imported:
        head = (
            f"{run.words}: {reasons[run.stopped_by]} after {run.sequences:,} sequences "
            f"({updates}, {seconds(run.history.elapsed_sec)}, {_by_whom(run.engine, run.isa)})"
        )
    parts = [
        paragraph(head),
        scores(run.recipe.task.tested, run.score),
        f"saved in {one_line(directory)}",
    ]
    if run.stops:
        parts.insert(1, _stop_table(run))
    return "\n\n".join(parts)


def _stop_table(run: Run) -> str:
    """When the stopping points of the paper's regime were reached, and the score there."""
    rule = run.recipe.stop
    assert isinstance(rule, Points)
    tested = f"{run.recipe.task.wrong_means}, of {rule.test_size} fresh"
    head = ("stop", "training sequences", tested, "MSE", "RMSE")
    rows = [
        (
            rule.words(s),
            f"{stop.sequences:,}" if stop.reached else f"not by {stop.sequences:,}",
            _share(stop.fresh),
            f"{stop.fresh.mse:.5f}",
            f"{stop.fresh.rmse:.4f}",
        )
        for s, stop in enumerate(run.stops)
    ]
    return table([head, *rows], keys=1)


def _by_whom(engine: str, isa: str | None) -> str:
    return f"native kernel, {isa}" if engine == "native" else "numpy"


def evaluation(run: Run, task: Task, judged: Score) -> str:
    """What `evaluate` prints."""
    return f"{run.words}\n\n{scores(task, judged)}"


def scores(task: Task, judged: Score) -> str:
    """A score beside chance and the paper."""
    lengths = f"{task.min_length}"
    if task.max_length > task.min_length:
        lengths += f" to {task.max_length}"
    chance, rules = task.chance_mse, f" ({task.rules_name} rules)" if task.rules_name else ""
    rows: list[tuple[Any, ...]] = [
        (f"{judged.n} sequences of {lengths} steps", "MSE", "RMSE", task.wrong_means),
        ("this network", f"{judged.mse:.5f}", f"{judged.rmse:.4f}", _share(judged)),
        (f"chance{rules}", f"{chance:.5f}", f"{chance**0.5:.4f}", ""),
    ]
    for what, rmse, wrong in task.published:
        rows.append((f"paper, {what}", f"{rmse**2:.5f}", f"{rmse:.4f}", wrong))
    return table(rows, keys=1)


def _share(judged: Score) -> str:
    return f"{judged.wrong} of {judged.n} ({100 * judged.wrong_share:.2f} %)"


# -- several runs -----------------------------------------------------------------------------


def comparison_json(
    names: Sequence[str], loaded: Sequence[Run], task: Task, scores: Sequence[Score]
) -> dict[str, Any]:
    rows = [
        {"run": name, **training_json(run), "score": judged.as_dict()}
        for name, run, judged in zip(names, loaded, scores, strict=True)
    ]
    return {
        "min_length": task.min_length,
        "max_length": task.max_length,
        "chance_mse": task.chance_mse,
        "differences": _differences(loaded),
        "rows": rows,
    }


def comparison(
    names: Sequence[str], loaded: Sequence[Run], task: Task, scores: Sequence[Score]
) -> str:
    """A table with a column a run: settings that differ, then scores."""
    rows: list[list[Any]] = [["", *names]]
    rows += [[name, *values] for name, values in _differences(loaded).items()]
    seen = ("not known" if run.imported else f"{run.sequences:,}" for run in loaded)
    rows.append(["sequences seen", *seen])
    rows.append(["stopped by", *(run.stopped_by for run in loaded)])
    for name in ("mse", "rmse", "mae", "max_error"):
        rows.append([name, *(f"{getattr(judged, name):.5f}" for judged in scores)])
    rows.append([f"wrong of {scores[0].n}", *(judged.wrong for judged in scores)])
    rules = f"{task.rules_name} rules, " if task.rules_name else ""
    title = (
        f"the same {scores[0].n} sequences of {task.min_length} to {task.max_length} steps, "
        f"{rules}chance MSE {task.chance_mse:.4f}"
    )
    return f"{paragraph(title)}\n\n{table(rows, keys=1)}"


def _differences(loaded: Sequence[Run]) -> dict[str, list[Any]]:
    settings = [_settings(run) for run in loaded]
    names = dict.fromkeys(name for s in settings for name in s)
    values = {
        name: [s.get(name) for s in settings] for name in names
    }  # None: not a setting of this run
    return {name: v for name, v in values.items() if any(value != v[0] for value in v)}


# -- the ledger of a sweep ------------------------------------------------------------------------


def trials(counts: Mapping[str, Mapping[str, int]], latest: Sequence[Mapping[str, Any]]) -> str:
    """How many trials of each recipe there are, and the latest, with why they failed.

    Whatever settings tell the latest apart stand beside their recipes.
    """
    head = [(name, sum(count.values()), dict(count)) for name, count in counts.items()]
    parts = [table([("recipe", "trials", "of which"), *head], keys=1)]
    if latest:
        parts.append(listed(latest))
    names = telling(latest)
    errors = (
        paragraph(f"{_kind(row, names)}, seed {row['seed']}: {one_line(row['error'])}")
        for row in latest
        if row["error"]
    )
    return "\n\n".join([*parts, *filter(None, ["\n".join(errors)])])


def listed(trials: Sequence[Mapping[str, Any]]) -> str:
    """A line a trial, with the settings that tell them apart; one trial at least."""
    names = telling(trials)
    about = [*names, "seed", "status", "sequences", "seconds", "engine", "ended (UTC)"]
    return table([about, *(_trial(row, names) for row in trials)], keys=len(names) + 1)


def _kind(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """A trial's recipe, and what tells it from others: 'robust, network own_cell:Leaky'."""
    about = {**row["settings"], **row}
    told = [f"{k} {_cell(about[k])}" for k in names[1:] if about.get(k) is not None]
    return ", ".join([row["recipe"], *told])


def _trial(row: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    about = {**row["settings"], **row}
    rest = [row[name] for name in ("seed", "status", "sequences", "seconds", "engine")]
    return [*(about.get(name) for name in names), *rest, _minute(row["ended"])]


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def rates(groups: Sequence[Group], pairs: Pairs | None) -> str:
    """How many trials of each group were solved; of two groups, how they compare seed by seed."""
    if not groups:
        return "no trials"
    names = list(groups[0].about)
    rows = [[*group.about.values(), *_rate(group)] for group in groups]
    parts = [
        table([(*names, "solved", "95 % interval", "sequences, median (range)"), *rows], len(names))
    ]
    if reasons := Counter(reason for group in groups for reason in group.failures):
        parts.append("\n".join(paragraph(_not_counted(*one)) for one in reasons.items()))
    return "\n\n".join(parts if pairs is None else [*parts, _pairs(pairs)])


def _not_counted(reason: str, failed: int) -> str:
    return f"not counted: {counted(failed, 'trial')} that failed: {one_line(reason)}"


def _rate(group: Group) -> tuple[str, str, str]:
    sequences = group.sequences
    low, high = group.interval
    solved = f"{len(sequences)} of {len(group.results)}"
    spread = "none"
    if sequences:
        spread = f"{np.median(sequences):,.0f} ({min(sequences):,} to {max(sequences):,})"
    return solved, f"{low:.3f} to {high:.3f}", spread


def _pairs(pairs: Pairs) -> str:
    low, high = pairs.interval
    counts = (pairs.both, pairs.first, pairs.second, pairs.neither)
    lines = [
        table(
            [
                ("seed by seed", "both", "the first alone", "the second alone", "neither"),
                ("solved by", *counts),
            ],
            keys=1,
        ),
        f"of the seeds that only one kind solved, the first's share: {low:.3f} to {high:.3f}",
    ]
    if pairs.gains:
        low, high = pairs.gain_interval
        mean = f"{np.mean(pairs.gains):,.0f} ({low:,.0f} to {high:,.0f})"
        lines.append(f"sequences saved by the first where both solved: mean {mean}")
    return "\n".join(lines)


def _settings(run: Run) -> dict[str, Any]:
    """What a run is of; of an imported network its form and task alone are known."""
    recipe = run.recipe
    if run.imported:
        known = {"task", "network", *recipe.task.settings(), *recipe.network.settings()}
        return {name: value for name, value in recipe.settings().items() if name in known}
    return {"recipe": recipe.name, "seed": run.seed, **recipe.settings()}
