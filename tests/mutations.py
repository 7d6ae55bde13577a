"""Files gone wrong: damage by chance, and content that is well formed and not what it should be."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import EXECUTED
from longlag.sweeps.ledger import COLUMNS, checksum

Mutation = Callable[[bytes, random.Random], bytes]

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 2**31, 2**63, 2**70, 10**400, 1e308, float("nan")),
    *(float("inf"), "", "x", "robust", "1", "é" * 1000, "\ud800", "a\nb", [], {}, [[]], [[[1]]]),
    *({"a": {}}, [1, 2, 3], [[1, 0.5, 3]], [[0.5, "x"]], [None], {"n": 1}, {"": []}),
)
RAW = (
    *(b"", b"null", b"NaN", b"-", b'"', b"[]", b"{}", b"1" * 10_000, b"[" * 200_000),
    *(b'{"a":' * 200_000, b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\xff", b"{" * 5, b"1e999"),
)


class Payload:
    """What runs as soon as it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (EXECUTED,)


# -- any file -------------------------------------------------------------------------------------


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 10, 300))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.choice((0, 1, 4, 20, len(data) - 1, chance.randrange(len(data))))]


def spliced(data: bytes, chance: random.Random) -> bytes:
    """Some bytes copied, zeroed, repeated or made noise."""
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 8, 64, 1000, 100_000)))
    other = chance.randrange(len(data))
    piece = chance.choice(
        (data[other : other + end - start], bytes(end - start), chance.randbytes(end - start), b"")
    )
    keep = start if chance.random() < 0.3 else end  # inserted, or put over what was there
    return data[:start] + piece + data[keep:]


def pickled(data: bytes, chance: random.Random) -> bytes:
    return pickle.dumps(Payload(), chance.randrange(6))


GENERAL: tuple[Mutation, ...] = (flipped, cut, spliced, pickled)

# -- JSON -----------------------------------------------------------------------------------------


