"""Learning rules, which are parts of a recipe, and the state of a trial that learns by them.

`Minibatch` updates the weights by an optimiser after every batch; `OnLine` updates them after every
sequence, as the paper did. A rule's learner holds all that learning changes, and draws the data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from longlag import checks
from longlag.learning.optimizers import Adam, GradientDescent, Optimizer, Start, copied, in_turn
from longlag.learning.stopping import Points, Recent, unwatched
from longlag.learning.streams import DECIDING, TEST, TRAINING, WEIGHTS, check_seed, stream
from longlag.networks.network import Inside, Network
from longlag.settings import Part, Registry, setting
from longlag.tasks.task import Batch, Task

DrawOrder = Literal["blocks", "published"]
OptimizerName = Literal["adam", "sgd", "own"]
ErrorTerm = Literal["squared", "halved"]

TEST_SEED_OFFSET = 1_000_003  # the catalogue's second stream of test data
BLOCK_VALUES = 2**20  # at most so many steps are drawn in one block of training data
ONLINE_BLOCK = 1024  # sequences in a block of one on-line trial, at most
ONLINE_BLOCK_VALUES = 2**17  # and steps
MADE = "optimizer_made"  # in a state: the user's own optimiser, in words

ShareObserver = Callable[[float], None]  # called with the share of a piece of data that is learned


class Learned(NamedTuple):
    """The result of learning from a piece of data.

    losses: mean squared error of each iteration, before its update; updates: how many of the
    iterations were made: fewer where learning diverged or reached its last stop.
    """

    losses: np.ndarray
    updates: int


def snapshot_due(iteration: int, ratio: float) -> bool:
    """Whether a snapshot is kept: they are evenly spaced in the logarithm of iterations."""
    if iteration <= 1:
        return True
    steps, before = (int(math.log(n) / math.log(ratio)) for n in (iteration, iteration - 1))
    return steps > before


@dataclass(frozen=True)
class LearningRule(Part):
    """The interface of a learning rule.

    Attributes:
        loss_every: iterations whose mean is a training loss.
        unit: the word for an iteration.
        snapshot_unit: snapshots are at multiples of so many iterations.
        look_every: iterations between two checks whether the loss has fallen so far that one more
            snapshot is kept; None where there are no such checks.
    """

    loss_every: ClassVar[int]
    unit: ClassVar[str]
    snapshot_unit: ClassVar[int] = 1
    look_every: ClassVar[int | None] = None


# -- in batches -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Minibatch(LearningRule):
    """Gradient descent on the mean squared error of batches."""

    loss_every: ClassVar[int] = 1
    unit: ClassVar[str] = "iteration"
    look_every: ClassVar[int | None] = 25

    draw_order: DrawOrder = setting(
        "blocks", "how random numbers are drawn: in blocks, or in catalog's published order"
    )
    batch_size: int = setting(8, "sequences in a batch", 1, 65536)
    optimizer: OptimizerName = setting(
        "adam", "adam, sgd (plain gradient descent), or own: one given in Python"
    )
    learning_rate: float = setting(0.025, "step size of the optimiser", 0, 1e3)
    beta1: float = setting(0.9, "decay of Adam's first moment", 0, 0.999999)
    beta2: float = setting(0.999, "decay of Adam's second moment", 0, 0.999999)
    epsilon: float = setting(1e-12, "Adam's epsilon", 1e-30, 1)
    clip: float = setting(0.1, "limit on the gradient's global norm", 1e-30, 1e30)
    average_decay: float = setting(
        0.99,
        "test a moving average of the weights with this decay; 0: the weights themselves",
        0,
        0.999999,
    )
    max_iterations: int = setting(25_000, "limit on the number of batches", 1, checks.LARGEST)

    @property
    def name(self) -> str:
        return "minibatch"

    @property
    def budget(self) -> int:
        """Iterations at most."""
        return self.max_iterations

    def snapshot_due(self, iteration: int) -> bool:
        return snapshot_due(iteration, 1.1)

    def learner(
        self, task: Task, network: Network, stop: Part, seed: int, own: Start | None = None
    ) -> MinibatchLearner:
        """A trial before its first iteration; with optimizer `own`, that which `own` starts."""
        return MinibatchLearner(self, task, network, stop, seed, own)

    def started(self, weights: np.ndarray, own: Start | None) -> Optimizer:
        """The optimiser of a trial with these initial weights (P,).

        Raises:
            ValueError: the optimiser is to be the user's, and none is given, or the reverse.
        """
        if own is not None and self.optimizer != "own":
            raise ValueError(f"own needs optimizer own, and the recipe's is {self.optimizer}")
        if self.optimizer == "own":
            if own is None:
                raise ValueError(
                    "optimizer own is one that is given in Python: train and resume with "
                    "longlag.train_torch or longlag.train_jax and their optimizer="
                )
            return own(weights)
        if self.optimizer == "sgd":
            return GradientDescent()
        return Adam(len(weights), self.beta1, self.beta2, self.epsilon)


class MinibatchLearner:
    """A trial that learns in batches: its weights, their average, moments and streams.

    Attributes:
        weights: (P,) float32, as the rule changes them.
        average: their moving average (P,), or None.
        optimizer: with its moments.
        inside: what learning changes in the network besides its weights.
        block: iterations whose data are drawn together; a divisor of the time between tests.
    """

    def __init__(
        self,
        rule: Minibatch,
        task: Task,
        network: Network,
        stop: Part,
        seed: int,
        own: Start | None = None,
    ) -> None:
        self._task, self._rule = task, rule
        published = rule.draw_order == "published"
        if published:
            seeds: list[Any] = [seed, seed, check_seed(seed) + TEST_SEED_OFFSET]
        else:
            seeds = list(np.random.SeedSequence(check_seed(seed)).spawn(3))
        weights, self._training, self._test = (np.random.default_rng(s) for s in seeds)
        self.weights: np.ndarray = network.start(task, weights)
        self.average: np.ndarray | None = self.weights.copy() if rule.average_decay > 0 else None
        self.optimizer: Optimizer = rule.started(self.weights, own)
        self.inside: Inside = network.inside(seed)
        self.block: int = 1 if published else self._block(getattr(stop, "test_every", 1))

    def _block(self, test_every: int) -> int:
        most = max(1, BLOCK_VALUES // (self._rule.batch_size * self._task.most_values))
        return max(d for d in range(1, min(most, test_every) + 1) if test_every % d == 0)

    over = False  # it has no end of its own

    @property
    def judged(self) -> np.ndarray:
        """The weights that are judged: the averaged ones where there are any."""
        return self.weights if self.average is None else self.average

    def draw(self, iteration: int, most: int) -> Batch:
        """Data of the next block: inputs (n, B, T, D), lengths and targets (n, B)."""
        n, size = min(self.block, self._rule.budget - iteration), self._rule.batch_size
        if self._rule.draw_order == "published":
            return self._task.sample_in_order(size, self._training).each(lambda a: a[None])
        flat = self._task.draw(n * size, self._training)
        return flat.each(lambda a: a.reshape(n, size, *a.shape[1:]))

    def test_stream(self, test: int) -> np.random.Generator:
        """Where the sequences of test number `test` come from: one stream for all of them."""
        return self._test

    @property
    def in_order(self) -> bool:
        """Whether test sequences are drawn one after another, as published."""
        return self._rule.draw_order == "published"

    @property
    def _arrays(self) -> dict[str, np.ndarray]:
        """What learning changes, by the names that `state` gives them."""
        average = {} if self.average is None else {"average": self.average}
        return {**average, "weights": self.weights}

    def marked(self) -> Callable[[], None]:
        """A function that restores the learner's present state."""
        parts = copied([*self._arrays.values()]), self.optimizer.marked(), self.inside.marked()
        generators = self._training.bit_generator, self._test.bit_generator
        streams = [partial(setattr, one, "state", one.state) for one in generators]
        return in_turn([*parts, *streams])

    def state(self) -> dict[str, Any]:
        arrays = {name: array.copy() for name, array in self._arrays.items()}
        return (
            arrays
            | self.optimizer.state()
            | self.inside.state()
            | {
                "training_stream": json.dumps(self._training.bit_generator.state),
                "test_stream": json.dumps(self._test.bit_generator.state),
            }
        )

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, array in self._arrays.items():
            array[:] = checks.array(name, state[name], array.dtype, array.shape)
        self.optimizer.restore(state)
        self.inside.restore(state)
        self._training.bit_generator.state = json.loads(state["training_stream"])
        self._test.bit_generator.state = json.loads(state["test_stream"])


