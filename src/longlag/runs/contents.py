"""What the files of a run are called and what they say, as values that JSON and .npz hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from longlag import checks, machine
from longlag.learning.recipe import Recipe
from longlag.learning.stopping import Points, Stop
from longlag.learning.streams import check_seed
from longlag.learning.training import History, Run, StoppedBy
from longlag.networks.network import GIVEN, Unbuilt
from longlag.networks.registry import given
from longlag.tasks.score import Score

FORMAT = "longlag run 1"
LARGEST_NUMBER = 1e80  # above the square of any difference of two float32 numbers
WEIGHTS, HISTORY = "weights.npz", "history.json"
SNAPSHOTS, CHECKPOINT = "snapshots.npz", "checkpoint.npz"
KEPT = "kept.npz"


class Refused(ValueError):
    """A directory that must not be written to or cannot be read; the message says why."""


class Edited(UserWarning):
    """A run's cell or task is in a file that is another than when the run was trained."""


def summary(run: Run) -> dict[str, Any]:
    """What a run is of, and how far it went."""
    return {
        "recipe": run.recipe.name,
        "seed": run.seed,
        "engine": run.engine,
        "isa": run.isa,
        "iterations": run.iterations,
        "sequences": run.sequences,
        "stopped_by": run.stopped_by,
    }


def describe(run: Run) -> dict[str, Any]:
    """The content of history.json: all of a run but its weights and snapshots."""
    history = run.history
    return {
        "format": FORMAT,
        **summary(run),
        "score": run.score.as_dict(),
        **stops_json(run),
        "final_test_mse": run.score.mse,
        "elapsed_sec": history.elapsed_sec,
        "config": run.recipe.settings(),
        "env": machine.environment() if run.env is None else dict(run.env),
        "origin": dict(run.origin),
        "test_curve": history.test_curve,
        "tests": [score.as_dict() for _, score in history.tests],
        "train_losses": history.train_losses.tolist(),
    }


def described(content: Any) -> dict[str, Any]:
    """What `describe` was told: the fields of a Run but its network and snapshots.

    Raises:
        ValueError, LookupError, TypeError: it is not that, or of another format.
    """
    content = checked(content)
    recipe = recipe_of(content["recipe"], content["config"])
    history = History(
        train_losses=np.array([_number(loss) for loss in content["train_losses"]]),
        tests=_tests(content),
        elapsed_sec=_number(content["elapsed_sec"]),
    )
    stopped_by, engine, isa = content["stopped_by"], content["engine"], content["isa"]
    if stopped_by not in get_args(StoppedBy):
        raise ValueError(f"stopped_by is {stopped_by!r}")
    if engine not in ("native", "numpy") or not isinstance(isa, str | None):
        raise ValueError(f"engine is {engine!r} on {isa!r}")
    return {
        "recipe": recipe,
        "seed": check_seed(content["seed"]),
        "history": history,
        "score": score_of(content["score"]),
        "stopped_by": stopped_by,
        "iterations": checks.whole("iterations", content["iterations"], 0),
        "engine": engine,
        "isa": isa,
        "stops": _stops(content, recipe),
        "env": dict(content["env"]),
        "origin": origin_of(content),
    }


def origin_of(content: Mapping[str, Any]) -> dict[str, str]:
    """What a training had of its user's own; earlier versions wrote nothing about it."""
    return {str(name): str(what) for name, what in dict(content.get("origin", {})).items()}


def stops_json(run: Run) -> dict[str, Any]:
    """The stopping points of a run that learned on-line; empty for a run in batches."""
    stops = [asdict(stop) for stop in run.stops]
    return {"stops": [{"score": stop.pop("fresh"), **stop} for stop in stops]} if stops else {}


def network_of(recipe: Recipe, arrays: Mapping[str, np.ndarray]) -> Any:
    """The network that has these weights, by the names in weights.npz.

    Raises:
        ValueError: other names, shapes that do not fit the recipe, numbers that are not finite
            float32.
    """
    shapes = recipe.network.shapes(recipe.task)
    if set(arrays) != set(shapes):
        raise ValueError(f"it holds {', '.join(arrays)}, not {', '.join(shapes)}")
    check_floats(arrays)
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            found = arrays[name].shape
            raise ValueError(f"{name} of shape {found} does not fit {recipe.network.words}")
    return recipe.network_of(np.concatenate([arrays[name].ravel() for name in shapes]))


