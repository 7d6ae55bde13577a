"""Sweeps whose other side is silent, is not there, or cannot do the work"""

from __future__ import annotations

import http.server
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from longlag.version import CODE_VERSION
from reliability import Tally
from test_cluster import DASK, Starter, add_worker, scheduler, start
from test_executor import gone, wait_for
from test_sweeps import STARTED, around, surroundings, table, workers_of

__all__ = ["around", "scheduler", "start"]

pytestmark = pytest.mark.skipif(not DASK.exists(), reason="needs the dask command")

# A sweep that tells how it goes as a command does; arguments: ledger, trials, their settings, the
# constants to change, and where it goes: nowhere is this machine.
COMMAND = """
import json, sys, time
from longlag import progress
from longlag.cli.exit import exit_status
from longlag.sweeps import crew, executor, sweep as sweeps
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.trial import Trial
path, count, settings, constants, *where = sys.argv[1:]
for name, value in json.loads(constants).items():
    setattr(crew if hasattr(crew, name) else executor, name, value)
{more}
options = {{"scheduler": where[0]}} if where else {{"workers": 2}}
settings = json.loads(settings)
function = settings.pop("function", "faulty:quick")
trials = [Trial("quick", settings, seed, "numpy", function) for seed in range(int(count))]
def command():
    with Ledger.open(path) as ledger, progress.of_sweep() as observe:
        made = sweeps.run(trials, ledger, total=len(trials), observe=observe, **options)
    print(json.dumps([made.skipped, made.done, made.failed]))
    return 0
sys.exit(exit_status("sweep", command))
"""
SOON = {"NOTICE_SECONDS": 1.0, "DEAD_SECONDS": 4.0}


class Sweep:
    """A command in a process of its own, whose words can be read while it runs."""

    def __init__(
        self,
        place: Path,
        count: int,
        *where: str,
        constants: Mapping[str, float] = SOON,
        more: str = "",
        ledger: Path | None = None,
        **settings: Any,
    ) -> None:
        self.ledger, self._err = ledger or place / "ledger", place / f"said{len(STARTED)}"
        words = (self.ledger, count, json.dumps(settings), json.dumps({**constants}), *where)
        with self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", COMMAND.format(more=more), *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                env=surroundings(),
                start_new_session=True,
            )
        STARTED.append(self.process)

    def said(self) -> str:
        return self._err.read_text()

    def says(self, words: str) -> None:
        """Waits until it says so."""
        wait_for(lambda: words in self.said() or self.process.poll() is not None)
        assert words in self.said()

    def has(self, rows: int) -> None:
        """Waits until so many results are in its ledger."""
        wait_for(lambda: self.ledger.exists() and len(table(self.ledger)) >= rows)

    def end(self) -> tuple[int, str]:
        """Exit status and standard output."""
        out, _ = self.process.communicate(timeout=120)
        return self.process.returncode, out

    def interrupted(self) -> None:
        """Ctrl-C: it ends, says so in one line, and leaves nothing behind."""
        workers = workers_of(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        assert self.end() == (130, "")
        last = self.said().splitlines()[-1]
        assert last.startswith("sweep: interrupted; the same command continues")
        assert gone(workers)


def child_of(pid: int) -> int:
    """The worker process of `dask worker`; waits for it."""
    wait_for(lambda: workers_of(pid))
    return workers_of(pid)[0]


# -- nobody answers -------------------------------------------------------------------------------


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a socket that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def web() -> Iterator[str]:
    """The address of an HTTP server."""
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), http.server.BaseHTTPRequestHandler
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.survives(
    "`--scheduler` at a socket that accepts and says nothing, and at an HTTP server",
    "one sentence, status 2",
)
def test_what_is_no_scheduler_is_said(tmp_path: Path, mute: str, web: str, tally: Tally) -> None:
    sweeps = {}
    for name, address in (("mute", mute), ("web", web)):
        (tmp_path / name).mkdir()
        sweeps[address] = Sweep(tmp_path / name, 3, address, constants={})
    for address, sweep in sweeps.items():
        assert sweep.end() == (2, "")
        sentence = f"sweep: no Dask scheduler answers at {address}\n"
        assert sweep.said().replace("0 of 3 trials done\n", "") == sentence
        tally.add()


# What a client does when it is to connect.
CONNECTING = """
import distributed, pathlib, socket
class Client(distributed.Client):
    def __await__(self):
        pathlib.Path(path).with_name("connecting").touch()
        {stuck}
        return super().__await__()
distributed.Client = Client
"""


