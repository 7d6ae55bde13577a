"""Files: written whole or not at all, read back with a check."""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 2**32  # bytes that an .npz may unpack to


class DamagedFile(ValueError):
    """A file that cannot be what it should be; the message names it."""


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name beside `path`, then renames it into place."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp's 0600 is for secrets
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as .npz, for `read_arrays`.

    Raises:
        ValueError: an array of objects.
    """
    write_bytes(path, packed(arrays))


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the content of an .npz, for `unpacked`.

    Raises:
        ValueError: an array of objects.
    """
    buffer = io.BytesIO()
    # numpy's savez takes arrays as keyword arguments: before 2.1 it kept allow_pickle as one more.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz; nothing in it is ever executed.

    Raises:
        DamagedFile: not an .npz, cut short, altered (its checksums fail), holding objects, or
            unpacking to more than 4 GiB.
        FileNotFoundError: there is no such file.
    """
    data = path.read_bytes()
    with damage_named(path):
        return unpacked(data)


def unpacked(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz.

    Raises:
        ValueError: it is damaged, too large, or holds what is no array; and others, which
            `damage_named` turns into a DamagedFile.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # or it is no .npz
        size = sum(member.file_size for member in archive.infolist())
    if size > LARGEST:
        raise ValueError(f"it would unpack to {size:,} bytes, more than {LARGEST:,}")
    found = np.load(io.BytesIO(data), allow_pickle=False)
    arrays = {name: found[name] for name in found.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy gives what is no array as bytes
            raise ValueError(f"{name} is no array")
    return arrays


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a file's content is read into a DamagedFile that names it."""
    try:
        yield
    except DamagedFile:
        raise
    except (
        ArithmeticError,
        EOFError,
        LookupError,
        MemoryError,
        NotImplementedError,
        RecursionError,
        RuntimeError,
        SyntaxError,
        TypeError,
        ValueError,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"it lacks {reason}"
        raise DamagedFile(f"{path} is damaged or not longlag's: {reason}") from error


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON with null for numbers that are not finite."""
    return json.dumps(_null_for_nan(value), indent=indent, allow_nan=False)


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _null_for_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_null_for_nan(v) for v in value]
    return value
