"""A task of one's own: `longlag train --task own_task:FirstValue`."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from longlag.tasks.task import Batch, Drawing, Task


@dataclass(frozen=True)
class FirstValue(Task):
    """Answer the first value of a sequence of numbers in [0, 1)."""

    name = "first-value"
    source = "an example"
    inputs = 1
    shortest = 2
    what, asks = "first value", "the first value"
    mean_target, chance_mse = 0.5, 1 / 12  # of a uniform number

    def sequence(self, rng, length=None):
        if length is None:
            length = int(rng.integers(self.min_length, self.max_length + 1))
        values = rng.random(length)
        return SimpleNamespace(inputs=values[:, None], target=values[0])

    def sample(self, n, rng):
        lengths = rng.integers(self.min_length, self.max_length + 1, size=n)
        values = rng.random((n, self.max_length), dtype=np.float32)
        values[np.arange(self.max_length) >= lengths[:, None]] = 0
        return Batch(values[:, :, None], lengths, values[:, 0].copy())

    def explain(self, sequence):
        return f"first value {sequence.target:.3f}"

    def drawing(self, sequence):
        legend = {"plain": "value", "mark": "the first"}
        return Drawing(sequence.inputs[:, 0], {"mark": [0]}, {}, 0, 1, legend, "values, the first")
