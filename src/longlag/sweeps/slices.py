"""Trials in one slice of time after another; on-line ones side by side.

A slice begins and ends with the states of its trials, so that another worker or the same sweep
started again can compute the next. A state is the content of an .npz: of an on-line trial that of
`OnlineLearner.state`, from which a trial with a larger budget can go on, too, and

    diverged     ()  whether the weights would not have stayed finite
    seconds      ()  the trial's share of the time of the slices so far

Of any other it is that of `Training.state` without the snapshots, while the trial has not ended:
its arrays, and

    rest       (N,)  bytes of JSON, the other values
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from longlag import files
from longlag.learning.side_by_side import Trials
from longlag.learning.training import Training, begin
from longlag.sweeps.trial import (
    TRAIN,
    UNFINISHED,
    failure,
    now,
    outcome,
    perform,
    performed,
    recipe_of,
    row_of,
)

THREADS = 2  # one learns, one draws the next data
NO_SNAPSHOTS = {
    "snapshot_iterations": np.zeros(0, np.int64),
    "snapshots": np.zeros((0, 0), np.float32),
}


def perform_slice(work: Mapping[str, Any], state: bytes | None, seconds: float) -> dict[str, Any]:
    """Carries out a trial: a training for at most so many seconds, any other function to its end.

    Args:
        work: the fields of a Trial.
        state: of the trial; None at the start.

    Returns:
        Its row; of one that is not at its end with status `unfinished`, after an exception with
        status `failed`.
    """
    if work["function"] != TRAIN:
        return perform(work)
    return performed(work, lambda: _train(work, state, time.perf_counter() + seconds))


def _train(work: Mapping[str, Any], state: bytes | None, end: float) -> dict[str, Any]:
    made, fresh = recipe_of(work["settings"])
    training = begin(made, work["seed"], engine=work["engine"])
    if state is not None:
        arrays = files.unpacked(state)
        training.restore({**json.loads(arrays.pop("rest").tobytes()), **arrays})
    while training.stopped_by is None:
        training.advance()
        if training.stopped_by is None and time.perf_counter() > end:
            about = {"seconds": training.elapsed, "state": _whole_state(training)}
            return {**_found(training, fresh), **about}
    return _found(training, fresh)


def _whole_state(training: Training) -> bytes:
    state = {**training.state(), **NO_SNAPSHOTS}
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    rest = json.dumps({name: value for name, value in state.items() if name not in arrays})
    return files.packed({**arrays, "rest": np.frombuffer(rest.encode(), np.uint8)})


# -- side by side ---------------------------------------------------------------------------------


def perform_together(
    work: Mapping[str, Any],
    seeds: Sequence[int],
    states: Sequence[bytes | None],
    seconds: float,
) -> list[dict[str, Any]]:
    """Trains on-line trials side by side for at most so many seconds.

    Args:
        work: the fields of a Trial that they share.
        seeds: a trial each.
        states: of the trials; None at the start.
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
    before = [restore(*both) for both in zip(trials.trainings, states, strict=True)]
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
    """What a trial's row says of it, at its end or before."""
    if training.stopped_by is not None:
        return outcome(training.run(), fresh)
    about = {"engine": training.engine.name, "isa": training.engine.isa}
    sequences = training.iteration * training.recipe.batch_size
    return {"status": UNFINISHED, "sequences": sequences, **about}


def _state(training: Training, seconds: float) -> bytes:
    diverged = np.array(training.stopped_by == "diverged")
    own = {"diverged": diverged, "seconds": np.array(seconds)}
    return files.packed({**training.learner.state(), **own})


def restore(training: Training, state: bytes | None) -> float:
    """Restores a training from a trial's state; returns the seconds that it took so far.

    Raises:
        LookupError, ValueError: it is no state of such a training.
    """
    if state is None:
        return 0.0
    arrays = files.unpacked(state)
    seconds, diverged = float(arrays.pop("seconds")), bool(arrays.pop("diverged"))
    training.go_on(arrays, diverged)
    return seconds
