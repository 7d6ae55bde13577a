"""A Dask client in its own thread, so that no caller waits longer than it chooses to.

Even where a socket does not answer or a scheduler is frozen, the sweep still reacts to signals and
to the time: requests do not wait, and answers come as events.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import dask.config

LOOK_SECONDS = 0.5  # between two looks at the workers
NOTICE_SECONDS = 1.0  # until a lost connection shows
STOP_SECONDS = 0.5  # for what Dask leaves running


@dataclass(frozen=True)
class Seen:
    """The workers by address, each as the scheduler describes it."""

    workers: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Told:
    """What a worker answered to a question: its value, or what it raised."""

    worker: str
    value: object


@dataclass(frozen=True)
class Came:
    """The end of a task: what it returned, or what it raised."""

    task: int
    result: Any

    def answer(self) -> Any:
        """What it returned.

        Raises:
            Exception: what it raised.
        """
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


Event = Seen | Told | Came


@dataclass(frozen=True)
class Cluster:
    """A client; what raises when its workers are gone; what ends the worker at an address."""

    client: Any
    check: Callable[[], None] = lambda: None
    end: Callable[[str], None] = lambda address: None


class WorkersGone(OSError):
    """No worker is left."""

    def __init__(self, who: str, what: str) -> None:
        words = (
            f"{what}; what was finished is in the ledger, and the same command continues from there"
        )
        super().__init__(errno.ECONNRESET, words, who)


class Link:
    """The thread and its requests; no method waits but `heard` and `close`.

    Args:
        opening: of the cluster.
    """

    def __init__(self, opening: AbstractAsyncContextManager[Cluster]) -> None:
        self._opening = opening
        self._events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()  # a loop alone does not keep them
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="longlag-dask", daemon=True)
        self._thread.start()

    # -- asked by the sweep -----------------------------------------------------------------------

    def heard(self, seconds: float) -> Event | None:
        """The next event, waited for so long at most.

        Raises:
            Exception: that with which the client has ended.
        """
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        return event

    def ask(self, worker: str, expression: str) -> None:
        """Has a worker evaluate a Python expression; a `Told` comes with the value.

        It is a text, since the worker may not be able to unpickle an object or to read byte code.
        """
        self._soon(lambda: self._start(self._ask(worker, expression)))

    def submit(self, worker: str, function: Callable[..., Any], *arguments: Any) -> int:
        """Has a worker carry out a task; returns its number, with which a `Came` comes."""
        task = next(self._numbers)
        work = self._carry_out(task, worker, function, arguments)

        def start() -> None:
            self._tasks[task] = self._start(work)
            self._tasks[task].add_done_callback(lambda _: self._tasks.pop(task, None))

        self._soon(start)
        return task

    def drop(self, task: int) -> None:
        """Forgets a task, which then has no answer."""
        self._soon(lambda: self._drop(task))

    def end(self, worker: str) -> None:
        """Ends a worker, where it is this machine's."""
        self._soon(lambda: self._cluster.end(worker))

    def close(self, seconds: float) -> bool:
        """Ends the client; returns whether it did in so many seconds."""
        self._soon(self._stop.set)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _soon(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the client has ended
            self._loop.call_soon_threadsafe(call)

    # -- within the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(_Unattended())
        # What Dask leaves unread of a connection that ends is no error: errors come as events.
        self._loop.set_exception_handler(lambda loop, context: None)
        try:
            self._loop.run_until_complete(self._attend())
            self._loop.run_until_complete(_end_tasks())
        finally:
            self._loop.close()

    async def _attend(self) -> None:
        """Looks at the workers until it is told to stop."""
        looking, stopping = map(asyncio.ensure_future, (self._look(), self._stop.wait()))
        await asyncio.wait((looking, stopping), return_when=asyncio.FIRST_COMPLETED)
        looking.cancel()
        try:
            await looking
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self._events.put(error)
        finally:
            stopping.cancel()

    async def _look(self) -> None:
        async with self._opening as self._cluster:
            first = None
            while True:
                found = await self._client.scheduler.identity()
                first = first or found["id"]
                # Dask connects again, also to another scheduler at this address, without a word.
                if self._client.status != "running" or found["id"] != first:
                    raise ConnectionError
                self._cluster.check()
                self._events.put(Seen(found["workers"]))
                await asyncio.sleep(LOOK_SECONDS)

    @property
    def _client(self) -> Any:
        return self._cluster.client

    async def _ask(self, worker: str, expression: str) -> None:
        try:
            answers = await self._client.run(eval, expression, workers=[worker], on_error="return")
            value = answers[worker]
        except Exception as error:
            value = error
        self._events.put(Told(worker, value))

    async def _carry_out(
        self, task: int, worker: str, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        future = None
        try:
            future = self._client.submit(function, *arguments, workers=[worker], pure=False)
            result = await future
        except Exception as error:
            result = error
            if future is None or future.status in ("cancelled", "lost"):
                await asyncio.sleep(NOTICE_SECONDS)  # lest it is the scheduler that is lost
        if self._client.status == "running":
            self._events.put(Came(task, result))

    def _drop(self, task: int) -> None:
        if awaiting := self._tasks.pop(task, None):
            awaiting.cancel()  # the last reference to the future goes with it: Dask forgets it

    def _start(self, work: Any) -> asyncio.Task[None]:
        started = self._loop.create_task(work)
        self._running.add(started)
        started.add_done_callback(self._running.discard)
        return started


async def _end_tasks() -> None:
    """Cancels what is still running on the loop; what does not end is left."""
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=STOP_SECONDS)


class _Unattended(ThreadPoolExecutor):
    """Threads that the end of the process does not wait for, such as one that resolves a name."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


@contextmanager
def quiet() -> Iterator[None]:
    """Hides Dask's log, as errors are reported once, by longlag's own messages, and its warning
    about large tasks, which states of trainings make."""
    handlers = [(handler, handler.level) for handler in logging.getLogger("distributed").handlers]
    for handler, _ in handlers:
        handler.setLevel(logging.CRITICAL)
    try:
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)
