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
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from longlag import checks, files
from longlag.figures import style
from longlag.learning import engine
from longlag.learning.streams import check_seed
from longlag.runs import directory as runs
from longlag.studies import page
from longlag.studies.cases import RULES, Case, Outcome, Row
from longlag.studies.result import Result
from longlag.sweeps import sweep as sweeps
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.sweep import Observer
from longlag.sweeps.trial import Trial, trial
from longlag.version import CODE_VERSION

FIRST_SEED = 1000  # no recipe was tuned on these seeds
FRESH, QUICK_FRESH = 25_600, 200  # further sequences, apart from those that a trial stops by


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


@dataclass(frozen=True)
class Trials:
    """Trials that differ in their seeds alone, each made when it is its turn: there may be many."""

    make: Callable[[int], Trial]
    seeds: Sequence[int]

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[Trial]:
        return map(self.make, self.seeds)


def run(study: Study, request: Request, observe: Observer = lambda progress: None) -> Result:
    """Runs a study to its end and writes its files.

    Raises:
        ValueError: a request that makes no sense, a ledger that is damaged or in use.
        KeyboardInterrupt: by Ctrl-C or a termination signal; what is finished is in the ledger.
    """
    check(request)
    cases = study.cases(request)
    chosen = engine.choose(request.engine).name
    trials = [_trials(case, request, chosen) for case in cases]
    out, ledger, rows = gather(study.name, trials, request, observe)
    outcomes = [_outcome(case, own, ledger) for case, own in zip(cases, rows, strict=True)]
    content = _content(study, request, chosen, outcomes, out)
    _write(study, request, outcomes, content, out)
    return Result(study.title, content, study.cells(content["rows"]), _remarks(study, content))


def gather(
    name: str, cases: Sequence[Trials], request: Request, observe: Observer
) -> tuple[Path, Path, list[list[Row]]]:
    """Carries out the trials of the study of that name, but for those that its ledger holds.

    Returns:
        The directory of its files, its ledger, and the trials' rows, a list a case.

    Raises:
        ValueError, KeyboardInterrupt: as `run`.
    """
    for trials in cases:
        next(iter(trials))  # a setting that will not do is refused before any work
    directory = name.replace("-", "_") + ("_quick" if request.quick else "")
    out = runs.writable(request.out or Path("study") / directory)
    with Ledger.open(request.ledger or out / "ledger.sqlite") as ledger:
        sweeps.run(
            itertools.chain.from_iterable(cases),
            ledger,
            total=sum(map(len, cases)),
            workers=request.workers,
            scheduler=request.scheduler,
            observe=observe,
        )
        found = [[ledger.get(one.key) for one in trials] for trials in cases]
    return out, ledger.path, [[row for row in rows if row is not None] for rows in found]


def check(request: Request) -> None:
    """Refuses what makes no sense for any study.

    Raises:
        ValueError: quick and full at once, or a number of trials or workers, a seed or a
            scheduler that is not allowed.
    """
    if request.quick and request.full:
        raise ValueError("--quick and --full exclude each other: give one of them")
    if request.trials is not None:
        checks.whole("trials", request.trials, 1, 100_000)
    check_seed(request.seed)
    sweeps.check(request.workers, request.scheduler)


def budget(request: Request, batch: int, iterations: int) -> int:
    """Iterations at most: as given, or what makes up --max-sequences."""
    if request.max_sequences is None:
        return iterations
    return max(1, checks.whole("max_sequences", request.max_sequences, 1) // batch)


def _trials(case: Case, request: Request, engine: str) -> Trials:
    def make(seed: int) -> Trial:
        return trial(case.recipe, seed, case.engine or engine, fresh=case.fresh, **case.changes)

    n = case.trials if request.trials is None else request.trials
    return Trials(make, range(request.seed, request.seed + n))


def _outcome(case: Case, rows: Sequence[Row], ledger: Path) -> Outcome:
    good = results(rows, ledger)
    return Outcome(case, good, len(rows) - len(good))


def results(rows: Sequence[Row], ledger: Path) -> list[Row]:
    """The rows of a case's trials that did not fail.

    Raises:
        OSError: all did.
        DamagedFile: a result without a learning curve.
    """
    good = [row for row in rows if row["status"] != "failed"]
    if not all(isinstance(row["curve"], list) for row in good):
        raise files.DamagedFile(f"{ledger} is damaged: a trial has no learning curve")
    if not good:
        raise OSError(0, f"every trial of a case failed: {rows[0]['error']}", str(ledger))
    return good


def left_out(failed: int) -> list[str]:
    """A remark on trials that failed, where there are any."""
    return [f"{failed} trials failed and are left out; start again to retry."] if failed else []


def isas(rows: Iterable[Row]) -> str | None:
    """The instruction sets that trials ran on; None of none."""
    return "/".join(sorted({row["isa"] for row in rows if row["isa"]})) or None


def _content(
    study: Study, request: Request, engine: str, outcomes: Sequence[Outcome], out: Path
) -> dict[str, Any]:
    versions = {k: v for o in outcomes for row in o.rows for k, v in row["versions"].items()}
    return {
        "study": study.name,
        "trials": sum(outcome.n for outcome in outcomes),
        "failed": sum(outcome.failed for outcome in outcomes),
        "seed": request.seed,
        "rows": study.rows(outcomes),
        "quick": request.quick,
        "full": request.full,
        "engine": engine,
        "isa": isas(row for outcome in outcomes for row in outcome.rows),
        "code": CODE_VERSION,
        "torch": versions.get("torch"),
        "out": str(out),
    }


def _remarks(study: Study, content: Mapping[str, Any]) -> list[str]:
    lines = [*study.remarks(content["rows"]), *left_out(content["failed"])]
    if content["quick"]:
        lines.append("Quick form: it shows that everything runs, no more.")
    return lines


def _page(study: Study, request: Request, content: Mapping[str, Any]) -> str:
    body = page.markdown(study.cells(content["rows"]))
    notes = page.bullets([*_remarks(study, content), *study.notes])
    torch = [f"PyTorch {content['torch']}"] if content["torch"] else []
    return (
        f"# {study.title}\n\n{body}\n\n{notes}\n\n![{study.title}](figure.png)\n\n"
        f"Command: `{request.command}` (seeds from {request.seed})  \n"
        f"longlag {content['code']}, {page.engine(content)}, {page.setting(*torch)}\n"
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
