"""A trial of the study `register`: trains a network and measures its cells.

It returns plain values, a row of the ledger. Sequences are drawn from a stream of their own,
derived from the trial's seed; those on which a set of cells is found are others than those on which
it is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from longlag.learning import engine as engines
from longlag.learning import training
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.streams import REGISTER, stream
from longlag.networks.lstm import LSTM
from longlag.studies.register import measure as probing
from longlag.studies.register.measure import States
from longlag.studies.register.sequences import (
    AFTER,
    APART,
    BETWEEN,
    EARLIER,
    LATER,
    POINTS,
    Marked,
    draw,
    fresh_values,
    with_values,
)
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.score import score

# The register is looked for twice: when it should hold one value, and when it should hold both.
WHEN = {"between": BETWEEN, "after": AFTER}
ENOUGH = 0.9  # of the distance to what the whole state would cause: what a set must close
READOUT_VALUES = 2**19  # steps of all sequences of the readout, at most
STEPS = 110  # at which the readout against absolute time is taken, at most
RANDOM_SETS = 20
GRID, BACKGROUNDS = 21, 8  # the learned function: values of each mark, sequences around them
EXAMPLES = 200  # sequences of which the later mark is shown

Found = dict[str, Any]


def trial(settings: Mapping[str, Any], seed: int, engine: str) -> Found:
    """Trains and measures; see `measure` for what `curve` holds.

    Args:
        settings: of the recipe, and `sequences`, `searched` and `pairs`: how many to look at.
        seed: of the training.
        engine: that trains.
    """
    settings = dict(settings)
    sizes = {name: settings.pop(name) for name in ("sequences", "searched", "pairs")}
    made = recipe("robust", **settings)
    run = training.begin(made, seed, engine=engine).to_end()
    assert isinstance(run.network, LSTM)
    found = None if run.stopped_by == "diverged" else measure(run.network, made, seed, **sizes)
    return {
        "status": run.stopped_by,
        "sequences": run.sequences,
        "score": run.score.as_dict(),
        "curve": found,
        "engine": run.engine,
        "isa": run.isa,
    }


def measure(
    network: LSTM, made: Recipe, seed: int, *, sequences: int, searched: int, pairs: int
) -> Found:
    """All measurements of one network.

    Args:
        network: trained by `made`.
        made: its recipe, which gives the task and the control, an untrained network of that seed.
        seed: of the training, and of the sequences.
        sequences: for the readout, half to fit on and half to judge on.
        searched: pairs of sequences on which sets of cells are found.
        pairs: pairs of sequences on which they are judged.
    """
    task = made.task.tested
    assert isinstance(task, MarkedPairs)
    rng = stream(seed, REGISTER)
    n = max(64, min(sequences, READOUT_VALUES // task.max_length))
    read = draw(task, n, rng, apart=APART)
    states = probing.trajectories(network, read.inputs, read.lengths)
    untrained = made.network_of(made.learner(seed).weights)
    control = probing.trajectories(untrained, read.inputs, read.lengths)
    swaps = _Swaps(network, task, pairs, rng)
    search = _Swaps(network, task, searched, rng)
    sets = {
        name: probing.smallest_set(
            lambda chosen, point=point: search.closed(chosen, point), network.hidden, ENOUGH
        )
        for name, point in WHEN.items()
    }
    course = swaps.course(sets)
    best = int(np.argmax(np.nan_to_num(course["cells"][AFTER], nan=-np.inf)))
    return {
        "points": list(POINTS),
        "answers": answers(network, task, read, rng),
        "time": over_time(states, control, read, task),
        "readout": at_points(states, control, read, sets),
        "sets": {
            name: swaps.judged(sets[name], at, rng) | swaps.along_line(at, states, read)
            for name, at in WHEN.items()
        },
        "transplants": course,
        "ablation": swaps.ablation(sets),
        "later": at_later_mark(network, states, read, best),
        "surface": surface(network, task, rng),
    }


def answers(network: LSTM, task: MarkedPairs, read: Marked, rng: np.random.Generator) -> Found:
    """The errors of the answers, and those where one of the marks is hidden on the first pair."""
    given = _answers(network, read)
    judged = score(given, read.product)
    found = {
        "rmse": judged.rmse,
        "wrong": judged.wrong_share,
        "r2": 1 - judged.mse / float(np.var(read.product)),
        "hidden_rmse": None,
    }
    if task.hidden_share > 0:
        hidden = draw(task, len(given) // 4, rng, hidden=True)
        found["hidden_rmse"] = score(_answers(network, hidden), hidden.product).rmse
    return found


def _answers(network: LSTM, of: Marked) -> np.ndarray:
    return network.predict(of.inputs, of.lengths).astype(np.float64)


# -- readout --------------------------------------------------------------------------------------


def over_time(states: States, control: States, read: Marked, task: MarkedPairs) -> Found:
    """R² of x1, x2 and x1 x2 against the step, from all cells and from each alone."""
    # Up to the shortest sequence's end, where all are alive.
    steps = np.arange(0, task.min_length, -(-task.min_length // STEPS))
    targets = np.stack([read.value(read.first), read.value(read.second), read.product], axis=1)
    half = len(targets) // 2
    c, c0 = (one.c[:, steps].swapaxes(0, 1) for one in (states, control))
    return {
        "steps": steps.tolist(),
        "all": _plain(probing.readout(c, targets, half)),
        "cells": _plain(probing.readout(c.swapaxes(1, 2)[..., None], targets, half)),
        "untrained": _plain(probing.readout(c0, targets, half)),
        "windows": [[w.start, w.stop - 1] for w in task.mark_windows],
    }


def at_points(
    states: States, control: States, read: Marked, sets: Mapping[str, Sequence[int]]
) -> Found:
    """R² of the earlier value, the later and the product at each of POINTS.

    From all cells, each alone, the sets, all with their squares and products (whether the numbers
    are there at all), and the cells of an untrained network.
    """
    earlier, later = read.value(read.earlier), read.value(read.later)
    targets = np.stack([earlier, later, earlier * later], axis=1)
    half, steps = len(targets) // 2, read.points()
    c, c0 = (np.stack([one.at(at).c for at in steps]) for one in (states, control))
    return {
        "all": _plain(probing.readout(c, targets, half)),
        "cells": _plain(probing.readout(c.swapaxes(1, 2)[..., None], targets, half)),
        "untrained": _plain(probing.readout(c0, targets, half)),
        "quadratic": _plain(probing.readout(probing.quadratic(c), targets, half)),
        **{
            k: _plain(probing.readout(c[..., list(cells)], targets, half))
            for k, cells in sets.items()
        },
        "product_from_both": float(probing.readout(targets[:, :2], targets[:, 2:], half)[0]),
        "earlier_from_product": float(probing.readout(targets[:, 2:], targets[:, :1], half)[0]),
        "spread": _plain(c.std(axis=1), 6),
    }


# -- transplants and ablation ---------------------------------------------------------------------


class _Swaps:
    """Pairs of sequences, a host and a donor, that share lengths and marks and nothing else."""

    def __init__(self, network: LSTM, task: MarkedPairs, n: int, rng: np.random.Generator) -> None:
        self.network = network
        self.host = draw(task, n, rng, apart=APART)
        self.donor = fresh_values(self.host, rng)
        self.steps = self.host.points()
        hosts, donors = (
            probing.trajectories(network, one.inputs, one.lengths)
            for one in (self.host, self.donor)
        )
        self.hosts = [hosts.at(at) for at in self.steps]
        self.donors = [donors.at(at) for at in self.steps]
        self.before = _answers(network, self.host)
        everything = np.ones((1, network.hidden), dtype=bool)
        self.whole = [
            self.answers(everything, point, carry="both")[0] for point in range(len(POINTS))
        ]

    def wanted(self, point: int) -> np.ndarray:
        """The product that the answer should be after a transplant at a point."""
        earlier = (self.donor if point >= EARLIER else self.host).value(self.host.earlier)
        later = (self.donor if point >= LATER else self.host).value(self.host.later)
        return earlier * later

    def answers(
        self,
        chosen: np.ndarray,
        point: int,
        donor: States | None = None,
        carry: probing.Carry = "settled",
    ) -> np.ndarray:
        """Answers (S, B) when the host's chosen cells (S, H) are replaced at a point."""
        donor = self.donors[point] if donor is None else donor
        states = probing.replace(self.hosts[point], donor, chosen, carry)
        start = self.steps[point] + 1
        given = probing.run_on(self.network, states, self.host.inputs, start, self.host.lengths)
        return given.astype(np.float64)

    def closed(self, chosen: np.ndarray, point: int) -> np.ndarray:
        """Share of the distance to what the whole state would cause, (S,)."""
        return probing.closed(self.before, self.answers(chosen, point), self.whole[point])

    def judged(self, cells: Sequence[int], point: int, rng: np.random.Generator) -> Found:
        """A set of cells: what transplanting it causes, by every carry, and what others do.

        The others are random sets of its size, and all cells but these together.
        """
        H = self.network.hidden
        chosen, wanted = probing.masks([cells], H), self.wanted(point)
        after = self.answers(chosen, point)[0]
        others = probing.other_sets(cells, H, RANDOM_SETS, rng)
        shares = self.closed(probing.masks(others, H), point) if others else np.array([np.nan])
        carries = {
            carry: float(
                probing.closed(
                    self.before, self.answers(chosen, point, carry=carry)[0], self.whole[point]
                )
            )
            for carry in ("settled", "cell", "both")
        }
        return {
            "cells": list(cells),
            "closed": probing.with_interval(probing.closed, self.before, after, self.whole[point]),
            "moved": probing.with_interval(probing.moved, self.before, after, wanted),
            "moved_whole": float(probing.moved(self.before, self.whole[point], wanted)),
            "carries": carries,
            "all_others": float(self.closed(~chosen, point)[0]),
            "random_sets": len(others),
            "random_mean": float(np.mean(shares)),
            "random_max": float(np.max(shares)),
        }

    def along_line(self, point: int, states: States, read: Marked) -> Found:
        """Whether what is carried is one number: a transplant along one line, and of all else.

        The line is that along which the cells' states go, on average over other sequences, with the
        earlier value, or from the later mark on with the product. The host's cells are moved along
        it by the difference of the two values; or they get the donor's states, moved back by it.
        """
        slope = probing.slopes(states.at(read.points()[point]).c, _held_value(read, point))
        by = np.outer(_held_value(self.donor, point) - _held_value(self.host, point), slope)
        host, donor, all_cells = self.hosts[point], self.donors[point], np.ones((1, len(slope)))
        along, beside = (
            donor._replace(c=c.astype(donor.c.dtype)) for c in (host.c + by, donor.c - by)
        )
        shares = [
            probing.closed(self.before, self.answers(all_cells, point, one)[0], self.whole[point])
            for one in (along, beside)
        ]
        return {"line": float(shares[0]), "off_line": float(shares[1])}

    def course(self, sets: Mapping[str, Sequence[int]]) -> Found:
        """Share closed at each of POINTS by single cells and by the sets; 0 before the marks."""
        H = self.network.hidden
        chosen = probing.masks([*([k] for k in range(H)), *sets.values()], H)
        shares = np.zeros((len(POINTS), len(chosen)))
        for point in range(EARLIER, len(POINTS)):
            shares[point] = self.closed(chosen, point)
        named = {name: _plain(shares[:, H + k]) for k, name in enumerate(sets)}
        wholes = [
            float(probing.moved(self.before, whole, self.wanted(point))) if point else 0.0
            for point, whole in enumerate(self.whole)
        ]
        return {"cells": _plain(shares[:, :H]), **named, "moved_whole": wholes}

    def ablation(self, sets: Mapping[str, Sequence[int]]) -> Found:
        """Root mean squared errors after the states of cells are replaced.

        Single cells: their states replaced by the mean over sequences half-way between the marks
        and after them, or the cell cut out of the network for good. Each set, at its own time, the
        same, and by the mean state before any mark (emptied): how far the answer then goes to what
        it would be if the register stood for 1.
        """
        H, target = self.network.hidden, self.host.product
        single = np.eye(H, dtype=bool)
        found: Found = {"none": float(_rmse(self.before, target))}
        for name, point in WHEN.items():
            mean = _mean(self.hosts[point])
            found[name] = _plain(_rmse(self.answers(single, point, mean), target), 6)
            chosen = probing.masks([sets[name]], H)
            found[f"{name}_set"] = float(_rmse(self.answers(chosen, point, mean), target)[0])
            emptied = self.answers(chosen, point, _mean(self.hosts[0]))[0]
            neutral = (
                self.host.value(self.host.later) if name == "between" else np.ones(len(target))
            )
            found[f"{name}_emptied"] = float(probing.closed(self.before, emptied, neutral))
        cut = [_rmse(_answers(without(self.network, k), self.host), target) for k in range(H)]
        found["cut"] = _plain(cut, 6)
        return found


