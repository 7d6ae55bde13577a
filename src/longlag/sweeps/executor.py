"""The executor of sweeps: the workers of a Dask scheduler, on this machine or on a cluster.

Work goes out in bundles, trials alike but for their seeds, and comes back as JSON. A bundle takes
about a second: handing it over costs little beside that, and not much is lost with it. A worker
holds one bundle at a time, so that one that dies tells which trials were at fault: those are tried
again one by one, and a trial that no worker survives fails alone.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import queue
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.machinery import ModuleSpec
from multiprocessing import resource_tracker
from typing import Any

import dask.config
import distributed
from distributed.comm.addressing import get_address_host_port

from longlag.sweeps.bundles import Bundle, Row, Supply
from longlag.sweeps.slices import perform_slice
from longlag.sweeps.trial import perform
from longlag.version import CODE_VERSION

CONNECT_SECONDS = 10
WAIT_SECONDS = 0.2  # between two looks at signals and at the clock
NOTICE_SECONDS = 1.0  # until a lost connection shows
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
HERE = "this machine's workers"
CAUGHT = (signal.SIGINT, signal.SIGTERM)
CONFIG: dict[str, Any] = {
    "distributed.scheduler.worker-ttl": None,  # a worker busy for long is not dead
    "distributed.deploy.lost-worker-timeout": "1 hour",  # nor one that is slow to start again
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.diagnostics.nvml": False,
}


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


def rows(supply: Supply, workers: int, scheduler: str | None) -> Generator[list[Row], None, None]:
    """Has all trials carried out; yields rows as they come, or none meanwhile.

    Args:
        supply: the trials.
        workers: processes on this machine, where no scheduler is given.
        scheduler: its address.

    Raises:
        ValueError: no scheduler answers, or a worker has another version of longlag.
        OSError: this machine's workers do not start, or the scheduler is gone.
    """
    if not (waiting := supply.read(workers)):
        return
    with _cluster(scheduler) if scheduler else _this_machine(min(workers, waiting)) as client:
        yield from _rows(client, supply)


# -- handing out ----------------------------------------------------------------------------------


def _rows(client: Any, supply: Supply) -> Generator[list[Row], None, None]:
    held: dict[Any, Bundle] = {}
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    rows: list[Row] = []
    while True:
        _check(client)
        workers = max(1, sum(client.nthreads().values()))
        while len(held) < workers and (bundle := supply.take(workers)):
            asked = bundle.text(), bundle.states(), CODE_VERSION
            future = client.submit(carry_out, *asked, pure=False)
            held[future] = bundle
            future.add_done_callback(ended.put)
        yield rows  # when new work is on its way
        if not held:
            return
        rows = []
        with suppress(queue.Empty):
            future = ended.get(timeout=WAIT_SECONDS)
            rows = _rows_of(future, held.pop(future), supply)


def _rows_of(future: Any, bundle: Bundle, supply: Supply) -> list[Row]:
    """The rows of a bundle that has ended in one way or another."""
    try:
        answer = future.result()
    except distributed.KilledWorker as error:
        return supply.died(bundle, error.allowed_failures + 1)
    except Exception as error:
        if future.status in ("cancelled", "lost"):
            time.sleep(NOTICE_SECONDS)
            _check(future.client)
        return bundle.lost(f"the cluster gave it up: {type(error).__name__}: {error}")
    return supply.came(bundle, unpacked(answer))


def _check(client: Any) -> None:
    """Notices that the scheduler is lost, or that this machine's workers do not start again."""
    if client.status != "running":
        raise ConnectionError
    own = client.cluster.workers.values() if client.cluster else ()
    if own and all(nanny.status == distributed.Status.closed for nanny in own):
        raise WorkersGone(HERE, "they ended and cannot be started again")


def _refusal(worker: str, version: object) -> ValueError:
    what = "no such longlag" if isinstance(version, Exception) else f"longlag {version}"
    return ValueError(
        f"the worker {worker} has {what}, not {CODE_VERSION} as here: "
        "install the same version everywhere"
    )


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
        return json.dumps({"refused": CODE_VERSION, "worker": socket.gethostname()}), []
    bundle = json.loads(text)
    work, seeds, seconds = bundle["work"], bundle["seeds"], bundle["seconds"]
    if seconds is None:
        rows = [perform({**work, "seed": seed}) for seed in seeds]
    else:
        rows = perform_slice(work, seeds, states, seconds)
    own = [row.pop("state") for row in rows]
    return json.dumps(rows), own


