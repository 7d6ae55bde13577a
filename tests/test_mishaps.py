"""Sweeps on a Dask cluster whose machines fail, again and again"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from longlag.sweeps.ledger import Ledger
from reliability import Tally
from test_cluster import DASK, Starter, add_worker, scheduler, start
from test_silence import Sweep, child_of
from test_sweeps import around, quick, small_disk, sweep, table

__all__ = ["around", "scheduler", "small_disk", "start"]

pytestmark = [
    pytest.mark.skipif(not DASK.exists(), reason="needs the dask command"),
    pytest.mark.long,
]


@pytest.mark.survives("a Dask worker killed every 5 s", "the table of an undisturbed sweep")
def test_a_worker_killed_every_five_seconds(
    tmp_path: Path, start: Starter, scheduler, tally: Tally
) -> None:
    address, _ = scheduler
    victim, _ = add_worker(start, address), add_worker(start, address)
    sweeping = Sweep(tmp_path, 200, address, constants={}, sleep=0.3)
    sweeping.has(1)
    while sweeping.process.poll() is None:
        os.kill(child_of(victim.pid), signal.SIGKILL)  # its nanny starts another
        tally.add()
        time.sleep(5)
    assert sweeping.end() == (0, "[0, 200, 0]\n"), sweeping.said()
    assert tally.times >= 5
    same_as_undisturbed(tmp_path, 200)


def same_as_undisturbed(place: Path, count: int) -> None:
    """The ledger of a disturbed sweep holds what that of another does, each trial once."""
    found = table(place / "ledger")
    assert [row["seed"] for row in found] == list(range(count))
    sweep(place / "undisturbed", quick(range(count)))
    varying = ("settings", "key")  # how long a trial sleeps is a setting
    expected = [
        {k: v for k, v in row.items() if k not in varying} for row in table(place / "undisturbed")
    ]
    assert [{k: v for k, v in row.items() if k not in varying} for row in found] == expected


@pytest.mark.survives(
    "a scheduler that is killed and started again at once",
    "one sentence; the same command continues with it to the same table",
)
@pytest.mark.parametrize("look", [0.5, 8.0])
def test_a_scheduler_that_restarts(
    tmp_path: Path, start: Starter, scheduler, look: float, tally: Tally
) -> None:
    """Where looks are rare, Dask's client has connected to the new one before the next."""
    address, process = scheduler
    add_worker(start, address)
    more = f"from longlag.sweeps import link; link.LOOK_SECONDS = {look}"
    sweeping = Sweep(tmp_path, 200, address, constants={}, more=more, sleep=0.05)
    sweeping.has(20)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    port = address.rpartition(":")[2]
    start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    assert sweeping.end() == (1, "")
    sentence = sweeping.said().splitlines()[-1]
    assert "the Dask scheduler is gone; what was finished is in the ledger" in sentence
    add_worker(start, address)
    sweeping = Sweep(tmp_path, 200, address, constants={}, sleep=0.05)
    status, out = sweeping.end()
    assert (status, sum(json.loads(out))) == (0, 200), sweeping.said()
    same_as_undisturbed(tmp_path, 200)
    tally.add()


@pytest.mark.survives(
    "a Dask worker whose memory limit is 150 MB, 80 MB, 50 MB",
    "it does its trials, or one sentence says what is lacking; a worker with more room goes on",
)
@pytest.mark.parametrize("limit", ["150MB", "80MB", "50MB"])
def test_a_worker_with_little_memory(
    tmp_path: Path, start: Starter, scheduler, limit: str, tally: Tally
) -> None:
    address, _ = scheduler
    add_worker(start, address, "--memory-limit", limit)
    sweeping = Sweep(tmp_path, 6, address, constants={}, sleep=0.1)
    sentences = ("Dask has paused it, for it uses", "has no worker that can be given trials")
    deadline = time.monotonic() + 60
    while sweeping.process.poll() is None and not any(s in sweeping.said() for s in sentences):
        assert time.monotonic() < deadline, sweeping.said()
        time.sleep(0.2)
    add_worker(start, address)
    status, out = sweeping.end()
    assert (status, json.loads(out)) == (0, [0, 6, 0]), sweeping.said()
    tally.add()


@pytest.mark.survives(
    "a worker that is killed between a trial's end and the ledger", "the trial is done again, once"
)
def test_results_that_are_lost_on_their_way(
    tmp_path: Path, start: Starter, scheduler, tally: Tally
) -> None:
    address, _ = scheduler
    for _ in range(2):
        add_worker(start, address)
    wrong = {str(seed): "kills afterwards once" for seed in range(3, 40, 4)}
    how = {"wrong": wrong, "flag": str(tmp_path / "flag"), "sleep": 0.6, "after": 0.005}
    sweeping = Sweep(tmp_path, 40, address, constants={}, **how)
    assert sweeping.end() == (0, "[0, 40, 0]\n"), sweeping.said()
    tally.add(len(list(tmp_path.glob("flag*"))))
    assert tally.times == len(wrong)
    same_as_undisturbed(tmp_path, 40)


