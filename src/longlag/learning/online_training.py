"""Training as the paper did, one sequence, one update: a single one of `online`'s trials.

It has the random streams, and so the bits, of the trial of that seed in a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from longlag.learning.recipe import OnlineRecipe
from longlag.learning.side_by_side import EndedBy, OnlineEngine, Stop, Trials
from longlag.learning.steps import Steps, StoppedBy, snapshot_due
from longlag.networks.lstm1997 import LSTM1997
from longlag.tasks.score import Score

STOPPED_BY: dict[EndedBy, StoppedBy] = {
    "target": "target",
    "max_sequences": "max_iterations",
    "diverged": "diverged",
}
# Snapshots begin late and lie close, or too few would show the moment of learning.
SNAPSHOT_UNIT, SNAPSHOT_RATIO = 4096, 1.1  # sequences, a multiple of any block
TRIAL = "trial_"  # before the names of the trial's own arrays, in a state


class OnlineTraining(Steps[OnlineRecipe, OnlineEngine]):
    """A trial in steps; an iteration is one sequence.

    It is tested at its stopping points, and at its end where that is none. Tests in between would
    tell nothing new: no sequence was seen before it is learned from, so that the training losses
    are those of fresh sequences.

    Args:
        recipe, seed: what is trained.
        engine: from `longlag.learning.side_by_side.choose`.
        threads: of the kernel and the drawing of data together.

    Raises:
        ValueError: a seed or a number of threads that is not allowed.
    """

    trial: Trials
    iteration: int
    test_curve: list[tuple[int, float]]
    stopped_by: StoppedBy | None
    score: Score | None
    stops: tuple[Stop, ...]

    def __init__(
        self, recipe: OnlineRecipe, seed: int, engine: OnlineEngine, threads: int = 1
    ) -> None:
        super().__init__(recipe, seed, engine)
        self.trial = Trials(recipe, [seed], engine, threads)
        self._pool = ThreadPoolExecutor(self.trial.threads)
        self._squares = np.zeros(0)  # squared errors that are in none of the losses yet
        self._snapshot(0, self._weights)

    @property
    def _weights(self) -> np.ndarray:
        return self.trial.arrays.weights[0]

    @property
    def network(self) -> LSTM1997:
        return self.recipe.network_of(self._weights.copy())

    @property
    def wrong(self) -> int:
        """Errors above the tolerance among the most recent sequences, which decide on stopping."""
        return int(self.trial.arrays.wrong[0])

    def _step(self) -> None:
        errors = self.trial.advance(self._pool)[0]
        self.iteration = int(self.trial.arrays.seen[0])
        units, rest = divmod(self.iteration, SNAPSHOT_UNIT)
        if rest == 0 and snapshot_due(units, SNAPSHOT_RATIO):
            self._snapshot(self.iteration, self._weights)
        self._note(errors.astype(np.float64) ** 2)
        self._test()
        if self.trial.finished:
            self.stopped_by = STOPPED_BY[self.trial.ended_by(0)]
            self.score = self.stops[-1].fresh
            self._pool.shutdown()

    def _note(self, squares: np.ndarray) -> None:
        """Squared errors become losses, a mean of so many at a time; at the end, of the rest."""
        every, waiting = self.recipe.loss_every, np.concatenate([self._squares, squares])
        while len(waiting) >= every or (self.trial.finished and len(waiting)):
            self.losses.append(float(np.mean(waiting[:every])))
            waiting = waiting[every:]
        self._squares = waiting

    def _test(self) -> None:
        """Tests at the stopping points that were passed in this step, with the weights there."""
        for s in self._behind()[len(self.stops) :]:
            stop = self.trial.stop(0, s)
            self.stops += (stop,)
            earlier = [test for test in self.test_curve if test[0] < stop.sequences]
            self.test_curve = [*earlier, (stop.sequences, stop.fresh.mse)]
            self._snapshot(stop.sequences, self.trial.weights_at(0, s))

    def _behind(self) -> list[int]:
        """Numbers of the stopping points that are behind: at the end all, reached or not."""
        reached = self.trial.arrays.stops[0] >= 0
        return [s for s in range(len(reached)) if reached[s] or self.trial.finished]

    def _snapshot(self, iteration: int, weights: np.ndarray) -> None:
        self.snapshots[iteration] = weights.copy()

    # -- the whole state, out and in ----------------------------------------------------------

    def state(self) -> dict[str, Any]:
        arrays = {TRIAL + name: array for name, array in self.trial.state().items()}
        return super().state() | arrays | {"squares": self._squares}

    def restore(self, state: Mapping[str, Any]) -> None:
        arrays = {name.removeprefix(TRIAL): state[name] for name in state if TRIAL in name}
        self.trial.restore(arrays)
        super().restore(state)
        if self.iteration != self.trial.arrays.seen[0]:
            raise ValueError(f"its trial is not at iteration {self.iteration}")
        self._squares = np.array(state["squares"], dtype=np.float64)
        self.stops = tuple(self.trial.stop(0, s) for s in self._behind())
