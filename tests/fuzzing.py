"""What the fuzz tests share: files to read, and a command called under watch."""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import importlib.util
import io
import json
import multiprocessing
import os
import pkgutil
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import longlag
from longlag import bench, cli
from longlag.learning.training import Training
from longlag.runs import checkpoint as checkpoints
from longlag.sweeps import executor
from longlag.sweeps.bundles import Row, Supply
from longlag.version import CODE_VERSION

SECONDS = 3.0  # a command that takes longer is interrupted, as a user would
HANG = 120.0  # and must then end within this
MEMORY = 3 * 2**30  # bytes of address space that a command may add

TINY = (
    *("--min-length", "12", "--hidden", "3", "--batch-size", "4", "--engine", "numpy"),
    *("--max-iterations", "20", "--test-every", "10", "--test-size", "20", "--quiet"),
)
SHORT = {
    **{"min_length": 12, "max_length": 13, "hidden": 2, "batch_size": 2, "fresh": 10},
    **{"max_iterations": 2, "test_every": 1, "test_size": 10},
}
SWEEP = ("--quick", "--trials", "1", "--max-sequences", "80", "--engine", "numpy")
TRIALS = ("--quick", "--trials", "2", "--max-sequences", "300")
ONLINE = (
    *("--recipe", "paper", "--min-length", "12", "--engine", "numpy", "--max-sequences", "300"),
    *("--window", "20", "--test-size", "20", "--quiet"),
)
TRIALS_LEDGER = "trials/ledger.sqlite"
LEDGER = "sweep/ledger.sqlite"
EXECUTED = "executed"  # what code hidden in a file would create

# All that a command may import, so that neither its seconds nor its memory go there.
OTHERS = ("matplotlib.pyplot", "torch", "onnx", "onnxruntime", "safetensors.torch")
OURS = [part.name for part in pkgutil.walk_packages(longlag.__path__, "longlag.")]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([*OURS, *OTHERS])


@dataclass(frozen=True)
class Outcome:
    """What a command did; `interrupted` by the watchdog."""

    status: Any
    out: str
    err: str
    interrupted: bool


def exports() -> dict[str, str]:
    """A file of every format that can be written here, by the format."""
    found = filter(importlib.util.find_spec, ("safetensors", "torch", "onnx"))
    return {name: f"exports/run.{name}" for name in found}


def furnish(directory: Path) -> None:
    """Writes a small example of everything that longlag reads."""
    with within(directory):
        for words in (
            ["train", *TINY, "--save-dir", "run"],
            ["train", *TINY, "--save-dir", "other", "--seed", "1", "--output", "sigmoid"],
            ["train", *ONLINE, "--save-dir", "online"],
            *(["export", "run", "--format", k, "--out", path] for k, path in exports().items()),
            ["study", "seeds", *SWEEP, "--lengths", "30", "--out", "sweep"],
            ["study", "table8", *TRIALS, "--out", "trials"],
        ):
            outcome = call(words, seconds=HANG)
            assert outcome.status == 0, outcome.err
        Path("unfinished").mkdir()
        Path("empty").mkdir()
        Path("foreign").mkdir()
        Path("foreign/notes.txt").write_text("not longlag's")
        settings = {"min_length": 12, "hidden": 3, "max_iterations": 20, "test_every": 5}
        session_ = _training({**settings, "test_size": 20})
        checkpoints.save(session_, Path("unfinished"))


def _training(settings: Mapping[str, Any]) -> Training:
    from longlag import recipe
    from longlag.learning import engine

    training = Training(recipe("robust", **settings), 3, engine.choose("numpy"))
    training.advance()
    assert training.stopped_by is None
    return training


@contextlib.contextmanager
def copied(furnished: Path) -> Iterator[Path]:
    """A copy of the files as the working directory, gone afterwards."""
    with tempfile.TemporaryDirectory(dir=furnished.parent) as made:
        shutil.copytree(furnished, made, dirs_exist_ok=True)
        with within(Path(made)):
            yield Path(made)


