"""A study that is a sweep: its cases, the ledger it goes on from, the files it writes.

The output directory holds

    trials.csv       a line a trial
    table.md         the table, with command, versions, machine and date
    figure.png       its picture

and, unless another place is named, ledger.sqlite, from which an interrupted study goes on, and
thanks to which a study of more trials does not do again what is done.
"""

from __future__ import annotations

import csv
import datetime
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from longlag import checks, engine, files, runs, sweeps
from longlag.criteria import LOOSE_SHARE, STRICT_SHARE
from longlag.figures import style
from longlag.ledger import Ledger
from longlag.recipes import check_seed
from longlag.statistics import clopper_pearson
from longlag.studies.result import Result
from longlag.sweeps import Observer
from longlag.trial import TRAIN, Trial, code_version, trial

FIRST_SEED = 1000  # no recipe was tuned on these seeds
MSE_TARGET = 0.030
FRESH, QUICK_FRESH = 25_600, 200  # further sequences, apart from those that a trial stops by

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Trials that differ in their seeds alone.

    about: what tells the case from the study's others; changes: of the registered recipe's
    settings; trials: how many, where the user does not say; fresh: further sequences to score on;
    function: what carries a trial out; engine: who does the arithmetic, where that is not the
    user's choice.
    """

    about: Mapping[str, Any]
    recipe: str
    changes: Mapping[str, Any]
    trials: int
    fresh: int = 0
    function: str = TRAIN
    engine: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A case with its trials' rows from the ledger, those that failed left out."""

    case: Case
    rows: Sequence[Row]
    failed: int

    @property
    def n(self) -> int:
        return len(self.rows)

    def setting(self, name: str) -> Any:
        """A setting that all trials share."""
        return self.rows[0]["settings"][name]


@dataclass(frozen=True)
class Request:
    """What the user asked for; None where it was left open."""

    trials: int | None = None
    max_sequences: int | None = None
    seed: int = FIRST_SEED
    lengths: tuple[int, ...] = ()
    out: Path | None = None
    ledger: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    engine: str = "auto"
    quick: bool = False
    full: bool = False
    command: str = ""


