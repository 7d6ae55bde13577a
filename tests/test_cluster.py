"""Sweeps on a Dask cluster of two processes, started by hand as docs/sweeps.md has it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longlag.sweeps import executor
from longlag.version import CODE_VERSION
from test_sweeps import around, coordinator, quick, surroundings, sweep, table

__all__ = ["around"]

DASK = Path(sys.executable).parent / "dask"

pytestmark = pytest.mark.skipif(not DASK.exists(), reason="needs the dask command")

Starter = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts `dask ...`; what is still running at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []

    def dask(*words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(DASK), *words],
            env=surroundings(),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield dask
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def scheduler(start: Starter) -> tuple[str, subprocess.Popen[bytes]]:
    """A scheduler's address, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    return f"tcp://127.0.0.1:{port}", start("scheduler", *where)


def add_worker(start: Starter, address: str, *more: str) -> subprocess.Popen[bytes]:
    threads = ("--nworkers", "1", "--nthreads", "1", "--no-dashboard")
    return start("worker", address, *threads, *more)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err


def test_a_cluster_gives_what_this_machine_gives(tmp_path: Path, start, scheduler) -> None:
    address, _ = scheduler
    for _ in range(2):
        add_worker(start, address)
    settings = {"wrong": {"3": "raises", "4": "diverges"}, "sleep": 0.01}
    process = coordinator(tmp_path / "cluster", 60, address, wait=False, **settings)
    status, out, err = finish(process)
    assert status == 0, err
    assert json.loads(out) == [0, 59, 1]
    sweep(tmp_path / "here", quick(range(60), **settings))
    assert table(tmp_path / "cluster") == table(tmp_path / "here")


@pytest.mark.survives(
    "`kill -9` of a Dask worker, then of the scheduler",
    "the worker's trials are done by another; then one sentence, and the ledger goes on",
)
def test_a_lost_worker_and_then_a_lost_scheduler(tmp_path: Path, start, scheduler) -> None:
    address, process = scheduler
    first, _ = add_worker(start, address), add_worker(start, address)
    sweeping = coordinator(tmp_path / "ledger", 3000, address, wait=False, sleep=0.02)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ledger").exists() or len(table(tmp_path / "ledger")) < 20:
        assert time.monotonic() < deadline
        assert sweeping.poll() is None, sweeping.communicate()
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    time.sleep(1)
    assert sweeping.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    status, _, err = finish(sweeping)
    assert status == 1
    assert "could not be used: the Dask scheduler is gone" in err
    assert err.count("\n") == 1, err
    done = len(table(tmp_path / "ledger"))
    assert 20 <= done < 3000
    assert sweep(tmp_path / "ledger", quick(range(done + 5), sleep=0.02)).done >= 5


@pytest.mark.survives("a Dask worker with another version", "refused, in one sentence")
def test_a_worker_of_another_version_is_refused(tmp_path: Path, start, scheduler) -> None:
    address, _ = scheduler
    (tmp_path / "older.py").write_text(
        "from longlag import version\nversion.CODE_VERSION = '0.0.9+r0'\n"
    )
    add_worker(start, address, "--preload", str(tmp_path / "older.py"))
    status, _, err = finish(coordinator(tmp_path / "ledger", 5, address, wait=False))
    assert status == 2
    assert f"has longlag 0.0.9+r0, and needs longlag {CODE_VERSION}, as here" in err
    assert "install the same version everywhere" in err
    assert err.count("\n") == 1


def test_no_scheduler_is_said(tmp_path: Path) -> None:
    status, _, err = finish(coordinator(tmp_path / "l", 5, "tcp://127.0.0.1:1", wait=False))
    assert status == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "tcp://127.0.0.1", "foo://here:1", "tcp://h:x"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match=f"such as tcp://host:8786, not '{address}'"):
        executor.check_address(address)
