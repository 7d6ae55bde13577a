"""Sweeps survive what happens to their coordinator, their workers, their disk."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longlag import progress as words
from longlag.learning import engine
from longlag.sweeps import bundles
from longlag.sweeps import sweep as sweeps
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.sweep import Progress
from longlag.sweeps.trial import Trial, perform, trial
from reliability import Tally

TESTS = Path(__file__).parent
# What differs between two runs of the same trial.
PASSING = ("seconds", "versions", "host", "started", "ended", "isa")
TINY: dict[str, Any] = {
    **{"min_length": 11, "hidden": 3, "max_iterations": 12, "test_every": 6, "test_size": 40},
}


def quick(seeds: range, **settings: Any) -> list[Trial]:
    return [Trial("quick", settings, seed, "numpy", "faulty:quick") for seed in seeds]


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def around(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers find the trials of these tests; coordinators that a failed test leaves are ended."""
    monkeypatch.syspath_prepend(str(TESTS))
    yield
    while STARTED:
        with STARTED.pop() as process:
            process.kill()


def sweep(path: Path, trials: list[Trial], **options: Any) -> Progress:
    with Ledger.open(path) as ledger:
        return sweeps.run(trials, ledger, total=len(trials), **{"workers": 2, **options})


def table(path: Path) -> list[dict[str, Any]]:
    """What a ledger holds, without what differs from run to run; ordered by seed."""
    with Ledger.read(path) as ledger:
        rows = [{k: v for k, v in row.items() if k not in PASSING} for row in ledger.rows()]
    return sorted(rows, key=lambda row: (row["seed"], row["key"]))


# -- what a sweep does --------------------------------------------------------------------------


def test_rows_are_what_training_alone_gives(tmp_path: Path) -> None:
    from longlag.sweeps.trial import train

    trials = [trial("robust", seed, "numpy", fresh=20, **TINY) for seed in range(3)]
    progress = sweep(tmp_path / "ledger", trials)
    assert (progress.done, progress.failed, progress.skipped) == (3, 0, 0)
    with Ledger.read(tmp_path / "ledger") as ledger:
        for one in trials:
            row = ledger.get(one.key)
            assert row is not None
            alone = train(one.settings, one.seed, "numpy")
            assert alone.pop("seconds") > 0
            assert {name: row[name] for name in alone} == alone
            assert row["host"]
            assert row["started"] <= row["ended"]
            assert row["seconds"] > 0
            assert row["versions"]["longlag"]


def test_what_is_done_is_skipped(tmp_path: Path) -> None:
    sweep(tmp_path / "ledger", quick(range(3)))
    progress = sweep(tmp_path / "ledger", quick(range(5)))
    assert (progress.skipped, progress.done) == (3, 2)
    assert [row["seed"] for row in table(tmp_path / "ledger")] == list(range(5))


def test_a_key_changes_with_all_that_determines_a_result() -> None:
    base = trial("robust", 0, "numpy")
    others = [
        trial("robust", 1, "numpy"),
        trial("robust", 0, "native"),
        trial("robust", 0, "numpy", hidden=9),
        trial("robust", 0, "numpy", fresh=1),
        trial("catalog", 0, "numpy"),
    ]
    keys = {base.key, *(other.key for other in others)}
    assert len(keys) == 6
    assert trial("robust", 0, "numpy", hidden=8).key == base.key


@pytest.mark.survives("a trial that raises, and one that diverges", "a row each; the sweep goes on")
def test_failures_and_divergence_are_rows(tmp_path: Path) -> None:
    wrong = {"1": "raises", "2": "diverges", "3": "prints"}
    progress = sweep(tmp_path / "ledger", quick(range(5), wrong=wrong))
    assert (progress.done, progress.failed) == (4, 1)
    rows = table(tmp_path / "ledger")
    status = [row["status"] for row in rows]
    assert status == ["target", "failed", "diverged", "target", "target"]
    assert rows[1]["error"] == "RuntimeError: this one always raises"


def test_a_training_that_diverges_is_a_result(tmp_path: Path) -> None:
    wild = {**TINY, "optimizer": "sgd", "learning_rate": 1000.0, "clip": 1e30}
    one = trial("robust", 0, "numpy", **wild)
    assert sweep(tmp_path / "ledger", [one]).done == 1
    assert table(tmp_path / "ledger")[0]["status"] in ("diverged", "max_iterations")
    assert sweep(tmp_path / "ledger", [one]).skipped == 1


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    sweep(tmp_path / "ledger", quick(range(2), wrong={"1": "raises"}))
    assert sweep(tmp_path / "ledger", quick(range(2), wrong={"1": "raises"})).failed == 1
    assert len(table(tmp_path / "ledger")) == 2


