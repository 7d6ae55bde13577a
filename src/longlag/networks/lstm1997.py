"""The LSTM of 1997, memory cell blocks with shared gates and no forget gate: the reference.

This file *is* the definition (Hochreiter & Schmidhuber, *Long Short-Term Memory*, Neural
Computation 9(8), 1997; its equation numbers stand beside the lines): plain numpy, in the
precision of its weights, without tricks. The native kernel is the same mathematics, fast, and is
tested against this file.

B blocks of S cells each make C = B S cells, numbered block by block; all cells of a block share
one input gate and one output gate. Every cell input and every gate receives v(t) = (the D inputs
x(t), the outputs of the C cells, the B input gates and the B output gates at step t - 1, and 1):

    y_in, y_out = f(net_in), f(net_out)     f(x) = sigmoid(x)            in (0, 1)     eq. 3
    s(t) = s(t-1) + y_in g(net_c)           g(x) = 4 sigmoid(x) - 2      in (-2, 2)    eqs. 5, 9
    y_c(t) = y_out h(s(t))                  h(x) = 2 sigmoid(x) - 1      in (-1, 1)    eqs. 4, 9
    y = f(Wk . (y_c, 1))                    net = W v(t);  everything is 0 at step 0

The answer is read at a sequence's last step L, or at every step, from that step's cells or, in a
variant, from the previous step's; in another variant it is linear, without its f. Gradients are
those of (target - y)², eqs. 16 and 17: they carry the factor 2 that eq. 19 drops, so the rule of
eq. 19 is this gradient at half the rate. Truncated, they leave out what flows through the inputs
that gates and cell inputs have from units (eqs. 10 to 15).

Dimension legend: `tasks/task.py`; here B also counts blocks where it stands beside S and C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np

from longlag.networks.network import (
    Network,
    Output,
    Shapes,
    as_answers,
    check_lengths,
    counted,
    flatten,
    sigmoid,
    squared_error,
    views,
)
from longlag.settings import setting
from longlag.tasks.task import Answered, Task

Reads = Literal["current", "previous"]
GradientTerm = Literal["truncated", "full"]

INITIAL_RANGE = 0.1  # initial weights, biases included, are uniform in ±0.1 (section 5.5)
LARGEST_NETWORK = 32  # cells and gates that the kernel has room for


class Weights(NamedTuple):
    """W (C + 2B, D + C + 2B + 1) and Wk (C + 1,), or (K, C + 1) where K is above 1.

    Rows of W: cells, input gates, output gates. Columns: inputs, cells, input gates, output
    gates, bias. Wk, of the output units: cells, bias.
    """

    W: np.ndarray
    Wk: np.ndarray


def weight_shapes(blocks: int, block_size: int, inputs: int = 2, outputs: int = 1) -> Weights:
    """Shapes of the weights, by name."""
    cells = blocks * block_size
    units = cells + 2 * blocks
    read = (cells + 1,) if outputs == 1 else (outputs, cells + 1)
    return Weights((units, inputs + units + 1), read)  # type: ignore[arg-type]


def weight_count(blocks: int = 2, block_size: int = 2, inputs: int = 2, outputs: int = 1) -> int:
    """P; 93 for the paper's 2 blocks of 2 cells."""
    shapes = weight_shapes(blocks, block_size, inputs, outputs)
    return sum(int(np.prod(shape)) for shape in shapes)


def unflatten(
    vector: np.ndarray, blocks: int, block_size: int, inputs: int = 2, outputs: int = 1
) -> Weights:
    """Views of a flat vector (P,) as weights: W row by row, then Wk."""
    return Weights(*views(vector, weight_shapes(blocks, block_size, inputs, outputs)))


