"""checkpoint.npz: the whole state of a training, from which it continues, with the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from longlag import files
from longlag.learning.recipe import Recipe
from longlag.learning.streams import check_seed
from longlag.learning.training import Training
from longlag.runs.contents import (
    CHECKPOINT,
    FORMAT,
    Refused,
    checked,
    origin_of,
    recipe_of,
    score_of,
)
from longlag.version import REVISION


@dataclass(frozen=True)
class Checkpoint:
    """A training's state, and what it is a training of."""

    recipe: Recipe
    seed: int
    engine: str
    isa: str | None
    state: Mapping[str, Any]
    revision: int | None = None
    origin: Mapping[str, str] = field(default_factory=dict)

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


def save(training: Training, directory: Path) -> None:
    """Writes the whole state of a training between two of its steps."""
    arrays, rest = files.parted(training.state())
    about = {
        "format": FORMAT,
        "revision": REVISION,
        "recipe": training.recipe.name,
        "config": training.recipe.settings(),
        "seed": training.seed,
        "engine": training.engine.name,
        "isa": training.engine.isa,
        "origin": training.origin,
        "state": rest,
    }
    text = np.frombuffer(files.to_json(about).encode(), dtype=np.uint8)
    files.write_arrays(directory / CHECKPOINT, {**arrays, "about": text})


def load(directory: Path) -> Checkpoint:
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
        about = checked(json.loads(arrays.pop("about").tobytes()))
        check_seed(about["seed"])
        score = about["state"]["score"]
        state = {**about["state"], **arrays}
        if score is not None:
            state["score"] = score_of(score).as_dict()
        if state["stopped_by"] not in (None, "target", "max_iterations", "diverged"):
            raise ValueError(f"stopped_by is {state['stopped_by']!r}")
        recipe = recipe_of(about["recipe"], about["config"])
        own = (about["engine"], about["isa"], state, about.get("revision"), origin_of(about))
        return Checkpoint(recipe, about["seed"], *own)
