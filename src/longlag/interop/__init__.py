"""Runs out to other programs' formats, and back: `longlag export` and `longlag import`.

    safetensors    the arrays of weights.npz under their names
    torch          the state_dict of `longlag.interop.torch_module.LSTMModule`
    onnx           a graph around one LSTM operator, for ONNX Runtime and its like

A file holds the final weights, to the bit, and the whole of history.json (`metadata`), so that a
run that was taken out and in again is the same run; snapshots stay behind. What a format cannot
express is refused, never approximated. Reading executes nothing and trusts nothing: a file that
was altered, cut short or made by another program is refused in one sentence.

The formats' libraries are an extra: `pip install 'longlag[interop]'`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Literal, Protocol, cast, get_args

from longlag import checks, files
from longlag.learning.training import Run, check_run

Format = Literal["safetensors", "torch", "onnx"]
MODULES: dict[str, str] = {
    "safetensors": "safetensors_file",
    "torch": "torch_file",
    "onnx": "onnx_file",
}


class MissingExtra(ValueError):
    """A library that is not installed; the message says what installs it."""


class Codec(Protocol):
    """What each format's module does."""

    def encode(self, run: Run) -> bytes:
        """The content of a file; a ValueError where the format cannot express the run."""
        ...

    def decode(self, data: bytes) -> Run:
        """The run in a file; whatever `files.damage_named` knows where it holds none."""
        ...


def write(run: Run, path: str | os.PathLike[str], format: Format) -> Path:
    """Writes a run as a file of another format; a file that is there is replaced.

    The file's folder is made where it does not exist.

    Args:
        format: `safetensors`, `torch` or `onnx`.

    Raises:
        ValueError: no run, no path, an unknown format, one that cannot express the network,
            weights that are not finite float32 numbers, or a directory in the file's place.
        MissingExtra: the format's library is not installed.
    """
    check_run(run, for_file=True)
    path = checks.path("path", path)
    if path.is_dir():
        raise ValueError(f"{path} is a directory; name a file to write")
    files.write_anew(path, _codec(format).encode(run))
    return path


def read(path: str | os.PathLike[str]) -> Run:
    """Reads a run from a file that `write` wrote; its content tells the format.

    Raises:
        ValueError: no path, or there is no such file.
        MissingExtra: the format's library is not installed.
        DamagedFile: a file that is cut short or altered, of another version, or of another
            program.
    """
    path = files.readable(checks.path("path", path))
    data = path.read_bytes()
    with files.damage_named(path):
        format = recognise(data)
    codec = _codec(format)
    with files.damage_named(path):
        return codec.decode(data)


def recognise(data: bytes) -> Format:
    """The format of a file, by how it begins.

    Raises:
        ValueError: none of them.
    """
    if not isinstance(data, bytes):
        raise ValueError(f"data must be bytes, not {checks.shown(data)}")
    if data[:4] == b"PK\x03\x04" and not _holds_arrays(data):
        return "torch"
    if data[8:9] == b"{":
        return "safetensors"
    if data[:1] == b"\x08":  # ir_version, the first field of an ONNX model
        return "onnx"
    raise ValueError(f"it is {_kind(data)}; files of {', '.join(get_args(Format))} are read")


def _holds_arrays(data: bytes) -> bool:
    """Whether the first member of a zip is an array, as in an .npz."""
    size = int.from_bytes(data[26:28], "little")
    return data[30 : 30 + size].endswith(b".npy")


def _kind(data: bytes) -> str:
    """What a file of another kind is, by its first bytes."""
    if not data:
        return "empty"
    if data[:4] == b"PK\x03\x04":
        return "an .npz of arrays, such as a run directory holds"
    kinds = {
        **{b"\x80": "a pickle", b"\x89HDF": "an HDF5 file", b"\x93NUMPY": "an .npy array"},
        **{b"\x89PNG": "a PNG picture", b"GIF8": "a GIF picture", b"\x1f\x8b": "a gzip file"},
        **{b"{": "a JSON file", b"SQLite": "an SQLite file", b"<": "an HTML or XML file"},
    }
    return next(
        (kind for start, kind in kinds.items() if data.startswith(start)), "of no known kind"
    )


def _codec(format: str) -> Codec:
    checks.one_of("format", format, MODULES)
    try:
        module = importlib.import_module(f"longlag.interop.{MODULES[format]}")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"format {format} needs {error.name}, which is not installed: "
            "pip install 'longlag[interop]'"
        ) from error
    return cast(Codec, module)
