"""Recipes: every setting of a training, as frozen values in one registry.

A recipe has four parts, each of which can be exchanged: the task, the network, the rule by which
it learns, and the rule by which it stops. A recipe, a seed and an engine determine a run.
`recipe(name, **settings)` takes a registered recipe and changes some of its settings; `settings()`
gives all of them as one flat dict, by the names of the flags of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from longlag import checks
from longlag.learning.optimizers import Start
from longlag.learning.rules import RULES, Minibatch, OnLine
from longlag.learning.stopping import STOPS, Below, Fresh, Points, Recent, Strict
from longlag.networks.lstm import ForgetGateLSTM
from longlag.networks.lstm1997 import BlockLSTM
from longlag.networks.network import Network
from longlag.networks.registry import NETWORKS
from longlag.settings import Part, Registry, Scalar
from longlag.tasks.long_lag import LongLag
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.reber import EmbeddedReber
from longlag.tasks.registry import TASKS
from longlag.tasks.task import Task
from longlag.tasks.temporal_order import TemporalOrder
from longlag.tasks.two_sequence import TwoSequence
from longlag.tasks.very_long_lag import VeryLongLag

PARTS: dict[str, Registry[Any]] = {
    "task": TASKS,
    "network": NETWORKS,
    "rule": RULES,
    "stop": STOPS,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a training; validated on construction.

    Raises:
        ValueError: parts that do not fit together, in one sentence.
    """

    name: str
    task: Task
    network: Network
    rule: Minibatch | OnLine
    stop: Strict | Below | Recent | Fresh

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name must be a word, not {checks.shown(self.name)}")
        for sort, registry in PARTS.items():
            if not isinstance(part := getattr(self, sort), registry.base):
                kind, shown = registry.base.__name__, checks.shown(part)
                raise ValueError(f"{sort} must be a {kind}, not {shown}")
        if isinstance(self.stop, Points) and not isinstance(self.rule, OnLine):
            raise ValueError(
                f"stop {self.stop.name} is for sequences learned from one by one: it needs rule "
                f"online, not {self.rule.name}"
            )
        names = [name for part in self.parts.values() for name in part.settings()]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two parts have a setting of the name {min(twice)!r}")
        self.network.check(self.task)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts by their sort."""
        return {sort: getattr(self, sort) for sort in PARTS}

    # -- settings as one flat dict ------------------------------------------------------------

    def settings(self) -> dict[str, Scalar]:
        """Every setting by the name of its flag; `recipe(name, **settings)` gives the recipe
        again.
        """
        flat: dict[str, Scalar] = {}
        for sort, part in self.parts.items():
            flat |= {sort: PARTS[sort].kind(part), **part.settings()}
        return flat

    def with_settings(self, settings: Mapping[str, Any]) -> Recipe:
        """A copy with some settings changed; min_length alone implies max_length = 1.1 T.

        A part of another kind keeps the settings that both kinds have.

        Raises:
            ValueError: an unknown setting (the nearest is suggested) or a value out of range.
        """
        _check_settings(settings)
        left = {name: value for name, value in settings.items() if name not in PARTS}
        parts: dict[str, Any] = {}
        for sort, part in self.parts.items():
            kept: dict[str, Scalar] = {}
            if sort in settings and settings[sort] != PARTS[sort].kind(part):
                kept, part = part.settings(), PARTS[sort][settings[sort]]
            own = {name: left.pop(name) for name in part.settings() if name in left}
            if "min_length" in own:
                kept.pop("max_length", None)  # it follows from the new min_length, or is given
            common = {name: kept[name] for name in part.settings() if name in kept}
            parts[sort] = part.with_settings({**common, **own})
        if left:
            raise ValueError(_unknown(self.name, next(iter(left)), settings, parts))
        return replace(self, **parts)

    @classmethod
    def of(
        cls,
        name: str,
        settings: Mapping[str, Any],
        *,
        trusted: bool = False,
        network: Network | None = None,
    ) -> Recipe:
        """The recipe of a name and all of its settings, as `settings()` gave them.

        Args:
            trusted: import a part that is a `module:Class`; else only where that is allowed
                (`Registry.from_file`).
            network: the network, where its name is not enough to make it.

        Raises:
            ValueError: a setting that is missing, unknown or out of range.
        """
        _check_settings(settings)
        checks.flag("trusted", trusted)
        if absent := set(PARTS) - set(settings):
            raise ValueError(f"its settings lack {', '.join(sorted(absent))}")
        parts = {
            sort: registry[settings[sort]] if trusted else registry.from_file(settings[sort])
            for sort, registry in PARTS.items()
            if network is None or sort != "network"
        }
        if network is not None:
            parts["network"] = network
        made = cls(name=name, **parts)
        if missing := set(made.settings()) - set(settings):
            raise ValueError(f"its settings lack {', '.join(sorted(missing))}")
        return made.with_settings(settings)

    # -- what a recipe and a seed determine ---------------------------------------------------

    @property
    def batch_size(self) -> int:
        """Sequences that an iteration learns from."""
        return self.rule.batch_size

    def learner(self, seed: int, own: Start | None = None) -> Any:
        """A trial before its first iteration; `own` starts an optimiser of the user's."""
        return self.rule.learner(self.task, self.network, self.stop, seed, own)

    def network_of(self, weights: np.ndarray) -> Any:
        """The network with flat weights (P,)."""
        return self.network.of(weights, self.task)


