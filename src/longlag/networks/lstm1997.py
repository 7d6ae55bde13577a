"""The LSTM of 1997, memory cell blocks with shared gates and no forget gate: the reference.

This file is the definition (Hochreiter & Schmidhuber, *Long Short-Term Memory*, Neural Computation
9(8), 1997; the numbers of its equations stand beside the lines): plain numpy, in the precision of
its weights, without optimisations. The native kernel is the same mathematics, fast, and is tested
against this file.

B blocks of S cells each make C = B S cells, numbered block by block; all cells of a block share
one input gate and one output gate. Every cell input and every gate receives v(t) = (the D inputs
x(t), the outputs of the C cells, the B input gates and the B output gates at step t - 1, and 1):

    y_in, y_out = f(net_in), f(net_out)     f(x) = sigmoid(x)            in (0, 1)     eq. 3
    s(t) = s(t-1) + y_in g(net_c)           g(x) = 4 sigmoid(x) - 2      in (-2, 2)    eqs. 5, 9
    y_c(t) = y_out h(s(t))                  h(x) = 2 sigmoid(x) - 1      in (-1, 1)    eqs. 4, 9
    y = f(Wk . (y_c, 1))                    net = W v(t);  everything is 0 at step 0

The answer is read at a sequence's last step L, or at every step, from that step's cells or, in a
variant, from the previous step's; in another variant it is linear, without its f. What else the
paper's experiments vary is a `Variant`. Gradients are those of (target - y)², eqs. 16 and 17: they
carry the factor 2 that eq. 19 drops, so the rule of eq. 19 is this gradient at half the rate.
Truncated, they leave out what flows through the inputs that gates and cell inputs have from units
(eqs. 10 to 15).

Dimension legend: `tasks/task.py`; here B also counts blocks where it stands beside S and C.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, get_args

import numpy as np

from longlag import checks
from longlag.networks.network import (
    Network,
    Output,
    Shapes,
    as_answers,
    check_lengths,
    counted,
    flatten,
    live_steps,
    sigmoid,
    squared_error,
    views,
)
from longlag.settings import setting
from longlag.tasks.task import Answered, Task

Reads = Literal["current", "previous"]
GradientTerm = Literal["truncated", "full"]
Biases = Literal["none", "gates", "hidden", "all"]
G = Literal["centered", "logistic"]
H = Literal["centered", "identity"]

INITIAL_RANGE = 0.1  # initial weights, biases included, are uniform in ±0.1 (section 5.5)
LARGEST_NETWORK = 32  # cells and gates that the kernel has room for


@dataclass(frozen=True)
class Variant:
    """How a network differs from the one of Experiments 4 to 6.

    Args:
        biases: which units have one: `none` (Experiment 2), `gates` alone (1), `hidden`, cells
            and gates but not the output units (3), or `all`.
        inputs_to_outputs: whether the output units also receive the inputs x(t) (2a).
        output_gate: whether there are output gates; where not, y_out is 1 (2a).
        recurrent: whether cells and gates receive cells and gates (all but 2a).
        g: `centered`, in (-2, 2), or `logistic`, in (0, 1) (2a).
        h: `centered`, in (-1, 1), or the `identity` (2a).

    Raises:
        ValueError: something else.
    """

    biases: Biases = "all"
    inputs_to_outputs: bool = False
    output_gate: bool = True
    recurrent: bool = True
    g: G = "centered"
    h: H = "centered"

    def __post_init__(self) -> None:
        for name, words in (("biases", Biases), ("g", G), ("h", H)):
            checks.one_of(name, getattr(self, name), get_args(words))
        for name in ("inputs_to_outputs", "output_gate", "recurrent"):
            checks.flag(name, getattr(self, name))

    @property
    def whole(self) -> bool:
        """Whether all units have all of their weights."""
        return self.biases == "all" and self.output_gate and self.recurrent


USUAL = Variant()


class Weights(NamedTuple):
    """W (C + 2B, D + C + 2B + 1) and Wk (C + 1,), or (K, C + 1) where K is above 1.

    Rows of W: cells, input gates, output gates. Columns: inputs, cells, input gates, output
    gates, bias. Wk, of the output units: cells, inputs where these lead there, bias. Weights that a
    variant does not have are 0.
    """

    W: np.ndarray
    Wk: np.ndarray


class Connections(NamedTuple):
    """The weights of a variant that lacks connections: the existing ones, of W, then of Wk."""

    weights: np.ndarray


def weight_shapes(
    blocks: int, block_size: int, inputs: int = 2, outputs: int = 1, variant: Variant = USUAL
) -> Weights:
    """Shapes of the weights, by name."""
    cells = blocks * block_size
    units = cells + 2 * blocks
    wide = cells + inputs * variant.inputs_to_outputs + 1
    read = (wide,) if outputs == 1 else (outputs, wide)
    return Weights((units, inputs + units + 1), read)  # type: ignore[arg-type]


def connected(
    blocks: int, block_size: int, inputs: int = 2, outputs: int = 1, variant: Variant = USUAL
) -> Weights:
    """Which weights exist: bool, in the shapes of W and Wk."""
    shapes = weight_shapes(blocks, block_size, inputs, outputs, variant)
    W, Wk = (np.ones(shape, dtype=bool) for shape in shapes)
    cells = blocks * block_size
    output_gates = slice(cells + blocks, cells + 2 * blocks)
    if not variant.recurrent:
        W[:, inputs:-1] = False
    if not variant.output_gate:
        W[output_gates] = False
        W[:, inputs:-1][:, output_gates] = False
    W[:cells, -1] &= variant.biases in ("hidden", "all")
    W[cells:, -1] &= variant.biases != "none"
    Wk[..., -1] = variant.biases == "all"
    return Weights(W, Wk)


def weight_count(
    blocks: int = 2,
    block_size: int = 2,
    inputs: int = 2,
    outputs: int = 1,
    variant: Variant = USUAL,
) -> int:
    """P; 93 for the paper's 2 blocks of 2 cells."""
    there = connected(blocks, block_size, inputs, outputs, variant)
    return sum(int(np.sum(part)) for part in there)


