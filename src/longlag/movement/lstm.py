"""The training step of the forget-gate LSTM, scalar by scalar, in two orders.

The same operations as in `networks/lstm.py` and `learning/optimizers.py`, on (nested) lists of
plain numbers or of traced scalars. All sequences of a batch have T steps; the output is a sigmoid;
the answer's error enters at step T (numpy adds masked zeros at the others, which is left out here).

- The reference's order: whole arrays, one operation after the other, as numpy goes through them.
- A fused order, as the native kernel's (kernel/bptt.cpp): a group of sequences at a time; forward
  two cells at a time, their gates summed and squashed together; tanh(c) kept, h computed again from
  it; weight gradients summed for up to 16 steps together, a few inputs of one cell at a time; clip
  and update parameter by parameter.

Parameters are the lists [Wx, Wh, b, Wy, by] in the shapes of `networks.lstm.Parameters`.
Dimension legend: `tasks/task.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from longlag.movement.tracing import sigmoid, sqrt, tanh

Grid = list[list[Any]]  # a matrix
Mark = Callable[[str], None]


class Hyper(NamedTuple):
    """Constants of the update; `step` counts it, from 1."""

    rate: float
    clip: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    step: int = 1


def ignore(name: str) -> None:
    """Ignores the end of a phase."""


def flatten(parameters: Sequence[Any]) -> list[Any]:
    """All numbers of nested lists, in order."""
    flat: list[Any] = []
    for item in parameters:
        flat += flatten(item) if isinstance(item, list) else [item]
    return flat


def total(terms: Iterable[Any]) -> Any:
    """The sum, from the first term on."""
    terms = iter(terms)
    result = next(terms)
    for term in terms:
        result = result + term
    return result


# -- the reference's order: arrays -----------------------------------------------------------------


def each(operation: Callable[..., Any], *grids: Grid) -> Grid:
    return [list(map(operation, *rows)) for rows in zip(*grids, strict=True)]


def add(a: Grid, b: Grid) -> Grid:
    return each(operator.add, a, b)


def mul(a: Grid, b: Grid) -> Grid:
    return each(operator.mul, a, b)


def less_from_one(a: Grid) -> Grid:
    return each(lambda x: 1 - x, a)


def square(a: Grid) -> Grid:
    return each(lambda x: x * x, a)


def transposed(a: Grid) -> Grid:
    return [list(column) for column in zip(*a, strict=True)]


def matmul(a: Grid, b: Grid) -> Grid:
    columns = transposed(b)
    return [[total(map(operator.mul, row, column)) for column in columns] for row in a]


def zeros(rows: int, columns: int) -> Grid:
    return [[0.0] * columns for _ in range(rows)]


class Kept(NamedTuple):
    """What the forward pass keeps: x, gates (i, f, o, g), c and h of every step; answers y."""

    x: list[Grid]
    gates: list[list[Grid]]
    c: list[Grid]
    h: list[Grid]
    y: list[Any]


def forward(parameters: Sequence[Any], inputs: Sequence[Grid]) -> Kept:
    """Answers to inputs (B, T, 2), and what the backward pass needs."""
    Wx, Wh, b, Wy, by = parameters
    B, H = len(inputs), len(Wy)
    x = [[sequence[t] for sequence in inputs] for t in range(len(inputs[0]))]
    kept = Kept(x, [], [zeros(B, H)], [zeros(B, H)], [])
    for x_t in x:
        z = add(add(matmul(x_t, Wx), matmul(kept.h[-1], Wh)), [b] * B)
        squashed = each(sigmoid, [row[: 3 * H] for row in z])
        g = each(tanh, [row[3 * H :] for row in z])
        i, f, o = ([row[k * H : (k + 1) * H] for row in squashed] for k in range(3))
        kept.gates.append([i, f, o, g])
        kept.c.append(add(mul(f, kept.c[-1]), mul(i, g)))
        kept.h.append(mul(o, each(tanh, kept.c[-1])))
    net = add(matmul(kept.h[-1], Wy), [by] * B)
    kept.y.extend(sigmoid(row[0]) for row in net)
    return kept


def backward(parameters: Sequence[Any], kept: Kept, targets: Sequence[Any]) -> list[Any]:
    """The gradient of the mean squared error, in the shapes of the parameters."""
    _, Wh, _, Wy, _ = parameters
    B, H, T = len(kept.y), len(Wy), len(kept.x)
    dy = [(2 / B) * (y - t) for y, t in zip(kept.y, targets, strict=True)]
    dy = [d * y * (1 - y) for d, y in zip(dy, kept.y, strict=True)]
    dWy, dby = matmul(transposed(kept.h[T]), [[d] for d in dy]), [total(dy)]
    dWx, dWh, db = zeros(2, 4 * H), zeros(H, 4 * H), zeros(1, 4 * H)
    dh, dc = [[d * w[0] for w in Wy] for d in dy], zeros(B, H)
    for t in reversed(range(T)):
        i, f, o, g = kept.gates[t]
        tanh_c = each(tanh, kept.c[t + 1])
        dc = add(dc, mul(mul(dh, o), less_from_one(square(tanh_c))))
        parts = (
            mul(mul(mul(dc, g), i), less_from_one(i)),
            mul(mul(mul(dc, kept.c[t]), f), less_from_one(f)),
            mul(mul(mul(dh, tanh_c), o), less_from_one(o)),
            mul(mul(dc, i), less_from_one(square(g))),
        )
        dz = [[*i, *f, *o, *g] for i, f, o, g in zip(*parts, strict=True)]  # (B, 4H)
        dWx = add(dWx, matmul(transposed(kept.x[t]), dz))
        dWh = add(dWh, matmul(transposed(kept.h[t]), dz))
        db = add(db, [[total(column) for column in transposed(dz)]])
        dh = matmul(dz, transposed(Wh))
        dc = mul(dc, f)
    return [dWx, dWh, db[0], dWy, dby]


def clip(gradient: list[Any], limit: float) -> list[Any]:
    """The flat gradient, scaled down to the norm `limit` where it is longer."""
    norm = sqrt(total([g * g for g in gradient]))
    if norm > limit:
        scale = limit / norm
        return [g * scale for g in gradient]
    return gradient


def adam(state: Sequence[list[Any]], gradient: list[Any], hyper: Hyper) -> list[list[Any]]:
    """New parameters, first and second moments from the old ones, all of them flat."""
    parameters, m, v = state
    m = list(map(operator.add, _times(hyper.beta1, m), _times(1 - hyper.beta1, gradient)))
    squares = list(map(operator.mul, _times(1 - hyper.beta2, gradient), gradient))
    v = list(map(operator.add, _times(hyper.beta2, v), squares))
    unbiased_m = [a / (1 - hyper.beta1**hyper.step) for a in m]
    unbiased_v = [a / (1 - hyper.beta2**hyper.step) for a in v]
    roots = [root + hyper.epsilon for root in [sqrt(a) for a in unbiased_v]]
    steps = list(map(operator.truediv, _times(hyper.rate, unbiased_m), roots))
    return [list(map(operator.sub, parameters, steps)), m, v]


def _times(factor: float, vector: list[Any]) -> list[Any]:
    return [factor * x for x in vector]


def reference_step(
    parameters: Sequence[Any],
    moments: Sequence[list[Any]],
    inputs: Sequence[Grid],
    targets: Sequence[Any],
    hyper: Hyper,
    mark: Mark = ignore,
) -> list[list[Any]]:
    """A training step in the reference's order: new parameters and moments, each flat (P,)."""
    kept = forward(parameters, inputs)
    mark("forward")
    gradient = flatten(backward(parameters, kept, targets))
    mark("backward")
    return adam([flatten(parameters), *moments], clip(gradient, hyper.clip), hyper)