def check_floats(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses what is no finite float32."""
    for name, array in arrays.items():
        if array.dtype != np.float32 or not np.all(np.isfinite(array)):
            raise ValueError(f"{name} must be finite float32 numbers, not {array.dtype}")


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")
    if abs(value) > LARGEST_NUMBER:
        raise ValueError(f"{value:g} is beyond any error of float32 numbers")
    return float(value)


def score_of(content: Any) -> Score:
    """A score from its fields."""
    names = [f.name for f in fields(Score)]
    if not isinstance(content, dict) or set(content) != set(names):
        raise ValueError("its score is not one")
    errors = {name: _number(content[name]) for name in names if name not in ("n", "wrong")}
    return Score(n=int(content["n"]), wrong=int(content["wrong"]), **errors)


def _tests(content: Mapping[str, Any]) -> list[tuple[int, Score]]:
    """Iterations, and the scores there; of an earlier version's file their errors alone."""
    curve = [(int(k), _number(mse)) for k, mse in content["test_curve"]]
    if "tests" not in content:
        return [(k, Score(0, mse, mse**0.5, math.nan, 0, math.nan)) for k, mse in curve]
    scores = [score_of(score) for score in content["tests"]]
    return [(k, score) for (k, _), score in zip(curve, scores, strict=True)]


def _stops(history: Mapping[str, Any], recipe: Recipe) -> tuple[Stop, ...]:
    """Of a run with stopping points, these; of another there are none."""
    if not isinstance(recipe.stop, Points):
        return ()
    stops = tuple(
        Stop(
            n_seq=checks.whole("n_seq", content["n_seq"], n_seq, n_seq),
            reached=checks.flag("reached", content["reached"]),
            sequences=checks.whole("sequences", content["sequences"], 0),
            window_mse=_number(content["window_mse"]),
            window_mae=_number(content["window_mae"]),
            fresh=score_of(content["score"]),
        )
        for n_seq, content in zip(recipe.stop.stops, history["stops"], strict=True)
    )
    if stops[-1].sequences != history["iterations"]:
        raise ValueError("its stops do not end where the training did")
    return stops


def recipe_of(name: Any, config: Any) -> Recipe:
    """The recipe of a run, from its name and all of its settings."""
    if not isinstance(name, str) or not isinstance(config, dict):
        raise ValueError("its settings are not a recipe's")
    if "network" not in config:
        return Recipe.of(name, _of_two_kinds(config))
    called = str(config["network"])
    return Recipe.of(
        name, config, network=Unbuilt(called=called) if called.startswith(GIVEN) else None
    )


def built(recipe: Recipe, module: Any, directory: Path) -> Recipe:
    """The recipe of a run, with the network that its user gave in Python and gives again.

    Args:
        module: a PyTorch module, or a pair (apply, parameters) of JAX; None: the recipe's own.

    Raises:
        Refused: it is missing, is another, or the recipe needs none.
    """
    held = recipe.network
    if not isinstance(held, Unbuilt):
        if module is not None:
            raise Refused(f"{directory} is of network {held.name}: load it without a module")
        return recipe
    if module is None:
        torch = held.name.startswith("torch-module:")
        again = f"{held.words}(...)" if torch else f"({held.words}, parameters)"
        train = "train_torch" if torch else "train_jax"
        raise Refused(
            f"{directory} is of {held.name}, which was given in Python and which its files cannot "
            f"build: give it again, longlag.load(directory, {again}) or longlag.{train}({again}, "
            "..., resume=True); what is trained by its name, --network module:name, needs its "
            "directory and LONGLAG_PARTS=module alone"
        )
    network = given(module)
    if network.name != held.name:
        raise Refused(f"{directory} is of {held.name}, not of {network.name}")
    return replace(recipe, network=network)


def _of_two_kinds(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an earlier version, whose recipes were of two kinds and did not name them."""
    if "max_sequences" in config:
        fixed = {"output": "sigmoid", "output_bias": 0.0}
        return {"network": "lstm1997", "rule": "online", "stop": "recent", **fixed, **config}
    kept = {name: value for name, value in config.items() if name != "target_test_mse"}
    settings = {"network": "lstm", "rule": "minibatch"}
    return settings | (dict(config) if config.get("stop") == "mse" else kept)


def checked(content: Any) -> dict[str, Any]:
    """A file's content, refused where it is of another format."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"its format is {found!r}, this version reads {FORMAT!r}")
    return content
