"""Every file that is read, gone wrong in any way: a result or one sentence, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import (
    LEDGER,
    ONLINE,
    STATE,
    SWEEP,
    TINY,
    TRIALS,
    call,
    check,
    copied,
    exports,
    furnish,
    inline_workers,
)
from mutations import bomb, mutations
from reliability import Tally

RUN = (
    ("evaluate", "run", "--n", "20"),
    ("compare", "other", "run", "--n", "20"),
    ("animate", "run", "--n-frames", "2", "--out", "new.gif"),
    ("train", *TINY, "--save-dir", "run"),
)
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
    "unfinished/checkpoint.npz": (
        ("train", "--resume", "--save-dir", "unfinished", "--quiet"),
        ("train", *TINY, "--save-dir", "unfinished"),
    ),
    LEDGER: (
        ("ledger", "show", LEDGER, "--json"),
        ("ledger", "show", LEDGER),
        ("ledger", "export", LEDGER),
        ("ledger", "export", LEDGER, "--format", "markdown", "--out", "new.md"),
        ("study", "seeds", *SWEEP, "--lengths", "30", "--out", "sweep", "--json"),
    ),
    STATE: (("study", "table8", *TRIALS, "--out", "trials"),),
    "online/weights.npz": ON_LINE,
    "online/history.json": ON_LINE,
    "online/checkpoint.npz": (("train", "--resume", "--save-dir", "online", "--quiet"),),
    **{path: (("import", path, "--out", "new", "--json"),) for path in exports().values()},
}
# Seconds, where the damage does no harm.
SLOW = {name: ("figures", "run", "--out", "new") for name in FILES if name in ("run/history.json",)}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small example of everything that longlag reads."""
    directory = tmp_path_factory.mktemp("fuzz") / "furnished"
    directory.mkdir()
    furnish(directory)
    return directory


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    with inline_workers():
        yield


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
@settings(max_examples=1500)
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
        assert f"{name} is damaged or not longlag's: it would unpack to 5,3" in outcome.err
