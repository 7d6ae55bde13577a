"""The LSTM with a forget gate: the reference.

This file *is* the definition (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber &
Cummins 2000): plain numpy, in the precision of its parameters, without tricks. The native kernel
is the same mathematics, fast, and is tested against this file.

    z_t = x_t Wx + h_{t-1} Wh + b                       (B, 4H)
    i, f, o = sigmoid(z_i, z_f, z_o);  g = tanh(z_g)    (B, H) each
    c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)           (B, H);  c_0 = h_0 = 0
    y   = h_L Wy + by, or its sigmoid                   (B,);  L: a sequence's last step

Gate columns stand in the order input, forget, output, candidate. With `forget_gate=False` the
gate is fixed at f = 1 (the carousel of 1997); its columns stay in place, unused.
Dimension legend: `tasks/marked_pairs.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from longlag import checks

Output = Literal["linear", "sigmoid"]


class Parameters(NamedTuple):
    """Wx (2, 4H), Wh (H, 4H), b (4H,), Wy (H, 1), by (1,)."""

    Wx: np.ndarray
    Wh: np.ndarray
    b: np.ndarray
    Wy: np.ndarray
    by: np.ndarray


def parameter_shapes(hidden: int) -> Parameters:
    """Shapes of the parameters for H = `hidden` cells, by name."""
    shapes = ((2, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,), (hidden, 1), (1,))
    return Parameters(*shapes)  # type: ignore[arg-type]


def parameter_count(hidden: int) -> int:
    """P = 4H(H + 3) + H + 1."""
    return 4 * hidden * (hidden + 3) + hidden + 1


def unflatten(vector: np.ndarray, hidden: int) -> Parameters:
    """Views of a flat vector (P,) as parameters, in the order of `Parameters`.

    Raises:
        ValueError: a vector of another size.
    """
    check_vector(vector, parameter_count(hidden))
    views, start = [], 0
    for shape in parameter_shapes(hidden):
        size = int(np.prod(shape))
        views.append(vector[start : start + size].reshape(shape))
        start += size
    return Parameters(*views)


def check_vector(vector: np.ndarray, size: int) -> None:
    """Refuses what is no vector of so many parameters.

    Raises:
        ValueError: it is something else.
    """
    if np.shape(vector) != (size,):
        raise ValueError(f"vector must hold {size} parameters, not {checks.shown(vector)}")


def flatten(parameters: Iterable[np.ndarray]) -> np.ndarray:
    """The parameters as one new vector (P,)."""
    return np.concatenate([array.ravel() for array in parameters])


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function, without overflow for large `|x|`."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


class Trace(NamedTuple):
    """What the forward pass keeps for the backward pass, a step along the first axis.

    inputs x (T, B, 2); gates (T, B, 4H) in the order i, f, o, g; cell and hidden states c, h
    (T + 1, B, H), the initial zeros first; answers y (B,).
    """

    x: np.ndarray
    gates: np.ndarray
    c: np.ndarray
    h: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class LSTM:
    """A network: its parameters and its variant.

    Args:
        parameters: float32 or float64 arrays, all of one type.
        output: `linear` or `sigmoid`.
        forget_gate: False fixes the forget gate at 1.

    Raises:
        ValueError: an unknown output, or parameters whose shapes do not fit together.
    """

    parameters: Parameters
    output: Output = "linear"
    forget_gate: bool = True

    def __post_init__(self) -> None:
        if self.output not in get_args(Output):
            raise ValueError(f"output must be one of linear, sigmoid, not {self.output!r}")
        shapes = parameter_shapes(self.hidden)
        for name, array, shape in zip(Parameters._fields, self.parameters, shapes, strict=True):
            if array.shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape} for {self.hidden} cells, not {array.shape}"
                )

    @property
    def hidden(self) -> int:
        """H, the number of memory cells."""
        return len(self.parameters.Wy)

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers (B,) for inputs (B, T, 2); lengths (B,), T where not given."""
        return self.forward(inputs, lengths).y

    def states(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Cell, hidden, input_gate, forget_gate, output_gate and candidate, each (B, T, H).

        Steps after a sequence's end are zero.
        """
        trace = self.forward(inputs, lengths)
        lengths = check_lengths(inputs, lengths)
        live = (np.arange(inputs.shape[1]) < lengths[:, None])[:, :, None]
        names = ("input_gate", "forget_gate", "output_gate", "candidate")
        named = dict(zip(names, np.split(trace.gates, 4, axis=2), strict=True))
        named |= {"cell": trace.c[1:], "hidden": trace.h[1:]}
        return {name: np.where(live, array.swapaxes(0, 1), 0) for name, array in named.items()}

    def forward(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> Trace:
        """Runs all steps; the answer is read at each sequence's own last step.

        Steps after a sequence's end are computed and never read.
        """
        lengths = check_lengths(inputs, lengths)
        Wx, Wh, b, Wy, by = self.parameters
        B, T, H = inputs.shape[0], inputs.shape[1], self.hidden
        x = np.ascontiguousarray(inputs.swapaxes(0, 1), dtype=b.dtype)  # (T, B, 2)
        gates = np.empty((T, B, 4 * H), b.dtype)
        c, h = (np.zeros((T + 1, B, H), b.dtype) for _ in range(2))
        for t in range(T):
            z = x[t] @ Wx + h[t] @ Wh + b  # (B, 4H)
            gates[t, :, : 3 * H] = sigmoid(z[:, : 3 * H])
            gates[t, :, 3 * H :] = np.tanh(z[:, 3 * H :])
            if not self.forget_gate:
                gates[t, :, H : 2 * H] = 1
            i, f, o, g = np.split(gates[t], 4, axis=1)
            c[t + 1] = f * c[t] + i * g
            h[t + 1] = o * np.tanh(c[t + 1])
        y = (h[lengths, np.arange(B)] @ Wy)[:, 0] + by[0]
        return Trace(x, gates, c, h, sigmoid(y) if self.output == "sigmoid" else y)

    def backward(self, trace: Trace, lengths: np.ndarray, dy: np.ndarray) -> Parameters:
        """Full back-propagation through time.

        Args:
            trace: of `forward` on the same lengths (B,).
            dy: dE/dy of each sequence's answer, (B,).

        Returns:
            dE/dparameter, in the shapes of the parameters.
        """
        p = self.parameters
        x, gates, c, h, y = trace
        T, B, H = len(x), len(y), self.hidden
        grads = Parameters(*(np.zeros_like(array) for array in p))
        if self.output == "sigmoid":
            dy = dy * y * (1 - y)
        grads.Wy[:] = h[lengths, np.arange(B)].T @ dy[:, None]
        grads.by[:] = dy.sum()

        dh, dc = np.zeros((B, H), p.b.dtype), np.zeros((B, H), p.b.dtype)
        dz = np.empty((B, 4 * H), p.b.dtype)
        for t in reversed(range(T)):
            # The answer's error enters at each sequence's last step.
            dh = dh + np.where(lengths == t + 1, dy, 0)[:, None] * p.Wy[:, 0]
            i, f, o, g = np.split(gates[t], 4, axis=1)
            tanh_c = np.tanh(c[t + 1])
            dc = dc + dh * o * (1 - tanh_c**2)
            dz[:, :H] = dc * g * i * (1 - i)
            dz[:, H : 2 * H] = dc * c[t] * f * (1 - f)  # zero where f is fixed at 1
            dz[:, 2 * H : 3 * H] = dh * tanh_c * o * (1 - o)
            dz[:, 3 * H :] = dc * i * (1 - g**2)
            grads.Wx[:] += x[t].T @ dz
            grads.Wh[:] += h[t].T @ dz
            grads.b[:] += dz.sum(axis=0)
            dh = dz @ p.Wh.T
            dc = dc * f
        return grads

    def gradient(
        self, inputs: np.ndarray, lengths: np.ndarray, targets: np.ndarray
    ) -> tuple[float, Parameters]:
        """Mean squared error of a batch (no 1/2) and its gradient.

        Args:
            inputs: (B, T, 2), finite, what stands after a sequence's end included.
            lengths, targets: (B,) each.
        """
        lengths, targets = check_lengths(inputs, lengths), np.asarray(targets)
        if targets.shape != lengths.shape:
            raise ValueError(f"targets must have shape {lengths.shape}, not {targets.shape}")
        trace = self.forward(inputs, lengths)
        error = trace.y - targets.astype(trace.y.dtype)
        dy = (2 / len(error)) * error
        return float(np.mean(error**2)), self.backward(trace, lengths, dy.astype(error.dtype))


def check_lengths(inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """Lengths (B,) of inputs (B, T, 2), T where not given.

    Raises:
        ValueError: inputs that are no array of numbers, inputs or lengths of the wrong shape, or a
            length outside 1..T.
    """
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "fiu":
        kind = getattr(inputs, "dtype", type(inputs).__name__)
        raise ValueError(f"inputs must be a numpy array (B, T, 2) of numbers, not {kind}")
    if inputs.ndim != 3 or inputs.shape[2] != 2 or 0 in inputs.shape:
        raise ValueError(f"inputs must have shape (B, T, 2), not {inputs.shape}")
    B, T, _ = inputs.shape
    if lengths is None:
        return np.full(B, T)
    lengths = checks.numbers("lengths", lengths)
    if lengths.shape != (B,) or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"lengths must be {B} whole numbers, one a sequence, "
            f"not {lengths.dtype} of shape {lengths.shape}"
        )
    if lengths.min() < 1 or lengths.max() > T:
        raise ValueError(
            f"lengths must lie between 1 and T = {T}, not {lengths.min()} to {lengths.max()}"
        )
    return lengths