def _held_value(of: Marked, point: int) -> np.ndarray:
    """What a register should hold at a point: the earlier value, then the product."""
    return of.product if point >= LATER else of.value(of.earlier)


def without(network: LSTM, cell: int) -> LSTM:
    """The network with a cell cut off: nothing reads it."""
    p = network.parameters
    Wh, Wy = p.Wh.copy(), p.Wy.copy()
    Wh[cell], Wy[cell] = 0, 0
    return LSTM(p._replace(Wh=Wh, Wy=Wy), network.output, network.forget_gate)


def _mean(states: States) -> States:
    return States(*(array.mean(axis=0, keepdims=True) for array in states))


def _rmse(given: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean((given - target) ** 2, axis=-1))


# -- the later mark -------------------------------------------------------------------------------


def at_later_mark(network: LSTM, states: States, read: Marked, best: int) -> Found:
    """What happens at the later mark, in all cells and in the best one.

    `held` are errors when, at that step alone, something is replaced by its mean over sequences:
    the forget gates, what is written (i g), the output gates, or what the gates and the candidate
    are told of the cells (h). The rest says where, in the best cell, the coefficient of the product
    comes from: c = f c' + i g, and least squares on 1, x_earlier, x_later and their product is
    linear in what it fits, so the coefficients of f c' and of i g add up to that of c.
    """
    rows, at = np.arange(len(read.lengths)), read.later
    then = states.at(at - 1)
    x = read.inputs[rows, at]
    now = probing.gates(network, x, then.h)
    unread = probing.gates(network, x, then.h.mean(axis=0, keepdims=True))
    held = {"nothing": now, "forget gate": now._replace(f=_level(now.f))}
    held["what is written"] = now._replace(i=np.ones_like(now.i), g=_level(now.i * now.g))
    held["output gate"] = now._replace(o=_level(now.o))
    held["what gates are told"] = unread
    errors = {}
    for name, gates in held.items():
        after = probing.settle(then.c, gates)
        after = States(*(array[None] for array in after))
        given = probing.run_on(network, after, read.inputs, at + 1, read.lengths)[0]
        errors[name] = float(_rmse(given, read.product))
    earlier, later = read.value(read.earlier), read.value(read.later)
    kept, written = (now.f * then.c)[:, best], (now.i * now.g)[:, best]
    terms = np.stack([np.ones(len(rows)), earlier, later, earlier * later], axis=1)
    both = np.stack([kept, written], axis=1)
    fit = np.linalg.lstsq(terms, both.astype(np.float64), rcond=None)[0]
    half, shown = len(rows) // 2, slice(0, EXAMPLES)
    c_after = states.at(read.points()[AFTER]).c[:, best]
    return {
        "cell": best,
        "output_weight": float(network.parameters.Wy[best, 0]),
        "held": errors,
        "kept_share": float(fit[3, 0] / fit[3].sum()),
        "forget_from_later": float(probing.readout(later[:, None], now.f[:, best, None], half)[0]),
        "written_from_later": float(probing.readout(later[:, None], written[:, None], half)[0]),
        "forget_range": [float(q) for q in np.quantile(now.f[:, best], (0.02, 0.98))],
        "example": {
            name: _plain(array[shown], 5)
            for name, array in {
                "earlier": earlier,
                "later": later,
                "c_before": then.c[:, best],
                "forget": now.f[:, best],
                "written": written,
                "c_after": c_after,
            }.items()
        },
    }


