"""Summaries of a ledger's trials, by group: success rates, and trials paired by seed.

A trial is *solved* where its recipe's own stopping rule ended it (status `target`); one that failed
or is unfinished has no result and does not count. With the same task, batch size and distance of
tests, trials of the same seed learn from the same sequences: two groups are best compared seed by
seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from longlag import checks
from longlag.learning.recipe import recipe
from longlag.statistics import bootstrap_mean, clopper_pearson
from longlag.sweeps.trial import UNFINISHED


class Outcome(NamedTuple):
    """How a trial ended, after how many training sequences, and why it failed, if it did."""

    seed: int
    status: str
    sequences: int | None
    error: str | None = None


@dataclass(frozen=True)
class Group:
    """Trials that agree in `about`, by name."""

    about: Mapping[str, Any]
    outcomes: list[Outcome]

    @property
    def results(self) -> list[Outcome]:
        """Of the trials that did not fail."""
        return [trial for trial in self.outcomes if trial.status != "failed"]

    @property
    def failures(self) -> list[str]:
        """Why the others failed, one by one."""
        return [str(trial.error) for trial in self.outcomes if trial.status == "failed"]

    @property
    def distinct(self) -> bool:
        """Whether no two results are of the same seed."""
        return len({trial.seed for trial in self.results}) == len(self.results)

    @property
    def solved(self) -> list[Outcome]:
        """Of the trials that their own rule ended."""
        return [trial for trial in self.outcomes if trial.status == "target"]

    @property
    def sequences(self) -> list[int]:
        """Training sequences of the solved trials."""
        return [trial.sequences for trial in self.solved if trial.sequences is not None]

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the success rate."""
        n = len(self.results)
        return clopper_pearson(len(self.solved), n) if n else (0.0, 1.0)

    def as_dict(self) -> dict[str, Any]:
        """For JSON. The rate, and the median and range of the solved trials' sequences, are None
        of nothing."""
        n, found = len(self.results), self.sequences
        ends = [trial.status for trial in self.outcomes]
        return {
            "about": dict(self.about),
            "trials": n,
            "solved": len(found),
            "rate": len(found) / n if n else None,
            "interval": self.interval,
            "sequences": {
                "median": float(np.median(found)) if found else None,
                "min": min(found, default=None),
                "max": max(found, default=None),
            },
            **{end: ends.count(end) for end in ("max_iterations", "diverged", "failed")},
        }


def groups(rows: Iterable[Mapping[str, Any]], by: Sequence[str] = ()) -> list[Group]:
    """The trials of a ledger by group, in the order in which the groups first occur.

    Args:
        rows: from `Ledger.outcomes`.
        by: what tells groups apart: settings, `recipe`, `engine`, or `version` (of the code).
            Where none is given, recipe, network, task, version, and so many settings, of those
            that differ, that no two trials of a group differ in anything but their seeds.

    Raises:
        ValueError: a name that no trial has; the nearest is suggested.
    """
    trials = [row for row in rows if row["status"] != UNFINISHED]
    abouts = _abouts(trials)
    kinds = _distinct(abouts)
    names = dict.fromkeys(name for about in kinds for name in about)
    for name in by:
        if trials and name not in names:
            raise ValueError(f"no trial has {name!r}{checks.nearest(name, names)}")
    by = by or _telling(kinds)
    found: dict[str, Group] = {}
    of: dict[int, Group] = {}
    for about in kinds:
        own = {name: about.get(name) for name in by}
        of[id(about)] = found.setdefault(repr(own), Group(own, []))
    for about, row in zip(abouts, trials, strict=True):
        of[id(about)].outcomes.append(Outcome(*_ended(row)))
    return list(found.values())


def telling(rows: Sequence[Mapping[str, Any]], told: Sequence[str] = ()) -> list[str]:
    """The settings in which trials differ, `recipe` first.

    Args:
        rows: from `Ledger.outcomes`.
        told: settings that are known already; those that follow from them are left out.
    """
    return _telling(_distinct(_abouts(rows)), told)


def _telling(abouts: Sequence[Mapping[str, Any]], known: Sequence[str] = ()) -> list[str]:
    """As many of the names as are needed to tell all kinds of trials apart."""
    names = dict.fromkeys(name for about in abouts for name in about)
    first = [name for name in recipe("robust").settings() if name in names]  # T before 1.1 T
    told = ["recipe"]
    kinds = [repr([about.get(name) for name in ("recipe", *known)]) for about in abouts]
    # A cell or task of the user's is named rather than the digest of its file in the version.
    for name in dict.fromkeys(["network", "task", "version", *first, *names]):
        finer = [f"{k} {about.get(name)!r}" for k, about in zip(kinds, abouts, strict=True)]
        if name in names and name not in ("recipe", "engine") and len(set(finer)) > len(set(kinds)):
            told, kinds = [*told, name], finer
    return told


def _abouts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each row is about; rows that share their settings share that."""
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    found = []
    for row in rows:
        own = _first(row)
        key = (own, id(row["settings"]))
        if key not in known:
            known[key] = {**dict(zip(FIRST, own, strict=True)), **row["settings"]}
        found.append(known[key])
    return found


def _distinct(abouts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({id(about): about for about in abouts}.values())


FIRST = ("recipe", "engine", "version")
_first, _ended = itemgetter(*FIRST), itemgetter(*Outcome._fields)


@dataclass(frozen=True)
class Pairs:
    """Two groups on the seeds for which both have a result.

    both, first, second, neither: seeds solved by both groups, by one of them alone, by none;
    gains: of the seeds solved by both, the training sequences that the first needed fewer.
    """

    both: int
    first: int
    second: int
    neither: int
    gains: list[int]

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the share of the first group in the seeds that only one solved.

        It holds 1/2 as long as chance can be the reason (the exact test of McNemar 1947).
        """
        one = self.first + self.second
        return clopper_pearson(self.first, one) if one else (0.0, 1.0)

    @property
    def gain_interval(self) -> tuple[float, float]:
        """Bootstrap 95 % interval of the mean of the gains; NaN of nothing."""
        return bootstrap_mean(self.gains)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `gain` is the mean of the gains, None of nothing."""
        counts = {name: getattr(self, name) for name in ("both", "first", "second", "neither")}
        gain = float(np.mean(self.gains)) if self.gains else None
        ends = self.gain_interval
        return {**counts, "interval": self.interval, "gain": gain, "gain_interval": ends}


def pairs(first: Group, second: Group) -> Pairs:
    """Compares two groups seed by seed.

    Raises:
        ValueError: a group that has a seed twice: it holds trials of several kinds.
    """
    for group in (first, second):
        if not group.distinct:
            raise ValueError(
                f"a seed occurs twice among the trials of {dict(group.about)}: "
                "tell groups apart by more names"
            )
    other = {trial.seed: trial for trial in second.results}
    common = [(trial, other[trial.seed]) for trial in first.results if trial.seed in other]
    ends = [(a.status == "target", b.status == "target") for a, b in common]
    gains = [
        b.sequences - a.sequences
        for a, b in common
        if a.status == b.status == "target" and a.sequences is not None and b.sequences is not None
    ]
    return Pairs(
        both=ends.count((True, True)),
        first=ends.count((True, False)),
        second=ends.count((False, True)),
        neither=ends.count((False, False)),
        gains=gains,
    )
