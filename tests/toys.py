"""Small tasks of the tests' own: any number of inputs and outputs, answered at the end or always.

`toys:Echo` is what a user's own task looks like, given as a `module:Class`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from longlag import checks
from longlag.tasks.task import Answered, Batch, Drawing, Task

# The file of a cell of the user's; `behind` changes its answers, as an edit does.
OWN_CELL = """
from torch import nn


class Own(nn.Module):
    def __init__(self, D, K, size):
        super().__init__()
        self.cells, self.read = nn.RNN(D, size, batch_first=True), nn.Linear(size, K)

    def forward(self, inputs, lengths):
        return self.read(self.cells(inputs)[0]) {behind}
"""


class Sequence(NamedTuple):
    """Inputs (L, D) or symbols (L,), and the target."""

    inputs: np.ndarray
    target: Any


@dataclass(frozen=True)
class Toy(Task):
    """What the toys have in common."""

    source: ClassVar[str] = "the tests"

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    @property
    def shortest(self) -> int:
        return 1

    @property
    def what(self) -> str:
        return "echo"

    @property
    def asks(self) -> str:
        return "an echo of the inputs"

    def explain(self, sequence: Any) -> str:
        return f"{len(sequence.inputs)} steps"

    def drawing(self, sequence: Any) -> Drawing:
        return Drawing(np.ones(len(sequence.inputs)), {}, {}, 0, 1, {}, "ones")

    @property
    def mean_target(self) -> float | np.ndarray:
        return 0.5

    @property
    def chance_mse(self) -> float:
        return 1 / 12

    def sequence(self, rng: np.random.Generator, length: int | None = None) -> Sequence:
        if length is None:
            length = int(rng.integers(self.min_length, self.max_length + 1))
        one = self.at_length(length).sample(1, rng)
        return Sequence(one.inputs[0], one.targets[0])


@dataclass(frozen=True)
class Echo(Toy):
    """At every step: the input of the step before it, a number in [0, 1); 0 at the first."""

    inputs: ClassVar[int] = 1
    answered: ClassVar[Answered] = "every"
    tolerance: ClassVar[float] = 0.2

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        checks.whole("n", n, 1)
        lengths = rng.integers(self.min_length, self.max_length + 1, n)
        alive = np.arange(self.max_length) < lengths[:, None]
        values = np.where(alive, rng.random(alive.shape, dtype=np.float32), 0).astype(np.float32)
        targets = np.where(alive, np.roll(values, 1, axis=1), 0).astype(np.float32)
        targets[:, 0] = 0
        return Batch(values[..., None], lengths, targets)


@dataclass(frozen=True)
class Far(Echo):
    """Echo with answers so large that a gradient's norm, squared, is no float32."""

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        batch = super().sample(n, rng)
        return batch._replace(targets=batch.targets * np.float32(1e25))


@functools.cache
def toy(D: int, K: int = 1, answered: Answered = "last", symbols: bool = False) -> type[Toy]:
    """A task without sense: uniform inputs, and targets that are uniform, too."""

    @dataclass(frozen=True)
    class Random(Toy):
        def sample(self, n: int, rng: np.random.Generator) -> Batch:
            lengths = rng.integers(self.min_length, self.max_length + 1, n)
            alive = np.arange(self.max_length) < lengths[:, None]
            if self.symbols:
                inputs = np.where(alive, rng.integers(D, size=alive.shape), 0)
            else:
                inputs = (rng.uniform(-1, 1, (*alive.shape, D)) * alive[..., None]).astype("f4")
            shape = (n, self.max_length) if answered == "every" else (n,)
            shape = shape if K == 1 else (*shape, K)
            return Batch(inputs, lengths, rng.random(shape, dtype=np.float32))

    Random.inputs, Random.outputs = D, K
    Random.answered, Random.symbols = answered, symbols
    return Random
