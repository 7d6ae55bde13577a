"""Carries a study out: its trials, its ledger, and the files it writes.

The output directory holds

    trials.csv       a line a trial (and stopping point)
    table.md         the table, with command, versions, machine and date
    figure.png       its picture; solved.png of tables 7 and 8

and, unless another place is named, ledger.sqlite, from which an interrupted study continues, and
which spares a study of more trials those that are done.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longlag import files
from longlag.figures import style
from longlag.learning import engine
from longlag.networks.network import counted
from longlag.runs import directory as runs
from longlag.settings import imported
from longlag.studies import page
from longlag.studies.cases import Case, Outcome, Row
from longlag.studies.declaration import Request, Study
from longlag.studies.result import Result
from longlag.sweeps import sweep as sweeps
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.sweep import Observer
from longlag.sweeps.trial import Trial, stops_of, trial
from longlag.version import CODE_VERSION


@dataclass(frozen=True)
class Trials:
    """Trials that differ in their seeds alone; each is made when it is needed, as there may be
    many.

    Raises:
        ValueError: a setting that is not allowed, before any work.
    """

    make: Callable[[int], Trial]
    seeds: Sequence[int]

    def __post_init__(self) -> None:
        self.make(self.seeds[0])

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[Trial]:
        return map(self.make, self.seeds)

    def first(self, case: Case) -> Trials:
        """Those that are carried out before it is known whether the case is slow."""
        return self if case.slow is None else replace(self, seeds=self.seeds[: case.slow.trials])


def carry_out(request: Request, observe: Observer) -> Result:
    """Runs a study to its end and writes its files; raises as `declaration.run`."""
    study = request.study
    every = study.cases(request)
    cases = [case for case in every if not case.refused]
    out, outcomes, left_out = _in_stages(cases, request, observe)
    refused = [*dict.fromkeys(case.refused for case in every if case.refused), *left_out]
    rows = list(itertools.chain.from_iterable(_rows(study, outcome) for outcome in outcomes))
    content = {
        **_content(request, outcomes, rows),
        **{"rows": rows, "out": str(out)},
        **({"refused": refused} if study.partial else {}),
    }
    table, remarks = study.table(rows), _remarks(request, content)
    lines = list(itertools.chain.from_iterable(map(study.lines, outcomes)))
    files.write_bytes(out / "trials.csv", page.csv_text(lines).encode())
    written = page.page(request, content, table, remarks)
    files.write_bytes(out / "table.md", written.encode())
    for name, data in study.more_files(content).items():
        files.write_bytes(out / name, data)
    if study.figure:
        picture = imported(study.figure)(study.title, outcomes, rows)
        files.write_bytes(out / study.picture, style.png(picture))
    return Result(study.title, content, table, remarks, study.lead(content))


def _in_stages(
    cases: Sequence[Case], request: Request, observe: Observer
) -> tuple[Path, list[Outcome], list[str]]:
    """Carries cases out, one stage after another.

    Returns:
        The directory of the files, the outcomes in the order of the cases, and a sentence each of
        what has none and of what is not whole.

    Raises:
        OSError, DamagedFile: as `_outcome`, of a study that is not partial, or of every case.
    """
    study, out = request.study, request.directory
    trials = [_trials(case, request) for case in cases]
    found: dict[int, Outcome] = {}  # by the case's place
    failed: dict[int, AllFailed] = {}
    needless: list[int] = []
    for stage in sorted({case.stage for case in cases}):
        at = [k for k, case in enumerate(cases) if case.stage == stage]
        needless += [k for k in at if study.needless(cases[k], list(found.values()))]
        tried = [k for k in at if k not in needless]
        if not tried:
            continue
        out, ledger, rows, slow = _gather_unless_slow(
            [cases[k] for k in tried], [trials[k] for k in tried], request, observe
        )
        for k, own, few in zip(tried, rows, slow, strict=True):
            try:
                found[k] = replace(_outcome(cases[k], own, ledger), slow=few)
            except AllFailed as error:
                failed[k] = error
    if failed and not (study.partial and found):
        raise next(iter(failed.values()))
    sentences = [f"{cases[k].label}: {error.strerror}." for k, error in failed.items()]
    sentences += [_some_failed(found[k]) for k in sorted(found) if found[k].failed]
    sentences += study.untried([cases[k] for k in needless])
    return out, [found[k] for k in sorted(found)], sentences


def _gather_unless_slow(
    cases: Sequence[Case], trials: Sequence[Trials], request: Request, observe: Observer
) -> tuple[Path, Path, list[list[Row]], list[bool]]:
    """As `gather`; of a case that turns out to be slow, only the first trials; and which are."""
    first = [own.first(case) for case, own in zip(cases, trials, strict=True)]
    out, ledger, rows = gather(first, request, observe)
    slow = [
        case.slow is not None and case.slow.holds(own)
        for case, own in zip(cases, rows, strict=True)
    ]
    more = [k for k, own in enumerate(first) if len(own) < len(trials[k]) and not slow[k]]
    if more:
        _, _, found = gather([trials[k] for k in more], request, observe)
        for k, own in zip(more, found, strict=True):
            rows[k] = own
    return out, ledger, rows, slow


def gather(
    cases: Sequence[Trials], request: Request, observe: Observer
) -> tuple[Path, Path, list[list[Row]]]:
    """Carries out the trials of a study, but for those that its ledger holds.

    Returns:
        The directory of its files, its ledger, and the trials' rows, a list a case.

    Raises:
        ValueError, KeyboardInterrupt: as `declaration.run`.
    """
    sweeps.check(request.workers, request.scheduler)
    out = runs.writable(request.directory)
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


def _trials(case: Case, request: Request) -> Trials:
    try:
        made = case.made()
    except ValueError as error:
        raise ValueError(f"case {case.label}: {error}") from error
    chosen = case.engine or engine.choose(request.engine, recipe=made).name

    def make(seed: int) -> Trial:
        return trial(case.recipe, seed, chosen, fresh=case.fresh, **case.changes)

    return Trials(make, request.seeds(case.trials, case.most))


class AllFailed(OSError):
    """Every trial of a case failed."""


def _outcome(case: Case, rows: Sequence[Row], ledger: Path) -> Outcome:
    """A case with the rows of its trials that did not fail.

    Raises:
        AllFailed: all did.
        DamagedFile: a result without a learning curve, or with invalid stopping points.
    """
    good = [row for row in rows if row["status"] != "failed"]
    if not all(isinstance(row["curve"], list) for row in good):
        raise files.DamagedFile(f"{ledger} is damaged: a trial has no learning curve")
    with files.damage_named(ledger):
        for row in good:
            stops_of(row)
    if not rows:  # they have other keys now
        reason = "the file of its cell or task was changed meanwhile; start again"
        raise AllFailed(0, reason, str(ledger))
    failures = [" ".join(row["error"].split()) for row in rows if row["status"] == "failed"]
    if not good:
        raise AllFailed(0, f"every trial of a case failed: {failures[0]}", str(ledger))
    return Outcome(case, good, len(failures), next(iter(failures), ""))


def _some_failed(outcome: Outcome) -> str:
    trials = outcome.failed + outcome.n
    return (
        f"{outcome.case.label}: {outcome.failed} of {trials} trials failed and do not count: "
        f"{outcome.reason}."
    )


def engines(rows: Iterable[Row]) -> str:
    """The engines that computed trials."""
    return " and ".join(sorted({row["engine"] for row in rows if row["engine"]}))


def isas(rows: Iterable[Row]) -> str | None:
    """The instruction sets that trials ran on; None of none."""
    return "/".join(sorted({row["isa"] for row in rows if row["isa"]})) or None


def _rows(study: Study, outcome: Outcome) -> list[Row]:
    """The rows of an outcome, each with what tells its case apart, and the paper's beside it."""
    found = [{**outcome.case.about, **row} for row in study.rows(outcome)]
    published = outcome.case.published
    if not published:
        return found
    return [{**row, "paper": dict(own)} for row, own in zip(found, published, strict=True)]


def _content(request: Request, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> dict[str, Any]:
    trials = [row for outcome in outcomes for row in outcome.rows]
    versions = {k: v for row in trials for k, v in row["versions"].items()}
    return {
        "study": request.study.name,
        "trials": len(trials),
        "failed": sum(outcome.failed for outcome in outcomes),
        "seed": request.seed,
        "quick": request.quick,
        "full": request.full,
        "engine": engines(trials),
        "isa": isas(trials),
        "code": CODE_VERSION,
        **{name: versions.get(name) for name in page.OTHERS},
        "elapsed_sec": sum(row["seconds"] for row in trials),
        **request.study.about(outcomes, rows),
    }


def _remarks(request: Request, content: Mapping[str, Any]) -> list[str]:
    lines = [*request.study.remarks(content["rows"]), *content.get("refused", ())]
    if content["failed"]:
        failed = counted(content["failed"], "trial")
        lines.append(f"Left out: {failed} that failed; start again to retry.")
    if content["quick"]:
        lines.append(page.QUICK_FORM)
    return lines
