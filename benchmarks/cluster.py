"""What a coordinator can hand out: `python -m longlag.benchmarks.cluster`.

It measures the coordinator of sweeps, not what trials compute: they only sleep.

    (no flags)          two processes of this machine, trials of 1 ms
    --workers 1000      as many workers, which are simulated: --processes processes hold a share of
                        them each, every worker --threads threads, each of which has one bundle at a
                        time as the thread of a machine of its own would; scheduler and coordinator
                        are processes of their own. Messages, heartbeats and bundles are those of a
                        real cluster; what is missing is the network.

It prints trials a second from the first result to the last, the share of what sleeping alone would
allow, the processor time of the coordinator, bytes a trial in the ledger, and how fast a second
start skips what is done.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from longlag.sweeps import sweep
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.trial import Trial

FUNCTION = "longlag.benchmarks.cluster:sleeping"
KINDS = 100  # kinds of trials, as cells, tasks and lags make them
TESTS = 20  # in a trial's curve
# What each of many workers in one process would do of its own accord, twenty times a second.
RARELY = {f"distributed.admin.{what}.interval": "10s" for what in ("tick", "system-monitor")}
AT_ONCE = 50  # workers that register at a time
MINUTES = 5  # until all of them have


def sleeping(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """A trial that takes its time and has the row of a usual one."""
    time.sleep(settings["sleep"])
    errors = {"mse": 0.01, "rmse": 0.1, "mae": 0.1, "max_error": 0.2}
    return {
        "status": "target",
        "sequences": 4800,
        "score": {"n": 2560, "wrong": 3, **errors},
        "curve": [[100 * k, 0.0123456789, 7] for k in range(TESTS)],
        "engine": engine,
        "isa": None,
    }


def trials(number: int, seconds: float) -> Iterator[Trial]:
    """So many trials, of several kinds."""
    for k in range(number):
        kind, seed = divmod(k, -(-number // KINDS))
        settings = {"sleep": seconds, "kind": kind}
        yield Trial("sleeping", settings, seed, "numpy", FUNCTION)


# -- a simulated cluster --------------------------------------------------------------------------


@contextmanager
def cluster(workers: int, threads: int, processes: int) -> Iterator[str]:
    """The address of a scheduler of so many workers; all processes end with this one."""
    with ExitStack() as stack:
        scheduler = stack.enter_context(_part("--scheduler"))
        address = _line(scheduler)
        share = -(-workers // processes)
        counts = [min(share, workers - first) for first in range(0, workers, share)]
        parts = [
            stack.enter_context(_part("--serve", address, str(count), "--threads", str(threads)))
            for count in counts
        ]
        for part in parts:
            _line(part)
        yield address


@contextmanager
def _part(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process of this module, which ends when its standard input does."""
    command = [sys.executable, "-m", "longlag.benchmarks.cluster", *words]
    process = subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    if not (line := process.stdout.readline().strip()):
        raise RuntimeError("a process of the simulated cluster has ended")
    return line


async def _scheduler() -> None:
    import distributed

    async with distributed.Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def _serve(address: str, workers: int, threads: int) -> None:
    import distributed

    with tempfile.TemporaryDirectory() as place:
        own = [
            distributed.Worker(
                address,
                nthreads=threads,
                host="127.0.0.1",
                memory_limit=0,
                dashboard=False,
                local_directory=place,
            )
            for _ in range(workers)
        ]
        for first in range(0, workers, AT_ONCE):
            await asyncio.wait_for(asyncio.gather(*own[first : first + AT_ONCE]), 60 * MINUTES)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _settled(work: Any) -> None:
    import dask.config

    from longlag.sweeps.this_machine import CONFIG

    with dask.config.set({**CONFIG, **RARELY}):
        asyncio.run(work)


# -- the measurement ------------------------------------------------------------------------------


def measured(asked: argparse.Namespace) -> None:
    """Prints it."""
    workers, lanes = (asked.workers or 2), (asked.workers or 2) * asked.threads
    began: list[tuple[float, int]] = []

    def observe(progress: sweep.Progress) -> None:
        if progress.done and not began:
            began.append((time.perf_counter(), progress.done))

    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ledger.sqlite"
        address = None
        if asked.workers:
            address = stack.enter_context(cluster(workers, asked.threads, asked.processes))
        how: dict[str, Any] = {"total": asked.trials, "workers": 2, "scheduler": address}
        with Ledger.open(path) as book:
            processor = time.process_time()
            done = sweep.run(trials(asked.trials, asked.sleep), book, observe=observe, **how)
            ((first, already),) = began
            elapsed = time.perf_counter() - first
            processor = time.process_time() - processor
            start = time.perf_counter()
            sweep.run(trials(asked.trials, asked.sleep), book, **how)
            skipping = time.perf_counter() - start
        rate, ideal = (asked.trials - already) / elapsed, lanes / asked.sleep
        print(f"workers, threads each        {workers:,}, {asked.threads}")
        print(f"trials, seconds of each      {asked.trials:,}, {asked.sleep:g}")
        print(f"done, failed                 {done.done:,}, {done.failed:,}")
        print(f"trials a second              {rate:,.0f}, {rate / ideal:.0%} of {ideal:,.0f}")
        print(f"processor, ms a trial        {1000 * processor / asked.trials:.2f}, coordinator")
        print(f"bytes a trial                {path.stat().st_size / asked.trials:,.0f}")
        print(f"skipped a second             {asked.trials / skipping:,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m longlag.benchmarks.cluster")
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--sleep", type=float, default=0.001, help="seconds of a trial")
    parser.add_argument("--workers", type=int, help="simulated; two real processes if not given")
    parser.add_argument("--threads", type=int, default=1, help="of each simulated worker")
    parser.add_argument("--processes", type=int, default=1, help="that simulate them")
    parser.add_argument("--scheduler", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.scheduler:
        _settled(_scheduler())
    elif asked.serve:
        _settled(_serve(asked.serve[0], int(asked.serve[1]), asked.threads))
    else:
        measured(asked)


if __name__ == "__main__":
    main()
