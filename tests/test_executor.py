"""The workers of this machine: what they find, what they leave behind, how they end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import distributed
import pytest

import longlag
from conftest import Disk
from longlag.sweeps import this_machine
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.link import Cluster, Link, WorkersGone
from longlag.sweeps.trial import Trial
from test_sweeps import (
    TESTS,
    command_of,
    coordinator,
    quick,
    surroundings,
    sweep,
    table,
    workers_of,
)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TESTS))


def gone(pids: list[int]) -> bool:
    """Whether processes have ended, or do so within some seconds."""
    deadline = time.monotonic() + 15
    while any(map(command_of, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(command_of, pids))


# -- what workers find ----------------------------------------------------------------------------


def test_a_worker_has_one_thread_a_session_of_its_own_and_the_same_longlag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    sweep(tmp_path / "ledger", [Trial("tells", {}, 0, "numpy", "faulty:tells")])
    found = table(tmp_path / "ledger")[0]["curve"]
    assert (found["threads"], found["session"]) == ("1", True)
    assert found["longlag"] == longlag.__file__
    assert "matplotlib" not in found["imported"], "a worker starts quickly"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory")
def test_a_worker_uses_freed_memory_again(tmp_path: Path) -> None:
    sweep(tmp_path / "ledger", [Trial("allocates", {}, 0, "numpy", "faulty:allocates")])
    pages = table(tmp_path / "ledger")[0]["curve"]["pages"]
    assert pages < 2**20 / os.sysconf("SC_PAGE_SIZE") / 10


SCRIPT = """
from longlag.sweeps import sweep
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.link import WorkersGone
from longlag.sweeps.trial import Trial
print("begun")
with Ledger.open("ledger") as ledger:
    trials = [Trial("own", {}, seed, "numpy", "beside:own") for seed in range(3)]
    print(sweep.run(trials, ledger, total=3, workers=2).done)
"""
BESIDE = """
def own(settings, seed, engine):
    print("words of a trial")
    return {"status": "target", "sequences": 1, "score": {"mse": 0.5}}
"""


def test_a_script_without_a_main_guard_runs_once_and_has_its_modules_found(tmp_path: Path) -> None:
    place = tmp_path / "a directory, with spaces"
    place.mkdir()
    (place / "script.py").write_text(SCRIPT)
    (place / "beside.py").write_text(BESIDE)
    words = [sys.executable, "-W", "error", "script.py"]
    done = subprocess.run(words, cwd=place, env=surroundings(), capture_output=True, text=True)
    assert done.stdout == "begun\n3\n", done.stderr
    assert done.stderr.replace("words of a trial", "").strip() == ""  # two at once share lines


def test_what_trials_print_is_no_part_of_the_result(tmp_path: Path) -> None:
    wrong = {str(seed): "prints" for seed in range(4)}
    out, err = coordinator(tmp_path / "ledger", 4, wait=False, wrong=wrong).communicate()
    assert json.loads(out) == [0, 4, 0]
    assert err.count("words past Python") == 4


# -- what they leave behind -----------------------------------------------------------------------


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ), sys.modules["__main__"].__spec__
    handlers = [signal.getsignal(number) for number in this_machine.ENDING]
    sweep(tmp_path / "ledger", quick(range(4), wrong={"2": "kills"}))
    assert (dict(os.environ), sys.modules["__main__"].__spec__) == before
    assert [signal.getsignal(number) for number in this_machine.ENDING] == handlers
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(this_machine.ENDING)
    assert not list((tmp_path / "here").iterdir())
    assert not list((tmp_path / "temporary").iterdir())
    assert workers_of(os.getpid()) == []


@pytest.mark.parametrize("rows", [0, 20])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_sweep_keeps_what_is_finished_and_leaves_no_workers(
    tmp_path: Path, number: signal.Signals, rows: int
) -> None:
    process = coordinator(tmp_path / "ledger", 1000, sleep=0.05)
    workers = workers_of(process.pid)
    wait_for(lambda: not rows or len(table(tmp_path / "ledger")) >= rows)
    os.killpg(process.pid, number)  # as a terminal does
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, "")
    assert "interrupted; the same command continues from" in err
    assert err.count("\n") == 1, err
    assert gone(workers)
    assert rows <= len(table(tmp_path / "ledger")) < 1000


def at_work(tmp_path: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A coordinator, and its workers in the midst of a trial."""
    place = tmp_path / "begun"
    place.mkdir()
    process = coordinator(tmp_path / "ledger", 50, sleep=300, begun=str(place))
    wait_for(lambda: len(list(place.iterdir())) == 2)
    return process, workers_of(process.pid)


