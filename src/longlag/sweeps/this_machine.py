"""Dask workers on this machine: processes with one thread each; one that dies is replaced."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from importlib.machinery import ModuleSpec
from multiprocessing import resource_tracker
from typing import Any

import dask.config
import distributed

from longlag.signals import ENDING
from longlag.sweeps.link import Cluster, WorkersGone, quiet

WHO = "this machine's workers"
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
CONFIG: dict[str, Any] = {
    "distributed.scheduler.worker-ttl": None,  # the sweep itself finds dead workers
    "distributed.deploy.lost-worker-timeout": "1 hour",  # nor is one that starts slowly
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.diagnostics.nvml": False,
    # Dask's looks at itself take 6 % of a core otherwise, for as long as a study runs.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


@contextmanager
def surroundings() -> Iterator[None]:
    """Settings that the workers inherit and this process does not keep; no worker outlives it."""
    before = multiprocessing.active_children()
    with ExitStack() as stack:
        directory = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="longlag-", ignore_cleanup_errors=True)
        )
        for entered in (
            quiet(),
            dask.config.set({**CONFIG, "temporary-directory": directory}),
            _environment(),
        ):
            stack.enter_context(entered)
        try:
            yield
        finally:
            for child in multiprocessing.active_children():  # where Dask has not ended in time
                if child not in before and child.name.startswith("Dask Worker"):
                    child.kill()


@contextmanager
def _environment() -> Iterator[None]:
    main, environment = sys.modules["__main__"], dict(os.environ)
    spec = getattr(main, "__spec__", None)
    # Python would run the user's script once more in every worker; a module of this name it skips.
    main.__spec__ = ModuleSpec("longlag.__main__", None)
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        main.__spec__ = spec
        for name in os.environ.keys() - environment.keys():  # Dask sets some, too
            del os.environ[name]
        os.environ.update(environment)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Threads that start meanwhile, and processes that they start, do not see Ctrl-C."""
    _mask(signal.SIG_BLOCK)
    try:
        resource_tracker.ensure_running()  # a hang-up would end it
        _mask(signal.SIG_BLOCK)  # again: it unblocks some where it is started
        yield
    finally:
        _mask(signal.SIG_UNBLOCK)


def _mask(how: int) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(how, ENDING)


def dask_setup(worker: Any) -> None:
    """Prepares a worker process of this machine; called by Dask.

    The output of trials must not mix with the command's result, and Ctrl-C is handled by the
    coordinator.
    """
    os.dup2(2, 1)
    if hasattr(os, "setsid"):
        os.setsid()
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # one that came meanwhile is forgotten
    _mask(signal.SIG_UNBLOCK)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@asynccontextmanager
async def opened(workers: int) -> AsyncIterator[Cluster]:
    """So many workers, and their client.

    Raises:
        WorkersGone: they do not start, or not again.
    """
    # What is left at the end of this process, Dask ends then, and would say so.
    logging.getLogger("distributed.process").setLevel(logging.CRITICAL)
    cluster: Any = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        scheduler_kwargs={
            "allowed_failures": 0,  # a bundle is not tried again as it is
            "dashboard": False,
            "dashboard_address": "127.0.0.1:0",  # its default is open to all, and warns
        },
        memory_limit=0,
        preload=[__name__],
        silence_logs=logging.CRITICAL,
        asynchronous=True,
    )
    cluster.shutdown_on_close = False  # else the end of the process waits for it
    started = False
    try:
        try:
            await cluster
            started = True
        except RuntimeError as error:
            why = error.__cause__ or error
            raise WorkersGone(WHO, f"they cannot be started: {why}") from error
        async with distributed.Client(cluster, set_as_default=False, asynchronous=True) as client:
            yield Cluster(client, lambda: _check(cluster), lambda worker: _end(cluster, worker))
    finally:
        await (_close(cluster) if started else _give_up(cluster))


def _check(cluster: Any) -> None:
    nannies = cluster.workers.values()
    if nannies and all(nanny.status == distributed.Status.closed for nanny in nannies):
        raise WorkersGone(WHO, "they ended and cannot be started again")


def _end(cluster: Any, worker: str) -> None:
    """Kills a worker; its nanny starts another."""
    for nanny in cluster.workers.values():
        if nanny.worker_address == worker:
            _kill(nanny)


def _kill(nanny: Any) -> None:
    # One that is starting is left to its nanny, which would wait for it without end.
    if nanny.pid and nanny.process.status == distributed.Status.running:
        with suppress(ProcessLookupError):
            os.kill(nanny.pid, signal.SIGKILL)


async def _close(cluster: Any) -> None:
    """Ends the workers at once, even during a trial, and the scheduler."""
    nannies = list(cluster.workers.values())
    for nanny in nannies:
        nanny.close_gracefully()  # it is not to start another
        _kill(nanny)
    await asyncio.gather(*(nanny.close() for nanny in nannies))
    await cluster.close()


async def _give_up(cluster: Any) -> None:
    """Ends the scheduler of workers that have not started all; `surroundings` ends those."""
    if hasattr(cluster.scheduler, "close"):
        await cluster.scheduler.close()
    cluster.status = distributed.Status.closed