# -- the fused order: the kernel's -----------------------------------------------------------------

CHUNK = 16  # steps whose weight gradients are summed together
FIRST_ROWS, ROWS = 3, 5  # rows of h in a tile of the weight gradient: beside the bias and x, alone


class Cell(NamedTuple):
    """What is kept of one cell at one step, each a list over the lanes (sequences)."""

    i: list[Any]
    f: list[Any]
    o: list[Any]
    g: list[Any]
    c: list[Any]
    tanh_c: list[Any]

    def h(self) -> list[Any]:
        return list(map(operator.mul, self.o, self.tanh_c))


def fused_step(
    parameters: Sequence[Any],
    moments: Sequence[list[Any]],
    inputs: Sequence[Grid],
    targets: Sequence[Any],
    hyper: Hyper,
    mark: Mark = ignore,
    group: int = 16,
) -> list[list[Any]]:
    """As `reference_step`, in the fused order, `group` sequences at a time."""
    gradient: list[Any] = []
    for first in range(0, len(inputs), group):
        lanes, wanted = inputs[first : first + group], targets[first : first + group]
        steps, y = fused_forward(parameters, lanes)
        mark("forward")
        own = fused_backward(parameters, lanes, steps, y, wanted, len(inputs))
        gradient = list(map(operator.add, gradient, own)) if gradient else own
        mark("backward")
    return fused_update([flatten(parameters), *moments], gradient, hyper)


