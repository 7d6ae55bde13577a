"""The studies seeds, forget-gate and lag: their grids, rules, tables, files and command lines."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longlag import cli, progress
from longlag.learning.recipe import recipe
from longlag.studies import STUDIES as REGISTERED
from longlag.studies import forget_gate, lag, page, seeds, tasks
from longlag.studies.cases import (
    RULES,
    Case,
    Outcome,
    reached,
    sequences_to_mse,
    sequences_to_share,
)
from longlag.studies.declaration import Study
from longlag.studies.frame import engines
from longlag.sweeps.ledger import EXPORTED, Ledger, arrow
from longlag.sweeps.sweep import Progress

STUDIES = {"seeds": seeds.STUDY, "forget-gate": forget_gate.STUDY, "lag": lag.STUDY}
STUDIES["tasks"] = tasks.STUDY
SMALL: dict[str, tuple[str, ...]] = {
    "seeds": (),
    "forget-gate": ("--trials", "1", "--max-sequences", "64"),
    "lag": ("--trials", "1", "--lengths", "20,40"),
    "tasks": ("--trials", "1"),
}


def call(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = cli.main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return status, out, err


def grid(study: Study, **options: Any) -> Sequence[Case]:
    return study.cases(study.request(options))


def quick(capsys: pytest.CaptureFixture[str], name: str, out: Path) -> dict[str, Any]:
    words = ("study", name, "--quick", "--json", "--out", str(out), *SMALL[name])
    status, printed, err = call(capsys, *words)
    assert status == 0, err
    return json.loads(printed)


def test_engines_are_those_of_trials_that_computed() -> None:
    assert engines([{"engine": "numpy"}, {"engine": None}, {"engine": "native"}]) == (
        "native and numpy"
    )


# -- the whole of a study -----------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_a_quick_study_writes_its_files_and_goes_on_to_the_same(
    name: str, tmp_path: Path, capsys
) -> None:
    content = quick(capsys, name, tmp_path / "out")
    study = STUDIES[name]
    assert (content["study"], content["failed"]) == (name, 0)
    assert content["rows"]
    page = (tmp_path / "out" / "table.md").read_text()
    assert page.startswith(f"# {study.title}\n")
    assert f"Command: `longlag study {name} " in page
    assert (tmp_path / "out" / "figure.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "out" / "trials.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == content["trials"]
    assert {line["seed"] for line in lines} <= {"1000", "1001", "1002"}
    before = (tmp_path / "out" / "trials.csv").read_bytes()
    assert quick(capsys, name, tmp_path / "out") == content
    assert (tmp_path / "out" / "trials.csv").read_bytes() == before


def test_a_study_prints_its_table(tmp_path: Path, capsys) -> None:
    words = ("study", "lag", "--quick", "--trials", "1", "--lengths", "20", "--out", tmp_path / "o")
    status, out, _ = call(capsys, *words)
    assert status == 0
    assert out.splitlines()[0].split()[:3] == ["recipe", "T", "strict"]
    assert "Quick form" in out


def test_a_larger_study_does_not_do_again_what_is_done(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "has_torch", lambda: False)
    book = tmp_path / "ledger"
    common = ("study", "lag", "--quick", "--lengths", "20", "--ledger", book, "--json")
    call(capsys, *common, "--trials", "1", "--out", tmp_path / "a")
    with Ledger.read(book) as ledger:
        first = {row["key"]: row["started"] for row in ledger.rows()}
    call(capsys, *common, "--trials", "2", "--out", tmp_path / "b")
    with Ledger.read(book) as ledger:
        second = {row["key"]: row["started"] for row in ledger.rows()}
    assert len(second) == 2 * len(first)
    assert {key: second[key] for key in first} == first


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--quick", "--full"), "--quick and --full exclude each other"),
        (("--trials", "0"), "trials must be a whole number from 1"),
        (("--seed", "-1"), "seed must be a whole number from 0"),
        (("--lengths", "30,x"), "--lengths must be whole numbers separated by commas, not '30,x'"),
        (("--lengths", "5"), "min_length must be at least 11 steps"),
        (("--max-sequences", "0"), "max_sequences must be a whole number"),
        (("--workers", "0", "--quick"), "workers must be a whole number from 1"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys
) -> None:
    status, out, err = call(capsys, "study", "lag", "--out", tmp_path / "out", *words)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


# -- grids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("form", ["quick", "full", ""])
def test_every_case_is_a_recipe(name: str, form: str) -> None:
    cases = grid(STUDIES[name], quick=form == "quick", full=form == "full")
    assert len({json.dumps(case.about) for case in cases}) == len(cases)
    made = [recipe(case.recipe, **case.changes) for case in cases]
    assert len({json.dumps(one.settings()) for one in made}) == len(cases)


def test_catalog_is_in_the_grids_as_it_is() -> None:
    catalog = recipe("catalog")
    for T in (30, 100):
        case = grid(seeds.STUDY, lengths=T)[0]
        made = recipe(case.recipe, **case.changes)
        same = {"stop": "mse", "test_every": 500, "test_size": 512}
        lengths = {"min_length": 20, "max_length": 30}
        assert made.with_settings({**lengths, **same}) == catalog
    case = next(
        case
        for case in grid(forget_gate.STUDY)
        if (case.about["gate"], forget_gate.output(case.about)) == forget_gate.CATALOG
    )
    made = recipe(case.recipe, **case.changes)
    same = {"draw_order": "published", "max_iterations": 6000, **same}
    assert made.with_settings({**lengths, **same}) == catalog


def test_retention() -> None:
    rows = {case.about["gate"]: forget_gate.retention(case) for case in grid(forget_gate.STUDY)}
    assert {row["lag"] for row in rows.values()} == {15}
    assert rows["no gate"]["retention"] == rows["1997 cell"]["retention"] == 1
    assert rows["bias 1"]["retention"] == pytest.approx((1 / (1 + math.exp(-1))) ** 15)
    assert rows["robust's"]["retention"] == pytest.approx((30 / (30 + math.exp(-2))) ** 15)
    assert rows["bias 2"]["retention"] < rows["chrono"]["retention"] < rows["bias 4"]["retention"]


def test_lag_baselines_change_the_gates_alone() -> None:
    cases = {
        case.about["recipe"]: recipe(case.recipe, **case.changes)
        for case in grid(lag.STUDY, lengths=100)
        if case.engine is None
    }
    robust = cases.pop("robust")
    assert robust == recipe("robust")
    assert [one.network.forget_bias for one in cases.values()] == [
        1.0,
        pytest.approx(math.log(110)),
    ]
    for one in cases.values():
        gates = ("gate_biases", "forget_bias", "input_bias", "max_iterations")
        back = {name: robust.settings()[name] for name in gates}
        assert one.with_settings({**back, "min_length": 100}) == robust


def test_a_budget_that_is_given_is_every_studys_own() -> None:
    for name in ("seeds", "forget-gate", "lag", "tasks", "cells"):
        for quick in (False, True):
            for case in grid(REGISTERED[name], quick=quick, max_sequences=640):
                made = recipe(case.recipe, **case.changes)
                assert made.rule.budget == 640 // made.batch_size, (name, quick, case.about)
    (most,) = {
        made.rule.budget * made.batch_size
        for case in grid(REGISTERED["tasks"], max_sequences=1_000_000)
        for made in [recipe(case.recipe, **case.changes)]
    }
    assert most == 1_000_000


def test_forms_of_a_study_have_directories_of_their_own() -> None:
    asked = ({}, {"full": True}, {"quick": True}, {"search": True}, {"seed": 3})
    found = {REGISTERED["cells"].request(one).directory for one in asked}
    assert len(found) == len(asked)


@pytest.mark.parametrize("installed", [True, False])
def test_pytorchs_networks_are_in_the_lag_study_where_pytorch_is(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "has_torch", lambda: installed)
    cases = grid(lag.STUDY)
    theirs = [case for case in cases if case.changes.get("network", "").startswith("torch-")]
    assert [(case.about["recipe"], case.about["T"], case.trials) for case in theirs] == (
        [(name, T, 10) for name in ("GRU", "ReLU, identity") for T in (30, 100)] * installed
    )
    for case in theirs:
        made = recipe(case.recipe, **case.changes)
        assert made.rule.budget * made.batch_size == 96_000
        assert made.settings()["test_every"] * made.batch_size == 1600
    rows = [{**case.about, "solved": 0} for case in cases]
    says = [line for line in lag.STUDY.remarks(rows) if "PyTorch is not installed" in line]
    assert len(says) == (not installed)


# -- rules --------------------------------------------------------------------------------------


def row(*tests: tuple[float, int], **more: Any) -> dict[str, Any]:
    curve = [[10 * (k + 1), mse, wrong] for k, (mse, wrong) in enumerate(tests)]
    return {"curve": curve, "settings": {"batch_size": 4, "test_size": 2000}, **more}


def test_rules_on_a_curve() -> None:
    curve = row((0.05, 900), (0.029, 140), (0.031, 141), (0.01, 140), (0.01, 13), (0.01, 13))
    assert sequences_to_mse(curve) == 80
    assert sequences_to_share(curve, 140 / 2000) == 200
    assert sequences_to_share(curve, 13 / 2000) == 240
    assert [rule(curve) for rule in RULES.values()] == [80, 200, 240]
    assert [rule(row((0.05, 900))) for rule in RULES.values()] == [None, None, None]
    assert [rule(row()) for rule in RULES.values()] == [None, None, None]


def test_rates_have_exact_intervals_and_leave_failures_out() -> None:
    good = row((0.01, 3), (0.01, 3), status="target")
    bad = row((0.05, 900), status="diverged")
    outcome = Outcome(Case({}, "robust", {}, 4), [good, good, bad], failed=1)
    found = reached(outcome, "n_seq = 13")
    assert (found["solved"], found["trials"], found["diverged"], found["failed"]) == (2, 3, 1, 1)
    assert found["interval"] == pytest.approx((0.0943, 0.9916), abs=1e-4)
    assert found["sequences"] == {"median": 80, "min": 80, "max": 80}


def test_a_trial_that_diverged_at_the_first_batch_has_no_pace() -> None:
    common = {"status": "diverged", "seconds": 1.0, "score": {"wrong": 9}}
    rows = [row(sequences=n, **common) for n in (0, 100)]
    case = Case({"recipe": "robust", "T": 20}, "robust", {}, 2)
    (both,), (none,) = (lag.rows(Outcome(case, some, 0)) for some in (rows, rows[:1]))
    assert both["step_ns"] == pytest.approx(1e9 / 2000)
    assert lag.columns([none])["ns a step"](none) == "–"


def test_the_table_of_tasks_says_how_many_sequences_are_judged_at_the_end() -> None:
    line = {"experiment": "4", "task": "adding", tasks.PAPER: None}
    for fresh in (200, 2560):
        found = tasks.rows(Outcome(Case(line, "robust", {}, 2, fresh), [row(status="diverged")], 0))
        assert [*tasks.columns(found)][-1] == f"wrong of {fresh} more"


# -- pages ---------------------------------------------------------------------------------------


def test_numbers_of_a_page_stand_to_the_right() -> None:
    head = ["row", "cell", "solved", "sequences", "interval"]
    rows = [["1", "lstm", "3 of 30", "≥ 3,810", "0.021 to 0.265"], ["2", "gru", "–", "12", ""]]
    lines = page.markdown([head, *rows]).splitlines()
    assert lines[1] == "| --- | --- | ---: | ---: | ---: |"
    assert lines[2] == "| 1 | lstm | 3 of 30 | ≥ 3,810 | 0.021 to 0.265 |"


def test_seconds_of_a_page_have_no_exponent() -> None:
    shown = [page.in_seconds(value) for value in (0.0614, 9.94, 9.96, 99.7, 1234.5)]
    assert shown == ["0.061", "9.9", "10", "100", "1,234"]


# -- ledgers on the command line ----------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lag, "has_torch", lambda: False)
    quick(capsys, "lag", tmp_path / "out")
    return tmp_path / "out" / "ledger.sqlite"


def test_ledger_show(book: Path, capsys) -> None:
    status, out, _ = call(capsys, "ledger", "show", book.parent, "--last", "2")
    assert status == 0
    assert out.splitlines()[1].split()[:2] == ["robust", "6"]
    assert len(out.splitlines()) == 6
    status, out, _ = call(capsys, "ledger", "show", book, "--json")
    content = json.loads(out)
    assert sum(content["trials"]["robust"].values()) == len(content["rows"]) == 6


def test_ledger_export(book: Path, tmp_path: Path, capsys) -> None:
    status, out, _ = call(capsys, "ledger", "export", book)
    assert status == 0
    lines = list(csv.reader(out.splitlines()))
    assert lines[0] == list(EXPORTED)
    assert len(lines) == 7
    table = tmp_path / "table.md"
    assert call(capsys, "ledger", "export", book, "--format", "markdown", "--out", table)[0] == 0
    assert len(table.read_text().splitlines()) == 8
    status, _, err = call(capsys, "ledger", "export", book, "--format", "parquet")
    assert status == 2
    assert "--format parquet needs a file" in err


def test_ledger_export_as_parquet_without_pyarrow(
    book: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, _, err = call(capsys, "ledger", "export", book, "--out", tmp_path / "t.parquet")
    assert status == 2
    assert "need pyarrow, which is not installed" in err
    assert "pip install 'longlag[parquet]'" in err
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_pandas_and_polars_read_a_ledger(
    library: str, book: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, and the two lines of docs/howto/results.md without one."""
    pytest.importorskip("pyarrow")
    frames = pytest.importorskip(library)
    path = tmp_path / "t.parquet"
    assert call(capsys, "ledger", "export", book, "--out", path)[0] == 0
    with Ledger.read(book) as ledger:
        rows = list(ledger.rows())
        table = arrow(ledger)
    frame = table.to_pandas() if library == "pandas" else frames.from_arrow(table)
    for found in (frame, frames.read_parquet(path)):
        assert list(found.columns) == list(EXPORTED)
        for name in ("key", "status", "seed", "sequences", "seconds"):
            assert found[name].to_list() == [row[name] for row in rows]
        assert [json.loads(text) for text in found["settings"]] == [r["settings"] for r in rows]


