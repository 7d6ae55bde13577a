"""Progress and callbacks of the Python calls: what they show, hear and leave as it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tqdm.notebook import tqdm_notebook

import longlag
from longlag import progress
from longlag.learning.training import begin
from longlag.sweeps.sweep import Progress

FEW = longlag.recipe("robust", min_length=20, max_length=22, hidden=4, max_iterations=100)


class Heard(list[Any]):
    """A callback that keeps what a function makes of what it is called with."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.of = of

    def __call__(self, event: Any) -> None:
        self.append(self.of(event))


@pytest.fixture(params=[True, False], ids=["terminal", "log"])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether standard error is a terminal of 80 columns; else it is a file."""
    monkeypatch.setattr(progress, "LOG_MOST", -1.0)  # a line is always due
    if request.param:
        become_a_terminal(monkeypatch)
    return request.param


def become_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.MESSAGES, "isatty", lambda: True, raising=False)
    for name, value in (("COLUMNS", "81"), ("LINES", "25")):  # tqdm leaves the last column free
        monkeypatch.setenv(name, value)


def drawn(err: str) -> list[str]:
    """What a terminal showed, one drawing of a line after another."""
    return [line for line in re.split(r"[\r\n]", err.replace("\x1b[A", "")) if line.strip()]


# -- a training ---------------------------------------------------------------------------------


def test_a_training_shows_its_progress(terminal: bool, capsys) -> None:
    longlag.train(FEW, 3, progress=True)
    lines = drawn(capsys.readouterr().err)
    assert ("seed 3: 100 of at most 100" if terminal else "iteration 100: train MSE") in lines[-1]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("under_way", "count", "says"), [(2.0, 2, None), (2.5, 2, "50% of iteration 3")]
)
def test_a_bar_counts_whole_iterations_and_tells_of_a_part_of_one(
    under_way: float, count: int, says: str | None, capsys, monkeypatch
) -> None:
    become_a_terminal(monkeypatch)
    training = begin(FEW)
    training.under_way = under_way
    with progress.of_training() as observe:
        observe(training)
    last = drawn(capsys.readouterr().err)[-1]
    assert f" {count} of at most 100" in last
    assert re.findall(r"\d+% of iteration \d+", last) == ([says] if says else [])


def test_a_callback_hears_of_every_step_and_changes_nothing(capsys) -> None:
    heard = Heard(lambda training: (training.iteration, len(training.losses)))
    run = longlag.train(FEW, callback=heard)
    assert heard == sorted(set(heard))
    assert heard[-1] == (run.iterations, run.iterations)
    assert {iteration for iteration, _ in run.history.tests} <= {
        iteration for iteration, _ in heard
    }
    np.testing.assert_array_equal(run.history.train_losses, longlag.train(FEW).history.train_losses)
    assert capsys.readouterr().err == "", "without progress nothing is shown"


def test_what_a_callback_raises_ends_the_training() -> None:
    class Enough(Exception):
        pass

    def stop(training: Any) -> None:
        raise Enough

    with pytest.raises(Enough):
        longlag.train(FEW, progress=True, callback=stop)


# -- an evaluation ------------------------------------------------------------------------------


def test_an_evaluation_tells_how_many_sequences_are_answered(terminal: bool, capsys) -> None:
    run, heard, n = longlag.train(FEW), Heard(int), 100_000
    score = longlag.evaluate(run, n, progress=True, callback=heard)
    assert score == longlag.evaluate(run, n)
    assert heard == sorted(set(heard))
    assert len(heard) > 1
    assert heard[-1] == n
    err = capsys.readouterr().err
    if not terminal:  # there a bar is drawn only where it takes more than a second
        assert " of 100,000 sequences" in err


# -- a study ------------------------------------------------------------------------------------


def test_a_study_shows_its_trials_and_the_time_left(terminal: bool, tmp_path: Path, capsys) -> None:
    heard = Heard(lambda at: (at.total, at.skipped + at.done))
    asked = {"trials": 2, "quick": True, "workers": 1, "out": tmp_path}
    longlag.study("seeds", progress=True, callback=heard, **asked)
    total = heard[0][0]
    assert heard[-1] == (total, total)
    assert heard == sorted(heard)
    lines = drawn(capsys.readouterr().err)
    assert f"{total} of {total} trials" in lines[-1]
    assert any(re.search(r"\d+:\d\d left", line) for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_bar_begins_again_with_the_next_sweep_of_a_study(capsys, monkeypatch) -> None:
    become_a_terminal(monkeypatch)
    with progress.of_sweep() as observe:
        observe(Progress(3, done=3, elapsed=1.0))
        observe(Progress(5, done=1, elapsed=1.0))
        observe(Progress(5, skipped=5))
    last = drawn(capsys.readouterr().err)[-1]
    assert "5 of 5 trials" in last


def test_a_bar_says_what_it_knows_within_80_columns(capsys, monkeypatch) -> None:
    become_a_terminal(monkeypatch)
    at = Progress(10_000, skipped=1000, done=3000, failed=12, elapsed=400_000.0)
    at.latest = at.elapsed
    with progress.of_sweep() as observe:
        observe(at)
    last = drawn(capsys.readouterr().err)[-1]
    assert len(last) <= 80
    assert last.startswith("4000 of 10000 trials |")
    assert last.endswith("12 failed, 220:53:39 left")


# -- notebooks ----------------------------------------------------------------------------------


def test_in_a_notebook_a_bar_is_the_notebooks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bar(tqdm_notebook):
        """What `tqdm.auto` gives in a notebook; not drawn here."""

        made = 0

        def __init__(self, *given: Any, **named: Any) -> None:
            type(self).made += 1
            super().__init__(*given, **{**named, "disable": True})

    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    run = longlag.train(FEW, progress=True)
    longlag.evaluate(run, 10, progress=True)
    assert Bar.made == 2


# -- what an evaluation refuses -----------------------------------------------------------------


def test_a_task_of_other_inputs_is_refused_before_any_sequence_is_drawn() -> None:
    run, heard = longlag.train(FEW), Heard(int)
    with pytest.raises(ValueError, match=r"^task must have 2 inputs and 1 outputs, as the run's"):
        longlag.evaluate(run, 10, task=longlag.task("copy"), callback=heard)
    assert heard == []
