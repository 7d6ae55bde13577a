"""Training in steps, and the run that it leaves.

A `Training` learns from one piece of data after another and tests where a test is due; between two
steps its whole state can be saved and restored, so that an interrupted training has the same
result, to the bit. `side_by_side` trains several in the lanes of the kernel. Nothing here knows of
files or progress bars.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from longlag import checks
from longlag.learning import engine as engines
from longlag.learning.engine import Engine
from longlag.learning.judging import Failed, measure, on_sets
from longlag.learning.optimizers import Start
from longlag.learning.recipe import Recipe
from longlag.learning.rules import MADE, Learned, Minibatch, OnlineLearner
from longlag.learning.stopping import Fresh, Points, Stop, Strict, Test
from longlag.learning.streams import check_seed
from longlag.settings import own_files
from longlag.tasks.score import Score
from longlag.tasks.task import Batch, Task

StoppedBy = Literal["target", "max_iterations", "diverged", "imported"]
Observer = Callable[["Training"], None]
SMOOTHED = 50  # losses in a mean; where it falls to FALL of the lowest, there is one more snapshot
FALL = 0.9
LEARNER = "learner_"  # before the names of a learner's own values, in a state


@dataclass(frozen=True)
class History:
    """How a training went.

    train_losses: mean squared error of each batch, before its update; on-line, of every 1000
    sequences, each before its own update, the last mean being of those that were left;
    tests: iterations, and the scores on fresh sequences there; elapsed_sec: seconds of training
    and testing.
    """

    train_losses: np.ndarray
    tests: list[Test]
    elapsed_sec: float

    @property
    def test_curve(self) -> list[tuple[int, float]]:
        """(iteration, test MSE) pairs."""
        return [(iteration, score.mse) for iteration, score in self.tests]


@dataclass(frozen=True)
class Run:
    """A finished training, or (`stopped_by` is "imported") a network that was trained elsewhere.

    An iteration is an update: of a batch, or on-line of one sequence.

    snapshots: flat parameters (P,) by iteration, from 0 to the last; engine, isa: what computed
    it; score: on fresh sequences (with stop `mse`: on the last test set, as published); stops:
    with stop `recent` or `fresh`, the stopping points, the last of which is where the training
    ended; env: versions and machine, of a run that was read from a file; origin: what it has of
    the user's own besides settings, as in `Training`.
    """

    recipe: Recipe
    seed: int
    network: Any
    history: History
    score: Score
    stopped_by: StoppedBy
    iterations: int
    snapshots: dict[int, np.ndarray] = field(repr=False)
    engine: str
    isa: str | None
    stops: tuple[Stop, ...] = ()
    env: Mapping[str, Any] | None = field(default=None, repr=False)
    origin: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        judged = f"RMSE {self.score.rmse:.4f}, {self.score.wrong} of {self.score.n} wrong"
        if self.imported:
            return f"Run({self.words}, {judged})"
        return f"Run({self.words}: {self.stopped_by} after {self.sequences:,} sequences, {judged})"

    @property
    def imported(self) -> bool:
        """Whether the network was trained elsewhere, so that there is no history."""
        return self.stopped_by == "imported"

    @property
    def words(self) -> str:
        """Which run this is: 'robust, seed 0', or 'imported, 8 cells'."""
        if self.imported:
            return f"imported, {self.recipe.network.words}"
        return f"{self.recipe.name}, seed {self.seed}"

    @property
    def sequences(self) -> int:
        """Training sequences seen."""
        return self.iterations * self.recipe.batch_size

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The network's weights by name."""
        names = self.recipe.network.shapes(self.recipe.task)
        return dict(zip(names, self.network.parameters, strict=True))

    @property
    def loss_iterations(self) -> np.ndarray:
        """The last iteration that each of the training losses is about."""
        ends = self.recipe.rule.loss_every * np.arange(1, len(self.history.train_losses) + 1)
        return np.minimum(ends, self.iterations)

    @property
    def averaged(self) -> bool:
        """Whether the networks that are tested and shown have averaged weights, not the latest."""
        return isinstance(self.recipe.rule, Minibatch) and self.recipe.rule.average_decay > 0

    def network_at(self, iteration: int) -> Any:
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


def ignore(training: Training) -> None:
    """Observes nothing."""