# -- one sequence, one update ---------------------------------------------------------------------

# Snapshots begin late and are close together: else too few would show how the error falls.
SNAPSHOT_UNIT, SNAPSHOT_RATIO = 4096, 1.1  # sequences, a multiple of any block


@dataclass(frozen=True, kw_only=True)
class OnLine(LearningRule):
    """Plain gradient descent on the error of one sequence after another, as the paper did."""

    loss_every: ClassVar[int] = 1000
    unit: ClassVar[str] = "sequence"
    snapshot_unit: ClassVar[int] = SNAPSHOT_UNIT
    batch_size: ClassVar[int] = 1  # an iteration learns from one sequence

    learning_rate: float = setting(0.1, "step size of gradient descent", 1e-30, 1e3)
    error: ErrorTerm = setting(
        "squared", "the error is (t - y)², eq. 16, or half of it, as eq. 19 has it"
    )
    max_sequences: int = setting(3_000_000, "limit on the training sequences", 1, checks.LARGEST)

    @property
    def name(self) -> str:
        return "online"

    @property
    def budget(self) -> int:
        """Iterations at most: one a sequence."""
        return self.max_sequences

    @property
    def rate(self) -> float:
        """What multiplies the gradient of (t - y)²."""
        return self.learning_rate * (0.5 if self.error == "halved" else 1)

    def snapshot_due(self, iteration: int) -> bool:
        units, rest = divmod(iteration, SNAPSHOT_UNIT)
        return rest == 0 and snapshot_due(units, SNAPSHOT_RATIO)

    def learner(
        self, task: Task, network: Network, stop: Part, seed: int, own: Start | None = None
    ) -> OnlineLearner:
        """A trial before its first sequence; it has no optimiser of its own.

        Raises:
            ValueError: one is given.
        """
        if own is not None:
            raise ValueError("own needs rule minibatch, and the recipe's is online")
        return OnlineLearner(self, task, network, stop, seed)


