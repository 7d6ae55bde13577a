"""The LSTM with a forget gate: the reference.

This file is the definition (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber &
Cummins 2000): plain numpy, in the precision of its parameters, without optimisations. The native
kernel is the same mathematics, fast, and is tested against this file.

    z_t = x_t Wx + h_{t-1} Wh + b                       (B, 4H);  of a symbol, its row of Wx
    i, f, o = sigmoid(z_i, z_f, z_o);  g = tanh(z_g)    (B, H) each
    c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)           (B, H);  c_0 = h_0 = 0
    y   = h_L Wy + by, or its sigmoid                   (B, K);  L: a sequence's last step

Gate columns stand in the order input, forget, output, candidate. With `forget_gate=False` the
gate is fixed at f = 1 (the carousel of 1997); its columns stay in place, unused. Where answers
are asked for at every step, y is read at each. Dimension legend: `tasks/task.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

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

GateBiases = Literal["lag", "chrono", "constant"]
State = tuple[np.ndarray, np.ndarray]  # cell states c and hidden states h, (B, H) each


class Parameters(NamedTuple):
    """Wx (D, 4H), Wh (H, 4H), b (4H,), Wy (H, K), by (K,)."""

    Wx: np.ndarray
    Wh: np.ndarray
    b: np.ndarray
    Wy: np.ndarray
    by: np.ndarray


def parameter_shapes(hidden: int, inputs: int = 2, outputs: int = 1) -> Parameters:
    """Shapes of the parameters for H = `hidden` cells, D inputs and K outputs, by name."""
    H, D, K = hidden, inputs, outputs
    shapes = ((D, 4 * H), (H, 4 * H), (4 * H,), (H, K), (K,))
    return Parameters(*shapes)  # type: ignore[arg-type]


def parameter_count(hidden: int, inputs: int = 2, outputs: int = 1) -> int:
    """P = 4H(D + H + 1) + K(H + 1)."""
    return 4 * hidden * (inputs + hidden + 1) + outputs * (hidden + 1)


def unflatten(vector: np.ndarray, hidden: int, inputs: int = 2, outputs: int = 1) -> Parameters:
    """Views of a flat vector (P,) as parameters, in the order of `Parameters`."""
    return Parameters(*views(vector, parameter_shapes(hidden, inputs, outputs)))


class Trace(NamedTuple):
    """What the forward pass keeps for the backward pass, a step along the first axis.

    inputs x (T, B, D) or symbols (T, B); gates (T, B, 4H) in the order i, f, o, g; cell and hidden
    states c, h (T + 1, B, H), the initial zeros first; answers y (B, K), or (T, B, K) at every
    step.
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
        answered: whether answers are read at the `last` step or at `every` one.

    Raises:
        ValueError: an unknown output or way to answer, or parameters whose shapes do not fit
            together.
    """

    parameters: Parameters
    output: Output = "linear"
    forget_gate: bool = True
    answered: Answered = "last"

    def __post_init__(self) -> None:
        checks.one_of("output", self.output, get_args(Output))
        checks.one_of("answered", self.answered, get_args(Answered))
        shapes = parameter_shapes(self.hidden, len(self.parameters.Wx), len(self.parameters.by))
        for name, array, shape in zip(Parameters._fields, self.parameters, shapes, strict=True):
            if array.shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape} for {self.hidden} cells, not {array.shape}"
                )

    @property
    def titles(self) -> dict[str, str]:
        """What the states are, in words."""
        fixed = "" if self.forget_gate else " (fixed at 1)"
        return {
            "cell": "Cell state c of each cell",
            "hidden": "Hidden state h = o tanh(c) of each cell",
            "input_gate": "Input gate: what is let in",
            "forget_gate": f"Forget gate: what is kept{fixed}",
            "output_gate": "Output gate: what is let out",
        }

    @property
    def hidden(self) -> int:
        """H, the number of memory cells."""
        return len(self.parameters.Wy)

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers to inputs (B, T, D) or symbols (B, T); lengths (B,), T where not given.

        Returns:
            (B, K), or (B, T, K) at every step; without the axis of K where K is 1.
        """
        return self._answers(self.forward(inputs, lengths))

    def states(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Cell, hidden, input_gate, forget_gate, output_gate and candidate, each (B, T, H).

        Steps after a sequence's end are zero.
        """
        trace = self.forward(inputs, lengths)
        lengths = self._lengths(inputs, lengths)
        live = live_steps(lengths, inputs.shape[1])[:, :, None]
        names = ("input_gate", "forget_gate", "output_gate", "candidate")
        named = dict(zip(names, np.split(trace.gates, 4, axis=2), strict=True))
        named |= {"cell": trace.c[1:], "hidden": trace.h[1:]}
        return {name: np.where(live, array.swapaxes(0, 1), 0) for name, array in named.items()}

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """One step: x (B, D) or symbols (B,), and the state before it.

        Returns:
            The gates (B, 4H), in the order i, f, o, g, and the state after it.
        """
        Wx, Wh, b, *_ = self.parameters
        (c, h), H = state, self.hidden
        z = times(Wx, x) + h @ Wh + b
        gates = np.empty_like(z)
        gates[:, : 3 * H] = sigmoid(z[:, : 3 * H])
        gates[:, 3 * H :] = np.tanh(z[:, 3 * H :])
        if not self.forget_gate:
            gates[:, H : 2 * H] = 1
        i, f, o, g = np.split(gates, 4, axis=1)
        c = f * c + i * g
        return gates, (c, o * np.tanh(c))

    def forward(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> Trace:
        """Runs all steps; the answer is read at each sequence's own last step, or at every one.

        Steps after a sequence's end are computed and never read.
        """
        lengths = self._lengths(inputs, lengths)
        *_, b, Wy, by = self.parameters
        (B, T), H = inputs.shape[:2], self.hidden
        x = np.ascontiguousarray(inputs.swapaxes(0, 1))  # (T, B, D)
        x = x if x.ndim == 2 else x.astype(b.dtype, copy=False)  # symbols stay as they are
        gates = np.empty((T, B, 4 * H), b.dtype)
        c, h = (np.zeros((T + 1, B, H), b.dtype) for _ in range(2))
        for t in range(T):
            gates[t], (c[t + 1], h[t + 1]) = self.step(x[t], (c[t], h[t]))
        read = h[lengths, np.arange(B)] if self.answered == "last" else h[1:]
        y = read @ Wy + by
        return Trace(x, gates, c, h, sigmoid(y) if self.output == "sigmoid" else y)

    def backward(self, trace: Trace, lengths: np.ndarray, dy: np.ndarray) -> Parameters:
        """Full back-propagation through time.

        Args:
            trace: of `forward` on the same lengths (B,).
            dy: dE/dy, in the shape of the trace's answers: (B, K) or (T, B, K).

        Returns:
            dE/dparameter, in the shapes of the parameters.
        """
        p = self.parameters
        x, gates, c, h, y = trace
        (T, B), H = gates.shape[:2], self.hidden
        grads = Parameters(*(np.zeros_like(array) for array in p))
        if self.output == "sigmoid":
            dy = dy * y * (1 - y)
        every = self.answered == "every"
        read = h[1:].reshape(T * B, H) if every else h[lengths, np.arange(B)]
        grads.Wy[:] = read.T @ dy.reshape(len(read), -1)
        grads.by[:] = dy.reshape(len(read), -1).sum(axis=0)

        dh, dc = np.zeros((B, H), p.b.dtype), np.zeros((B, H), p.b.dtype)
        dz = np.empty((B, 4 * H), p.b.dtype)
        for t in reversed(range(T)):
            # The error of an answer enters at the step where the answer was read.
            here = dy[t] if every else np.where(lengths == t + 1, dy.T, 0).T
            dh = dh + here @ p.Wy.T
            i, f, o, g = np.split(gates[t], 4, axis=1)
            tanh_c = np.tanh(c[t + 1])
            dc = dc + dh * o * (1 - tanh_c**2)
            dz[:, :H] = dc * g * i * (1 - i)
            dz[:, H : 2 * H] = dc * c[t] * f * (1 - f)  # zero where f is fixed at 1
            dz[:, 2 * H : 3 * H] = dh * tanh_c * o * (1 - o)
            dz[:, 3 * H :] = dc * i * (1 - g**2)
            add_outer(grads.Wx, x[t], dz)
            grads.Wh[:] += h[t].T @ dz
            grads.b[:] += dz.sum(axis=0)
            dh = dz @ p.Wh.T
            dc = dc * f
        return grads

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, Parameters]:
        """Mean squared error of a batch (no 1/2) and its gradient.

        Args:
            inputs: (B, T, D), finite, what stands after a sequence's end included; or symbols.
            lengths: (B,).
            targets: in the shape of the answers.
            counted: (B, T), which steps count where every one is answered; all where not given.
        """
        lengths = self._lengths(inputs, lengths)
        trace = self.forward(inputs, lengths)
        loss, dy = squared_error(self._answers(trace), lengths, targets, self.answered, counted)
        return loss, self.backward(trace, lengths, dy.swapaxes(0, -2) if dy.ndim == 3 else dy)

    def _answers(self, trace: Trace) -> np.ndarray:
        """The answers batch-first, without the axis of K where K is 1."""
        return as_answers(trace.y.swapaxes(0, 1) if self.answered == "every" else trace.y)

    def _lengths(self, inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        return check_lengths(inputs, lengths, len(self.parameters.Wx))


@dataclass(frozen=True, kw_only=True)
class ForgetGateLSTM(Network):
    """The LSTM with a forget gate, as a part of a recipe.

    Weights start uniform in ± sqrt(1/D) (inputs) and ± sqrt(1/H) (recurrent, output). Gate biases,
    with T the longest sequence, start at forget_bias and input_bias plus

        lag         b_f = log T, b_i = -log T: forgetting, and storing what is not marked,
                    both go at a rate of about 1/T a step, so that a memory lasts
        chrono      b_f = log U(1, T - 1), b_i = -b_f (Tallec & Ollivier 2018, section 3)
        constant    nothing
    """

    hidden: int = setting(8, "memory cells", 1, 128)
    forget_gate: bool = setting(True, "learn the forget gate, or fix it at 1")
    output: Output = setting("linear", "the output: linear, or a sigmoid")
    gate_biases: GateBiases = setting(
        "lag",
        "initial gate biases, T being the longest length: lag, log T (forget) and -log T (input); "
        "chrono, chrono initialisation (Tallec & Ollivier 2018); constant, 0",
    )
    forget_bias: float = setting(
        2.0, "initial forget-gate bias, added to that of --gate-biases", -1e3, 1e3
    )
    input_bias: float = setting(
        -4.0, "initial input-gate bias, added to that of --gate-biases", -1e3, 1e3
    )
    output_bias: float = setting(0.25, "initial bias of the answer", -1e3, 1e3)

    @property
    def name(self) -> str:
        return "lstm"

    @property
    def words(self) -> str:
        return counted(self.hidden, "cell")

    def shapes(self, task: Task) -> Shapes:
        return parameter_shapes(self.hidden, task.inputs, task.outputs)._asdict()

    def of(self, weights: np.ndarray, task: Task) -> LSTM:
        parameters = unflatten(weights, self.hidden, task.inputs, task.outputs)
        return LSTM(parameters, self.output, self.forget_gate, task.answered)

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        H, D, K, T = self.hidden, task.inputs, task.outputs, task.max_length
        from_inputs, from_cells = np.sqrt(1 / D), np.sqrt(1 / H)
        Wx = rng.uniform(-from_inputs, from_inputs, (D, 4 * H))
        Wh = rng.uniform(-from_cells, from_cells, (H, 4 * H))
        Wy = rng.uniform(-from_cells, from_cells, (H, K))
        memory: float | np.ndarray = 0.0
        if self.gate_biases == "chrono":
            memory = np.log(rng.uniform(1, T - 1, H))
        elif self.gate_biases == "lag":
            memory = np.log(T)
        b = np.zeros(4 * H)
        b[:H], b[H : 2 * H] = self.input_bias - memory, self.forget_bias + memory
        vector = flatten(Parameters(Wx, Wh, b, Wy, np.full(K, self.output_bias)))
        # Rounded at once: float64 logarithms differ in the last bit between processors.
        return vector.astype(np.float32)
