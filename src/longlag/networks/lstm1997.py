"""The LSTM of 1997, memory cell blocks with shared gates and no forget gate: the reference.

This file *is* the definition (Hochreiter & Schmidhuber, *Long Short-Term Memory*, Neural
Computation 9(8), 1997; its equation numbers stand beside the lines): plain numpy, in the
precision of its weights, without tricks. The native kernel is the same mathematics, fast, and is
tested against this file.

B blocks of S cells each make C = B S cells, numbered block by block; all cells of a block share
one input gate and one output gate. Every cell input and every gate receives v(t) = (the 2 inputs
x(t), the outputs of the C cells, the B input gates and the B output gates at step t - 1, and 1):

    y_in, y_out = f(net_in), f(net_out)     f(x) = sigmoid(x)            in (0, 1)     eq. 3
    s(t) = s(t-1) + y_in g(net_c)           g(x) = 4 sigmoid(x) - 2      in (-2, 2)    eqs. 5, 9
    y_c(t) = y_out h(s(t))                  h(x) = 2 sigmoid(x) - 1      in (-1, 1)    eqs. 4, 9
    y = f(Wk . (y_c, 1))                    net = W v(t);  everything is 0 at step 0

The answer is read at a sequence's last step L, from that step's cells or, in a variant, from the
previous step's; in another variant it is linear, without its f. Gradients are those of
E = (target - y)², eqs. 16 and 17: they carry the factor 2 that eq. 19 drops, so the rule of eq. 19
is this gradient at half the rate.

Dimension legend: `tasks/marked_pairs.py`; here B also counts blocks where it stands beside S and C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from longlag.networks.lstm import Output, check_lengths, check_vector, sigmoid

Reads = Literal["current", "previous"]

INITIAL_RANGE = 0.1  # initial weights, biases included, are uniform in ±0.1 (section 5.5)


class Weights(NamedTuple):
    """W (C + 2B, 2 + C + 2B + 1) and Wk (C + 1,).

    Rows of W: cells, input gates, output gates. Columns: inputs, cells, input gates, output
    gates, bias. Wk, of the output unit: cells, bias.
    """

    W: np.ndarray
    Wk: np.ndarray


def weight_shapes(blocks: int, block_size: int) -> Weights:
    """Shapes of the weights, by name."""
    cells = blocks * block_size
    units = cells + 2 * blocks
    return Weights((units, 2 + units + 1), (cells + 1,))  # type: ignore[arg-type]


def weight_count(blocks: int = 2, block_size: int = 2) -> int:
    """P; 93 for the paper's 2 blocks of 2 cells."""
    return sum(int(np.prod(shape)) for shape in weight_shapes(blocks, block_size))


def unflatten(vector: np.ndarray, blocks: int, block_size: int) -> Weights:
    """Views of a flat vector (P,) as weights: W row by row, then Wk.

    Raises:
        ValueError: a vector of another size.
    """
    check_vector(vector, weight_count(blocks, block_size))
    shape, _ = weight_shapes(blocks, block_size)
    size = int(np.prod(shape))
    return Weights(vector[:size].reshape(shape), vector[size:])


def flatten(weights: Weights) -> np.ndarray:
    """The weights as one new vector (P,)."""
    return np.concatenate([array.ravel() for array in weights])


def initial_weights(
    rng: np.random.Generator,
    blocks: int = 2,
    block_size: int = 2,
    input_gate_biases: tuple[float, ...] | None = None,
) -> Weights:
    """float32 weights, uniform in ±0.1, biases included: one call to `rng` for all P of them.

    Args:
        rng: draws P numbers, whatever the biases.
        blocks, block_size: B and S.
        input_gate_biases: one a block, to stand in place of what was drawn; Experiment 4 has
            (-3, -6).

    Raises:
        ValueError: not as many biases as blocks.
    """
    drawn = rng.uniform(-INITIAL_RANGE, INITIAL_RANGE, weight_count(blocks, block_size))
    weights = unflatten(drawn.astype(np.float32), blocks, block_size)
    if input_gate_biases is not None:
        if len(input_gate_biases) != blocks:
            raise ValueError(
                f"input_gate_biases must be {blocks} numbers, one a block, "
                f"not {len(input_gate_biases)}"
            )
        cells = blocks * block_size
        weights.W[cells : cells + blocks, -1] = input_gate_biases
    return weights


