"""A run directory: weights, history, snapshots, checkpoint; each file whole or absent.

    weights.npz      Wx (2, 4H), Wh (H, 4H), b (4H,), Wy (H, 1), by (1,), float32; those of the
                     LSTM of 1997: W (C + 2B, 2 + C + 2B + 1), Wk (C + 1,)
    history.json     losses, test curve, score, settings, environment; on-line also the stops
    snapshots.npz    iterations (S,), parameters (S, P)
    checkpoint.npz   the whole state of a training, for `--resume`

A directory holds a finished run once history.json is there; it holds an unfinished training while
checkpoint.npz says so. Both can be true: a finished run stays until its successor is complete.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from longlag import checks, files, machine
from longlag.files import DamagedFile
from longlag.learning.recipe import Recipe
from longlag.learning.stopping import Recent, Stop
from longlag.learning.streams import check_seed
from longlag.learning.training import History, Run, Training, check_run
from longlag.tasks.score import Score
from longlag.version import REVISION

FORMAT = "longlag run 1"
LARGEST_NUMBER = 1e80  # above the square of any difference of two float32 numbers
WEIGHTS, HISTORY = "weights.npz", "history.json"
SNAPSHOTS, CHECKPOINT = "snapshots.npz", "checkpoint.npz"
RUN_FILES = (WEIGHTS, HISTORY, SNAPSHOTS, CHECKPOINT)
FIGURES = ("training_curve", "sample_sequences", "cell_state", "pred_vs_target")
EXPLORER = "explorer.html"
DERIVED = (*(f"{name}.png" for name in FIGURES), "training_curve.csv", "animation.gif", EXPLORER)


class Refused(ValueError):
    """A directory that must not be written to or cannot be read; the message says why."""


# -- saving and loading a finished run ------------------------------------------------------------


def save(run: Run, directory: Path) -> None:
    """Writes a finished run, history.json last: it is what makes the run count as finished.

    An earlier run's history.json goes first, so that the files of two runs never pass for one;
    what was drawn from that run goes too.

    Raises:
        ValueError: no run, or that of a PyTorch module, which a file cannot name.
    """
    check_run(run, for_file=True)
    for name in (HISTORY, *DERIVED, *([] if run.snapshots else [SNAPSHOTS])):
        with suppress(FileNotFoundError):
            (directory / name).unlink()
    files.write_arrays(directory / WEIGHTS, run.weights)
    if run.snapshots:
        snapshots = {
            "iterations": np.array(list(run.snapshots), dtype=np.int64),
            "parameters": np.array(list(run.snapshots.values())),
        }
        files.write_arrays(directory / SNAPSHOTS, snapshots)
    files.write_bytes(directory / HISTORY, files.to_json(describe(run)).encode())


def put(run: Run, directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Saves a run in a directory, which is made where it is missing and must be free for it.

    A run of the same training is replaced, as in `claim`, but not one that has snapshots by one
    that has none, such as an imported one.

    Args:
        overwrite: replace any run, and discard an unfinished training, in the directory.

    Raises:
        ValueError: no path, or a run that `longlag.train` does not leave.
        Refused: the directory is not free, or cannot be written to.
        DamagedFile: a run's files that cannot be read, and no `overwrite`.
    """
    check_run(run, for_file=True)
    checks.flag("overwrite", overwrite)
    directory = writable(checks.path("directory", directory))
    with locked(directory):
        claim(directory, identity(run.recipe, run.seed, run.engine), overwrite=overwrite)
        if (directory / SNAPSHOTS).exists() and not run.snapshots and not overwrite:
            raise Refused(
                f"{directory} holds this run with its snapshots, which would be lost; "
                "choose another directory, or replace it with --overwrite"
            )
        save(run, directory)
        (directory / CHECKPOINT).unlink(missing_ok=True)


def load(directory: str | os.PathLike[str]) -> Run:
    """Reads a finished run back.

    Without snapshots.npz the run has none; every other file must be there.

    Raises:
        ValueError: no path.
        Refused: no such directory, or no finished run in it.
        DamagedFile: a file that is cut short, altered, of another format or at odds with the
            others; the message names it.
    """
    directory = checks.path("directory", directory)
    if not directory.is_dir():
        raise Refused(f"{directory} is not a run directory: there is no such directory")
    if not (directory / HISTORY).exists():
        raise Refused(_no_run(directory))
    with files.damage_named(directory / HISTORY):
        known = described(json.loads((directory / HISTORY).read_bytes()))
    return Run(
        **known,
        network=_load_network(directory / WEIGHTS, known["recipe"]),
        snapshots=_load_snapshots(directory / SNAPSHOTS, known["recipe"]),
    )


