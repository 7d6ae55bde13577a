"""The paper's regime: one sequence, one update, many independent trials side by side.

`Trials` holds any number of trials of one recipe, a seed a trial. A round takes every trial that
is still learning through its next piece of data, in groups of 16, a lane of the kernel each: a
trial that has finished leaves its lane to one that waits. While the kernel learns from one piece
of data, other threads draw the next. What a trial becomes depends on (recipe, seed) alone: it has
its own random streams, and neither its neighbours, nor the number of threads, nor an interruption
changes a bit. Nothing here knows of files.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from longlag import checks
from longlag.kernel import load_kernel
from longlag.learning import engine as engines
from longlag.learning.recipe import ONLINE_BLOCK, OnlineRecipe, check_seed
from longlag.networks.lstm1997 import flatten, weight_count
from longlag.tasks.marked_pairs import Batch
from longlag.tasks.score import Score, score

LANES = 16  # trials that the kernel takes through one instruction

EndedBy = Literal["target", "max_sequences", "diverged"]


class State(NamedTuple):
    """What learning changes; a row a trial, and the same arrays that the kernel writes to.

    weights (N, P) float32; recent (N, R) float32: a ring of the errors y - t of the R most recent
    sequences; seen (N,): sequences learned; wrong (N,): errors in `recent` above the tolerance;
    stops (N, S): `seen` at each stopping point, -1 before; stop_weights (N, S, P) float32: the
    weights there; stop_errors (N, S, 2): mean squared and mean absolute error of `recent` there.
    """

    weights: np.ndarray
    recent: np.ndarray
    seen: np.ndarray
    wrong: np.ndarray
    stops: np.ndarray
    stop_weights: np.ndarray
    stop_errors: np.ndarray

    @classmethod
    def start(cls, recipe: OnlineRecipe, seeds: Sequence[int]) -> State:
        N, S, P = len(seeds), len(recipe.stops), weight_count(recipe.blocks, recipe.block_size)
        return cls(
            np.stack([recipe.initial(seed) for seed in seeds]),
            np.zeros((N, recipe.window), np.float32),
            np.zeros(N, np.int64),
            np.zeros(N, np.int64),
            np.full((N, S), -1, np.int64),
            np.zeros((N, S, P), np.float32),
            np.zeros((N, S, 2)),
        )

    def take(self, rows: Any) -> State:
        """A copy of some rows."""
        return State(*(np.ascontiguousarray(array[rows]) for array in self))

    def put(self, rows: Any, other: State) -> None:
        """Writes rows that were taken back."""
        for array, values in zip(self, other, strict=True):
            array[rows] = values


class OnlineEngine(Protocol):
    """Who does the arithmetic of on-line learning."""

    name: str
    isa: str | None
    most: int  # sequences of a trial in one call at most, so that none takes long

    def learn(self, recipe: OnlineRecipe, state: State, data: Batch) -> np.ndarray:
        """Learns from inputs (N, K, T, 2), lengths and targets (N, K), one after another.

        Changes the state in place. A trial learns no more once it has met its last stopping
        point; one whose weights would not stay finite stops before that update.

        Returns:
            Answers (N, K) before each update; NaN where there is none.
        """
        ...

    def predict(self, recipe: OnlineRecipe, vector: np.ndarray, data: Batch) -> np.ndarray:
        """Answers (n,) of the network with flat weights (P,)."""
        ...


class NumpyOnline:
    """The reference itself: one trial after another."""

    name = "numpy"
    isa: str | None = None
    most = 16

    def learn(self, recipe: OnlineRecipe, state: State, data: Batch) -> np.ndarray:
        N, K = data.targets.shape
        answers = np.full((N, K), np.nan, np.float32)
        for n in range(N):
            for k in range(K):
                if state.stops[n, -1] >= 0 or not self._update(recipe, state, data, n, k, answers):
                    break
        return answers

    def _update(
        self,
        recipe: OnlineRecipe,
        state: State,
        data: Batch,
        n: int,
        k: int,
        answers: np.ndarray,
    ) -> bool:
        """One sequence, one update; False where the weights would not stay finite."""
        sequence, target = data.inputs[n, k, : data.lengths[n, k]], data.targets[n, k]
        network = recipe.network_of(state.weights[n])
        full = recipe.gradient == "full"
        gradient = network.full_gradient if full else network.truncated_gradient_backward
        with np.errstate(over="ignore", invalid="ignore"):
            answer = network.predict(sequence[None])[0]
            step = np.float32(recipe.rate) * flatten(gradient(sequence, target))
            updated = state.weights[n] - step
        if not (np.isfinite(answer) and np.all(np.isfinite(updated))):
            return False
        answers[n, k], state.weights[n] = answer, updated
        self._note(recipe, state, n, answer - target)
        return True

    def _note(self, recipe: OnlineRecipe, state: State, n: int, error: np.floating) -> None:
        """Puts an error in the window and looks at the stopping rule."""
        ring, tolerance = state.recent[n], np.float32(recipe.tolerance)
        ring[state.seen[n] % len(ring)] = error
        state.seen[n] += 1
        seen = state.seen[n]
        state.wrong[n] = np.sum(np.abs(ring[:seen]) > tolerance)
        if seen < len(ring) or seen % recipe.check_every or state.wrong[n] >= recipe.stops[0]:
            return
        errors = ring.astype(np.float64)
        moments = np.mean(errors**2), np.mean(np.abs(errors))
        for s, threshold in enumerate(recipe.stops):
            new = state.stops[n, s] < 0 and state.wrong[n] < threshold
            if new and moments[1] < recipe.mean_error:
                state.stops[n, s] = seen
                state.stop_weights[n, s] = state.weights[n]
                state.stop_errors[n, s] = moments

    def predict(self, recipe: OnlineRecipe, vector: np.ndarray, data: Batch) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return recipe.network_of(vector).predict(data.inputs, data.lengths)


class NativeOnline:
    """The C++ kernel; each group of lanes is one call, on whichever thread makes it."""

    name = "native"
    most = ONLINE_BLOCK

    def __init__(self, kernel: Any, engine: engines.Engine) -> None:
        self.isa: str | None = engine.isa
        self._kernel, self._engine = kernel, engine

    def learn(self, recipe: OnlineRecipe, state: State, data: Batch) -> np.ndarray:
        return self._kernel.online1997(
            *state,
            *data,
            thresholds=np.array(recipe.stops),
            tolerance=recipe.tolerance,
            check_every=recipe.check_every,
            rate=recipe.rate,
            full_gradient=recipe.gradient == "full",
            mean_error_below=recipe.mean_error,
            blocks=recipe.blocks,
            block_size=recipe.block_size,
            reads_current=recipe.reads == "current",
            isa=self.isa,
        )

    def predict(self, recipe: OnlineRecipe, vector: np.ndarray, data: Batch) -> np.ndarray:
        return self._engine.predict(recipe.network_of(vector), data.inputs, data.lengths)


def choose(engine: str = "auto") -> OnlineEngine:
    """The engine by name, as `longlag.learning.engine.choose`."""
    chosen = engines.choose(engine)
    if chosen.name == "numpy":
        return NumpyOnline()
    return NativeOnline(load_kernel(), chosen)


@dataclass(frozen=True)
class Stop:
    """A trial at a stopping point, or where it ended without reaching it.

    n_seq: the stopping point's number; reached: whether it was; sequences: training sequences
    seen; window_mse, window_mae: errors of the recent training sequences there (NaN where not
    reached); fresh: the score on fresh sequences with the weights there.
    """

    n_seq: int
    reached: bool
    sequences: int
    window_mse: float
    window_mae: float
    fresh: Score


@dataclass(frozen=True)
class Trial:
    """A finished trial."""

    seed: int
    ended_by: EndedBy
    sequences: int
    stops: tuple[Stop, ...]


class Trials:
    """Trials of a recipe that learn side by side; see the module's docstring.

    Args:
        recipe: its settings.
        seeds: a trial each.
        engine: from `choose`.
        threads: of the kernel and the drawing of data together.

    Raises:
        ValueError: a seed or a number of threads that is not allowed.
    """

    recipe: OnlineRecipe
    engine: OnlineEngine
    seeds: list[int]
    threads: int
    arrays: State
    diverged: np.ndarray
    elapsed: float

    def __init__(
        self,
        recipe: OnlineRecipe,
        seeds: Sequence[int],
        engine: OnlineEngine,
        threads: int = 1,
    ) -> None:
        self.recipe, self.engine = recipe, engine
        self.seeds = [check_seed(seed) for seed in seeds]
        self.threads = checks.whole("threads", threads, 1, 1024)
        self.arrays = State.start(recipe, self.seeds)
        self.diverged = np.zeros(len(self.seeds), bool)
        self.elapsed = 0.0
        self._drawn: dict[tuple[int, int], Batch] = {}  # by row and block, ahead of their use
        self._inputs: dict[int, np.ndarray] = {}  # by group: memory that is used again

    # -- learning -----------------------------------------------------------------------------

    @property
    def learning(self) -> np.ndarray:
        """Rows of the trials that are still to learn, in order."""
        arrays = self.arrays
        done = (arrays.stops[:, -1] >= 0) | self.diverged
        return np.flatnonzero(~done & (arrays.seen < self.recipe.max_sequences))

    @property
    def finished(self) -> bool:
        return len(self.learning) == 0

    def advance(self, pool: ThreadPoolExecutor) -> dict[int, np.ndarray]:
        """One round: every trial in a lane learns from its next piece of data.

        An exception from within leaves a state from which nothing can go on.

        Returns:
            By row, the errors y - t of the sequences that were learned from, float32.
        """
        start = time.perf_counter()
        groups = self._groups()
        errors: dict[int, np.ndarray] = {}
        learned = [
            pool.submit(self._learn, rows, self._data(rows), k) for k, rows in enumerate(groups)
        ]
        ahead = self._draw_ahead(np.concatenate(groups), pool)
        for rows, done in zip(groups, learned, strict=True):
            state, found = done.result()
            self.arrays.put(rows, state)
            missing = np.isnan(found)
            self.diverged[rows] = missing.any(axis=1) & (state.stops[:, -1] < 0)
            errors |= {int(row): e[~m] for row, e, m in zip(rows, found, missing, strict=True)}
        self._keep({key: data.result() for key, data in ahead.items()})
        self.elapsed += time.perf_counter() - start
        return errors

    def run(self) -> None:
        """Lets every trial learn to its end."""
        with ThreadPoolExecutor(self.threads) as pool:
            while not self.finished:
                self.advance(pool)

    @property
    def _in_lanes(self) -> np.ndarray:
        """The first of the rows that are left; more lanes than threads times 16 gain nothing."""
        return self.learning[: LANES * self.threads]

    def _groups(self) -> list[np.ndarray]:
        """Rows that learn in this round; the sequences ahead are as many in each of a group."""
        rows = self._in_lanes
        pieces = np.array([self._piece(row) for row in rows])
        groups = []
        for piece in np.unique(pieces):
            alike = rows[pieces == piece]
            groups += [alike[k : k + LANES] for k in range(0, len(alike), LANES)]
        return groups

    def _piece(self, row: int) -> int:
        """Sequences of a trial in a round: up to the end of its block of data, or of its budget."""
        recipe, seen = self.recipe, int(self.arrays.seen[row])
        left = recipe.block - seen % recipe.block, recipe.max_sequences - seen
        return min(*left, self.engine.most)

    def _data(self, rows: np.ndarray) -> list[Batch]:
        """The next piece of each trial's data: views of blocks, most of them drawn ahead."""
        batches = []
        for row in rows:
            block, start = divmod(int(self.arrays.seen[row]), self.recipe.block)
            if (row, block) not in self._drawn:
                self._drawn[row, block] = self._draw(row, block)
            drawn = self._drawn[row, block]
            piece = slice(start, start + self._piece(row))
            batches.append(Batch(*(array[piece] for array in drawn)))
        return batches

    def _draw(self, row: int, block: int) -> Batch:
        return self.recipe.training_data(self.seeds[row], block)

    def _draw_ahead(
        self, rows: np.ndarray, pool: ThreadPoolExecutor
    ) -> dict[tuple[int, int], Future[Batch]]:
        """The blocks after those that are being learned from."""
        block, budget = self.recipe.block, self.recipe.max_sequences
        after = {int(row): int(self.arrays.seen[row]) // block + 1 for row in rows}
        wanted = {(row, k) for row, k in after.items() if k * block < budget}
        return {key: pool.submit(self._draw, *key) for key in wanted - self._drawn.keys()}

    def _keep(self, ahead: dict[tuple[int, int], Batch]) -> None:
        """Keeps the blocks that are still to be learned from."""
        seen, size = self.arrays.seen, self.recipe.block
        block = {int(row): int(seen[row]) // size for row in self._in_lanes}
        drawn = self._drawn | ahead
        self._drawn = {(r, k): drawn[r, k] for r, k in drawn if r in block and k >= block[r]}

    def _learn(
        self, rows: np.ndarray, batches: list[Batch], group: int
    ) -> tuple[State, np.ndarray]:
        state = self.arrays.take(rows)
        shape = (len(batches), *batches[0].inputs.shape)
        if group not in self._inputs or self._inputs[group].shape != shape:
            self._inputs[group] = np.empty(shape, np.float32)
        columns = zip(*batches, strict=True)
        inputs = np.stack(next(columns), out=self._inputs[group])
        data = Batch(inputs, *(np.stack(arrays) for arrays in columns))
        return state, self.engine.learn(self.recipe, state, data) - data.targets

    # -- what has come of them ----------------------------------------------------------------

    def results(self) -> list[Trial]:
        """Every trial, as it stands, judged on fresh sequences of its own."""
        return [self._result(row) for row in range(len(self.seeds))]

    def _result(self, row: int) -> Trial:
        stops = tuple(self.stop(row, s) for s in range(len(self.recipe.stops)))
        return Trial(self.seeds[row], self.ended_by(row), int(self.arrays.seen[row]), stops)

    def ended_by(self, row: int) -> EndedBy:
        """Why a trial that learns no more has ended."""
        if self.arrays.stops[row, -1] >= 0:
            return "target"
        return "diverged" if self.diverged[row] else "max_sequences"

    def weights_at(self, row: int, s: int) -> np.ndarray:
        """A trial's weights (P,) at its stopping point number s, or where it is."""
        arrays = self.arrays
        return arrays.stop_weights[row, s] if arrays.stops[row, s] >= 0 else arrays.weights[row]

    def stop(self, row: int, s: int) -> Stop:
        """A trial at its stopping point number s, or where it is, judged on fresh sequences."""
        arrays, recipe = self.arrays, self.recipe
        reached = bool(arrays.stops[row, s] >= 0)
        fresh = recipe.test_data(self.seeds[row], s)
        mse, mae = arrays.stop_errors[row, s] if reached else (np.nan, np.nan)
        return Stop(
            n_seq=recipe.stops[s],
            reached=reached,
            sequences=int(arrays.stops[row, s] if reached else arrays.seen[row]),
            window_mse=float(mse),
            window_mae=float(mae),
            fresh=score(self.engine.predict(recipe, self.weights_at(row, s), fresh), fresh.targets),
        )

    # -- the whole state, out and in ----------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        """Arrays from which `restore` continues to the same bits."""
        arrays = {name: array.copy() for name, array in self.arrays._asdict().items()}
        return arrays | {
            "seeds": np.array(self.seeds),
            "diverged": self.diverged.copy(),
            "elapsed_sec": np.array(self.elapsed),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Puts back what `state` gave, for as many trials as are in both.

        Raises:
            ValueError: arrays that are not a state of this recipe.
        """
        saved = State(*(state[name] for name in State._fields))
        place = {int(seed): k for k, seed in enumerate(state["seeds"])}
        rows = [row for row, seed in enumerate(self.seeds) if seed in place]
        places = [place[self.seeds[row]] for row in rows]
        for name, mine, theirs in zip(State._fields, self.arrays, saved, strict=True):
            if theirs.shape[1:] != mine.shape[1:] or theirs.dtype != mine.dtype:
                raise ValueError(f"{name} of shape {theirs.shape} does not fit the recipe")
        self.arrays.put(rows, saved.take(places))
        self.diverged[rows] = state["diverged"][places]
        self.elapsed = float(state["elapsed_sec"])