def _check_settings(settings: Any) -> None:
    if not isinstance(settings, Mapping):
        shown = checks.shown(settings)
        raise ValueError(f"settings must be a dict of values by name, not {shown}")


def _unknown(recipe: str, name: Any, settings: Mapping[str, Any], parts: Mapping[str, Part]) -> str:
    """The error that a recipe has no such setting."""
    known = [*PARTS, *(known for part in parts.values() for known in part.settings())]
    others = [
        f"{sort} {kind}"
        for sort, registry in PARTS.items()
        for kind in registry.ready()
        if name in registry[kind].settings()
    ]
    if others:
        return f"recipe {recipe} has no setting {name!r}: it is a setting of {' and '.join(others)}"
    return f"unknown setting {name!r}{checks.nearest(name, known)}"


# -- the networks and rules of the paper's experiments --------------------------------------------
#
# Left open by the paper, and settings here: the answer reads this step's cells (`reads`), outputs
# are sigmoids (`output`), the error has no half (`error`), tests come every 100 sequences
# (`test_every`), a window judges a sequence by its largest error, and in Experiment 2 all cells are
# there from the beginning. The counts of weights are the paper's.

NOISE_FREE = BlockLSTM(  # Experiments 2a and 2b: 10,504 weights
    blocks=1,
    block_size=1,
    biases="none",
    inputs_to_outputs=True,
    output_gate=False,
    recurrent=False,
    g="logistic",
    h="identity",
    initial_range=0.2,
    reads="current",
)
THREE_BLOCKS = BlockLSTM(  # Experiment 3: 102 weights
    blocks=3,
    block_size=1,
    biases="hidden",
    input_gate_bias=-1.0,
    input_gate_step=-2.0,
    output_gate_bias=-2.0,
    reads="current",
)
ALL_RIGHT = Recent(first_stop=0, last_stop=1)  # of the 2000 latest sequences
NONE_OF_10000 = Recent(window=10_000, first_stop=0, last_stop=1, tolerance=0.25)
ALL_ORDERED = Recent(first_stop=0, last_stop=1, tolerance=0.3, mean_error=0.1)

RECIPES: dict[str, Recipe] = {
    r.name: r
    for r in (
        # The small fixed system of docs/reference/catalog.md, to the digit.
        Recipe(
            name="catalog",
            task=MarkedPairs(rules="catalog", min_length=20, max_length=30),
            network=ForgetGateLSTM(
                output="sigmoid",
                gate_biases="constant",
                forget_bias=1.0,
                input_bias=0.0,
                output_bias=0.0,
            ),
            rule=Minibatch(
                draw_order="published",
                batch_size=32,
                learning_rate=5e-3,
                epsilon=1e-8,
                clip=1.0,
                average_decay=0.0,
                max_iterations=6000,
            ),
            stop=Below(test_every=500, test_size=512),
        ),
        # The paper's task rules at T = 100, and settings that solve it from few sequences, and lags
        # far beyond: behind closed gates gradients begin at about 3e-4 / T, hence the epsilon.
        Recipe(
            name="robust",
            task=MarkedPairs(),
            network=ForgetGateLSTM(),
            rule=Minibatch(),
            stop=Strict(),
        ),
        # Experiment 5 as published (section 5.5, table 8).
        Recipe(name="paper", task=MarkedPairs(), network=BlockLSTM(), rule=OnLine(), stop=Recent()),
        # Experiment 4 (section 5.4, table 7): stop when all of the most recent 2000 are correct.
        Recipe(
            name="paper-adding",
            task=MarkedPairs("adding"),
            network=BlockLSTM(input_gate_bias=-3.0),
            rule=OnLine(learning_rate=0.5),
            stop=replace(ALL_RIGHT, mean_error=0.01),
        ),
        # Experiment 1 (section 5.1, table 1): every symbol of both sets of 256 strings is right.
        Recipe(
            name="paper-reber",
            task=EmbeddedReber(strings="training"),
            network=BlockLSTM(
                blocks=3,
                block_size=2,
                biases="gates",
                output_gate_bias=-1.0,
                initial_range=0.2,
                reads="current",
            ),
            rule=OnLine(learning_rate=0.5),
            stop=Fresh(),
        ),
        # Experiment 2 (section 5.2, tables 2 and 3): 10,000 sequences without a large error.
        Recipe(
            name="paper-long-lag",
            task=LongLag(),
            network=NOISE_FREE,
            rule=OnLine(learning_rate=1.0),
            stop=NONE_OF_10000,
        ),
        Recipe(
            name="paper-long-lag-b",
            task=LongLag(middle="random"),
            network=NOISE_FREE,
            rule=OnLine(learning_rate=1.0),
            stop=NONE_OF_10000,
        ),
        Recipe(
            name="paper-very-long-lag",
            task=VeryLongLag(),
            network=BlockLSTM(
                blocks=2, block_size=1, biases="none", initial_range=0.2, reads="current"
            ),
            rule=OnLine(learning_rate=0.01),
            stop=NONE_OF_10000,
        ),
        # Experiment 3 (section 5.3, tables 4 to 6): tests of 256 fresh sequences.
        Recipe(
            name="paper-two-sequence",
            task=TwoSequence(),
            network=THREE_BLOCKS,
            rule=OnLine(learning_rate=1.0),
            stop=Fresh(first_stop=1, last_stop=1, mean_error=0.01),
        ),
        Recipe(
            name="paper-two-sequence-b",
            task=TwoSequence(variant="b"),
            network=THREE_BLOCKS,
            rule=OnLine(learning_rate=1.0),
            stop=Fresh(first_stop=6, last_stop=6, mean_error=0.04),
        ),
        Recipe(
            name="paper-two-sequence-c",
            task=TwoSequence(variant="c"),
            network=THREE_BLOCKS,
            rule=OnLine(learning_rate=0.1),
            stop=Fresh(last_stop=6, mean_error=0.015),
        ),
        # Experiment 6 (section 5.6, table 9): 2000 sequences right, with a small mean error.
        Recipe(
            name="paper-temporal-order",
            task=TemporalOrder(),
            network=BlockLSTM(input_gate_bias=-2.0, reads="current"),
            rule=OnLine(learning_rate=0.5),
            stop=ALL_ORDERED,
        ),
        Recipe(
            name="paper-temporal-order-b",
            task=TemporalOrder(ordered=3),
            network=BlockLSTM(blocks=3, input_gate_bias=-2.0, reads="current"),
            rule=OnLine(),
            stop=ALL_ORDERED,
        ),
    )
}


