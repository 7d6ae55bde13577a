"""longlag's native kernel, as `longlag train` uses it: data and all.

Unlike its peers it draws its data within the time measured: a block of batches by the paper's
rules, then as many iterations, as `longlag.learning.training.Training` does. The variant `drawn`
has its data from beforehand, as the peers have.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longlag.bench import Case
from longlag.kernel import load_kernel
from longlag.learning import engine as engines
from longlag.tasks.marked_pairs import Batch

from .harness import Train, draw, serve


def prepare(case: Case, threads: int = 1, variant: str = "") -> Train:
    """Training, block by block.

    Raises:
        ValueError: there is no kernel.
    """
    recipe, engine = case.recipe, engines.choose("native", threads)
    streams = recipe.streams(0)
    learner = engines.Learner.start(recipe, recipe.network(streams.weights))

    drawn = draw(case, streams.training) if variant == "drawn" else None

    def train(iterations: int) -> None:
        for start in range(0, iterations, case.block):
            data = drawn or draw(case, streams.training)
            piece = Batch(*(array[: iterations - start] for array in data))
            _, updates = engine.learn(learner, recipe, piece)
            if updates < len(piece.inputs):
                raise RuntimeError("the training diverged")

    return train


def peak(request: Mapping[str, Any]) -> dict[str, Any]:
    """The processor's measured multiply-adds, in 10^9 operations a second on one core."""
    isa = engines.choose("native").isa
    return {"isa": isa, "gflops": load_kernel().peak(isa)}  # type: ignore[union-attr]


def memory(request: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes that one iteration of a case adds to the process's peak, its data not counted.

    For a process that has done nothing else: memory used before might be used again, unseen.
    """
    case, threads = Case(**request["case"]), request["threads"]
    prepare(Case(11, 8), threads)(1)  # what Python and threads need once
    recipe, engine = case.recipe, engines.choose("native", threads)
    streams = recipe.streams(0)
    learner = engines.Learner.start(recipe, recipe.network(streams.weights))
    drawn = draw(case, streams.training)
    piece = Batch(*(array[:1].copy() for array in drawn))
    del drawn
    before = _start_peak()
    engine.learn(learner, recipe, piece)
    return {"bytes": _peak_bytes() - before}


def _start_peak() -> int:
    """Begins a new measurement of the peak where the system can; bytes held now.

    Where it cannot, the peak so far: then only what goes beyond it is seen.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak_bytes()
    return _status("VmRSS") or _peak_bytes()


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(name: str) -> int:
    """Bytes by the name they have in Linux's /proc/self/status; 0 elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


if __name__ == "__main__":
    serve(prepare, peak=peak, memory=memory)
