"""Commands that take long: how much memory they need, what they say, how soon Ctrl-C ends them"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longlag import cli
from longlag.kernel import load_kernel
from reliability import Tally

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
    pytest.mark.skipif(load_kernel() is None, reason="of numpy alone it takes hours"),
]

MOST_SECONDS = 10.0  # to the end after Ctrl-C, on a machine that others use too; 2 are promised


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run of short sequences, and one of long ones, which take long to draw."""
    place = tmp_path_factory.mktemp("long")
    few = ("--batch-size", "4", "--max-iterations", "20", "--test-every", "20", "--quiet")
    for name, length in (("run", "12"), ("long", "4000")):
        words = ("train", "--min-length", length, *few, "--save-dir", str(place / name))
        assert cli.main(list(words)) == 0
    return place


class Command:
    """A command in a session of its own; its messages go to a file that can be read meanwhile."""

    def __init__(self, place: Path, line: str) -> None:
        self.line, self._said = line, place / "said"
        with self._said.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "longlag", *shlex.split(line)],
                cwd=place,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._said.read_text()

    def wait_for(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 600
        while not what():
            assert self.process.poll() is None, (self.line, self.said())
            assert time.monotonic() < deadline, (self.line, self.said())
            time.sleep(0.05)

    def peak(self) -> float:
        """The most memory that it has held so far, in MB."""
        return peak_in(Path(f"/proc/{self.process.pid}/status").read_text())

    def at_work(self) -> bool:
        """Whether it has computed for longer than it takes to load the libraries."""
        ticks = sum(ticks for _, session, ticks in processes() if session == self.process.pid)
        return ticks / os.sysconf("SC_CLK_TCK") > 3

    def interrupted(self) -> float:
        """Ctrl-C at a terminal, which every process of its group gets; seconds to the end."""
        started = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            status = self.process.wait(60)
        finally:
            self.kill()
        seconds = time.monotonic() - started
        assert status == 130, (self.line, status, self.said())
        return seconds

    def is_gone(self) -> bool:
        """Whether every process of its session has ended, or does so soon."""
        deadline = time.monotonic() + MOST_SECONDS
        while any(session == self.process.pid for _, session, _ in processes()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def peak_in(status: str) -> float:
    """From /proc/PID/status, in MB; getrusage counts what was held before exec, too."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000


def processes() -> Iterator[tuple[int, int, int]]:
    """Every process that runs, its session, and the ticks for which it has computed."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, *rest = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if state != "Z":
            yield int(stat.parent.name), int(rest[2]), int(rest[10]) + int(rest[11])


@pytest.mark.survives(
    "`evaluate --n 100000000`, of sequences of about 12 steps",
    "scored; it says how many are answered, and its memory does not grow with them",
)
def test_evaluating_a_hundred_million_sequences(place: Path, tally: Tally) -> None:
    command = Command(place, "evaluate run --n 100000000")
    peaks = []
    for answered in (1_000_000, 50_000_000):
        command.wait_for(lambda least=answered: how_many(command) >= least)
        peaks.append(command.peak())
    assert command.process.wait(300) == 0
    assert peaks[1] < 1.05 * peaks[0]
    tally.note(f"{peaks[1]:.0f} MB")


def how_many(command: Command) -> int:
    """How many sequences a command says to have answered."""
    found = re.findall(r"^([\d,]+) of 100,000,000 sequences$", command.said(), re.MULTILINE)
    return int(found[-1].replace(",", "")) if found else 0


@pytest.mark.parametrize(
    ("length", "n", "most"), [(10**6, 16, 350), (10**7, 1, 250), (10**7, 16, 2700)]
)
@pytest.mark.survives(
    "`evaluate` on sequences of T = 1,000,000 and of T = 10,000,000",
    "scored; a step of each of the sequences, 16 at a time, takes 8 bytes for the inputs and 4 for "
    "what they are drawn from",
)
def test_evaluating_the_longest_sequences(
    place: Path, length: int, n: int, most: int, tally: Tally
) -> None:
    words = ["evaluate", str(place / "run"), "--n", str(n), "--min-length", str(length), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told, status = done.stdout.split("Name:")
    assert json.loads(told)["min_length"] == length
    assert peak_in(status) < most
    tally.note(f"T = {length:,}, {n} at a time: {peak_in(status):,.0f} MB")


PEAK = """
import sys
from longlag import cli
status = cli.main(sys.argv[1:])
print(open("/proc/self/status").read())
sys.exit(status)
"""

BIG = "train --hidden 128 --batch-size 16384 --min-length 1000 --save-dir"
COMMANDS = {
    "train, native": f"{BIG} big",
    "train, numpy": "train --engine numpy --hidden 64 --batch-size 256 --min-length 500 "
    "--save-dir reference",
    "train, on-line": "train --recipe paper --save-dir paper",
    "evaluate": "evaluate run --n 100000000",
    "evaluate, numpy": "evaluate run --n 100000000 --engine numpy",
    "compare": "compare run run --n 100000000",
    "one long sequence": "evaluate run --n 1 --min-length 100000000",
    "figures": "figures long",
    "animate": "animate long",
    "study table8": "study table8 --trials 320 --out table8",
    "study lag": "study lag --out lag",
    "study movement": "study movement --out movement",
    "study register": "study register --out register",
    "bench": "bench --against numpy",
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.survives(
    "Ctrl-C in the midst of every command that takes long",
    "it ends with status 130, and no process is left behind",
)
def test_ctrl_c_ends_every_command(place: Path, name: str, tally: Tally) -> None:
    command = Command(place, COMMANDS[name])
    command.wait_for(command.at_work)
    seconds = command.interrupted()
    assert command.is_gone()
    assert seconds < MOST_SECONDS
    tally.note(f"{name}: {seconds:.1f} s")


@pytest.mark.survives(
    "Ctrl-C twice in the midst of every command that takes long", "it ends at once"
)
def test_a_second_ctrl_c_ends_it_at_once(place: Path, tally: Tally) -> None:
    for line in (f"{BIG} other", "study lag --out twice"):
        command = Command(place, line)
        command.wait_for(command.at_work)
        os.killpg(command.process.pid, signal.SIGINT)
        assert command.interrupted() < MOST_SECONDS
        assert command.is_gone(), line
        tally.add()
