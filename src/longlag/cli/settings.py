"""The settings of recipes, part by part, as the flags of commands have them."""

from __future__ import annotations

from typing import Any, get_type_hints

from longlag.cli.flags import Setting
from longlag.learning.recipe import PARTS, RECIPES
from longlag.settings import Part, Registry, Scalar, setting_fields

DEFAULT = "robust"  # the recipe that is trained where none is named
TITLES = {"task": "task", "network": "network", "rule": "learning rule", "stop": "stopping rule"}
ABOUT = {
    "task": "what is asked for",
    "network": "what learns",
    "rule": "how it learns",
    "stop": "when it stops",
}


def settings() -> dict[str, list[Setting]]:
    """Every setting of any recipe, by the part of the help in which it stands."""
    return {TITLES[sort]: _of_sort(sort, registry) for sort, registry in PARTS.items()}


def _of_sort(sort: str, registry: Registry[Any]) -> list[Setting]:
    """The flag that chooses the kind of part, and a flag for every setting of any kind."""
    text = f"{ABOUT[sort]}: {', '.join(registry)}, or your own module:Class"
    found = {sort: Setting(sort, str, text, _values(sort))}
    kinds = {name: registry[name] for name in registry.ready()}
    for part in kinds.values():
        hints = get_type_hints(type(part))
        for field in setting_fields(type(part)):
            if field.name not in found:
                having = [kind for kind, p in kinds.items() if field.name in p.settings()]
                alone = len({type(kinds[kind]) for kind in kinds}) == len(
                    {type(kinds[kind]) for kind in having}
                )
                of = "" if alone else f" ({', '.join(having)})"
                values = _values(field.name) or _defaults(field.name, kinds)
                text = field.metadata["help"] + of
                found[field.name] = Setting(field.name, hints[field.name], text, values)
    return list(found.values())


def _values(name: str) -> dict[str, str]:
    """What the recipes that have a setting set it to, in words."""
    return {
        known.name: _shown(settings[name])
        for known in RECIPES.values()
        if name in (settings := known.settings())
    }


def _defaults(name: str, kinds: dict[str, Part]) -> dict[str, str]:
    """What a setting is by default in the kinds of parts that have it, in words."""
    having = {kind: part.settings() for kind, part in kinds.items()}
    return {kind: _shown(own[name]) for kind, own in having.items() if name in own}


def _shown(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
