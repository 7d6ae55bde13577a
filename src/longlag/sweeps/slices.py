"""On-line trials in a sweep: side by side, in one slice of time after another.

A slice begins and ends with the trials' states, so that another worker, the same sweep started
again, or one with a larger budget can compute the next. A state is the content of an .npz: that of
`OnlineLearner.state`, and

    diverged     ()  whether the weights would not have stayed finite
    seconds      ()  the trial's share of the time of the slices so far
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from longlag import files
from longlag.learning.side_by_side import Trials
from longlag.learning.training import Training
from longlag.sweeps.trial import failure, now, outcome, recipe_of, row_of, unfinished

THREADS = 2  # one learns, one draws the next data


def perform_slice(
    work: Mapping[str, Any],
    seeds: Sequence[int],
    states: Sequence[bytes | None],
    seconds: float,
) -> list[dict[str, Any]]:
    """Trains trials for at most so many seconds.

    Args:
        work: the fields of a Trial that they share.
        seeds: a trial each.
        states: of the trials; None at the start. A trial whose state does not fit starts again.
        seconds: of the slice.

    Returns:
        Their rows; of those that are not at their end with status `unfinished`. After an exception
        their rows have the status `failed`.
    """
    started, start = now(), time.perf_counter()
    try:
        found = _learn(work["settings"], seeds, work["engine"], states, seconds)
    except (Exception, SystemExit) as error:
        found = [failure(error)] * len(seeds)
    share = (time.perf_counter() - start) / len(seeds)
    return [row_of(work, seed, started, share, one) for seed, one in zip(seeds, found, strict=True)]


def _learn(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    engine: str,
    states: Sequence[bytes | None],
    seconds: float,
) -> list[dict[str, Any]]:
    start = time.perf_counter()
    made, fresh = recipe_of(settings)
    trials = Trials(made, seeds, engine, THREADS)
    before = [0.0] * len(seeds)
    for k, state in enumerate(states):
        try:
            before[k] = restore(trials.trainings[k], state)
        except files.DamagedFile:
            trials.trainings[k] = Training(made, seeds[k], trials.engine)
    with closing(trials.rounds()) as rounds:
        for _ in rounds:
            if time.perf_counter() - start > seconds:
                break
    found = [_found(training, fresh) for training in trials.trainings]
    share = (time.perf_counter() - start) / len(seeds)
    return [
        {**one, "seconds": own + share, "state": _state(training, own + share)}
        for training, one, own in zip(trials.trainings, found, before, strict=True)
    ]


def _found(training: Training, fresh: int) -> dict[str, Any]:
    """The row of a trial."""
    if training.stopped_by is not None:
        return outcome(training.run(), fresh)
    return unfinished(training)


def _state(training: Training, seconds: float) -> bytes:
    diverged = np.array(training.stopped_by == "diverged")
    own = {"diverged": diverged, "seconds": np.array(seconds)}
    return files.packed({**training.learner.state(), **own})


def restore(training: Training, state: bytes | None) -> float:
    """Restores a training from a trial's state; returns the seconds that it took so far.

    Raises:
        DamagedFile: it is no state of such a training.
    """
    if state is None:
        return 0.0
    with files.damage_named(Path("state")):
        arrays = files.unpacked(state)
        seconds, diverged = float(arrays.pop("seconds")), bool(arrays.pop("diverged"))
        training.go_on(arrays, diverged)
    return seconds
