"""Every file that is read, gone wrong in any way: a result or one sentence, and nothing else."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fuzzing import (
    LEDGER,
    ONLINE,
    SWEEP,
    TINY,
    TRIALS,
    TRIALS_LEDGER,
    call,
    check,
    copied,
    exports,
)
from longlag.sweeps.ledger import COLUMNS, checksum
from mutations import bomb, mutations, npy, packed
from reliability import Tally

RUN = (
    ("evaluate", "run", "--n", "20"),
    ("compare", "other", "run", "--n", "20"),
    ("animate", "run", "--n-frames", "2", "--out", "new.gif"),
    ("train", *TINY, "--save-dir", "run"),
)
CHECKPOINT = "unfinished/checkpoint.npz"
RESUME = ("train", "--resume", "--save-dir", "unfinished", "--quiet")
ON_LINE = (
    ("evaluate", "online", "--n", "20"),
    ("train", *ONLINE, "--save-dir", "online"),
)
# Every file that is read, and the commands that read it.
FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    "run/weights.npz": RUN,
    "run/history.json": RUN,
    "run/snapshots.npz": RUN,
    "run/checkpoint.npz": (RUN[-1], ("train", "--resume", "--save-dir", "run", "--quiet")),
    CHECKPOINT: (
        RESUME,
        ("train", *TINY, "--save-dir", "unfinished"),
    ),
    LEDGER: (
        ("ledger", "show", LEDGER, "--json"),
        ("ledger", "show", LEDGER),
        ("ledger", "export", LEDGER),
        ("ledger", "export", LEDGER, "--format", "markdown", "--out", "new.md"),
        ("study", "seeds", *SWEEP, "--lengths", "30", "--out", "sweep", "--json"),
    ),
    TRIALS_LEDGER: (
        ("study", "table8", *TRIALS, "--out", "trials"),
        ("study", "table8", *TRIALS, "--max-sequences", "400", "--out", "trials"),
        ("ledger", "rates", TRIALS_LEDGER),
    ),
    "online/weights.npz": ON_LINE,
    "online/history.json": ON_LINE,
    "online/checkpoint.npz": (("train", "--resume", "--save-dir", "online", "--quiet"),),
    **{path: (("import", path, "--out", "new", "--json"),) for path in exports().values()},
}
# Seconds, where the damage does no harm.
SLOW = {name: ("figures", "run", "--out", "new") for name in FILES if name in ("run/history.json",)}


def attempt(furnished: Path, name: str, seed: int, tally: Tally) -> None:
    """One damaged file, read by one command."""
    chance = random.Random(seed)
    with copied(furnished):
        path = Path(name)
        data = chance.choice(mutations(name))(path.read_bytes(), chance)
        path.write_bytes(data)
        words = chance.choice(FILES[name])
        if name in SLOW and chance.random() < 0.02:
            words = SLOW[name]
        outcome = call(words)
        tally.add()
        check(words, outcome)
        if outcome.status == 2:
            assert path.read_bytes() == data, f"{words} changed {name}"


FILE = st.sampled_from(sorted(FILES))
SEED = st.integers(0, 2**32 - 1)


SURVIVES = pytest.mark.survives(
    "a damaged file (bits, cuts, splices, other arrays, other JSON, other rows, pickles), read",
    "a result, or one sentence and status 1 or 2; the file unchanged, nothing in it executed",
)


@SURVIVES
@settings(max_examples=150)
@given(name=FILE, seed=SEED)
def test_whatever_happened_to_a_file(furnished: Path, name: str, seed: int, tally: Tally) -> None:
    attempt(furnished, name, seed, tally)


@SURVIVES
@pytest.mark.long
@settings(max_examples=1500, phases=(Phase.generate,))
@given(name=FILE, seed=SEED)
def test_thousands_of_damaged_files(furnished: Path, name: str, seed: int, tally: Tally) -> None:
    attempt(furnished, name, seed, tally)


@pytest.mark.survives(
    "an archive of some megabytes that would unpack to 5 GiB", "refused before it is unpacked"
)
@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".npz")])
def test_a_bomb_is_not_unpacked(furnished: Path, name: str) -> None:
    with copied(furnished):
        Path(name).write_bytes(bomb(gigabytes=5))
        outcome = call(FILES[name][-1])
        assert outcome.status == 2
        assert f"{name} is damaged or not longlag's: its " in outcome.err
        assert "bytes would unpack to 5,3" in outcome.err


# -- what was found so, and must not come back ----------------------------------------------------


def rewritten(name: str, **changes: np.ndarray | bytes) -> None:
    """An archive with some members changed, all checksums right."""
    with np.load(name) as archive:
        members = {key: npy(archive[key]) for key in archive}
    members |= {k: v if isinstance(v, bytes) else npy(v) for k, v in changes.items()}
    Path(name).write_bytes(packed(members))


@pytest.mark.parametrize(
    ("name", "changes", "words", "said"),
    [
        ("run/weights.npz", {"Wx": b"no array"}, RUN[0], "Wx is no array"),
        ("run/weights.npz", {"Wx": b"\x93NUMPY\x01\x00\x01\x00("}, RUN[0], "is damaged"),
        ("run/snapshots.npz", {"iterations": np.zeros(12, "c16")}, RUN[2], "iterations must be"),
        (CHECKPOINT, {"learner_weights": np.zeros(1, "f4")}, RESUME, "weights must be"),
        (CHECKPOINT, {"learner_moment_first": np.zeros(76)}, RESUME, "moment_first must"),
        (CHECKPOINT, {"train_losses": np.zeros(3)}, RESUME, "it has 3 losses of"),
    ],
)
def test_arrays_of_other_kinds_are_refused(
    furnished: Path, name: str, changes: dict[str, np.ndarray], words: tuple[str, ...], said: str
) -> None:
    with copied(furnished):
        rewritten(name, **changes)
        outcome = call(words)
        assert outcome.status == 2
        assert f"{name} is damaged" in outcome.err
        assert said in outcome.err


def test_losses_that_no_network_has_are_refused(furnished: Path) -> None:
    with copied(furnished):
        history = json.loads(Path("run/history.json").read_text())
        history["train_losses"][3] = 1e308
        Path("run/history.json").write_text(json.dumps(history))
        assert "1e+308 is beyond any error" in call(RUN[0]).err


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("status", "perhaps", "its status is 'perhaps'"),
        ("sequences", "many", "its sequences is of type str"),
        ("settings", 3, "row 1 is no trial's"),
        ("score", '{"mse": "small"}', "its score or curve is no number"),
        ("curve", "[[1, 2]]", "its curve is none"),
        ("stops", "{}", "its stops is of type dict"),
        ("state", "text", "its state is of type str"),
    ],
)
def test_rows_that_are_no_trials_are_refused(
    furnished: Path, column: str, cell: object, said: str
) -> None:
    with copied(furnished):
        connection = sqlite3.connect(LEDGER, isolation_level=None)
        names = ", ".join(COLUMNS)
        number, *values = connection.execute(f"SELECT number, {names} FROM trials").fetchone()
        values[COLUMNS.index(column)] = cell
        marks = f"{column} = ?, crc = ?"
        change = [cell, checksum(values), number]
        connection.execute(f"UPDATE trials SET {marks} WHERE number = ?", change)
        connection.close()
        for words in (("ledger", "export", LEDGER), ("ledger", "show", LEDGER)):
            outcome = call(words)
            assert outcome.status == 2
            assert said in outcome.err


def test_a_ledger_without_a_column_is_refused(furnished: Path) -> None:
    with copied(furnished):
        connection = sqlite3.connect(LEDGER, isolation_level=None)
        connection.execute("ALTER TABLE trials DROP COLUMN host")
        connection.close()
        assert "its table is another" in call(("ledger", "show", LEDGER)).err