def unflatten(
    vector: np.ndarray,
    blocks: int,
    block_size: int,
    inputs: int = 2,
    outputs: int = 1,
    variant: Variant = USUAL,
) -> Weights:
    """A flat vector (P,) as weights: W row by row, then Wk; views, where nothing is missing."""
    sizes = (blocks, block_size, inputs, outputs, variant)
    if variant.whole:
        return Weights(*views(vector, weight_shapes(*sizes)))
    there = connected(*sizes)
    parts = views(vector, [(int(np.sum(part)),) for part in there])
    weights = Weights(*(np.zeros(part.shape, vector.dtype) for part in there))
    for array, part, values in zip(weights, there, parts, strict=True):
        array[part] = values
    return weights


def initial_weights(
    rng: np.random.Generator,
    blocks: int = 2,
    block_size: int = 2,
    input_gate_biases: tuple[float, ...] | None = None,
    inputs: int = 2,
    outputs: int = 1,
    *,
    output_gate_biases: tuple[float, ...] | None = None,
    variant: Variant = USUAL,
    initial_range: float = INITIAL_RANGE,
) -> Weights:
    """float32 weights, uniform in ±0.1, biases included: one call to `rng` for all P of them.

    Args:
        rng: draws P numbers, whatever the biases.
        blocks, block_size: B and S.
        input_gate_biases: one a block, to stand in place of what was drawn; Experiment 4 has
            (-3, -6).
        inputs, outputs: D and K.
        output_gate_biases: the same for output gates; Experiment 1 has (-1, -2, -3).
        variant: which weights it has.
        initial_range: instead of 0.1.

    Raises:
        ValueError: not as many biases as blocks.
    """
    sizes = (blocks, block_size, inputs, outputs, variant)
    drawn = rng.uniform(-initial_range, initial_range, weight_count(*sizes))
    weights = unflatten(drawn.astype(np.float32), *sizes)
    first = blocks * block_size  # of the input gates
    for name, given in (
        ("input_gate_biases", input_gate_biases),
        ("output_gate_biases", output_gate_biases),
    ):
        if given is not None:
            if len(given) != blocks:
                raise ValueError(f"{name} must be {blocks} numbers, one a block, not {len(given)}")
            weights.W[first : first + blocks, -1] = given
        first += blocks
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
        variant: what else differs from Experiments 4 to 6.

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
    variant: Variant = USUAL

    def __post_init__(self) -> None:
        for name, words in (("reads", Reads), ("output", Output), ("answered", Answered)):
            checks.one_of(name, getattr(self, name), get_args(words))
        if not isinstance(self.blocks, (int, np.integer)) or self.blocks < 1:
            raise ValueError(f"blocks must be a whole number of at least 1, not {self.blocks!r}")
        W, Wk = self.weights
        fits = Wk.ndim == 1 or (Wk.ndim == 2 and len(Wk) > 1)
        direct, more = (self.inputs, "D + ") if self.variant.inputs_to_outputs else (0, "")
        wide = Wk.shape[-1] - direct if fits else 0
        if wide < 2 or (wide - 1) % self.blocks:
            raise ValueError(
                f"Wk must have shape (C + {more}1,), or (K, C + {more}1) for K above 1, "
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
    def parameters(self) -> Weights | Connections:
        """The weights, by the name that they have in every network."""
        return self._there(self.weights)

    def _there(self, weights: Weights) -> Weights | Connections:
        """Weights, or a gradient, with 0 for weights that the variant does not have."""
        if self.variant.whole:
            return weights
        sizes = (self.blocks, self.block_size, self.inputs, len(self.read))
        there = connected(*sizes, self.variant)
        return Connections(np.concatenate([a[b] for a, b in zip(weights, there, strict=True)]))

    @property
    def cells(self) -> int:
        """C, the number of memory cells."""
        direct = self.inputs if self.variant.inputs_to_outputs else 0
        return self.weights.Wk.shape[-1] - direct - 1

    @property
    def inputs(self) -> int:
        """D, the number of inputs."""
        return self.weights.W.shape[1] - len(self.weights.W) - 1

    @property
    def read(self) -> np.ndarray:
        """Wk as (K, C + 1), or (K, C + D + 1)."""
        return self.weights.Wk.reshape(-1, self.weights.Wk.shape[-1])

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
        live = live_steps(lengths, inputs.shape[1])[:, :, None]
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
        g = sigmoid(net[:, :C])
        if self.variant.g == "centered":
            g = 4 * g - 2
        units = np.empty_like(net)
        units[:, C:] = sigmoid(net[:, C:])
        _, y_in, y_out = self._parts(units)
        if not self.variant.output_gate:
            y_out[:] = 1
        s = s + self._to_cells(y_in) * g  # eq. 9
        units[:, :C] = self._to_cells(y_out) * self._h(s)  # eq. 9
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
        read = self._received(v, units, lengths)
        y = read @ self.read[:, :-1].T + self.read[:, -1]
        return Trace(v, units, g, s, sigmoid(y) if self.output == "sigmoid" else y)

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, Weights | Connections]:
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
        read = self._received(trace.v, trace.units, lengths)
        read = read.reshape(-1, read.shape[-1])
        errors = d_y.reshape(len(read), -1)
        d_Wk = np.concatenate([errors.T @ read, errors.sum(axis=0, dtype=W.dtype)[:, None]], 1)

        at = np.broadcast_to(self._read(lengths), N)
        h = self._h(trace.s[1:])
        slopes = self._to_cells(self._parts(trace.units[1:])[2]) * self._dh(h)  # dy_c/ds
        d_net = np.empty((T, N, len(W)), W.dtype)
        d_units = np.zeros((N, len(W)), W.dtype)  # dE/d(unit's output) at this step
        d_state = np.zeros((N, C), W.dtype)
        for t in reversed(range(T)):
            # An answer's error enters at the step that it is read from.
            here = self._error_at(t + 1, d_y) if every else np.where(at == t + 1, d_y.T, 0).T
            d_units[:, :C] += here @ self.read[:, :C]
            g, (_, y_in, y_out) = trace.g[t], self._parts(trace.units[t + 1])
            d_hidden, d_in, d_out = self._parts(d_units)
            d_state = d_state + d_hidden * slopes[t]
            into_cells, into_in, into_out = self._parts(d_net[t])
            into_cells[:] = d_state * self._to_cells(y_in) * self._dg(g)
            into_in[:] = (d_in + self._by_block(d_state * g)) * _df(y_in)
            into_out[:] = (d_out + self._by_block(d_hidden * h[t])) * _df(y_out)
            d_units = d_net[t] @ W[:, self.inputs : -1]
            if self.truncated:
                d_units = np.zeros_like(d_units)
        d_W = d_net.reshape(T * N, -1).T @ trace.v.reshape(T * N, -1)
        return loss, self._there(Weights(d_W, d_Wk.reshape(self.weights.Wk.shape)))

    def _error_at(self, step: int, d_y: np.ndarray) -> np.ndarray:
        """The error (N, K) that enters at the cells of a step, where every step is answered."""
        late = 0 if self.reads == "current" else 1
        return d_y[step - 1 + late] if step - 1 + late < len(d_y) else np.zeros_like(d_y[0])

    def truncated_gradient(
        self, sequence: np.ndarray, target: float | np.ndarray
    ) -> Weights | Connections:
        """The truncated gradient of one sequence, by the paper's forward traces.

        Each cell carries ds/dw of its own weights along from step to step, and multiplies by the
        error where an answer is asked for: local in space and time.

        Args:
            sequence: (L, D), or symbols (L,).
            target: in the shape of the answer; the error is the mean square of all it asks for.
        """
        trace = self.forward(sequence[None])
        (W, Wk), C, L = self.weights, self.cells, len(trace.v)
        late, answers = int(self.reads == "previous"), trace.y.reshape(-1, len(self.read))
        off = answers - np.asarray(target, W.dtype).reshape(answers.shape)
        output = 2 / off.size * off * self._slope(answers)  # eqs. 16, 17; eq. 19 has no 2
        ds_cell = np.zeros((C, W.shape[1]), W.dtype)  # ds/dw for w into the cell
        ds_in = np.zeros((C, W.shape[1]), W.dtype)  # ds/dw for w into its block's input gate
        d_W, d_read = np.zeros_like(W), np.zeros_like(self.read)
        into_cells, into_in, into_out = self._parts(d_W.T)
        for t in range(L + 1):  # the first answer reads step 0 where answers read the previous step
            v = trace.v[max(t - 1, 0), 0]
            if t > 0:
                g, (_, y_in, _) = trace.g[t - 1, 0], self._parts(trace.units[t, 0])
                ds_cell += np.outer(self._to_cells(y_in) * self._dg(g), v)  # eqs. 25, 27
                ds_in += np.outer(self._to_cells(_df(y_in)) * g, v)  # eqs. 25, 27
            answer = t + late  # the step whose answer reads this step's cells
            if not (1 if self.answered == "every" else L) <= answer <= L:
                continue
            error = output[answer - 1 if self.answered == "every" else 0]
            state, out_gate = self._errors(trace, t, error)
            into_cells += (state[:, None] * ds_cell).T
            into_in += self._by_block((state[:, None] * ds_in).T)
            into_out += np.outer(v, out_gate)
            shown = trace.v[answer - 1, 0, : self.inputs * self.variant.inputs_to_outputs]
            d_read += np.outer(error, [*trace.units[t, 0, :C], *shown, 1])
        return self._there(Weights(d_W, d_read.reshape(Wk.shape)))

    def _errors(self, trace: Trace, step: int, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dE/ds (C,) and dE/dnet of the output gates (B,) at a step, from those of the output
        units that read it, (K,)."""
        h, (_, _, y_out) = self._h(trace.s[step, 0]), self._parts(trace.units[step, 0])
        hidden = output @ self.read[:, : self.cells]
        state = hidden * self._to_cells(y_out) * self._dh(h)
        return state, self._by_block(hidden * h) * _df(y_out)

    # -- squashing, and slopes from what was squashed -----------------------------------------

    def _h(self, s: np.ndarray) -> np.ndarray:
        return s if self.variant.h == "identity" else 2 * sigmoid(s) - 1

    def _dh(self, h: np.ndarray) -> np.ndarray:
        return np.ones_like(h) if self.variant.h == "identity" else (1 - h**2) / 2

    def _dg(self, g: np.ndarray) -> np.ndarray:
        return _df(g) if self.variant.g == "logistic" else 1 - g**2 / 4

    def _slope(self, y: np.ndarray) -> np.ndarray:
        """dy/dnet of the output units, from their answers."""
        return _df(y) if self.output == "sigmoid" else np.ones_like(y)

    def _answers(self, trace: Trace) -> np.ndarray:
        """The answers batch-first, without the axis of K where K is 1."""
        return as_answers(trace.y.swapaxes(0, 1) if self.answered == "every" else trace.y)

    def _received(self, v: np.ndarray, units: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """What the output units receive beside 1: cells, and inputs where these lead there."""
        cells = self._read_units(units, lengths)
        if not self.variant.inputs_to_outputs:
            return cells
        shown = v[..., : self.inputs]
        if self.answered == "last":
            shown = shown[lengths - 1, np.arange(v.shape[1])]
        return np.concatenate([cells, shown], axis=-1)

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


def _df(f: np.ndarray) -> np.ndarray:
    """The slope of the logistic function, from its value."""
    return f * (1 - f)


@dataclass(frozen=True, kw_only=True)
class BlockLSTM(Network):
    """The LSTM of 1997, as a part of a recipe: weights start uniform in ±0.1, biases included.

    A bias that is 0 here is drawn like all weights; another value replaces the drawn one. `Variant`
    explains what else the experiments vary.
    """

    blocks: int = setting(2, "memory cell blocks; each shares its gates", 1, 8)
    block_size: int = setting(2, "memory cells in a block", 1, 8)
    input_gate_bias: float = setting(
        0.0,
        "initial input-gate bias of block 1; block k has k times it; 0: drawn like all weights",
        -100,
        100,
    )
    input_gate_step: float = setting(
        0.0,
        "increase of the input-gate bias from block to block; 0: as much as that of block 1",
        -100,
        100,
    )
    output_gate_bias: float = setting(
        0.0,
        "initial output-gate bias of block 1; block k has k times it; 0: drawn like all weights",
        -100,
        100,
    )
    initial_range: float = setting(
        INITIAL_RANGE, "initial weights are uniform between -X and X", 0, 10
    )
    biases: Biases = setting("all", "units with a bias: none, gates, hidden (no outputs) or all")
    inputs_to_outputs: bool = setting(False, "whether inputs also lead straight to the outputs")
    output_gate: bool = setting(True, "whether there are output gates")
    recurrent: bool = setting(
        True, "whether cells and gates receive the outputs of cells and gates"
    )
    g: G = setting(
        "centered", "squashing of a cell's input: centered, to (-2, 2), or logistic, to (0, 1)"
    )
    h: H = setting("centered", "squashing of a cell's state: centered, to (-1, 1), or identity")
    gradient: GradientTerm = setting("truncated", "the paper's truncated gradient, or the full one")
    reads: Reads = setting("previous", "the answer reads this step's or the previous step's cells")
    output: Output = setting("sigmoid", "the output: linear, or a sigmoid")
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
        for name, has in (
            ("input_gate_bias", self.biases != "none"),
            ("output_gate_bias", self.biases != "none" and self.output_gate),
            ("output_bias", self.biases == "all"),
        ):
            if getattr(self, name) and not has:
                raise ValueError(
                    f"{name} must be 0 where there is no such bias (biases {self.biases}, "
                    f"output_gate {self.output_gate}), not {getattr(self, name)}"
                )
        if self.input_gate_step and not self.input_gate_bias:
            raise ValueError(
                "input_gate_step is added to an input_gate_bias from block to block: give that, too"
            )

    @property
    def variant(self) -> Variant:
        """What differs from Experiments 4 to 6."""
        return Variant(**{f.name: getattr(self, f.name) for f in fields(Variant)})

    @property
    def name(self) -> str:
        return "lstm1997"

    @property
    def words(self) -> str:
        return f"{counted(self.blocks, 'block')} of {counted(self.block_size, 'cell')}"

    def shapes(self, task: Task) -> Shapes:
        sizes = self._sizes(task)
        if self.variant.whole:
            return weight_shapes(*sizes)._asdict()
        return {"weights": (weight_count(*sizes),)}

    def of(self, weights: np.ndarray, task: Task) -> LSTM1997:
        parts = unflatten(weights, *self._sizes(task))
        how = (self.reads, self.output, task.answered, self.gradient == "truncated")
        return LSTM1997(parts, self.blocks, *how, self.variant)

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        *sizes, variant = self._sizes(task)
        weights = initial_weights(
            rng,
            self.blocks,
            self.block_size,
            self._by_block(self.input_gate_bias, self.input_gate_step),
            *sizes[2:],
            output_gate_biases=self._by_block(self.output_gate_bias),
            variant=variant,
            initial_range=self.initial_range,
        )
        if self.output_bias:
            weights.Wk[..., -1] = self.output_bias
        return flatten(LSTM1997(weights, self.blocks, variant=variant).parameters)

    def _sizes(self, task: Task) -> tuple[int, int, int, int, Variant]:
        return self.blocks, self.block_size, task.inputs, task.outputs, self.variant

    def _by_block(self, first: float, step: float = 0.0) -> tuple[float, ...] | None:
        """The biases of all blocks; None: they are drawn."""
        return tuple(first + k * (step or first) for k in range(self.blocks)) if first else None
