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
    STATE,
    SWEEP,
    TINY,
    TRIALS,
    call,
    check,
    copied,
    furnish,
    inline_workers,
)
from mutations import mutations

RUN = (
    ("evaluate", "run", "--n", "20"),
    ("compare", "other", "run", "--n", "20"),
    ("animate", "run", "--n-frames", "2", "--out", "new.gif"),
    ("train", *TINY, "--save-dir", "run"),
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


def attempt(furnished: Path, name: str, seed: int) -> None:
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
        check(words, outcome)
        if outcome.status == 2:
            assert path.read_bytes() == data, f"{words} changed {name}"


FILE = st.sampled_from(sorted(FILES))
SEED = st.integers(0, 2**32 - 1)


@settings(max_examples=200)
@given(name=FILE, seed=SEED)
def test_whatever_happened_to_a_file(furnished: Path, name: str, seed: int) -> None:
    attempt(furnished, name, seed)


@pytest.mark.long
@settings(max_examples=4000)
@given(name=FILE, seed=SEED)
def test_thousands_of_damaged_files(furnished: Path, name: str, seed: int) -> None:
    attempt(furnished, name, seed)
