"""safetensors: Wx, Wh, b, Wy and by as in weights.npz, and the metadata."""

# pyright: reportMissingImports=false

from __future__ import annotations

import json

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from longlag.interop import metadata
from longlag.steps import Run

GATE_ORDER = "input, forget, output, candidate"


def encode(run: Run) -> bytes:
    """The content of a .safetensors file."""
    texts = metadata.describe(run, GATE_ORDER)
    weights = run.network.parameters._asdict()
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
    size = int.from_bytes(data[:8], "little")
    texts = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    metadata.check(texts, GATE_ORDER)
    return metadata.assemble(texts, {name: weights[name] for name in sorted(weights)})
