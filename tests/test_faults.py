"""Trainings and their files: killed, several at once, on full disks, without dependencies"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from conftest import Disk
from fuzzing import LEDGER, SWEEP, TINY, TRIALS, digests, inline_workers, within
from longlag import cli
from longlag.kernel import load_kernel
from longlag.runs import checkpoint as checkpoints
from longlag.runs import directory as runs
from longlag.runs import session
from reliability import Tally

TRAINING = (
    *("train", "--engine", "numpy", "--min-length", "20", "--batch-size", "4", "--test-size", "40"),
    *("--test-every", "100", "--max-iterations", "1000", "--quiet"),
)


class Started:
    """A command in a process of its own, which saves its state many times.

    before_write: called before every file that it puts into place or removes.
    """

    def __init__(self, *words: object, before_write: Callable[[], None] | None = None) -> None:
        context = multiprocessing.get_context("fork")  # quick: numpy is there already
        with tempfile.NamedTemporaryFile(delete=False) as said:
            self.said = Path(said.name)
        arguments = ([str(word) for word in words], self.said, before_write)
        self.process = context.Process(target=_run, args=arguments)
        self.process.start()

    def end(self) -> tuple[int | None, str]:
        """Exit status and standard error, at the end."""
        self.process.join(timeout=300)
        err = self.said.read_text()
        self.said.unlink()
        return self.process.exitcode, err


def _run(words: list[str], said: Path, before_write: Callable[[], None] | None) -> None:
    quiet, err = os.open(os.devnull, os.O_WRONLY), os.open(said, os.O_WRONLY)
    sys.stdout, sys.stderr = os.fdopen(quiet, "w"), os.fdopen(err, "w", buffering=1)
    session.CHECKPOINT_SECONDS = 0.02
    if before_write is not None:
        replace, unlink = os.replace, Path.unlink

        def renamed(*names: Path | str) -> None:
            before_write()
            replace(*names)

        def removed(path: Path, missing_ok: bool = False) -> None:
            if path.exists():
                before_write()
            unlink(path, missing_ok)

        os.replace, Path.unlink = renamed, removed  # type: ignore[method-assign]
    os._exit(cli.main(words))


def finished(*words: object, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own; changes: of the environment, None to unset."""
    environment = {**os.environ, **{k: v for k, v in changes.items() if v is not None}}
    for name in [name for name, value in changes.items() if value is None]:
        environment.pop(name, None)
    command = [sys.executable, "-m", "longlag.cli", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def bits(directory: Path) -> dict[str, bytes]:
    """All of a run that its recipe and seed determine."""
    history = json.loads((directory / runs.HISTORY).read_text())
    assert history.pop("elapsed_sec") > 0
    return {
        "history": json.dumps(history, sort_keys=True).encode(),
        **{name: (directory / name).read_bytes() for name in (runs.WEIGHTS, runs.SNAPSHOTS)},
    }


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit status, standard output and standard error of a command."""

    def called(*words: object) -> tuple[int, str, str]:
        with inline_workers():
            status = cli.main([str(word) for word in words])
        return status, *capsys.readouterr()

    return called


def one_sentence(err: str) -> None:
    assert err.count("\n") == 1, err
    assert err.startswith("longlag: ")


# -- kill -9 --------------------------------------------------------------------------------------


@pytest.mark.survives(
    "`kill -9` of `train` at random moments, resumed until it is finished",
    "the same bits as an undisturbed training: weights, snapshots, history",
)
@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.long)])
def test_a_training_killed_at_random_moments(tmp_path: Path, kills: int, tally: Tally) -> None:
    chance, expected, trained = random.Random(8), {}, 0
    while tally.times < kills:
        seed, directory = trained % 2, tmp_path / str(trained)
        if seed not in expected:
            whole = tmp_path / f"whole{seed}"
            assert Started(*TRAINING, "--seed", seed, "--save-dir", whole).end() == (0, "")
            expected[seed] = bits(whole)
        words, trained = [*TRAINING, "--seed", seed, "--save-dir", directory], trained + 1
        while not (directory / runs.HISTORY).exists():
            resume = ["--resume"] if (directory / runs.CHECKPOINT).exists() else []
            training = Started(*words, *resume)
            if tally.times < kills:
                tally.add(killed(training.process, directory, chance))
            assert training.end() in ((0, ""), (-signal.SIGKILL, ""))
        assert bits(directory) == expected[seed]


def killed(process: BaseProcess, directory: Path, chance: random.Random) -> bool:
    """Kills a training at any moment; whether it still lived."""
    before = _state(directory)
    while chance.random() < 0.99 and process.is_alive() and _state(directory) == before:
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.2))
    alive = process.is_alive()
    process.kill()
    return alive


def _state(directory: Path) -> float:
    path = directory / runs.CHECKPOINT
    return path.stat().st_mtime if path.exists() else 0.0


@pytest.mark.survives(
    "`kill -9` of a training that replaces a finished run, between any two of its last writes",
    "the old run, the new run, or an unfinished training; never the files of both",
)
def test_the_files_of_two_runs_never_pass_for_one(tmp_path: Path, call: Call, tally: Tally) -> None:
    """The process is ended before it puts the first file into place or removes one, or before the
    second, and so on."""
    old, new = ("--seed", "0"), ("--seed", "1", "--overwrite")
    assert call("train", *TINY, *old, "--save-dir", tmp_path / "old")[0] == 0
    assert call("train", *TINY, *new, "--save-dir", tmp_path / "new")[0] == 0
    whole = {name: bits(tmp_path / name) for name in ("old", "new")}
    for write in count(1):
        directory = tmp_path / str(write)
        assert call("train", *TINY, *old, "--save-dir", directory)[0] == 0
        words = ("train", *TINY, *new, "--save-dir", directory)
        status, err = Started(*words, before_write=killing(at=write)).end()
        assert (status, err) in ((0, ""), (-signal.SIGKILL, ""))
        tally.add(status == -signal.SIGKILL)
        if (directory / runs.HISTORY).exists():
            runs.load(directory)
            assert bits(directory) in whole.values()
        else:
            assert call("train", "--resume", "--save-dir", directory)[0] == 0
            assert bits(directory) == whole["new"]
        if status == 0:
            break
    assert tally.times >= 6


def test_what_a_killed_process_left_half_written_is_no_obstacle(tmp_path: Path, call: Call) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    left = [directory / ".checkpoint.npz.k3x_1q", directory / ".longlag-4711"]
    for path in left:
        path.write_bytes(b"PK")
    words = ("train", *TINY, "--save-dir", directory)
    assert call(*words)[0] == 0
    assert not any(path.exists() for path in left)
    (directory / ".history.json.notes").write_bytes(b"{")
    assert call(*words, "--overwrite")[0] == 0
    assert sorted(path.name for path in directory.iterdir()) == sorted(runs.RUN_FILES)


def killing(at: int) -> Callable[[], None]:
    """Kills its process when called for that time."""
    times = count(1)

    def call() -> None:
        if next(times) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return call


# -- two processes --------------------------------------------------------------------------------


@pytest.mark.survives(
    "a second `train` in the directory of one that runs: plain, `--resume`, `--overwrite`",
    "refused; the first ends with the same bits as an undisturbed training",
)
def test_a_second_process_is_refused(tmp_path: Path, call: Call, tally: Tally) -> None:
    directory, whole = tmp_path / "run", tmp_path / "whole"
    long = [*TRAINING, "--max-iterations", "2500"]
    first = Started(*long, "--save-dir", directory)
    while not (directory / runs.CHECKPOINT).exists():
        assert first.process.is_alive()
        time.sleep(0.002)
    os.kill(first.process.pid or 0, signal.SIGSTOP)  # so that it cannot end meanwhile
    try:
        for flag in ([], ["--resume"], ["--overwrite"]):
            words = long[:1] if flag == ["--resume"] else long
            status, out, err = call(*words, *flag, "--save-dir", directory, "--quiet")
            assert (status, out) == (2, "")
            one_sentence(err)
            assert "another process is training into" in err or "unfinished training" in err
            tally.add()
    finally:
        os.kill(first.process.pid or 0, signal.SIGCONT)
    assert first.end() == (0, "")
    assert Started(*long, "--save-dir", whole).end() == (0, "")
    assert bits(directory) == bits(whole)


@pytest.mark.survives(
    "several `train` started together in one directory", "one trains, the others are refused"
)
@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.long)])
def test_of_several_started_together_one_trains(tmp_path: Path, times: int, tally: Tally) -> None:
    for time_ in range(times):
        directory = tmp_path / str(time_)
        long = [*TRAINING, "--max-iterations", "4000", "--save-dir", directory]
        together = [Started(*long, "--seed", seed) for seed in range(3)]
        outcomes = [training.end() for training in together]
        statuses = [status for status, _ in outcomes]
        assert sorted(statuses) == [0, 2, 2], outcomes
        assert runs.load(directory).seed == statuses.index(0)
        for status, err in outcomes:
            if status == 2:
                one_sentence(err)
        tally.add()


# -- a read-only file system ----------------------------------------------------------------------

READING = (
    ("evaluate", "run", "--n", "20"),
    ("compare", "run", "other", "--n", "20"),
    ("ledger", "show", LEDGER),
    ("ledger", "export", LEDGER),
    ("animate", "run", "--n-frames", "2", "--out", "{elsewhere}/new.gif"),
    ("figures", "run", "--out", "{elsewhere}/figures"),
)
WRITING = (
    ("train", *TINY, "--save-dir", "new"),
    ("train", *TINY, "--save-dir", "run"),
    ("train", "--resume", "--save-dir", "unfinished"),
    ("figures", "run"),
    ("animate", "run", "--n-frames", "2"),
    ("ledger", "export", LEDGER, "--out", "new.csv"),
    ("study", "seeds", *SWEEP, "--out", "sweep"),
    ("study", "seeds", *SWEEP, "--out", "{elsewhere}/sweep", "--ledger", LEDGER),
    ("study", "table8", *TRIALS, "--out", "new"),
    ("study", "movement", "--quick", "--out", "new"),
)


@pytest.mark.survives(
    "every command on a file system that is mounted read-only",
    "what reads works; what writes is refused before any work, in one sentence",
)
def test_a_read_only_file_system(
    disk: Disk, furnished: Path, tmp_path: Path, call: Call, tally: Tally
) -> None:
    copy(furnished, disk.path)
    disk.read_only()
    with within(disk.path):
        held = digests(".")
        for words in READING:
            status, _, err = call(*filled(words, tmp_path))
            assert status == 0, (words, err)
            tally.add()
        for words in WRITING:
            status, out, err = call(*filled(words, tmp_path))
            assert (status, out) == (2, ""), (words, err)
            one_sentence(err)
            assert "Read-only file system" in err or "cannot write the ledger" in err
            tally.add()
        assert digests(".") == held


def copy(source: Path, into: Path) -> None:
    subprocess.run(["cp", "-r", f"{source}/.", str(into)], check=True)


def filled(words: tuple[str, ...], elsewhere: Path) -> list[str]:
    return [word.format(elsewhere=elsewhere) for word in words]


# -- a full disk ----------------------------------------------------------------------------------

WRITERS = (
    ("train", *TINY, "--save-dir", "new"),
    ("train", *TINY, "--save-dir", "run", "--seed", "5", "--overwrite"),
    ("train", "--resume", "--save-dir", "unfinished", "--quiet"),
    ("figures", "run"),
    ("animate", "run", "--n-frames", "2"),
    ("ledger", "export", LEDGER, "--out", "new.csv"),
    ("study", "seeds", *SWEEP, "--lengths", "30", "--out", "sweep", "--seed", "5"),
    ("study", "seeds", *SWEEP, "--lengths", "30", "--out", "another"),
    ("study", "table8", *TRIALS, "--out", "new"),
    ("study", "movement", "--quick", "--out", "new"),
)


@pytest.mark.survives(
    "every command that writes, on a full disk (a small tmpfs), and again with room",
    "one sentence, nothing lost, nothing half-written; the second time it does its work",
)
@pytest.mark.parametrize("words", WRITERS, ids=lambda words: " ".join(words[:2]))
def test_a_full_disk(words: tuple[str, ...], disk: Disk, furnished: Path, call: Call) -> None:
    copy(furnished, disk.path)
    with within(disk.path):
        held = digests(".")
        disk.fill()
        status, out, err = call(*words)
        disk.free()
        assert status in (1, 2), (words, status, err)
        assert out == ""
        said = [line for line in err.splitlines() if line.startswith("longlag: ")]
        assert len(said) == 1, err
        assert "Traceback" not in err
        assert re.search("space left|disk is full|is the disk full", said[0]), said
        assert "a file could not be used" not in said[0]  # but which
        after = digests(".")
        left = {name for name in after if name not in held} - {f"{LEDGER}.lock"}
        assert {name: after[name] for name in held} == held
        assert not [name for name in left if not Path(name).name.startswith("ledger.sqlite")], left
        status, _, err = call(*words)
        assert status == 0, err


@pytest.mark.survives(
    "a disk that fills up while a training saves its state",
    "one sentence; with room, resumed to the same bits as an undisturbed training",
)
def test_a_disk_that_fills_up_during_a_training(disk: Disk, tmp_path: Path, call: Call) -> None:
    disk.resize(80)  # kB: room for the first states, not for all of a run
    directory, whole = disk.path / "run", tmp_path / "whole"
    status, err = Started(*TRAINING, "--save-dir", directory).end()
    assert status == 1
    one_sentence(err)
    assert "No space left on device" in err
    assert runs.HISTORY not in [path.name for path in directory.iterdir()]
    disk.resize(4000)
    assert checkpoints.load(directory).state["iteration"] > 0
    assert call("train", "--resume", "--save-dir", directory, "--quiet")[0] == 0
    assert call(*TRAINING, "--save-dir", whole)[0] == 0
    assert bits(directory) == bits(whole)


# -- something missing ----------------------------------------------------------------------------


@pytest.mark.survives("`figures` and `animate` without a display", "they draw all the same")
@pytest.mark.parametrize("backend", [None, "TkAgg"])
def test_a_missing_display(
    backend: str | None, furnished: Path, tmp_path: Path, tally: Tally
) -> None:
    surroundings = {"DISPLAY": None, "WAYLAND_DISPLAY": None, "MPLBACKEND": backend}
    commands = [("animate", furnished / "run", "--n-frames", "2", "--out", tmp_path / "a.gif")]
    if backend == "TkAgg":
        commands.append(("figures", furnished / "run", "--out", tmp_path))
    for words in commands:
        done = finished(*words, **surroundings)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        tally.add()
    assert (tmp_path / "a.gif").read_bytes()[:3] == b"GIF"


EXTRAS = (
    *("torch", "onnx", "onnxruntime", "safetensors", "jax", "numba", "pyarrow", "pandas"),
    "IPython",
)


@pytest.mark.survives(
    "every extra missing", "all else works; what needs one says which, and how to install it"
)
def test_missing_extras(
    furnished: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in EXTRAS]:
        monkeypatch.delitem(sys.modules, name)
    for name in EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(furnished)
    for words in (
        ("doctor",),
        ("train", *TINY, "--save-dir", tmp_path / "run"),
        *READING[:4],
        ("study", "seeds", *SWEEP, "--lengths", "30", "--out", tmp_path / "sweep"),
        ("study", "lag", *SWEEP, "--lengths", "30", "--out", tmp_path / "lag"),
    ):
        status, _, err = call(*words)
        assert status == 0, (words, err)
        tally.add()
    words = ("ledger", "export", LEDGER, "--format", "parquet", "--out", "x")
    status, _, err = call(*words)
    assert status == 2, (words, err)
    one_sentence(err)
    assert "pip install 'longlag[parquet]'" in err
    tally.add()


@pytest.mark.survives(
    "a processor without AVX2 (`LONGLAG_ISA=baseline`), and one that is asked for what it lacks",
    "the kernel's baseline agrees with the reference; what is lacking is refused",
)
def test_a_processor_without_avx2(tmp_path: Path, tally: Tally) -> None:
    kernel = load_kernel()
    if kernel is None:
        pytest.skip("there is no kernel")
    least = kernel.isas()[-1]  # baseline, or neon
    words = ["train", *TINY, "--test-size", "200"]
    scores = {}
    for name, changes in (("native", {"LONGLAG_ISA": least}), ("numpy", {})):
        done = finished(
            *words, "--engine", name, "--save-dir", tmp_path / name, "--json", **changes
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["isa"] == (least if name == "native" else None)
        scores[name] = result["score"]["mse"]
        tally.add()
    np.testing.assert_allclose(scores["native"], scores["numpy"], rtol=1e-3)
    for lacking in ("avx10", "none", " "):
        done = finished("doctor", LONGLAG_ISA=lacking)
        assert (done.returncode, done.stdout) == (2, "")
        one_sentence(done.stderr)
        assert "LONGLAG_ISA must be one of" in done.stderr
        tally.add()
