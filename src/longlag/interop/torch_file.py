"""PyTorch: the state_dict of a `torch_module.LSTMModule`, the metadata its extra state.

Only plain values and tensors are read (`weights_only=True`), and only by a PyTorch in which that
holds; the archive's own checksums are compared first.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from longlag import files
from longlag.interop import metadata
from longlag.interop.torch_module import from_run, reordered
from longlag.learning.training import Run

GATE_ORDER = "input, forget, candidate, output"
SAFE = (2, 10)  # before, a crafted file could get past weights_only
EXTRA = "_extra_state"
NAMES = {
    "Wx": "lstm.weight_ih_l0",
    "Wh": "lstm.weight_hh_l0",
    "b": "lstm.bias_ih_l0",
    "Wy": "linear.weight",
    "by": "linear.bias",
}
ZERO = "lstm.bias_hh_l0"


def encode(run: Run) -> bytes:
    """The content of a .pt file."""
    texts = metadata.describe(run, GATE_ORDER)
    module = from_run(run)
    module.set_extra_state(texts)
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    return buffer.getvalue()


def decode(data: bytes) -> Run:
    """The run in a .pt file.

    Raises:
        ValueError, LookupError, TypeError, BadZipFile: it holds none.
    """
    state = load(data)
    texts = state.get(EXTRA) if isinstance(state, Mapping) else None
    texts = texts if isinstance(texts, Mapping) else {}
    metadata.check(texts, GATE_ORDER)
    tensors = {name: tensor for name, tensor in state.items() if name != EXTRA}
    if set(tensors) != {*NAMES.values(), ZERO}:
        raise ValueError(f"it holds {', '.join(map(str, tensors))}, not an LSTMModule's tensors")
    arrays = {name: _array(name, tensor) for name, tensor in tensors.items()}
    if np.any(arrays[ZERO]) or arrays[ZERO].shape != arrays[NAMES["b"]].shape:
        raise ValueError(f"{ZERO} must be zero: the whole bias stands in {NAMES['b']}")
    weights = {name: arrays[theirs] for name, theirs in NAMES.items()}
    for name in ("Wx", "Wh", "b"):
        weights[name] = reordered(torch.from_numpy(weights[name])).numpy()
    return metadata.assemble(texts, {name: w.T.copy() for name, w in weights.items()})


def load(data: bytes) -> Any:
    """What a .pt file holds: tensors and plain values.

    Raises:
        ValueError, BadZipFile: it is damaged, or holds something else.
    """
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < SAFE:
        raise ValueError(f"PyTorch {torch.__version__} does not read it safely; 2.10 does")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files.check_archive(archive, data)
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is a compressed archive, which PyTorch does not write")
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} fails")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever its unpickler makes of a foreign file
        raise ValueError(
            "it holds more than tensors and plain values, or is no model: save a state_dict, "
            "torch.save(module.state_dict(), file)"
        ) from error


def _array(name: str, tensor: Any) -> np.ndarray:
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.float32 or tensor.is_sparse:
        raise ValueError(f"{name} must hold float32 numbers")
    return tensor.detach().numpy()