@contextlib.contextmanager
def within(directory: Path) -> Iterator[None]:
    """The directory as the working directory."""
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def inline_workers() -> Iterator[None]:
    """Sweeps whose trials are a few iterations each in this process: thousands must be quick."""

    def inline(
        supply: Supply, workers: int, scheduler: str | None, say: Callable[[str], None]
    ) -> Generator[list[Row], None, None]:
        if scheduler is not None:
            yield from rows(supply, workers, scheduler, say)
        while bundle := supply.take(workers):
            settings = bundle.work["settings"]
            short = {k: SHORT.get(k, value) for k, value in settings.items()}
            asked = (
                bundle
                if bundle.side_by_side
                else replace(bundle, work=bundle.work | {"settings": short})
            )
            answer = executor.carry_out(asked.text(), asked.states(), CODE_VERSION)
            found = executor.unpacked(answer)
            yield supply.came(bundle, [{**row, "settings": settings} for row in found])

    rows, executor.rows = executor.rows, inline
    try:
        yield
    finally:
        executor.rows = rows


def call(words: Sequence[str], seconds: float = SECONDS) -> Outcome:
    """Calls a command in a process of its own, its memory and its time bounded.

    Where it takes long it is interrupted. The process is forked from one that has imported
    everything, so that it starts at once; what the command does to it ends with it.

    Raises:
        AssertionError: an exception that the command lets through, a traceback for its user; a
            command that hangs; one that ends its process.
    """
    ours, theirs = FORKS.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile("r") as told, ours:
        process = FORKS.Process(target=_called, args=(theirs, words, seconds, told.name))
        process.start()
        theirs.close()
        try:
            reply = ours.recv() if ours.poll(seconds + 2 * HANG) else None
        except EOFError:
            reply = None
        finally:
            process.kill()
            process.join()
        if not isinstance(reply, Outcome):
            raise AssertionError(f"{words!r:.5000} gave no outcome: {reply or told.read()}")
        return reply


def _called(answer: Connection, words: Sequence[str], seconds: float, told: str) -> None:
    """The process of a command; a hang ends it, and leaves where it stood in a file."""
    warnings.simplefilter("error")
    bench.run = lambda against, quick: {"rows": [], "against": against}  # type: ignore[assignment]
    bench.render = str  # type: ignore[assignment]
    with open(told, "w") as file, inline_workers():
        faulthandler.enable(file)
        faulthandler.dump_traceback_later(seconds + HANG, exit=True, file=file)
        try:
            answer.send(_outcome(words, seconds))
        except BaseException:
            answer.send(traceback.format_exc())


def _outcome(words: Sequence[str], seconds: float) -> Outcome:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="\n")
    redirected = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with bounded_memory(), interrupted(seconds) as fired, redirected[0], redirected[1]:
        try:
            status: Any = cli.main(list(words))
        except SystemExit as stop:  # --help
            status = stop.code or 0
        except KeyboardInterrupt:
            if not fired:
                raise
            status = 130
    return Outcome(status, _written(out), _written(err), bool(fired))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


@contextlib.contextmanager
def interrupted(seconds: float) -> Iterator[list[float]]:
    """Presses Ctrl-C after some seconds, and every second from then on."""
    fired: list[float] = []

    def interrupt(*_: object) -> None:
        fired.append(seconds)
        signal.raise_signal(signal.SIGINT)

    def lost(found: sys.UnraisableHookArgs) -> None:  # in a destructor; the next one will do
        if not (fired and isinstance(found.exc_value, KeyboardInterrupt)):
            report(found)

    report, sys.unraisablehook = sys.unraisablehook, lost
    signal.signal(signal.SIGALRM, interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind `command &`
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield fired
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """An allocation beyond MEMORY fails, as on a machine that has no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def check(words: Sequence[str], outcome: Outcome) -> None:
    """What must hold of any command whatever it was given."""
    said = outcome.err.splitlines()
    shown = f"{words}: {outcome}"
    allowed = (0, 1, 2, 130) if outcome.interrupted else (0, 1, 2)
    assert outcome.status in allowed, shown
    if not outcome.interrupted:  # Ctrl-C in a destructor is Python's to report
        assert "Traceback" not in outcome.err, shown
    assert not Path(EXECUTED).exists(), shown
    if outcome.status == 2:
        assert outcome.out == "", shown
        assert len(said) == 1, shown
    if outcome.status in (1, 2):  # progress may stand before what went wrong
        assert said[-1].startswith("longlag: "), shown
        assert sum(line.startswith("longlag: ") for line in said) == 1, shown
    if outcome.status == 0 and "--json" in words and not {"-h", "--help"} & set(words):
        json.loads(outcome.out, parse_constant=_no_constant)


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def digests(*roots: str) -> dict[str, str]:
    """Of every file below some directories."""
    paths = (path for root in roots for path in Path(root).rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