def fused_forward(
    parameters: Sequence[Any], inputs: Sequence[Grid]
) -> tuple[list[list[Cell]], list[Any]]:
    """What is kept of every step and cell, a step of zeros first; answers."""
    _, _, _, Wy, by = parameters
    B, H, T = len(inputs), len(Wy), len(inputs[0])
    nothing = [0.0] * B
    steps = [[Cell(*[nothing] * 6)] * H]
    h = [nothing] * H
    for t in range(T):
        received = [[sequence[t][d] for sequence in inputs] for d in range(2)] + h
        cells: list[Cell] = []
        h = []
        for first in range(0, H, 2):
            tile = range(first, min(first + 2, H))
            cells += _forward_tile(parameters, received, steps[-1], tile)
            h += [cells[j].h() for j in tile]
        steps.append(cells)
    net = [by[0]] * B
    for k in range(H):
        net = [n + Wy[k][0] * h[k][lane] for lane, n in enumerate(net)]
    return steps, [sigmoid(n) for n in net]


def _forward_tile(
    parameters: Sequence[Any], received: Grid, before: list[Cell], tile: range
) -> list[Cell]:
    Wx, Wh, b, Wy, _ = parameters
    H, B = len(Wy), len(received[0])
    rows = [gate * H + j for j in tile for gate in range(4)]
    z = {r: [b[r]] * B for r in rows}
    for weights, x in zip([*Wx, *Wh], received, strict=True):
        for r in rows:
            z[r] = [s + weights[r] * value for s, value in zip(z[r], x, strict=True)]
    cells = []
    for j in tile:
        i, f, o = ([sigmoid(s) for s in z[gate * H + j]] for gate in range(3))
        g = [tanh(s) for s in z[3 * H + j]]
        c = [f * c + i * g for f, c, i, g in zip(f, before[j].c, i, g, strict=True)]
        cells.append(Cell(i, f, o, g, c, [tanh(s) for s in c]))
    return cells


