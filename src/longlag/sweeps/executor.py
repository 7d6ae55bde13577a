"""The executor of sweeps: the workers of a Dask scheduler, on this machine or on a cluster.

Work is handed out in bundles, trials that differ in their seeds alone, and comes back as JSON. A
bundle takes about a second: little time is spent on handing it over, and little is lost with it. A
worker has one bundle at a time, so that its death shows which trials may be the cause: these are
tried again one by one, and a trial during which every worker dies fails alone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import distributed
from distributed.comm.addressing import get_address_host_port
from distributed.protocol import pickle

from longlag.machine import keep_freed_memory
from longlag.sweeps import this_machine
from longlag.sweeps.bundles import Bundle, Row, Supply
from longlag.sweeps.crew import Crew
from longlag.sweeps.link import Came, Cluster, Event, Link, Seen, Told, WorkersGone, quiet
from longlag.sweeps.slices import perform_slice
from longlag.sweeps.trial import bring, failure, now, perform, row_of
from longlag.version import CODE_VERSION

CONNECT_SECONDS = 10
CLOSE_SECONDS = 1
WAIT_SECONDS = 0.2  # between two looks at signals and at the clock
INTERRUPTED_SECONDS = 1.0  # for the end of a sweep that is interrupted
FINISHED_SECONDS = 10.0  # and of one that is not
DIED = "its worker died"


def check_address(address: str) -> None:
    """Refuses what is no scheduler's address; a client that is given one hangs at its end.

    Raises:
        ValueError: it has no port, or an unknown protocol.
    """
    try:
        get_address_host_port(address)
    except (NotImplementedError, ValueError) as error:
        raise ValueError(
            f"scheduler must be an address with a port, such as tcp://host:8786, not {address!r}"
        ) from error


def rows(
    supply: Supply,
    workers: int,
    scheduler: str | None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Generator[list[Row], None, None]:
    """Has all trials carried out; yields rows as they come, or none meanwhile.

    Args:
        supply: the trials.
        workers: processes on this machine, where no scheduler is given.
        scheduler: its address.
        say: called with messages about what is waited for and about workers, a sentence each.

    Raises:
        ValueError: no scheduler answers, or no worker has this version of longlag.
        OSError: this machine's workers do not start, or the scheduler is gone.
    """
    if not (waiting := supply.read(workers)):
        return
    now = time.monotonic()
    if scheduler:
        start = f"dask worker {scheduler} --nworkers 1 --nthreads 1"
        crew = Crew(f"the Dask scheduler at {scheduler}", start, now)
        expected, entered = 1, _cluster(scheduler)
    else:
        crew = Crew(this_machine.WHO, None, now)
        expected = min(workers, waiting)
        entered = _this_machine(expected)
    with entered as link:
        yield from _Sweep(link, crew, supply, expected, say).rows()


@contextmanager
def _cluster(address: str) -> Iterator[Link]:
    with quiet(), _linked(Link(_opened(address))) as link:
        yield link


@contextmanager
def _this_machine(workers: int) -> Iterator[Link]:
    with this_machine.surroundings():
        with this_machine.signals_blocked():
            link = Link(this_machine.opened(workers))
        with _linked(link):
            yield link


@contextmanager
def _linked(link: Link) -> Iterator[Link]:
    """Closes a link at the end of the sweep; one that does not respond is abandoned."""
    patience = INTERRUPTED_SECONDS
    try:
        yield link
        patience = FINISHED_SECONDS
    finally:
        link.close(patience)


@asynccontextmanager
async def _opened(address: str) -> AsyncIterator[Cluster]:
    """A client of the scheduler at an address."""
    client: Any = distributed.Client(
        address, timeout=CONNECT_SECONDS, set_as_default=False, asynchronous=True
    )
    try:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client
        except Exception as error:
            raise ValueError(f"no Dask scheduler answers at {address}") from error
        try:
            yield Cluster(client)
        except OSError as error:
            raise WorkersGone(address, "the Dask scheduler is gone") from error
    finally:
        await client.close(timeout=CLOSE_SECONDS)


# -- handing out ----------------------------------------------------------------------------------


class _Sweep:
    """Hands bundles to workers, one a thread, and takes rows back.

    Args:
        expected: threads that there will be at least, though some still start.
    """

    def __init__(
        self, link: Link, crew: Crew, supply: Supply, expected: int, say: Callable[[str], None]
    ) -> None:
        self._link, self._crew, self._supply, self._say = link, crew, supply, say
        self._expected = expected
        self._held: dict[int, tuple[str, Bundle]] = {}  # by task: whose it is, and what

    def rows(self) -> Generator[list[Row], None, None]:
        """As the function of this name."""
        rows: list[Row] = []
        while True:
            ready = self._hand_out()
            yield rows  # when new work is on its way
            if not self._held and not self._supply.read(ready):
                return
            event = self._link.heard(WAIT_SECONDS)
            rows = self._rows_of(event) if isinstance(event, Came) else self._noted(event)
            for sentence in self._crew.news(time.monotonic()):
                self._say(sentence)

    def _hand_out(self) -> int:
        """Gives every thread that is free a bundle; returns the number of threads."""
        ready = self._crew.ready()
        threads = max(self._expected, sum(worker.threads for worker in ready))
        busy = Counter(address for address, _ in self._held.values())
        for worker in ready:
            for _ in range(worker.threads - busy[worker.address]):
                if bundle := self._supply.take(threads, len(self._held)):
                    self._give(worker.address, bundle)
        return threads

    def _give(self, worker: str, bundle: Bundle) -> None:
        asked = bundle.text(), bundle.states(), CODE_VERSION
        self._held[self._link.submit(worker, carry_out, *asked)] = worker, bundle

    def _noted(self, event: Event | None) -> list[Row]:
        """Handles an event that is not the end of a task; returns the rows of trials that it
        ends.
        """
        if isinstance(event, Told):
            self._told(event.worker, event.value)
        if not isinstance(event, Seen):
            return []
        for worker in self._crew.look(event.workers, time.monotonic()):
            self._link.ask(worker, VERSION)
        lost = [task for task, (who, _) in self._held.items() if not self._crew.holds(who)]
        return [row for task in lost for row in self._lost(task)]

    def _told(self, worker: str, version: object) -> None:
        if said := self._crew.told(worker, version):
            self._say(said)

    def _lost(self, task: int) -> list[Row]:
        """Takes back a bundle whose worker is gone, or does not respond."""
        worker, bundle = self._held.pop(task)
        self._link.drop(task)
        self._link.end(worker)
        known = self._crew.workers.get(worker)
        if known is not None and not known.dead:
            self._supply.again(bundle)  # it is paused, and has not begun
            return []
        return self._supply.died(bundle, 1, DIED if known is None else "its worker was silent")

    def _rows_of(self, came: Came) -> list[Row]:
        """The rows of a bundle that has ended, with results or with an error."""
        if came.task not in self._held:
            return []  # it was taken back
        worker, bundle = self._held.pop(came.task)
        try:
            rows = unpacked(came.answer())
        except (OtherVersion, ModuleNotFoundError) as error:  # started again, as another
            self._told(worker, error.version if isinstance(error, OtherVersion) else error)
            self._supply.again(bundle)
            return []
        except distributed.KilledWorker as error:
            self._crew.lost(worker)
            return self._supply.died(bundle, error.allowed_failures + 1, DIED)
        except Exception as error:
            reason = f"the cluster gave it up ({type(error).__name__}: {error})"
            return self._supply.died(bundle, 1, reason)
        return self._supply.came(bundle, rows)


# -- on a worker ----------------------------------------------------------------------------------

Answer = tuple[str, list[bytes | None]]


def carry_out(text: str, states: Sequence[bytes | None], version: str) -> Answer:
    """Carries out a bundle on a worker; refuses it if the worker has another version.

    Args:
        text: of the bundle.
        states: of its trials.
        version: of the coordinator's longlag.

    Returns:
        What `unpacked` takes: rows as JSON, the trials' states apart.
    """
    if version != CODE_VERSION:
        return json.dumps({"refused": CODE_VERSION}), []
    keep_freed_memory()
    rows = _carried_out(json.loads(text), states)
    own = [row.pop("state") for row in rows]
    return json.dumps(rows), own


def _carried_out(bundle: Mapping[str, Any], states: Sequence[bytes | None]) -> list[Row]:
    """The rows of a bundle's trials."""
    work, seeds, seconds = bundle["work"], bundle["seeds"], bundle["seconds"]
    try:
        bring(bundle["sources"])
    except Exception as error:  # whatever the user's files raise
        return [row_of(work, seed, now(), 0.0, failure(error)) for seed in seeds]
    if bundle["side_by_side"]:
        return perform_slice(work, seeds, states, seconds)
    end = time.perf_counter() + seconds
    trials = ({**work, "seed": seed} for seed in seeds)
    return [perform(*one, end) for one in zip(trials, states, strict=True)]


# Evaluated by a worker before it is given a trial. It fails where a trial would fail: without
# longlag, without its dependencies, or with a Python that cannot read the function.
VERSION = (
    '__import__("distributed.protocol.pickle", fromlist=["loads"])'
    f'.loads({pickle.dumps(carry_out)!r}).__globals__["CODE_VERSION"]'
)


def unpacked(answer: Answer) -> list[Row]:
    """The rows that a worker returned.

    Raises:
        OtherVersion: it has another version.
    """
    rows = json.loads(answer[0])
    if "refused" in rows:
        raise OtherVersion(rows["refused"])
    return [{**row, "state": state} for row, state in zip(rows, answer[1], strict=True)]


class OtherVersion(Exception):
    """A worker has another version of longlag."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version
