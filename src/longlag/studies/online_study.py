"""A study of on-line trials: its cases, the files it keeps, how it goes on after an interruption.

The output directory holds

    trials.csv       a line a trial and stopping point
    table.md         the table beside the paper's, with command, versions, machine and date
    solved.png       the share of trials that have stopped, against training sequences
    state*.npz       the trials' whole state, a file a case: what an interrupted study goes on
                     from, and what a study of more trials or a larger budget need not do again;
                     the weights at every stopping point are in it
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from longlag import checks, files, machine, signals
from longlag.figures import solved_share, style
from longlag.learning.recipe import Recipe
from longlag.learning.side_by_side import Trials
from longlag.learning.streams import check_seed
from longlag.learning.training import Run
from longlag.runs import directory as runs
from longlag.runs import session
from longlag.studies import online_page, online_rows
from longlag.studies.online_rows import Published, Row
from longlag.studies.result import Result
from longlag.version import REVISION

FORMAT = "longlag trials 1"
READING = ("error", "gradient", "reads", "first_mark", "check_every")
QUICK_TRIALS, TRIALS = 4, 10


@dataclass(frozen=True)
class Case:
    """Trials of one recipe, and what the paper has at each of its stopping points.

    label: tells the files of a study's cases apart; empty where there is one.
    """

    label: str
    recipe: Recipe
    paper: tuple[Published, ...]


class Cases(Protocol):
    """Makes a study's cases from the settings that were given."""

    def __call__(
        self, settings: Mapping[str, Any], *, quick: bool, full: bool
    ) -> tuple[Case, ...]: ...


@dataclass(frozen=True)
class Study:
    """A question: its name, its table's title, its cases."""

    name: str
    title: str
    cases: Cases


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    trials: None for the default; settings: of the recipe, as given; seed: of the first trial;
    out: None for a directory under study/, named after what is asked for.
    """

    trials: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    out: Path | None = None
    threads: int | None = None
    engine: str = "auto"
    quick: bool = False
    full: bool = False
    command: str = ""

    def seeds(self) -> list[int]:
        """A seed a trial.

        Raises:
            ValueError: no trials, or seeds out of range.
        """
        n = (QUICK_TRIALS if self.quick else TRIALS) if self.trials is None else self.trials
        n = checks.whole("trials", n, 1, 100_000)
        first = check_seed(self.seed)
        return list(range(first, check_seed(first + n - 1) + 1))

    def directory(self, study: Study) -> Path:
        """Where the files go; another reading has another directory."""
        if self.out is not None:
            return self.out
        parts = [study.name, *(f"{k}-{v}" for k, v in self.settings.items() if k in READING)]
        parts += ["quick"] if self.quick else []
        parts += [f"seed-{self.seed}"] if self.seed else []
        return Path("study") / "_".join(parts)


def run(study: Study, request: Request, say: Callable[[str], None] = lambda text: None) -> Result:
    """Runs a study to its end and writes its files.

    Args:
        say: hears how it goes, every few seconds.

    Raises:
        ValueError: a request that makes no sense, or a directory that holds something else.
        KeyboardInterrupt: by Ctrl-C or a termination signal; the state is written.
    """
    if request.quick and request.full:
        raise ValueError("--quick and --full exclude each other: give one of them")
    seeds = request.seeds()
    cases = study.cases(request.settings, quick=request.quick, full=request.full)
    threads = machine.cores() if request.threads is None else request.threads
    made = [Trials(case.recipe, seeds, request.engine, threads) for case in cases]
    directory = runs.writable(request.directory(study))
    with runs.locked(directory):
        for case, trials in zip(cases, made, strict=True):
            _learn(case, trials, directory, lambda text: say(f"{study.name}: {text}"))
        results = [trials.runs() for trials in made]
        content = _content(study, request, cases, made, results, directory)
        _write(study, request, cases, results, content, directory)
    return Result(
        study.title,
        content,
        online_page.cells(content["rows"]),
        online_page.remarks(content),
        lead=online_page.asked(content),
    )


# -- learning, saved as it goes -------------------------------------------------------------------


def _learn(case: Case, trials: Trials, directory: Path, say: Callable[[str], None]) -> None:
    path = directory / f"state{'-' if case.label else ''}{case.label}.npz"
    store = Store(path, trials)
    store.restore()
    if not trials.left:
        return
    saved = time.monotonic()
    with signals.signals_noted() as interrupted:
        for _ in trials.rounds():
            if interrupted() or time.monotonic() - saved > session.CHECKPOINT_SECONDS:
                store.save()
                say(_progress(case, trials))
                saved = time.monotonic()
            if interrupted() and trials.left:
                raise KeyboardInterrupt(f"the same command goes on from {path}")
    store.save()


def _progress(case: Case, trials: Trials) -> str:
    done, n = len(trials.seeds) - trials.left, len(trials.seeds)
    what = f"{case.label}: " if case.label else ""
    return (
        f"{what}{done} of {n} trials have ended, "
        f"{trials.sequences:,} sequences learned in {trials.elapsed:.0f} s"
    )


class Store:
    """The file that holds trials' state; those of other seeds in it are kept as they are."""

    path: Path
    trials: Trials

    def __init__(self, path: Path, trials: Trials) -> None:
        self.path, self.trials = path, trials
        self._others: dict[str, np.ndarray] = {}

    def about(self) -> dict[str, Any]:
        """What must be the same for trials to go on from the file."""
        settings = self.trials.recipe.settings()
        del settings["max_sequences"]  # a larger budget goes on from a smaller one
        del settings["test_size"]
        return {
            "format": FORMAT,
            "revision": REVISION,
            "engine": self.trials.engine.name,
            **settings,
        }

    def save(self) -> None:
        arrays = self.trials.state()
        for name, rows in self._others.items():
            arrays[name] = np.concatenate([arrays[name], rows])
        text = np.frombuffer(files.to_json(self.about()).encode(), dtype=np.uint8)
        files.write_arrays(self.path, {**arrays, "about": text})

    def restore(self) -> None:
        """Lets the trials go on from the file, where there is one.

        Raises:
            ValueError: it holds trials of other settings or a larger budget.
            DamagedFile: it cannot be read.
        """
        if not self.path.exists():
            return
        arrays = files.read_arrays(self.path)
        with files.damage_named(self.path):
            about = json.loads(arrays.pop("about").tobytes())
            if not isinstance(about, dict):
                raise ValueError("it does not say what its trials are")
            differing = {k for k, v in self.about().items() if about.get(k) != v}
        if differing:
            name = sorted(differing)[0]
            raise ValueError(
                f"{self.path} holds trials with {name} {about.get(name)!r}, not "
                f"{self.about()[name]!r}: choose another --out, or remove it"
            )
        with files.damage_named(self.path):
            self.trials.restore(arrays)
            rest = ~np.isin(arrays["seeds"], self.trials.seeds)
            rows = {name: array for name, array in arrays.items() if name != "elapsed_sec"}
            self._others = {name: array[rest] for name, array in rows.items()}
        seen = max(one.iteration for one in self.trials.trainings)
        budget = self.trials.recipe.rule.budget
        if seen > budget:
            raise ValueError(
                f"{self.path} holds trials of {seen:,} sequences, more than max_sequences "
                f"({budget:,}): choose another --out, or a larger --max-sequences"
            )


