"""The data of a run on the page: its settings, its curves, its weights at some iterations."""

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
from longlag.networks.lstm1997 import LSTM1997
from longlag.networks.network import flatten
from longlag.tasks.marked_pairs import FIRST_WINDOW, MarkedPairs
from longlag.tasks.temporal_order import DISTRACTORS, SYMBOLS, WINDOWS, TemporalOrder

WEIGHT_BYTES = 900_000  # of all runs' snapshots: 1.2 MB in base64
MOST_MOMENTS = 120
MOST_POINTS = 800  # of a curve


def of(runs: Mapping[str, Run]) -> dict[str, Any]:
    """All data of the page, ready for JSON; the first run's task is the page's."""
    first = next(iter(runs.values()))
    task = _shown_task(first.recipe)
    return {
        "tolerance": task.tolerance,
        "task": rules_of(task),
        "length": task.min_length,
        "longest": LONGEST * task.max_length,
        "runs": [_run(name, run, task, WEIGHT_BYTES // len(runs)) for name, run in runs.items()],
    }


def _shown_task(recipe: Recipe) -> MarkedPairs | TemporalOrder:
    """The task of a recipe, refused where the page does not support it."""
    task = recipe.task.tested
    if not isinstance(task, MarkedPairs | TemporalOrder):
        raise ValueError(
            f"the page cannot show task {task.name}: "
            "it knows multiplication, adding and temporal-order"
        )
    return task


def rules_of(task: MarkedPairs | TemporalOrder) -> dict[str, Any]:
    """A task as `tasks.js` knows it."""
    rules = {
        "kind": task.name,
        "shortest": task.shortest,
        "lengths": [task.min_length, task.max_length],
    }
    if isinstance(task, TemporalOrder):
        return rules | {
            "symbols": SYMBOLS,
            "distractors": DISTRACTORS,
            "orders": task.classes,
            "windows": WINDOWS[task.ordered],
        }
    return rules | {
        "rules": task.rules,
        "first_mark": task.first_mark,
        "mean_target": task.mean_target,
        "first_window": FIRST_WINDOW,
    }


def _run(name: str, run: Run, task: MarkedPairs | TemporalOrder, most_bytes: int) -> dict[str, Any]:
    recipe, score = run.recipe, run.score
    variant = _variant(run)
    moments = _moments(run, most_bytes)
    networks = [recipe.network_of(vector) for vector in moments.values()]
    weights = np.array([_in_order(network) for network in networks], dtype="<f4")
    return {
        "name": name,
        "about": style.describe(run),
        **variant,
        "batch_size": recipe.batch_size,
        "averaged": run.averaged,
        "score": score.as_dict(),
        "iterations": list(moments),
        "weights": base64.b64encode(weights.tobytes()).decode(),
        "notes": list(_notes(run, task, len(moments))),
        "curve": None if run.imported else _curve(run),
    }


def _variant(run: Run) -> dict[str, Any]:
    """The network's sizes and variant as `lstm.js` knows them.

    Raises:
        ValueError: a network that the page does not support.
    """
    network, task = run.network, run.recipe.task
    common = {"inputs": task.inputs, "outputs": task.outputs, "symbols": task.symbols}
    if isinstance(network, LSTM):
        own = {"hidden": network.hidden, "forget_gate": network.forget_gate}
    elif isinstance(network, LSTM1997):
        variant = network.variant
        if variant.inputs_to_outputs:
            raise ValueError("the page cannot show a network whose inputs lead to its outputs")
        own = {
            "hidden": network.cells,
            "forget_gate": False,
            "blocks": network.blocks,
            "reads": network.reads,
            "output_gate": variant.output_gate,
            "g": variant.g,
            "h": variant.h,
        }
    else:
        raise ValueError(
            f"the page cannot show network {run.recipe.network.name}, only lstm and lstm1997; "
            "longlag figures and longlag animate show any"
        )
    return common | own | {"output": network.output}


def _in_order(network: LSTM | LSTM1997) -> np.ndarray:
    """All weights as `lstm.js` reads them: Wx, Wh, b, Wy (K, H), by."""
    if isinstance(network, LSTM):
        Wx, Wh, b, Wy, by = network.parameters
        return flatten((Wx, Wh, b, Wy.T, by))
    return flatten((network.weights.W.T, network.read[:, :-1], network.read[:, -1]))


def _notes(run: Run, task: MarkedPairs | TemporalOrder, moments: int) -> Iterable[str]:
    """What a reader of the page must know about this run."""
    if run.imported:
        yield "This network was imported: how it learned is not known."
    elif not run.snapshots:
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
    own = _shown_task(run.recipe)
    if isinstance(task, TemporalOrder) or isinstance(own, TemporalOrder):
        if (own.name, own.outputs) != (task.name, task.outputs):
            raise ValueError(
                f"the page cannot show runs of {task.asks} and of {own.asks} side by side: "
                "their networks have other inputs or outputs"
            )
    elif (own.name, own.rules, own.first_mark) != (task.name, task.rules, task.first_mark):
        hidden = "" if own.rules == "catalog" else f", first mark {own.first_mark}"
        yield (
            f"Trained on another task ({style.rules(run)}{hidden}); "
            "here it answers sequences of the first run's task."
        )


def _moments(run: Run, most_bytes: int) -> dict[int, np.ndarray]:
    """Flat parameters by iteration: the first, the last, and between them as many as there is room
    for, chosen as the frames of the animation are."""
    final = {run.iterations: flatten(run.network.parameters)}
    room = most_bytes // (4 * len(_in_order(run.network)))
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
        "names": training_curve.loss_names(run, window),
        "tests": _points(*curves.finite_tests(run)),
        "test_name": curves.name_of_tests(run),
        "chance": run.recipe.task.tested.chance_mse,
        "paper": [[stop.rmse**2, text] for stop, text in training_curve.paper_stops(run)],
        "last": run.iterations,
    }


def _points(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """A line with fewer points, rounded to the digits that can be seen."""
    x, y = curves.thin(x, y, MOST_POINTS)
    return [[int(k), float(f"{value:.4g}")] for k, value in zip(x, y, strict=True)]