def initial_weights(
    rng: np.random.Generator,
    blocks: int = 2,
    block_size: int = 2,
    input_gate_biases: tuple[float, ...] | None = None,
    inputs: int = 2,
    outputs: int = 1,
) -> Weights:
    """float32 weights, uniform in ±0.1, biases included: one call to `rng` for all P of them.

    Args:
        rng: draws P numbers, whatever the biases.
        blocks, block_size: B and S.
        input_gate_biases: one a block, to stand in place of what was drawn; Experiment 4 has
            (-3, -6).
        inputs, outputs: D and K.

    Raises:
        ValueError: not as many biases as blocks.
    """
    sizes = (blocks, block_size, inputs, outputs)
    drawn = rng.uniform(-INITIAL_RANGE, INITIAL_RANGE, weight_count(*sizes))
    weights = unflatten(drawn.astype(np.float32), *sizes)
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

    v (T, N, D + C + 2B + 1): what the units receive; units (T + 1, N, C + 2B): outputs of cells,
    input gates, output gates; g (T, N, C): squashed cell inputs; s (T + 1, N, C): cell states;
    y (N, K): answers, or (T, N, K) at every step.
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
        answered: whether answers are read at the `last` step or at `every` one.
        truncated: whether `gradient` is truncated.

    Raises:
        ValueError: an unknown `reads`, `output` or `answered`, or weights whose shapes do not fit
            together or the blocks.
    """

    weights: Weights
    blocks: int = 2
    reads: Reads = "current"
    output: Output = "sigmoid"
    answered: Answered = "last"
    truncated: bool = False

    def __post_init__(self) -> None:
        if self.reads not in get_args(Reads):
            raise ValueError(f"reads must be one of current, previous, not {self.reads!r}")
        if self.output not in get_args(Output):
            raise ValueError(f"output must be one of linear, sigmoid, not {self.output!r}")
        if self.answered not in get_args(Answered):
            raise ValueError(f"answered must be one of last, every, not {self.answered!r}")
        if not isinstance(self.blocks, (int, np.integer)) or self.blocks < 1:
            raise ValueError(f"blocks must be a whole number of at least 1, not {self.blocks!r}")
        W, Wk = self.weights
        fits = Wk.ndim == 1 or (Wk.ndim == 2 and len(Wk) > 1)
        wide = Wk.shape[-1] if fits else 0
        if wide < 2 or (wide - 1) % self.blocks:
            raise ValueError(
                f"Wk must have shape (C + 1,), or (K, C + 1) for K above 1, "
                f"C a multiple of {self.blocks} blocks, not {Wk.shape}"
            )
        D = max(1, W.shape[-1] - (self.cells + 2 * self.blocks + 1))
        shape, _ = weight_shapes(self.blocks, self.block_size, D)
        if W.shape != shape:
            raise ValueError(
                f"W must have shape {shape} for {self.blocks} blocks of {self.block_size} cells, "
                f"not {W.shape}"
            )

    @property
    def titles(self) -> dict[str, str]:
        """What the states are, in words."""
        return {
            "cell": "Cell state s of each cell",
            "hidden": "Cell output, output gate × h(s), of each cell",
            "input_gate": "Input gate: what is let in, shared by the cells of a block",
            "output_gate": "Output gate: what is let out, shared by the cells of a block",
        }

    @property
    def parameters(self) -> Weights:
        """The weights, by the name that they have in every network."""
        return self.weights

    @property
    def cells(self) -> int:
        """C, the number of memory cells."""
        return self.weights.Wk.shape[-1] - 1

    @property
    def inputs(self) -> int:
        """D, the number of inputs."""
        return self.weights.W.shape[1] - len(self.weights.W) - 1

    @property
    def read(self) -> np.ndarray:
        """Wk as (K, C + 1)."""
        return self.weights.Wk.reshape(-1, self.cells + 1)

    @property
    def block_size(self) -> int:
        """S, the number of cells that share a pair of gates."""
        return self.cells // self.blocks

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers to inputs (N, T, D) or symbols (N, T); lengths (N,), T where not given.

        Returns:
            (N, K), or (N, T, K) at every step; without the axis of K where K is 1.
        """
        return self._answers(self.forward(inputs, lengths))

    def states(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Cell state s and cell output y_c, (N, T, C); input_gate and output_gate, (N, T, B).

        Under the names cell, hidden, input_gate, output_gate. Steps after a sequence's end are
        zero.
        """
        trace = self.forward(inputs, lengths)
        lengths = check_lengths(inputs, lengths, self.inputs)
        live = (np.arange(inputs.shape[1]) < lengths[:, None])[:, :, None]
        hidden, input_gate, output_gate = self._parts(trace.units[1:])
        named = {
            "cell": trace.s[1:],
            "hidden": hidden,
            "input_gate": input_gate,
            "output_gate": output_gate,
        }
        return {name: np.where(live, array.swapaxes(0, 1), 0) for name, array in named.items()}

    def step(self, v: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One step: what the units receive, v (N, D + C + 2B + 1), and the states s (N, C) before.

        Returns:
            The squashed cell inputs g (N, C), the states after, and the units (N, C + 2B).
        """
        C = self.cells
        net = v @ self.weights.W.T  # (N, C + 2B)
        g = 4 * sigmoid(net[:, :C]) - 2
        units = np.empty_like(net)
        units[:, C:] = sigmoid(net[:, C:])
        _, y_in, y_out = self._parts(units)
        s = s + self._to_cells(y_in) * g  # eq. 9
        units[:, :C] = self._to_cells(y_out) * (2 * sigmoid(s) - 1)  # eq. 9
        return g, s, units

    def forward(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> Trace:
        """Runs all steps; the answer is read at each sequence's own last step, or at every one.

        Steps after a sequence's end are computed and never read.
        """
        D = self.inputs
        lengths = check_lengths(inputs, lengths, D)
        W = self.weights.W
        (N, T), C, B = inputs.shape[:2], self.cells, self.blocks
        v = np.ones((T, N, W.shape[1]), W.dtype)
        units = np.zeros((T + 1, N, C + 2 * B), W.dtype)
        g = np.empty((T, N, C), W.dtype)
        s = np.zeros((T + 1, N, C), W.dtype)
        v[:, :, :D] = (np.eye(D)[inputs] if inputs.ndim == 2 else inputs).swapaxes(0, 1)
        for t in range(T):
            v[t, :, D:-1] = units[t]
            g[t], s[t + 1], units[t + 1] = self.step(v[t], s[t])
        read = self._read_units(units, lengths)
        y = read @ self.read[:, :-1].T + self.read[:, -1]
        return Trace(v, units, g, s, sigmoid(y) if self.output == "sigmoid" else y)

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, Weights]:
        """The mean squared error of a batch (no 1/2), and its gradient, truncated or not.

        Back-propagation through time, back along the states: s(t) = s(t-1) + ..., so that an
        error of a state is the same at every earlier step. Truncated, no error flows back through
        what gates and cell inputs receive from units (eqs. 10 to 15).

        Args:
            inputs: (N, T, D), or symbols (N, T).
            lengths: (N,).
            targets: in the shape of the answers.
            counted: (N, T), which steps count where every one is answered; all where not given.
        """
        lengths = check_lengths(inputs, lengths, self.inputs)
        trace = self.forward(inputs, lengths)
        (W, _), C, (T, N) = self.weights, self.cells, trace.v.shape[:2]
        loss, d_y = squared_error(self._answers(trace), lengths, targets, self.answered, counted)
        every = self.answered == "every"
        d_y = (d_y.swapaxes(0, 1) if every else d_y) * self._slope(trace.y)
        read = self._read_units(trace.units, lengths).reshape(-1, C)
        errors = d_y.reshape(len(read), -1)
        d_Wk = np.concatenate([errors.T @ read, errors.sum(axis=0, dtype=W.dtype)[:, None]], 1)

        at = np.broadcast_to(self._read(lengths), N)
        h = 2 * sigmoid(trace.s[1:]) - 1
        slopes = self._to_cells(self._parts(trace.units[1:])[2]) * _dh(h)  # dy_c/ds
        d_net = np.empty((T, N, len(W)), W.dtype)
        d_units = np.zeros((N, len(W)), W.dtype)  # dE/d(unit's output) at this step
        d_state = np.zeros((N, C), W.dtype)
        for t in reversed(range(T)):
            # An answer's error enters at the step that it is read from.
            here = self._error_at(t + 1, d_y) if every else np.where(at == t + 1, d_y.T, 0).T
            d_units[:, :C] += here @ self.read[:, :-1]
            g, (_, y_in, y_out) = trace.g[t], self._parts(trace.units[t + 1])
            d_hidden, d_in, d_out = self._parts(d_units)
            d_state = d_state + d_hidden * slopes[t]
            into_cells, into_in, into_out = self._parts(d_net[t])
            into_cells[:] = d_state * self._to_cells(y_in) * _dg(g)
            into_in[:] = (d_in + self._by_block(d_state * g)) * _df(y_in)
            into_out[:] = (d_out + self._by_block(d_hidden * h[t])) * _df(y_out)
            d_units = d_net[t] @ W[:, self.inputs : -1]
            if self.truncated:
                d_units = np.zeros_like(d_units)
        d_W = d_net.reshape(T * N, -1).T @ trace.v.reshape(T * N, -1)
        return loss, Weights(d_W, d_Wk.reshape(self.weights.Wk.shape))

    def _error_at(self, step: int, d_y: np.ndarray) -> np.ndarray:
        """The error (N, K) that enters at the cells of a step, where every step is answered."""
        late = 0 if self.reads == "current" else 1
        return d_y[step - 1 + late] if step - 1 + late < len(d_y) else np.zeros_like(d_y[0])

    def truncated_gradient(self, sequence: np.ndarray, target: float) -> Weights:
        """The truncated gradient of one sequence (L, D), by the paper's forward traces.

        Each cell carries ds/dw of its own weights along from step to step, and multiplies by the
        error at the end: local in space and time. One answer, at the last step.
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
        # At step 0, read by a sequence of one pair, y_out and so its error are 0.
        into_out = np.outer(end.out_gate, trace.v[max(end.step - 1, 0), 0])
        read = np.append(trace.units[end.step, 0, :C], W.dtype.type(1))
        return Weights(np.concatenate([into_cells, into_in, into_out]), end.output * read)

    def _errors(self, trace: Trace, target: float) -> _Errors:
        """dE/d(...) at the step whose cells are read, for E = (target - y)²."""
        step = int(self._read(len(trace.v)))
        h = 2 * sigmoid(trace.s[step, 0]) - 1
        _, _, y_out = self._parts(trace.units[step, 0])
        y = trace.y[0, 0]
        output = 2 * (y - y.dtype.type(target)) * self._slope(y)  # eqs. 16, 17; eq. 19 has no 2
        hidden = output * self.read[0, :-1]
        state = hidden * self._to_cells(y_out) * _dh(h)
        out_gate = self._by_block(hidden * h) * _df(y_out)
        return _Errors(step, output, hidden, state, out_gate)

    def _slope(self, y: np.ndarray) -> np.ndarray:
        """dy/dnet of the output units, from their answers."""
        return _df(y) if self.output == "sigmoid" else np.ones_like(y)

    def _answers(self, trace: Trace) -> np.ndarray:
        """The answers batch-first, without the axis of K where K is 1."""
        return as_answers(trace.y.swapaxes(0, 1) if self.answered == "every" else trace.y)

    def _read_units(self, units: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The cell outputs that answers are read from: (N, C), or (T, N, C) at every step."""
        if self.answered == "every":
            cells = units[..., : self.cells]
            return cells[1:] if self.reads == "current" else cells[:-1]
        return units[self._read(lengths), np.arange(units.shape[1]), : self.cells]

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


@dataclass(frozen=True, kw_only=True)
class BlockLSTM(Network):
    """The LSTM of 1997, as a part of a recipe: weights start uniform in ±0.1, biases included.

    A bias that is 0 here is drawn like all weights; another value stands in its place.
    """

    kernel: ClassVar[bool] = True

    blocks: int = setting(2, "memory cell blocks; each shares its gates", 1, 8)
    block_size: int = setting(2, "memory cells in a block", 1, 8)
    input_gate_bias: float = setting(
        0.0,
        "initial input-gate bias of block 1; block k has k times it; 0: drawn like all weights",
        -100,
        100,
    )
    gradient: GradientTerm = setting("truncated", "the paper's truncated gradient, or the full one")
    reads: Reads = setting("previous", "the answer reads this step's or the previous step's cells")
    output: Output = setting("sigmoid", "the answer: linear, or its sigmoid")
    output_bias: float = setting(
        0.0, "initial bias of the answer; 0: drawn like all weights", -1e3, 1e3
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks * (self.block_size + 2) > LARGEST_NETWORK:
            raise ValueError(
                f"blocks times (block_size + 2) must be at most {LARGEST_NETWORK}, "
                f"not {self.blocks} times {self.block_size + 2}"
            )

    @property
    def name(self) -> str:
        return "lstm1997"

    @property
    def words(self) -> str:
        return f"{counted(self.blocks, 'block')} of {counted(self.block_size, 'cell')}"

    def shapes(self, task: Task) -> Shapes:
        shapes = weight_shapes(self.blocks, self.block_size, task.inputs, task.outputs)
        return shapes._asdict()

    def of(self, weights: np.ndarray, task: Task) -> LSTM1997:
        parts = unflatten(weights, self.blocks, self.block_size, task.inputs, task.outputs)
        variant = (self.reads, self.output, task.answered, self.gradient == "truncated")
        return LSTM1997(parts, self.blocks, *variant)

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        biases = None
        if self.input_gate_bias:
            biases = tuple(self.input_gate_bias * (k + 1) for k in range(self.blocks))
        sizes = (task.inputs, task.outputs)
        weights = initial_weights(rng, self.blocks, self.block_size, biases, *sizes)
        if self.output_bias:
            weights.Wk[..., -1] = self.output_bias
        return flatten(weights)