def unpacked(answer: Answer) -> list[Row]:
    """The rows that a worker brought back.

    Raises:
        ValueError: it has another version.
    """
    rows = json.loads(answer[0])
    if "refused" in rows:
        raise _refusal(rows["worker"], rows["refused"])
    return [{**row, "state": state} for row, state in zip(rows, answer[1], strict=True)]


def _version() -> str:
    """That of the worker that is asked."""
    return CODE_VERSION


# -- a cluster ------------------------------------------------------------------------------------


class WorkersGone(OSError):
    """Nobody is left to carry trials out."""

    def __init__(self, who: str, what: str) -> None:
        words = (
            f"{what}; what was finished is in the ledger, and the same command goes on from there"
        )
        super().__init__(errno.ECONNRESET, words, who)


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address."""
    with _quiet():
        try:
            client: Any = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"no Dask scheduler answers at {address}") from error
        try:
            # Later ones are asked with their first bundle; one without longlag ends at it.
            for worker, version in client.run(_version, on_error="return").items():
                if version != CODE_VERSION:
                    raise _refusal(worker, version)
            yield client
        except Exception as error:
            if client.status == "running" and not isinstance(error, OSError):
                raise
            raise WorkersGone(address, "the Dask scheduler is gone") from error
        finally:
            client.close(timeout=2)


# -- this machine ---------------------------------------------------------------------------------


@contextmanager
def _this_machine(workers: int) -> Iterator[Any]:
    """A client of worker processes on this machine, one thread each; one that dies is replaced."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="longlag-"))
        for entered in (_quiet(), _surroundings(directory)):
            stack.enter_context(entered)
        with _signals_blocked():
            cluster = _started(workers)
            stack.callback(_close, cluster)
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        yield client


def _started(workers: int) -> Any:
    try:
        return distributed.LocalCluster(
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
        )
    except RuntimeError as error:
        raise WorkersGone(HERE, f"they cannot be started: {error.__cause__ or error}") from error


def _close(cluster: Any) -> None:
    """Ends the workers at once, in the midst of a trial too, and the scheduler."""

    async def end() -> None:
        nannies = cluster.workers.values()
        for nanny in nannies:
            nanny.close_gracefully()  # it is not to start another
            # One that is starting is left to its nanny, which would wait for it without end.
            if nanny.pid and nanny.process.status == distributed.Status.running:
                with suppress(ProcessLookupError):
                    os.kill(nanny.pid, signal.SIGKILL)
        await asyncio.gather(*(nanny.close() for nanny in nannies))

    cluster.sync(end)
    cluster.close()


def dask_setup(worker: Any) -> None:
    """Settles a worker process of this machine; Dask calls it.

    What a trial prints must not mix with the command's result, and Ctrl-C is the coordinator's.
    """
    os.dup2(2, 1)
    if hasattr(os, "setsid"):
        os.setsid()
    for number in CAUGHT:
        signal.signal(number, signal.SIG_IGN)  # one that came meanwhile is forgotten
    _mask(signal.SIG_UNBLOCK)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _surroundings(directory: str) -> Iterator[None]:
    """What this machine's workers inherit, and this process is not to keep."""
    main, environment = sys.modules["__main__"], dict(os.environ)
    spec = getattr(main, "__spec__", None)
    # Python would run the user's script once more in every worker; a module of this name it skips.
    main.__spec__ = ModuleSpec("longlag.__main__", None)
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        with dask.config.set({**CONFIG, "temporary-directory": directory}):
            yield
    finally:
        main.__spec__ = spec
        for name in os.environ.keys() - environment.keys():  # Dask sets some, too
            del os.environ[name]
        os.environ.update(environment)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Threads that start meanwhile, and processes that they start, do not see Ctrl-C."""
    resource_tracker.ensure_running()  # before them: it unblocks them where it is started
    _mask(signal.SIG_BLOCK)
    try:
        yield
    finally:
        _mask(signal.SIG_UNBLOCK)


def _mask(how: int) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(how, CAUGHT)


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's log is not shown: what goes wrong is said once, in our words."""
    handlers = [(handler, handler.level) for handler in logging.getLogger("distributed").handlers]
    for handler, _ in handlers:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)