@pytest.mark.survives(
    "Ctrl-C while a socket accepts and says nothing, while a name server does not answer, while "
    "Dask's event loop is stuck",
    "one sentence, status 130, no process is left",
)
@pytest.mark.parametrize(
    "stuck",
    ["pass", "time.sleep(3600)", "socket.getaddrinfo = lambda *a, **k: time.sleep(3600)"],
)
def test_ctrl_c_ends_what_waits_for_nobody(
    tmp_path: Path, mute: str, stuck: str, tally: Tally
) -> None:
    more = CONNECTING.format(stuck=stuck)
    sweep = Sweep(tmp_path, 3, mute, constants={"CONNECT_SECONDS": 600}, more=more)
    wait_for((tmp_path / "connecting").exists)
    time.sleep(0.3)
    sweep.interrupted()
    tally.add()


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, mute: str) -> None:
    more = CONNECTING.format(stuck="time.sleep(3600)")
    constants = {"CONNECT_SECONDS": 600, "INTERRUPTED_SECONDS": 600}
    sweep = Sweep(tmp_path, 3, mute, constants=constants, more=more)
    wait_for((tmp_path / "connecting").exists)
    sweep.process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert sweep.process.poll() is None, "it waits for Dask to end"
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.end() == (130, "")


@pytest.mark.survives(
    "a scheduler that is frozen in the midst of a sweep (SIGSTOP), and thaws",
    "one sentence says that it is waited for; then the sweep goes on; Ctrl-C ends it meanwhile",
)
def test_a_frozen_scheduler(tmp_path: Path, start: Starter, scheduler) -> None:
    address, process = scheduler
    add_worker(start, address)
    sweep_ = Sweep(tmp_path, 100, address, sleep=0.05)
    sweep_.has(10)
    os.kill(process.pid, signal.SIGSTOP)
    sweep_.says(f"no answer from the Dask scheduler at {address} for")
    sweep_.interrupted()
    sweep_ = Sweep(tmp_path, 100, address, constants={**SOON, "CONNECT_SECONDS": 600}, sleep=0.05)
    sweep_.says("no answer from")
    os.kill(process.pid, signal.SIGCONT)
    status, out = sweep_.end()
    assert (status, len(table(tmp_path / "ledger"))) == (0, 100), sweep_.said()
    assert json.loads(out)[0] >= 10


# -- no workers, frozen workers -------------------------------------------------------------------


@pytest.mark.survives(
    "a scheduler without workers",
    "one sentence has the command that starts one; the sweep goes on when it comes",
)
def test_a_scheduler_without_workers(tmp_path: Path, start: Starter, scheduler) -> None:
    sweep_ = Sweep(tmp_path, 6, scheduler[0])
    sweep_.says("no worker that can be given trials: start one with `dask worker tcp:")
    _, *words = shlex.split(sweep_.said().partition("`")[2].partition("`")[0])
    start(*words, "--no-dashboard")
    assert sweep_.end() == (0, "[0, 6, 0]\n")
    assert sweep_.said().count("start one with") == 1


@pytest.mark.survives(
    "a worker that is frozen in the midst of a trial (SIGSTOP)",
    "after a time that is said, its trials are given to others, each result exactly once",
)
def test_a_frozen_worker(tmp_path: Path, start: Starter, scheduler) -> None:
    address, _ = scheduler
    frozen, _ = add_worker(start, address), add_worker(start, address)
    sweep_ = Sweep(tmp_path, 60, address, sleep=0.2)
    sweep_.has(5)
    wait_for(lambda: count_of(tmp_path) >= 5)
    os.kill(worker := child_of(frozen.pid), signal.SIGSTOP)
    sweep_.says("s: after 4 s its trials are given to others")
    sweep_.says("s: its trials are given to others")
    assert sweep_.end() == (0, "[0, 60, 0]\n")
    assert [row["seed"] for row in table(tmp_path / "ledger")] == list(range(60))
    os.kill(worker, signal.SIGCONT)


def count_of(place: Path) -> int:
    return len(table(place / "ledger"))


@pytest.mark.long
@pytest.mark.survives(
    "a worker of this machine that is frozen in the midst of a trial",
    "after a time that is said, it is replaced",
)
def test_a_frozen_worker_of_this_machine(tmp_path: Path) -> None:
    sweep_ = Sweep(tmp_path, 60, sleep=0.2)
    sweep_.has(5)
    os.kill(workers_of(sweep_.process.pid)[0], signal.SIGSTOP)
    sweep_.says("s: its trials are given to others")
    assert sweep_.end() == (0, "[0, 60, 0]\n")