def _no_run(directory: Path) -> str:
    if (directory / CHECKPOINT).exists():
        return (
            f"{directory} holds an unfinished training and no finished run; "
            f"finish it with `longlag train --resume --save-dir {directory}`"
        )
    return f"{directory} is not a run directory: it has no {HISTORY}"


def describe(run: Run) -> dict[str, Any]:
    """The content of history.json: all of a run but its weights and snapshots."""
    history = run.history
    return {
        "format": FORMAT,
        "recipe": run.recipe.name,
        "seed": run.seed,
        "engine": run.engine,
        "isa": run.isa,
        "iterations": run.iterations,
        "sequences": run.sequences,
        "stopped_by": run.stopped_by,
        "score": run.score.as_dict(),
        **stops_json(run),
        "final_test_mse": run.score.mse,
        "elapsed_sec": history.elapsed_sec,
        "config": run.recipe.settings(),
        "env": machine.environment() if run.env is None else dict(run.env),
        "test_curve": history.test_curve,
        "tests": [score.as_dict() for _, score in history.tests],
        "train_losses": history.train_losses.tolist(),
    }


def described(content: Any) -> dict[str, Any]:
    """What `describe` was told: the fields of a Run but its network and snapshots.

    Raises:
        ValueError, LookupError, TypeError: it is not that, or of another format.
    """
    content = _checked(content)
    recipe = _recipe(content["recipe"], content["config"])
    history = History(
        train_losses=np.array([_number(loss) for loss in content["train_losses"]]),
        tests=_tests(content),
        elapsed_sec=_number(content["elapsed_sec"]),
    )
    stopped_by, engine, isa = content["stopped_by"], content["engine"], content["isa"]
    if stopped_by not in ("target", "max_iterations", "diverged"):
        raise ValueError(f"stopped_by is {stopped_by!r}")
    if engine not in ("native", "numpy") or not isinstance(isa, str | None):
        raise ValueError(f"engine is {engine!r} on {isa!r}")
    return {
        "recipe": recipe,
        "seed": check_seed(content["seed"]),
        "history": history,
        "score": _score(content["score"]),
        "stopped_by": stopped_by,
        "iterations": checks.whole("iterations", content["iterations"], 0),
        "engine": engine,
        "isa": isa,
        "stops": _stops(content, recipe),
        "env": dict(content["env"]),
    }


def stops_json(run: Run) -> dict[str, Any]:
    """The stopping points of a run that learned on-line; nothing of another."""
    stops = [asdict(stop) for stop in run.stops]
    return {"stops": [{"score": stop.pop("fresh"), **stop} for stop in stops]} if stops else {}


def _load_network(path: Path, recipe: Recipe) -> Any:
    if not path.exists():
        raise DamagedFile(f"{path} is missing from the run directory")
    arrays = files.read_arrays(path)
    with files.damage_named(path):
        return network_of(recipe, arrays)


def network_of(recipe: Recipe, arrays: Mapping[str, np.ndarray]) -> Any:
    """The network that has these weights, by the names in weights.npz.

    Raises:
        ValueError: other names, shapes that do not fit the recipe, numbers that are not finite
            float32.
    """
    shapes = recipe.network.shapes(recipe.task)
    if set(arrays) != set(shapes):
        raise ValueError(f"it holds {', '.join(arrays)}, not {', '.join(shapes)}")
    _check_floats(arrays)
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            found = arrays[name].shape
            raise ValueError(f"{name} of shape {found} does not fit {recipe.network.words}")
    return recipe.network_of(np.concatenate([arrays[name].ravel() for name in shapes]))


