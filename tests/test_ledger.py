"""The ledger: what it holds, and what it refuses."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from longlag import files
from longlag.sweeps import ledger
from longlag.sweeps.ledger import Ledger


def row(k: int, **changes: Any) -> dict[str, Any]:
    return {
        **{"key": f"key {k}", "status": "target", "recipe": "robust", "settings": {"hidden": 8}},
        **{"seed": k, "version": "0.1.0+abc", "score": {"mse": k / 7}, "fresh": None},
        **{"sequences": 4800, "seconds": 0.1, "curve": [[200, 0.01, 7]], "engine": "native"},
        **{"isa": "avx2", "versions": {"numpy": "2"}, "host": "here", "started": "2026-01-01"},
        **{"ended": "2026-01-02", "error": None, "stops": None, "lineage": None, "state": None},
        **changes,
    }


def test_a_trial_that_fails_keeps_the_state_it_goes_on_from(tmp_path: Path) -> None:
    saved = {"lineage": "line", "state": b"state", "sequences": 4000}
    failed = {"status": "failed", "score": None, "curve": None, "sequences": None}
    with Ledger.open(tmp_path / "ledger") as book:
        book.record([row(1, status="unfinished", **saved), row(2, **failed)])
        book.record([row(1, error="died", **failed), row(2, error="died", **failed)])
        assert book.get("key 1") == row(1, error="died", **{**failed, **saved})
        assert book.get("key 2") == row(2, error="died", **failed)
        assert book.state("key 1", None, 0) == b"state"
        assert not book.done("key 1")


def test_what_is_no_ledger_is_refused_and_gets_no_lock(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no ledger")
    (tmp_path / "directory").mkdir()
    for name, error, says in (
        ("text", files.DamagedFile, "text is damaged or not a ledger of longlag's"),
        ("directory", ValueError, "directory is a directory, no ledger"),
        ("text/ledger", ValueError, "cannot write the ledger .*text is no directory"),
    ):
        with pytest.raises(error, match=says), Ledger.open(tmp_path / name):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "text"]


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A ledger of 300 rows."""
    with Ledger.open(tmp_path / "ledger") as book:
        book.record(row(k) for k in range(300))
    return tmp_path / "ledger"


def read(path: Path) -> list[dict[str, Any]]:
    with Ledger.read(path) as book:
        return list(book.rows())


def test_rows_come_back_as_they_were(filled: Path) -> None:
    assert read(filled) == [row(k) for k in range(300)]
    with Ledger.read(filled) as book:
        assert book.get("key 7") == row(7)
        assert book.get("another") is None
        assert [found["seed"] for found in book.latest(2)] == [299, 298]


def test_a_path_may_be_a_word(filled: Path) -> None:
    with Ledger.open(str(filled)), Ledger.read(str(filled)) as book:
        assert book.get("key 7") == row(7)


def test_counts_and_what_is_done(filled: Path) -> None:
    with Ledger.open(filled) as book:
        book.record([row(300, status="failed"), row(301, status="diverged", recipe="catalog")])
        assert book.counts() == {"robust": {"target": 300, "failed": 1}, "catalog": {"diverged": 1}}
        done = [book.done(f"key {k}") for k in (0, 300, 301, 302)]
        assert done == [True, False, True, False]


def test_a_later_row_replaces_its_key(filled: Path) -> None:
    with Ledger.open(filled) as book:
        book.record([row(5, status="diverged")])
    assert len(read(filled)) == 300
    with Ledger.read(filled) as book:
        assert book.get("key 5") == row(5, status="diverged")


def test_a_result_is_not_replaced_by_what_is_none(filled: Path) -> None:
    saved = {"lineage": "line", "state": b"state", "sequences": 4000, "score": None}
    with Ledger.open(filled) as book:
        book.record([row(5, status="unfinished", **saved), row(6, status="failed", error="died")])
        book.record([row(400), row(400, status="unfinished", **saved)])  # both in one batch
    assert read(filled) == [row(k) for k in (*range(300), 400)]


def test_a_trial_goes_on_from_where_its_lineage_has_gone_furthest(filled: Path) -> None:
    def stands(k: int, at: int, **changes: Any) -> dict[str, Any]:
        state = {"lineage": "course", "state": str(at).encode(), "sequences": at}
        return row(k, **state | changes)

    with Ledger.open(filled) as book:
        book.record([stands(400, 50, status="unfinished", score=None), stands(401, 30)])
        book.record([stands(402, 40, lineage="another"), row(403, lineage="course")])
        mosts = (29, 30, 49, 50, 1000)
        found = {most: book.state("another key", "course", most) for most in mosts}
        assert found == {29: None, 30: b"30", 49: b"30", 50: b"50", 1000: b"50"}
        assert book.state("key 402", None, 0) == b"40", "its own"
        assert book.state("key 403", None, 0) is None
        assert not book.done("key 400")
        book.record([stands(400, 60)])  # finished: the unfinished row is gone
        assert book.done("key 400")
        assert book.counts() == {"robust": {"target": 304}}


def test_an_unfinished_trial_without_a_state_is_refused(filled: Path) -> None:
    with Ledger.open(filled) as book:
        book.record([row(400, status="unfinished", score=None)])
    with pytest.raises(files.DamagedFile, match="it is unfinished and has no state"):
        read(filled)


