"""The study of cells: its grid, its table, and cells that will not do."""

from __future__ import annotations

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
from longlag.learning import training
from longlag.learning.recipe import recipe
from longlag.sweeps.ledger import Ledger

pytest.importorskip("torch")

import torch

import mycells
from longlag.studies import cells as study
from longlag.studies import frame
from longlag.studies.cases import Outcome

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
    (tmp_path / "tuned.json").write_text(json.dumps({"cells": {"gru": {"clip": 0.1}}}))
    with pytest.raises(ValueError, match=r"tuned.json has no settings for lstm, rnn: search with"):
        study.cases(request(cell=["lstm", "gru", "rnn"], tuned=str(tmp_path / "tuned.json")))


@pytest.mark.parametrize("own", [{"network": "mycells:Mine"}, {"name": "x"}, 5])
def test_a_file_of_settings_chooses_nothing_else(own: Any, tmp_path: Path) -> None:
    """Least of all a module to import."""
    (tmp_path / "tuned.json").write_text(json.dumps({"cells": {"gru": own}}))
    with pytest.raises(ValueError, match="must hold learning_rate and clip of cells and nothing"):
        study.cases(request(cell=["gru"], tuned=str(tmp_path / "tuned.json")))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cell": ["lstn"]}, r"cell must be one of lstm, .*did you mean 'lstm'"),
        ({"cell": ["mine=mycells"]}, "or your own as name=module:Class, not 'mine=mycells'"),
        ({"cell": ["gru", "gru=mycells:Mine"]}, "the name 'gru' twice"),
        ({"cell": ["gru=lstm"]}, "'gru' is a cell that comes with longlag: name lstm otherwise"),
        ({"cell": ["=gru"]}, "the name of a cell must be printable .* without , = .*, not ''"),
        ({"cell": ["a=b=gru"]}, "the name of a cell must be printable .*, not 'a=b'"),
        ({"cell": ["a:b=gru"]}, "the name of a cell must be printable .*, not 'a:b'"),
        ({"cell": ["mine=__main__:X"]}, "cell mine=__main__:X cannot be imported by workers, si"),
        ({"task": ["addin"]}, "unknown task 'addin'"),
        ({"task": ["adding"], "lengths": [2]}, "task adding cannot have T = 2"),
        ({"tuned": "nowhere.json"}, "there is no nowhere.json"),
        ({"cell": ["x=nowhere:X"]}, "Cell x is left out: network 'nowhere:X' cannot be had"),
        ({"cell": ["gru"], "device": "cuda:77"}, "Cell gru is left out .*has no device 'cuda:77'"),
        ({"lengths": [20, 30, 20]}, "lengths must be different ones, not 20,30,20"),
        ({"task": ["adding", "adding"]}, "task must be different ones, not adding,adding"),
        ({"search": True, "clip": 0.5}, "--search chooses .*: leave --clip out"),
        ({"search": True, "tuned": "tuned.json"}, "--search chooses .*: leave --tuned out"),
        ({"search": True, "until_unsolved": True}, "at every T: leave --until-unsolved out"),
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
        "remembers": "it changes norm.running_mean while it is trained",
        "missing": "has no attribute 'Missing'",
        "exits": "SystemExit: 3",
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
        {"gru": "gru", "mine": mycells.Mine, "end": mycells.AtTheEnd},
        tasks=["adding"], lengths=[12], out=tmp_path, **TINY,
    )  # fmt: skip
    assert [one["cell"] for one in found.rows] == ["gru", "mine", "end"]
    scores = [one["mse"] for one in found.rows]
    assert scores[1] == scores[2]  # the same network, read by us and by itself
    both = longlag.study("cells", cell=["gru", "lstm"], lengths=[12], out=tmp_path / "two", **TINY)
    assert both["engine"] in ("native and numpy", "numpy")
    assert "<table" in found._repr_html_()  # type: ignore[attr-defined]


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
        (mycells.Mine(2, 1, 3), r"\(Mine.*\) .* since it is no class or function that a module"),
    ):
        with pytest.raises(ValueError, match=rf"cell mine {why}") as caught:
            longlag.compare({"mine": cell})
        assert "\n" not in str(caught.value)


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
    assert "good is solved on more seeds than bad (McNemar's exact test, p ≤ 0.0015" in text
    assert "slow is solved on more seeds than bad" in text
    assert "good is solved on more seeds than slow" not in text
    assert "good is solved sooner than slow, bad (the log-rank test" in text
    alike = study.remarks([good, {**good, "cell": "twin"}])
    assert alike[0].startswith("No two cells differ by McNemar's exact test")


def test_the_cell_of_the_manual_is_in_the_table(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "docs" / "examples"))
    mine = "own_cell:Leaky"
    found = longlag.compare({"mine": mine}, lengths=[12], out=tmp_path, **TINY)
    assert (found["refused"], len(found.rows)) == ([], 1)