def test_ctrl_c_ends_a_sweep_all_of_whose_workers_are_frozen(tmp_path: Path) -> None:
    sweep_ = Sweep(tmp_path, 60, constants={"NOTICE_SECONDS": 1.0}, sleep=0.2)
    sweep_.has(5)
    for worker in workers_of(sweep_.process.pid):
        os.kill(worker, signal.SIGSTOP)
    sweep_.says("has not been heard of for")
    sweep_.interrupted()


@pytest.mark.long
@pytest.mark.survives("a worker that is at one native call for long", "it is not taken for dead")
def test_a_worker_busy_in_a_native_call_is_not_taken_for_dead(tmp_path: Path) -> None:
    constants = {"NOTICE_SECONDS": 3.0, "DEAD_SECONDS": 4.0}
    sweep_ = Sweep(tmp_path, 2, constants=constants, function="faulty:native", seconds=8)
    assert sweep_.end() == (0, "[0, 2, 0]\n"), sweep_.said()
    assert "heard of" not in sweep_.said()


# -- workers that cannot do the work --------------------------------------------------------------

LACKING = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Lacking())
for loaded in [one for one in sys.modules if one.partition(".")[0] == {name!r}]:
    del sys.modules[loaded]
"""
OLDER = "from longlag import version\nversion.CODE_VERSION = '0.0.9+r0'\n"
ODD = "import longlag.version\nvars(longlag.version).pop('CODE_VERSION', None)\n"
# As a Python says that is too old for how another one has pickled a task.
UNPICKLING = """
from distributed.protocol import pickle
def loads(data, *, real=pickle.loads, **more):
    if b"\\tcarry_out" in bytes(data):  # a name of nine characters, not the text of a question
        raise ValueError("unsupported pickle protocol: 5")
    return real(data, **more)
pickle.loads = loads
"""
UNFIT = {
    "longlag": (LACKING.format(name="longlag"), "has no module longlag, and"),
    "numpy": (LACKING.format(name="numpy"), "has no module numpy, and"),
    "odd": (ODD, "cannot tell its version (ImportError: cannot import name 'CODE_VERSION'"),
    "older": (OLDER, "has longlag 0.0.9+r0, and"),
    "unpickling": (UNPICKLING, "(ValueError: unsupported pickle protocol: 5), and"),
}


def add_unfit(start: Starter, address: str, place: Path, kind: str) -> None:
    (place / f"without_{kind}.py").write_text(UNFIT[kind][0])
    add_worker(start, address, "--preload", str(place / f"without_{kind}.py"))


@pytest.mark.survives(
    "a worker without longlag, without numpy, with a longlag that does not load, of another "
    "version, with a Python that cannot unpickle a trial: alone",
    "one sentence names it, what it has and what it needs; status 2",
)
@pytest.mark.parametrize("kind", UNFIT)
def test_a_worker_that_cannot_do_the_work_is_refused(
    tmp_path: Path, start: Starter, scheduler, kind: str, tally: Tally
) -> None:
    add_unfit(start, scheduler[0], tmp_path, kind)
    sweep_ = Sweep(tmp_path, 3, scheduler[0], constants={})
    assert sweep_.end() == (2, "")
    (sentence,) = [line for line in sweep_.said().splitlines() if "trials done" not in line]
    assert sentence.startswith("sweep: the worker tcp://127.0.0.1:")
    assert UNFIT[kind][1] in sentence
    assert f"needs longlag {CODE_VERSION}, as here" in sentence
    tally.add()


@pytest.mark.long
@pytest.mark.survives(
    "such workers that join a sweep later",
    "a sentence each; they are given no trials, and the sweep goes on with the others",
)
def test_workers_that_join_later_and_cannot_do_the_work(
    tmp_path: Path, start: Starter, scheduler, tally: Tally
) -> None:
    address, _ = scheduler
    add_worker(start, address)
    place = tmp_path / "begun"
    place.mkdir()
    sweep_ = Sweep(tmp_path, 10_000, address, sleep=0.05, constants={})
    sweep_.has(5)
    for kind, (_, words) in UNFIT.items():
        add_unfit(start, address, tmp_path, kind)
        sweep_.says(words)
        tally.add()
    rows = count_of(tmp_path)
    sweep_.has(rows + 20)
    sweep_.interrupted()
    assert {row["status"] for row in table(tmp_path / "ledger")} == {"target"}