def tree(data: bytes, chance: random.Random) -> bytes:
    """Valid JSON with some of its values changed, or text that is none."""
    if chance.random() < 0.15:
        return chance.choice(RAW)
    content = json.loads(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        content = _changed(content, chance)
    return json.dumps(content).encode()


def _changed(content: Any, chance: random.Random) -> Any:
    if isinstance(content, dict | list) and content and chance.random() < 0.93:
        content = content.copy()
        key = chance.choice(list(content) if isinstance(content, dict) else range(len(content)))
        if chance.random() < 0.1:
            del content[key]
        else:
            content[key] = _changed(content[key], chance)
        return content
    return chance.choice((*ODD, [content], {"value": content}, str(content)))


# -- arrays ---------------------------------------------------------------------------------------


def arrays(data: bytes, chance: random.Random) -> bytes:
    """A valid archive, its checksums right, whose arrays are not what they should be."""
    with np.load(io.BytesIO(data)) as archive:
        held = dict(archive)
    members = {name: npy(array) for name, array in held.items()}
    for _ in range(chance.choice((1, 1, 2))):
        name = chance.choice(sorted(held))
        if name == "about" and chance.random() < 0.8:
            text = np.frombuffer(tree(held[name].tobytes(), chance), np.uint8)
            members[name] = npy(text)
        else:
            _change(members, held, name, chance)
    return packed(members)


def _change(
    members: dict[str, bytes], held: dict[str, np.ndarray], name: str, chance: random.Random
) -> None:
    what = chance.choice(("swap", "cast", "shape", "value", "forge", "gone", "more", "pickle"))
    array = held[name]
    if what == "swap":
        other = chance.choice(sorted(held))
        members[name], members[other] = npy(held[other]), npy(held[name])
    elif what == "cast":
        kind = chance.choice(("f8", "f2", ">f4", "i4", "u1", "c16", "?", "U3", "S4", "M8[s]", "V4"))
        with np.errstate(all="ignore"):
            members[name] = npy(np.zeros(array.shape, kind) if kind == "V4" else _as(array, kind))
    elif what == "shape":
        shapes = (array.ravel(), array[None], array[..., None], array.T, np.zeros(0, array.dtype))
        more = (np.resize(array, array.size + 1), np.resize(array, ()), np.resize(array, (2, 0)))
        members[name] = npy(chance.choice((*shapes, *more)))
    elif what == "value":
        changed = np.array(array)
        odd = chance.choice((np.nan, np.inf, -np.inf, 3e38, -1, 2**31 - 1, 255, 0))
        with np.errstate(all="ignore"):
            changed.flat[chance.randrange(max(1, changed.size)) :] = _as(np.array(odd), array.dtype)
        members[name] = npy(changed)
    elif what == "forge":
        members[name] = _forged(chance)
    elif what == "gone":
        members.pop(name, None)
    elif what == "more":
        names = ("more", "../more", "/more", "é", "", "about", "weights" * 1000)
        members[chance.choice(names)] = npy(array)
    else:
        objects = np.array([Payload()], dtype=object)
        members[name] = chance.choice((npy(objects), pickle.dumps(Payload())))


def _as(array: np.ndarray, kind: Any) -> np.ndarray:
    try:
        return array.astype(kind)
    except (TypeError, ValueError):
        return np.zeros(array.shape, kind)


def npy(array: np.ndarray) -> bytes:
    """An array as a member of an archive."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


def _forged(chance: random.Random) -> bytes:
    """A header that promises what does not follow."""
    shape = chance.choice(
        (
            *("(10**12,)", "(1000000000000,)", "(4611686018427387904,)", "(-1,)", "(2, -3)"),
            *(f"({'9' * 30},)", "()", "('a',)", "None", "(" * 5000, "(3000000000,)", "(True,)"),
        )
    )
    kind = chance.choice(("'<f4'", "'|O'", "'<f8'", "[('a', '<f4')]", "'<U1000000000'", "1", "'x'"))
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"
    size = chance.choice((len(text), len(text), 65535, 0))
    return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + text.encode() + bytes(64)


def packed(members: dict[str, bytes]) -> bytes:
    """An archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def bomb(gigabytes: int) -> bytes:
    """An archive of a few megabytes whose one array, weights of zeros, is of many gigabytes."""
    size, block = gigabytes * 2**30, 2**20
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    shape = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},), }}"
    header += shape.ljust(117).encode() + b"\n"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = zlib.compressobj(9, zlib.DEFLATED, -15)
    once = zeros.compress(bytes(block)) + zeros.flush(zlib.Z_FULL_FLUSH)
    packed += once * (size // block) + packer.flush()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Wx.npy", packed)
        info = archive.infolist()[0]  # stored as it is; the directory calls it what it is
        info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, size + len(header)
    data = bytearray(buffer.getvalue())
    data[8:10] = zipfile.ZIP_DEFLATED.to_bytes(2, "little")
    return bytes(data)


# -- exports --------------------------------------------------------------------------------------


def header(data: bytes, chance: random.Random) -> bytes:
    """A safetensors file whose header says something else."""
    size = int.from_bytes(data[:8], "little")
    text = tree(data[8 : 8 + size], chance)
    told = chance.choice((len(text), len(text), 2**63, 0, len(text) + 10**9))
    return told.to_bytes(8, "little") + text + data[8 + size :]


def objects(data: bytes, chance: random.Random) -> bytes:
    """A PyTorch file that holds what PyTorch would have to execute."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice([name for name in held if name.endswith(".pkl")] * 9 + sorted(held))
    held[name] = chance.choice((pickle.dumps(Payload(), 2), flipped(held[name] or b"x", chance)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in held.items():
            archive.writestr(member, content)
    return buffer.getvalue()


# -- ledgers --------------------------------------------------------------------------------------


def rows(data: bytes, chance: random.Random) -> bytes:
    """A sound SQLite file, its checksums right, whose rows are not what they should be."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "ledger"
        path.write_bytes(data)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = DELETE")
        if chance.random() < 0.15:
            connection.executescript(chance.choice(STATEMENTS))
        else:
            _change_rows(connection, chance)
        connection.close()
        return path.read_bytes()


STATEMENTS = (
    "DROP TABLE trials",
    "DELETE FROM trials",
    "PRAGMA user_version = 7",
    "PRAGMA application_id = 3",
    "ALTER TABLE trials DROP COLUMN host",
    "ALTER TABLE trials RENAME COLUMN score TO scores",
    "ALTER TABLE trials RENAME TO t; CREATE VIEW trials AS SELECT * FROM t",
    "ALTER TABLE trials RENAME TO t; CREATE TABLE trials AS SELECT * FROM t",
    "UPDATE trials SET crc = 'x'",
    "UPDATE trials SET number = -number",
)


def _change_rows(connection: sqlite3.Connection, chance: random.Random) -> None:
    names = ", ".join(COLUMNS)
    found = connection.execute(f"SELECT number, {names} FROM trials").fetchall()
    every = chance.random() < 0.5
    column = chance.randrange(len(COLUMNS))
    odd = _cell(found[0][1 + column], chance)
    for number, *values in found if every else [chance.choice(found)]:
        values[column] = odd
        if COLUMNS[column] == "key":
            values[column] = f"{odd}{number}"
        marks = ", ".join(f"{name} = ?" for name in COLUMNS)
        connection.execute(
            f"UPDATE OR REPLACE trials SET {marks}, crc = ? WHERE number = ?",
            [*values, checksum(values), number],
        )


def _cell(value: Any, chance: random.Random) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        text = tree(value.encode(), chance)
        return chance.choice((text.decode("latin-1"), text.decode("latin-1"), text, None, 3))
    return chance.choice((None, 0, -1, 2**62, 1.5, 1e308, "", "x", "é\n", b"\x00\xff", "y" * 10**5))


def mutations(name: str) -> tuple[Mutation, ...]:
    """What can happen to a file of this name; what is well formed three times as often."""
    suffix = Path(name).suffix
    formed: dict[str, Mutation] = {".npz": arrays, ".json": tree, ".sqlite": rows}
    formed |= {".safetensors": header, ".torch": objects}
    return (*GENERAL, *[formed[suffix]] * 8) if suffix in formed else GENERAL
