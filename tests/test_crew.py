"""What a sweep says of its workers, and to which it gives trials."""

from __future__ import annotations

from typing import Any

import pytest

from longlag import progress as words
from longlag.sweeps.crew import DEAD_SECONDS, Crew
from longlag.sweeps.sweep import Progress
from longlag.version import CODE_VERSION


class Watched:
    """A crew that is looked at every second; beats: when its scheduler has heard of workers."""

    def __init__(self) -> None:
        self.crew, self.now, self.said = (
            Crew("the scheduler", "dask worker a", 0.0),
            0.0,
            list[str](),
        )
        self.beats: dict[str, float] = {}
        self.more: dict[str, dict[str, Any]] = {}
        self.jump = 0.0

    def add(self, worker: str, version: object = CODE_VERSION, **more: Any) -> None:
        self.beats[worker], self.more[worker] = 0.0, more
        self.look()
        self.say(self.crew.told(worker, version))

    def say(self, sentence: str | None) -> None:
        self.said += [sentence] if sentence else []

    def look(self) -> list[str]:
        told = {"nthreads": 1, "status": "running", "memory_limit": 150e6, "metrics": {}}
        found = {w: {**told, "last_seen": beat, **self.more[w]} for w, beat in self.beats.items()}
        return list(self.crew.look(found, self.now))

    def passes(self, seconds: int, *, silent: str = "", frozen: bool = False) -> list[str]:
        """What is said in so many seconds, in which a worker or the scheduler is silent."""
        before = len(self.said)
        for _ in range(seconds):
            self.now += 1
            for worker in self.beats.keys() - {silent}:
                self.beats[worker] = self.now + self.jump
            if not frozen:
                self.look()
            self.said += self.crew.news(self.now)
        return self.said[before:]

    def ready(self) -> list[str]:
        return [worker.address for worker in self.crew.ready()]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_scheduler_that_is_silent_is_named_and_rarely_again(watched: Watched) -> None:
    watched.add("a")
    assert watched.passes(14, frozen=True) == []
    (said,) = watched.passes(2, frozen=True)
    assert said.startswith("no answer from the scheduler for 15 s: the sweep waits; Ctrl-C ends")
    assert watched.passes(290, frozen=True) == []
    assert len(watched.passes(20, frozen=True)) == 1
    assert watched.passes(600) == []


def test_where_no_worker_is_the_command_that_starts_one_is_said(watched: Watched) -> None:
    assert watched.passes(14) == []
    (said,) = watched.passes(2)
    assert "no worker that can be given trials: start one with `dask worker a`" in said
    assert watched.passes(290) == []
    watched.add("a")
    assert watched.passes(600) == []
    assert watched.ready() == ["a"]


def test_a_silent_worker_gets_no_trials_and_loses_those_it_has(watched: Watched) -> None:
    watched.add("a")
    watched.add("b")
    (said,) = watched.passes(20, silent="b")
    assert (
        said
        == "the worker b has not been heard of for 15 s: after 120 s its trials are given to others"
    )
    assert watched.ready() == ["a"]
    assert watched.crew.holds("b")
    (said,) = watched.passes(int(DEAD_SECONDS), silent="b")
    assert said == "the worker b has not been heard of for 120 s: its trials are given to others"
    assert not watched.crew.holds("b")
    watched.passes(1)
    assert watched.ready() == ["a", "b"], "it is back"


def test_a_clock_that_jumps_makes_no_worker_silent(watched: Watched) -> None:
    watched.add("a")
    for watched.jump in (-3600.0, 3600.0):
        assert watched.passes(300) == []
        assert watched.ready() == ["a"]


def test_a_sweep_that_stood_still_itself_takes_no_worker_for_dead(watched: Watched) -> None:
    watched.add("a")
    watched.passes(1)
    watched.now += 4000
    assert watched.look() == []
    assert watched.ready() == ["a"]


def test_a_paused_worker_is_named(watched: Watched) -> None:
    watched.add("a", status="paused", metrics={"memory": 130e6})
    said = watched.passes(20)
    assert (
        "the worker a takes no trials: Dask has paused it, for it uses 130 MB of 150 MB" in said[0]
    )
    assert watched.ready() == []


def test_a_paused_worker_keeps_the_trial_that_it_is_at_and_no_other(watched: Watched) -> None:
    for worker, executing in (("busy", {"executing": 1}), ("idle", {"memory": 1})):
        watched.add(worker, status="paused", metrics={"task_counts": executing})
    watched.passes(10)
    assert watched.crew.holds("idle")
    watched.passes(10)
    assert not watched.crew.holds("idle")
    assert watched.crew.holds("busy")


def test_a_worker_that_cannot_do_the_work_is_named_and_left_out(watched: Watched) -> None:
    watched.add("good")
    assert watched.ready() == ["good"]
    watched.add("old", "0.0.9")
    watched.add("bare", ModuleNotFoundError("No module named 'numpy'", name="numpy"))
    watched.add("odd", AttributeError("no such thing"))
    old, bare, odd = watched.said
    assert old.startswith(f"the worker old has longlag 0.0.9, and needs longlag {CODE_VERSION}, as")
    assert old.endswith("install the same version everywhere; until then it is given no trials")
    assert bare.startswith("the worker bare has no module numpy, and needs longlag")
    assert "the worker odd cannot tell its version (AttributeError: no such thing)" in odd
    watched.passes(100)
    assert watched.ready() == ["good"]


def test_a_sweep_none_of_whose_workers_can_do_the_work_is_refused(watched: Watched) -> None:
    watched.beats, watched.more = {"old": 0.0, "good": 0.0}, {"old": {}, "good": {}}
    assert watched.look() == ["old", "good"]
    assert watched.crew.told("old", "0.0.9"), "the other may still answer"
    with pytest.raises(ValueError, match=r"the worker good has longlag 0\.0\.8, and needs"):
        watched.crew.told("good", "0.0.8")


def test_a_worker_that_cannot_be_reached_is_asked_again_and_named_once(watched: Watched) -> None:
    watched.add("a", ConnectionRefusedError("refused"))
    assert watched.said == []
    for _ in range(5):
        assert watched.look() == ["a"]
        watched.say(watched.crew.told("a", ConnectionRefusedError("refused")))
    assert watched.said == ["the worker a cannot be reached by its scheduler: refused"]


def test_an_estimate_gives_way_to_the_time_without_a_result() -> None:
    progress = Progress(10)
    progress.elapsed = 20.0
    progress.count({"key": "a", "status": "target"})
    assert words.trials(progress) == "1 of 10 trials done, 3:00 left"
    progress.elapsed = 75.0
    assert words.trials(progress) == "1 of 10 trials done, 11:15 left"
    progress.elapsed = 85.0
    assert words.trials(progress) == "1 of 10 trials done, none has ended for 1:05"


def test_what_a_sweep_notes_is_said_once_and_no_line_twice(capsys, monkeypatch) -> None:
    monkeypatch.setattr(words, "LOG_SECONDS", -1.0)
    monkeypatch.setattr(words, "_has_bars", lambda: False)
    progress = Progress(10)
    with words.of_sweep() as observe:
        observe(progress)
        progress.notes.append("no worker\nis there")
        observe(progress)
        observe(progress)
    assert capsys.readouterr().err == "0 of 10 trials done\nno worker\\nis there\n"