def fused_backward(
    parameters: Sequence[Any],
    inputs: Sequence[Grid],
    steps: list[list[Cell]],
    y: list[Any],
    targets: Sequence[Any],
    batch: int,
) -> list[Any]:
    """This group's part of the flat gradient."""
    _, Wh, _, Wy, _ = parameters
    B, H, T = len(inputs), len(Wy), len(inputs[0])
    error = [(2 / batch) * (a - t) * (a * (1 - a)) for a, t in zip(y, targets, strict=True)]
    dWy = [[total(map(operator.mul, steps[T][k].h(), error))] for k in range(H)]
    dh = [[Wy[k][0] * e for e in error] for k in range(H)]
    dc = [[0.0] * B for _ in range(H)]
    sums = [[[0.0] * 4 for _ in range(H + 3)] for _ in range(H)]  # by cell, input and gate
    size = -(-T // -(-T // CHUNK))  # chunks of much the same size
    chunk: list[Any] = []
    for t in reversed(range(T)):
        dz: list[list[list[Any]]] = []
        h_before: Grid = []
        for j in range(H):
            errors, dc[j] = _backward_cell(steps[t][j], steps[t + 1][j], dh[j], dc[j])
            dz.append(errors)
            h_before.append(steps[t][j].h() if t else [0.0] * B)
        x = [[sequence[t][d] for sequence in inputs] for d in range(2)]
        chunk.append((dz, [*x, *h_before]))
        steps[t + 1] = []
        dh = _before(Wh, dz) if t else []
        if t % size == 0:
            _sum_chunk(chunk, sums)
            chunk = []
    bias, *weights = ([row[k][gate] for gate in range(4) for row in sums] for k in range(H + 3))
    return flatten([weights, bias, dWy, [total(error)]])


def _backward_cell(
    before: Cell, cell: Cell, dh: list[Any], dc: list[Any]
) -> tuple[list[list[Any]], list[Any]]:
    """dE/dz of a cell's gates, (4, lanes), and what the cell state before receives."""
    errors: list[list[Any]] = [[], [], [], []]
    passed = []
    for lane, (i, f, o, g, _, tanh_c) in enumerate(zip(*cell, strict=True)):
        d = dh[lane] * o * (1 - tanh_c * tanh_c) + dc[lane]
        errors[0].append(d * g * (i - i * i))
        errors[2].append(dh[lane] * tanh_c * (o - o * o))
        errors[3].append(d * i * (1 - g * g))
        errors[1].append(d * before.c[lane] * (f - f * f))
        passed.append(d * f)
    return errors, passed


def _before(Wh: Grid, dz: list[list[list[Any]]]) -> Grid:
    """dE/dh of the step before, (H, lanes)."""
    H, B = len(Wh), len(dz[0][0])
    dh: Grid = [[0.0] * B for _ in range(H)]
    for j in range(H):
        for gate in range(4):
            for k in range(H):
                w = Wh[k][gate * H + j]
                dh[k] = [s + w * d for s, d in zip(dh[k], dz[j][gate], strict=True)]
    return dh


def _sum_chunk(chunk: list[Any], sums: list[Any]) -> None:
    """Adds what a chunk's steps contribute to the weight gradients, tile by tile."""
    H = len(sums)
    edges = [3, *range(3 + FIRST_ROWS, H + 3, ROWS), H + 3]
    tiles = [[0, 1, 2, *range(3, min(edges[1], H + 3))]]
    tiles += [list(range(a, b)) for a, b in pairwise(edges[1:])]
    for cell, own in enumerate(sums):
        for tile in tiles:
            for dz, received in chunk:
                for gate in range(4):
                    for k in tile:
                        terms = dz[cell][gate]
                        if k:
                            terms = map(operator.mul, received[k - 1], terms)
                        own[k][gate] = total([own[k][gate], *terms])


def fused_update(state: Sequence[list[Any]], gradient: list[Any], hyper: Hyper) -> list[list[Any]]:
    """Norm, then clip and Adam parameter by parameter."""
    norm = sqrt(total(g * g for g in gradient))
    scale = hyper.clip / norm if norm > hyper.clip else 1.0
    rate = hyper.rate / (1 - hyper.beta1**hyper.step)
    correct = 1 / (1 - hyper.beta2**hyper.step)
    new: list[list[Any]] = [[], [], []]
    for p, m, v, g in zip(*state, gradient, strict=True):
        g = g * scale
        m = hyper.beta1 * m + (1 - hyper.beta1) * g
        v = hyper.beta2 * v + (1 - hyper.beta2) * (g * g)
        p = p - rate * m / (sqrt(v * correct) + hyper.epsilon)
        for values, value in zip(new, (p, m, v), strict=True):
            values.append(value)
    return new
