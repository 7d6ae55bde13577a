"""Files: written whole or not at all, read back with a check."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np


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
    """Writes arrays as .npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz; nothing in it is ever executed.

    Raises:
        DamagedFile: not an .npz, cut short, altered (its checksums fail), or holding objects.
        FileNotFoundError: there is no such file.
    """
    data = io.BytesIO(path.read_bytes())
    with damage_named(path):
        zipfile.ZipFile(data).close()  # or it is no .npz
        archive = np.load(data, allow_pickle=False)
        return {name: archive[name] for name in archive.files}


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
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise DamagedFile(f"{path} is damaged or not longlag's: {reason}") from error
