"""What the fuzz tests share: files to read, and a command called under watch."""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import importlib.util
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longlag import cli, runs, sweeps
from longlag.training import Training
from longlag.trial import perform

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
TRIALS = ("--quick", "--trials", "2", "--max-sequences", "300", "--threads", "1")
ONLINE = (
    *("--recipe", "paper", "--min-length", "12", "--engine", "numpy", "--max-sequences", "300"),
    *("--window", "20", "--test-size", "20", "--quiet"),
)
STATE = "trials/state.npz"
LEDGER = "sweep/ledger.sqlite"
EXECUTED = "executed"  # what code hidden in a file would create


@dataclass(frozen=True)
class Outcome:
    """What a command did; `interrupted` by the watchdog."""

    status: Any
    out: str
    err: str
    interrupted: bool


def exports() -> dict[str, str]:
    """A file of every format that can be written here, by the format."""
    needs = {"safetensors": ("safetensors",), "torch": ("torch",), "onnx": ("onnx",)}
    found = [name for name, modules in needs.items() if all(map(_imported, modules))]
    return {name: f"exports/run.{name}" for name in found}


def _imported(module: str) -> bool:
    """Imports a module, which takes more memory than a command may."""
    if importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
    return module in sys.modules


def furnish(directory: Path) -> None:
    """Writes a small example of everything that longlag reads."""
    with within(directory), inline_workers():
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
        runs.save_checkpoint(session_, Path("unfinished"))


def _training(settings: Mapping[str, Any]) -> Training:
    from longlag import engine, recipe

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

    class Inline:
        def __init__(self, workers: int) -> None:
            processes(workers)  # checks the number

        def rows(self, work: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
            for task in work:
                short = {k: SHORT.get(k, value) for k, value in task["settings"].items()}
                row = perform({**task, "settings": short})
                yield [{**row, "settings": task["settings"], "key": task["key"]}]

    processes = sweeps.Processes
    sweeps.Processes = Inline  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        sweeps.Processes = processes


def call(words: Sequence[str], seconds: float = SECONDS) -> Outcome:
    """Calls a command, with bounded memory, interrupted where it takes long.

    An exception that the command lets through is a traceback for its user, and comes through here.
    """
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="\n")
    redirected = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with bounded_memory(), watched(words, seconds) as fired, redirected[0], redirected[1]:
        try:
            status: Any = cli.main(list(words))
        except SystemExit as stop:  # --help
            status = stop.code or 0
        except KeyboardInterrupt:
            if not fired:
                raise
            status = 130
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return Outcome(status, *texts, bool(fired))


@contextlib.contextmanager
def watched(words: Sequence[str], seconds: float) -> Iterator[list[float]]:
    """Presses Ctrl-C after some seconds, and every second from then on.

    A hang ends the tests, and leaves the command and where it stood in hang-*.txt.
    """
    fired: list[float] = []

    def interrupt(*_: object) -> None:
        fired.append(seconds)
        signal.raise_signal(signal.SIGINT)

    def lost(found: sys.UnraisableHookArgs) -> None:  # in a destructor; the next one will do
        if not (fired and isinstance(found.exc_value, KeyboardInterrupt)):
            report(found)

    report, sys.unraisablehook = sys.unraisablehook, lost
    before = signal.signal(signal.SIGALRM, interrupt)
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # as behind `command &`
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    told = Path(tempfile.gettempdir()) / f"hang-{os.getpid()}.txt"
    with told.open("w") as file:
        print(f"{words!r}"[:5000], file=file, flush=True)
        faulthandler.dump_traceback_later(seconds + HANG, exit=True, file=file)
        try:
            yield fired
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGALRM, before)
            signal.signal(signal.SIGINT, ignored)
            sys.unraisablehook = report
            told.unlink()


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
    if outcome.status == 0 and "--json" in words and "--help" not in words:
        json.loads(outcome.out, parse_constant=_no_constant)


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def digests(*roots: str) -> dict[str, str]:
    """Of every file below some directories."""
    paths = (path for root in roots for path in Path(root).rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
