"""Mini-batch training by back-propagation through time: `train(recipe, seed)`.

`Training` is the same thing in steps: each `advance` trains on one block of data and, where a
test is due, tests; between two steps its whole state can be taken out and put back, so that an
interrupted training goes on to the same bits. Nothing here knows of files or progress bars.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from longlag import checks
from longlag import engine as engines
from longlag.criteria import Score, is_strict, score
from longlag.networks.lstm import LSTM, flatten, unflatten
from longlag.recipes import OnlineRecipe, Recipe, check_seed
from longlag.tasks import Batch, MarkedPairs

StoppedBy = Literal["target", "max_iterations", "diverged"]
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (B, T, 2) and lengths (B,) to (B,)

EVALUATION_STREAM = 4  # spawn key of `evaluate`'s sequences: apart from every training stream
PREDICTION_VALUES = 2**20  # at most so many values are held at once while predicting


@dataclass(frozen=True)
class History:
    """How a training went.

    train_losses: mean squared error of each batch, before its update; test_curve: (iteration,
    test MSE) pairs; elapsed_sec: seconds of training and testing.
    """

    train_losses: np.ndarray
    test_curve: list[tuple[int, float]]
    elapsed_sec: float


@dataclass(frozen=True)
class Run:
    """A finished training.

    snapshots: flat parameters (P,) by iteration, from 0 to the last; engine, isa: who did the
    arithmetic; score: on fresh sequences (catalog: on the last test set, as published); env:
    versions and machine, of a run that was read from a file.
    """

    recipe: Recipe
    seed: int
    network: LSTM
    history: History
    score: Score
    stopped_by: StoppedBy
    snapshots: dict[int, np.ndarray] = field(repr=False)
    engine: str
    isa: str | None
    env: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def iterations(self) -> int:
        """Batches trained on."""
        return len(self.history.train_losses)

    @property
    def sequences(self) -> int:
        """Training sequences seen."""
        return self.iterations * self.recipe.batch_size

    def network_at(self, iteration: int) -> LSTM:
        """The network as it was at one of the snapshots."""
        parameters = unflatten(self.snapshots[iteration], self.recipe.hidden)
        return LSTM(parameters, self.recipe.output, self.recipe.forget_gate)

    def _repr_html_(self) -> str:
        from longlag import notebook

        return notebook.run(self)


def snapshot_due(iteration: int) -> bool:
    """Whether a snapshot is kept: about nine in a tenfold of iterations, evenly in their log."""
    ratio = 1.3
    return iteration <= 1 or int(np.log(iteration) / np.log(ratio)) > int(
        np.log(iteration - 1) / np.log(ratio)
    )


class Training:
    """A training in steps; see the module's docstring.

    Args:
        recipe, seed: what is trained.
        engine: from `longlag.engine.choose`.
        snapshot_every: iterations between snapshots; geometric where not given.

    Raises:
        ValueError: a recipe that learns on-line (`longlag.online`).
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        engine: engines.Engine,
        snapshot_every: int | None = None,
    ) -> None:
        if isinstance(recipe, OnlineRecipe):
            raise ValueError(
                f"recipe {recipe.name} learns on-line, many trials side by side: "
                f"run `longlag study {'table8' if recipe.name == 'paper' else 'table7'}`"
            )
        self.recipe, self.seed, self.engine = recipe, seed, engine
        self.streams = recipe.streams(seed)
        self.learner = engines.Learner.at(self._initial(), recipe)
        self.iteration = 0
        self.losses: list[float] = []
        self.test_curve: list[tuple[int, float]] = []
        self.elapsed = 0.0
        self.stopped_by: StoppedBy | None = None
        self.score: Score | None = None
        self._strict_in_a_row = 0
        self._snapshot_every = snapshot_every
        self.snapshots: dict[int, np.ndarray] = {}
        self._snapshot()

    @property
    def network(self) -> LSTM:
        """The network as it stands."""
        return self.learner.network(self.recipe)

    def predict(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Answers (B,) of the network as it stands, for inputs (B, T, 2)."""
        return self.engine.predict(self.network, inputs, lengths)

    def advance(self) -> None:
        """Trains on the next block of data, and tests where a test is due.

        An exception from within, Ctrl-C's included, leaves a state from which nothing can go on.

        Raises:
            RuntimeError: the training has already stopped.
        """
        if self.stopped_by is not None:
            raise RuntimeError(f"the training has stopped already, by {self.stopped_by}")
        start = time.perf_counter()
        self._train_block()
        last = self.iteration == self.recipe.max_iterations
        if self.stopped_by is None and (last or self.iteration % self.recipe.test_every == 0):
            self._test(last)
        if self.stopped_by is not None:
            self._conclude()
        self.elapsed += time.perf_counter() - start

    def run(self) -> Run:
        """The finished run."""
        if self.stopped_by is None or self.score is None:
            raise RuntimeError("the training has not stopped yet")
        history = History(np.array(self.losses), self.test_curve, self.elapsed)
        return Run(
            recipe=self.recipe,
            seed=self.seed,
            network=self.network,
            history=history,
            score=self.score,
            stopped_by=self.stopped_by,
            snapshots=self.snapshots,
            engine=self.engine.name,
            isa=self.engine.isa,
        )

    def _initial(self) -> np.ndarray:
        """The initial parameters, flat (P,)."""
        return flatten(self.recipe.network(self.streams.weights).parameters)

    # -- one step -----------------------------------------------------------------------------

    def _train_block(self) -> None:
        recipe = self.recipe
        n = min(recipe.block, recipe.max_iterations - self.iteration)
        data = self._draw(n)
        done = 0
        while done < n and self.stopped_by is None:
            stop = done + 1
            while stop < n and not self._snapshot_due(self.iteration + stop - done):
                stop += 1
            piece = Batch(*(array[done:stop] for array in data))
            losses, updates = self.engine.learn(self.learner, recipe, piece)
            self.losses.extend(float(loss) for loss in losses[:updates])
            self.iteration += updates
            if updates < stop - done:
                self.stopped_by = "diverged"
            elif self._snapshot_due(self.iteration):
                self._snapshot()
            done = stop

    def _draw(self, n: int) -> Batch:
        """n batches of training data: inputs (n, B, T, 2), lengths and targets (n, B)."""
        recipe, rng = self.recipe, self.streams.training
        if recipe.draw_order == "published":
            return Batch(*(a[None] for a in recipe.task.sample_in_order(recipe.batch_size, rng)))
        flat = recipe.task.sample(n * recipe.batch_size, rng)
        return Batch(*(a.reshape(n, recipe.batch_size, *a.shape[1:]) for a in flat))

    def _test(self, last: bool) -> None:
        """Tests on fresh sequences; the stopping rules are those of `criteria`.

        The strict rule asks for two successive tests, each on a set of its own, since a single
        one, looked at again and again, selects lucky draws.
        """
        result = self._fresh_score()
        self.test_curve.append((self.iteration, result.mse))
        if self.recipe.stop == "mse":
            self.score = result
            met = result.mse < self.recipe.target_test_mse
        else:
            self._strict_in_a_row = self._strict_in_a_row + 1 if is_strict(result) else 0
            met = self._strict_in_a_row == 2
        if met:
            self.stopped_by = "target"
        elif last:
            self.stopped_by = "max_iterations"

    def _conclude(self) -> None:
        if self.score is None or self.stopped_by == "diverged":
            self.score = self._fresh_score()
        self._snapshot()

    def _fresh_score(self) -> Score:
        recipe, rng = self.recipe, self.streams.test
        in_order = recipe.draw_order == "published"
        return measure(self.predict, recipe.evaluation_task, recipe.test_size, rng, in_order)

    def _snapshot_due(self, iteration: int) -> bool:
        if self._snapshot_every is not None:
            return iteration % self._snapshot_every == 0
        return snapshot_due(iteration)

    def _snapshot(self) -> None:
        self.snapshots[self.iteration] = self.learner.judged.copy()

    # -- the whole state, out and in ----------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Arrays and JSON-ready values from which `restore` continues to the same bits."""
        optimizer = self.learner.optimizer
        arrays = {f"moment_{name}": m.copy() for name, m in optimizer.moments.items()}
        if self.learner.average is not None:
            arrays["average"] = self.learner.average.copy()
        return arrays | {
            "parameters": self.learner.parameters.copy(),
            "train_losses": np.array(self.losses),
            "test_curve": np.array(self.test_curve, dtype=np.float64).reshape(-1, 2),
            "snapshot_iterations": np.array(list(self.snapshots), dtype=np.int64),
            "snapshots": np.array(list(self.snapshots.values())),
            "step": optimizer.step,
            "iteration": self.iteration,
            "strict_in_a_row": self._strict_in_a_row,
            "elapsed_sec": self.elapsed,
            "stopped_by": self.stopped_by,
            "score": None if self.score is None else self.score.as_dict(),
            "training_stream": json.dumps(self.streams.training.bit_generator.state),
            "test_stream": json.dumps(self.streams.test.bit_generator.state),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave, into a training of the same recipe and seed."""
        learner = self.learner
        learner.parameters[:] = state["parameters"]
        if learner.average is not None:
            learner.average[:] = state["average"]
        for name, moment in learner.optimizer.moments.items():
            moment[:] = state[f"moment_{name}"]
        learner.optimizer.step = int(state["step"])
        self.iteration = int(state["iteration"])
        self.losses = [float(loss) for loss in state["train_losses"]]
        self.test_curve = [(int(k), float(mse)) for k, mse in state["test_curve"]]
        self._strict_in_a_row = int(state["strict_in_a_row"])
        self.elapsed = float(state["elapsed_sec"])
        self.stopped_by = state["stopped_by"]
        self.score = None if state["score"] is None else Score(**state["score"])
        iterations = (int(k) for k in state["snapshot_iterations"])
        self.snapshots = dict(zip(iterations, np.array(state["snapshots"]), strict=True))
        self.streams.training.bit_generator.state = json.loads(state["training_stream"])
        self.streams.test.bit_generator.state = json.loads(state["test_stream"])


def train(recipe: Recipe, seed: int = 0, *, engine: str = "auto", threads: int = 1) -> Run:
    """Trains to the end of the recipe.

    Args:
        recipe: from `longlag.recipe`.
        seed: 0 .. 2**63 - 1; with the recipe and the engine it determines every bit.
        engine: `auto`, `native` or `numpy`.
        threads: threads of the native kernel; the bits do not depend on it.

    Raises:
        ValueError: a seed, engine or thread number that is not allowed.
    """
    training = Training(recipe, seed, engines.choose(engine, threads))
    while training.stopped_by is None:
        training.advance()
    return training.run()


def evaluate(
    run: Run,
    n: int = 2560,
    seed: int = 0,
    *,
    task: MarkedPairs | None = None,
    engine: str = "auto",
    threads: int = 1,
) -> Score:
    """Scores a run on n fresh sequences of `task` (the recipe's own where not given).

    The sequences depend on the task, n and the seed alone, so that runs can be compared on the
    same ones; no training or test set has seen them.
    """
    chosen = engines.choose(engine, threads)
    return on_fresh(
        lambda inputs, lengths: chosen.predict(run.network, inputs, lengths),
        run.recipe.evaluation_task if task is None else task,
        n,
        seed,
    )


def on_fresh(predict: Predict, task: MarkedPairs, n: int, seed: int) -> Score:
    """Scores answers to the n sequences that the task, n and the seed determine.

    Raises:
        ValueError: an n or a seed that is not allowed.
    """
    checks.whole("n", n, 1)
    stream = np.random.SeedSequence(check_seed(seed), spawn_key=(EVALUATION_STREAM,))
    return measure(predict, task, n, np.random.default_rng(stream))


def measure(
    predict: Predict,
    task: MarkedPairs,
    n: int,
    rng: np.random.Generator,
    in_order: bool = False,
) -> Score:
    """Scores answers to n fresh sequences, drawn and answered in chunks of bounded memory.

    in_order draws them one after another, of one common length (the catalogue's order).
    """
    predictions, targets = [], []
    chunk = n if in_order else max(1, PREDICTION_VALUES // task.max_length)
    for start in range(0, n, chunk):
        draw = task.sample_in_order if in_order else task.sample
        batch = draw(min(chunk, n - start), rng)
        predictions.append(predict(batch.inputs, batch.lengths))
        targets.append(batch.targets)
    return score(np.concatenate(predictions), np.concatenate(targets))
