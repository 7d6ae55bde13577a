"""The settings of recipes, part by part, as the flags of commands have them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

from longlag.cli.flags import Setting
from longlag.learning.recipe import RECIPES, OnlineRecipe, Recipe, Scalar
from longlag.tasks.marked_pairs import FirstMark, Kind, Rules

DEFAULT = "robust"  # the recipe that is trained where none is named

TASK: dict[str, tuple[Any, str]] = {
    "task": (Kind, "what the answer is"),
    "rules": (Rules, "where the marks fall"),
    "min_length": (
        int,
        "T, steps of the shortest sequence; alone it implies --max-length 1.1 T",
    ),
    "max_length": (int, "steps of the longest sequence"),
    "first_mark": (
        FirstMark,
        "whether a mark on the first pair, whose value is neutral, can be seen",
    ),
}

# What stands together in the help. A setting that both kinds of recipes have stands once.
PARTS: dict[str, tuple[str, ...]] = {
    "task": tuple(TASK),
    "network": (
        *("hidden", "forget_gate", "output"),
        *("gate_biases", "forget_bias", "input_bias", "output_bias"),
    ),
    "network, on-line": ("blocks", "block_size", "input_gate_bias", "reads"),
    "learning": (
        *("learning_rate", "batch_size", "draw_order", "optimizer", "beta1", "beta2", "epsilon"),
        *("clip", "average_decay"),
    ),
    "learning, on-line": ("error", "gradient"),
    "stopping and testing": (
        *("max_iterations", "stop", "target_test_mse", "test_every", "test_size"),
    ),
    "stopping and testing, on-line": (
        *("max_sequences", "window", "first_stop", "last_stop", "tolerance", "mean_error"),
        "check_every",
    ),
}


def _setting(name: str) -> Setting:
    """A setting, of whichever recipes have it."""
    values = {
        known.name: _shown(settings[name])
        for known in RECIPES.values()
        if name in (settings := known.settings())
    }
    if name in TASK:
        kind, text = TASK[name]
        return Setting(name, kind, text, values)
    kind = Recipe if name in {f.name for f in fields(Recipe)} else OnlineRecipe
    text = next(f.metadata["help"] for f in fields(kind) if f.name == name)
    return Setting(name, get_type_hints(kind)[name], text, values)


def _shown(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings() -> dict[str, list[Setting]]:
    """Every setting of any recipe, by the part of the help in which it stands."""
    return {title: [_setting(name) for name in names] for title, names in PARTS.items()}
