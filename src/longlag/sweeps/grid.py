"""A sweep in a file: every combination of some values of settings, with so many seeds each.

recipe = "robust"        # robust where not given
seeds = 10               # trials of each combination
first_seed = 0           # 0 where not given
engine = "auto"          # auto where not given

[settings]               # of all trials: any setting of the recipe, task and network included
max_iterations = 2000

[grid]                   # every combination of these
network = ["lstm", "torch-gru", "mycell:Cell"]
learning_rate = [0.001, 0.01]

A setting that only some of the tasks or networks have holds for these; `lag` of copy, for one,
stands beside `min_length` of other tasks.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longlag import checks
from longlag.learning import engine as engines
from longlag.learning.recipe import PARTS, recipe_with
from longlag.learning.streams import check_seed
from longlag.sweeps.trial import Trial, trial

KEYS = ("recipe", "seeds", "first_seed", "engine", "settings", "grid")


@dataclass(frozen=True)
class Grid:
    """What a file asks for: a recipe's settings a combination, and the seeds of each."""

    recipe: str
    combinations: tuple[Mapping[str, Any], ...]
    seeds: range
    engine: str

    def __len__(self) -> int:
        return len(self.combinations) * len(self.seeds)

    def __iter__(self) -> Iterator[Trial]:
        for settings in self.combinations:
            made = recipe_with(self.recipe, settings)
            chosen = engines.choose(self.engine, recipe=made).name
            for seed in self.seeds:
                yield trial(self.recipe, seed, chosen, **settings)


def read(path: Path) -> Grid:
    """The grid of a file, every combination checked.

    Raises:
        ValueError: no such file, no TOML, an empty one, an unknown name (the nearest is suggested),
            or a value that is not allowed or given twice; the message names the file.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"there is no sweep to read in {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}") from error
    try:
        return _grid(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _grid(content: Mapping[str, Any]) -> Grid:
    if all(value == {} for value in content.values()):
        raise ValueError(f"a sweep must say at least one of {', '.join(KEYS)}, not nothing")
    for name in content:
        if name not in KEYS:
            raise ValueError(f"unknown name {name!r}{checks.nearest(name, KEYS)}")
    name = checks.text("recipe", content.get("recipe", "robust"))
    fixed, grid = content.get("settings", {}), content.get("grid", {})
    for table, values in (("settings", fixed), ("grid", grid)):
        if not isinstance(values, Mapping):
            raise ValueError(f"{table} must be a table, not {checks.shown(values)}")
    for setting, values in grid.items():
        if not isinstance(values, list) or not values:
            shown = checks.shown(values)
            raise ValueError(f"grid must give a list of values of {setting}, not {shown}")
        if again := [value for k, value in enumerate(values) if value in values[:k]]:
            shown = checks.shown(again[0])
            raise ValueError(f"grid must give each value of {setting} once, not {shown} twice")
    if twice := set(fixed) & set(grid):
        raise ValueError(f"{min(twice)} is in settings and in grid: give it in one of them")
    made = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    combinations = _fitting(name, [{**fixed, **one} for one in made])
    engine = checks.text("engine", content.get("engine", "auto"))
    for settings in combinations:
        engines.choose(engine, recipe=recipe_with(name, settings))
    first = check_seed(content.get("first_seed", 0))
    seeds = checks.whole("seeds", content.get("seeds", 10), 1)
    return Grid(name, combinations, range(first, check_seed(first + seeds - 1) + 1), engine)


def _fitting(name: str, asked: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Combinations without the settings that their own parts do not have but others' have; each
    once.

    Raises:
        ValueError: a part, or a setting that none of them has.
    """
    of_parts: dict[str, Mapping[str, Any]] = {}  # few, where there may be many combinations
    known = []
    for one in asked:
        parts = {k: v for k, v in one.items() if k in PARTS}
        if (word := _as_text(parts)) not in of_parts:
            of_parts[word] = recipe_with(name, parts).settings()
        known.append(of_parts[word])
    lost = [k for k in asked[0] if not any(k in own for own in known)]
    if lost:
        recipe_with(name, asked[0])  # the error that it has no such setting
    found = [
        {k: v for k, v in one.items() if k in own} for one, own in zip(asked, known, strict=True)
    ]
    return tuple({_as_text(one): one for one in found}.values())


def _as_text(settings: Mapping[str, Any]) -> str:
    """The same for equal settings; TOML's dates are no JSON."""
    return json.dumps(settings, sort_keys=True, default=repr)
