"""The measurements of the movement study: training steps, their phases, and what they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from longlag.learning.recipe import recipe
from longlag.learning.rules import Minibatch
from longlag.movement import Recorder, Trace, lstm, lstm1997, stack_depths
from longlag.movement.stack import prices
from longlag.movement.tracing import RESULT
from longlag.networks.lstm import parameter_count
from longlag.networks.lstm1997 import initial_weights

WIDTHS = (1, 4, 8)
PHASES = ("forward", "backward", "update")
KINDS = ("weights", "moments", "inputs", "kept", "other")
RATE_1997 = 0.02  # of Experiment 5

ALGORITHMS = {
    "bptt": "LSTM, BPTT and Adam, array by array (reference)",
    "bptt-fused": "LSTM, BPTT and Adam, fused, 16 sequences at a time (kernel)",
    "bptt-each": "LSTM, BPTT and Adam, fused, one sequence at a time",
    "1997": "1997 network, forward traces (local in time)",
    "1997-sums": "1997 network, sums back along the sequence",
}


class Case(NamedTuple):
    """A training step: one batch, one update. The 1997 network has its 4 cells and batch 1."""

    algorithm: str
    T: int = 30
    hidden: int = 8
    batch: int = 1


@dataclass(frozen=True)
class Measured:
    """What a training step costs.

    phases (3, 3): cost by width and phase; kinds (3, 5): by width and by what is read; largest:
    the deepest read; undropped (3,): cost by width if nothing were ever dropped (0: not measured).
    """

    case: Case
    reads: int
    largest: int
    phases: np.ndarray
    kinds: np.ndarray
    undropped: np.ndarray

    @property
    def costs(self) -> np.ndarray:
        """Cost by width, (3,)."""
        return self.phases.sum(axis=1)

    def cost(self, width: int = 4) -> int:
        """Of a training step."""
        return int(self.costs[WIDTHS.index(width)])

    def rows(self) -> list[dict[str, Any]]:
        """A table's row for each width."""
        return [
            {
                **self.case._asdict(),
                "bytes": width,
                "reads": self.reads,
                "deepest": self.largest,
                **dict(zip(PHASES, self.phases[n].tolist(), strict=True)),
                "cost": int(self.costs[n]),
                "cost_a_sequence": float(self.costs[n] / self.case.batch),
                **{f"of_{kind}": int(c) for kind, c in zip(KINDS, self.kinds[n], strict=True)},
                "nothing_dropped": int(self.undropped[n]),
            }
            for n, width in enumerate(WIDTHS)
        ]


def measure(case: Case) -> Measured:
    """Traces one training step and prices it."""
    recorder = Recorder()
    traced = _trace_1997 if case.algorithm.startswith("1997") else _trace_bptt
    trace, groups = traced(case, recorder)
    depths = stack_depths(trace)
    places = np.flatnonzero(trace.instructions >= 0)
    phase = _phase_at(recorder, places)
    kind = _kinds(trace, groups, places, phase, recorder)
    by_width = [prices(depths, width) for width in WIDTHS]
    undropped = stack_depths(trace.keeping_everything()) if case.batch == 1 else depths[:0]
    return Measured(
        case=case,
        reads=len(depths),
        largest=int(depths.max()),
        phases=np.array([_sums(phase, p, len(PHASES)) for p in by_width]),
        kinds=np.array([_sums(kind, p, len(KINDS)) for p in by_width]),
        undropped=np.array([prices(undropped, width).sum() for width in WIDTHS]),
    )


def _sums(labels: np.ndarray, costs: np.ndarray, count: int) -> np.ndarray:
    # bincount adds in float64: exact below 2**53
    return np.bincount(labels, weights=costs, minlength=count).astype(np.int64)


def _phase_at(recorder: Recorder, places: np.ndarray) -> np.ndarray:
    """The number of the phase at places of the stream; what follows the last mark is `update`."""
    names = [PHASES.index(name) for name, _ in recorder.marks] + [PHASES.index("update")]
    ends = [end for _, end in recorder.marks]
    return np.array(names)[np.searchsorted(ends, places, side="right")]


def _kinds(
    trace: Trace,
    groups: list[tuple[str, int]],
    places: np.ndarray,
    phase: np.ndarray,
    recorder: Recorder,
) -> np.ndarray:
    """The number of the kind of each read.

    groups: (kind, size) of the loaded values, from the bottom of the stack. What is made in the
    forward phase and read in the backward phase is `kept`.
    """
    kinds = [np.full(size, KINDS.index(kind)) for kind, size in groups]
    made = _phase_at(recorder, np.flatnonzero(trace.instructions == RESULT))
    of_value = np.concatenate([*kinds, np.full(len(made), KINDS.index("other"))])
    made = np.concatenate([np.full(trace.loaded, -1), made])
    values = trace.instructions[places]
    kept = (made[values] == PHASES.index("forward")) & (phase == PHASES.index("backward"))
    return np.where(kept, KINDS.index("kept"), of_value[values])


Traced = tuple[Trace, list[tuple[str, int]]]


def _trace_bptt(case: Case, recorder: Recorder) -> Traced:
    """catalog's training step, from its first weights and its first batch."""
    catalog = recipe("catalog", hidden=case.hidden)
    rule = catalog.rule
    assert isinstance(rule, Minibatch)
    start = catalog.network.start(catalog.task, np.random.default_rng(0))
    batch = catalog.task.at_length(case.T).sample(case.batch, np.random.default_rng(0))
    P = parameter_count(case.hidden)
    parameters, moments, inputs, targets = recorder.load(
        list(catalog.network_of(start).parameters), np.zeros((2, P)), batch.inputs, batch.targets
    )
    hyper = lstm.Hyper(rule.learning_rate, rule.clip)
    step: Callable[..., Any] = {
        "bptt": lstm.reference_step,
        "bptt-fused": lstm.fused_step,
        "bptt-each": partial(lstm.fused_step, group=1),
    }[case.algorithm]
    trace = recorder.finish(step(parameters, moments, inputs, targets, hyper, recorder.mark))
    size = case.batch + batch.inputs.size
    return trace, [("inputs", size), ("moments", 2 * P), ("weights", P)]


def _trace_1997(case: Case, recorder: Recorder) -> Traced:
    """One on-line training step of the paper's network, 2 blocks of 2 cells."""
    W, Wk = initial_weights(np.random.default_rng(0))
    task = recipe("catalog").task.at_length(case.T)
    batch = task.sample(1, np.random.default_rng(0))
    loaded = recorder.load(W, Wk, batch.inputs[0], float(batch.targets[0]))
    step: Callable[..., Any] = lstm1997.traces_step
    if case.algorithm == "1997-sums":
        step = lstm1997.sums_step
    trace = recorder.finish(step(*loaded, RATE_1997, mark=recorder.mark))
    return trace, [("inputs", 1 + 2 * case.T), ("weights", W.size + Wk.size)]
