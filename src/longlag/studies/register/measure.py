"""Measurements inside an LSTM: what can be read from its cells, and what they cause.

Readout: how well a linear map, fitted on some sequences and judged on others, gives numbers from
states. Transplant and ablation: a sequence is run to some step, states of some of its cells are
replaced there, and it is run on to its answer.

Which state? A step ends with c_t and with h_t = o_t tanh(c_t), which the next step's gates and, at
the end, the answer see. c is what lasts; h is a function of it. So replacing c_t alone leaves one
step of an h that tells of the old c. A `Carry` says what is replaced:

    settled     c_t, and h_t follows from it with the host's own output gate: as if c_t had been
                so when the step ended (what everything here is measured with)
    cell        c_t alone, the host's h_t stays for one step
    both        c_t and the donor's h_t

With all cells replaced, `both` is the donor's state itself: the answer is exactly the donor's on
the host's remaining inputs. Dimension legend: `tasks/task.py`; S sets of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from longlag.networks.lstm import LSTM
from longlag.networks.network import check_lengths, sigmoid

Carry = Literal["settled", "cell", "both"]

# Of two independent uniform numbers: the share of the variance of their product that the best
# linear function of both explains, and that of one of them which their product explains. Var xy is
# 7/144 and Var x 1/12; Cov(xy, x) is 1/24.
PRODUCT_FROM_BOTH = 6 / 7
ONE_FROM_PRODUCT = 3 / 7

CHUNK_VALUES = 2**17  # at most so many steps of all sequences are run at once
RIDGE = 1e-6  # of the features' unit variance: against features that say the same
DRAWS = 1000  # resamples of a bootstrap interval


class Gates(NamedTuple):
    """Input, forget and output gates and the candidate, each (..., H)."""

    i: np.ndarray
    f: np.ndarray
    o: np.ndarray
    g: np.ndarray


class States(NamedTuple):
    """Cell and hidden states and the output gate, each (..., H)."""

    c: np.ndarray
    h: np.ndarray
    o: np.ndarray

    def at(self, steps: np.ndarray) -> States:
        """Of states (B, T, H), those of each sequence at a step of its own: (B, H)."""
        rows = np.arange(len(steps))
        return States(*(array[rows, steps] for array in self))


def gates(network: LSTM, x: np.ndarray, h: np.ndarray) -> Gates:
    """The gates of one step, from inputs (B, 2) and hidden states (..., B, H)."""
    H, (Wx, Wh, b, _, _) = network.hidden, network.parameters
    z = x @ Wx + h @ Wh + b
    i, f, o = np.split(sigmoid(z[..., : 3 * H]), 3, axis=-1)
    return Gates(i, f if network.forget_gate else np.ones_like(f), o, np.tanh(z[..., 3 * H :]))


def settle(c: np.ndarray, now: Gates) -> States:
    """The states after a step with these gates, from cell states c (..., H)."""
    c = now.f * c + now.i * now.g
    return States(c, now.o * np.tanh(c), now.o)


def answer(network: LSTM, h: np.ndarray) -> np.ndarray:
    """The answers (...) to hidden states (..., H) at the end."""
    y = (h @ network.parameters.Wy)[..., 0] + network.parameters.by[0]
    return sigmoid(y) if network.output == "sigmoid" else y


def trajectories(network: LSTM, inputs: np.ndarray, lengths: np.ndarray) -> States:
    """The states after every step, (B, T, H) each; zero after a sequence's end."""
    check_lengths(inputs, lengths)
    chunk = max(1, CHUNK_VALUES // inputs.shape[1])
    parts = []
    for start in range(0, len(inputs), chunk):
        named = network.states(inputs[start : start + chunk], lengths[start : start + chunk])
        parts.append((named["cell"], named["hidden"], named["output_gate"]))
    return States(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def run_on(
    network: LSTM, states: States, inputs: np.ndarray, start: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """The answers (S, B) from states (S, B, H) on.

    Args:
        network: the network.
        states: after step start - 1 of each sequence.
        inputs: (B, T, 2).
        start: (B,), the step that is read first; at a sequence's length nothing is left to read.
        lengths: (B,).
    """
    order = np.argsort(
        start - lengths
    )  # the longest rest first, so that unfinished sequences come first
    left = (lengths - start)[order]
    c, h = states.c[:, order], states.h[:, order]
    for k in range(int(left.max(initial=0))):
        n = int(np.searchsorted(-left, -k, side="left"))  # those with more than k steps left
        rows = order[:n]
        x = inputs[rows, start[rows] + k].astype(c.dtype)
        after = settle(c[:, :n], gates(network, x, h[:, :n]))
        c[:, :n], h[:, :n] = after.c, after.h
    answers = np.empty(h.shape[:2], h.dtype)
    answers[:, order] = answer(network, h)
    return answers


def replace(host: States, donor: States, chosen: np.ndarray, carry: Carry = "settled") -> States:
    """The host's states with those of the chosen cells replaced by the donor's.

    Args:
        host: (B, H) each.
        donor: (B, H) each, or what broadcasts to it.
        chosen: (S, H), True for the cells of each set.
        carry: what is replaced; see the module's docstring.

    Returns:
        (S, B, H) each.
    """
    chosen = np.asarray(chosen, dtype=bool)[:, None, :]
    c = np.where(chosen, donor.c, host.c)
    if carry == "settled":
        h = np.where(chosen, host.o * np.tanh(donor.c), host.h)
    elif carry == "both":
        h = np.where(chosen, donor.h, host.h)
    else:
        h = np.broadcast_to(host.h, c.shape)
    return States(c, h.copy(), np.broadcast_to(host.o, c.shape))


# -- readout --------------------------------------------------------------------------------------


def readout(features: np.ndarray, targets: np.ndarray, fitted: int) -> np.ndarray:
    """How well a linear map with a constant gives targets from features.

    Args:
        features: (..., B, F).
        targets: (B, K).
        fitted: sequences on which the map is fitted, by least squares; it is judged on the others.

    Returns:
        R², (..., K): 1 is perfect, 0 no better than the mean, below 0 worse than it; 0 of a target
        that does not vary.
    """
    F = np.asarray(features, dtype=np.float64)
    Y = np.asarray(targets, dtype=np.float64)
    mean = F[..., :fitted, :].mean(axis=-2, keepdims=True)
    width = F[..., :fitted, :].std(axis=-2, keepdims=True)
    F = (F - mean) / np.where(width > 0, width, 1)
    centre = Y[:fitted].mean(axis=0)
    known = F[..., :fitted, :].swapaxes(-1, -2)
    squares = known @ F[..., :fitted, :] / fitted + RIDGE * np.eye(F.shape[-1])
    weights = np.linalg.solve(squares, known @ (Y[:fitted] - centre) / fitted)
    fresh = Y[fitted:]
    errors = fresh - centre - F[..., fitted:, :] @ weights
    variance = fresh.var(axis=0)
    varies = variance > 0
    return np.where(varies, 1 - (errors**2).mean(axis=-2) / np.where(varies, variance, 1), 0)


def slopes(states: np.ndarray, value: np.ndarray) -> np.ndarray:
    """How each state (B, H) goes with a value (B,): the slopes (H,) of the line it moves along."""
    centred = value - value.mean()
    return centred @ (states - states.mean(axis=0, dtype=np.float64)) / (centred @ centred)


def quadratic(features: np.ndarray) -> np.ndarray:
    """Features (..., B, F) with their squares and products: (..., B, F (F + 3)/2)."""
    F = np.asarray(features, dtype=np.float64)
    width = F.std(axis=-2, keepdims=True)
    F = (F - F.mean(axis=-2, keepdims=True)) / np.where(width > 0, width, 1)
    left, right = np.triu_indices(F.shape[-1])
    return np.concatenate([F, F[..., left] * F[..., right]], axis=-1)


def beyond(r2: float, baseline: float) -> float:
    """The share of what a baseline leaves unexplained: 0 at the baseline, 1 where R² is 1."""
    return (r2 - baseline) / (1 - baseline)


# -- how far an answer moves ----------------------------------------------------------------------


class Share(NamedTuple):
    """A share with its 95 % bootstrap interval over sequences."""

    value: float
    low: float
    high: float


def closed(before: np.ndarray, after: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Share of the distance to what is wanted that was closed: 1 - Σ|after - wanted| / Σ|before -
    wanted|, over the last axis: 1 is there, 0 no nearer, below 0 further away.
    """
    gap = np.abs(np.asarray(before, dtype=np.float64) - wanted).sum(axis=-1)
    rest = np.abs(np.asarray(after, dtype=np.float64) - wanted).sum(axis=-1)
    return 1 - rest / np.where(gap > 0, gap, np.nan)


def moved(before: np.ndarray, after: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Slope, through the origin, of the answer's move on the move that is wanted."""
    wish = np.asarray(wanted, dtype=np.float64) - before
    squares = (wish**2).sum(axis=-1)
    return (wish * (after - before)).sum(axis=-1) / np.where(squares > 0, squares, np.nan)


def with_interval(
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    before: np.ndarray,
    after: np.ndarray,
    wanted: np.ndarray,
) -> Share:
    """`closed` or `moved` of (B,) answers, with a percentile interval from a fixed stream."""
    picks = np.random.default_rng(0).integers(len(before), size=(DRAWS, len(before)))
    drawn = measure(before[picks], after[picks], wanted[picks])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Share(float(measure(before, after, wanted)), float(low), float(high))


# -- sets of cells --------------------------------------------------------------------------------


def masks(sets: Sequence[Sequence[int]], cells: int) -> np.ndarray:
    """Sets of cell numbers as (S, cells), True for members."""
    chosen = np.zeros((len(sets), cells), dtype=bool)
    for row, members in zip(chosen, sets, strict=True):
        row[list(members)] = True
    return chosen


def smallest_set(
    score: Callable[[np.ndarray], np.ndarray], cells: int, enough: float
) -> tuple[int, ...]:
    """The smallest set of cells whose score is enough, and among those of its size the best.

    All sets of a size are tried before any of the next, so that none smaller was missed. The result
    is all cells where no smaller set suffices.

    Args:
        score: of sets (S, cells), their scores (S,).
        cells: how many there are.
        enough: the score that suffices.
    """
    for size in range(1, cells):
        sets = list(combinations(range(cells), size))
        scores = np.asarray(score(masks(sets, cells)))
        best = int(np.nanargmax(scores)) if np.isfinite(scores).any() else 0
        if scores[best] >= enough:
            return sets[best]
    return tuple(range(cells))


def other_sets(
    chosen: Sequence[int], cells: int, most: int, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """At most `most` random sets of as many cells as `chosen`, none of them `chosen` itself."""
    sets = [s for s in combinations(range(cells), len(chosen)) if s != tuple(sorted(chosen))]
    picked = rng.permutation(len(sets))[:most]
    return [sets[k] for k in sorted(picked)]