def _load_snapshots(path: Path, recipe: Recipe) -> dict[int, np.ndarray]:
    if not path.exists():
        return {}
    arrays = files.read_arrays(path)
    with files.damage_named(path):
        iterations, parameters = arrays["iterations"], arrays["parameters"]
        _check_floats({"parameters": parameters})
        checks.array("iterations", iterations, np.int64, (None,))
        P = recipe.network.size(recipe.task)
        if parameters.shape != (len(iterations), P):
            raise ValueError(f"snapshots of shape {parameters.shape} do not fit the recipe")
        return dict(zip((int(k) for k in iterations), parameters, strict=True))


def _check_floats(arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if array.dtype != np.float32 or not np.all(np.isfinite(array)):
            raise ValueError(f"{name} must be finite float32 numbers, not {array.dtype}")


# -- checkpoints ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """A training's state, and what it is a training of."""

    recipe: Recipe
    seed: int
    engine: str
    isa: str | None
    state: Mapping[str, Any]
    revision: int | None = None

    @property
    def finished(self) -> bool:
        return self.state["stopped_by"] is not None

    def put_into(self, training: Training, path: Path) -> None:
        """Lets a fresh training of the same recipe and seed go on from here.

        Raises:
            Refused: it was begun by a longlag whose results differ in their bits.
            DamagedFile: it is no state of such a training.
        """
        if self.revision != REVISION:
            raise Refused(
                f"{path} was written by revision {self.revision} of longlag's results, this is "
                f"revision {REVISION}: finish it with that version, or discard it with --overwrite"
            )
        with files.damage_named(path):
            training.restore(dict(self.state))


def save_checkpoint(training: Training, directory: Path) -> None:
    """Writes the whole state of a training between two of its steps."""
    state = training.state()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    about = {
        "format": FORMAT,
        "revision": REVISION,
        "recipe": training.recipe.name,
        "config": training.recipe.settings(),
        "seed": training.seed,
        "engine": training.engine.name,
        "isa": training.engine.isa,
        "state": {name: value for name, value in state.items() if name not in arrays},
    }
    text = np.frombuffer(files.to_json(about).encode(), dtype=np.uint8)
    files.write_arrays(directory / CHECKPOINT, {**arrays, "about": text})


def load_checkpoint(directory: Path) -> Checkpoint:
    """Reads a checkpoint back.

    Raises:
        Refused: there is none.
        DamagedFile: it is cut short, altered, or of another format.
    """
    path = directory / CHECKPOINT
    if not path.exists():
        raise Refused(f"there is nothing to resume in {directory}: it has no {CHECKPOINT}")
    arrays = files.read_arrays(path)
    with files.damage_named(path):
        about = _checked(json.loads(arrays.pop("about").tobytes()))
        check_seed(about["seed"])
        score = about["state"]["score"]
        state = {**about["state"], **arrays}
        if score is not None:
            state["score"] = _score(score).as_dict()
        if state["stopped_by"] not in (None, "target", "max_iterations", "diverged"):
            raise ValueError(f"stopped_by is {state['stopped_by']!r}")
        recipe = _recipe(about["recipe"], about["config"])
        own = (about["engine"], about["isa"], state, about.get("revision"))
        return Checkpoint(recipe, about["seed"], *own)


# -- a directory to train into --------------------------------------------------------------------


def identity(recipe: Recipe, seed: int, engine: str) -> dict[str, Any]:
    """What makes a training the same as another, by name: what its user asked for.

    `engine` is the one that was chosen, so that `auto` is the same as what it takes. The version
    of longlag, the machine and its instruction set are no part of it, although bits can depend on
    them.
    """
    return {"recipe": recipe.name, "seed": seed, "engine": engine} | recipe.settings()


def claim(directory: Path, training: Mapping[str, Any], *, overwrite: bool) -> None:
    """Makes sure that a training may write into a directory.

    A finished run of the same training may be replaced, which happens when its successor is
    complete. To be called with the directory `locked`.

    Args:
        training: its `identity`.
        overwrite: any finished run may be replaced, and an unfinished training discarded.

    Raises:
        Refused: another training's run or an unfinished training, and no `overwrite`; foreign
            files.
        DamagedFile: a run's files that cannot be read, and no `overwrite`.
    """
    present = sorted(path.name for path in directory.iterdir() if not _left_over(path.name))
    if not present:
        return
    if not {HISTORY, CHECKPOINT} & set(present):
        raise Refused(
            f"{directory} is not empty and holds no longlag run ({present[0]} is there); "
            "choose another directory"
        )
    if overwrite and all(name in RUN_FILES + DERIVED for name in present):
        return
    if CHECKPOINT in present:
        checkpoint = load_checkpoint(directory)
        if not checkpoint.finished and not overwrite:
            raise Refused(
                f"{directory} holds an unfinished training ({checkpoint.recipe.name}, seed "
                f"{checkpoint.seed}, iteration {checkpoint.state['iteration']}); "
                "continue it with --resume or discard it with --overwrite"
            )
    guard(directory, training, overwrite=overwrite)


def guard(directory: Path, training: Mapping[str, Any], *, overwrite: bool) -> None:
    """Refuses a directory with the finished run of another training; arguments as in `claim`.

    Raises:
        Refused: there is one, and no `overwrite`.
        DamagedFile: a run's files that cannot be read.
    """
    if not (directory / HISTORY).exists():
        return
    run = load(directory)
    held = identity(run.recipe, run.seed, run.engine)
    if overwrite or held == training:
        return
    differs = next(name for name in held if held[name] != training.get(name))
    raise Refused(
        f"{directory} holds a finished run ({run.recipe.name}, seed {run.seed}: its {differs} is "
        f"{held[differs]!r}, not {training.get(differs)!r}); "
        "choose another directory, or replace it with --overwrite"
    )


def writable(directory: Path) -> Path:
    """The directory, created where missing.

    Raises:
        Refused: it cannot be created or written to.
    """
    probe = directory / f".longlag-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # another training may have tidied up
    except OSError as error:
        raise Refused(f"cannot write into {directory}: {error.strerror}") from error
    return directory


def _left_over(name: str) -> bool:
    """Whether a killed process left such a file: half-written, or the probe of `writable`."""
    return name.startswith((".longlag-", *(f".{file}." for file in RUN_FILES)))


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps a second training out of a directory, and removes what a killed one left half-written.

    Raises:
        Refused: another process is training into it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Refused(f"another process is training into {directory}") from error
    try:
        for path in [path for path in directory.iterdir() if _left_over(path.name)]:
            path.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


# -- what the files say ---------------------------------------------------------------------------


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"{value!r} stands where a number should be")
    if abs(value) > LARGEST_NUMBER:
        raise ValueError(f"{value:g} is beyond any error of float32 numbers")
    return float(value)


