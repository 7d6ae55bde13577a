"""A run directory: weights, history, snapshots, checkpoint; each file whole or absent.

    weights.npz      the network's arrays, float32, such as Wx (D, 4H), Wh (H, 4H), b (4H,),
                     Wy (H, K), by (K,) of the LSTM (docs/reference/files.md)
    history.json     losses, test curve, score, settings, environment; on-line also the stops
    snapshots.npz    iterations (S,), parameters (S, P)
    kept.npz         of a PyTorch module given in Python: buffers, and parameters not trained
    checkpoint.npz   the whole state of a training, for `--resume`

A directory holds a finished run once history.json is there; it holds an unfinished training while
checkpoint.npz says so. Both can be true: a finished run stays until its successor is complete.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from longlag import checks, files
from longlag.files import DamagedFile
from longlag.learning.recipe import Recipe
from longlag.learning.training import Run, check_run, files_of_parts
from longlag.networks.network import Unbuilt
from longlag.runs import checkpoint as checkpoints
from longlag.runs.contents import (
    CHECKPOINT,
    HISTORY,
    KEPT,
    SNAPSHOTS,
    WEIGHTS,
    Edited,
    Refused,
    built,
    check_floats,
    describe,
    described,
    network_of,
)

RUN_FILES = (WEIGHTS, HISTORY, SNAPSHOTS, CHECKPOINT)
ALL_FILES = (*RUN_FILES, KEPT)
FIGURES = ("training_curve", "sample_sequences", "cell_state", "pred_vs_target")
EXPLORER = "explorer.html"
REPLACE = "replace it with --overwrite (overwrite=True)"
DERIVED = (*(f"{name}.png" for name in FIGURES), "training_curve.csv", "animation.gif", EXPLORER)


# -- saving and loading a finished run ------------------------------------------------------------


def save(run: Run, directory: Path) -> None:
    """Writes a finished run, history.json last: it is what makes the run count as finished.

    An earlier run's history.json goes once all new files are written under temporary names, so
    that a full disk leaves that run as it is, and the files of two runs never pass for one; what
    was drawn from it goes too.

    Raises:
        ValueError: no run.
    """
    check_run(run)
    arrays = {WEIGHTS: run.weights}
    if kept := run.recipe.network.kept():
        arrays[KEPT] = kept
    if run.snapshots:
        arrays[SNAPSHOTS] = {
            "iterations": np.array(list(run.snapshots), dtype=np.int64),
            "parameters": np.array(list(run.snapshots.values())),
        }
    contents = {name: files.packed(own) for name, own in arrays.items()}
    contents[HISTORY] = files.to_json(describe(run)).encode()
    stale = [name for name in (SNAPSHOTS, KEPT) if name not in contents]
    files.write_together(
        {directory / name: content for name, content in contents.items()},
        without=[directory / name for name in (*DERIVED, HISTORY, *stale)],
    )


def put(run: Run, directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Saves a run in a directory, which is made where it is missing and must be free for it.

    A run of the same training is replaced, as in `claim`, but not one that has snapshots by one
    that has none, nor a network by one from elsewhere that has other weights.

    Args:
        overwrite: replace any run, and discard an unfinished training, in the directory.

    Raises:
        ValueError: no path, or no run.
        Refused: the directory is not free, or cannot be written to.
        DamagedFile: a run's files that cannot be read, and no `overwrite`, or other files beside
            them.
    """
    check_run(run)
    checks.flag("overwrite", overwrite)
    directory = writable(checks.path("directory", directory))
    with locked(directory):
        own = identity(run.recipe, run.seed, run.engine, run.origin)
        claim(directory, own, overwrite=overwrite)
        if (directory / SNAPSHOTS).exists() and not run.snapshots and not overwrite:
            raise Refused(
                f"{directory} holds this run with its snapshots, which would be lost; "
                f"choose another directory, or {REPLACE}"
            )
        if run.iterations == 0 and (directory / HISTORY).exists() and not overwrite:
            held = _run(directory).weights
            same = (np.array_equal(array, held[name]) for name, array in run.weights.items())
            if held.keys() != run.weights.keys() or not all(same):
                raise Refused(
                    f"{directory} holds a network with other weights; choose another directory, "
                    f"or {REPLACE}"
                )
        save(run, directory)
        (directory / CHECKPOINT).unlink(missing_ok=True)


def load(directory: str | os.PathLike[str], module: Any = None) -> Run:
    """Reads a finished run back.

    Without snapshots.npz the run has none; every other file must be there.

    Args:
        module: of a run that `longlag.train_torch` or `longlag.train_jax` made of what only Python
            has, a module of the same class and sizes, or the pair (apply, parameters); its own
            weights do not matter, and it stays as it is.

    Raises:
        ValueError: no path, or no such module.
        Refused: no such directory, no finished run in it, or one of another network.
        DamagedFile: a file that is cut short, altered, of another format or at odds with the
            others; the message names it.

    Warns:
        Edited: the file of its cell or task is another than when it was trained.
    """
    directory = checks.path("directory", directory)
    run = _run(directory, module)
    for file, digest in files_of_parts(run.recipe).items():
        if run.origin.get(file, digest) != digest:
            warnings.warn(
                f"the {file} was edited after the run in {directory} was trained: "
                "the network may answer otherwise than it did",
                Edited,
                stacklevel=2,
            )
    return run


