"""What the commands say: score cards, tables, progress, and the contents of their JSON."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from longlag.kernel import load_kernel
from longlag.learning import engine as engines
from longlag.learning.online_training import OnlineTraining
from longlag.learning.recipe import OnlineRecipe
from longlag.learning.steps import AnySteps, Run
from longlag.runs import directory as runs
from longlag.runs import session
from longlag.runs.session import Observer
from longlag.sweeps.rates import Group, Pairs
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.score import Score
from longlag.version import __version__

LOG_SECONDS = 5.0  # between two progress lines in a log
EXTRAS = ("torch", "jax", "safetensors", "onnx", "onnxruntime", "pandas", "pyarrow")
# Root mean squared errors at the paper's two stopping points (table 8, its "MSE" column).
PAPER_RMSE = (0.0223, 0.0139)


BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def exit_status(program: str, command: Callable[[], int]) -> int:
    """Runs a command; what goes wrong becomes one sentence and an exit status."""
    try:
        return command()
    except ValueError as error:
        say(_one_line(f"{program}: {error}"))
        return BAD_INPUT
    except session.Interrupted as stop:
        say(f"{program}: interrupted at {_moment(stop.training)}; --resume continues")
        return INTERRUPTED
    except KeyboardInterrupt as stop:
        say(f"{program}: interrupted" + (f"; {stop}" if str(stop) else ""))
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        reason = error.strerror or str(error)
        say(_one_line(f"{program}: {error.filename or 'a file'} could not be used: {reason}"))
        return FAILED
    except MemoryError:
        say(f"{program}: not enough memory; fewer or shorter sequences at a time need less")
        return FAILED


def _one_line(sentence: str) -> str:
    """The sentence, with what is no visible character, such as a path's newline, escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence)


def say(text: str) -> None:
    """Words for the user, on standard error."""
    print(text, file=sys.stderr, flush=True)


def table(rows: Iterable[Iterable[Any]], keys: int = 0) -> str:
    """Rows of cells in aligned columns.

    Where a table has keys, its first columns, and is wider than the terminal that it is for, its
    other columns stand below each other in several parts, each beside the keys.
    """
    columns = list(zip(*([_cell(value) for value in row] for row in rows), strict=True))
    parts = _parts(columns, keys) if keys and sys.stdout.isatty() else [columns]
    return "\n\n".join(_aligned(part) for part in parts)


Columns = list[tuple[str, ...]]


def _parts(columns: Columns, keys: int) -> list[Columns]:
    """The columns, as many to a part as the terminal has room for, and one at least."""
    room = shutil.get_terminal_size().columns
    parts = [columns[:keys]]
    for column in columns[keys:]:
        if len(parts[-1]) > keys and _width([*parts[-1], column]) > room:
            parts.append(columns[:keys])
        parts[-1] = [*parts[-1], column]
    return parts


def _width(columns: Columns) -> int:
    return sum(2 + max(map(len, column)) for column in columns) - 2


def _aligned(columns: Columns) -> str:
    padded = ([cell.ljust(_width([column])) for cell in column] for column in columns)
    return "\n".join("  ".join(row).rstrip() for row in zip(*padded, strict=True))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


# -- one run ----------------------------------------------------------------------------------


def training_json(run: Run) -> dict[str, Any]:
    return {
        "recipe": run.recipe.name,
        "seed": run.seed,
        "engine": run.engine,
        "isa": run.isa,
        "iterations": run.iterations,
        "sequences": run.sequences,
        "stopped_by": run.stopped_by,
        "elapsed_sec": run.history.elapsed_sec,
        "score": run.score.as_dict(),
        **runs.stops_json(run),
    }


def interrupted_json(training: AnySteps) -> dict[str, Any]:
    return {
        "recipe": training.recipe.name,
        "seed": training.seed,
        "engine": training.engine.name,
        "isa": training.engine.isa,
        "iterations": training.iteration,
        "sequences": training.iteration * training.recipe.batch_size,
        "stopped_by": "interrupted",
        "elapsed_sec": training.elapsed,
        "score": None,
    }