def test_rows_are_written_all_or_none(filled: Path) -> None:
    with Ledger.open(filled) as book:
        with pytest.raises(KeyError):
            book.record([row(400), {"key": "no more"}])
        assert book.get("key 400") is None


def test_outcomes_are_columns_of_the_rows(filled: Path) -> None:
    with Ledger.read(filled) as book:
        found = list(book.outcomes())
    assert found == [{name: row(k)[name] for name in ledger.OUTCOME} for k in range(300)]
    connection = sqlite3.connect(filled)
    connection.execute("UPDATE trials SET settings = '[]' WHERE seed = 7")
    connection.commit()
    connection.close()
    with Ledger.read(filled) as book, pytest.raises(files.DamagedFile, match="its checksum"):
        list(book.outcomes())


def test_exports(filled: Path) -> None:
    with Ledger.read(filled) as book:
        assert len(ledger.export(book, "csv").splitlines()) == 301
        assert "state" not in ledger.export(book, "csv").splitlines()[0].split(",")
        lines = ledger.export(book, "markdown").splitlines()
    assert len(lines) == 302
    assert lines[2] == "| target | robust | 0 | 4800 | 0.1 | native | avx2 | here | 2026-01-02 |"


def test_the_lines_of_the_manual_take_trials_that_failed_or_are_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("pandas")
    page = Path(__file__).parents[1] / "docs" / "howto" / "results.md"
    (lines,) = (part for part in page.read_text().split("```") if "import pandas" in part)
    shared = {"settings": {"max_length": 22}}
    none = {**shared, "score": None}
    with Ledger.open(tmp_path / "ledger") as book:
        book.record(row(k, **shared, score={"wrong": k}) for k in (3, 5))
        book.record([row(6, **none, status="failed", sequences=None, error="why")])
        book.record([row(7, **none, status="unfinished", state=b"state")])
    with Ledger.read(tmp_path / "ledger") as book:
        (tmp_path / "trials.csv").write_text(ledger.export(book, "csv"))
    monkeypatch.chdir(tmp_path)
    exec(lines.removeprefix("python"), {})
    assert capsys.readouterr().out.split()[-4:] == ["robust", "22", "4800.0", "4.0"]


# -- files that are no ledger -------------------------------------------------------------------


def refused(path: Path, words: str) -> None:
    """Neither reading nor writing accepts the file, and both leave it as it is."""
    before = path.read_bytes()
    for use in (read, lambda path: Ledger.open(path).__enter__()):
        with pytest.raises(files.DamagedFile, match=words):
            use(path)
        assert path.read_bytes() == before


@pytest.mark.survives("a ledger cut short", "refused and left as it is, never created again")
@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_ledger_cut_short_is_refused(filled: Path, share: float) -> None:
    whole = filled.read_bytes()
    filled.write_bytes(whole[: int(share * len(whole))])
    refused(filled, "ledger is damaged or not a ledger")


def test_noise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(random.Random(0).randbytes(50_000))
    refused(path, "damaged or not a ledger")


@pytest.mark.survives("a ledger overwritten with noise", "refused")
@pytest.mark.parametrize("seed", range(12))
def test_noise_in_the_middle_is_refused(filled: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(filled.read_bytes())
    at = chance.randrange(len(data) - 3000)
    data[at : at + 3000] = chance.randbytes(3000)
    filled.write_bytes(bytes(data))
    with pytest.raises(files.DamagedFile, match="damaged or not a ledger"):
        read(filled)


def test_a_digit_changed_is_refused(filled: Path) -> None:
    data = filled.read_bytes()
    assert b"4800" in data or b'"mse": 0.14285714285714285' in data
    filled.write_bytes(data.replace(b'"mse": 0.14285714285714285', b'"mse": 0.94285714285714285'))
    with pytest.raises(files.DamagedFile, match="row 2 fails its checksum"):
        read(filled)


def test_other_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE trials (key)")
    connection.commit()
    connection.close()
    refused(foreign, "an SQLite file of another program")
    with pytest.raises(ValueError, match="no such file"):
        read(tmp_path / "missing")
    with pytest.raises(ValueError, match="cannot write the ledger"):
        Ledger.open(foreign / "below" / "it").__enter__()


def test_another_version_is_refused(filled: Path) -> None:
    connection = sqlite3.connect(filled)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    refused(filled, "a ledger of format 1, this version reads 2: .* start a new one")


def test_a_second_writer_is_refused(filled: Path) -> None:
    with (
        Ledger.open(filled),
        pytest.raises(ValueError, match="another sweep is writing to the ledger"),
        Ledger.open(filled),
    ):
        pass
    with Ledger.open(filled) as book:
        assert book.done("key 0")


@pytest.mark.survives("the listing of a ledger of 100,000 rows", "within a second")
def test_a_listing_of_100_000_rows_takes_less_than_a_second(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger.open(path) as book:
        book.record(row(k, curve=[[200, 0.01, 7]] * 16) for k in range(100_000))
    start = time.process_time()
    with Ledger.read(path) as book:
        assert book.counts() == {"robust": {"target": 100_000}}
        assert len(book.latest(20)) == 20
    assert time.process_time() - start < 1