# Settings of `robust` for other tasks, where its network and its rule are unchanged.
ROBUST_FOR: dict[str, dict[str, Any]] = {
    # One marked bit alone says nothing about the answer: more cells, smaller steps, larger batches.
    "xor": {"hidden": 64, "batch_size": 16, "learning_rate": 0.01, "output_bias": 0.5},
    # A string's symbols are not marked: gates that let them in from the beginning.
    "reber": {"hidden": 16, "input_bias": 1.0},
    # More cells: patterns have several symbols, or symbols of many kinds.
    "memorization": {"hidden": 32},
    "permutation": {"hidden": 32},
    # Ten symbols are stored, of 30 bits: many cells, gates that let them in, and a limit below the
    # gradient's usual norm, so that no batch outweighs the others.
    "copy": {
        "hidden": 96,
        "input_bias": 2.0,
        "batch_size": 16,
        "learning_rate": 0.02,
        "clip": 1e-4,
        "average_decay": 0.999,
    },
    # One of 101 symbols comes next: answers that start near 0, input gates that start an eighth
    # open, and large steps on two sequences, since all steps of a sequence teach something.
    "long-lag": {
        "hidden": 64,
        "forget_gate": False,
        "output": "sigmoid",
        "gate_biases": "constant",
        "input_bias": -2.0,
        "output_bias": -3.0,
        "batch_size": 2,
        "learning_rate": 0.05,
        "beta2": 0.99,
    },
}


def recipe(name: str, **settings: Any) -> Recipe:
    """The registered recipe `name`, with some settings changed.

    For tasks that need it, `robust` has other settings than its usual ones.

    >>> recipe("robust", min_length=300).task.max_length
    330

    Raises:
        ValueError: an unknown recipe or setting (the nearest is suggested), or a value out of
            range.
    """
    return recipe_with(name, settings)


def recipe_with(name: str, settings: Mapping[str, Any]) -> Recipe:
    """As `recipe`, of settings that may have any name."""
    if not isinstance(name, str) or name not in RECIPES:
        raise ValueError(f"unknown recipe {checks.shown(name)}{checks.nearest(name, RECIPES)}")
    task, own = settings.get("task"), {}
    if name == "robust" and isinstance(task, str):
        usual = RECIPES[name].settings()
        if all(settings.get(part, usual[part]) == usual[part] for part in ("network", "rule")):
            own = ROBUST_FOR.get(task, {})
    return RECIPES[name].with_settings({**own, **settings})


def as_recipe(given: Any) -> Recipe:
    """A recipe as it is, or the registered one of that name.

    Raises:
        ValueError: an unknown name (the nearest is suggested), or something else.
    """
    if isinstance(given, Recipe):
        return given
    if isinstance(given, str):
        return recipe(given)
    raise ValueError(
        f"recipe must be one from longlag.recipe(name), or its name, not {checks.shown(given)}"
    )