def _level(gate: np.ndarray) -> np.ndarray:
    return np.broadcast_to(gate.mean(axis=0), gate.shape)


# -- the learned function -------------------------------------------------------------------------


def surface(network: LSTM, task: MarkedPairs, rng: np.random.Generator) -> Found:
    """Answers over the unit square: their mean over other values and marks, and their spread.

    Rows are the earlier value, columns the later one, from 0 to 1.
    """
    axis = np.linspace(0, 1, GRID)
    around = draw(task, BACKGROUNDS, rng, apart=APART)
    given = np.empty((GRID, GRID, BACKGROUNDS))
    many = Marked(*(np.repeat(array, GRID, axis=0) for array in around))
    for k, earlier in enumerate(axis):
        here = with_values(many, np.full(len(many.lengths), earlier), np.tile(axis, BACKGROUNDS))
        given[k] = _answers(network, here).reshape(BACKGROUNDS, GRID).T
    return {"mean": _plain(given.mean(axis=2)), "spread": _plain(given.std(axis=2))}


def _plain(values: Any, digits: int = 4) -> list[Any]:
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()


def engine_of(name: str, engine: str) -> str:
    """The engine that trains a recipe: catalog's digits are those of numpy."""
    return "numpy" if name == "catalog" else engines.choose(engine).name
