"""The studies of tables 1 to 6 and 9: their rows beside the paper's, and their readings."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import longlag
from fuzzing import inline_workers
from longlag import cli
from longlag.studies import STUDIES, frame
from longlag.studies.declaration import Request
from longlag.studies.paper import _remarks as remarks
from longlag.studies.paper import _verdict as verdict

# The cases of a table in its common and in its full form, trials of each, and weights of each.
TABLES: dict[str, tuple[int, int, int, list[int]]] = {
    "table1": (5, 5, 30, [264, 276, 276, 264, 276]),
    "table2": (2, 2, 18, [10_504] * 2),
    "table3": (3, 9, 10, [364, 664, 1264, 3064, 6064, 3064, 1264, 664, 364]),
    "table4": (3, 3, 10, [102] * 3),
    "table5": (3, 3, 10, [102] * 3),
    "table6": (2, 2, 10, [102] * 2),
    "table9": (2, 2, 10, [156, 308]),
}


@pytest.fixture(autouse=True)
def _inline() -> Iterator[None]:
    """Trials are carried out in this process."""
    with inline_workers():
        yield


def asked(name: str, **options: Any) -> Request:
    return STUDIES[name].request(options)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_the_papers_rows_and_networks(name: str) -> None:
    some, every, trials, weights = TABLES[name]
    study = STUDIES[name]
    assert len(study.cases(asked(name))) == some
    cases = study.cases(asked(name, full=True))
    made = [case.made() for case in cases]
    assert [one.network.size(one.task) for one in made] == weights
    assert len(weights) == every
    assert len({case.about["what"] for case in cases}) == every
    for case, one in zip(cases, made, strict=True):
        assert case.trials == trials
        assert len(case.published) == len(one.stop.stops)  # type: ignore[union-attr]
        assert all(paper["sequences"] > 1000 for paper in case.published)


def test_rows_have_the_papers_settings() -> None:
    rates = [
        (case.made().rule.learning_rate, case.published[0]["sequences"])
        for case in STUDIES["table1"].cases(asked("table1"))
    ]
    assert rates == [(0.1, 39_740), (0.1, 21_730), (0.2, 14_060), (0.5, 9_500), (0.5, 8_440)]
    tasks = [case.made().task.settings() for case in STUDIES["table5"].cases(asked("table5"))]
    told = [(one["variant"], one["min_length"], one["first_elements"]) for one in tasks]
    assert told == [("b", 100, 3), ("b", 100, 1), ("b", 1000, 1)]


def test_a_row_of_slow_trials_has_ten_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(cases: Sequence[Any], *_: Any) -> Any:
        made.extend(map(len, cases))
        raise KeyboardInterrupt

    monkeypatch.setattr(frame, "gather", counted)
    with pytest.raises(KeyboardInterrupt):
        longlag.study("table5", trials=30)
    assert made == [30, 30, 10]


def test_a_reading_reaches_every_trial() -> None:
    reading = {"tolerance": 0.2, "reads": "previous", "output": "linear", "max_sequences": 77}
    request = asked("table3", full=True, **reading)
    for case in STUDIES["table3"].cases(request):
        settings = case.made().settings()
        assert {name: settings[name] for name in reading} == reading
    assert "tolerance-0.2" in str(request.directory)
    with pytest.raises(ValueError, match="study table4 has no option 'tolerance'"):
        asked("table4", tolerance=0.2)


@pytest.mark.parametrize("name", TABLES)
def test_the_quick_form_is_one_small_case(name: str) -> None:
    (case,) = STUDIES[name].cases(asked(name, quick=True))
    assert case.about["what"].startswith("in small, ")
    made = case.made()
    assert made.task.min_length <= 10
    assert made.rule.budget <= 1500


def test_two_stops_that_tests_decide_stand_beside_the_papers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("study", "table5", "--quick", "--trials", "2", "--max-sequences", "900")
    words += ("--test-every", "50", "--out", str(tmp_path), "--json")
    assert cli.main([*words]) == 0
    content = json.loads(capsys.readouterr().out)
    first, last = content["rows"]
    assert (first["stop"], last["stop"]) == ("ST1", "ST2")
    assert (first["n_seq"], last["n_seq"], first["paper"]["sequences"]) == (6, 6, 41_740)
    assert first["solved"] == last["solved"] == 2
    assert first["sequences"]["mean"] % 25 == 0
    assert first["sequences"]["mean"] <= last["sequences"]["mean"] < 900
    assert last["paper"]["wrong"] == 21.2
    assert content["reading"]["test_every"] == 50
    page = (tmp_path / "table.md").read_text()
    assert "tested every 50 sequences" in page
    assert "| in small, T = 100, N = 3, ST2 | here | 2 of 2 |" in page
    assert "over the test at the stop" in page
    with (tmp_path / "trials.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["what"] for line in lines] == ["in small, T = 100, N = 3"] * 4
    assert (tmp_path / "solved.png").read_bytes().startswith(b"\x89PNG")


def test_what_the_paper_has_of_other_algorithms_is_quoted(tmp_path: Path) -> None:
    found = longlag.study("table1", quick=True, trials=1, max_sequences=5, out=tmp_path)
    assert found.rows[0]["unsolved"] == 1
    page = (tmp_path / "table.md").read_text()
    assert "Quoted from the paper, not run here: real-time recurrent learning" in page
    assert "30 of 30" in page
    assert "string set 0" in page


@pytest.mark.parametrize(
    ("paper", "restricted", "said"),
    [
        (15, False, "🟢 inside"),
        (25, False, "outside"),
        (5, True, "outside"),
        (25, True, "not known"),
    ],
)
def test_where_the_papers_mean_lies(paper: float, restricted: bool, said: str) -> None:
    assert verdict(paper, 10, 20, restricted).startswith(said)


def test_tables_with_a_row_outside_are_explained() -> None:
    row = {"min_length": 100, "n_seq": 1, "solved": 1, "unsolved": 0, "paper": {"sequences": 5}}
    inside = {"mean": 5.0, "means": (4.0, 6.0), "restricted": False}
    rows = [
        {**row, "table": "table4", "sequences": inside},
        {**row, "table": "table3", "sequences": {**inside, "means": (6.0, 7.0)}},
        {**row, "table": "table3", "sequences": inside},
    ]
    assert remarks(rows, True) == ["Quick form: it shows that everything runs, no more."]
    first, *others = remarks(rows, False)
    assert "in 2 of 3 rows" in first
    assert [line.partition(":")[0] for line in others] == ["Outside, table 3"]


def test_all_tables_make_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longlag.studies.paper.TABLES", ("table2", "table4", "table8"))
    asked = {"quick": True, "trials": 2, "max_sequences": 40, "out": tmp_path}
    found = longlag.study("paper", **asked)
    told = [(row["table"], row["n_seq"]) for row in found.rows]
    assert told == [("table2", 1), ("table4", 1), ("table4", 1), ("table8", 140), ("table8", 13)]
    assert found["trials"] == 6
    page = (tmp_path / "README.md").read_text()
    assert "## [Table 4: the two-sequence problem (Experiment 3a)](table4/table.md)" in page
    assert page.count(" on one core.\n") == 3
    assert "| 8 | fewer than 13 wrong | 0 of 2 | ≥ 40 | 40 to 40 | 1,273,000 | not known" in page
    assert {path.name for path in tmp_path.iterdir()} >= {"table2", "table4", "table8"}
    monkeypatch.setattr("longlag.sweeps.slices.perform_slice", None)  # nothing is done again
    assert longlag.study("paper", **asked).rows == found.rows
