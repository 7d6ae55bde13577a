"""What an exported file says beside its weights: a few texts, the same in every format.

    format         "longlag export 1"
    gate_order     how the format orders the gates in its arrays
    forget_gate    learned, or fixed at 1
    output         linear, or sigmoid
    run            the content of history.json but its losses, as JSON: recipe, every setting,
                   seed, engine, score, what stopped it, test curve, versions and machine
    train_losses   the loss of each batch, as a JSON list; numbers read back exactly
    sha256         of the weights and all of the above

The digest is what tells an altered file from a good one: the score and the curves belong to these
weights and no others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from longlag import runs
from longlag.networks.lstm import LSTM
from longlag.recipes import Recipe
from longlag.steps import Run

FORMAT = "longlag export 1"
FORGET_GATE = {True: "learned", False: "fixed at 1"}
KEYS = ("format", "gate_order", "forget_gate", "output", "run", "train_losses", "sha256")

Metadata = Mapping[str, str]


def parts(run: Run) -> tuple[Recipe, LSTM]:
    """A run's recipe and network, where the formats know such a network.

    Raises:
        ValueError: it is the LSTM of 1997.
    """
    if not isinstance(run.recipe, Recipe) or not isinstance(run.network, LSTM):
        raise ValueError(
            f"recipe {run.recipe.name} trains the LSTM of 1997, for which no other program has a "
            "layer: its weights are in weights.npz"
        )
    return run.recipe, run.network


def describe(run: Run, gate_order: str) -> dict[str, str]:
    """The texts of a run.

    Raises:
        ValueError: its weights are not finite float32 numbers of its recipe's shapes, or its
            network is one that the formats do not know.
    """
    recipe, network = parts(run)
    weights = network.parameters._asdict()
    runs.network_of(recipe, weights)
    history = runs.describe(run)
    texts = {
        "format": FORMAT,
        "gate_order": gate_order,
        "forget_gate": FORGET_GATE[recipe.forget_gate],
        "output": recipe.output,
        "train_losses": runs.to_json(history.pop("train_losses")),
        "run": runs.to_json(history),
    }
    return {**texts, "sha256": _digest(texts, weights)}


def check(texts: Metadata, gate_order: str) -> None:
    """Refuses what is no export of this version.

    Raises:
        ValueError: another program's file, another version's, an unknown or missing text.
    """
    found = texts.get("format")
    if found is None:
        raise ValueError("its metadata names no longlag format")
    if found != FORMAT:
        raise ValueError(f"its format is {found!r}, this version reads {FORMAT!r}")
    for name in KEYS:
        if not isinstance(texts.get(name), str):
            raise ValueError(f"its metadata lacks {name!r}")
    for name in texts:
        if name not in KEYS:
            raise ValueError(f"its metadata holds {name!r}, which this version does not know")
    if texts["gate_order"] != gate_order:
        raise ValueError(f"its gate order is {texts['gate_order']!r}, not {gate_order!r}")


def assemble(texts: Metadata, weights: Mapping[str, np.ndarray]) -> Run:
    """The run that `describe` described, from weights in the arrangement of weights.npz.

    Raises:
        ValueError, LookupError, TypeError: texts and weights that do not belong together.
    """
    history = json.loads(texts["run"])
    known = runs.described({**history, "train_losses": json.loads(texts["train_losses"])})
    network = runs.network_of(known["recipe"], weights)
    run = Run(**known, network=network, snapshots={})
    recipe, _ = parts(run)
    if (texts["forget_gate"], texts["output"]) != (FORGET_GATE[recipe.forget_gate], recipe.output):
        raise ValueError("its variant is not that of its settings")
    if texts["sha256"] != _digest(texts, network.parameters._asdict()):
        raise ValueError("its weights or metadata were altered after the export")
    return run


def _digest(texts: Metadata, weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in KEYS[:-1]:
        digest.update(f"{name}={len(texts[name])}:{texts[name]}\n".encode())
    for name, array in weights.items():
        digest.update(f"{name}={array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()
