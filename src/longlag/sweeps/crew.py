"""The workers of a sweep, as their scheduler tells of them: which can be given trials, and what is
to be said of those that cannot.

Bookkeeping alone: what was seen, and the time, are arguments; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from longlag.version import CODE_VERSION

NOTICE_SECONDS = 15.0  # until what is waited for is said
AGAIN_SECONDS = 300.0  # between two times that the same is said
DEAD_SECONDS = 120.0  # until the trials of a worker that is not heard of are given to others
TIMES_ASKED = 2  # until a worker that cannot be reached is named
MOST_BETWEEN = (
    2.0  # seconds of silence that two looks can prove: this process may have been stopped
)


@dataclass
class Spell:
    """Something that lasts: it is said after NOTICE_SECONDS, and rarely again."""

    since: float
    due: float = field(init=False)

    def __post_init__(self) -> None:
        self.due = self.since + NOTICE_SECONDS

    def is_due(self, now: float) -> bool:
        """Whether it is to be said now."""
        if now < self.due:
            return False
        self.due = now + AGAIN_SECONDS
        return True

    def seconds(self, now: float) -> str:
        """How long it has lasted, in words."""
        return f"{round(now - self.since)} s"


@dataclass
class Worker:
    """One of them.

    threads: trials that it takes at a time; beat: when its scheduler has heard of it, by a clock
    that may jump; silent: seconds for which that has not changed; idle: seconds for which it has
    been paused and at no trial; version: of its longlag, once it has told, or why it cannot tell.
    """

    address: str
    threads: int
    beat: object = None
    silent: float = 0.0
    paused: bool = False
    idle: float = 0.0
    memory: str = ""
    version: object = None
    asking: bool = False  # for its version
    asked: int = 0  # times
    spell: Spell | None = None

    @property
    def dead(self) -> bool:
        return self.silent >= DEAD_SECONDS

    @property
    def sound(self) -> bool:
        """Whether it can still finish a trial."""
        return self.version == CODE_VERSION and not self.dead

    @property
    def ready(self) -> bool:
        """Whether it may be given a trial."""
        return self.sound and not self.paused and self.silent < NOTICE_SECONDS

    def trouble(self, now: float) -> str | None:
        """The message about it that is due now, if any."""
        if self.silent < NOTICE_SECONDS and not self.paused:
            self.spell = None
            return None
        self.spell = self.spell or Spell(now - self.silent)
        if not self.spell.is_due(now):
            return None
        if self.silent < NOTICE_SECONDS:
            return (
                f"the worker {self.address} takes no trials: Dask has paused it, for it uses "
                f"{self.memory}; start it with a larger --memory-limit"
            )
        heard = f"the worker {self.address} has not been heard of for {round(self.silent)} s"
        if self.dead:
            return f"{heard}: its trials are given to others"
        return f"{heard}: after {DEAD_SECONDS:.0f} s its trials are given to others"


class Crew:
    """All of them.

    Args:
        who: to be named where nobody answers.
        start: the command that starts a worker; None where that is not the user's to do.
        now: the time; all times are seconds of a clock that does not jump.
    """

    def __init__(self, who: str, start: str | None, now: float) -> None:
        self.who: str = who
        self.start: str | None = start
        self.workers: dict[str, Worker] = {}
        self.worked: bool = False  # whether one was ever ready
        self._looked = now
        self._no_answer, self._idle = Spell(now), Spell(now)

    def look(self, found: Mapping[str, Mapping[str, Any]], now: float) -> Iterator[str]:
        """Records the workers that the scheduler reports; returns those whose version is to be
        asked.

        Args:
            found: by address, what the scheduler tells of each.
        """
        between = min(now - self._looked, MOST_BETWEEN)
        self._looked, self._no_answer = now, Spell(now)
        known, self.workers = self.workers, {}
        for address, told in found.items():
            worker = known.get(address) or Worker(address, told["nthreads"])
            self.workers[address] = worker
            _take_note(worker, told, between)
        if any(worker.sound for worker in self.workers.values()):
            self._idle = Spell(now)
        for worker in self.workers.values():
            if worker.version is None and not worker.asking:
                worker.asking, worker.asked = True, worker.asked + 1
                yield worker.address

    def told(self, address: str, version: object) -> str | None:
        """Records a worker's version, or why it is not known; returns the message about it, if any.

        Raises:
            ValueError: none of the workers can be used, and none could so far.
        """
        worker = self.workers.get(address)
        if worker is None:
            return None
        worker.asking = False
        if isinstance(version, OSError):  # it has just ended, or its scheduler cannot reach it
            again = f"the worker {address} cannot be reached by its scheduler: {version}"
            return again if worker.asked == TIMES_ASKED else None
        worker.version = version
        if version == CODE_VERSION:
            return None
        if not self.worked and all(self._unfit(other) for other in self.workers.values()):
            raise ValueError(unfit(address, version))
        return f"{unfit(address, version)}; until then it is given no trials"

    @staticmethod
    def _unfit(worker: Worker) -> bool:
        return worker.version not in (None, CODE_VERSION)

    def ready(self) -> list[Worker]:
        """Those that may be given trials."""
        found = [worker for worker in self.workers.values() if worker.ready]
        self.worked = self.worked or bool(found)
        return found

    def lost(self, address: str) -> None:
        """Records that a worker has died, before the scheduler reports it."""
        self.workers.pop(address, None)

    def holds(self, address: str) -> bool:
        """Whether a worker is still working on the trials that it was given, or will be."""
        worker = self.workers.get(address)
        return worker is not None and not worker.dead and worker.idle < NOTICE_SECONDS

    def news(self, now: float) -> Iterator[str]:
        """The messages that are due now, a sentence each."""
        if self._no_answer.is_due(now):
            yield (
                f"no answer from {self.who} for {self._no_answer.seconds(now)}: the sweep waits; "
                "Ctrl-C ends it, and the same command continues from there"
            )
        for worker in self.workers.values():
            if said := worker.trouble(now):
                yield said
        if now - self._looked < NOTICE_SECONDS and self._idle.is_due(now):
            yield self._nobody()

    def _nobody(self) -> str:
        if self.start is None:
            return f"{self.who}: none is at work, and the sweep waits for one to start again"
        return (
            f"{self.who} has no worker that can be given trials: start one with `{self.start}`; "
            "the sweep continues when one connects"
        )


def _take_note(worker: Worker, told: Mapping[str, Any], between: float) -> None:
    """Of what the scheduler tells of a worker, so many seconds after it did so last."""
    was_dead = worker.dead
    worker.silent = worker.silent + between if told["last_seen"] == worker.beat else 0.0
    worker.beat, worker.paused = told["last_seen"], told["status"] == "paused"
    used, most = told["metrics"].get("memory", 0), told["memory_limit"]
    # Dask lets a paused worker end what it has begun, and it begins nothing.
    busy = told["metrics"].get("task_counts", {"executing": 1}).get("executing", 0)
    worker.idle = worker.idle + between if worker.paused and not busy else 0.0
    worker.memory = f"{used / 1e6:.0f} MB of {most / 1e6:.0f} MB"
    if worker.dead and not was_dead:
        worker.spell = None  # reported at once


def unfit(address: str, version: object) -> str:
    """The message about a worker that cannot carry trials out.

    Args:
        version: of its longlag, or what it raised when it was asked.
    """
    if isinstance(version, ModuleNotFoundError) and version.name:
        has = f"has no module {version.name}"
    elif isinstance(version, BaseException):
        has = f"cannot tell its version ({type(version).__name__}: {version})"
    else:
        has = f"has longlag {version}"
    return (
        f"the worker {address} {has}, and needs longlag {CODE_VERSION}, as here, and what that "
        "requires: install the same version everywhere"
    )
