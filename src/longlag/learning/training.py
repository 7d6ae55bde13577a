"""Mini-batch training by back-propagation through time: `train(recipe, seed)`.

`Training` is the same thing in steps (`steps.Steps`). What is to be learned on-line, `train` hands
on to `online_training`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from longlag import checks
from longlag.learning import engine as engines
from longlag.learning import side_by_side as online
from longlag.learning.online_training import OnlineTraining
from longlag.learning.recipe import (
    AnyRecipe,
    OnlineRecipe,
    Recipe,
    Streams,
    as_recipe,
    check_seed,
)
from longlag.learning.steps import AnySteps, Run, Steps, StoppedBy, snapshot_due
from longlag.networks.lstm import LSTM, flatten
from longlag.tasks.marked_pairs import Batch, MarkedPairs
from longlag.tasks.score import Score, is_strict, score

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (B, T, 2) and lengths (B,) to (B,)

EVALUATION_STREAM = 4  # spawn key of `evaluate`'s sequences: apart from every training stream
PREDICTION_VALUES = 2**20  # about so many values are held at once while predicting
LANES = 16  # sequences that the widest kernel predicts in the time of one


class Training(Steps[Recipe, engines.Engine]):
    """Mini-batch training in steps; after a block of data it tests where a test is due.

    Args:
        recipe, seed: what is trained.
        engine: from `longlag.learning.engine.choose`.
        snapshot_every: iterations between snapshots; geometric where not given.

    Raises:
        ValueError: a recipe that learns on-line.
    """

    streams: Streams
    learner: engines.Learner
    iteration: int
    stopped_by: StoppedBy | None
    score: Score | None

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        engine: engines.Engine,
        snapshot_every: int | None = None,
    ) -> None:
        if isinstance(recipe, OnlineRecipe):
            raise ValueError(f"recipe {recipe.name} learns on-line, not in batches")
        super().__init__(recipe, seed, engine)
        self.streams = recipe.streams(seed)
        self.learner = engines.Learner.at(self._initial(), recipe)
        self._strict_in_a_row = 0
        self._snapshot_every = snapshot_every
        self._snapshot()

    @property
    def network(self) -> LSTM:
        """The network as it stands."""
        return self.learner.network(self.recipe)

    def predict(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Answers (B,) of the network as it stands, for inputs (B, T, 2)."""
        return self.engine.predict(self.network, inputs, lengths)

    def _initial(self) -> np.ndarray:
        """The initial parameters, flat (P,)."""
        return flatten(self.recipe.network(self.streams.weights).parameters)

    # -- one step -----------------------------------------------------------------------------

    def _step(self) -> None:
        self._train_block()
        last = self.iteration == self.recipe.max_iterations
        if self.stopped_by is None and (last or self.iteration % self.recipe.test_every == 0):
            self._test(last)
        if self.stopped_by is not None:
            self._conclude()

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
        optimizer = self.learner.optimizer
        arrays = {f"moment_{name}": m.copy() for name, m in optimizer.moments.items()}
        if self.learner.average is not None:
            arrays["average"] = self.learner.average.copy()
        own = {
            "parameters": self.learner.parameters.copy(),
            "step": optimizer.step,
            "strict_in_a_row": self._strict_in_a_row,
            "training_stream": json.dumps(self.streams.training.bit_generator.state),
            "test_stream": json.dumps(self.streams.test.bit_generator.state),
        }
        return super().state() | arrays | own

    def restore(self, state: Mapping[str, Any]) -> None:
        learner = self.learner
        arrays = {"parameters": learner.parameters, "average": learner.average}
        arrays |= {f"moment_{name}": m for name, m in learner.optimizer.moments.items()}
        for name, array in arrays.items():
            if array is not None:
                array[:] = checks.array(name, state[name], array.dtype, array.shape)
        learner.optimizer.step = int(state["step"])
        self._strict_in_a_row = int(state["strict_in_a_row"])
        self.streams.training.bit_generator.state = json.loads(state["training_stream"])
        self.streams.test.bit_generator.state = json.loads(state["test_stream"])
        super().restore(state)
        if not len(self.losses) == self.iteration <= self.recipe.max_iterations:
            raise ValueError(f"it has {len(self.losses)} losses of {self.iteration} iterations")


def begin(recipe: AnyRecipe, seed: int = 0, *, engine: str = "auto", threads: int = 1) -> AnySteps:
    """A training at its start, of the kind that the recipe asks for; arguments as in `train`."""
    if isinstance(recipe, OnlineRecipe):
        return OnlineTraining(recipe, seed, online.choose(engine), threads)
    return Training(recipe, seed, engines.choose(engine, threads))


def train(recipe: AnyRecipe | str, seed: int = 0, *, engine: str = "auto", threads: int = 1) -> Run:
    """Trains to the end of the recipe.

    Args:
        recipe: from `longlag.recipe`, or the name of a registered one.
        seed: 0 .. 2**63 - 1; with the recipe and the engine it determines every bit.
        engine: `auto`, `native` or `numpy`.
        threads: threads of the native kernel; the bits do not depend on it.

    Raises:
        ValueError: a recipe, seed, engine or thread number that is not allowed.
    """
    training = begin(as_recipe(recipe), seed, engine=engine, threads=threads)
    while training.stopped_by is None:
        training.advance()
    return training.run()


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
    chunk = n if in_order else max(LANES, PREDICTION_VALUES // task.max_length)
    for start in range(0, n, chunk):
        draw = task.sample_in_order if in_order else task.sample
        batch = draw(min(chunk, n - start), rng)
        predictions.append(predict(batch.inputs, batch.lengths))
        targets.append(batch.targets)
    return score(np.concatenate(predictions), np.concatenate(targets))
