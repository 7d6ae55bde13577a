"""A contestant's process: a pool of one, `concurrent.futures` with the method spawn.

The process is a new interpreter, so that threads can be fixed in its environment before numpy is
imported. What it is asked runs alone, on its main thread, and takes its own time. In a Dask
worker, where sweeps run their trials, an event loop runs beside the work: an iteration of the
kernel took 45 µs of the processor there and 39 µs here.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

from longlag.bench.cases import Case, Contestant

PREPARE_SECONDS = 150.0  # a contestant that takes longer to start or to compile is given up
RUN_SECONDS = 30.0  # the same for a round


class Failed(Exception):
    """A contestant could not do it; the message is one line."""


class Took(NamedTuple):
    """Seconds by the clock, and of all the process's processors together."""

    clock: float
    processor: float


class Process:
    """A contestant's process. After a time-out or a death it is gone, and every request fails.

    Raises (every request): Failed.
    """

    contestant: Contestant
    threads: int

    def __init__(self, contestant: Contestant, threads: int) -> None:
        self.contestant, self.threads = contestant, threads
        self._gone = contestant.missing()
        self._process: Any = None
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _settle)
        if not self._gone:
            others = multiprocessing.active_children()
            with _inherited(environment(threads)):
                self._pool.submit(os.getpid)  # starts the process
            self._process = next(c for c in multiprocessing.active_children() if c not in others)

    def prepare(self, case: Case) -> None:
        """Builds a case, for `run`."""
        who = self.contestant
        how = {"threads": self.threads, "seeds": who.seeds, "variant": who.variant}
        self.ask(_prepare, who.module, case.recipe, how, seconds=PREPARE_SECONDS)

    def ask(
        self, function: Callable[..., Any], *arguments: Any, seconds: float = RUN_SECONDS
    ) -> Any:
        """What a function returns there."""
        return self.end(self.begin(function, *arguments), seconds)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """The same without waiting for it."""
        with self._failures():
            return self._pool.submit(_in_one_line, function, *arguments)

    def end(self, future: Future[Any], seconds: float = RUN_SECONDS) -> Any:
        """What was begun, when it is there."""
        with self._failures(seconds):
            return future.result(seconds)

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
        self._pool.shutdown()

    @contextmanager
    def _failures(self, seconds: float = RUN_SECONDS) -> Iterator[None]:
        if self._gone:
            raise Failed(self._gone)
        try:
            yield
        except BrokenProcessPool:
            self._pool.shutdown()  # it waits for the process; a second wait may find no status
            self._gone = f"its process ended with status {self._process.exitcode}"
        except TimeoutError:
            self.close()
            self._gone = f"took longer than {seconds:g} s"
        if self._gone:
            raise Failed(self._gone)


@contextmanager
def processes(contestants: Sequence[Contestant], threads: int = 1) -> Iterator[list[Process]]:
    """A process each."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Process(c, threads))) for c in contestants]


def environment(threads: int) -> dict[str, str]:
    """What to set for a contestant that is to use so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC", "PJRT_NPROC")
    variables: dict[str, str] = dict.fromkeys(names, str(threads))
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        variables["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    return variables


@contextmanager
def _inherited(variables: dict[str, str]) -> Iterator[None]:
    """Processes that are started meanwhile have these variables, and leave Ctrl-C to this one."""
    before = dict(os.environ)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


# -- in the process ---------------------------------------------------------------------------


def _untrained(iterations: int) -> None:
    raise RuntimeError("no case is prepared")


_train: Callable[[int], None] = _untrained


def _settle() -> None:
    """At the start: what libraries print is no result, and nobody is left without the parent."""
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _in_one_line(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls it; whatever a peer raises becomes a line, since its own exceptions may not travel."""
    try:
        return function(*arguments)
    except BaseException as error:
        lines = str(error).strip().splitlines()
        raise Failed(f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]) from None


def _prepare(module: str, recipe: Any, how: dict[str, Any]) -> None:
    global _train
    _train = _untrained  # the old case's memory goes before the new one's comes
    _train = importlib.import_module(f"longlag.benchmarks.{module}").prepare(recipe, **how)


def run(iterations: int) -> Took:
    """Trains on."""
    processor, start = time.process_time(), time.perf_counter()
    _train(iterations)
    clock = time.perf_counter() - start
    return Took(clock, time.process_time() - processor)
