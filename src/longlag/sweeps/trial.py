"""A trial: one row of a sweep, computed by a pure function of recipe and seed.

A trial is sent to a worker and comes back as JSON; the function that it calls is given by its name,
`module:name`, and takes (settings, seed, engine). A training may come back before its end, with the
state from which it continues: the content of an .npz with the arrays of `Training.state`, and

    rest       (N,)  bytes of JSON: the other values, and the versions that computed it
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from longlag import files, machine
from longlag.learning import engine as engines
from longlag.learning import training
from longlag.learning.judging import on_fresh
from longlag.learning.recipe import Recipe, recipe_with
from longlag.learning.stopping import Stop
from longlag.settings import file_digest, found_file, imported, own_files
from longlag.tasks.score import Score
from longlag.version import CODE_VERSION, REVISION

UNFINISHED = "unfinished"  # saved in mid-trial: it continues from its state
TRAIN = "longlag.sweeps.trial:train"
EMPTY: dict[str, Any] = {
    **{"score": None, "fresh": None, "sequences": None, "seconds": None, "curve": None},
    **{"stops": None, "engine": None, "isa": None, "error": None},
    **{"lineage": None, "state": None},
}


@dataclass(frozen=True)
class Trial:
    """The definition of one training.

    recipe: the name of a registered recipe; settings: all of its settings, and `fresh`, the number
    of further fresh sequences to score the outcome on; engine: `native` or `numpy`; function: what
    is called.
    """

    recipe: str
    settings: Mapping[str, Any]
    seed: int
    engine: str
    function: str = TRAIN

    @property
    def key(self) -> str:
        """A digest of all that determines the result, the files of the user's parts included."""
        return _digest(asdict(self))

    @property
    def side_by_side(self) -> bool:
        """Whether it learns beside others: an on-line trial."""
        return self.function == TRAIN and self.settings.get("stop") in ("recent", "fresh")

    @property
    def lanes(self) -> int:
        """Trials that learn side by side in the time of one."""
        if not self.side_by_side:
            return 1
        return engines.choose(self.engine, recipe=recipe_of(self.settings)[0]).lanes

    @property
    def lineage(self) -> str | None:
        """A digest of all that determines the course of an on-line trial, but not its length."""
        if not self.side_by_side:
            return None
        course = {k: v for k, v in self.settings.items() if k not in ("max_sequences", "test_size")}
        return _digest({**asdict(self), "settings": course})