def test_what_is_no_result_fails_its_trial_and_spoils_no_ledger(tmp_path: Path) -> None:
    kinds = ("nonsense", "half a result", "no JSON", "nothing", "exits")
    wrong = {str(seed): kind for seed, kind in enumerate(kinds)}
    progress = sweep(tmp_path / "ledger", quick(range(6), wrong=wrong))
    assert (progress.failed, progress.done) == (5, 1)
    errors = [row["error"] for row in table(tmp_path / "ledger")]
    assert errors == [
        "its function returned no result: its status is 'solved'",
        "its function returned no result: it has no score or no sequences",
        "TypeError: Object of type float32 is not JSON serializable",
        "TypeError: 'NoneType' object is not a mapping",
        "SystemExit: 3",
        None,
    ]


@pytest.mark.parametrize("workers", [0, -1, 2.5])
def test_a_number_of_workers_that_makes_no_sense_is_refused(tmp_path: Path, workers) -> None:
    with pytest.raises(ValueError, match="workers must be a whole number"):
        sweep(tmp_path / "ledger", [], workers=workers)


def test_progress_counts_and_estimates(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    trials = quick(range(10), sleep=0.02)
    sweep(tmp_path / "ledger", trials, observe=lambda p: seen.append((p.done, p.total)))
    assert seen[-1] == (10, 10)
    assert seen == sorted(seen)
    assert Progress(10, skipped=2, done=3, failed=1, elapsed=8.0).left == 8.0


def test_progress_tells_how_far_trials_in_slices_are() -> None:
    progress = Progress(5)
    for key, status, at in (("a", "unfinished", 5), ("b", "unfinished", 1000), ("a", "target", 9)):
        progress.count({"key": key, "status": status, "sequences": at})
    assert (progress.done, progress.failed, progress.unfinished) == (1, 0, {"b": 1000})
    assert words.trials(progress).startswith(
        "1 of 5 trials done, 1 under way after 1,000 sequences"
    )


def test_whatever_a_trial_raises_is_a_row() -> None:
    work = {"recipe": "r", "settings": {}, "seed": 3, "engine": "numpy", "function": "faulty:quick"}
    assert perform(work)["sequences"] == 21
    missing = perform({**work, "function": "faulty:no_such_thing"})
    assert missing["status"] == "failed"
    assert "no_such_thing" in missing["error"]


# -- workers that die ---------------------------------------------------------------------------


@pytest.mark.survives(
    "`kill -9` of a worker of a sweep", "replaced; the trials it held are done again"
)
def test_a_worker_that_dies_is_replaced_and_its_trials_done_again(tmp_path: Path) -> None:
    settings = {"wrong": {"3": "kills once"}, "flag": str(tmp_path / "flag")}
    progress = sweep(tmp_path / "ledger", quick(range(12), **settings))
    assert (progress.done, progress.failed) == (12, 0)


@pytest.mark.survives("a trial that kills every worker", "a failed row; no other trial is lost")
def test_a_trial_that_kills_every_worker_fails_and_no_other(tmp_path: Path) -> None:
    progress = sweep(tmp_path / "ledger", quick(range(12), wrong={"3": "kills"}))
    assert (progress.done, progress.failed) == (11, 1)
    error = table(tmp_path / "ledger")[3]["error"]
    assert error == "its worker died, 3 times in a row"


# -- a coordinator that dies --------------------------------------------------------------------

COORDINATOR = """
import json, sys
from pathlib import Path
from longlag.cli.exit import exit_status; from longlag.sweeps import sweep as sweeps
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.trial import Trial
path, count, settings = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
options = {"scheduler": sys.argv[4]} if len(sys.argv) > 4 else {"workers": 2}
trials = [Trial("quick", settings, seed, "numpy", "faulty:quick") for seed in range(count)]
def command():
    with Ledger.open(path) as ledger:
        progress = sweeps.run(trials, ledger, total=count, **options)
    print(json.dumps([progress.skipped, progress.done, progress.failed]))
    return 0
sys.exit(exit_status("sweep", command))
"""


def coordinator(
    path: Path, count: int, *more: str, wait: bool = True, **settings: Any
) -> subprocess.Popen[str]:
    """A sweep in a process and a session of its own; returns when it has workers.

    more: the address of a Dask scheduler.
    """
    words = [sys.executable, "-W", "error", "-c", COORDINATOR, str(path), str(count)]
    process = subprocess.Popen(
        [*words, json.dumps(settings), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(),
        start_new_session=True,
    )
    STARTED.append(process)
    deadline = time.monotonic() + 60
    while wait and len(workers_of(process.pid)) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def surroundings(**changes: str) -> dict[str, str]:
    """The environment of a process that is to find what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **changes}


def workers_of(pid: int) -> list[int]:
    """The worker processes of a coordinator."""
    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc")
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    children = [int(child) for found in lists for child in found.split()]
    return [child for child in children if "spawn_main" in command_of(child)]


def command_of(pid: int) -> str:
    """The command line of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def killed_again_and_again(path: Path, times: int, count: int, sleep: float) -> int:
    """Kills the coordinator at random moments, then lets it finish; returns the kills."""
    chance, kills = random.Random(5), 0
    for _ in range(times):
        process = coordinator(path, count, wait=False, sleep=sleep)
        time.sleep(chance.uniform(0.05, 1.4))
        kills += process.poll() is None
        process.kill()
        process.communicate()
    process = coordinator(path, count, wait=False, sleep=sleep)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    skipped, done, failed = json.loads(out)
    assert (skipped + done, failed) == (count, 0)
    return kills


@pytest.mark.survives(
    "`kill -9` of a sweep's coordinator at random moments, again and again on one sweep",
    "the table of an undisturbed sweep, to the last digit",
)
@pytest.mark.parametrize(
    ("times", "count"), [(3, 150), pytest.param(20, 1000, marks=pytest.mark.long)]
)
def test_a_coordinator_killed_at_random_moments(
    tmp_path: Path, times: int, count: int, tally: Tally
) -> None:
    sweep(tmp_path / "undisturbed", quick(range(count), sleep=0.05))
    kills = killed_again_and_again(tmp_path / "killed", times, count, 0.05)
    assert kills == times
    tally.add(kills)
    assert table(tmp_path / "killed") == table(tmp_path / "undisturbed")


@pytest.mark.survives(
    "Ctrl-C in the midst of a trial in batches", "it continues from there to the same row"
)
def test_a_long_trial_goes_on_from_where_it_was(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(bundles, "LONE_SECONDS", 0.0)  # a slice is a step
    trials = [trial("robust", 1, "numpy", **{**TINY, "max_iterations": 600})]
    seen: list[int] = []

    def stop(progress: Progress) -> None:
        seen.extend(progress.unfinished.values())
        if seen and seen[-1] > 2000:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "cut", trials, observe=stop)
    (row,) = table(tmp_path / "cut")
    assert (row["status"], row["sequences"] > 2000) == ("unfinished", True)
    seen.clear()
    sweep(tmp_path / "cut", trials, observe=lambda p: seen.extend(p.unfinished.values()))
    assert min(seen) > 2000, "the first steps are not learned again"
    sweep(tmp_path / "whole", trials)
    assert table(tmp_path / "cut") == table(tmp_path / "whole")


@pytest.mark.survives("a second sweep on one ledger", "refused, while the ledger can be read")
def test_a_second_coordinator_is_refused(tmp_path: Path) -> None:
    process = coordinator(tmp_path / "ledger", 1000, sleep=0.05)
    try:
        with pytest.raises(ValueError, match="another sweep is writing to the ledger"):
            sweep(tmp_path / "ledger", quick(range(2)))
        with Ledger.read(tmp_path / "ledger") as ledger:  # but it may be read
            ledger.counts()
    finally:
        process.kill()
        process.communicate()


# -- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(where)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.mark.survives(
    "a disk that fills up during a sweep",
    "one sentence, the ledger intact; with room it continues to the same table",
)
def test_a_full_disk_is_named_and_the_ledger_goes_on_afterwards(
    small_disk: Path, tmp_path: Path
) -> None:
    path, count = small_disk / "ledger", 150
    sweep(path, quick(range(3)))
    with (small_disk / "ballast").open("wb") as ballast:
        ballast.write(bytes(90_000))
    process = coordinator(path, count, wait=False, sleep=0.01, words="w" * 2000)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "could not be used: the disk is full" in err
    assert err.count("\n") == 1
    assert len(table(path)) >= 3
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    trials = quick(range(count), sleep=0.01, words="w" * 2000)
    sweep(path, trials)
    sweep(tmp_path / "undisturbed", [*quick(range(3)), *trials])
    assert table(path) == table(tmp_path / "undisturbed")


# -- scale --------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.survives(
    "10,000 trials of 0.02 s on two worker processes",
    "all recorded; the coordinator's memory does not grow",
)
def test_ten_thousand_trials(tmp_path: Path, tally: Tally) -> None:
    import resource

    sweep(tmp_path / "small", quick(range(100)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    progress = sweep(tmp_path / "ledger", quick(range(10_000), sleep=0.02))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (progress.done, progress.failed) == (10_000, 0)
    with Ledger.read(tmp_path / "ledger") as ledger:
        assert ledger.counts() == {"quick": {"target": 10_000}}
    assert grown < 30_000  # kB
    over = progress.elapsed / (10_000 * 0.02 / 2)
    tally.note(f"{100 * (over - 1):.1f} % over the trials' own time, {grown / 1000:.1f} MB more")
    assert over < 1.5, "other load on the machine does not explain so much"


# The peak of the process itself: `ru_maxrss` has that of the one that started it, too.
LONG_RUN = """
from pathlib import Path
from longlag.sweeps.trial import train, trial
changes = {"min_length": 100_000, "batch_size": 16, "max_iterations": 2, "test_every": 1}
one = trial("robust", 0, "auto", fresh=20, test_size=40, **changes)
train(one.settings, one.seed, "auto")
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in lines if line.startswith("VmHWM")).split()[1])
"""


def test_a_training_at_100_000_steps_stays_under_1_gigabyte() -> None:
    if engine.choose("auto").name != "native":
        pytest.skip("the reference would take minutes")
    words = [sys.executable, "-c", LONG_RUN]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=surroundings())
    assert int(done.stdout) < 1_000_000  # kB