class Trace(NamedTuple):
    """What the forward pass keeps, a step along the first axis, step 0 before the first input.

    v (T, N, 2 + C + 2B + 1): what the units receive; units (T + 1, N, C + 2B): outputs of cells,
    input gates, output gates; g (T, N, C): squashed cell inputs; s (T + 1, N, C): cell states;
    y (N,): answers.
    """

    v: np.ndarray
    units: np.ndarray
    g: np.ndarray
    s: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class LSTM1997:
    """A network: its weights, how its cells are divided, and its variant.

    Args:
        weights: float32 or float64 arrays, both of one type.
        blocks: B; the block size follows from the shape of the weights.
        reads: whether the output unit reads the `current` step's cells or the `previous` step's.
        output: `sigmoid`, the paper's, or `linear`.

    Raises:
        ValueError: an unknown `reads` or `output`, or weights whose shapes do not fit together or
            the blocks.
    """

    weights: Weights
    blocks: int = 2
    reads: Reads = "current"
    output: Output = "sigmoid"

    def __post_init__(self) -> None:
        if self.reads not in get_args(Reads):
            raise ValueError(f"reads must be one of current, previous, not {self.reads!r}")
        if self.output not in get_args(Output):
            raise ValueError(f"output must be one of linear, sigmoid, not {self.output!r}")
        if not isinstance(self.blocks, (int, np.integer)) or self.blocks < 1:
            raise ValueError(f"blocks must be a whole number of at least 1, not {self.blocks!r}")
        W, Wk = self.weights
        if Wk.ndim != 1 or len(Wk) < 2 or (len(Wk) - 1) % self.blocks:
            raise ValueError(
                f"Wk must have shape (C + 1,), C a multiple of {self.blocks} blocks, not {Wk.shape}"
            )
        shape, _ = weight_shapes(self.blocks, self.block_size)
        if W.shape != shape:
            raise ValueError(
                f"W must have shape {shape} for {self.blocks} blocks of {self.block_size} cells, "
                f"not {W.shape}"
            )

    @property
    def parameters(self) -> Weights:
        """The weights, by the name that they have in every network."""
        return self.weights

    @property
    def cells(self) -> int:
        """C, the number of memory cells."""
        return len(self.weights.Wk) - 1

    @property
    def block_size(self) -> int:
        """S, the number of cells that share a pair of gates."""
        return self.cells // self.blocks

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers (N,) for inputs (N, T, 2); lengths (N,), T where not given."""
        return self.forward(inputs, lengths).y

    def states(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Cell state s and cell output y_c, (N, T, C); input_gate and output_gate, (N, T, B).

        Under the names cell, hidden, input_gate, output_gate. Steps after a sequence's end are
        zero.
        """
        trace = self.forward(inputs, lengths)
        lengths = check_lengths(inputs, lengths)
        live = (np.arange(inputs.shape[1]) < lengths[:, None])[:, :, None]
        hidden, input_gate, output_gate = self._parts(trace.units[1:])
        named = {
            "cell": trace.s[1:],
            "hidden": hidden,
            "input_gate": input_gate,
            "output_gate": output_gate,
        }
        return {name: np.where(live, array.swapaxes(0, 1), 0) for name, array in named.items()}

    def forward(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> Trace:
        """Runs all steps; the answer is read at each sequence's own last step.

        Steps after a sequence's end are computed and never read.
        """
        lengths = check_lengths(inputs, lengths)
        W, Wk = self.weights
        N, T, C, B = inputs.shape[0], inputs.shape[1], self.cells, self.blocks
        v = np.ones((T, N, W.shape[1]), W.dtype)
        units = np.zeros((T + 1, N, C + 2 * B), W.dtype)
        g = np.empty((T, N, C), W.dtype)
        s = np.zeros((T + 1, N, C), W.dtype)
        v[:, :, :2] = inputs.swapaxes(0, 1)
        for t in range(T):
            v[t, :, 2:-1] = units[t]
            net = v[t] @ W.T  # (N, C + 2B)
            g[t] = 4 * sigmoid(net[:, :C]) - 2
            units[t + 1, :, C:] = sigmoid(net[:, C:])
            _, y_in, y_out = self._parts(units[t + 1])
            s[t + 1] = s[t] + self._to_cells(y_in) * g[t]  # eq. 9
            units[t + 1, :, :C] = self._to_cells(y_out) * (2 * sigmoid(s[t + 1]) - 1)  # eq. 9
        read = units[self._read(lengths), np.arange(N), :C]
        y = read @ Wk[:-1] + Wk[-1]
        return Trace(v, units, g, s, sigmoid(y) if self.output == "sigmoid" else y)

    def gradient(
        self, inputs: np.ndarray, lengths: np.ndarray, targets: np.ndarray
    ) -> tuple[float, Weights]:
        """The mean of (target - y)² over N sequences, and its gradient, nothing truncated.

        Back-propagation through time; inputs (N, T, 2), lengths and targets (N,).
        """
        trace = self.forward(inputs, lengths)
        (W, Wk), C, (T, N) = self.weights, self.cells, trace.v.shape[:2]
        read = np.broadcast_to(self._read(check_lengths(inputs, lengths)), N)
        error = trace.y - targets.astype(W.dtype)
        d_y = 2 / N * error * self._slope(trace.y)
        d_Wk = np.append(d_y @ trace.units[read, np.arange(N), :C], d_y.sum(dtype=W.dtype))

        h = 2 * sigmoid(trace.s[1:]) - 1
        slopes = self._to_cells(self._parts(trace.units[1:])[2]) * _dh(h)  # dy_c/ds
        d_net = np.empty((T, N, len(W)), W.dtype)
        d_units = np.zeros((N, len(W)), W.dtype)  # dE/d(unit's output) at this step
        d_state = np.zeros((N, C), W.dtype)
        for t in reversed(range(T)):
            # The answer's error enters at the step that it is read from.
            d_units[:, :C] += np.where(read == t + 1, d_y, 0)[:, None] * Wk[:-1]
            g, (_, y_in, y_out) = trace.g[t], self._parts(trace.units[t + 1])
            d_hidden, d_in, d_out = self._parts(d_units)
            d_state = d_state + d_hidden * slopes[t]
            into_cells, into_in, into_out = self._parts(d_net[t])
            into_cells[:] = d_state * self._to_cells(y_in) * _dg(g)
            into_in[:] = (d_in + self._by_block(d_state * g)) * _df(y_in)
            into_out[:] = (d_out + self._by_block(d_hidden * h[t])) * _df(y_out)
            d_units = d_net[t] @ W[:, 2:-1]
        d_W = d_net.reshape(T * N, -1).T @ trace.v.reshape(T * N, -1)
        return float(np.mean(error.astype(np.float64) ** 2)), Weights(d_W, d_Wk)

    # -- gradients of (target - y)² of one sequence (L, 2) --------------------------------------

    def truncated_gradient(self, sequence: np.ndarray, target: float) -> Weights:
        """The truncated gradient by the paper's forward traces.

        Truncated: derivatives through what gates and cell inputs receive from units count as
        zero (eqs. 10 to 15). So each cell can carry ds/dw of its own weights along from step to
        step, and multiply by the error at the end: local in space and time.
        """
        trace = self.forward(sequence[None])
        end = self._errors(trace, target)
        W, C = self.weights.W, self.cells
        ds_cell = np.zeros((C, W.shape[1]), W.dtype)  # ds/dw for w into the cell
        ds_in = np.zeros((C, W.shape[1]), W.dtype)  # ds/dw for w into its block's input gate
        for t in range(end.step):
            v, g = trace.v[t, 0], trace.g[t, 0]
            _, y_in, _ = self._parts(trace.units[t + 1, 0])
            ds_cell += np.outer(self._to_cells(y_in) * _dg(g), v)  # eqs. 25, 27
            ds_in += np.outer(self._to_cells(_df(y_in)) * g, v)  # eqs. 25, 27
        into_cells = end.state[:, None] * ds_cell
        into_in = self._by_block((end.state[:, None] * ds_in).T).T
        return self._assemble(trace, end, into_cells, into_in)

    def truncated_gradient_backward(self, sequence: np.ndarray, target: float) -> Weights:
        """The same gradient, back along the states: the truncation makes ds(t)/ds(t-1) = 1.

        The error of a state is therefore the same at every step, and dE/dw a sum over steps.
        """
        trace = self.forward(sequence[None])
        end = self._errors(trace, target)
        n, C, B = self.weights.W.shape[1], self.cells, self.blocks
        into_cells = np.zeros((C, n), self.weights.W.dtype)
        into_in = np.zeros((B, n), self.weights.W.dtype)
        for t in reversed(range(end.step)):
            v, g = trace.v[t, 0], trace.g[t, 0]
            _, y_in, _ = self._parts(trace.units[t + 1, 0])
            into_cells += np.outer(end.state * self._to_cells(y_in) * _dg(g), v)
            into_in += np.outer(self._by_block(end.state * g) * _df(y_in), v)
        return self._assemble(trace, end, into_cells, into_in)

    def full_gradient(self, sequence: np.ndarray, target: float) -> Weights:
        """The gradient itself: back-propagation through time, nothing truncated."""
        return self.gradient(sequence[None], np.array([len(sequence)]), np.array([target]))[1]

    def _errors(self, trace: Trace, target: float) -> _Errors:
        """dE/d(...) at the step whose cells are read, for E = (target - y)²."""
        step = int(self._read(len(trace.v)))
        h = 2 * sigmoid(trace.s[step, 0]) - 1
        _, _, y_out = self._parts(trace.units[step, 0])
        y = trace.y[0]
        output = 2 * (y - y.dtype.type(target)) * self._slope(y)  # eqs. 16, 17; eq. 19 has no 2
        hidden = output * self.weights.Wk[:-1]
        state = hidden * self._to_cells(y_out) * _dh(h)
        out_gate = self._by_block(hidden * h) * _df(y_out)
        return _Errors(step, output, hidden, state, out_gate)

    def _assemble(
        self, trace: Trace, end: _Errors, into_cells: np.ndarray, into_in: np.ndarray
    ) -> Weights:
        """With the rows of the output gates, whose error acts at one step alone."""
        # At step 0, read by a sequence of one pair, y_out and so its error are 0.
        into_out = np.outer(end.out_gate, trace.v[max(end.step - 1, 0), 0])
        dW = np.concatenate([into_cells, into_in, into_out])
        return Weights(dW, self._output_gradient(trace, end))

    def _output_gradient(self, trace: Trace, end: _Errors) -> np.ndarray:
        return end.output * np.append(trace.units[end.step, 0, : self.cells], trace.y.dtype.type(1))

    def _slope(self, y: np.ndarray) -> np.ndarray:
        """dy/dnet of the output unit, from its answer."""
        return _df(y) if self.output == "sigmoid" else np.ones_like(y)

    # -- what belongs together ----------------------------------------------------------------

    def _read(self, lengths: np.ndarray | int) -> np.ndarray | int:
        """The step whose cells the output unit reads; step 0 holds the initial zeros."""
        return lengths if self.reads == "current" else lengths - 1

    def _parts(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells, input gates and output gates, along the last axis."""
        C, B = self.cells, self.blocks
        return units[..., :C], units[..., C : C + B], units[..., C + B :]

    def _to_cells(self, gates: np.ndarray) -> np.ndarray:
        """(..., B) to (..., C): each block's gate, beside each of its cells."""
        return np.repeat(gates, self.block_size, axis=-1)

    def _by_block(self, cells: np.ndarray) -> np.ndarray:
        """(..., C) to (..., B): sums over the cells of each block."""
        return cells.reshape(*cells.shape[:-1], self.blocks, self.block_size).sum(axis=-1)


class _Errors(NamedTuple):
    """dE/d(...) at `step`: net of the output unit, y_c (C,), s (C,), nets of output gates (B,)."""

    step: int
    output: np.floating
    hidden: np.ndarray
    state: np.ndarray
    out_gate: np.ndarray


# Derivatives, from the squashed values.


def _df(f: np.ndarray) -> np.ndarray:
    return f * (1 - f)


def _dg(g: np.ndarray) -> np.ndarray:
    return 1 - g**2 / 4


def _dh(h: np.ndarray) -> np.ndarray:
    return (1 - h**2) / 2
