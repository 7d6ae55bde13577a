"""What the page knows of a run: its settings, its curves, its weights at some moments."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from longlag.figures import curves, style, training_curve
from longlag.figures.animation import chosen_iterations
from longlag.figures.examples import LONGEST
from longlag.learning.recipe import Recipe
from longlag.learning.training import Run
from longlag.networks.lstm import LSTM
from longlag.networks.network import flatten
from longlag.tasks.marked_pairs import FIRST_WINDOW, SHORTEST, MarkedPairs
from longlag.tasks.score import TOLERANCE

WEIGHT_BYTES = 900_000  # of all runs' snapshots: 1.2 MB in base64
MOST_MOMENTS = 120
MOST_POINTS = 800  # of a curve


def of(runs: Mapping[str, Run]) -> dict[str, Any]:
    """Everything that the page is told, ready for JSON; the first run's task is the page's."""
    first = next(iter(runs.values()))
    task = _marked_pairs(first.recipe)
    return {
        "tolerance": TOLERANCE,
        "task": rules_of(task),
        "length": task.min_length,
        "longest": LONGEST * task.max_length,
        "runs": [_run(name, run, task, WEIGHT_BYTES // len(runs)) for name, run in runs.items()],
    }


def _marked_pairs(recipe: Recipe) -> MarkedPairs:
    """The task of a recipe, refused where the page does not know it."""
    task = recipe.task.tested
    if not isinstance(task, MarkedPairs):
        raise ValueError(
            f"the page cannot show task {task.name}: it knows multiplication and adding"
        )
    return task


def rules_of(task: MarkedPairs) -> dict[str, Any]:
    """A task as `tasks.js` knows it."""
    return {
        "kind": task.name,
        "rules": task.rules,
        "first_mark": task.first_mark,
        "shortest": SHORTEST[task.rules],
        "lengths": [task.min_length, task.max_length],
        "mean_target": task.mean_target,
        "first_window": FIRST_WINDOW,
    }


def _run(name: str, run: Run, task: MarkedPairs, most_bytes: int) -> dict[str, Any]:
    recipe, score = run.recipe, run.score
    if not isinstance(run.network, LSTM):
        raise ValueError(f"the page cannot show network {recipe.network.name}")
    moments = _moments(run, most_bytes)
    weights = np.array(list(moments.values()), dtype="<f4")
    return {
        "name": name,
        "about": style.describe(run),
        "hidden": run.network.hidden,
        "output": run.network.output,
        "forget_gate": run.network.forget_gate,
        "batch_size": recipe.batch_size,
        "averaged": run.averaged,
        "score": score.as_dict(),
        "iterations": list(moments),
        "weights": base64.b64encode(weights.tobytes()).decode(),
        "notes": list(_notes(run, task, len(moments))),
        "curve": _curve(run),
    }


def _notes(run: Run, task: MarkedPairs, moments: int) -> Iterable[str]:
    """What a reader of the page must know about this run."""
    if not run.snapshots:
        yield (
            "This run has no snapshots (its snapshots.npz is missing): "
            "the page shows the trained network alone."
        )
    elif moments < len(run.snapshots):
        yield (
            f"Of {len(run.snapshots)} snapshots the page holds {moments}, chosen by how much "
            "changes between them, so that it stays below 1.5 MB."
        )
    if run.stopped_by == "diverged":
        yield "The training of this run diverged."
    own = _marked_pairs(run.recipe)
    if (own.name, own.rules, own.first_mark) != (task.name, task.rules, task.first_mark):
        hidden = "" if own.rules == "catalog" else f", first mark {own.first_mark}"
        yield (
            f"Trained on another task ({style.rules(run)}{hidden}); "
            "here it answers sequences of the first run's task."
        )


def _moments(run: Run, most_bytes: int) -> dict[int, np.ndarray]:
    """Flat parameters by iteration: the first, the last, and between them as many as there is room
    for, chosen as the frames of the animation are."""
    final = {run.iterations: flatten(run.network.parameters)}
    room = most_bytes // (4 * len(final[run.iterations]))
    most = min(MOST_MOMENTS, room)
    if not run.snapshots or most < 2:
        return final
    moments = run.snapshots | final
    return {k: moments[k] for k in chosen_iterations(replace(run, snapshots=moments), most)}


def _curve(run: Run) -> dict[str, Any]:
    """The lines of the training curve; x in iterations, y mean squared errors."""
    at, losses = curves.finite_losses(run)
    window = curves.smoothing_window(len(losses))
    smooth = curves.smooth(losses, window)
    return {
        "batches": _points(at, losses),
        "smooth": _points(at, smooth),
        "window": window,
        "tests": _points(*curves.finite_tests(run)),
        "test_name": curves.name_of_tests(run),
        "chance": run.recipe.task.tested.chance_mse,
        "paper": [[rmse**2, text] for rmse, text in training_curve.paper_stops(run)],
        "last": run.iterations,
    }


def _points(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """A line, thinned, with the digits that can be seen."""
    x, y = curves.thin(x, y, MOST_POINTS)
    return [[int(k), float(f"{value:.4g}")] for k, value in zip(x, y, strict=True)]
