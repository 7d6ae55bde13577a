"""The gated recurrent unit in numpy, forward and backward.

Cho et al. 2014, in the form whose reset gate acts on the recurrent product, as in PyTorch and cuDNN
(its equations stand in `torch.nn.GRU`):

    r_t, z_t = sigmoid(x_t Wx + bx + h_{t-1} Wh + bh)        reset and update gate, (B, H) each
    n_t = tanh(x_t Wx + bx + r_t (h_{t-1} Wh + bh))          candidate, (B, H)
    h_t = (1 - z_t) n_t + z_t h_{t-1}                        (B, H);  h_0 = 0
    y   = h_L Wy + by, or its sigmoid                        (B, K);  L: a sequence's last step

Columns stand in the order reset gate, update gate, candidate; each has its own rows of the weights.
Dimension legend: `tasks/task.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np

from longlag import checks
from longlag.networks.network import (
    Network,
    Output,
    Shapes,
    add_outer,
    as_answers,
    check_lengths,
    counted,
    flatten,
    live_steps,
    sigmoid,
    squared_error,
    times,
    views,
)
from longlag.settings import setting
from longlag.tasks.task import Answered, Task


class Parameters(NamedTuple):
    """Wx (D, 3H), Wh (H, 3H), bx and bh (3H,), Wy (H, K), by (K,)."""

    Wx: np.ndarray
    Wh: np.ndarray
    bx: np.ndarray
    bh: np.ndarray
    Wy: np.ndarray
    by: np.ndarray


def parameter_shapes(hidden: int, inputs: int, outputs: int) -> Parameters:
    """Shapes of the parameters for H = `hidden` units, D inputs and K outputs, by name."""
    H, D, K = hidden, inputs, outputs
    shapes = ((D, 3 * H), (H, 3 * H), (3 * H,), (3 * H,), (H, K), (K,))
    return Parameters(*shapes)  # type: ignore[arg-type]


class Trace(NamedTuple):
    """What the backward pass needs, a step along the first axis.

    inputs x (T, B, D) or symbols (T, B); gates r, z, n (T, B, 3H); recurrent product of the
    candidate m (T, B, H); states h (T + 1, B, H), the initial zeros first; answers y (B, K), or
    (T, B, K) at every step.
    """

    x: np.ndarray
    gates: np.ndarray
    m: np.ndarray
    h: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class GRU:
    """A network: its parameters and its variant, as in `lstm.LSTM`.

    Raises:
        ValueError: an unknown output or way to answer, or parameters whose shapes do not fit
            together.
    """

    parameters: Parameters
    output: Output = "linear"
    answered: Answered = "last"

    def __post_init__(self) -> None:
        checks.one_of("output", self.output, get_args(Output))
        checks.one_of("answered", self.answered, get_args(Answered))
        shapes = parameter_shapes(self.hidden, len(self.parameters.Wx), len(self.parameters.by))
        for name, array, shape in zip(Parameters._fields, self.parameters, shapes, strict=True):
            if array.shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape} for {self.hidden} units, not {array.shape}"
                )

    @property
    def titles(self) -> dict[str, str]:
        """What the states are, in words."""
        return {
            "hidden": "Hidden state h of each unit",
            "candidate": "Candidate n of each unit: what is let in",
            "reset_gate": "Reset gate: how much of the past makes a candidate",
            "update_gate": "Update gate: what is kept",
        }

    @property
    def hidden(self) -> int:
        """H, the number of units."""
        return len(self.parameters.Wy)

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers to inputs (B, T, D) or symbols (B, T), in the shape of the task's targets."""
        return self._answers(self.forward(inputs, lengths))

    def states(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Hidden, reset_gate, update_gate and candidate, each (B, T, H); zero after the end."""
        trace = self.forward(inputs, lengths)
        lengths = self._lengths(inputs, lengths)
        live = live_steps(lengths, inputs.shape[1])[:, :, None]
        names = ("reset_gate", "update_gate", "candidate")
        named = {"hidden": trace.h[1:]}
        named |= dict(zip(names, np.split(trace.gates, 3, axis=2), strict=True))
        return {name: np.where(live, array.swapaxes(0, 1), 0) for name, array in named.items()}

    def step(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One step: x (B, D) or symbols (B,), and the state before it.

        Returns:
            The gates (B, 3H), the candidate's recurrent product (B, H), and the state after.
        """
        (Wx, Wh, bx, bh, _, _), H = self.parameters, self.hidden
        u, v = times(Wx, x) + bx, h @ Wh + bh
        gates = np.empty_like(u)
        gates[:, : 2 * H] = sigmoid(u[:, : 2 * H] + v[:, : 2 * H])
        r, z, n = np.split(gates, 3, axis=1)
        n[:] = np.tanh(u[:, 2 * H :] + r * v[:, 2 * H :])
        return gates, v[:, 2 * H :], (1 - z) * n + z * h

    def forward(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> Trace:
        """Runs all steps; those after a sequence's end are computed and never read."""
        lengths = self._lengths(inputs, lengths)
        *_, Wy, by = self.parameters
        (B, T), H = inputs.shape[:2], self.hidden
        x = np.ascontiguousarray(inputs.swapaxes(0, 1))
        x = x if x.ndim == 2 else x.astype(by.dtype, copy=False)  # symbols stay as they are
        gates, m = np.empty((T, B, 3 * H), by.dtype), np.empty((T, B, H), by.dtype)
        h = np.zeros((T + 1, B, H), by.dtype)
        for t in range(T):
            gates[t], m[t], h[t + 1] = self.step(x[t], h[t])
        read = h[lengths, np.arange(B)] if self.answered == "last" else h[1:]
        y = read @ Wy + by
        return Trace(x, gates, m, h, sigmoid(y) if self.output == "sigmoid" else y)

    def backward(self, trace: Trace, lengths: np.ndarray, dy: np.ndarray) -> Parameters:
        """Full back-propagation through time; arguments as in `lstm.LSTM.backward`."""
        p = self.parameters
        x, gates, m, h, y = trace
        (T, B), H = gates.shape[:2], self.hidden
        grads = Parameters(*(np.zeros_like(array) for array in p))
        if self.output == "sigmoid":
            dy = dy * y * (1 - y)
        every = self.answered == "every"
        read = h[1:].reshape(T * B, H) if every else h[lengths, np.arange(B)]
        grads.Wy[:] = read.T @ dy.reshape(len(read), -1)
        grads.by[:] = dy.reshape(len(read), -1).sum(axis=0)

        dh = np.zeros((B, H), p.by.dtype)
        for t in reversed(range(T)):
            here = dy[t] if every else np.where(lengths == t + 1, dy.T, 0).T
            dh = dh + here @ p.Wy.T
            r, z, n = np.split(gates[t], 3, axis=1)
            dn = dh * (1 - z) * (1 - n**2)
            du = np.hstack([dn * m[t] * r * (1 - r), dh * (h[t] - n) * z * (1 - z), dn])
            dv = np.hstack([du[:, : 2 * H], dn * r])  # the reset gate acts on the product
            add_outer(grads.Wx, x[t], du)
            grads.bx[:] += du.sum(axis=0)
            grads.Wh[:] += h[t].T @ dv
            grads.bh[:] += dv.sum(axis=0)
            dh = dh * z + dv @ p.Wh.T
        return grads

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, Parameters]:
        """Mean squared error of a batch (no 1/2) and its gradient."""
        lengths = self._lengths(inputs, lengths)
        trace = self.forward(inputs, lengths)
        loss, dy = squared_error(self._answers(trace), lengths, targets, self.answered, counted)
        return loss, self.backward(trace, lengths, dy.swapaxes(0, 1) if dy.ndim == 3 else dy)

    def _answers(self, trace: Trace) -> np.ndarray:
        return as_answers(trace.y.swapaxes(0, 1) if self.answered == "every" else trace.y)

    def _lengths(self, inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        return check_lengths(inputs, lengths, len(self.parameters.Wx))


@dataclass(frozen=True, kw_only=True)
class GatedRecurrentUnit(Network):
    """The GRU, as a part of a recipe; weights start uniform in ± sqrt(1/H), as PyTorch's do."""

    hidden: int = setting(8, "units", 1, 1024)
    output: Output = setting("linear", "the output: linear, or a sigmoid")
    output_bias: float = setting(0.25, "initial bias of the answer", -1e3, 1e3)

    @property
    def name(self) -> str:
        return "gru"

    @property
    def words(self) -> str:
        return counted(self.hidden, "unit")

    def shapes(self, task: Task) -> Shapes:
        return parameter_shapes(self.hidden, task.inputs, task.outputs)._asdict()

    def of(self, weights: np.ndarray, task: Task) -> GRU:
        parameters = Parameters(*views(weights, list(self.shapes(task).values())))
        return GRU(parameters, self.output, task.answered)

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        bound = np.sqrt(1 / self.hidden)
        drawn = [rng.uniform(-bound, bound, shape) for shape in self.shapes(task).values()]
        drawn[-1][:] = self.output_bias
        return flatten(drawn).astype(np.float32)
