"""Rates of a ledger's trials by group, and trials paired by seed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag import cli
from longlag.statistics import clopper_pearson
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.rates import Group, Outcome, Pairs, groups, pairs
from test_ledger import row


def trial(k: int, seed: int, ended: Any, **settings: Any) -> dict[str, Any]:
    """A row; ended: training sequences where it was solved, else a status."""
    solved = isinstance(ended, int)
    status, sequences = ("target", ended) if solved else (ended, 8000)
    if status == "failed":
        return row(k, seed=seed, status=status, sequences=None, error="E: e", settings=settings)
    return row(k, seed=seed, status=status, sequences=sequences, settings=settings)


def rows() -> list[dict[str, Any]]:
    """Two kinds that differ in hidden, and with it in clip."""
    wide = (800, 900, "max_iterations", 1000, "failed")
    narrow = (700, "diverged", "max_iterations", 1600)
    made = [trial(k, k, end, clip=1.0, hidden=8) for k, end in enumerate(wide)]
    return made + [trial(9 + k, k, end, clip=0.1, hidden=4) for k, end in enumerate(narrow)]


def test_a_group_is_counted() -> None:
    wide, narrow = groups(rows())
    assert wide.about == {"recipe": "robust", "hidden": 8}, "clip tells nothing more apart"
    assert wide.as_dict() == {
        **{"about": {"recipe": "robust", "hidden": 8}, "trials": 4, "solved": 3, "rate": 0.75},
        **{"max_iterations": 1, "diverged": 0, "failed": 1},
        "interval": clopper_pearson(3, 4),
        "sequences": {"median": 900, "min": 800, "max": 1000},
    }
    assert (narrow.as_dict()["solved"], narrow.as_dict()["diverged"]) == (2, 1)


def test_what_tells_groups_apart_can_be_chosen() -> None:
    (all_of_them,) = groups(rows(), ["recipe"])
    assert len(all_of_them.outcomes) == 9
    assert [group.about for group in groups(rows(), ["clip"])] == [{"clip": 1.0}, {"clip": 0.1}]
    with pytest.raises(ValueError, match="no trial has 'clib'; did you mean 'clip'"):
        groups(rows(), ["clib"])
    assert groups([]) == groups([], ["clip"]) == []


def test_trials_of_another_version_of_the_code_are_a_group_of_their_own() -> None:
    changed = [*rows()[:4], row(20, seed=0, version="0.2.0+def", settings={"hidden": 8})]
    assert [group.about.get("version") for group in groups(changed)] == ["0.1.0+abc", "0.2.0+def"]


def test_a_cell_in_a_file_is_named_rather_than_the_digest_of_its_file() -> None:
    """A file that was changed has two digests."""
    kinds = [("torch-gru", ""), ("own:Cell", " own:1234"), ("own:Cell", " own:5678")]
    made = [
        row(k, seed=0, version=f"0.2.0{own}", settings={"network": name})
        for k, (name, own) in enumerate(kinds)
    ]
    robust = {"recipe": "robust"}
    assert [group.about for group in groups(made[:2])] == [
        {**robust, "network": "torch-gru"},
        {**robust, "network": "own:Cell"},
    ]
    assert [group.about for group in groups(made)] == [
        {**robust, "network": name, "version": f"0.2.0{own}"} for name, own in kinds
    ]


def test_nothing_but_failures_says_nothing_of_the_rate() -> None:
    (group,) = groups([trial(0, 0, "failed", hidden=8)])
    assert group.as_dict()["rate"] is None
    assert group.interval == (0, 1)


def test_pairs_are_of_the_same_seed() -> None:
    found = pairs(*groups(rows()))
    assert found == Pairs(both=2, first=1, second=0, neither=1, gains=[-100, 600])
    assert found.as_dict()["gain"] == 250
    backwards = pairs(*reversed(groups(rows())))
    assert (backwards.first, backwards.second, backwards.gains) == (0, 1, [100, -600])


def test_a_seed_that_occurs_twice_has_no_pair() -> None:
    (mixed,) = groups(rows(), ["recipe"])
    with pytest.raises(ValueError, match="a seed occurs twice among the trials"):
        pairs(mixed, Group({}, [Outcome(0, "target", 1)]))


@given(st.integers(0, 30), st.integers(0, 30))
def test_the_interval_is_mcnemars_exact_test(first: int, second: int) -> None:
    n = first + second
    tail = sum(math.comb(n, k) for k in range(min(first, second) + 1)) / 2**n
    low, high = Pairs(5, first, second, 5, []).interval
    assert (min(1, 2 * tail) < 0.05) == (not low < 0.5 < high)


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> Path:
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.record(rows())
    return tmp_path / "ledger"


def test_ledger_rates(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ledger", "rates", str(book)]) == 0
    out = capsys.readouterr().out
    assert "robust  8       3 of 4  0.194 to 0.994  900 (800 to 1,000)" in out
    assert "not counted: 1 trial that failed: E: e" in out
    assert next(line for line in out.splitlines() if "solved by" in line).split()[2:] == [*"2101"]
    assert "mean 250 (-100 to 600)" in out
    assert max(map(len, out.splitlines())) <= 80
    assert cli.main(["ledger", "rates", str(book), "--by", "recipe,clip", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [group["about"]["clip"] for group in content["groups"]] == [1.0, 0.1]
    assert content["pairs"]["both"] == 2
    assert cli.main(["ledger", "rates", str(book), "--by", "clib"]) == 2


def test_a_kind_that_failed_is_not_compared_seed_by_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([trial(0, 0, 800, hidden=8), trial(1, 0, "failed", hidden=4)])
    assert cli.main(["ledger", "rates", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "not counted: 1 trial that failed" in out
    assert "seed by seed" not in out


def test_ledger_show_gives_reasons_in_eighty_columns(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ledger", "show", str(book)]) == 0
    out = capsys.readouterr().out
    assert "robust, hidden 8, seed 4: E: e" in out
    assert max(map(len, out.splitlines())) <= 80


def test_ledger_show_tells_apart_lines_that_differ_in_a_setting(
    book: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["ledger", "show", str(book)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.split("\n\n")[1].splitlines()]
    assert lines[0][:4] == ["recipe", "hidden", "seed", "status"]
    assert lines[1][:4] == ["robust", "4", "3", "target"]
    told = [tuple(line[:3]) for line in lines[1:]]
    assert len(set(told)) == len(told) == 9
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    assert cli.main(["ledger", "show", str(book)]) == 0
    *_, above, first, second, _ = capsys.readouterr().out.split("\n\n")
    assert above.startswith("in every line: recipe robust")
    for part in (first, second):
        assert max(map(len, part.splitlines())) <= 50
        lines = [line.split() for line in part.splitlines()[1:]]
        assert [("robust", *line[:2]) for line in lines] == told
    assert cli.main(["ledger", "show", str(book), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["rows"]
    assert shown[0]["settings"] == {"clip": 0.1, "hidden": 4}


def test_trials_of_one_kind_are_shown_without_their_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.record(trial(k, k, 800, clip=1.0, hidden=8) for k in range(3))
    assert cli.main(["ledger", "show", str(tmp_path / "ledger")]) == 0
    head = capsys.readouterr().out.split("\n\n")[1].splitlines()[0]
    assert head.split()[:3] == ["recipe", "seed", "status"]


@pytest.mark.parametrize("command", ["show", "rates", "export"])
def test_the_directory_of_a_study_will_do_for_its_ledger(
    command: str, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ledger", command, str(book)]) == 0
    of_the_file = capsys.readouterr().out
    (tmp_path / "study").mkdir()
    book.rename(tmp_path / "study" / "ledger.sqlite")
    assert cli.main(["ledger", command, str(tmp_path / "study")]) == 0
    assert capsys.readouterr().out == of_the_file


def test_an_export_does_not_replace_the_ledger_of_a_directory(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study").mkdir()
    path = book.rename(tmp_path / "study" / "ledger.sqlite")
    held = path.read_bytes()
    command = ["ledger", "export", str(path.parent)]
    assert cli.main([*command, "--format", "csv", "--out", str(path)]) == 2
    assert "is the input itself: choose another --out" in capsys.readouterr().err
    assert path.read_bytes() == held
