"""A study of on-line trials: its cases, its table beside the paper's, the files it writes.

The output directory holds

    trials.csv       a line a trial and stopping point
    table.md         the table beside the paper's, with command, versions, machine and date
    solved.png       the share of trials that have stopped, against training sequences

and, unless another place is named, ledger.sqlite, from which an interrupted study goes on, in
mid-trial too, and thanks to which a study of more trials or of a larger budget does not do again
what is done; the weights at every stopping point are in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from longlag import checks, files
from longlag.figures import solved_share, style
from longlag.learning import engine
from longlag.learning.recipe import Recipe
from longlag.learning.streams import check_seed
from longlag.studies import frame, online_page, online_rows
from longlag.studies.online_rows import Ended, Published, Row
from longlag.studies.result import Result
from longlag.sweeps.sweep import Observer
from longlag.sweeps.trial import Trial
from longlag.version import CODE_VERSION

READING = ("error", "gradient", "reads", "first_mark", "check_every")
QUICK_TRIALS, TRIALS = 4, 10


@dataclass(frozen=True)
class Case:
    """Trials of one recipe, and what the paper has at each of its stopping points."""

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
class Request(frame.Request):
    """What the user asked for; settings: of the recipe, a reading of the paper."""

    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

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
        """Where the files go where the user does not say; another reading has another."""
        parts = [study.name, *(f"{k}-{v}" for k, v in self.settings.items() if k in READING)]
        parts += ["quick"] if self.quick else []
        parts += [f"seed-{self.seed}"] if self.seed else []
        return Path("study") / "_".join(parts)


def run(study: Study, request: Request, observe: Observer = lambda progress: None) -> Result:
    """Runs a study to its end and writes its files.

    Raises:
        ValueError: a request that makes no sense, a ledger that is damaged or in use.
        KeyboardInterrupt: by Ctrl-C or a termination signal; what is finished is in the ledger.
    """
    frame.check(request)
    settings = dict(request.settings)
    if request.max_sequences is not None:
        settings["max_sequences"] = request.max_sequences
    cases = study.cases(settings, quick=request.quick, full=request.full)
    trials = [_trials(case, request) for case in cases]
    request = replace(request, out=request.out or request.directory(study))
    out, ledger, found = frame.gather(study.name, trials, request, observe)
    good = [frame.results(rows, ledger) for rows in found]
    failed = sum(map(len, found)) - sum(map(len, good))
    with files.damage_named(ledger):
        ended = [[Ended.of(row) for row in rows] for rows in good]
    content = {
        **_content(study, request, cases, ended),
        "failed": failed,
        "engine": next(iter(trials[0])).engine,
        "isa": frame.isas(row for rows in good for row in rows),
        "elapsed_sec": sum(row["seconds"] for rows in good for row in rows),
        "out": str(out),
    }
    _write(study, request, cases, ended, content, out)
    return Result(
        study.title,
        content,
        online_page.cells(content["rows"]),
        online_page.remarks(content),
        lead=online_page.asked(content),
    )


def _trials(case: Case, request: Request) -> frame.Trials:
    settings = case.recipe.settings()
    chosen = engine.choose(request.engine, recipe=case.recipe).name
    return frame.Trials(
        lambda seed: Trial(case.recipe.name, settings, seed, chosen), request.seeds()
    )


# -- the results ----------------------------------------------------------------------------------


def _content(
    study: Study, request: Request, cases: Sequence[Case], ended: Sequence[Sequence[Ended]]
) -> dict[str, Any]:
    settings = cases[0].recipe.settings()
    rows: list[Row] = [
        online_rows.row(case.recipe, trials, s, paper)
        for case, trials in zip(cases, ended, strict=True)
        for s, paper in enumerate(case.paper)
    ]
    return {
        "study": study.name,
        "recipe": cases[0].recipe.name,
        "trials": len(ended[0]),
        "seed": request.seed,
        "max_sequences": cases[0].recipe.rule.budget,
        "reading": {name: settings[name] for name in READING},
        "rows": rows,
        "quick": request.quick,
        "code": CODE_VERSION,
    }


def _write(
    study: Study,
    request: Request,
    cases: Sequence[Case],
    ended: Sequence[Sequence[Ended]],
    content: Mapping[str, Any],
    directory: Path,
) -> None:
    lines = [
        (case.recipe.task.min_length, trial)
        for case, trials in zip(cases, ended, strict=True)
        for trial in trials
    ]
    files.write_bytes(directory / "trials.csv", online_page.csv(lines).encode())
    page = online_page.page(study.title, request.command, content)
    files.write_bytes(directory / "table.md", page.encode())
    picture = _figure(study, cases, ended, content)
    files.write_bytes(directory / "solved.png", style.png(picture))


def _figure(
    study: Study,
    cases: Sequence[Case],
    ended: Sequence[Sequence[Ended]],
    content: Mapping[str, Any],
) -> Figure:
    points = [
        [trial.stops[s] for trial in trials]
        for case, trials in zip(cases, ended, strict=True)
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
