"""Sweeps on a Dask cluster (`pip install 'longlag[cluster]'`).

Trials go out in chunks of several seconds and come back as JSON. A chunk that a lost worker held
is done again elsewhere; a worker of another version refuses its chunk, and the sweep ends.
"""

from __future__ import annotations

import errno
import json
import logging
import socket
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from longlag.sweeps.trial import lost, perform
from longlag.version import CODE_VERSION

CHUNK_SECONDS = 4.0
LARGEST_CHUNK = 500
AHEAD = 2  # chunks a worker thread
RETRIES = 3
CONNECT_SECONDS = 10
WAIT_SECONDS = 0.2

Work = dict[str, Any]
Row = dict[str, Any]


class SchedulerGone(OSError):
    """The connection to the scheduler is lost."""

    def __init__(self, address: str) -> None:
        words = (
            "the Dask scheduler is gone; what was finished is in the ledger, and the same command "
            "goes on from there"
        )
        super().__init__(errno.ECONNRESET, words, address)


class Cluster:
    """The workers of a Dask scheduler.

    Raises:
        ValueError: dask.distributed is not installed, nobody answers at the address, or a worker
            has another version of longlag.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed  # pyright: ignore[reportMissingImports]  # an extra
            from distributed.comm.addressing import (  # pyright: ignore[reportMissingImports]
                get_address_host_port,
            )
        except ImportError as error:
            raise ValueError(
                "--scheduler needs dask.distributed: pip install 'longlag[cluster]'"
            ) from error
        try:  # a client that is given another address hangs when it is cleared away
            get_address_host_port(address)
        except (NotImplementedError, ValueError) as error:
            raise ValueError(
                f"scheduler must be an address with a port, such as tcp://host:8786, "
                f"not {address!r}"
            ) from error
        # What goes wrong is said once, in our words.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        self.address = address
        try:
            client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"no Dask scheduler answers at {address}") from error
        self.client: Any = client  # its types are those of its asynchronous twin
        try:
            self._check_versions()
        except BaseException:
            self.client.close(timeout=1)
            raise

    def _check_versions(self) -> None:
        for worker, version in self.client.run(_code_version).items():
            if version != CODE_VERSION:
                raise ValueError(_refusal(worker, version))

    def rows(self, work: Iterator[Work]) -> Generator[list[Row], None, None]:
        """See `sweeps.Workers`."""
        held: dict[Any, list[Work]] = {}
        try:
            with self._loss_named():
                yield from self._rows(work, held)
        finally:
            if self._alive():
                self.client.cancel(list(held))
            self.client.close(timeout=2)

    def _rows(
        self, work: Iterator[Work], held: dict[Any, list[Work]]
    ) -> Generator[list[Row], None, None]:
        size = 1  # of a chunk: from the pace of the chunks before
        while True:
            self._check_scheduler()
            room = AHEAD * max(1, sum(self.client.nthreads().values()))
            while len(held) < room and (chunk := list(islice(work, size))):
                held[self._submit(chunk)] = chunk
            if not held:
                return
            ended = [future for future in held if future.done()]
            if not ended:
                time.sleep(WAIT_SECONDS)
                yield []
            for future in ended:
                rows = self._rows_of(future, held.pop(future))
                taken = sum(row["seconds"] or 0 for row in rows) / len(rows)
                size = max(1, min(LARGEST_CHUNK, int(CHUNK_SECONDS / max(taken, 1e-3))))
                yield rows

    def _alive(self) -> bool:
        return self.client.status == "running"

    def _check_scheduler(self) -> None:
        if not self._alive():
            raise SchedulerGone(self.address)

    @contextmanager
    def _loss_named(self) -> Iterator[None]:
        """Turns what Dask raises when the scheduler goes away into SchedulerGone."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            if isinstance(error, SchedulerGone) or self._alive():
                raise
            raise SchedulerGone(self.address) from error

    def _submit(self, chunk: list[Work]) -> Any:
        self._check_scheduler()
        text = json.dumps(chunk)
        return self.client.submit(perform_chunk, text, CODE_VERSION, retries=RETRIES, pure=False)

    def _rows_of(self, future: Any, chunk: list[Work]) -> list[Row]:
        """The rows of a chunk that has ended in one way or another."""
        self._check_scheduler()
        try:
            answer = json.loads(future.result())
        except Exception as error:
            if future.status in ("cancelled", "lost"):
                time.sleep(1)  # the connection's end may be noticed a little later
                self._check_scheduler()
            reason = f"the cluster gave it up: {type(error).__name__}: {error}"
            return [{**lost(work, reason), "seconds": None, "key": work["key"]} for work in chunk]
        if "refused" in answer:
            raise ValueError(_refusal(answer["worker"], answer["refused"]))
        return [
            {**row, "key": work["key"]} for row, work in zip(answer["rows"], chunk, strict=True)
        ]


def _code_version() -> str:
    """That of the worker it is run on."""
    return CODE_VERSION


def perform_chunk(text: str, version: str) -> str:
    """Carries out trials on a worker; refuses them if it has another version."""
    if version != CODE_VERSION:
        return json.dumps({"refused": CODE_VERSION, "worker": socket.gethostname()})
    return json.dumps({"rows": [perform(work) for work in json.loads(text)]})


def _refusal(worker: str, version: str) -> str:
    return (
        f"the worker {worker} runs longlag {version}, not {CODE_VERSION} as here: "
        "install the same version everywhere"
    )
