"""A network of one's own: `longlag train --network own_network:EchoState`."""

from dataclasses import dataclass

import numpy as np

from longlag.networks.network import Network, as_answers, check_lengths, flatten, squared_error
from longlag.settings import setting


@dataclass(frozen=True, kw_only=True)
class EchoState(Network):
    """An echo state network (Jaeger 2001): its recurrent weights are fixed, V (H + 1, K) learns."""

    name = "echo-state"
    hidden: int = setting(100, "units", 1, 10_000)
    words = property(lambda self: f"{self.hidden} units")

    def shapes(self, task):
        return {"V": (self.hidden + 1, task.outputs)}

    def start(self, task, rng):
        return flatten(np.zeros(shape, np.float32) for shape in self.shapes(task).values())

    def of(self, weights, task):
        rng, H = np.random.default_rng(0), self.hidden  # the same fixed weights for all
        fixed = rng.normal(size=(H + task.inputs, H)) * np.sqrt(0.9 / H)
        return Model(fixed.astype("f4"), weights.reshape(self.shapes(task)["V"]))


class Model:
    """h_t = tanh((h_{t-1}, x_t) W), y = (h_L, 1) V, with given weights."""

    titles = {"hidden": "Hidden state h of each unit"}  # noqa: RUF012

    def __init__(self, W, V):
        self.W, self.V, self.parameters = W, V, (V,)

    def states(self, inputs, lengths=None):
        h = [np.zeros((len(inputs), self.W.shape[1]), np.float32)]
        for x in inputs.swapaxes(0, 1):
            h.append(np.tanh(np.hstack([h[-1], x]) @ self.W))
        return {"hidden": np.stack(h[1:], axis=1)}

    def read(self, inputs, lengths):
        last = check_lengths(inputs, lengths, inputs.shape[2]) - 1
        h = self.states(inputs)["hidden"][np.arange(len(inputs)), last]
        return np.hstack([h, np.ones((len(h), 1), h.dtype)])

    def predict(self, inputs, lengths=None):
        return as_answers(self.read(inputs, lengths) @ self.V)

    def gradient(self, inputs, lengths, targets):
        read = self.read(inputs, lengths)
        loss, dy = squared_error(as_answers(read @ self.V), lengths, targets, "last")
        return loss, (read.T @ dy,)