class OnlineLearner:
    """A trial that learns on-line: its weights, and the window that its stopping rule looks at.

    Every block of data has a stream of its own, so that a trial can go on from any block.

    Attributes:
        weights: (P,) float32.
        recent: (R,) float32, a ring of the errors y - t of the R most recent sequences (of several
            outputs, the largest).
        seen, wrong: sequences learned, and errors in `recent` above the tolerance.
        stops: (S,) `seen` at each stopping point, -1 before; stop_weights (S, P) the weights
            there; stop_errors (S, 2) mean squared and mean absolute error of what decided it.
        inside: what learning changes in the network besides its weights.
    """

    ARRAYS = ("weights", "recent", "seen", "wrong", "stops", "stop_weights", "stop_errors")

    def __init__(self, rule: OnLine, task: Task, network: Network, stop: Part, seed: int) -> None:
        self._task, self._rule, self._seed = task, rule, check_seed(seed)
        points = len(stop.stops) if isinstance(stop, Points) else 1
        self.window: Recent = stop if isinstance(stop, Recent) else unwatched(points)
        self._test_every = getattr(stop, "test_every", rule.budget)
        self.weights: np.ndarray = network.start(task, stream(seed, WEIGHTS))
        S, P = len(self.window.stops), len(self.weights)
        self.recent: np.ndarray = np.zeros(self.window.window, np.float32)
        self.seen: np.ndarray = np.zeros((), np.int64)
        self.wrong: np.ndarray = np.zeros((), np.int64)
        self.stops: np.ndarray = np.full(S, -1, np.int64)
        self.stop_weights: np.ndarray = np.zeros((S, P), np.float32)
        self.stop_errors: np.ndarray = np.zeros((S, 2))
        self.inside: Inside = network.inside(seed)
        most = max(1, ONLINE_BLOCK_VALUES // self._task.most_values)
        self.block: int = min(ONLINE_BLOCK, 1 << (most.bit_length() - 1))  # drawn together
        self._drawn: dict[int, Batch] = {}

    @property
    def judged(self) -> np.ndarray:
        return self.weights

    @property
    def over(self) -> bool:
        """Whether the last stopping point is reached, after which the trial does not learn."""
        return bool(self.stops[-1] >= 0)

    def ahead(self, iteration: int, most: int) -> int:
        """How many sequences come next: up to the end of a block or the next test, `most`."""
        to_block, to_test = (n - iteration % n for n in (self.block, self._test_every))
        return min(to_block, to_test, self._rule.budget - iteration, most)

    def draw(self, iteration: int, most: int) -> Batch:
        """The next sequences, n of them, `most` at most: inputs (n, T, D), lengths (n,)."""
        number, start = divmod(iteration, self.block)
        if number not in self._drawn:
            self._drawn[number] = self._draw(number)
        for past in [k for k in list(self._drawn) if k < number]:
            del self._drawn[past]
        piece = slice(start, start + self.ahead(iteration, most))
        return self._drawn[number].each(lambda a: a[piece])

    def draw_ahead(self, iteration: int) -> None:
        """Draws the block after the one of this iteration in advance."""
        number = iteration // self.block + 1
        if number * self.block < self._rule.budget and number not in self._drawn:
            self._drawn[number] = self._draw(number)

    def _draw(self, number: int) -> Batch:
        return self._task.draw(self.block, stream(self._seed, TRAINING, number))

    def test_stream(self, test: int) -> np.random.Generator:
        """Where the sequences of test number `test`, or of that stopping point, come from."""
        return stream(self._seed, TEST, test)

    def deciding_stream(self) -> np.random.Generator:
        """Where the sequences of a test come from that may stop the trial."""
        return stream(self._seed, DECIDING, int(self.seen))

    def stop_here(self, s: int, mse: float, mae: float) -> None:
        """Records that stopping point number s is reached, with the errors that decided it."""
        self.stops[s] = self.seen
        self.stop_weights[s] = self.weights
        self.stop_errors[s] = mse, mae

    in_order = False

    def marked(self) -> Callable[[], None]:
        """A function that restores the learner's present state."""
        arrays = copied([getattr(self, name) for name in self.ARRAYS])
        return in_turn([arrays, self.inside.marked()])

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name).copy() for name in self.ARRAYS} | self.inside.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in self.ARRAYS:
            mine = getattr(self, name)
            mine[...] = checks.array(name, np.asarray(state[name]), mine.dtype, mine.shape)
        self.inside.restore(state)
        self._drawn.clear()


Learner = MinibatchLearner | OnlineLearner
RULES: Registry[LearningRule] = Registry("rule", LearningRule, Minibatch(), OnLine())
