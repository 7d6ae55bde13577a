"""Files: written whole or not at all, read back with a check."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import tempfile
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 2**32  # bytes that an .npz may unpack to
SMALL, MOST_RATIO = 2**26, 100  # what is larger is not so much smaller when packed
END_RECORD = 22  # bytes at the end of a zip without a comment
ENCRYPTED = 0x1  # flag of a zip's member
HEADERS: dict[tuple[int, int], Callable[[Any], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class DamagedFile(ValueError):
    """A file that cannot be what it should be; the message names it."""


class Untrusted(ValueError):
    """A file names what must not be imported for its sake."""


class Unloadable(ValueError):
    """A part that cannot be imported here, which is no fault of the file that names it."""


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name beside `path`, then renames it into place.

    What is there and no regular file, such as a pipe, is written to.
    """
    if path.exists() and not path.is_file():
        with _named(path):
            path.write_bytes(data)
    else:
        write_together({path: data})


def write_anew(path: Path, data: bytes) -> None:
    """The same of a file whose directory is made where it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def write_together(contents: Mapping[Path, bytes], without: Iterable[Path] = ()) -> None:
    """Writes files under temporary names, removes others, and renames the new ones, both in order.

    Where one cannot be written, all is as it was.

    Raises:
        IsADirectoryError: a directory is in the place of one.
    """
    gone = list(without)
    for path in (*contents, *gone):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    umask = os.umask(0)
    os.umask(umask)
    staged: dict[str, Path] = {}
    try:
        for path, data in contents.items():
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            staged[name] = path
            with _named(path), os.fdopen(handle, "wb") as file:  # closing it writes, too
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~umask)  # mkstemp's 0600 is for secrets
        for path in gone:
            path.unlink(missing_ok=True)
        for name, path in staged.items():
            os.replace(name, path)
    except BaseException:
        for name in staged:
            with suppress(FileNotFoundError):  # it is in its place
                os.unlink(name)
        raise


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Has an error name the file: a full disk is met where only its number is known."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def readable(path: Path) -> Path:
    """The path of a file, or of a pipe.

    Raises:
        ValueError: there is nothing, or something else.
    """
    if path.is_file() or path.is_fifo():  # a pipe, as /dev/stdin can be
        return path
    raise ValueError(f"{path} is no file" if path.exists() else f"there is no file {path}")


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


def parted(values: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays among some values, for an .npz, and the other values, for JSON."""
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return arrays, {name: value for name, value in values.items() if name not in arrays}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz; nothing in it is ever executed.

    Raises:
        DamagedFile: not an .npz, cut short, altered (its checksums fail), holding what
            `numpy.savez` cannot have written, or unpacking to too much (see `LARGEST`).
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
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        check_archive(archive, data)
        members = archive.infolist()
        for member in members:
            if not member.filename.endswith(".npy"):
                raise ValueError(f"{member.filename} is no array")
        return {
            m.filename.removesuffix(".npy"): _array(m.filename, archive.read(m)) for m in members
        }


def check_archive(archive: zipfile.ZipFile, data: bytes) -> None:
    """Refuses a zip that programs read differently, or that unpacks to very much.

    Raises:
        ValueError: a name twice, bytes before the first member or behind the end, encryption, or
            more than `LARGEST` bytes or, from 64 MiB on, 100 times the file's own.
    """
    members = archive.infolist()
    for name, times in Counter(member.filename for member in members).items():
        if times > 1:
            raise ValueError(f"it holds {name} {times} times")
    start = min((member.header_offset for member in members), default=0)
    ends = data[-END_RECORD:].startswith(b"PK\5\6") and data.endswith(b"\0\0")
    if start != 0 or not ends:
        raise ValueError("it holds bytes that belong to none of its members")
    if any(member.flag_bits & ENCRYPTED for member in members):
        raise ValueError("it is encrypted")
    size = sum(member.file_size for member in members)
    if size > LARGEST or (size > SMALL and size > MOST_RATIO * len(data)):
        raise ValueError(f"its {len(data):,} bytes would unpack to {size:,}")


def _array(name: str, content: bytes) -> np.ndarray:
    """The array of a member, whose size must be what its header says, before room is made."""
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError(f"{name.removesuffix('.npy')} is no array")
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"{name} is of version {version} of its format")
    shape, _, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects")
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"{name} holds another number of bytes than its header says")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a file's content is read into a DamagedFile that names it."""
    try:
        yield
    except (DamagedFile, Unloadable):
        raise
    except Untrusted as error:
        raise DamagedFile(f"{path} cannot be read: {error}") from error
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