class Study(Protocol):
    """A question: its name and title, its cases, and what is made of their outcomes."""

    name: str
    title: str
    notes: Sequence[str]

    def cases(self, request: Request) -> Sequence[Case]:
        """The grid."""
        ...

    def rows(self, outcomes: Sequence[Outcome]) -> list[Row]:
        """A dict a line of the table."""
        ...

    def cells(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        """The table in words, its head first."""
        ...

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """What the numbers come to."""
        ...

    def figure(self, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> Figure:
        """The picture."""
        ...


@dataclass
class Plan:
    """The trials of a study, case by case."""

    cases: Sequence[Case]
    seeds: Callable[[Case], range]
    engine: str
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(len(self.seeds(case)) for case in self.cases)

    def of(self, case: Case) -> Iterator[Trial]:
        for seed in self.seeds(case):
            yield trial(
                case.recipe,
                seed,
                case.engine or self.engine,
                fresh=case.fresh,
                function=case.function,
                **case.changes,
            )

    def __iter__(self) -> Iterator[Trial]:
        for case in self.cases:
            yield from self.of(case)


def run(study: Study, request: Request, observe: Observer = lambda progress: None) -> Result:
    """Runs a study to its end and writes its files.

    Raises:
        ValueError: a request that makes no sense, a ledger that is damaged or in use.
        KeyboardInterrupt: by Ctrl-C or a termination signal; what is finished is in the ledger.
    """
    plan = _plan(study, request)
    out = runs.writable(request.out or Path("study") / _directory_name(study, request))
    with Ledger.open(request.ledger or out / "ledger.sqlite") as ledger:
        sweeps.run(
            plan,
            ledger,
            total=plan.total,
            workers=request.workers,
            scheduler=request.scheduler,
            observe=observe,
        )
        outcomes = [_outcome(case, plan, ledger) for case in plan.cases]
    content = _content(study, request, plan, outcomes, out)
    _write(study, request, outcomes, content, out)
    return Result(study.title, content, study.cells(content["rows"]), _remarks(study, content))


def check(request: Request) -> None:
    """Refuses what makes no sense for any study.

    Raises:
        ValueError: quick and full at once, or a number of trials or a seed that is not allowed.
    """
    if request.quick and request.full:
        raise ValueError("--quick and --full exclude each other: give one of them")
    if request.trials is not None:
        checks.whole("trials", request.trials, 1, 100_000)
    check_seed(request.seed)


def _plan(study: Study, request: Request) -> Plan:
    check(request)
    cases = study.cases(request)

    def seeds(case: Case) -> range:
        n = case.trials if request.trials is None else request.trials
        return range(request.seed, request.seed + n)

    plan = Plan(cases, seeds, engine.choose(request.engine).name)
    for case in cases:
        next(plan.of(case)).key("")  # a setting that will not do is refused before any work
    return plan


def _directory_name(study: Study, request: Request) -> str:
    return study.name.replace("-", "_") + ("_quick" if request.quick else "")


def _outcome(case: Case, plan: Plan, ledger: Ledger) -> Outcome:
    found = (ledger.get(one.key(code_version())) for one in plan.of(case))
    rows = [row for row in found if row is not None]
    good = [row for row in rows if row["status"] != "failed"]
    if not all(isinstance(row["curve"], list) for row in good):
        raise files.DamagedFile(f"{ledger.path} is damaged: a trial has no learning curve")
    if not good:
        raise OSError(0, f"every trial of a case failed: {rows[0]['error']}", str(ledger.path))
    return Outcome(case, good, len(rows) - len(good))


def _content(
    study: Study, request: Request, plan: Plan, outcomes: Sequence[Outcome], out: Path
) -> dict[str, Any]:
    isas = {row["isa"] for outcome in outcomes for row in outcome.rows}
    versions = {k: v for o in outcomes for row in o.rows for k, v in row["versions"].items()}
    return {
        "study": study.name,
        "trials": sum(outcome.n for outcome in outcomes),
        "failed": sum(outcome.failed for outcome in outcomes),
        "seed": request.seed,
        "rows": study.rows(outcomes),
        "quick": request.quick,
        "full": request.full,
        "engine": plan.engine,
        "isa": "/".join(sorted(isa for isa in isas if isa)) or None,
        "code": code_version(),
        "torch": versions.get("torch"),
        "out": str(out),
    }


# -- rules and statistics -------------------------------------------------------------------------


def sequences_to_mse(row: Row) -> int | None:
    """Training sequences at the first test with an MSE below 0.030; None if there was none."""
    batch = row["settings"]["batch_size"]
    return next((k * batch for k, mse, _ in row["curve"] if mse < MSE_TARGET), None)


def sequences_to_share(row: Row, share: float) -> int | None:
    """Training sequences at the second of two successive tests with so small a share wrong."""
    batch, most = row["settings"]["batch_size"], share * row["settings"]["test_size"]
    good = [wrong <= most for _, _, wrong in row["curve"]]
    for k in range(1, len(good)):
        if good[k - 1] and good[k]:
            return row["curve"][k][0] * batch
    return None


RULES: dict[str, Callable[[Row], int | None]] = {
    "MSE < 0.030": sequences_to_mse,
    "n_seq = 140": lambda row: sequences_to_share(row, LOOSE_SHARE),
    "n_seq = 13": lambda row: sequences_to_share(row, STRICT_SHARE),
}
STRICT = "n_seq = 13"


def reached(outcome: Outcome, rule: str) -> Row:
    """How many trials met a rule, with the rate's exact interval, and after how many sequences."""
    seen = [count for row in outcome.rows if (count := RULES[rule](row)) is not None]
    return {
        "solved": len(seen),
        "trials": outcome.n,
        "rate": len(seen) / outcome.n,
        "interval": clopper_pearson(len(seen), outcome.n),
        "sequences": spread(seen),
        "diverged": sum(row["status"] == "diverged" for row in outcome.rows),
        "failed": outcome.failed,
    }


def good_on_fresh(outcome: Outcome) -> Row:
    """How many final networks are strict on sequences that took no part in stopping."""
    scores = [row["fresh"] for row in outcome.rows]
    good = sum(one["wrong"] <= STRICT_SHARE * one["n"] for one in scores)
    return {
        "of": scores[0]["n"],
        "solved": good,
        "trials": outcome.n,
        "rate": good / outcome.n,
        "interval": clopper_pearson(good, outcome.n),
    }


def spread(values: Sequence[float]) -> Row:
    """Median and range; NaN of nothing."""
    if not values:
        return dict.fromkeys(("median", "min", "max"), math.nan)
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def budget(request: Request, batch: int, iterations: int) -> int:
    """Iterations at most: as given, or what makes up --max-sequences."""
    if request.max_sequences is None:
        return iterations
    return max(1, checks.whole("max_sequences", request.max_sequences, 1) // batch)


# -- words ----------------------------------------------------------------------------------------


def in_share(row: Row) -> str:
    return f"{row['solved']} of {row['trials']}"


def in_interval(row: Row) -> str:
    low, high = row["interval"]
    return f"{low:.3f} to {high:.3f}"


def in_spread(values: Row, form: str = ",.0f") -> str:
    """Median (range); a dash for nothing."""
    if math.isnan(values["median"]):
        return "–"
    median, low, high = (format(values[name], form) for name in ("median", "min", "max"))
    return f"{median} ({low} to {high})"


def _remarks(study: Study, content: Mapping[str, Any]) -> list[str]:
    lines = list(study.remarks(content["rows"]))
    if content["failed"]:
        lines.append(f"{content['failed']} trials failed and are left out; start again to retry.")
    if content["quick"]:
        lines.append("Quick form: it shows that everything runs, no more.")
    return lines


def _page(study: Study, request: Request, content: Mapping[str, Any]) -> str:
    about = runs.environment()
    head, *rows = study.cells(content["rows"])
    body = "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))
    notes = "\n".join(f"- {line}" for line in (*_remarks(study, content), *study.notes))
    engine = f"{content['engine']} engine{', ' + content['isa'] if content['isa'] else ''}"
    torch = f"PyTorch {content['torch']}, " if content["torch"] else ""
    return (
        f"# {study.title}\n\n{body}\n\n{notes}\n\n![{study.title}](figure.png)\n\n"
        f"Command: `{request.command}` (seeds from {request.seed})  \n"
        f"longlag {content['code']}, {engine}, Python {about['python']}, numpy {about['numpy']}, "
        f"{torch}{about['machine']}, {about['cores']} cores, {datetime.date.today()}\n"
    )


def _write(
    study: Study,
    request: Request,
    outcomes: Sequence[Outcome],
    content: Mapping[str, Any],
    out: Path,
) -> None:
    files.write_bytes(out / "trials.csv", _csv(outcomes).encode())
    files.write_bytes(out / "table.md", _page(study, request, content).encode())
    picture = study.figure(outcomes, content["rows"])
    files.write_bytes(out / "figure.png", style.png(picture))


def _csv(outcomes: Sequence[Outcome]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    about = list(outcomes[0].case.about)
    scores = ("n", "wrong", "mse", "rmse")
    writer.writerow(
        [*about, "seed", "status", "sequences", "seconds", *RULES]
        + [f"{kind}_{name}" for kind in ("score", "fresh") for name in scores]
        + ["tests (iteration:mse:wrong)"]
    )
    for outcome in outcomes:
        for row in outcome.rows:
            cells = [outcome.case.about[name] for name in about]
            cells += [row[name] for name in ("seed", "status", "sequences")]
            cells += [round(row["seconds"], 4), *(rule(row) for rule in RULES.values())]
            for kind in ("score", "fresh"):
                cells += [(row[kind] or {}).get(name) for name in scores]
            curve = " ".join(f"{k}:{mse:.6g}:{wrong}" for k, mse, wrong in row["curve"])
            writer.writerow([*cells, curve])
    return stream.getvalue()
