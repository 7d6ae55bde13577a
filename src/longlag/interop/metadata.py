"""What an exported file says beside its weights: a few texts, the same in every format.

    format         "longlag export 1"
    gate_order     how the format orders the gates in its arrays
    forget_gate    learned, fixed at 1, or none: the LSTM of 1997
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

from longlag import files
from longlag.learning.recipe import Recipe
from longlag.learning.training import Run
from longlag.networks.lstm import LSTM, ForgetGateLSTM
from longlag.networks.network import counted
from longlag.runs import contents

FORMAT = "longlag export 1"
FORGET_GATE = {True: "learned", False: "fixed at 1"}
KEYS = ("format", "gate_order", "forget_gate", "output", "run", "train_losses", "sha256")

Metadata = Mapping[str, str]


def variant(recipe: Recipe) -> dict[str, str]:
    """The texts that tell one kind of network from another; the LSTM of 1997 has no forget gate."""
    network = recipe.network
    gate = FORGET_GATE[network.forget_gate] if isinstance(network, ForgetGateLSTM) else "none"
    return {"forget_gate": gate, "output": str(network.settings().get("output", "linear"))}


def modern(run: Run) -> LSTM:
    """A run's network, where other programs have such a layer.

    Raises:
        ValueError: it is no LSTM with a forget gate, or its task asks for more than one number
            at the end of sequences of two numbers a step.
    """
    if not isinstance(run.network, LSTM):
        raise ValueError(
            f"recipe {run.recipe.name} trains network {run.recipe.network.name}, for which neither "
            "PyTorch nor ONNX is given a layer here; export to safetensors"
        )
    task = run.recipe.task
    if task.symbols or task.inputs != 2 or task.outputs != 1 or task.answered != "last":
        inputs = f"{task.inputs} {'symbols' if task.symbols else 'inputs'}"
        read = "at every step" if task.answered == "every" else "at the last step"
        raise ValueError(
            f"task {task.name} has {inputs} and {counted(task.outputs, 'output')}, read {read}, "
            "but PyTorch's and ONNX's files hold networks of 2 inputs and 1 output, read at the "
            "last step; export to safetensors"
        )
    return run.network


def describe(run: Run, gate_order: str) -> dict[str, str]:
    """The texts of a run.

    Raises:
        ValueError: its weights are not finite float32 numbers of its recipe's shapes.
    """
    weights = run.weights
    contents.network_of(run.recipe, weights)
    history = contents.describe(run)
    texts = {
        "format": FORMAT,
        "gate_order": gate_order,
        **variant(run.recipe),
        "train_losses": files.to_json(history.pop("train_losses")),
        "run": files.to_json(history),
    }
    return {**texts, "sha256": _digest(texts, weights)}


def check(texts: Metadata, *gate_orders: str) -> None:
    """Refuses what is no export of this version.

    Raises:
        ValueError: another program's file, another version's, an unknown or missing text.
    """
    found = texts.get("format")
    if found is None:
        raise ValueError(
            "its metadata names no longlag format; a plain LSTM is taken with --as lstm"
        )
    if found != FORMAT:
        raise ValueError(f"its format is {found!r}, this version reads {FORMAT!r}")
    for name in KEYS:
        if not isinstance(texts.get(name), str):
            raise ValueError(f"its metadata lacks {name!r}")
    for name in texts:
        if name not in KEYS:
            raise ValueError(f"its metadata holds {name!r}, which this version does not know")
    if texts["gate_order"] not in gate_orders:
        wanted = " or ".join(map(repr, gate_orders))
        raise ValueError(f"its gate order is {texts['gate_order']!r}, not {wanted}")


def assemble(texts: Metadata, weights: Mapping[str, np.ndarray]) -> Run:
    """The run that `describe` described, from weights in the arrangement of weights.npz.

    Raises:
        ValueError, LookupError, TypeError: texts and weights that do not belong together.
    """
    history = json.loads(texts["run"])
    known = contents.described({**history, "train_losses": json.loads(texts["train_losses"])})
    network = contents.network_of(known["recipe"], weights)
    if not variant(known["recipe"]).items() <= texts.items():
        raise ValueError("its variant is not that of its settings")
    run = Run(**known, network=network, snapshots={})
    if texts["sha256"] != _digest(texts, run.weights):
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