def check_run(run: Any, *, for_file: bool = False) -> Run:
    """The run as it is.

    Args:
        for_file: it is to be written to a file, which must be able to name its network.

    Raises:
        ValueError: it is something else, or of a network given in Python.
    """
    if not isinstance(run, Run):
        raise ValueError(f"run must be a run of longlag.train, not {checks.shown(run)}")
    if for_file and not run.recipe.network.can_be_named:
        raise ValueError(
            f"run is of {run.recipe.network.words}, a network given in Python, which one file "
            "cannot name: keep the module's own weights, or the run's directory"
        )
    return run


class Training:
    """A training in steps; see the module's docstring.

    Args:
        recipe, seed: what is trained.
        engine: from `longlag.learning.engine.choose`.
        snapshot_every: iterations between snapshots; where not given, geometric, and one more
            whenever the smoothed loss has fallen by a tenth.
        own: what starts an optimiser of the user's; the recipe's has the name `own` then.

    Attributes:
        iteration: updates made.
        under_way: updates, or a part of one, that are made of the step that is being computed.
        losses, tests: as in `History`.
        stopped_by: None before the end.
        learner: all that learning changes.
        origin: what the training has of the user's own besides settings, in words and digests: the
            files of a cell and a task, an optimiser, initial weights.

    Raises:
        ValueError: a seed that is not allowed.
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        engine: Engine,
        snapshot_every: int | None = None,
        own: Start | None = None,
    ) -> None:
        self.recipe: Recipe = recipe
        self.seed: int = check_seed(seed)
        self.engine: Engine = engine
        self.learner: Any = recipe.learner(self.seed, own)
        self.iteration: int = 0
        self.under_way: float = 0.0
        self.losses: list[float] = []
        self.tests: list[Test] = []
        self.stops: tuple[Stop, ...] = ()
        self.snapshots: dict[int, np.ndarray] = {}
        self.elapsed: float = 0.0
        self.stopped_by: StoppedBy | None = None
        self.score: Score | None = None
        self.origin: dict[str, str] = _origin(recipe, self.learner)
        self._waiting: list[float] = []  # losses that are in no mean yet
        self._snapshot_every = snapshot_every
        self._lowest: float = np.inf  # smoothed loss at a snapshot
        self._snapshot()

    @property
    def network(self) -> Any:
        """The network as it stands."""
        return self.recipe.network_of(self.learner.judged.copy())

    # -- one step -----------------------------------------------------------------------------

    def advance(self, observe: Observer = ignore) -> None:
        """Learns from the next piece of data, and tests where a test is due.

        After an exception, such as Ctrl-C, the state is that before the step.

        Args:
            observe: called now and then while it learns.

        Raises:
            RuntimeError: the training has already stopped.
        """
        start = time.perf_counter()
        put_back = self._marked()
        try:
            for piece in self.pieces():
                self.note(self._learn(piece, observe), piece)
                if self.stopped_by is not None:
                    break
            self.look()
        except BaseException:
            put_back()
            raise
        self.elapsed += time.perf_counter() - start

    def to_end(self, observe: Observer = ignore, callback: Observer = ignore) -> Run:
        """Advances until it stops.

        Args:
            observe: called after every step, and now and then within one.
            callback: called after every step.
        """
        while self.stopped_by is None:
            self.advance(observe)
            observe(self)
            callback(self)
        return self.run()

    def _learn(self, piece: Batch, observe: Observer) -> Learned:
        def going_on(share: float) -> None:
            self.under_way = share * len(piece.lengths)
            observe(self)

        try:
            return self.engine.learn(self.recipe, [self.learner], [piece], going_on)[0]
        finally:
            self.under_way = 0.0

    def _marked(self) -> Callable[[], None]:
        """A function that restores the present state of the training."""
        put_learner_back = self.learner.marked()
        known = (self.iteration, self.stopped_by, self.score, self.stops, self._lowest)
        ends = len(self.losses), len(self.tests), len(self.snapshots)
        waiting, tests = self._waiting.copy(), self.tests

        def put_back() -> None:
            put_learner_back()
            self.iteration, self.stopped_by, self.score, self.stops, self._lowest = known
            self._waiting, self.tests = waiting, tests[: ends[1]]
            del self.losses[ends[0] :]
            for iteration in list(self.snapshots)[ends[2] :]:
                del self.snapshots[iteration]

        return put_back

    def pieces(self) -> Iterator[Batch]:
        """The next step's data, divided where snapshots are due."""
        if self.stopped_by is not None:
            raise RuntimeError(f"the training has stopped already, by {self.stopped_by}")
        data = self.learner.draw(self.iteration, self.engine.most)
        n, done, first = len(data.lengths), 0, self.iteration
        unit = self._snapshot_every or self.recipe.rule.snapshot_unit
        due = (k for k in range(unit - first % unit, n, unit) if self._piece_ends(first + k))
        for stop in (*due, n):
            yield data.each(lambda a, piece=slice(done, stop): a[piece])
            done = stop

    def _piece_ends(self, iteration: int) -> bool:
        return self._snapshot_due(iteration) or self._look_due(iteration)

    def note(self, learned: Learned, piece: Batch) -> None:
        """Records the result of a piece of data."""
        self.iteration += learned.updates
        self._waiting += learned.losses[: learned.updates].tolist()
        if learned.updates < len(piece.lengths) and not self.learner.over:
            self.stopped_by = "diverged"
        elif self._snapshot_due(self.iteration) or self._has_fallen():
            self._snapshot()

    def look(self) -> None:
        """Tests where a test is due, and decides whether the training has ended."""
        last = self.iteration >= self.recipe.rule.budget
        if isinstance(self.recipe.stop, Points):
            if isinstance(self.recipe.stop, Fresh):
                self._test_for_stops(self.recipe.stop)
            self._look_at_stops(last)
        elif self.stopped_by is None and (
            last or self.iteration % self.recipe.stop.test_every == 0
        ):
            stop = self.recipe.stop
            failed = stop.failed if isinstance(stop, Strict) else None
            self.tests.append((self.iteration, self._fresh_score(len(self.tests), failed)))
            if stop.met(self.tests):
                self.stopped_by = "target"
            elif last:
                self.stopped_by = "max_iterations"
        if self.stopped_by is not None:
            self._conclude()
        every, waiting = self.recipe.rule.loss_every, self._waiting
        n = len(waiting) if self.stopped_by else len(waiting) // every * every
        groups = (waiting[k : k + every] for k in range(0, n, every))
        self.losses += waiting[:n] if every == 1 else [float(np.mean(group)) for group in groups]
        del waiting[:n]

    def _test_for_stops(self, rule: Fresh) -> None:
        """Makes a test that may stop the trial, where one is due, and records the stopping
        points.
        """
        learner, task = self.learner, self.recipe.task
        if self.stopped_by or not self.iteration or self.iteration % rule.test_every:
            return
        network = self.network

        def predict(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
            return self.engine.predict(network, inputs, lengths)

        if task.fixed_sets:
            score = on_sets(predict, task, task.fixed_sets, rule.failed)
        else:
            own = learner.deciding_stream()
            score = measure(predict, task, rule.test_set, own, failed=rule.failed, soon=True)
        for s, met in enumerate(rule.met(score)):
            if met and learner.stops[s] < 0:
                learner.stop_here(s, score.mse, score.mae)

    def _look_at_stops(self, last: bool) -> None:
        """Tests at the stopping points that were passed, with the weights there; at the end all."""
        learner = self.learner
        if self.stopped_by is None and learner.over:
            self.stopped_by = "target"
        elif self.stopped_by is None and last:
            self.stopped_by = "max_iterations"
        behind = [s for s, at in enumerate(learner.stops) if at >= 0 or self.stopped_by]
        for s in behind[len(self.stops) :]:
            stop = self.stop_at(s)
            self.stops += (stop,)
            self.tests = [test for test in self.tests if test[0] < stop.sequences]
            self.tests.append((stop.sequences, stop.fresh))
            self.snapshots[stop.sequences] = self.weights_at(s).copy()

    def weights_at(self, s: int) -> np.ndarray:
        """The weights (P,) at stopping point number s, or as they are."""
        learner = self.learner
        return learner.stop_weights[s] if learner.stops[s] >= 0 else learner.weights

    def stop_at(self, s: int) -> Stop:
        """The trial at its stopping point number s, or where it is, judged on fresh sequences."""
        learner, rule = self.learner, self.recipe.stop
        assert isinstance(rule, Points)
        network = self.recipe.network_of(self.weights_at(s))
        reached = bool(learner.stops[s] >= 0)
        mse, mae = learner.stop_errors[s] if reached else (np.nan, np.nan)
        return Stop(
            n_seq=rule.stops[s],
            reached=reached,
            sequences=int(learner.stops[s] if reached else self.iteration),
            window_mse=float(mse),
            window_mae=float(mae),
            fresh=self._score(network, s, self.recipe.task.tested),
        )

    def _conclude(self) -> None:
        stop = self.recipe.stop
        if isinstance(stop, Points):
            self.score = self.stops[-1].fresh
        elif stop.by_last_test and self.tests and self.stopped_by != "diverged":
            self.score = self.tests[-1][1]
        else:
            self.score = self._fresh_score(len(self.tests))
        if not isinstance(stop, Points):
            self._snapshot()

    def _fresh_score(self, test: int, failed: Failed | None = None) -> Score:
        return self._score(self.network, test, self.recipe.task.tested, failed)

    def _score(self, network: Any, test: int, task: Task, failed: Failed | None = None) -> Score:
        return measure(
            lambda inputs, lengths: self.engine.predict(network, inputs, lengths),
            task,
            self.recipe.stop.test_size,
            self.learner.test_stream(test),
            self.learner.in_order,
            failed=failed,
        )

    def _snapshot_due(self, iteration: int) -> bool:
        if self._snapshot_every is not None:
            return iteration % self._snapshot_every == 0
        return self.recipe.rule.snapshot_due(iteration)

    def _look_due(self, iteration: int) -> bool:
        every = self.recipe.rule.look_every
        return self._snapshot_every is None and every is not None and iteration % every == 0

    def _has_fallen(self) -> bool:
        return self._look_due(self.iteration) and self._smoothed() < FALL * self._lowest

    def _smoothed(self) -> float:
        """The mean of the latest losses; infinite before there are enough of them."""
        known = len(self.losses) + len(self._waiting)
        if known < SMOOTHED or self.recipe.rule.look_every is None:
            return np.inf
        older = max(0, SMOOTHED - len(self._waiting))
        recent = self.losses[len(self.losses) - older :] + self._waiting[-SMOOTHED:]
        return float(np.mean(recent))

    def _lowest_kept(self) -> float:
        """The lowest smoothed loss at a snapshot, from all losses."""
        if self.recipe.rule.look_every is None:
            return np.inf
        kept = [k for k in self.snapshots if SMOOTHED <= k <= len(self.losses)]
        means = [float(np.mean(self.losses[k - SMOOTHED : k])) for k in kept]
        return min(means, default=np.inf)

    def _snapshot(self) -> None:
        self.snapshots[self.iteration] = self.learner.judged.copy()
        self._lowest = min(self._lowest, self._smoothed())

    # -- the end --------------------------------------------------------------------------------

    def run(self) -> Run:
        """The finished run."""
        if self.stopped_by is None or self.score is None:
            raise RuntimeError("the training has not stopped yet")
        return Run(
            recipe=self.recipe,
            seed=self.seed,
            network=self.network,
            history=History(np.array(self.losses), self.tests, self.elapsed),
            score=self.score,
            stopped_by=self.stopped_by,
            iterations=self.iteration,
            snapshots=self.snapshots,
            engine=self.engine.name,
            isa=self.engine.isa,
            stops=self.stops,
            origin=self.origin,
        )

    # -- the whole state, out and in ----------------------------------------------------------

    def state(self, *, history: bool = True) -> dict[str, Any]:
        """The state as arrays and JSON-ready values, which `restore` takes.

        Args:
            history: with the losses and snapshots, which do not change what it learns.
        """
        own = {LEARNER + name: value for name, value in self.learner.state().items()} | {
            "tests": [[iteration, score.as_dict()] for iteration, score in self.tests],
            "iteration": self.iteration,
            "elapsed_sec": self.elapsed,
            "stopped_by": self.stopped_by,
            "score": None if self.score is None else self.score.as_dict(),
        }
        if not history:
            return own
        return own | {
            "train_losses": np.array(self.losses),
            "waiting": np.array(self._waiting),
            "snapshot_iterations": np.array(list(self.snapshots), dtype=np.int64),
            "snapshots": np.array(list(self.snapshots.values())),
        }

    def restore(self, state: Mapping[str, Any], *, history: bool = True) -> None:
        """Puts back what `state` gave, into a training of the same recipe and seed.

        Args:
            history: as in `state`; losses and snapshots up to one without are not known.

        Raises:
            LookupError, OverflowError, TypeError, ValueError: it is no state of such a training.
        """
        own = {k.removeprefix(LEARNER): v for k, v in state.items() if k.startswith(LEARNER)}
        self.learner.restore(own)
        self.tests = [(int(iteration), Score(**score)) for iteration, score in state["tests"]]
        self.iteration = int(state["iteration"])
        self.elapsed = float(state["elapsed_sec"])
        self.stopped_by = state["stopped_by"]
        self.score = None if state["score"] is None else Score(**state["score"])
        self._check()
        self.losses, self._waiting, self.snapshots, self._lowest = [], [], {}, np.inf
        if history:
            self._restore_history(state)
        if isinstance(self.recipe.stop, Points):
            behind = [s for s, at in enumerate(self.learner.stops) if at >= 0 or self.stopped_by]
            self.stops = tuple(self.stop_at(s) for s in behind)

    def _restore_history(self, state: Mapping[str, Any]) -> None:
        for name in ("train_losses", "waiting"):
            checks.array(name, state[name], float, (None,))
        self.losses, self._waiting = state["train_losses"].tolist(), state["waiting"].tolist()
        every, n = self.recipe.rule.loss_every, self.iteration
        means = -(-n // every) if self.stopped_by else n // every
        waits = 0 if self.stopped_by else n % every
        if (len(self.losses), len(self._waiting)) != (means, waits):
            raise ValueError(f"it has {len(self.losses)} losses of {n} iterations")
        iterations = checks.array("snapshot_iterations", state["snapshot_iterations"], int, (None,))
        if len(iterations):
            shape = (len(iterations), self.recipe.network.size(self.recipe.task))
            snapshots = checks.array("snapshots", state["snapshots"], np.float32, shape)
            self.snapshots = dict(zip(iterations.tolist(), snapshots, strict=True))
        self._lowest = self._lowest_kept()

    def go_on(self, learner: Mapping[str, Any], diverged: bool) -> None:
        """Goes on from what a learner was, at any budget; losses before that are not known.

        Raises:
            LookupError, ValueError: it is no state of such a learner.
        """
        self.learner.restore(learner)
        self.iteration = int(self.learner.seen)
        self.stopped_by = "diverged" if diverged else None
        self._waiting.clear()
        self.look()

    def _check(self) -> None:
        """Refuses a state whose parts contradict each other."""
        n = self.iteration
        if not 0 <= n <= self.recipe.rule.budget:
            raise ValueError(f"it is at iteration {n} of {self.recipe.rule.budget}")
        if isinstance(self.learner, OnlineLearner) and int(self.learner.seen) != n:
            raise ValueError(f"its trial is not at iteration {n}")


INITIAL = "initial weights"  # in an origin


def files_of_parts(recipe: Recipe) -> dict[str, str]:
    """Digests of the files that a recipe's task and network are made in, where these are the
    user's; as in `Training.origin`.
    """
    named = recipe.network.can_be_named
    files = own_files([recipe.task.name, *([recipe.network.name] if named else [])])
    return {f"file of {module}": digest[:12] for module, digest in files.items()}


def _origin(recipe: Recipe, learner: Any) -> dict[str, str]:
    """As `Training.origin`."""
    found = files_of_parts(recipe)
    if getattr(recipe.rule, "optimizer", None) == "own":
        found["own optimizer"] = str(learner.state().get(MADE, type(learner.optimizer).__name__))
    if not recipe.network.can_be_named:
        found[INITIAL] = hashlib.sha256(learner.weights.tobytes()).hexdigest()[:12]
    return found


def begin(
    recipe: Recipe,
    seed: int = 0,
    *,
    engine: str = "auto",
    threads: int = 1,
    own: Start | None = None,
) -> Training:
    """A training at its start; arguments as in `longlag.train` and `Training`.

    Raises:
        ValueError: also of a network of the user's that does not answer each sequence by itself, or
            that reads the future.
    """
    task, rule = recipe.task, recipe.rule
    if isinstance(rule, Minibatch) and rule.draw_order == "published":
        alike = task.at_length(task.max_length)  # a batch has one length, and no padding
        task = alike if alike.max_length == task.max_length else task
    recipe.network.check_itself(task)
    return Training(recipe, seed, engines.choose(engine, threads, recipe), own=own)
