"""numba on-line: one trial in plain loops over scalars, compiled.

The truncated gradient is a sum back along the states, whose error is the same at every step. The
sizes are constants, so that the compiler knows how often each loop runs.
"""

# pyright: reportMissingImports=false
# (numba is optional.)

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longlag.learning.recipe import Recipe
from longlag.learning.rules import OnLine
from longlag.networks.lstm1997 import Weights, unflatten
from longlag.tasks.task import Batch

from .data import Train

BLOCKS, SIZE = 2, 2
CELLS = BLOCKS * SIZE
UNITS = CELLS + 2 * BLOCKS  # cells, input gates, output gates
COLUMNS = 2 + UNITS + 1  # what a unit receives: inputs, units, 1
ONE, TWO, FOUR = np.float32(1), np.float32(2), np.float32(4)


@njit
def sigmoid(x):
    return ONE / (ONE + math.exp(-x))


@njit
def forward(W, Wk, inputs, v, f, h):
    """The answer; keeps of every step what the units receive, f of their nets, and h(s)."""
    s = np.zeros(CELLS, np.float32)
    v[0, 2:] = 0
    for t in range(len(inputs)):
        v[t, 0], v[t, 1], v[t, COLUMNS - 1] = inputs[t, 0], inputs[t, 1], ONE
        for u in range(UNITS):
            net = W[u, COLUMNS - 1]
            for k in range(COLUMNS - 1):
                net += W[u, k] * v[t, k]
            f[t, u] = sigmoid(net)
        for c in range(CELLS):
            block = c // SIZE
            s[c] += f[t, CELLS + block] * (FOUR * f[t, c] - TWO)
            h[c] = TWO * sigmoid(s[c]) - ONE
            v[t + 1, 2 + c] = f[t, CELLS + BLOCKS + block] * h[c]
        for u in range(CELLS, UNITS):
            v[t + 1, 2 + u] = f[t, u]
    net = Wk[CELLS]
    for c in range(CELLS):
        net += Wk[c] * v[len(inputs), 2 + c]
    return sigmoid(net)


@njit
def backward(Wk, error, steps, v, f, h, dW, dWk):
    """The gradient; error: dE/d(net of the output unit)."""
    e = np.empty(CELLS, np.float32)  # of the states
    out = np.zeros(BLOCKS, np.float32)  # of the output gates
    dW[:] = 0
    for c in range(CELLS):
        block = c // SIZE
        dWk[c] = error * v[steps, 2 + c]
        e[c] = error * Wk[c] * f[steps - 1, CELLS + BLOCKS + block] * (ONE - h[c] * h[c]) / TWO
        out[block] += error * Wk[c] * h[c]
    dWk[CELLS] = error
    for b in range(BLOCKS):
        u = CELLS + BLOCKS + b
        for k in range(COLUMNS):
            dW[u, k] = out[b] * f[steps - 1, u] * (ONE - f[steps - 1, u]) * v[steps - 1, k]
    for t in range(steps - 1, -1, -1):
        for b in range(BLOCKS):
            y_in, total = f[t, CELLS + b], np.float32(0)
            for c in range(b * SIZE, (b + 1) * SIZE):
                total += e[c] * (FOUR * f[t, c] - TWO)
                delta = FOUR * e[c] * y_in * f[t, c] * (ONE - f[t, c])
                for k in range(COLUMNS):
                    dW[c, k] += delta * v[t, k]
            delta = total * y_in * (ONE - y_in)
            for k in range(COLUMNS):
                dW[CELLS + b, k] += delta * v[t, k]


@njit
def update(W, Wk, inputs, target, rate, v, f, h, dW, dWk):
    """One sequence, one update of W and Wk: the answer before it."""
    y = forward(W, Wk, inputs, v, f, h)
    backward(Wk, TWO * (y - target) * y * (ONE - y), len(inputs), v, f, h, dW, dWk)
    for u in range(UNITS):
        for k in range(COLUMNS):
            W[u, k] -= rate * dW[u, k]
    for c in range(CELLS + 1):
        Wk[c] -= rate * dWk[c]
    return y


@njit
def learn(W, Wk, inputs, lengths, targets, first, count, rate, v, f, h, dW, dWk):
    """Many sequences from number `first` on, in turn for ever, an update after each."""
    for n in range(first, first + count):
        k = n % len(targets)
        update(W, Wk, inputs[k, : lengths[k]], targets[k], rate, v, f, h, dW, dWk)


def room(longest: int) -> tuple[np.ndarray, ...]:
    """What `update` works in: v, f and h, and the gradient."""
    shapes = (longest + 1, COLUMNS), (longest, UNITS), (CELLS,), (UNITS, COLUMNS), (CELLS + 1,)
    return tuple(np.empty(shape, np.float32) for shape in shapes)


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    learner, rule = recipe.learner(0), recipe.rule
    assert isinstance(rule, OnLine)
    start: Weights = unflatten(learner.weights, BLOCKS, SIZE)
    rate, space = np.float32(rule.rate), room(recipe.task.max_length)
    data: Batch = learner.draw(0, learner.block).each(np.asarray)
    done = 0

    def train(iterations: int) -> None:
        nonlocal done
        learn(start.W, start.Wk, *data, done, iterations, rate, *space)
        done += iterations

    return train
