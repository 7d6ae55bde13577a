"""The settings of recipes, part by part, as the flags of commands have them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from longlag.learning.recipe import PARTS, RECIPES
from longlag.settings import Option, Registry, Scalar, setting_fields

DEFAULT = "robust"  # the recipe that is trained where none is named
TITLES = {"task": "task", "network": "network", "rule": "learning rule", "stop": "stopping rule"}
ABOUT = {
    "task": "the task",
    "network": "the network",
    "rule": "the learning rule",
    "stop": "the stopping rule",
}


Settings = Mapping[str, Scalar]


def settings(words: Sequence[str] = ()) -> dict[str, list[Option]]:
    """Every setting of any recipe, by the part of the help in which it stands.

    words: of a command line: the settings of parts that only these name are there, too.
    """
    pieces = [piece for word in words for piece in word.split("=", 1)]
    named = dict(itertools.pairwise(pieces))
    recipes = {one.name: one.settings() for one in RECIPES.values()}
    return {
        TITLES[sort]: _of_sort(sort, registry, named.get(f"--{sort}", ""), recipes)
        for sort, registry in PARTS.items()
    }


def _of_sort(
    sort: str, registry: Registry[Any], named: str, recipes: Mapping[str, Settings]
) -> list[Option]:
    """The flag that chooses the kind of part, and a flag for every setting of any kind."""
    text = f"{ABOUT[sort]}: {', '.join(registry)}, or your own module:Class"
    found = {sort: Option(sort, str, text, shown=_default(sort, {}, recipes), part=TITLES[sort])}
    own = [named] if named in registry or ":" in named else []
    kinds = {name: registry[name] for name in dict.fromkeys((*registry.ready(), *own))}
    owned = {kind: part.settings() for kind, part in kinds.items()}
    for part in kinds.values():
        hints = get_type_hints(type(part))
        for field in setting_fields(type(part)):
            having = {kind: own for kind, own in owned.items() if field.name in own}
            others = {type(p) for p in kinds.values()} - {type(kinds[kind]) for kind in having}
            of = f" ({', '.join(having)})" if others else ""
            option = Option(
                name=field.name,
                kind=hints[field.name],
                text=field.metadata["help"] + of,
                shown=_default(field.name, having, recipes),
                part=TITLES[sort],
            )
            found.setdefault(field.name, option)
    return list(found.values())


def _default(name: str, having: Mapping[str, Settings], recipes: Mapping[str, Settings]) -> str:
    """What holds where a flag is not given: in the recipe that is trained, and in others.

    having: settings of the kinds of parts with this one, which say it where no recipe has it.
    """
    known = {recipe: own for recipe, own in recipes.items() if name in own}
    main = {recipe: known[recipe] for recipe in known if not recipe.startswith(PAPERS)}
    values = _by_value(name, main or having)
    told = [
        value if DEFAULT in names or len(values) == 1 else f"{value} in {', '.join(names)}"
        for value, names in values.items()
    ]
    rest = {value: names for value, names in _by_value(name, known).items() if value not in values}
    if main and rest:
        return "; ".join([*told, f"others in {PAPERS}NAME"])
    return "; ".join([*told, *(f"{value} in {', '.join(names)}" for value, names in rest.items())])


def _by_value(name: str, owners: Mapping[str, Settings]) -> dict[str, list[str]]:
    """Who has which value of a setting, the recipe that is trained first."""
    values: dict[str, list[str]] = {}
    for owner in sorted(owners, key=lambda owner: owner != DEFAULT):
        values.setdefault(_shown(owners[owner][name]), []).append(owner)
    return values


PAPERS = "paper-"  # with the names of the paper's other experiments: recipes too many to list


def _shown(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
