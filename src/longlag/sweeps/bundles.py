"""Bundles: trials that differ in their seeds alone, which one worker carries out together.

The number of trials in a bundle follows from how long trials of its kind took so far; the first
bundles of a kind have one trial. Trials that learn side by side are shared out among the workers
that are free; but half of the lanes are filled first, which take half of the time of all. Of more
trials than lanes, a waiting one takes the lane of one that has ended. They come back after a slice
of time, and unfinished ones are taken again; where all that are left fit into half of the lanes,
those that came back wait for the others, and go on together.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

from longlag.sweeps.trial import UNFINISHED, Trial, lost, sources

SECONDS = 1.0  # of work in a bundle
MOST = 500  # trials in a bundle
AHEAD = 400  # trials to read ahead, a worker
LIVES = 3  # workers that may die during a trial before it fails
SLICE_SECONDS = 5.0  # after which trials that learn side by side are saved
LONE_SECONDS = 30.0  # and other trainings, whose states are larger
KINDS = 1000  # of which it is remembered how long their trials take

Row = dict[str, Any]


class Member(NamedTuple):
    """What distinguishes a trial from the others of its bundle.

    key, lineage: in the ledger; state: where it stands, of one that has begun.
    """

    seed: int
    key: str
    lineage: str | None = None
    state: bytes | None = None


@dataclass(frozen=True)
class Bundle:
    """Trials that differ in their seeds alone.

    work: the fields that they share, as plain values; sources: of the user's files, as
    `trial.sources` gives them; kind: both as a text; side_by_side: whether they learn together;
    deaths: workers that died during it.
    """

    kind: str
    work: Mapping[str, Any]
    sources: Mapping[str, str]
    trials: Sequence[Member]
    side_by_side: bool = False
    deaths: int = 0

    def text(self) -> str:
        """What a worker needs of it besides states, as JSON."""
        return json.dumps(
            {
                "work": self.work,
                "sources": self.sources,
                "seeds": [trial.seed for trial in self.trials],
                "side_by_side": self.side_by_side,
                "seconds": SLICE_SECONDS if self.side_by_side else LONE_SECONDS,
            }
        )

    def states(self) -> list[bytes | None]:
        """The states of its trials."""
        return [trial.state for trial in self.trials]

    def singly(self) -> list[Bundle]:
        """Each of the trials in a bundle of its own."""
        return [replace(self, trials=[one]) for one in self.trials]

    def lost(self, reason: str) -> list[Row]:
        """The rows of trials whose results no worker returned."""
        return [
            {**lost({**self.work, "seed": one.seed}, reason), "seconds": None, "key": one.key}
            for one in self.trials
        ]


@dataclass
class _Kind:
    """Trials of one kind that wait, and how long those that came back took."""

    work: Mapping[str, Any]
    sources: Mapping[str, str]
    side_by_side: bool
    lanes: int
    waiting: deque[Member] = field(default_factory=deque)
    out: int = 0  # trials that workers have
    seconds: float = 0.0
    done: int = 0

    @property
    def rests(self) -> bool:
        """Whether those that wait are to go on with those that workers have."""
        return self.out > 0 and self.out + len(self.waiting) <= self.lanes // 2

    def size(self, workers: int, free: int, all_waiting: int) -> int:
        """Trials in a bundle for one of so many workers, of which so many are free."""
        if self.lanes > 1:
            halves = math.ceil(len(self.waiting) / (self.lanes / 2))
            size = math.ceil(len(self.waiting) / min(free, halves))
        elif not self.done:
            size = 1
        else:
            fitting = max(1, min(MOST, int(SECONDS * self.done / max(self.seconds, 1e-9))))
            size = min(fitting, math.ceil(all_waiting / (2 * workers)))
        return min(size, len(self.waiting))


class Supply:
    """The trials of a sweep on their way to the workers, in bundles; read as they are needed.

    Args:
        trials: with their keys, and the states that they go on from.
    """

    def __init__(self, trials: Iterator[tuple[str, Trial, bytes | None]]) -> None:
        self._trials = trials
        self._kinds: dict[str, _Kind] = {}
        self._open: dict[str, _Kind] = {}  # those of which trials wait, in the order given
        self._again: deque[Bundle] = deque()
        self.waiting: int = 0  # trials that were read and have not been taken

    def read(self, workers: int) -> int:
        """Reads some trials ahead, for so many workers; returns how many wait."""
        room = AHEAD * workers - self.waiting
        for key, trial, state in islice(self._trials, min(AHEAD, room) if room > 0 else 0):
            work = {**asdict(trial), "settings": dict(trial.settings)}
            member = Member(work.pop("seed"), key, trial.lineage, state)
            files = sources(work)
            name = json.dumps([work, files], sort_keys=True)
            if name not in self._kinds:
                self._kinds[name] = _Kind(work, files, trial.side_by_side, trial.lanes)
            self._open[name] = self._kinds[name]
            self._open[name].waiting.append(member)
            self.waiting += 1
        return self.waiting + sum(len(bundle.trials) for bundle in self._again)

    def take(self, workers: int, busy: int = 0) -> Bundle | None:
        """The next bundle for one of so many workers, of which some are busy; smaller towards the
        end; None after that."""
        if self._again:
            bundle = self._again.popleft()
            self._kinds[bundle.kind].out += len(bundle.trials)
            return bundle
        self.read(workers)
        name = next((name for name, kind in self._open.items() if not kind.rests), None)
        if name is None:
            return None
        kind = self._open[name]
        size = kind.size(workers, max(1, workers - busy), self.waiting)
        trials = [kind.waiting.popleft() for _ in range(size)]
        bundle = Bundle(name, kind.work, kind.sources, trials, kind.side_by_side)
        self.waiting -= size
        kind.out += size
        if not kind.waiting:
            del self._open[name]
        return bundle

    def again(self, bundle: Bundle) -> None:
        """Takes back a bundle that was not begun."""
        self._kinds[bundle.kind].out -= len(bundle.trials)
        self._again.append(bundle)

    def died(self, bundle: Bundle, workers: int, reason: str) -> list[Row]:
        """Takes back a bundle during which workers died; its trials are tried again one by one.

        Args:
            workers: how many.
            reason: of that, in words.

        Returns:
            The row of a trial that is not tried again, as too many workers died during it.
        """
        self._kinds[bundle.kind].out -= len(bundle.trials)
        deaths = bundle.deaths + workers
        if len(bundle.trials) > 1:
            self._again.extend(bundle.singly())
        elif deaths < LIVES:
            self._again.append(replace(bundle, deaths=deaths))
        else:
            self._forget(bundle.kind)
            return bundle.lost(f"{reason}, {deaths} times in a row")
        return []

    def came(self, bundle: Bundle, rows: Sequence[Row]) -> list[Row]:
        """Records a bundle that was carried out; its unfinished trials wait again.

        Returns:
            Its rows, with their keys in the ledger.
        """
        if bundle.side_by_side and len(rows) > 1 and rows[0]["status"] == "failed":
            return self.died(bundle, 0, "")  # they failed together, by one of them
        kind, left = self._kinds[bundle.kind], []
        kind.out -= len(bundle.trials)
        for row, trial in zip(rows, bundle.trials, strict=True):
            if row.get("status") == UNFINISHED and isinstance(row["state"], bytes):
                left.append(trial._replace(state=row["state"]))
            if isinstance(row["seconds"], (int, float)) and row["seconds"] >= 0:
                kind.seconds += row["seconds"]
                kind.done += 1
        if left:
            self._open = {bundle.kind: kind, **self._open}  # what has begun goes first
            kind.waiting.extendleft(reversed(left))
            self.waiting += len(left)
        self._forget(bundle.kind)
        return [
            {**row, "key": trial.key, "lineage": trial.lineage}
            for row, trial in zip(rows, bundle.trials, strict=True)
        ]

    def _forget(self, name: str) -> None:
        """Drops a kind of which no trials are left, where many are known: a sweep may have millions
        of kinds."""
        if len(self._kinds) <= KINDS:
            return
        kind = self._kinds[name]
        if not (kind.waiting or kind.out or any(bundle.kind == name for bundle in self._again)):
            del self._kinds[name]