def _digest(work: Mapping[str, Any]) -> str:
    own = {"sources": found} if (found := sources(work)) else {}
    text = json.dumps({**work, **own, "revision": REVISION}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sources(work: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the files of the user's modules whose parts a trial has, as these may be edited.

    Args:
        work: the fields of a Trial.
    """
    return own_files((work["function"], *map(work["settings"].get, ("task", "network"))))


_IMPORTED: dict[str, str] = {}  # by module, the digest that its file had when it was imported


def bring(wanted: Mapping[str, str]) -> None:
    """Imports the user's modules anew where this process has them from files that were edited.

    Args:
        wanted: the digests of the files, as `sources` gave them where the trials come from.

    Raises:
        ValueError: a file here is another one.
        Exception: whatever the module raises.
    """
    for name, digest in wanted.items():
        if _IMPORTED.get(name) == digest:
            continue
        path = found_file(name)
        if path is None or not path.is_file():
            continue  # the trial itself tells that it cannot be imported
        if file_digest(path) != digest:
            raise ValueError(
                f"the file of {name} on {platform.node()} is not the one that the trial is of: "
                "copy it there, or start the sweep again if it was edited meanwhile"
            )
        if name in _IMPORTED:
            importlib.reload(sys.modules[name])
        _IMPORTED[name] = digest


def _version(work: Mapping[str, Any]) -> str:
    """Of the code: longlag's, and of the user's files the first digits of their digests."""
    found = {name: _IMPORTED.get(name, digest) for name, digest in sources(work).items()}
    return " ".join((CODE_VERSION, *(f"{name}:{digest[:8]}" for name, digest in found.items())))


def trial(
    name: str, seed: int, engine: str, /, *, fresh: int = 0, function: str = TRAIN, **changes: Any
) -> Trial:
    """A trial of a registered recipe with some settings changed; every default is written out."""
    settings = recipe_with(name, changes).settings()
    return Trial(name, {**settings, "fresh": fresh}, seed, engine, function)


def train(
    settings: Mapping[str, Any],
    seed: int,
    engine: str,
    state: bytes | None = None,
    end: float = math.inf,
) -> dict[str, Any]:
    """Trains to the end of a recipe, or until a moment.

    Args:
        settings: all of a recipe's, and `fresh`, further fresh sequences to score the outcome on.
        state: where it goes on; one that does not fit, or is of other versions, is not used.
        end: of `time.perf_counter`; after that it returns when a step is done.

    Returns:
        What `outcome` does; before its end what `unfinished` does, and its state.
    """
    made, fresh = recipe_of(settings)
    going = training.begin(made, seed, engine=engine)
    if state is not None:
        try:
            _put_back(going, state)
        except files.DamagedFile:
            going = training.begin(made, seed, engine=engine)
    while going.stopped_by is None:
        going.advance()
        if going.stopped_by is None and time.perf_counter() > end:
            return {**unfinished(going), "seconds": going.elapsed, "state": _state(going)}
    return outcome(going.run(), fresh)


def _state(going: training.Training) -> bytes:
    arrays, rest = files.parted(going.state(history=False))
    text = json.dumps({**rest, "versions": machine.versions()})
    return files.packed({**arrays, "rest": np.frombuffer(text.encode(), np.uint8)})


def _put_back(going: training.Training, state: bytes) -> None:
    """Restores a training from its state.

    Raises:
        DamagedFile: it is none of such a training, or of other versions.
    """
    with files.damage_named(Path("state")):
        arrays = files.unpacked(state)
        rest = json.loads(arrays.pop("rest").tobytes())
        present = machine.versions()
        for name, version in rest.pop("versions").items():
            if present.get(name, version) != version:
                raise ValueError(f"it is of {name} {version}")
        going.restore({**rest, **arrays}, history=False)


def unfinished(going: training.Training) -> dict[str, Any]:
    """What the row of a training says before its end."""
    return {
        "status": UNFINISHED,
        "sequences": going.iteration * going.recipe.batch_size,
        "engine": going.engine.name,
        "isa": going.engine.isa,
    }


def recipe_of(settings: Mapping[str, Any]) -> tuple[Recipe, int]:
    """The recipe of a trial's settings, and the number of further fresh sequences."""
    settings = dict(settings)
    fresh = settings.pop("fresh", 0)
    return Recipe.of("trial", settings, trusted=True), fresh


def outcome(run: training.Run, fresh: int = 0) -> dict[str, Any]:
    """The row that a sweep keeps of a run.

    Returns:
        status, sequences, score, fresh, engine, isa; curve: a test's iteration, MSE and number
        wrong, for every test; stops: the stopping points, where the recipe has some.
    """
    stops = [asdict(stop) for stop in run.stops]
    judged = None
    if fresh:
        engine = engines.choose(run.engine, recipe=run.recipe)

        def predict(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
            return engine.predict(run.network, inputs, lengths)

        judged = on_fresh(predict, run.recipe.task.tested, fresh, 0)
    return {
        "status": run.stopped_by,
        "sequences": run.sequences,
        "seconds": run.history.elapsed_sec,  # without what a process's first trial imports
        "score": run.score.as_dict(),
        "fresh": None if judged is None else judged.as_dict(),
        "curve": [[iteration, test.mse, test.wrong] for iteration, test in run.history.tests],
        "stops": [{"score": stop.pop("fresh"), **stop} for stop in stops],
        "engine": run.engine,
        "isa": run.isa,
    }


def stops_of(row: Mapping[str, Any]) -> tuple[Stop, ...]:
    """A trial's stopping points, from its row of the ledger.

    Raises:
        LookupError, TypeError: the row has none.
    """
    return tuple(
        Stop(**{**{k: v for k, v in stop.items() if k != "score"}, "fresh": Score(**stop["score"])})
        for stop in row["stops"]
    )


def perform(
    work: Mapping[str, Any], state: bytes | None = None, end: float = math.inf
) -> dict[str, Any]:
    """Carries out one trial; after an exception its row has the status `failed`.

    Args:
        work: the fields of a Trial.
        state, end: of a training, as in `train`.
    """
    started, start = now(), time.perf_counter()
    asked = work["settings"], work["seed"], work["engine"]
    try:
        if work["function"] == TRAIN:
            found = train(*asked, state, end)
        else:
            found = {**imported(work["function"])(*asked)}
            json.dumps(found)  # it travels as JSON
    except (Exception, SystemExit) as error:
        found = failure(error)
    return row_of(work, work["seed"], started, time.perf_counter() - start, found)


def failure(error: BaseException) -> dict[str, Any]:
    """The row of a trial that raised an exception."""
    return {"status": "failed", "error": f"{type(error).__name__}: {error}"}


def row_of(
    work: Mapping[str, Any], seed: int, started: str, seconds: float, found: Mapping[str, Any]
) -> dict[str, Any]:
    """A trial's row of the ledger, but for its key.

    Args:
        found: what has come of it, as `outcome` has it or the trial's own function.
    """
    return {
        **EMPTY,
        **{"recipe": work["recipe"], "settings": work["settings"], "seed": seed},
        **{"seconds": seconds, "started": started, "ended": now()},
        **{"versions": machine.versions(), "version": _version(work), "host": platform.node()},
        **found,
    }


def lost(work: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The row of a trial during which every worker died."""
    version = work["version"] if "version" in work else _version(work)  # of a row that came
    return {
        **EMPTY,
        **{name: work[name] for name in ("recipe", "settings", "seed")},
        **{"started": None, "ended": now(), "versions": machine.versions(), "version": version},
        **{"host": platform.node(), "status": "failed", "error": reason},
    }


def now() -> str:
    """The time, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