def wait_for(event: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not event():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_in_the_midst_of_a_trial_end_with_a_sweep_that_is_interrupted(
    tmp_path: Path,
) -> None:
    process, workers = at_work(tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert len(workers) == 2
    assert err.count("\n") == 1, err
    assert gone(workers)


@pytest.mark.survives("`kill -9` of a sweep's coordinator", "its workers end")
def test_workers_end_with_a_coordinator_that_is_killed(tmp_path: Path) -> None:
    process, workers = at_work(tmp_path)
    process.kill()
    process.communicate()
    assert len(workers) == 2
    assert gone(workers)


# -- when they are started ------------------------------------------------------------------------


def test_no_worker_is_started_where_nothing_is_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(tmp_path / "ledger", quick(range(2)))
    monkeypatch.setattr(this_machine, "opened", None)
    assert sweep(tmp_path / "ledger", quick(range(2))).skipped == 2


def test_no_more_workers_are_started_than_there_are_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    opened = this_machine.opened

    def noted(workers: int) -> Any:
        started.append(workers)
        return opened(workers)

    monkeypatch.setattr(this_machine, "opened", noted)
    sweep(tmp_path / "ledger", quick(range(2)), workers=64)
    assert started == [2]


def test_workers_that_cannot_be_started_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(this_machine, "__name__", "no.such.module")  # what a worker imports first
    with pytest.raises(WorkersGone, match="they cannot be started") as raised:
        sweep(tmp_path / "ledger", quick(range(2)))
    assert raised.value.filename == "this machine's workers"


def test_workers_that_die_and_cannot_be_started_again_end_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instantiate, times = distributed.Nanny.instantiate, []

    async def once(nanny: distributed.Nanny) -> Any:
        times.append(1)
        if len(times) > 1:
            await nanny.close()
            raise OSError("no more processes")
        return await instantiate(nanny)

    monkeypatch.setattr(distributed.Nanny, "instantiate", once)
    wrong = {"wrong": {"3": "kills"}}
    with pytest.raises(WorkersGone, match="they ended and cannot be started again"):
        sweep(tmp_path / "ledger", quick(range(40), sleep=0.02, **wrong), workers=1)
    assert [row["seed"] for row in table(tmp_path / "ledger")][:1] == [0], "what came is kept"


@pytest.mark.survives(
    "a sweep whose working directory and home cannot be written to", "it runs as usual"
)
def test_a_sweep_needs_to_write_nowhere_but_to_its_ledger(tmp_path: Path, disk: Disk) -> None:
    disk.read_only()
    words = [sys.executable, "-W", "error", "-c", SCRIPT.replace('"ledger"', repr(str(tmp_path)))]
    words[-1] = words[-1].replace(repr(str(tmp_path)), repr(str(tmp_path / "ledger")))
    (tmp_path / "beside.py").write_text(BESIDE)
    found = surroundings(HOME=str(disk.path))
    found["PYTHONPATH"] += os.pathsep + str(tmp_path)
    done = subprocess.run(words, cwd=disk.path, env=found, capture_output=True, text=True)
    assert done.stdout == "begun\n3\n", done.stderr


@pytest.mark.survives("a sweep on a machine without a network", "it runs as usual")
def test_a_sweep_needs_no_network(tmp_path: Path) -> None:
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a process cannot be given a network of its own here")
    (tmp_path / "beside.py").write_text(BESIDE)
    words = [*alone, sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(words, cwd=tmp_path, env=surroundings(), capture_output=True, text=True)
    assert done.stdout == "begun\n3\n", done.stderr
    with Ledger.read(tmp_path / "ledger") as ledger:
        assert ledger.counts() == {"own": {"target": 3}}


# -- without Dask ---------------------------------------------------------------------------------

BLOCKED = """
import sys
sys.modules["distributed"] = sys.modules["dask"] = None
import runpy
import longlag, longlag.cli
from longlag import studies
for name in studies.STUDIES:
    studies.STUDIES[name]
assert longlag.cli.main(["ledger", "show", sys.argv[1]]) == 0
sys.argv = ["multiplication_problem.py", "--max-iters", "2", "--quiet"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_what_is_no_sweep_does_without_dask(tmp_path: Path) -> None:
    sweep(tmp_path / "ledger", quick(range(1)))
    words = [sys.executable, "-c", BLOCKED, str(tmp_path / "ledger")]
    script = "multiplication_problem.py"
    (tmp_path / script).symlink_to(TESTS.parent / script)
    done = subprocess.run(words, cwd=tmp_path, env=surroundings(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_cell_that_a_worker_cannot_import_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    import mycells

    module, here = types.ModuleType("only_here"), type("Here", (mycells.Mine,), {})
    here.__module__ = module.__name__
    module.Here = here  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = longlag.compare(
        {"gru": "gru", "mine": here}, tasks=["adding"], lengths=[12], trials=1, quick=True,
        max_sequences=16, workers=1, out=tmp_path,
    )  # fmt: skip
    assert [row["cell"] for row in found.rows] == ["gru"]
    (said,) = (line for line in str(found).splitlines() if line.startswith("mine"))
    assert "No module named 'only_here'" in said


def test_what_dask_leaves_unread_at_its_end_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    """A future that fails and is never read, as one of a connection that is cut."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Cluster]:
        asyncio.get_running_loop().create_future().set_exception(ConnectionError("cut"))
        raise WorkersGone("here", "no worker")
        yield

    link = Link(opening())
    with pytest.raises(WorkersGone, match="no worker"):
        link.heard(10)
    assert link.close(10)
    gc.collect()
    assert not caplog.records
