"""Bundles: trials alike but for their seeds, which one worker carries out in one go.

How many trials make a bundle follows from how long those of its kind took so far: a kind of which
nothing is known yet starts with bundles of one.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

from longlag.sweeps.trial import Trial, lost

SECONDS = 1.0  # of work in a bundle
MOST = 500  # trials in a bundle
AHEAD = 400  # trials to read ahead, a worker
LIVES = 3  # workers that a trial may take down with it

Row = dict[str, Any]


class Seed(NamedTuple):
    """What tells a trial from the others of its bundle: its seed, and its key in the ledger."""

    seed: int
    key: str


@dataclass(frozen=True)
class Bundle:
    """Trials alike but for their seeds.

    work: the fields that they share, as plain values; kind: the same as a text; deaths: workers
    that died at it.
    """

    kind: str
    work: Mapping[str, Any]
    trials: Sequence[Seed]
    deaths: int = 0

    def text(self) -> str:
        """What a worker needs of it, as JSON."""
        return json.dumps({"work": self.work, "seeds": [seed for seed, _ in self.trials]})

    def singly(self) -> list[Bundle]:
        """Each of the trials in a bundle of its own."""
        return [replace(self, trials=[one]) for one in self.trials]

    def lost(self, reason: str) -> list[Row]:
        """The rows of trials that no worker brought back."""
        return [
            {**lost({**self.work, "seed": seed}, reason), "seconds": None, "key": key}
            for seed, key in self.trials
        ]


@dataclass
class _Kind:
    """Trials of one kind that wait, and how long those that came back took."""

    work: Mapping[str, Any]
    waiting: deque[Seed] = field(default_factory=deque)
    seconds: float = 0.0
    done: int = 0

    @property
    def fitting(self) -> int:
        """Trials in a bundle, by their mean duration."""
        if not self.done:
            return 1
        return max(1, min(MOST, int(SECONDS * self.done / max(self.seconds, 1e-9))))


class Supply:
    """The trials of a sweep on their way to the workers, in bundles; read as they are needed.

    Args:
        trials: with their keys.
    """

    def __init__(self, trials: Iterator[tuple[str, Trial]]) -> None:
        self._trials = trials
        self._kinds: dict[str, _Kind] = {}
        self._open: dict[str, _Kind] = {}  # those of which trials wait, in the order given
        self._again: deque[Bundle] = deque()
        self.waiting = 0  # trials that were read and have not been taken

    def read(self, workers: int) -> int:
        """Reads some trials ahead, for so many workers; returns how many wait."""
        room = AHEAD * workers - self.waiting
        for key, trial in islice(self._trials, min(AHEAD, room) if room > 0 else 0):
            work = {**asdict(trial), "settings": dict(trial.settings)}
            seed = Seed(work.pop("seed"), key)
            name = json.dumps(work, sort_keys=True)
            kind = self._open[name] = self._kinds.setdefault(name, _Kind(work))
            kind.waiting.append(seed)
            self.waiting += 1
        return self.waiting + sum(len(bundle.trials) for bundle in self._again)

    def take(self, workers: int) -> Bundle | None:
        """The next bundle for one of so many workers, smaller towards the end; None after that."""
        if self._again:
            return self._again.popleft()
        if not self.read(workers):
            return None
        name, kind = next(iter(self._open.items()))
        size = min(kind.fitting, math.ceil(self.waiting / (2 * workers)), len(kind.waiting))
        bundle = Bundle(name, kind.work, [kind.waiting.popleft() for _ in range(size)])
        self.waiting -= size
        if not kind.waiting:
            del self._open[name]
        return bundle

    def died(self, bundle: Bundle, workers: int) -> list[Row]:
        """Takes back a bundle at which workers died; its trials are tried again one by one.

        Returns:
            The row of a trial that is not: it took too many workers with it.
        """
        deaths = bundle.deaths + workers
        if len(bundle.trials) > 1:
            self._again.extend(bundle.singly())
        elif deaths < LIVES:
            self._again.append(replace(bundle, deaths=deaths))
        else:
            return bundle.lost(f"its worker died, {deaths} times in a row")
        return []

    def note(self, bundle: Bundle, seconds: float) -> None:
        """How long a bundle's trials took together."""
        kind = self._kinds[bundle.kind]
        kind.seconds += seconds
        kind.done += len(bundle.trials)
