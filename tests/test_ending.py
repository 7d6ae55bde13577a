"""How commands end: by a signal, without a reader of what they print, on a plain terminal."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import longlag
from longlag import signals
from longlag.cli.exit import exit_status
from longlag.learning import judging
from longlag.runs import directory as runs

LONGLAG = f"{shlex.quote(sys.executable)} -m longlag"
SHORT = "train --engine numpy --min-length 12 --batch-size 4 --max-iterations 60 --test-every 20"
LONG = "train --engine numpy --min-length 30 --batch-size 4 --max-iterations 100000"


def shell(line: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-uo", "pipefail", "-c", line]
    return subprocess.run(
        words,
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )


# -- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", signals.ENDING)
def test_any_command_ends_with_a_word_and_the_signals_status(number: int, tmp_path: Path) -> None:
    words = [sys.executable, "-c", WAITING]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, b"longlag: interrupted\n")


WAITING = """
import sys, time
from longlag.cli.exit import exit_status
def command():
    print("waiting", flush=True)
    time.sleep(300)
sys.exit(exit_status("longlag", command))
"""


@pytest.mark.parametrize("code", [3, "no GPU here"])
def test_a_module_that_ends_the_program_is_named(code: int | str, capsys) -> None:
    assert exit_status("longlag", lambda: sys.exit(code)) == 2
    err = capsys.readouterr().err
    assert err == f"longlag: a module of yours ends the program, by sys.exit({code!r})\n"


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As under nohup: the end of the terminal is no end of the training."""
    ignoring = [sys.executable, "-c", f"import signal; {IGNORING}", *shlex.split(LONG)]
    process = subprocess.Popen(
        [*ignoring, "--save-dir", "run"], cwd=tmp_path, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "checkpoint.npz").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"--resume continues" in err


IGNORING = (
    "signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    "import sys; from longlag import cli; sys.exit(cli.main())"
)


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in signals.ENDING]
    with signals.signals_raised(), signals.signals_noted() as noted:
        assert noted() == 0
        signal.raise_signal(signal.SIGTERM)
        assert noted() == signal.SIGTERM
        with pytest.raises(signals.Ended) as ended:
            signal.raise_signal(signal.SIGHUP)
        assert ended.value.number == signal.SIGHUP
    assert [signal.getsignal(number) for number in signals.ENDING] == before


def test_a_signal_during_a_finalizer_ends_the_command_too() -> None:
    """Python ignores what is raised there."""

    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def waits() -> int:
        Finalized()
        time.sleep(60)
        return 0

    def ends() -> int:
        Finalized()
        return 0

    started = time.monotonic()
    assert [exit_status("longlag", command) for command in (waits, ends)] == [130, 130]
    assert time.monotonic() - started < 30


# -- nobody reads ---------------------------------------------------------------------------------


def test_a_reader_of_messages_that_leaves_ends_no_training(tmp_path: Path) -> None:
    done = shell(f"{LONGLAG} {SHORT} --save-dir run 2>&1 | head -c 0", tmp_path)
    assert done.stderr == ""
    assert runs.load(tmp_path / "run").iterations == 60


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_without_standard_error_the_result_is_the_same(closed: str, tmp_path: Path) -> None:
    done = shell(f"{LONGLAG} {SHORT} --json --save-dir run {closed}", tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["iterations"] == 60


def test_a_terminal_that_goes_loses_messages_alone(tmp_path: Path) -> None:
    """A bar is drawn on the terminal; then its other end is closed, and no signal comes."""
    ours, theirs = os.openpty()
    words = [*shlex.split(f"{LONGLAG} {SHORT}"), "--max-iterations", "3000", "--save-dir", "run"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        assert os.read(ours, 100)
        os.close(ours)
        assert process.wait(120) == 0
    assert runs.load(tmp_path / "run").stopped_by == "target"


# -- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
def test_no_output_depends_on_the_consoles_encoding(encoding: str, tmp_path: Path) -> None:
    lines = [
        f"{SHORT} --quiet --save-dir run",
        "evaluate run --n 50",
        "figures run",
        "explore run --out é.html",
        "compare run run",
        "run in é",
        "study movement --quick --out movement",
        "study table8 --trials 1 --quick --out table8",
        "ledger show table8/ledger.sqlite",
        "doctor",
        "--help",
    ]
    (tmp_path / "é").mkdir()
    for line in lines:
        plain = shell(f"{LONGLAG} {line}", tmp_path, PYTHONIOENCODING=encoding, LC_ALL="C.UTF-8")
        assert "codec" not in plain.stderr, line
        assert "Traceback" not in plain.stderr, line
        assert plain.returncode in (0, 2), (line, plain.stderr)


def test_files_are_utf8_whatever_the_locale(tmp_path: Path) -> None:
    """Python warns of text that is read or written in the locale's encoding."""
    strict = f"{shlex.quote(sys.executable)} -X warn_default_encoding -W always::EncodingWarning"
    for line in (
        f"{SHORT} --quiet --save-dir run",
        "evaluate run --n 50",
        "figures run",
        "explore run",
        "study seeds --trials 1 --quick --out seeds",
        "doctor",
        "bench --help",
    ):
        done = shell(f"{strict} -m longlag {line}", tmp_path)
        assert done.returncode == 0, (line, done.stderr)
        assert not re.search(r"longlag/\S+: EncodingWarning", done.stderr), (line, done.stderr)


# -- how much at a time ---------------------------------------------------------------------------


def test_evaluating_more_sequences_takes_no_more_memory(tmp_path: Path) -> None:
    shell(f"{LONGLAG} {SHORT} --quiet --save-dir run", tmp_path)
    peaks = []
    for n in (400_000, 4_000_000):
        done = shell(f"{shlex.quote(sys.executable)} -c '{PEAK}' {n}", tmp_path)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.05 * peaks[0]


PEAK = """
import resource, sys, longlag
longlag.evaluate("run", n=int(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_scores_are_joined_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    task, observed = longlag.task("multiplication", min_length=12), []

    def answer(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return inputs[:, 0, 0]

    monkeypatch.setattr(judging, "PREDICTION_VALUES", 2**10)
    whole = judging.on_fresh(answer, task, 1000, 0, observed.append)
    assert observed[-1] == 1000
    assert len(observed) > 10
    monkeypatch.setattr(judging, "PARTS", 3)
    parts = judging.on_fresh(answer, task, 1000, 0)
    assert parts.wrong == whole.wrong
    assert parts.mse == pytest.approx(whole.mse, rel=1e-12)
    assert parts.mae == pytest.approx(whole.mae, rel=1e-12)


def test_a_step_that_ends_soon_is_not_interrupted() -> None:
    with signals.signals_noted() as noted:
        with noted.raised():
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.05)
        time.sleep(2 * signals.GRACE)
        assert noted() == signal.SIGTERM
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_step_that_takes_long_is_interrupted() -> None:
    def step() -> None:
        with noted.raised():
            signal.raise_signal(signal.SIGTERM)
            time.sleep(60)

    with signals.signals_noted() as noted, pytest.raises(signals.Ended) as ended:
        step()
    assert ended.value.number == noted() == signal.SIGTERM
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