def test_what_is_no_ledger_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "noise").write_bytes(b"noise" * 1000)
    for name in ("noise", "missing"):
        status, out, err = call(capsys, "ledger", "show", tmp_path / name)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1


# -- how long they take --------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(REGISTERED))
def test_a_help_says_how_long_the_study_takes(name: str, capsys) -> None:
    assert REGISTERED[name].takes
    assert cli.main(["study", name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"It takes about {REGISTERED[name].takes} on two cores" in text


def test_the_time_of_the_full_form_is_said_beside_the_usual_one() -> None:
    study = Study("own", "A title", "A question")
    assert study.duration == ""
    timed = replace(study, takes="2 minutes", takes_full="an hour")
    assert timed.duration == "It takes about 2 minutes on two cores, with --full about an hour."


# -- progress -----------------------------------------------------------------------------------


def test_progress_in_words() -> None:
    half = Progress(10, skipped=2, done=3, failed=1, elapsed=4000.0)
    half.latest = 4000.0
    assert progress.trials(half) == "5 of 10 trials done, 1 failed, 1:06:40 left"
    half.latest = 400.0
    assert progress.trials(half).endswith("1 failed, none has ended for 1:00:00")
    assert progress.trials(Progress(10)) == "0 of 10 trials done"


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shown(terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(progress, "LOG_SECONDS", -1.0)
    with progress.of_sweep() as observe:
        observe(Progress(4, done=1, elapsed=1.0))
        observe(Progress(4, done=4, failed=0, elapsed=4.0))
    err = capsys.readouterr().err
    assert "4 of 4 trials |" in err if terminal else "4 of 4 trials done, 0:00 left" in err


@pytest.mark.parametrize("name", ["seeds", "forget-gate", "lag"])
def test_a_length_given_twice_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lengths must be different ones, not 20,30,20"):
        REGISTERED[name].request({"lengths": [20, 30, 20]})
