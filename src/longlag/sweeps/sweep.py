"""Sweeps: many trials on this machine's cores or on a Dask cluster, their rows in a ledger.

The coordinator hands out trials, takes rows back and is alone in writing them down; it holds no
more of them than are on their way, whatever the length of the sweep. Whatever happens to it, the
same sweep started again goes on from the ledger: trials that have a result are skipped.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from typing import IO, Any, Protocol

from longlag import checks, machine
from longlag.signals import signals_noted
from longlag.sweeps.ledger import Ledger, check_row
from longlag.sweeps.trial import Trial, lost

AHEAD = 2  # trials that a worker holds: one at work, one waiting, so that it never waits for us
LIVES = 3  # workers that a trial may take down with it before it is called failed
RECORD_SECONDS = 0.25  # between two writings to the ledger
WAIT_SECONDS = 0.2  # between two looks at signals and at the clock
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

Work = dict[str, Any]
Row = dict[str, Any]


@dataclass
class Progress:
    """How far a sweep is: trials asked for, skipped, with a result, failed; seconds so far."""

    total: int
    skipped: int = 0
    done: int = 0
    failed: int = 0
    elapsed: float = 0.0

    @property
    def left(self) -> float:
        """Seconds to the end, at the pace so far; NaN before there is one."""
        new = self.done + self.failed
        return self.elapsed / new * (self.total - self.skipped - new) if new else float("nan")


Observer = Callable[[Progress], None]


class Workers(Protocol):
    """Whoever carries trials out."""

    def rows(self, work: Iterator[Work]) -> Generator[list[Row], None, None]:
        """Takes trials as it has room for them; yields rows as they come, or none meanwhile."""
        ...


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
        observe: hears of progress several times a second.

    Raises:
        ValueError: a number of workers or a cluster that will not do.
        KeyboardInterrupt: by Ctrl-C or a termination signal; what was finished is recorded.
        OSError: a full disk, a scheduler that is gone; what was recorded is safe.
    """
    if scheduler is None:
        crew: Workers = Processes(machine.cores() if workers is None else workers)
    else:
        from longlag.sweeps.cluster import Cluster

        crew = Cluster(scheduler)
    progress = Progress(total)
    with signals_noted() as interrupted:
        with closing(_recorded(crew, _open(trials, ledger, progress), ledger, progress)) as beats:
            for _ in beats:
                observe(progress)
                if interrupted():
                    break
        observe(progress)
    if interrupted():
        raise KeyboardInterrupt(f"the same command goes on from {ledger.path}")
    return progress


def _open(trials: Iterable[Trial], ledger: Ledger, progress: Progress) -> Iterator[Work]:
    """The trials without a result, as plain values."""
    for trial in trials:
        key = trial.key
        if ledger.done(key):
            progress.skipped += 1
        else:
            yield {**asdict(trial), "settings": dict(trial.settings), "key": key}


def _recorded(
    crew: Workers, work: Iterator[Work], ledger: Ledger, progress: Progress
) -> Generator[None, None, None]:
    """Records rows as they come, several at a time; yields after every wait for them."""
    rows: list[Row] = []
    start = recorded = time.monotonic()
    with closing(crew.rows(work)) as coming:
        try:
            for come in coming:
                arrived, now = [_sound(row) for row in come], time.monotonic()
                progress.elapsed = now - start
                failed = sum(row["status"] == "failed" for row in arrived)
                progress.failed += failed
                progress.done += len(arrived) - failed
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


# -- this machine's cores -------------------------------------------------------------------------


class _Process:
    """A worker process, and the trials it holds in the order in which it does them."""

    def __init__(self) -> None:
        paths = [path for path in sys.path if path]
        environment = {
            **os.environ,
            **dict.fromkeys(ONE_THREAD, "1"),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "longlag.sweeps.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is the coordinator's
        )
        self.holds: deque[Work] = deque()
        self._part = b""

    @property
    def out(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def give(self, work: Work) -> None:
        assert self.process.stdin is not None
        self.holds.append(work)
        with suppress(BrokenPipeError):  # it has died, which its output will tell
            self.process.stdin.write(json.dumps(work).encode() + b"\n")
            self.process.stdin.flush()

    def take(self) -> list[Row] | None:
        """Rows that have arrived; None when the process has died."""
        data = os.read(self.out.fileno(), 1 << 16)
        if not data:
            return None
        *lines, self._part = (self._part + data).split(b"\n")
        rows = []
        for line in lines:
            work = self.holds.popleft()
            rows.append({**json.loads(line), "key": work["key"]})
        return rows

    def end(self) -> int:
        """Kills the process; returns its exit status."""
        self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        return status


class Processes:
    """Worker processes on this machine, one thread each; one that dies is replaced."""

    workers: int

    def __init__(self, workers: int) -> None:
        self.workers = checks.whole("workers", workers, 1, 1024)

    def rows(self, work: Iterator[Work]) -> Generator[list[Row], None, None]:
        """See `Workers`."""
        again: deque[Work] = deque()
        deaths: dict[str, int] = {}
        crew: list[_Process] = []
        with selectors.DefaultSelector() as selector:
            try:
                while True:
                    self._hand_out(work, again, crew, selector)
                    if not crew:
                        return
                    yield []
                    for key, _ in selector.select(WAIT_SECONDS):
                        worker: _Process = key.data
                        rows = worker.take()
                        if rows is None:
                            selector.unregister(worker.out)
                            crew.remove(worker)
                            rows = _mourn(worker, again, deaths)
                        yield rows
            finally:
                for worker in crew:
                    worker.end()

    def _hand_out(
        self,
        work: Iterator[Work],
        again: deque[Work],
        crew: list[_Process],
        selector: selectors.BaseSelector,
    ) -> None:
        """Gives every worker what it has room for, an idle one first; dismisses the idle."""
        for room in range(AHEAD):
            for k in range(self.workers):
                held = len(crew[k].holds) if k < len(crew) else 0
                if held > room:
                    continue
                task = again.popleft() if again else next(work, None)
                if task is None:
                    break
                if k >= len(crew):
                    crew.append(_Process())
                    selector.register(crew[-1].out, selectors.EVENT_READ, crew[-1])
                crew[k].give(task)
        for worker in [w for w in crew if not w.holds]:
            selector.unregister(worker.out)
            crew.remove(worker)
            worker.end()


def _mourn(worker: _Process, again: deque[Work], deaths: dict[str, int]) -> list[Row]:
    """Takes back what a dead worker held; the trial it died at gets a limited number of tries."""
    status = worker.end()
    if not worker.holds:
        return []
    at, *waiting = worker.holds
    again.extend(waiting)
    deaths[at["key"]] = deaths.get(at["key"], 0) + 1
    if deaths[at["key"]] < LIVES:
        again.append(at)
        return []
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    reason = f"its worker ended {how}, {LIVES} times in a row"
    return [{**lost(at, reason), "key": at["key"]}]
