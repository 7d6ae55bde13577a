"""A training that lives in a run directory: checkpoints, interrupts, resumption."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longlag.kernel import load_kernel
from longlag.learning.recipe import recipe
from longlag.learning.training import Observer, Run, Training, begin, ignore
from longlag.runs import checkpoint as checkpoints
from longlag.runs import directory as runs
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
    runs.writable(directory)
    with runs.locked(directory):
        asked = runs.identity(chosen, seed, training.engine.name)
        runs.claim(directory, asked, overwrite=overwrite)
        checkpoints.save(training, directory)
        return _train(training, directory, observe)


def resume(request: Request, directory: Path, *, observe: Observer = ignore) -> Run:
    """Continues the training in a directory to the bits of an uninterrupted one.

    Where the request names a recipe, a setting, a seed or an engine, it must be the training's.
    Arguments and errors as in `start`.
    """
    checkpoint = checkpoints.load(directory)
    _check_same(request, checkpoint, directory)
    if checkpoint.engine == "native" and load_kernel() is None:
        raise ValueError(
            f"{directory} was started with the native kernel, which is not built here: resume it "
            "where it is, or discard it with --overwrite"
        )
    runs.writable(directory)
    training = begin(
        checkpoint.recipe, checkpoint.seed, engine=checkpoint.engine, threads=request.threads
    )
    with runs.locked(directory):
        checkpoint.put_into(training, directory / runs.CHECKPOINT)
        return _train(training, directory, observe)


def _check_same(request: Request, checkpoint: checkpoints.Checkpoint, directory: Path) -> None:
    asked = dict(request.settings)
    asked |= {"recipe": request.recipe, "seed": request.seed}
    asked |= {"engine": None if request.engine == "auto" else request.engine}
    was = runs.identity(checkpoint.recipe, checkpoint.seed, checkpoint.engine)
    for name, value in asked.items():
        if value is not None and value != was.get(name):
            raise ValueError(
                f"{directory} was started with {name} {was.get(name)!r}, not {value!r}: resume it "
                f"without {name}, or discard it with --overwrite"
            )


def _train(training: Training, directory: Path, observe: Observer) -> Run:
    saved = time.monotonic()
    observe(training)
    with signals_noted() as interrupted:
        while training.stopped_by is None:
            with suppress(Ended), interrupted.raised():
                training.advance(observe)
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
