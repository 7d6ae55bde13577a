"""A trial: what one row of a sweep is, and the pure function of recipe and seed that fills it.

A trial travels to a worker as JSON and comes back as JSON; what it calls is named, `module:name`,
and takes (settings, seed, engine).
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import platform
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from longlag.foreign import ForeignTraining
from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.training import Training, on_fresh
from longlag.tasks.score import Score
from longlag.version import CODE_VERSION, REVISION, __version__

TRAIN = "longlag.sweeps.trial:train"
EMPTY: dict[str, Any] = {
    **{"score": None, "fresh": None, "sequences": None, "seconds": None, "curve": None},
    **{"engine": None, "isa": None, "error": None},
}


@dataclass(frozen=True)
class Trial:
    """One training, by what determines it.

    recipe: the name of a registered recipe; settings: all of its settings, and `fresh`, the number
    of further fresh sequences to score the outcome on; engine: `native`, `numpy` or `torch`;
    function: what is called.
    """

    recipe: str
    settings: Mapping[str, Any]
    seed: int
    engine: str
    function: str = TRAIN

    @property
    def key(self) -> str:
        """A digest of all that determines the result."""
        text = json.dumps({**asdict(self), "revision": REVISION}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def trial(
    name: str, seed: int, engine: str, *, fresh: int = 0, function: str = TRAIN, **changes: Any
) -> Trial:
    """A trial of a registered recipe with some settings changed; every default is written out."""
    settings = recipe(name, **changes).settings()
    return Trial(name, {**settings, "fresh": fresh}, seed, engine, function)


def train(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """Trains a mini-batch recipe to its end.

    Returns:
        status, sequences, score, fresh, engine, isa, and curve: a test's iteration, MSE and number
        wrong, for every test.
    """
    made, fresh = asked(settings)
    return carry_out(Watched(made, seed, engines.choose(engine)), fresh)


def asked(settings: Mapping[str, Any]) -> tuple[Recipe, int]:
    """The recipe of a trial's settings, and the number of further fresh sequences."""
    settings = dict(settings)
    fresh = settings.pop("fresh", 0)
    return recipe("robust", **settings), fresh


class Watched(Training):
    """A training that keeps the whole score of every test."""

    def __init__(self, *args: Any) -> None:
        self.tests: list[tuple[int, Score]] = []
        super().__init__(*args)

    def _fresh_score(self) -> Score:
        self.tests.append((self.iteration, super()._fresh_score()))
        return self.tests[-1][1]


class WatchedForeign(Watched, ForeignTraining):
    """The same of a network that is not the recipe's own."""


def carry_out(training: Watched, fresh: int) -> dict[str, Any]:
    """Runs a training to its end; returns what `train` does."""
    while training.stopped_by is None or training.score is None:
        training.advance()
    task = training.recipe.evaluation_task
    tests = training.tests[: len(training.test_curve)]
    return {
        "status": training.stopped_by,
        "sequences": len(training.losses) * training.recipe.batch_size,
        "score": training.score.as_dict(),
        "fresh": on_fresh(training.predict, task, fresh, 0).as_dict() if fresh else None,
        "curve": [[iteration, test.mse, test.wrong] for iteration, test in tests],
        "engine": training.engine.name,
        "isa": training.engine.isa,
    }


def perform(work: Mapping[str, Any]) -> dict[str, Any]:
    """Carries out one trial; whatever it raises becomes a row with status `failed`.

    Args:
        work: the fields of a Trial.
    """
    started = now()
    start = time.perf_counter()
    try:
        module, name = work["function"].split(":")
        function = getattr(importlib.import_module(module), name)
        outcome = {**function(work["settings"], work["seed"], work["engine"])}
        json.dumps(outcome)  # it travels as JSON
    except (Exception, SystemExit) as error:
        outcome = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    seconds = time.perf_counter() - start
    return {
        **EMPTY,
        **{name: work[name] for name in ("recipe", "settings", "seed")},
        **{"seconds": seconds, "started": started, "ended": now()},
        **{"versions": versions(), "version": CODE_VERSION, "host": socket.gethostname()},
        **outcome,
    }


def lost(work: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The row of a trial that no worker survived."""
    return {
        **EMPTY,
        **{name: work[name] for name in ("recipe", "settings", "seed")},
        **{"started": None, "ended": now(), "versions": versions(), "version": CODE_VERSION},
        **{"host": socket.gethostname(), "status": "failed", "error": reason},
    }


@functools.cache
def versions() -> dict[str, str]:
    """Of Python, numpy and longlag."""
    return {"longlag": __version__, "python": platform.python_version(), "numpy": np.__version__}


def now() -> str:
    """The time, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
