"""The study of cells: its grid, its table, and cells that will not do."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import longlag
from fuzzing import inline_workers
from longlag import cli
from longlag.figures import cells as figure
from longlag.learning import training
from longlag.learning.recipe import recipe
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.trial import trial
from toys import OWN_CELL

pytest.importorskip("torch")

import torch

import mycells
from longlag.studies import cells as study
from longlag.studies import frame
from longlag.studies.cases import Outcome
from longlag.studies.cell_pairs import pairs

BEST = {"learning_rate": 0.01, "clip": 0.1}  # of a search
TINY: dict[str, Any] = {"quick": True, "trials": 2, "max_sequences": 64}


@pytest.fixture(autouse=True)
def _inline() -> Iterator[None]:
    """Trials are carried out in this process."""
    with inline_workers():
        yield


def request(**options: Any) -> Any:
    return study.STUDY.request(options)


def row(cell: str, seeds: dict[str, int | None], **more: Any) -> dict[str, Any]:
    """A row of the study's, as `rows` makes it."""
    solved = [n for n in seeds.values() if n is not None]
    about = {"cell": cell, "task": "adding", "T": 100, "max_sequences": 1000, "diverged": 0}
    mean = sum(1000 if n is None else n for n in seeds.values()) / len(seeds)
    rates = {"solved": len(solved), "trials": len(seeds), "rate": len(solved) / len(seeds)}
    rates |= {"failed": 0, "slow": None}
    return {**about, **rates, "restricted_mean": mean, "seeds": seeds, **more}


# -- the grid -------------------------------------------------------------------------------------


def test_all_cells_share_one_protocol() -> None:
    cases = study.cases(request(task=["adding", "copy"], lengths=[20, 50]))
    assert len(cases) == len(study.CELLS) * 4
    assert not any(case.refused for case in cases)
    settings = [case.made().settings() for case in cases]
    for name in ("beta1", "beta2", "optimizer", "average_decay", "stop", "wrong_share"):
        assert {one[name] for one in settings} == {recipe("robust").settings()[name]}
    budgets = {one["max_iterations"] * one["batch_size"] for one in settings}
    assert budgets == {study.BUDGET}
    theirs = [s for s in settings if s["network"] != "lstm"]
    assert len({(s["batch_size"], s["epsilon"], s["test_every"]) for s in theirs}) == 1
    assert {(s["task"], s.get("min_length", s.get("lag"))) for s in settings} == {
        *(("adding", 20), ("adding", 50), ("copy", 20), ("copy", 50))
    }


def test_settings_of_a_search_are_of_all_cells(tmp_path: Path) -> None:
    (tmp_path / "tuned.json").write_text(json.dumps({"cells": {"gru": BEST}, "seeds": [3]}))
    with pytest.raises(ValueError, match=r"tuned.json has no settings for lstm, rnn: search with"):
        study.cases(request(cell=["lstm", "gru", "rnn"], tuned=str(tmp_path / "tuned.json")))


