"""The ledger: an SQLite file with one row a trial; what makes a sweep resumable.

A row's key is a digest of all that determines the trial's result: what is called, every setting,
the seed, the engine and the version of the code. Only the coordinator of a sweep writes, under a
lock; anybody may read meanwhile. The file is in SQLite's write-ahead mode: a killed coordinator
leaves a ledger that holds every batch of rows it had recorded. Every row carries a checksum, since
SQLite has none of its own.

On-line trials of the paper's rules have a state, the content of an .npz, and any other training
that takes longer than half a minute has one until it ends. A trial with the status `unfinished`
continues from its state; the state of one with a result is where one of the same lineage, the same
trial with a larger budget, continues. A finished trial's row replaces its unfinished one.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import functools
import io
import itertools
import json
import os
import sqlite3
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

from longlag.files import DamagedFile
from longlag.sweeps.trial import UNFINISHED

FILE = "ledger.sqlite"  # in the directory of a study
APPLICATION, SCHEMA = 0x6C6C6167, 2  # "llag", and the version of the tables below
DONE = ("target", "max_iterations", "diverged")
STATUS = (*DONE, UNFINISHED, "failed")  # the last is tried again
COLUMNS = (
    *("key", "status", "recipe", "settings", "seed", "version", "score", "fresh", "sequences"),
    *("seconds", "curve", "stops", "engine", "isa", "versions", "host", "started", "ended"),
    *("error", "lineage", "state"),
)
IN_JSON = ("settings", "score", "fresh", "curve", "stops", "versions")
OUTCOME = ("recipe", "engine", "version", "settings", "seed", "status", "sequences", "error", "key")
_outcome = itemgetter(*map(COLUMNS.index, OUTCOME))
ARROW_ROWS = 10_000  # unpacked at a time, on the way to Arrow
EXPORTED = tuple(name for name in COLUMNS if name not in ("lineage", "state"))
_TEXT, _NUMBER, _NONE = (str,), (int, float), (type(None),)
KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("key", "status", "recipe", "version", "host", "ended"), _TEXT),
    **dict.fromkeys(("engine", "isa", "started", "error", "lineage"), (*_TEXT, *_NONE)),
    **dict.fromkeys(("settings", "versions"), (dict,)),
    **dict.fromkeys(("score", "fresh"), (dict, *_NONE)),
    **{"seed": (int,), "sequences": (int, *_NONE), "seconds": (*_NUMBER, *_NONE)},
    "curve": (list, dict, *_NONE),  # a study's trials may keep something else in its place
    **{"stops": (list, *_NONE), "state": (bytes, *_NONE)},
}
LISTED = ("status", "recipe", "seed", "sequences", "seconds", "engine", "isa", "host", "ended")

TABLES = f"""
CREATE TABLE trials (number INTEGER PRIMARY KEY, {", ".join(COLUMNS)}, crc INTEGER NOT NULL);
CREATE UNIQUE INDEX by_key ON trials (key);
CREATE INDEX by_status ON trials (recipe, status);
CREATE INDEX by_lineage ON trials (lineage, sequences) WHERE state IS NOT NULL;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
"""

Row = dict[str, Any]


class Ledger:
    """An open ledger; a context manager.

    `Ledger.open` is for the coordinator of a sweep, `Ledger.read` for everybody else.
    """

    path: Path

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._connection = path, connection

    @classmethod
    @contextmanager
    def open(cls, path: str | os.PathLike[str]) -> Iterator[Self]:
        """The ledger at `path`, for writing, created where there is none.

        Raises:
            ValueError: another coordinator has it open, or the path cannot be written to.
            DamagedFile: there is a file that is no ledger, is damaged, or of another version.
        """
        path = Path(os.path.realpath(path))
        if path.is_dir():
            raise ValueError(f"{path} is a directory, no ledger")
        if path.exists():
            _check_size(path)  # no lock beside a file that is no ledger
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        except (FileExistsError, NotADirectoryError) as error:
            reason = f"{path.parent} is no directory"
            raise ValueError(f"cannot write the ledger {path}: {reason}") from error
        except OSError as error:
            raise ValueError(f"cannot write the ledger {path}: {error.strerror}") from error
        try:
            _take(lock, path)
            with _errors_named(path):
                if not path.exists():
                    _create(path)
            with cls._connected(path, "rw") as ledger, _errors_named(path):
                yield ledger
        finally:
            os.close(lock)

    @classmethod
    @contextmanager
    def read(cls, path: str | os.PathLike[str]) -> Iterator[Self]:
        """The ledger at `path`, for reading, while a sweep may be writing to it.

        Raises:
            ValueError: there is no such file.
            DamagedFile: it is no ledger, is damaged, or of another version.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"{path} is not a ledger: there is no such file")
        mode = "rw"
        if not os.access(path, os.W_OK):
            # Beside a write-ahead log SQLite needs files of its own, which it cannot make here.
            mode = "ro" if Path(f"{path}-wal").exists() else "ro&immutable=1"
        with cls._connected(path, mode) as ledger, _errors_named(path):
            yield ledger

    @classmethod
    @contextmanager
    def _connected(cls, path: Path, mode: str) -> Iterator[Self]:
        _check_size(path)
        with _errors_named(path):
            address = f"{path.resolve().as_uri()}?mode={mode}"
            connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)
        try:
            with _errors_named(path):
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.row_factory = sqlite3.Row
                _check(path, connection)
            yield cls(path, connection)
        finally:
            with contextlib.suppress(sqlite3.Error):  # a full disk: the rest stays in the log
                connection.close()

    # -- writing ------------------------------------------------------------------------------

    def record(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes rows by the names of `COLUMNS`, all or none; a key's earlier row is replaced, but
        not a result by what is none.

        A trial that failed keeps the state that it had, to go on from when it is tried again.
        """
        with _errors_named(self.path):
            kept = (r for r in rows if r["status"] in DONE or not self.done(r["key"]))
            packed = (_pack(self._with_state(row)) for row in kept)  # each after those before it
            marks = ", ".join("?" * (len(COLUMNS) + 1))
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    f"INSERT OR REPLACE INTO trials ({', '.join(COLUMNS)}, crc) VALUES ({marks})",
                    packed,
                )
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _with_state(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if row["status"] != "failed":
            return row
        query = "SELECT sequences, lineage, state FROM trials WHERE key = ? AND state IS NOT NULL"
        found = self._connection.execute(query, (row["key"],)).fetchone()
        return row if found is None else {**row, **dict(found)}

    # -- reading ------------------------------------------------------------------------------

    def done(self, key: str) -> bool:
        """Whether the trial has a result; one that failed has none."""
        found = self._connection.execute("SELECT status FROM trials WHERE key = ?", (key,))
        row = found.fetchone()
        return row is not None and row[0] in DONE

    def get(self, key: str) -> Row | None:
        """A trial's row, where there is one."""
        found = self._connection.execute("SELECT * FROM trials WHERE key = ?", (key,)).fetchone()
        return None if found is None else self._unpack(found)

    def state(self, key: str, lineage: str | None, most: int) -> bytes | None:
        """The state of a trial; where it has a lineage, the state of that one of it which has the
        most sequences, up to `most`. None where there is none.
        """
        which, values = "key = ?", (key,)
        if lineage is not None:
            which, values = "lineage = ? AND sequences <= ?", (lineage, most)
        found = self._connection.execute(
            f"SELECT * FROM trials WHERE state IS NOT NULL AND {which} "
            "ORDER BY sequences DESC LIMIT 1",
            values,
        ).fetchone()
        return None if found is None else self._unpack(found)["state"]

    def rows(self) -> Iterator[Row]:
        """All rows, one after another, in the order in which they were recorded."""
        for found in self._connection.execute("SELECT * FROM trials ORDER BY number"):
            yield self._unpack(found)

    def outcomes(self) -> Iterator[Row]:
        """Of all rows, in that order, the columns `OUTCOME`, of which `longlag.sweeps.rates` makes
        groups; settings that are the same are one object."""
        loads = functools.cache(json.loads)
        for found in self._connection.execute("SELECT * FROM trials ORDER BY number"):
            row: Row = dict(zip(OUTCOME, _outcome(self._values(found)), strict=True))
            yield self._checked(found, row, loads)

    def latest(self, count: int) -> list[Row]:
        """The rows recorded last, the newest first."""
        query = "SELECT * FROM trials ORDER BY number DESC LIMIT ?"
        return [self._unpack(found) for found in self._connection.execute(query, (count,))]

    def counts(self) -> dict[str, Counter[str]]:
        """How many trials of each recipe have which status."""
        counts: dict[str, Counter[str]] = {}
        query = "SELECT recipe, status, COUNT(*) FROM trials GROUP BY recipe, status"
        for recipe, status, count in self._connection.execute(query):
            counts.setdefault(str(recipe), Counter())[str(status)] = count
        return counts

    def _unpack(self, found: sqlite3.Row) -> Row:
        row: Row = dict(zip(COLUMNS, self._values(found), strict=True))
        row = self._checked(found, row, json.loads)
        try:
            check_row(row)
        except ValueError as error:
            raise _damaged(self.path, f"row {found['number']} is no trial's: {error}") from error
        return row

    def _values(self, found: sqlite3.Row) -> list[Any]:
        """A row as it is stored, in the order of `COLUMNS`."""
        _, *values, crc = found
        if crc != checksum(values):
            raise _damaged(self.path, f"row {found['number']} fails its checksum")
        return values

    def _checked(self, found: sqlite3.Row, row: Row, loads: Callable[[str], Any]) -> Row:
        """Some of a row's values, unpacked, each of a kind that it can have."""
        try:
            row |= {name: loads(row[name]) for name in IN_JSON if name in row}
            check_kinds(row)
        except (TypeError, ValueError, RecursionError) as error:
            raise _damaged(self.path, f"row {found['number']} is no trial's: {error}") from error
        return row


def find(path: Path) -> Path:
    """The ledger at a path: the file itself, or the one in the directory of a study.

    Raises:
        ValueError: a directory that holds none.
    """
    if path.is_dir() and not (path / FILE).is_file():
        raise ValueError(f"{path} holds no {FILE}: name a ledger, or the directory of a study")
    return path / FILE if path.is_dir() else path


def check_row(row: Row) -> None:
    """Refuses values of kinds that no trial has; a result has a score and a length.

    Raises:
        ValueError: what is wrong with it.
    """
    check_kinds({name: row.get(name) for name in KINDS})
    if row["status"] in DONE and None in (row["score"], row["sequences"]):
        raise ValueError("it has no score or no sequences")
    if row["status"] == UNFINISHED and None in (row["state"], row["sequences"]):
        raise ValueError("it is unfinished and has no state")
    scores = [*(row["score"] or {}).values(), *(row["fresh"] or {}).values()]
    curve = row["curve"] if isinstance(row["curve"], list) else []
    if not all(isinstance(test, list) and len(test) == 3 for test in curve):
        raise ValueError("its curve is none")
    if not all(isinstance(value, _NUMBER) for value in (*scores, *(v for t in curve for v in t))):
        raise ValueError("its score or curve is no number")


def check_kinds(row: Row) -> None:
    """Refuses values of kinds that a trial's have not, in a row of some columns, its status among
    them.

    Raises:
        ValueError: what is wrong with one.
    """
    for name, value in row.items():
        if not isinstance(value, KINDS[name]):
            raise ValueError(f"its {name} is of type {type(value).__name__}")
    if row["status"] not in STATUS:
        raise ValueError(f"its status is {row['status']!r}")


def _pack(row: Mapping[str, Any]) -> list[Any]:
    values = [
        json.dumps(row[name], sort_keys=True) if name in IN_JSON else row[name] for name in COLUMNS
    ]
    return [*values, checksum(values)]


def checksum(values: list[Any]) -> int:
    """Of a row's values as they are stored, in the order of `COLUMNS`."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def _damaged(path: Path, reason: str) -> DamagedFile:
    return DamagedFile(
        f"{path} is damaged or not a ledger of longlag's: {reason}; it is left as it is, "
        "start a new one under another name"
    )


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into one of ours, in a sentence that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None) or 0
        reason = str(error)
        if code & 0xFF == sqlite3.SQLITE_FULL or "disk is full" in reason:
            raise OSError(errno.ENOSPC, "the disk is full; what it holds is safe", str(path)) from (
                error
            )
        if code & 0xFF == sqlite3.SQLITE_IOERR:
            raise OSError(
                errno.EIO, f"{reason} (is the disk full?); what it holds is safe", str(path)
            ) from error
        if code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY):
            raise ValueError(f"cannot use the ledger {path}: {reason}") from error
        raise _damaged(path, reason) from error
    except UnicodeError as error:
        raise _damaged(path, "text that is none") from error
    except json.JSONDecodeError as error:
        raise _damaged(path, "a row that is no JSON") from error


def _take(lock: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ValueError(
            f"another sweep is writing to the ledger {path}: wait for it, or use another --ledger"
        ) from error


def _create(path: Path) -> None:
    """Makes an empty ledger, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as directory:
        fresh = Path(directory) / "ledger"
        connection = sqlite3.connect(fresh, isolation_level=None)
        try:
            connection.executescript(TABLES)
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        for left in ("-wal", "-shm"):  # of a ledger that somebody removed: not of this one
            Path(f"{path}{left}").unlink(missing_ok=True)
        os.replace(fresh, path)


def _check_size(path: Path) -> None:
    """Refuses a file that is no SQLite file, or shorter than its head says.

    Before SQLite opens it: closing a file undoes the locks that a process has on it. While there
    is a write-ahead log, the file alone need not be whole.
    """
    log = Path(f"{path}-wal")
    with path.open("rb") as file:
        head = file.read(32)
    if not head:
        raise _damaged(path, "it is empty")
    if not head.startswith(b"SQLite format 3\0"):
        raise _damaged(path, "file is not a database")
    if not (log.exists() and log.stat().st_size):
        page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
        page = 65536 if page == 1 else max(page, 1)
        if path.stat().st_size % page or path.stat().st_size < page * pages:
            raise _damaged(path, "it is cut short")


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Refuses a file that is no ledger, of another version, or whose pages do not fit together."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION:
        raise _damaged(path, "an SQLite file of another program")
    schema = connection.execute("PRAGMA user_version").fetchone()[0]
    if schema != SCHEMA:
        raise DamagedFile(
            f"{path} is a ledger of format {schema}, this version reads {SCHEMA}: read it with the "
            "version that wrote it, or start a new one under another name"
        )
    columns = [found["name"] for found in connection.execute("PRAGMA table_info(trials)")]
    if columns != ["number", *COLUMNS, "crc"]:
        raise _damaged(path, "its table is another")
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _damaged(path, str(found).replace("\n", " "))


# -- a ledger in words ----------------------------------------------------------------------------


def export(ledger: Ledger, form: str) -> str:
    """All rows as `csv` or `markdown`."""
    text = io.StringIO()
    if form == "csv":
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(EXPORTED)
        for row in ledger.rows():
            writer.writerow([_plain(row, name) for name in EXPORTED])
    else:
        text.write("| " + " | ".join(LISTED) + " |\n" + "| --- " * len(LISTED) + "|\n")
        for row in ledger.rows():
            text.write("| " + " | ".join(str(_plain(row, name)) for name in LISTED) + " |\n")
    return text.getvalue()


def arrow(ledger: Ledger) -> Any:
    """All rows as a table of Arrow's, of which pandas and polars make theirs; needs pyarrow.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import pyarrow  # type: ignore[import-not-found]
    except ImportError as error:
        raise ValueError(
            "Parquet and Arrow need pyarrow, which is not installed: pip install "
            "'longlag[parquet]', or use --format csv"
        ) from error
    numbers = {"seed": pyarrow.int64(), "sequences": pyarrow.int64(), "seconds": pyarrow.float64()}
    schema = pyarrow.schema([(name, numbers.get(name, pyarrow.string())) for name in EXPORTED])
    rows = ledger.rows()
    parts = iter(lambda: list(itertools.islice(rows, ARROW_ROWS)), [])
    batches = (
        pyarrow.RecordBatch.from_pylist(
            [{name: _plain(row, name) for name in EXPORTED} for row in part], schema
        )
        for part in parts
    )
    return pyarrow.Table.from_batches(batches, schema)


def parquet(ledger: Ledger) -> bytes:
    """All rows as the content of a Parquet file; errors as in `arrow`."""
    table, buffer = arrow(ledger), io.BytesIO()
    import pyarrow.parquet  # type: ignore[import-not-found]

    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def _plain(row: Row, name: str) -> Any:
    """A cell: a number, a text, JSON where it has parts, or None."""
    value = row[name]
    if name in IN_JSON and value is not None:
        return json.dumps(value, sort_keys=True)
    return value