# -- the results ----------------------------------------------------------------------------------


def _content(
    study: Study,
    request: Request,
    cases: Sequence[Case],
    made: Sequence[Trials],
    results: Sequence[Sequence[Run]],
    directory: Path,
) -> dict[str, Any]:
    settings = cases[0].recipe.settings()
    rows: list[Row] = [
        online_rows.row(case.recipe, trials, s, paper)
        for case, trials in zip(cases, results, strict=True)
        for s, paper in enumerate(case.paper)
    ]
    return {
        "study": study.name,
        "recipe": cases[0].recipe.name,
        "trials": len(results[0]),
        "seed": request.seed,
        "max_sequences": cases[0].recipe.rule.budget,
        "reading": {name: settings[name] for name in READING},
        "rows": rows,
        "quick": request.quick,
        "engine": made[0].engine.name,
        "isa": made[0].engine.isa,
        "threads": made[0].threads,
        "elapsed_sec": sum(trials.elapsed for trials in made),
        "out": str(directory),
    }


def _write(
    study: Study,
    request: Request,
    cases: Sequence[Case],
    results: Sequence[Sequence[Run]],
    content: Mapping[str, Any],
    directory: Path,
) -> None:
    lines = [
        (case.recipe.task.min_length, trial)
        for case, trials in zip(cases, results, strict=True)
        for trial in trials
    ]
    files.write_bytes(directory / "trials.csv", online_page.csv(lines).encode())
    page = online_page.page(study.title, request.command, content)
    files.write_bytes(directory / "table.md", page.encode())
    picture = _figure(study, cases, results, content)
    files.write_bytes(directory / "solved.png", style.png(picture))


def _figure(
    study: Study,
    cases: Sequence[Case],
    results: Sequence[Sequence[Run]],
    content: Mapping[str, Any],
) -> Figure:
    points = [
        [trial.stops[s] for trial in trials]
        for case, trials in zip(cases, results, strict=True)
        for s in range(len(case.paper))
    ]
    curves = [
        solved_share.Curve(
            label=online_page.point(row),
            sequences=[stop.sequences for stop in stops if stop.reached],
            trials=len(stops),
            mean=row["sequences"]["mean"],
            interval=row["sequences"]["interval"],
            restricted=row["sequences"]["restricted"],
            paper=row["paper"]["sequences"],
        )
        for stops, row in zip(points, content["rows"], strict=True)
    ]
    budget, subtitle = content["max_sequences"], online_page.reading(content)
    return solved_share.draw(curves, study.title, budget, subtitle)