@pytest.mark.survives("two sweeps on one scheduler at a time", "each gets its own results")
def test_two_coordinators_on_one_scheduler(tmp_path: Path, start: Starter, scheduler) -> None:
    address, _ = scheduler
    for _ in range(2):
        add_worker(start, address)
    sweeps = []
    for name, sleep in (("one", 0.05), ("other", 0.04)):
        (tmp_path / name).mkdir()
        sweeps.append(Sweep(tmp_path / name, 200, address, constants={}, sleep=sleep))
    for sweeping in sweeps:
        assert sweeping.end() == (0, "[0, 200, 0]\n"), sweeping.said()
    for name in ("one", "other"):
        same_as_undisturbed(tmp_path / name, 200)


# The clock of every process that loads it goes an hour slow as soon as a file exists.
JUMP = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, time);
  const char *flag = getenv("CLOCK_JUMPS");
  if (!failed && clock == CLOCK_REALTIME && flag && !access(flag, F_OK)) time->tv_sec -= 3600;
  return failed;
}
"""


@pytest.mark.survives(
    "a clock that jumps back an hour in a sweep: the scheduler's, the workers', its own",
    "it continues as if nothing had happened",
)
def test_a_clock_that_jumps_back(
    tmp_path: Path, start: Starter, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("needs a C compiler")
    (tmp_path / "jump.c").write_text(JUMP)
    words = [compiler, "-shared", "-fPIC", "-o", "jump.so", "jump.c", "-ldl"]
    if subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("no library can be put before that of C here")
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "jump.so"))
    monkeypatch.setenv("CLOCK_JUMPS", str(tmp_path / "jumps"))
    address, _ = request.getfixturevalue("scheduler")
    for _ in range(2):
        add_worker(start, address)
    sweeping = Sweep(tmp_path, 300, address, constants={}, sleep=0.1)
    sweeping.has(50)
    (tmp_path / "jumps").touch()
    assert sweeping.end() == (0, "[0, 300, 0]\n"), sweeping.said()
    assert "heard of" not in sweeping.said()
    assert "no answer" not in sweeping.said()
    with Ledger.read(tmp_path / "ledger") as ledger:
        ends = [row["ended"] for row in ledger.rows()]
    assert min(ends) < ends[0], "the clock has jumped"
    monkeypatch.undo()


@pytest.mark.survives(
    "a disk that fills up while a ledger is written from a cluster's trials",
    "one sentence, the ledger intact; with room it continues to the same table",
)
def test_a_full_disk(small_disk: Path, tmp_path: Path, start: Starter, scheduler) -> None:
    address, _ = scheduler
    add_worker(start, address)
    sweep(small_disk / "ledger", quick(range(3)))
    (small_disk / "ballast").write_bytes(bytes(90_000))

    def again() -> Sweep:
        how = {"constants": {}, "sleep": 0.01, "words": "w" * 2000}
        return Sweep(tmp_path, 150, address, ledger=small_disk / "ledger", **how)

    sweeping = again()
    assert sweeping.end() == (1, "")
    assert "could not be used: the disk is full" in sweeping.said().splitlines()[-1]
    assert len(table(small_disk / "ledger")) >= 3
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    sweeping = again()
    status, out = sweeping.end()
    assert (status, sum(json.loads(out))) == (0, 150), sweeping.said()
    assert len(table(small_disk / "ledger")) == 153, "each exactly once"


@pytest.mark.survives(
    "100,000 trials of 1 ms on two worker processes",
    "all recorded; the coordinator's memory does not grow",
)
def test_a_hundred_thousand_trials(tmp_path: Path, tally: Tally) -> None:
    count = 100_000
    sweep(tmp_path / "small", quick(range(2000), sleep=0.001))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    progress = sweep(tmp_path / "ledger", quick(range(count), sleep=0.001))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (progress.done, progress.failed) == (count, 0)
    with Ledger.read(tmp_path / "ledger") as ledger:
        assert ledger.counts() == {"quick": {"target": count}}
        own = sum(row["seconds"] for row in ledger.rows())
    over = 1000 * (2 * progress.elapsed - own) / count
    tally.note(f"{over:.2f} ms a trial and core over its own time, {grown / 1000:.1f} MB more")
    assert grown < 50_000  # kB, of which the list of trials above has its share
