"""Sweeps: many trials on this machine's cores or on a Dask cluster, their rows in a ledger.

The coordinator hands out trials, takes rows back and alone writes them to the ledger; it keeps in
memory only the trials that are being carried out, however long the sweep. If it ends early, the
same sweep started again continues from the ledger: trials that have a result are skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from longlag import checks, machine
from longlag.signals import Ended, signals_noted
from longlag.sweeps.bundles import Row, Supply
from longlag.sweeps.ledger import Ledger, check_row
from longlag.sweeps.trial import UNFINISHED, Trial, lost

RECORD_SECONDS = 0.25  # between two writings to the ledger
QUIET_SECONDS = 30.0  # without a result, and
QUIET_TRIALS = 3  # times the mean time of a result so far: then the time left is not known


@dataclass
class Progress:
    """How far a sweep is: trials in all, skipped, with a result, failed; seconds so far.

    unfinished: by key, the sequences that trials under way have learned so far; latest: when the
    last result came; notes: messages about what is waited for and about workers, a sentence each.
    """

    total: int
    skipped: int = 0
    done: int = 0
    failed: int = 0
    elapsed: float = 0.0
    unfinished: dict[str, int] = field(default_factory=dict, init=False)
    latest: float = field(default=0.0, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    def count(self, row: Row) -> None:
        """Counts a row that has come."""
        self.unfinished.pop(row["key"], None)
        if row["status"] == UNFINISHED:
            self.unfinished[row["key"]] = row["sequences"]
            return
        self.latest = self.elapsed
        if row["status"] == "failed":
            self.failed += 1
        else:
            self.done += 1

    @property
    def quiet(self) -> float:
        """Seconds for which no result has come."""
        return self.elapsed - self.latest

    @property
    def stalled(self) -> bool:
        """Whether no result has come for so long that the pace so far is no estimate."""
        pace = self.latest / max(1, self.done + self.failed)
        return self.quiet > max(QUIET_SECONDS, QUIET_TRIALS * pace)

    @property
    def left(self) -> float:
        """Seconds to the end, at the pace so far; NaN where that is not known."""
        new = self.done + self.failed
        if not new or self.stalled:
            return float("nan")
        return self.elapsed / new * (self.total - self.skipped - new)


Observer = Callable[[Progress], None]


def run(
    trials: Iterable[Trial],
    ledger: Ledger,
    *,
    total: int,
    workers: int | None = None,
    scheduler: str | None = None,
    observe: Observer = lambda progress: None,
) -> Progress:
    """Carries out every trial that has no result in the ledger yet.

    Args:
        trials: may be a generator; read as workers have room.
        total: their number.
        workers: processes on this machine; as many as it has cores where not given.
        scheduler: address of a Dask cluster that does the work instead.
        observe: called with the progress several times a second.

    Raises:
        ValueError: a number of workers or a cluster that cannot be used.
        KeyboardInterrupt: by Ctrl-C, a termination signal or a hang-up; what was finished is
            recorded.
        OSError: a full disk, workers that do not start, a scheduler that is gone; what was
            recorded is safe.
    """
    check(workers, scheduler)
    workers = machine.cores() if workers is None else workers
    from longlag.sweeps import executor  # here: Dask takes half a second to import

    progress = Progress(total)
    with signals_noted() as interrupted:
        supply = Supply(_open(trials, ledger, progress, interrupted))
        coming = executor.rows(supply, workers, scheduler, progress.notes.append)
        with closing(_recorded(coming, ledger, progress)) as beats:
            for _ in beats:
                observe(progress)
                if interrupted():
                    break
        observe(progress)
    if interrupted():
        raise Ended(interrupted(), f"the same command continues from {ledger.path}")
    return progress


def check(workers: int | None, scheduler: str | None) -> None:
    """Refuses workers or a scheduler that cannot be used; arguments as in `run`.

    Raises:
        ValueError: no such number of workers, or no scheduler's address.
    """
    if workers is not None:
        checks.whole("workers", workers, 1, 1024)
    if scheduler is not None:
        from longlag.sweeps import executor

        executor.check_address(scheduler)


def _open(
    trials: Iterable[Trial], ledger: Ledger, progress: Progress, interrupted: Callable[[], int]
) -> Iterator[tuple[str, Trial, bytes | None]]:
    """The trials without a result, with their keys, and the states that they go on from."""
    for trial in trials:
        if interrupted():
            return  # there may be many that are to be skipped
        key = trial.key
        if ledger.done(key):
            progress.skipped += 1
        else:
            most = trial.settings["max_sequences"] if trial.side_by_side else 0
            yield key, trial, ledger.state(key, trial.lineage, most)


def _recorded(
    coming: Generator[list[Row], None, None], ledger: Ledger, progress: Progress
) -> Generator[None, None, None]:
    """Records rows as they come, several at a time; yields after every wait for them."""
    rows: list[Row] = []
    start = recorded = time.monotonic()
    with closing(coming):
        try:
            for come in coming:
                arrived, now = [_sound(row) for row in come], time.monotonic()
                progress.elapsed = now - start
                for row in arrived:
                    progress.count(row)
                rows += arrived
                if rows and now - recorded > RECORD_SECONDS:
                    batch, rows = rows, []
                    ledger.record(batch)
                    recorded = now
                yield
        finally:
            if rows:
                ledger.record(rows)


def _sound(row: Row) -> Row:
    """The row, or that of a failed trial where its function returned what is no result."""
    try:
        check_row(row)
    except ValueError as error:
        reason = f"its function returned no result: {error}"
        return {**lost(row, reason), "key": row["key"], "seconds": row["seconds"]}
    return row