def _score(content: Any) -> Score:
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
    scores = [_score(score) for score in content["tests"]]
    return [(k, score) for (k, _), score in zip(curve, scores, strict=True)]


def _stops(history: Mapping[str, Any], recipe: Recipe) -> tuple[Stop, ...]:
    """Of a run with stop `recent`, its stopping points; of another there are none."""
    if not isinstance(recipe.stop, Recent):
        return ()
    stops = tuple(
        Stop(
            n_seq=checks.whole("n_seq", content["n_seq"], n_seq, n_seq),
            reached=checks.flag("reached", content["reached"]),
            sequences=checks.whole("sequences", content["sequences"], 0),
            window_mse=_number(content["window_mse"]),
            window_mae=_number(content["window_mae"]),
            fresh=_score(content["score"]),
        )
        for n_seq, content in zip(recipe.stop.stops, history["stops"], strict=True)
    )
    if stops[-1].sequences != history["iterations"]:
        raise ValueError("its stops do not end where the training did")
    return stops


def _recipe(name: Any, config: Any) -> Recipe:
    """The recipe of a run, from its name and all of its settings."""
    if not isinstance(name, str) or not isinstance(config, dict):
        raise ValueError("its settings are not a recipe's")
    return Recipe.of(name, config if "network" in config else _of_two_kinds(config))


def _of_two_kinds(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an earlier version, whose recipes were of two kinds and did not name them."""
    if "max_sequences" in config:
        fixed = {"output": "sigmoid", "output_bias": 0.0}
        return {"network": "lstm1997", "rule": "online", "stop": "recent", **fixed, **config}
    kept = {name: value for name, value in config.items() if name != "target_test_mse"}
    settings = {"network": "lstm", "rule": "minibatch"}
    return settings | (dict(config) if config.get("stop") == "mse" else kept)


def _checked(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"its format is {found!r}, this version reads {FORMAT!r}")
    return content