def _run(directory: Path, module: Any = None) -> Run:
    known = _known(directory)
    recipe = built(known["recipe"], module, directory)
    network = _load_network(directory / WEIGHTS, recipe)
    if recipe.network.kept():
        _put_back(directory / KEPT, recipe)
    snapshots = _load_snapshots(directory / SNAPSHOTS, recipe)
    return Run(**{**known, "recipe": recipe}, network=network, snapshots=snapshots)


def _known(directory: Path) -> dict[str, Any]:
    """What history.json says of a finished run."""
    if not directory.is_dir():
        raise Refused(f"{directory} is not a run directory: there is no such directory")
    if not (directory / HISTORY).exists():
        raise Refused(_no_run(directory))
    with files.damage_named(directory / HISTORY):
        return described(json.loads((directory / HISTORY).read_bytes()))


def _no_run(directory: Path) -> str:
    if (directory / CHECKPOINT).exists():
        finish = f"`longlag train --resume --save-dir {directory}`"
        with suppress(ValueError):  # whatever is wrong with it is told when it is resumed
            if isinstance(checkpoints.load(directory).recipe.network, Unbuilt):
                finish = "resume=True, in Python as it was begun"
        return (
            f"{directory} holds an unfinished training and no finished run; finish it with {finish}"
        )
    return f"{directory} is not a run directory: it has no {HISTORY}"


def _load_network(path: Path, recipe: Recipe) -> Any:
    if not path.exists():
        raise DamagedFile(f"{path} is missing from the run directory")
    arrays = files.read_arrays(path)
    with files.damage_named(path):
        try:
            return network_of(recipe, arrays)
        except ValueError as error:
            if recipe.network.can_be_named:
                raise
            reason = f"{path.parent} is not of the {recipe.network.words} given: {error}"
    raise Refused(reason)


def _put_back(path: Path, recipe: Recipe) -> None:
    if not path.exists():
        raise DamagedFile(f"{path} is missing from the run directory")
    kept = files.read_arrays(path)
    with files.damage_named(path):
        recipe.network.put_back(kept)


def _load_snapshots(path: Path, recipe: Recipe) -> dict[int, np.ndarray]:
    if not path.exists():
        return {}
    arrays = files.read_arrays(path)
    with files.damage_named(path):
        iterations, parameters = arrays["iterations"], arrays["parameters"]
        check_floats({"parameters": parameters})
        checks.array("iterations", iterations, np.int64, (None,))
        P = recipe.network.size(recipe.task)
        if parameters.shape != (len(iterations), P):
            raise ValueError(f"snapshots of shape {parameters.shape} do not fit the recipe")
        return dict(zip((int(k) for k in iterations), parameters, strict=True))


# -- a directory to train into --------------------------------------------------------------------


def identity(recipe: Recipe, seed: int, engine: str, origin: Mapping[str, str]) -> dict[str, Any]:
    """What makes a training the same as another, by name: what its user asked for.

    `origin` is as in `Training`; `engine` is the one that was chosen, so that `auto` is the same as
    what it takes. The version of longlag, the machine and its instruction set are no part of it,
    although bits can depend on them.
    """
    return {"recipe": recipe.name, "seed": seed, "engine": engine, **recipe.settings(), **origin}


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
        DamagedFile: a run's files that cannot be read, and no `overwrite`, or other files beside
            them.
    """
    present = sorted(path.name for path in directory.iterdir() if not _left_over(path.name))
    if not present:
        return
    if not {HISTORY, CHECKPOINT} & set(present):
        raise Refused(
            f"{directory} is not empty and holds no longlag run ({present[0]} is there); "
            "choose another directory"
        )
    if overwrite and all(name in ALL_FILES + DERIVED for name in present):
        return
    if CHECKPOINT in present:
        checkpoint = checkpoints.load(directory)
        if not checkpoint.finished and not overwrite:
            raise Refused(
                f"{directory} holds an unfinished training ({checkpoint.recipe.name}, seed "
                f"{checkpoint.seed}, iteration {checkpoint.state['iteration']}); "
                "continue it with --resume, or discard it with --overwrite (resume=True, "
                "overwrite=True)"
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
    known = _known(directory)
    recipe, seed = known["recipe"], known["seed"]
    if not isinstance(recipe.network, Unbuilt):
        _run(directory)  # all of it can be read
    held = identity(recipe, seed, known["engine"], known["origin"])
    differs = next((name for name in held if held[name] != training.get(name)), None)
    if overwrite or differs is None:
        return
    raise Refused(
        f"{directory} holds a finished run ({recipe.name}, seed {seed}: its {differs} is "
        f"{held[differs]!r}, not {training.get(differs)!r}); "
        f"choose another directory, or {REPLACE}"
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
    except FileExistsError as error:
        raise Refused(f"cannot write into {directory}: it is a file, no directory") from error
    except OSError as error:
        raise Refused(f"cannot write into {directory}: {error.strerror}") from error
    return directory


def _left_over(name: str) -> bool:
    """Whether a killed process left such a file: half-written, or the probe of `writable`."""
    return name.startswith((".longlag-", *(f".{file}." for file in ALL_FILES)))


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