def score_card(run: Run, directory: Path) -> str:
    """What a finished training prints."""
    reasons = {
        "target": "the target was reached",
        "max_iterations": "the budget was used up before the target",
        "diverged": "the loss was no longer finite",
    }
    updates = "an update each" if run.stops else f"{run.iterations:,} iterations"
    head = (
        f"{run.recipe.name}, seed {run.seed}: {reasons[run.stopped_by]} after "
        f"{run.sequences:,} sequences ({updates}, "
        f"{run.history.elapsed_sec:.1f} s, {_by_whom(run.engine, run.isa)})"
    )
    parts = [head, scores(run.recipe.evaluation_task, run.score), f"run in {directory}"]
    if run.stops:
        parts.insert(1, _stop_table(run))
    return "\n\n".join(parts)


def _stop_table(run: Run) -> str:
    """When the stopping points of the paper's regime were reached, and the score there."""
    recipe = run.recipe
    assert isinstance(recipe, OnlineRecipe)
    tested = f"error > 0.04 of {recipe.test_size} fresh"
    head = ("stop", "training sequences", tested, "MSE", "RMSE")
    rows = [
        (
            f"fewer than {stop.n_seq} of the latest {recipe.window} wrong",
            f"{stop.sequences:,}" if stop.reached else f"not by {stop.sequences:,}",
            _share(stop.fresh),
            f"{stop.fresh.mse:.5f}",
            f"{stop.fresh.rmse:.4f}",
        )
        for stop in run.stops
    ]
    return table([head, *rows], keys=1)


def _by_whom(engine: str, isa: str | None) -> str:
    return f"native kernel, {isa}" if engine == "native" else "numpy"


def evaluation(run: Run, task: MarkedPairs, judged: Score) -> str:
    """What `evaluate` prints."""
    return f"{run.recipe.name}, seed {run.seed}\n\n{scores(task, judged)}"


def scores(task: MarkedPairs, judged: Score) -> str:
    """A score beside chance and the paper."""
    lengths = f"{task.min_length}"
    if task.max_length > task.min_length:
        lengths += f" to {task.max_length}"
    chance = task.chance_mse
    rows: list[tuple[Any, ...]] = [
        (f"{judged.n} fresh sequences of {lengths} steps", "MSE", "RMSE", "error > 0.04"),
        ("this network", f"{judged.mse:.5f}", f"{judged.rmse:.4f}", _share(judged)),
        (f"chance ({task.rules} rules)", f"{chance:.5f}", f"{chance**0.5:.4f}", ""),
    ]
    if task.kind == "multiplication":
        shares = ("139 of 2560", "14 of 2560")
        for stop, rmse, wrong in zip(("first", "second"), PAPER_RMSE, shares, strict=True):
            rows.append((f"paper, {stop} stop (T = 100)", f"{rmse**2:.5f}", f"{rmse:.4f}", wrong))
    return table(rows)


def _share(judged: Score) -> str:
    return f"{judged.wrong} of {judged.n} ({100 * judged.wrong_share:.2f} %)"


# -- several runs -----------------------------------------------------------------------------


def comparison_json(
    names: Sequence[str], loaded: Sequence[Run], task: MarkedPairs, scores: Sequence[Score]
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
    names: Sequence[str], loaded: Sequence[Run], task: MarkedPairs, scores: Sequence[Score]
) -> str:
    """A table with a column a run: settings that differ, then scores."""
    rows: list[list[Any]] = [["", *names]]
    rows += [[name, *values] for name, values in _differences(loaded).items()]
    rows.append(["sequences seen", *(f"{run.sequences:,}" for run in loaded)])
    rows.append(["stopped by", *(run.stopped_by for run in loaded)])
    for name in ("mse", "rmse", "mae", "max_error"):
        rows.append([name, *(f"{getattr(judged, name):.5f}" for judged in scores)])
    rows.append([f"wrong of {scores[0].n}", *(judged.wrong for judged in scores)])
    title = (
        f"the same {scores[0].n} sequences of {task.min_length} to {task.max_length} steps, "
        f"{task.rules} rules, chance MSE {task.chance_mse:.4f}"
    )
    return f"{title}\n\n{table(rows, keys=1)}"


def _differences(loaded: Sequence[Run]) -> dict[str, list[Any]]:
    settings = [
        {"recipe": run.recipe.name, "seed": run.seed, **run.recipe.settings()} for run in loaded
    ]
    names = dict.fromkeys(name for s in settings for name in s)
    values = {name: [s.get(name) for s in settings] for name in names}  # None: it has none such
    return {name: v for name, v in values.items() if any(value != v[0] for value in v)}


