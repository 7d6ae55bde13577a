"""A training in steps, and the run that it leaves.

`Steps` is what all trainings have in common: each `advance` learns from one block of data; between
two steps the whole state can be taken out and put back, so that an interrupted training goes on to
the same bits. `training.Training` learns in mini-batches, `online_training.OnlineTraining` as the
paper did. Nothing here knows of files or progress bars.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from longlag import checks
from longlag.learning.recipe import AnyRecipe, Network
from longlag.learning.side_by_side import Stop
from longlag.tasks.score import Score

StoppedBy = Literal["target", "max_iterations", "diverged"]


@dataclass(frozen=True)
class History:
    """How a training went.

    train_losses: mean squared error of each batch, before its update; on-line, of every 1000
    sequences, each before its own update, the last mean being of those that were left;
    test_curve: (iteration, test MSE) pairs; elapsed_sec: seconds of training and testing.
    """

    train_losses: np.ndarray
    test_curve: list[tuple[int, float]]
    elapsed_sec: float


@dataclass(frozen=True)
class Run:
    """A finished training.

    An iteration is an update: of a batch, or on-line of one sequence.

    snapshots: flat parameters (P,) by iteration, from 0 to the last; engine, isa: who did the
    arithmetic; score: on fresh sequences (catalog: on the last test set, as published); stops:
    on-line, the stopping points, the last of which is where the training ended; env: versions and
    machine, of a run that was read from a file.
    """

    recipe: AnyRecipe
    seed: int
    network: Network
    history: History
    score: Score
    stopped_by: StoppedBy
    snapshots: dict[int, np.ndarray] = field(repr=False)
    engine: str
    isa: str | None
    stops: tuple[Stop, ...] = ()
    env: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def iterations(self) -> int:
        """Updates made."""
        return self.stops[-1].sequences if self.stops else len(self.history.train_losses)

    @property
    def sequences(self) -> int:
        """Training sequences seen."""
        return self.iterations * self.recipe.batch_size

    @property
    def loss_iterations(self) -> np.ndarray:
        """The last iteration that each of the training losses is about."""
        ends = self.recipe.loss_every * np.arange(1, len(self.history.train_losses) + 1)
        return np.minimum(ends, self.iterations)

    def network_at(self, iteration: int) -> Network:
        """The network as it was at one of the snapshots.

        Raises:
            ValueError: there is no snapshot of that iteration.
        """
        checks.whole("iteration", iteration, 0)
        if iteration not in self.snapshots:
            raise ValueError(
                f"iteration must be one of the snapshots', {', '.join(map(str, self.snapshots))}, "
                f"not {iteration}"
            )
        return self.recipe.network_of(self.snapshots[iteration])

    def _repr_html_(self) -> str:
        from longlag import notebook

        return notebook.run(self)


def check_run(run: Any) -> Run:
    """The run as it is.

    Raises:
        ValueError: it is something else, such as the run that `longlag.train_torch` leaves.
    """
    if isinstance(run, Run):
        return run
    own = "; of its own module, keep the state_dict" if hasattr(run, "module") else ""
    raise ValueError(f"run must be a run of longlag.train, not {checks.shown(run)}{own}")


def snapshot_due(iteration: int, ratio: float = 1.3) -> bool:
    """Whether a snapshot is kept: evenly in the log of iterations, nine in a tenfold for 1.3."""
    return iteration <= 1 or int(np.log(iteration) / np.log(ratio)) > int(
        np.log(iteration - 1) / np.log(ratio)
    )


class Named(Protocol):
    """What a run says of the engine that did its arithmetic."""

    name: str
    isa: str | None


Settings = TypeVar("Settings", bound=AnyRecipe)
Engine = TypeVar("Engine", bound=Named)


class Steps(ABC, Generic[Settings, Engine]):
    """A training in steps; see the module's docstring.

    iteration: updates made; losses and test_curve: as in `History`; stopped_by: None before the
    end.
    """

    recipe: Settings
    seed: int
    engine: Engine
    iteration: int
    losses: list[float]
    test_curve: list[tuple[int, float]]
    elapsed: float
    stopped_by: StoppedBy | None
    score: Score | None
    stops: tuple[Stop, ...]
    snapshots: dict[int, np.ndarray]

    def __init__(self, recipe: Settings, seed: int, engine: Engine) -> None:
        self.recipe, self.seed, self.engine = recipe, seed, engine
        self.iteration = 0
        self.losses = []
        self.test_curve = []
        self.elapsed = 0.0
        self.stopped_by = None
        self.score = None
        self.stops = ()
        self.snapshots = {}

    @property
    @abstractmethod
    def network(self) -> Network:
        """The network as it stands."""

    @abstractmethod
    def _step(self) -> None:
        """Learns from the next block of data; at the end sets `stopped_by` and `score`."""

    def advance(self) -> None:
        """Learns from the next block of data, and tests where a test is due.

        An exception from within, Ctrl-C's included, leaves a state from which nothing can go on.

        Raises:
            RuntimeError: the training has already stopped.
        """
        if self.stopped_by is not None:
            raise RuntimeError(f"the training has stopped already, by {self.stopped_by}")
        start = time.perf_counter()
        self._step()
        self.elapsed += time.perf_counter() - start

    def run(self) -> Run:
        """The finished run."""
        if self.stopped_by is None or self.score is None:
            raise RuntimeError("the training has not stopped yet")
        return Run(
            recipe=self.recipe,
            seed=self.seed,
            network=self.network,
            history=History(np.array(self.losses), self.test_curve, self.elapsed),
            score=self.score,
            stopped_by=self.stopped_by,
            snapshots=self.snapshots,
            engine=self.engine.name,
            isa=self.engine.isa,
            stops=self.stops,
        )

    # -- the whole state, out and in ----------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Arrays and JSON-ready values from which `restore` continues to the same bits."""
        return {
            "train_losses": np.array(self.losses),
            "test_curve": np.array(self.test_curve, dtype=np.float64).reshape(-1, 2),
            "snapshot_iterations": np.array(list(self.snapshots), dtype=np.int64),
            "snapshots": np.array(list(self.snapshots.values())),
            "iteration": self.iteration,
            "elapsed_sec": self.elapsed,
            "stopped_by": self.stopped_by,
            "score": None if self.score is None else self.score.as_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave, into a training of the same recipe and seed.

        Raises:
            LookupError, OverflowError, TypeError, ValueError: it is no state of such a training.
        """
        self.losses = checks.array("train_losses", state["train_losses"], float, (None,)).tolist()
        tests = checks.array("test_curve", state["test_curve"], float, (None, 2))
        self.test_curve = [(int(k), float(mse)) for k, mse in tests]
        iterations = checks.array("snapshot_iterations", state["snapshot_iterations"], int, (None,))
        P = sum(math.prod(shape) for shape in self.recipe.shapes)
        self.snapshots = {}
        if len(iterations):
            shape = (len(iterations), P)
            snapshots = checks.array("snapshots", state["snapshots"], np.float32, shape)
            self.snapshots = dict(zip(iterations.tolist(), snapshots, strict=True))
        self.iteration = int(state["iteration"])
        self.elapsed = float(state["elapsed_sec"])
        self.stopped_by = state["stopped_by"]
        self.score = None if state["score"] is None else Score(**state["score"])


AnySteps = Steps[Any, Any]
