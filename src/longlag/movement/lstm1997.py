"""One on-line training step of the LSTM of 1997, scalar by scalar, by two algorithms.

The same operations as in `networks/lstm1997.py` (output reads the current step's cells), on
(nested) lists of plain numbers or of traced scalars.

- `traces_step`: the paper's algorithm, local in time. Every cell carries ds/dw of its own weights
  from step to step; values of earlier steps are not kept.
- `sums_step`: the same gradient as a sum over steps at the end, back along the sequence: fewer
  operations, but every step's values are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from longlag.movement.lstm import Grid, Mark, ignore, total
from longlag.movement.tracing import sigmoid


class Step(NamedTuple):
    """One step: received v (n,), squashed cell inputs g (C,), states s (C,), outputs of units."""

    v: list[Any]
    g: list[Any]
    s: list[Any]
    units: list[Any]


class Shape(NamedTuple):
    """B blocks of S cells: which gate belongs to which cell."""

    blocks: int
    size: int

    @property
    def cells(self) -> int:
        return self.blocks * self.size

    def gate_in(self, cell: int) -> int:
        """The unit that is the cell's input gate."""
        return self.cells + cell // self.size

    def gate_out(self, cell: int) -> int:
        """The unit that is the cell's output gate."""
        return self.cells + self.blocks + cell // self.size

    def block(self, b: int) -> range:
        """The cells of a block."""
        return range(b * self.size, (b + 1) * self.size)


def start(shape: Shape) -> Step:
    """Step 0: zeros."""
    return Step([], [], [0.0] * shape.cells, [0.0] * (shape.cells + 2 * shape.blocks))


def advance(W: Grid, shape: Shape, before: Step, x: Sequence[Any]) -> Step:
    """One step on from `before`, with the inputs x (2,)."""
    C = shape.cells
    v = [*x, *before.units, 1.0]
    net = [total(w * value for w, value in zip(row, v, strict=True)) for row in W]
    g = [4 * sigmoid(n) - 2 for n in net[:C]]
    gates = [sigmoid(n) for n in net[C:]]
    s = [before.s[c] + gates[shape.gate_in(c) - C] * g[c] for c in range(C)]
    hidden = [gates[shape.gate_out(c) - C] * (2 * sigmoid(s[c]) - 1) for c in range(C)]
    return Step(v, g, s, hidden + gates)


def traces_step(
    W: Grid,
    Wk: list[Any],
    sequence: Sequence[Sequence[Any]],
    target: Any,
    rate: float,
    blocks: int = 2,
    mark: Mark = ignore,
) -> tuple[Grid, list[Any]]:
    """New weights after one sequence (T, 2), by the paper's forward traces."""
    shape = Shape(blocks, (len(Wk) - 1) // blocks)
    n = len(W[0])
    ds_cell, ds_in = ([[0.0] * n for _ in range(shape.cells)] for _ in range(2))
    step = start(shape)
    for x in sequence:
        step = advance(W, shape, step, x)
        mark("forward")
        for c in range(shape.cells):
            y_in, g = step.units[shape.gate_in(c)], step.g[c]
            to_cell = y_in * (1 - g * g / 4)
            to_gate = y_in * (1 - y_in) * g
            ds_cell[c] = [d + to_cell * v for d, v in zip(ds_cell[c], step.v, strict=True)]
            ds_in[c] = [d + to_gate * v for d, v in zip(ds_in[c], step.v, strict=True)]
        mark("backward")
    output, state, out_gate = _errors(Wk, shape, step, target, mark)
    into_cells = [[state[c] * d for d in ds_cell[c]] for c in range(shape.cells)]
    scaled = [[state[c] * d for d in ds_in[c]] for c in range(shape.cells)]
    into_in = [
        [total(column) for column in zip(*(scaled[c] for c in shape.block(b)), strict=True)]
        for b in range(blocks)
    ]
    return _update(W, Wk, [*into_cells, *into_in], out_gate, output, step, rate, shape, mark)


def sums_step(
    W: Grid,
    Wk: list[Any],
    sequence: Sequence[Sequence[Any]],
    target: Any,
    rate: float,
    blocks: int = 2,
    mark: Mark = ignore,
) -> tuple[Grid, list[Any]]:
    """As `traces_step`, by a sum back along the sequence."""
    shape = Shape(blocks, (len(Wk) - 1) // blocks)
    steps = [start(shape)]
    for x in sequence:
        steps.append(advance(W, shape, steps[-1], x))
    last = steps[-1]
    mark("forward")
    output, state, out_gate = _errors(Wk, shape, last, target, mark)
    rows = [[0.0] * len(W[0]) for _ in range(shape.cells + blocks)]
    for step in reversed(steps[1:]):
        factors = [
            state[c] * step.units[shape.gate_in(c)] * (1 - step.g[c] * step.g[c] / 4)
            for c in range(shape.cells)
        ]
        for b in range(blocks):
            y_in = step.units[shape.cells + b]
            received = total(state[c] * step.g[c] for c in shape.block(b))
            factors.append(received * (y_in * (1 - y_in)))
        for k, factor in enumerate(factors):
            rows[k] = [d + factor * v for d, v in zip(rows[k], step.v, strict=True)]
    return _update(W, Wk, rows, out_gate, output, last, rate, shape, mark)


def _errors(
    Wk: list[Any], shape: Shape, step: Step, target: Any, mark: Mark
) -> tuple[Any, list[Any], list[Any]]:
    """The answer; then dE/d(...): net of the output unit, s (C,), nets of the output gates (B,)."""
    C = shape.cells
    y = sigmoid(total([w * u for w, u in zip(Wk[:-1], step.units[:C], strict=True)]) + Wk[-1])
    mark("forward")
    output = 2 * (y - target) * (y * (1 - y))
    hidden = [output * w for w in Wk[:-1]]
    h = [2 * sigmoid(s) - 1 for s in step.s]
    state = [hidden[c] * step.units[shape.gate_out(c)] * ((1 - h[c] * h[c]) / 2) for c in range(C)]
    out_gate = []
    for b in range(shape.blocks):
        y_out = step.units[C + shape.blocks + b]
        out_gate.append(total(hidden[c] * h[c] for c in shape.block(b)) * (y_out * (1 - y_out)))
    return output, state, out_gate


def _update(
    W: Grid,
    Wk: list[Any],
    rows: Grid,
    out_gate: list[Any],
    output: Any,
    last: Step,
    rate: float,
    shape: Shape,
    mark: Mark,
) -> tuple[Grid, list[Any]]:
    """Weights minus rate times gradient."""
    rows = [*rows, *([e * v for v in last.v] for e in out_gate)]
    into_output = [*(output * u for u in last.units[: shape.cells]), output]
    mark("backward")
    new = [[w - rate * d for w, d in zip(*pair, strict=True)] for pair in zip(W, rows, strict=True)]
    return new, [w - rate * d for w, d in zip(Wk, into_output, strict=True)]