# -- the ledger of a sweep ------------------------------------------------------------------------


def trials(counts: Mapping[str, Mapping[str, int]], latest: Sequence[Mapping[str, Any]]) -> str:
    """How many trials of each recipe there are, and the latest, with why they failed."""
    head = [(name, sum(count.values()), dict(count)) for name, count in counts.items()]
    parts = [table([("recipe", "trials", "of which"), *head])]
    names = ("status", "recipe", "seed", "sequences", "seconds", "engine")
    if latest:
        rows = [[*(row[name] for name in names), _minute(row["ended"])] for row in latest]
        parts.append(table([(*names, "ended (UTC)"), *rows]))
    errors = (
        f"{row['recipe']}, seed {row['seed']}: {_one_line(row['error'])}"
        for row in latest
        if row["error"]
    )
    return "\n\n".join([*parts, *filter(None, ["\n".join(errors)])])


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
    if failed := sum(len(group.outcomes) - len(group.results) for group in groups):
        parts.append(f"{failed} trials failed and do not count")
    return "\n\n".join(parts if pairs is None else [*parts, _pairs(pairs)])


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
            ]
        ),
        f"the first's share of those that one alone solved: {low:.3f} to {high:.3f}",
    ]
    if pairs.gains:
        low, high = pairs.gain_interval
        mean = f"{np.mean(pairs.gains):,.0f} ({low:,.0f} to {high:,.0f})"
        lines.append(f"sequences saved by the first where both solved: mean {mean}")
    return "\n".join(lines)


# -- this installation ------------------------------------------------------------------------


def doctor() -> dict[str, Any]:
    chosen = engines.choose("auto")
    kernel = load_kernel()
    return {
        "version": __version__,
        "engine": chosen.name,
        "isa": chosen.isa,
        "isas": [] if kernel is None else kernel.isas(),
        "cores": os.cpu_count(),
        "extras": {
            name: importlib.metadata.version(name)
            for name in EXTRAS
            if importlib.util.find_spec(name) is not None
        },
    }


# -- training with words and progress ------------------------------------------------------------


def train(
    request: session.Request, directory: Path, resume: bool, overwrite: bool, *, quiet: bool
) -> Run:
    """`session.start` or `session.resume`, with progress on standard error."""
    with progress(quiet) as observe:
        if resume:
            return session.resume(request, directory, observe=observe)
        replaces = (directory / runs.HISTORY).exists()
        run = session.start(request, directory, overwrite=overwrite, observe=observe)
    if replaces and not quiet:
        say(f"the run that {directory} held is replaced")
    return run


@contextmanager
def progress(quiet: bool) -> Iterator[Observer]:
    """An observer of a training: a bar on a terminal, plain lines in a log, nothing if quiet.

    The scripts run without tqdm; then a terminal gets lines too.
    """
    if quiet:
        yield session.ignore
    elif sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None:
        yield from _bar()
    else:
        yield _lines()


def _bar() -> Iterator[Observer]:
    from tqdm import tqdm

    with tqdm(dynamic_ncols=True, smoothing=0.1) as bar:

        def observe(training: AnySteps) -> None:
            bar.unit = " seq" if isinstance(training, OnlineTraining) else " it"
            bar.total = training.recipe.max_iterations
            bar.update(training.iteration - bar.n)
            bar.set_description(f"{training.recipe.name} seed {training.seed}", refresh=False)
            bar.set_postfix_str(_state(training), refresh=False)

        yield observe


def _lines() -> Observer:
    last = time.monotonic()

    def observe(training: AnySteps) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > LOG_SECONDS or training.stopped_by is not None:
            last = now
            say(f"{_moment(training)}: {_state(training)}")

    return observe


def _moment(training: AnySteps) -> str:
    """Where a training is."""
    if isinstance(training, OnlineTraining):
        return f"sequence {training.iteration:,}"
    return f"iteration {training.iteration}"


def _state(training: AnySteps) -> str:
    chance = training.recipe.evaluation_task.chance_mse
    parts = [f"train MSE {training.losses[-1]:.5f}"] if training.losses else []
    if training.test_curve:
        parts.append(f"test MSE {training.test_curve[-1][1]:.5f} (chance {chance:.4f})")
    if isinstance(training, OnlineTraining):
        parts.append(f"{training.wrong} of the latest {training.recipe.window} wrong")
    return ", ".join(parts)
