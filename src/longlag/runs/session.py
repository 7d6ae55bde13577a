"""A training that lives in a run directory: checkpoints, interrupts, resumption."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longlag import checks
from longlag.kernel import load_kernel
from longlag.learning.recipe import recipe
from longlag.learning.training import (
    INITIAL,
    LEARNER,
    Observer,
    Run,
    Training,
    begin,
    ignore,
)
from longlag.runs import checkpoint as checkpoints
from longlag.runs import directory as runs
from longlag.runs.contents import built
from longlag.signals import Ended, signals_noted

CHECKPOINT_SECONDS = 5.0  # at most so much work is lost when the process is killed


class Interrupted(Exception):
    """A signal stopped the training; its state is saved.

    Attributes:
        training: as it is saved.
        number: of the signal.
    """

    def __init__(self, training: Training, number: int) -> None:
        super().__init__("interrupted")
        self.training: Training = training
        self.number: int = number


@dataclass(frozen=True)
class Request:
    """What the user asked for; None and absent settings were left open.

    recipe and settings as for `longlag.recipe`; engine and threads as for `longlag.train`.
    """

    recipe: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    engine: str | None = None
    threads: int = 1


def start(
    request: Request, directory: Path, *, overwrite: bool = False, observe: Observer = ignore
) -> Run:
    """Trains into a directory, which must be free for it, and saves the run.

    A finished run of the same training (recipe, settings, seed and engine) is replaced when its
    successor is complete.

    Args:
        overwrite: replace any finished run, and discard an unfinished training, in the directory.
        observe: called before, after and now and then during every step of the training.

    Raises:
        ValueError: a request that makes no sense, or a directory that must not be written to.
        Interrupted: by Ctrl-C, a termination signal or a hang-up; the checkpoint is written.
    """
    chosen = recipe(request.recipe or "robust", **request.settings)
    seed = 0 if request.seed is None else request.seed
    training = begin(chosen, seed, engine=request.engine or "auto", threads=request.threads)
    return train_into(training, directory, overwrite=overwrite, observe=observe)


def train_into(
    training: Training,
    directory: Path,
    *,
    overwrite: bool = False,
    observe: Observer = ignore,
    callback: Observer = ignore,
) -> Run:
    """The same of a training at its start.

    Args:
        callback: called after every step.
    """
    runs.writable(directory)
    with runs.locked(directory):
        runs.claim(directory, _identity(training), overwrite=overwrite)
        checkpoints.save(training, directory)
        return _train(training, directory, observe, callback)


def resume(request: Request, directory: Path, *, observe: Observer = ignore) -> Run:
    """Continues the training in a directory to the bits of an uninterrupted one.

    Where the request names a recipe, a setting, a seed or an engine, it must be the training's; and
    the files of a cell or a task must be what they were.
    Arguments and errors as in `start`.
    """
    checkpoint = checkpoints.load(directory)
    asked = dict(request.settings)
    asked |= {"recipe": request.recipe, "seed": request.seed}
    asked |= {"engine": None if request.engine == "auto" else request.engine}
    _check_same(
        asked, checkpoint, directory, "resume it without {}, or discard it with --overwrite"
    )
    if checkpoint.engine == "native" and load_kernel() is None:
        raise ValueError(
            f"{directory} was started with the native kernel, which is not built here: resume it "
            "where it is, or discard it with --overwrite"
        )
    recipe = built(checkpoint.recipe, None, directory)
    training = begin(recipe, checkpoint.seed, engine=checkpoint.engine, threads=request.threads)
    again = "put it back as it was, or discard the training with --overwrite"
    _check_same(training.origin, checkpoint, directory, again)
    return _go_on(training, checkpoint, directory, observe, ignore)


def resume_into(
    training: Training,
    directory: Path,
    *,
    observe: Observer = ignore,
    callback: Observer = ignore,
) -> Run:
    """Lets a training at its start go on from where the one in a directory is, which must be the
    same; arguments and errors as in `train_into`."""
    checkpoint = checkpoints.load(directory)
    asked = {name: what for name, what in _identity(training).items() if name != INITIAL}
    again = "resume it with the same {}, or discard it with overwrite=True"
    _check_same(asked, checkpoint, directory, again)
    held, own = checkpoint.state[f"{LEARNER}weights"].shape, training.learner.weights.shape
    if held != own:
        raise ValueError(f"{directory} trains weights of shape {held}, and what is given has {own}")
    return _go_on(training, checkpoint, directory, observe, callback)


def carry_out(
    training: Training,
    directory: str | os.PathLike[str] | None,
    *,
    resume: bool,
    overwrite: bool,
    observe: Observer,
    callback: Observer,
) -> Run:
    """Takes a training that Python began to its end; in memory where no directory is given.

    Raises:
        ValueError: arguments that make no sense, or a directory that must not be written to.
        KeyboardInterrupt: Ctrl-C or a signal; the state is saved in the directory.
    """
    checks.function("callback", callback)
    if checks.flag("resume", resume) & checks.flag("overwrite", overwrite):
        raise ValueError("resume and overwrite exclude each other: give one of them")
    if directory is None:
        if resume or overwrite:
            raise ValueError("resume and overwrite are about a directory: give directory, too")
        return training.to_end(observe, callback)
    where = checks.path("directory", directory)
    try:
        if resume:
            return resume_into(training, where, observe=observe, callback=callback)
        how = {"observe": observe, "callback": callback}
        return train_into(training, where, overwrite=overwrite, **how)
    except Interrupted as stop:
        saved = f"the training is saved in {where} and continues with resume=True"
        raise Ended(stop.number, saved) from stop


def _identity(training: Training) -> dict[str, Any]:
    engine = training.engine.name
    return runs.identity(training.recipe, training.seed, engine, training.origin)


def _go_on(
    training: Training,
    checkpoint: checkpoints.Checkpoint,
    directory: Path,
    observe: Observer,
    callback: Observer,
) -> Run:
    runs.writable(directory)
    with runs.locked(directory):
        checkpoint.put_into(training, directory / runs.CHECKPOINT)
        return _train(training, directory, observe, callback)


def _check_same(
    asked: Mapping[str, Any], checkpoint: checkpoints.Checkpoint, directory: Path, advice: str
) -> None:
    """Raises a ValueError, with advice about the name, where something else is asked for."""
    was = runs.identity(checkpoint.recipe, checkpoint.seed, checkpoint.engine, checkpoint.origin)
    for name, value in asked.items():
        if value is not None and value != was.get(name):
            raise ValueError(
                f"{directory} was started with {name} {was.get(name)!r}, not {value!r}: "
                f"{advice.format(name)}"
            )


def _train(training: Training, directory: Path, observe: Observer, callback: Observer) -> Run:
    observe(training)
    if training.stopped_by is not None and (directory / runs.HISTORY).exists():
        return training.run()  # resumed when it was finished
    saved = time.monotonic()
    with signals_noted() as interrupted:
        while training.stopped_by is None:
            before = training.iteration
            with suppress(Ended), interrupted.raised():
                training.advance(observe)
            if training.iteration > before or training.stopped_by is not None:
                callback(training)
            observe(training)
            if interrupted() and training.stopped_by is None:
                checkpoints.save(training, directory)
                raise Interrupted(training, interrupted())
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                checkpoints.save(training, directory)
                saved = time.monotonic()
        run = training.run()
        runs.save(run, directory)
        checkpoints.save(training, directory)
    return run
