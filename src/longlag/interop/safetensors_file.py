"""safetensors: the arrays of weights.npz under their names, and the metadata."""

# pyright: reportMissingImports=false

from __future__ import annotations

import json

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from longlag.interop import metadata
from longlag.learning.recipe import Recipe
from longlag.learning.training import Run
from longlag.networks.registry import NETWORKS

GATE_ORDER = "input, forget, output, candidate"
GATE_ORDERS = {
    "lstm": GATE_ORDER,
    "lstm1997": "cells, input gates, output gates",
    "gru": "reset, update, candidate",
}
OWN_ORDER = "the network's own"  # of any other


def encode(run: Run) -> bytes:
    """The content of a .safetensors file."""
    texts = metadata.describe(run, gate_order(run.recipe))
    weights = run.weights
    return save({name: np.ascontiguousarray(array) for name, array in weights.items()}, texts)


def decode(data: bytes) -> Run:
    """The run in a .safetensors file.

    Raises:
        ValueError, LookupError, TypeError: it holds none.
    """
    try:
        weights = load(data)
    except SafetensorError as error:
        raise ValueError(f"safetensors cannot read it ({error})") from error
    except KeyError as error:  # a type that numpy does not have
        raise ValueError(
            f"it holds numbers of type {error}, which no export has; a plain LSTM is taken with "
            "--as lstm"
        ) from error
    size = int.from_bytes(data[:8], "little")
    texts = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    metadata.check(texts, *GATE_ORDERS.values(), OWN_ORDER)
    run = metadata.assemble(texts, {name: weights[name] for name in sorted(weights)})
    metadata.check(texts, gate_order(run.recipe))
    return run


def gate_order(recipe: Recipe) -> str:
    """How the gates of a recipe's network stand in its arrays."""
    return GATE_ORDERS.get(NETWORKS.kind(recipe.network), OWN_ORDER)