def test_a_comparison_has_other_seeds_than_the_search(tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.json"
    tuned.write_text(json.dumps({"cells": {"gru": BEST}, "seeds": [500, 501, 1002]}))
    says = r"would have seeds 1000 to 1009, and the search in .* had 500 to 1002: give --seed 1003"
    with pytest.raises(ValueError, match=says):
        study.cases(request(cell=["gru"], tuned=str(tuned)))
    for more in ({"seed": 1003}, {"trials": 2}, {"quick": True}):
        assert study.cases(request(cell=["gru"], tuned=str(tuned), **more))


@pytest.mark.parametrize("own", [{"network": "mycells:Mine"}, {"name": "x"}, {"clip": 0.1}, {}, 5])
def test_a_file_of_settings_chooses_nothing_else(own: Any, tmp_path: Path) -> None:
    """Least of all a module to import."""
    (tmp_path / "tuned.json").write_text(json.dumps({"cells": {"gru": own}, "seeds": [3]}))
    with pytest.raises(ValueError, match="must hold learning_rate and clip of cells, the seeds of"):
        study.cases(request(cell=["gru"], tuned=str(tmp_path / "tuned.json")))


@pytest.mark.parametrize("seeds", [[], [True], ["500"], 500, None])
def test_a_file_of_settings_says_which_seeds_the_search_had(seeds: Any, tmp_path: Path) -> None:
    (tmp_path / "tuned.json").write_text(json.dumps({"cells": {"gru": BEST}, "seeds": seeds}))
    with pytest.raises(ValueError, match="must hold learning_rate and clip of cells, the seeds of"):
        study.cases(request(cell=["gru"], tuned=str(tmp_path / "tuned.json")))


def test_a_file_of_settings_is_named_with_a_value_that_is_not_allowed(tmp_path: Path) -> None:
    cells = {"gru": BEST, "rnn": BEST | {"learning_rate": "fast"}}
    (tmp_path / "tuned.json").write_text(json.dumps({"cells": cells, "seeds": [3]}))
    with pytest.raises(ValueError, match=r"tuned.json: of cell rnn, learning_rate must be a numb"):
        study.cases(request(cell=["gru"], tuned=str(tmp_path / "tuned.json")))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cell": ["lstn"]}, r"cell must be one of lstm, .*did you mean 'lstm'"),
        ({"cell": ["x=mycells.Mine"]}, "not 'x=mycells.Mine'; did you mean 'mycells:Mine'\\?$"),
        ({"cell": ["x=mycells:Plain"]}, "it must be a network, a PyTorch module class or a"),
        ({"cell": ["x=mycells:InputsAlone"]}, r"by forward\(inputs, lengths\): too many posit"),
        ({"cell": ["mine=mycells"]}, "or your own as name=module:Class, not 'mine=mycells'"),
        ({"cell": ["gru", "gru=mycells:Mine"]}, "the name 'gru' twice"),
        ({"cell": ["=gru"]}, "the name of a cell must be printable .* without , = .*, not ''"),
        ({"cell": ["a=b=gru"]}, "the name of a cell must be printable .*, not 'a=b'"),
        ({"cell": ["a:b=gru"]}, "the name of a cell must be printable .*, not 'a:b'"),
        ({"cell": ["mine=__main__:X"]}, "cell mine=__main__:X cannot be imported by workers, si"),
        ({"task": ["addin"]}, "unknown task 'addin'"),
        ({"task": ["adding"], "lengths": [2]}, "task adding cannot have T = 2"),
        ({"tuned": "nowhere.json"}, "there is no nowhere.json"),
        ({"cell": ["x=nowhere:X"]}, "Cell x is left out: network 'nowhere:X' cannot be loaded"),
        ({"cell": ["gru"], "device": "cuda:77"}, "Cell gru is left out .*has no device 'cuda:77'"),
        ({"lengths": [20, 30, 20]}, "lengths must be different ones, not 20,30,20"),
        ({"task": ["adding", "adding"]}, "task must be different ones, not adding,adding"),
        ({"search": True, "clip": 0.5}, "--search chooses .*: leave --clip out"),
        ({"search": True, "tuned": "tuned.json"}, "--search chooses .*: leave --tuned out"),
        ({"search": True, "until_unsolved": True}, "at every T: leave --until-unsolved out"),
        ({"search": True, "slow_trials": 2}, "on the same seeds: leave --slow-trials out"),
        ({"slow_seconds": 9.5}, "--slow-seconds says when --slow-trials holds: give both"),
        ({"slow_trials": 11}, "slow_trials must be at most the 10 of --trials, not 11"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_any_work(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        study.cases(request(**options))
    assert "\n" not in str(caught.value)


# -- the whole of it ------------------------------------------------------------------------------


def test_the_command_goes_on_and_bad_cells_leave_the_others_alone(
    tmp_path: Path, capsys: Any
) -> None:
    cells = {"lstm": "lstm", "mine": "mycells:Mine", "made": "mycells:made", "nan": "mycells:NaN"}
    bad = {"mixes": "Mixes", "pads": "Pads", "other": "OtherArguments", "no": "NOTHING"}
    bad |= {"remembers": "Remembers", "missing": "Missing", "exits": "Exits"}
    bad |= {"layer": "Layer", "numpy": "Numpy", "wide": "Wide"}
    words = [f"{name}={where}" if ":" in where else name for name, where in cells.items()]
    words += [f"{name}=mycells:{where}" for name, where in bad.items()]
    command = [
        *("study", "cells", "--cell", ",".join(words), "--task", "adding,copy", "--lengths", "12"),
        *("--quick", "--max-sequences", "64", "--out", str(tmp_path / "out"), "--json"),
    ]
    assert cli.main(command) == 0
    content = json.loads(capsys.readouterr().out)
    assert [(r["cell"], r["task"]) for r in content["rows"]] == [
        (cell, task) for task in ("adding", "copy") for cell in cells
    ]
    assert all(r["diverged"] == 2 * (r["cell"] == "nan") for r in content["rows"])
    for name, says in {
        "mixes": "mixes sequences",
        "pads": "reads padding",
        "other": r"must be made by OtherArguments\(D, K, size\)",
        "no": "must be a network, a PyTorch module class",
        "remembers": "the model changes norm.running_mean in training",
        "missing": "has no attribute 'Missing'",
        "exits": "SystemExit: 3",
        "layer": "is a layer of PyTorch's, which takes no lengths",
        "numpy": "must answer with a tensor, not with a ndarray",
        "wide": r"\(B, T, K\) = \(4, 24, 1\), or at the last ones, \(B, K\) = \(4, 1\), not with "
        r"shape \(4, 24, 31\)",
    }.items():
        (sentence,) = (s for s in content["refused"] if s.startswith(f"Cell {name} is left out"))
        assert re.search(says, sentence), sentence
    assert (tmp_path / "out" / "figure.png").stat().st_size > 10_000
    page = (tmp_path / "out" / "table.md").read_text()
    assert "nan: 4 of 4 trials diverged" in page
    with Ledger.read(tmp_path / "out" / "ledger.sqlite") as ledger:
        before = [(r["key"], r["ended"]) for r in ledger.rows()]
    assert cli.main(command) == 0  # nothing is done again
    assert json.loads(capsys.readouterr().out)["rows"] == content["rows"]
    with Ledger.read(tmp_path / "out" / "ledger.sqlite") as ledger:
        assert [(r["key"], r["ended"]) for r in ledger.rows()] == before


def test_what_a_cell_prints_when_it_is_checked_is_not_the_result(capsys: Any) -> None:
    (case,) = study.cases(request(cell=["p=mycells:Prints"], task=["adding"], lengths=[12]))
    assert not case.refused
    told = capsys.readouterr()
    assert (told.out, "hello from a cell" in told.err) == ("", True)


def test_a_cell_of_which_some_trials_fail_is_named_with_the_error(tmp_path: Path) -> None:
    cells = {"gru": "gru", "unlucky": "mycells:Unlucky"}
    found = longlag.compare(cells, ["adding"], [12], out=tmp_path, **TINY | {"trials": 4})
    failed = {row["cell"]: row["failed"] for row in found.content["rows"]}
    assert failed["gru"] == 0
    assert 0 < failed["unlucky"] < 4
    assert (
        f"unlucky, adding, 12: {failed['unlucky']} of 4 trials failed and do not count: "
        "RuntimeError: bad start."
    ) in found.remarks


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of the user's with a cell in a file, in which commands are given."""
    (tmp_path / "ownfile.py").write_text(OWN_CELL.format(behind="+ 5"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("ownfile", None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


OF_OWN = ("study", "cells", "--quick", "--cell", "own=ownfile:Own", "--max-sequences", "32")


def test_a_file_in_the_current_directory_needs_no_path(beside: Path) -> None:
    """By the installed command, which is elsewhere, and by its workers."""
    command = [sys.executable, "-P", "-m", "longlag", *OF_OWN, "--workers", "2", "--json"]
    given = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": given}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["cell"] == "own"
    assert row["failed"] == 0


def test_a_cell_that_was_edited_is_trained_again(beside: Path, capsys: Any) -> None:
    def error() -> float:
        assert cli.main([*OF_OWN, "--json", "--out", "out"]) == 0
        return json.loads(capsys.readouterr().out)["rows"][0]["mse"]["median"]

    far = error()
    assert far > 10
    assert error() == far
    (beside / "ownfile.py").write_text(OWN_CELL.format(behind="+ 0"))
    del sys.modules["ownfile"]  # another command is another process
    assert error() < 1
    with Ledger.read(beside / "out" / "ledger.sqlite") as ledger:
        assert len(list(ledger.rows())) == 2 * study.QUICK_TRIALS


def test_a_file_may_have_any_name(beside: Path) -> None:
    """Such as that of a field of a trial: seeds still have keys of their own."""
    (beside / "seed.py").write_text(OWN_CELL.format(behind="+ 0"))
    keys = {trial("robust", seed, "numpy", network="seed:Own").key for seed in range(3)}
    assert len(keys) == 3
    sys.modules.pop("seed", None)


def test_a_file_that_ends_the_program_leaves_out_its_cell_alone(beside: Path) -> None:
    (beside / "ends_it.py").write_text("import sys\nsys.exit(3)\n")
    ending, other = study.cases(request(cell=["own=ends_it:Own", "lstm"], task=["adding"]))
    assert ending.refused.startswith("Cell own is left out: ")
    assert not other.refused


WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "jax"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from longlag.studies import cells
for case in cells.cases(cells.STUDY.request({"cell": ["lstm", "gru", "mine=mycells:Mine"]})):
    print(case.about["cell"], "|", case.refused)
"""


def test_a_framework_that_is_missing_leaves_its_cells_out() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    lines = dict(line.split(" | ") for line in done.stdout.replace(" |\n", " | \n").splitlines())
    assert lines["lstm"] == ""
    assert "pip install 'longlag[torch]'" in lines["gru"]
    assert "mine is left out" in lines["mine"]


def test_a_cell_that_solves_nothing_is_left_out_at_the_longer_lags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule has nothing to do with learning: here the T up to which a cell solves is given."""
    reach = {"lstm": 30, "gru": 20, "rnn": 10}
    tried: list[tuple[str, int]] = []

    def solved(case: Any, rows: Any, ledger: Any) -> Outcome:
        cell, T = case.about["cell"], case.about["T"]
        tried.append((cell, T))
        status = "target" if reach[cell] >= T else "max_iterations"
        return Outcome(case, [{**row, "status": status} for row in rows], 0)

    monkeypatch.setattr(frame, "_outcome", solved)
    given = {**TINY, "cell": [*reach], "lengths": [40, 20, 30, 12], "out": tmp_path / "out"}
    found = longlag.study("cells", until_unsolved=True, task=["adding"], workers=1, **given)
    shorter_first = [(cell, T) for T in (12, 20, 30, 40) for cell in reach]
    last = {"lstm": 40, "gru": 30, "rnn": 12}
    assert tried == [(cell, T) for cell, T in shorter_first if last[cell] >= T]
    assert [(row["T"], row["cell"]) for row in found.rows] == [
        (T, cell) for T in (40, 20, 30, 12) for cell in reach if (cell, T) in tried
    ]
    assert found["refused"] == [
        f"adding, T = {T}: not tried with {names}, of which no trial was solved at a shorter T."
        for T, names in ((20, "rnn"), (30, "rnn"), (40, "gru, rnn"))
    ]
    assert found["refused"][0] in (tmp_path / "out" / "table.md").read_text()
    tried.clear()
    longlag.study("cells", task=["adding"], workers=1, **given)
    assert len(tried) == 4 * len(reach)


SECONDS = {"lstm": 0.5, "torch-gru": 90.0, "torch-rnn": 60.0}


def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Gives trials other seconds, and tells which cells had how many trials carried out."""
    asked: list[tuple[str, int]] = []

    def gather(cases: Any, request: Any, observe: Any) -> Any:
        out, ledger, rows = real(cases, request, observe)
        asked.extend((own[0]["settings"]["network"], len(own)) for own in rows)
        return out, ledger, [
            [{**one, "seconds": SECONDS[one["settings"]["network"]]} for one in own] for own in rows
        ]  # fmt: skip

    real = frame.gather
    monkeypatch.setattr(frame, "gather", gather)
    return asked


def test_slow_cells_have_fewer_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = timed(monkeypatch)
    given = {"cell": ["lstm", "gru", "rnn"], "workers": 1, "out": tmp_path, **TINY, "trials": 4}
    found = longlag.study("cells", slow_trials=2, **given)
    assert asked == [(name, 2) for name in SECONDS] + [("lstm", 4), ("torch-rnn", 4)]
    assert [(row["cell"], row["trials"]) for row in found.rows] == [
        ("lstm", 4), ("gru", 2), ("rnn", 4)
    ]  # fmt: skip
    sentence = "Rows of which a trial took longer than 60 s (median of 2) have no more seeds."
    assert sentence in (tmp_path / "table.md").read_text()
    assert all(pair["seeds"] == (2 if "gru" in pair.values() else 4) for pair in found["pairs"])
    every = longlag.study("cells", slow_trials=2, slow_seconds=100, **given)
    assert [row["trials"] for row in every.rows] == [4, 4, 4]
    none = longlag.study("cells", slow_trials=4, slow_seconds=0, **given)
    assert [row["trials"] for row in none.rows] == [4, 4, 4]
    assert not any("no more seeds" in " ".join(one.remarks) for one in (every, none))


def test_a_cell_whose_first_trials_fail_has_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def gather(cases: Any, request: Any, observe: Any) -> Any:
        out, ledger, rows = real(cases, request, observe)
        asked.extend(map(len, rows))
        return out, ledger, [[{**one, "status": "failed", "error": "no"} for one in rows[0]]]

    real = frame.gather
    monkeypatch.setattr(frame, "gather", gather)
    given = {"cell": ["lstm"], "workers": 1, "out": tmp_path, **TINY, "trials": 4}
    with pytest.raises(OSError, match="every trial of a case failed: no"):
        longlag.study("cells", slow_trials=2, **given)
    assert asked == [2]


def printed(rows: list[dict[str, Any]]) -> str:
    """What the command prints of such rows."""
    table = study.STUDY.table(rows)
    return str(longlag.studies.Result("cells", {"out": "out", "rows": rows}, table, []))


NUMBERS = {"median": 96_000.0, "min": 96_000, "max": 96_000}
MORE = {"seconds": NUMBERS, "sequences": NUMBERS, "weights": 25_601, "interval": (0.12, 0.34)}
MORE |= {"mse": {"median": 0.01234}, "task": "temporal-order", "T": 1000}
SEARCHED = [{"learning_rate": rate, "clip": clip} for rate in study.RATES for clip in study.CLIPS]


@pytest.mark.parametrize("settings", [[{}], SEARCHED], ids=["compared", "searched"])
@pytest.mark.parametrize(
    "names", [["torch-lstm", "gru"], ["a_rather_long_name_of_a_cell", "a_rather_long_name_of_one"]]
)
def test_the_table_has_eighty_columns_at_most(
    settings: list[dict[str, float]], names: list[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    seeds = dict.fromkeys(map(str, range(30)), 96_000)
    rows = [row(name, seeds, **MORE, **one) for name in names for one in settings]
    for own in (rows, rows[:1]):
        text = printed(own)
        assert max(map(len, text.splitlines())) <= 80
        assert len([line for line in text.splitlines() if "30/30" in line]) in (1, len(own))
    assert {line[0] for line in study.STUDY.table(rows)[1:]} == {*names}, "whole in the files"


def test_the_parts_of_a_searchs_table_tell_its_lines_apart(monkeypatch: Any) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    rows = [row("gru", {"1": 5}, **MORE, **one) for one in SEARCHED]
    for part in printed(rows).split("\n\n"):
        lines = part.splitlines()
        assert len({*lines}) == len(lines), part


def test_a_search_gives_every_cell_the_same_settings_and_its_best_are_used(tmp_path: Path) -> None:
    options: dict[str, Any] = {**TINY, "cell": ["gru", "rnn"], "task": ["adding"], "lengths": [12]}
    found = longlag.study("cells", search=True, **options, out=tmp_path / "search")
    tried = {cell: [] for cell in ("gru", "rnn")}
    for one in found.rows:
        tried[one["cell"]].append((one["learning_rate"], one["clip"]))
    assert tried["gru"] == tried["rnn"]
    assert len(set(tried["gru"])) == len(study.RATES) * len(study.CLIPS)
    tuned = tmp_path / "search" / study.TUNED_FILE
    best = json.loads(tuned.read_text())["cells"]
    assert set(best) == {"gru", "rnn"}
    cases = study.cases(request(**options, tuned=str(tuned)))
    for case in cases:
        settings = case.made().settings()
        assert {name: settings[name] for name in ("learning_rate", "clip")} == best[
            case.about["cell"]
        ]
    page = (tmp_path / "search" / "table.md").read_text()
    assert "- A trial has 64 sequences at most." in page
    assert ", numpy engine, " in page
    seeds = {int(seed) for one in found.rows for seed in one["seeds"]}
    assert request(**options).seed not in seeds
    assert min(seeds) == request(**options, search=True).seed == study.SEARCH_SEED
    assert request(**options, search=True, seed=7).seed == 7


# -- Python ---------------------------------------------------------------------------------------


def test_compare_takes_classes_and_names(tmp_path: Path) -> None:
    found = longlag.compare(
        {"gru": mycells.AtTheEnd, "mine": mycells.Mine, "end": mycells.AtTheEnd},
        tasks=["adding"], lengths=[12], out=tmp_path, **TINY,
    )  # fmt: skip
    assert [one["cell"] for one in found.rows] == ["gru", "mine", "end"]
    scores = [one["mse"] for one in found.rows]
    assert scores[0] == scores[1] == scores[2]  # the same network, read by us and by itself
    both = longlag.study("cells", cell=["gru", "lstm"], lengths=[12], out=tmp_path / "two", **TINY)
    assert both["engine"] in ("native and numpy", "numpy")
    assert "<table" in found._repr_html_()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cell", "task", "says"),
    [
        ("Mixes", "temporal-order", "the model mixes sequences"),
        ("Pads", "temporal-order", "the model reads padding"),
        ("Carries", "reber", "the model is not deterministic"),
        ("BothWays", "reber", "the model reads the future"),
        ("BothWays", "copy", "the model reads the future"),
    ],
)
def test_a_cell_is_checked_on_the_task_that_it_is_trained_on(
    cell: str, task: str, says: str, capsys: Any
) -> None:
    command = ["train", "--task", task, "--network", f"mycells:{cell}", "--max-iterations", "2"]
    assert cli.main(command) == 2
    assert says in capsys.readouterr().err


def test_a_cell_that_reads_the_future_is_left_out_where_every_step_is_answered() -> None:
    asked = request(cell=["mine=mycells:BothWays"], task=["adding", "copy"], lengths=[30])
    adding, copy = study.cases(asked)
    assert not adding.refused
    assert copy.refused.startswith("Cell mine is left out on copy, T = 30: the model reads the fut")


@pytest.mark.parametrize("task", ["very-long-lag", "reber"])
def test_a_cell_is_shown_no_longer_sequences_than_the_task_has(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    forward = mycells.Mine.forward

    def noted(self: Any, inputs: Any, lengths: Any) -> Any:
        seen.append(inputs.shape[1])
        return forward(self, inputs, lengths)

    monkeypatch.setattr(mycells.Mine, "forward", noted)
    made = recipe("catalog", task=task, network="mycells:Mine")
    training.begin(made)
    assert max(seen) == made.task.max_length


def test_a_cell_may_compute_in_float64() -> None:
    (case,) = study.cases(request(cell=["mycells:Double"]))
    assert case.refused == ""


def test_checking_a_cell_leaves_pytorchs_random_numbers(tmp_path: Path) -> None:
    stream = torch.get_rng_state()
    training.begin(recipe("robust", network="mycells:Drops", min_length=12))
    assert torch.equal(stream, torch.get_rng_state())


def test_a_class_that_workers_cannot_import_is_named() -> None:
    class Local(mycells.Mine):
        pass

    class InScript(mycells.Mine):
        pass

    InScript.__module__, InScript.__qualname__ = "__main__", "InScript"
    for cell, why in (
        (Local, r"\(.*Local\) .* since it is defined inside a function"),
        (InScript, r"\(InScript\) .* since it is defined in the script that is run"),
        (mycells.Mine(2, 1, 3), r"must be a class, a function that makes .*, not Mine\("),
    ):
        with pytest.raises(ValueError, match=rf"cell mine {why}") as caught:
            longlag.compare({"mine": cell})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["cell", "task"])
def test_options_of_the_command_that_compare_calls_otherwise_are_named(option: str) -> None:
    with pytest.raises(ValueError, match=f"has no option '{option}'; did you mean '{option}s'"):
        longlag.compare(["gru"], **{option: "copy"})  # type: ignore[arg-type]


def test_cells_in_a_list_are_names() -> None:
    with pytest.raises(ValueError, match="must be names of cells; give others as a dict by name"):
        longlag.compare(["gru", mycells.Mine])  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["", " gru", "a,b", "a=b", "a:b", "a|b", "a\nb", None, 3])
def test_names_that_a_table_cannot_have_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="the name of a cell must be printable char") as caught:
        longlag.compare({name: "gru"})
    assert "\n" not in str(caught.value)


# -- what differences mean ------------------------------------------------------------------------


def test_remarks_name_the_cells_that_differ() -> None:
    seeds = list(map(str, range(12)))
    good = row("good", {s: 100 + int(s) for s in seeds})
    slow = row("slow", {s: 600 + int(s) for s in seeds})
    bad = row("bad", dict.fromkeys(seeds))
    text = "\n".join(study.remarks([good, slow, bad]))
    assert "good solves it on more seeds than bad (p = 0.0015), by McNemar's exact test." in text
    assert "These p are corrected for 3 pairs (Holm)." in text
    assert "slow solves it on more seeds than bad" in text
    assert "good solves it on more seeds than slow" not in text
    assert re.search(
        r"good solves it sooner than slow \(p = \S+\), bad \(p = .*by the log-rank", text
    )
    alike = study.remarks([good, {**good, "cell": "twin"}])
    assert alike[0].startswith("No two cells are shown to differ by McNemar's exact test")
    assert alike[0].endswith("the least p is 1.")


def test_the_log_rank_test_itself_says_which_cell_is_sooner() -> None:
    """Not the means: here five unsolved trials make that of the sooner cell the larger one."""
    early = row("early", {str(seed): 80 if seed < 25 else None for seed in range(30)})
    late = row("late", dict.fromkeys(map(str, range(30)), 200))
    for rows in ([early, late], [late, early]):
        (pair,) = pairs(rows)
        assert (pair["first_trials"], pair["second_trials"]) == (30, 30)
        assert "adding, T = 100: early solves it sooner than late" in " ".join(study.remarks(rows))


def test_pairs_say_what_the_tests_saw() -> None:
    """p values of one pair, and Holm's of three, by hand."""
    one = row("one", {"0": 100, "1": None, "2": 300, "3": 400, "4": 500, "5": 600, "6": 700})
    other = row("other", {"1": 200, "2": None, "3": None, "4": None, "5": None, "6": None})
    third = row("third", {"1": 200})
    elsewhere = row("one", {"0": 100}, T=300)
    found = pairs([one, other, third, elsewhere])
    names = [(pair["first"], pair["second"], pair["T"]) for pair in found]
    assert names == [("one", "other", 100), ("one", "third", 100), ("other", "third", 100)]
    first = found[0]
    assert (first["seeds"], first["first_alone"], first["second_alone"]) == (6, 5, 1)
    assert first["p_mcnemar"] == pytest.approx(2 * (1 + 6) / 2**6)
    assert first["p_mcnemar_holm"] == pytest.approx(3 * 2 * 7 / 64)
    assert first["first_mean"] == pytest.approx((100 + 1000 + 300 + 400 + 500 + 600 + 700) / 7)


def test_pairs_are_in_a_file_and_in_json(tmp_path: Path) -> None:
    given = {**TINY, "cell": ["lstm", "gru"], "lengths": [12, 20], "out": tmp_path}
    found = longlag.study("cells", **given)
    assert [(pair["T"], pair["seeds"]) for pair in found["pairs"]] == [(12, 2), (20, 2)]
    with (tmp_path / "pairs.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(one["first"], one["second"], one["T"]) for one in lines] == [
        ("lstm", "gru", "12"),
        ("lstm", "gru", "20"),
    ]
    assert "mean" in (tmp_path / "table.md").read_text().splitlines()[2]


def test_a_search_does_not_choose_settings_because_their_trials_failed() -> None:
    """A row that is missing, or that has fewer trials, counts for no sequences and no error."""

    def tried(rate: float, task: str, seeds: str, mse: float) -> dict[str, Any]:
        more = {"learning_rate": rate, "clip": 1.0, "mse": {"median": mse}, "task": task}
        return row("gru", dict.fromkeys(seeds), **more)

    whole = [tried(0.01, "adding", "123", 0.2), tried(0.01, "copy", "123", 0.2)]
    assert study.best_settings([*whole, tried(0.03, "adding", "123", 0.1)]) == {
        "gru": {"learning_rate": 0.01, "clip": 1.0}
    }
    some = [tried(0.03, "adding", "123", 0.1), tried(0.03, "copy", "1", 0.1)]
    assert study.best_settings([*some, *whole])["gru"]["learning_rate"] == 0.01


def test_a_search_says_where_its_choice_is_doubtful() -> None:
    def searched(cell: str, rate: float, seeds: dict[str, int | None]) -> dict[str, Any]:
        return row(cell, seeds, learning_rate=rate, clip=0.1, mse={"median": rate})

    lines = study.remarks(
        [
            searched("edge", 0.01, {"0": 500}),
            searched("edge", 0.03, {"0": 100}),
            searched("inner", 0.01, {"0": 500}),
            searched("never", 0.003, {"0": None}),
        ]
    )
    assert lines[0].endswith("rate 0.03 and clip 0.1; this rate is the largest that was tried.")
    assert lines[1] == "inner: best with rate 0.01 and clip 0.1."
    assert lines[2].endswith("; no trial was solved with any, so the lowest error chose them.")


def test_twelve_cells_look_different() -> None:
    names = [*study.CELLS, "mine", "other"]
    looks = [figure.look(k) for k in range(100)]
    assert len({str(sorted(own.items(), key=str)) for own in looks}) == 100
    points = [figure.Point(name, "adding", 100, 1, 2, (0.0, 1.0)) for name in names]
    drawn = figure.draw(points, "Cells", "rates")
    (legend,) = drawn.legends
    shown = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert len(shown) == len(names)


def test_a_known_cell_looks_the_same_in_every_figure() -> None:
    def looks(*names: str) -> dict[str, tuple[Any, Any]]:
        points = [figure.Point(name, "adding", 100, 1, 2, (0.0, 1.0)) for name in names]
        (legend,) = figure.draw(points, "Cells", "rates", known=tuple(study.CELLS)).legends
        lines = zip(legend.get_texts(), legend.get_lines(), strict=True)
        return {text.get_text(): (line.get_color(), line.get_marker()) for text, line in lines}

    whole, few = looks(*study.CELLS), looks("mine", "gru", "attention")
    assert (few["gru"], few["attention"]) == (whole["gru"], whole["attention"])
    assert few["mine"] not in (few["gru"], few["attention"])


def test_the_cell_of_the_manual_is_in_the_table(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "docs" / "examples"))
    mine = "own_cell:Leaky"
    found = longlag.compare({"mine": mine}, lengths=[12], out=tmp_path, **TINY)
    assert (found["refused"], len(found.rows)) == ([], 1)
