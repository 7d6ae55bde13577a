"""`longlag sweep FILE.toml`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fuzzing import inline_workers
from longlag import cli
from longlag.sweeps import grid

TEXT = """
seeds = 2
first_seed = 5

[settings]
min_length = 12
max_iterations = 2
test_every = 1
test_size = 10

[grid]
task = ["adding", "multiplication"]
hidden = [2, 3, 4]
"""


def combinations(tmp_path: Path, text: str) -> list[dict[str, Any]]:
    (tmp_path / "parts.toml").write_text(f"seeds = 1\n{text}")
    return [dict(one) for one in grid.read(tmp_path / "parts.toml").combinations]


def test_a_setting_is_of_those_parts_that_have_it(tmp_path: Path) -> None:
    networks = 'network = ["lstm", "gru"]\nforget_bias = [0.0, 1.0]\n'
    assert combinations(tmp_path, f"[grid]\n{networks}") == [
        {"network": "lstm", "forget_bias": 0.0},
        {"network": "lstm", "forget_bias": 1.0},
        {"network": "gru"},
    ]
    tasks = 'min_length = 20\nlag = 10\n[grid]\ntask = ["adding", "copy"]\n'
    assert combinations(tmp_path, f"[settings]\n{tasks}") == [
        {"min_length": 20, "task": "adding"},
        {"lag": 10, "task": "copy"},
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[grid]\nnetwork = ["gru"]\nforget_bias = [0.0]', "no setting 'forget_bias': it is a"),
        ('[grid]\nnetwork = ["lstm", "gru"]\nforget_bia = [0.0]', "did you mean 'forget_bias'"),
    ],
)
def test_a_setting_that_none_has_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        combinations(tmp_path, text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "own.toml").write_text(TEXT)
    return tmp_path / "own.toml"


def test_every_combination_has_every_seed(file: Path) -> None:
    trials = list(grid.read(file))
    assert len(trials) == len(grid.read(file)) == 12
    assert len({one.key for one in trials}) == 12
    found = {(t.settings["task"], t.settings["hidden"], t.seed) for t in trials}
    tasks = ("adding", "multiplication")
    assert found == {(task, h, s) for task in tasks for h in (2, 3, 4) for s in (5, 6)}
    assert {t.settings["max_length"] for t in trials} == {13}


def test_the_command_goes_on_from_its_ledger(file: Path, capsys: Any) -> None:
    with inline_workers():
        for _ in range(2):
            assert cli.main(["sweep", str(file), "--json"]) == 0
            content = json.loads(capsys.readouterr().out)
            assert content["file"] == str(file.with_suffix(".sqlite"))
            assert [group["trials"] for group in content["groups"]] == [2] * 6


CELLS = """
seeds = 1

[settings]
task = "adding"
min_length = 12
max_iterations = 2
test_every = 1
test_size = 10

[grid]
network = [{networks}]
"""


def test_trials_that_fail_are_named_and_leave_the_others_alone(tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("torch")
    some, none = tmp_path / "some.toml", tmp_path / "none.toml"
    some.write_text(CELLS.format(networks='"mycells:Mine", "mycells:Mixes"'))
    none.write_text(CELLS.format(networks='"mycells:Mixes"'))
    with inline_workers():
        assert cli.main(["sweep", str(some)]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "mycells:Mixes 0 of 0" in said
        assert "not counted: 1 trial that failed: ValueError: the model mixes sequences" in said
        assert cli.main(["sweep", str(none)]) == 1
        assert "every trial failed: ValueError: the model mixes" in capsys.readouterr().err


def test_only_the_trials_of_the_file_are_shown(file: Path, capsys: Any) -> None:
    with inline_workers():
        assert cli.main(["sweep", str(file), "--json"]) == 0
        capsys.readouterr()
        file.write_text(TEXT.replace("[2, 3, 4]", "[3]"))
        assert cli.main(["sweep", str(file), "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [group["about"]["task"] for group in groups] == ["adding", "multiplication"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed = 3", "unknown name 'seed'; did you mean 'seeds'"),
        ("seeds = 0", "seeds must be"),
        ("grid = 3", "grid must be a table, not 3"),
        ("[settings]\nname = 'x'", "unknown setting 'name'"),
        ("[grid]\nname = ['x']", "unknown setting 'name'"),
        ("[grid]\nhidden = 3", "grid must give a list of values of hidden, not 3"),
        ("[grid]\nhiden = [3]", "unknown setting 'hiden'; did you mean 'hidden'"),
        ("[grid]\nhidden = [3]\n[settings]\nhidden = 2", "hidden is in settings and in grid"),
        ("[grid]\nhidden = [3, 2, 3]", "grid must give each value of hidden once, not 3 twice"),
        ("[grid]\nlearning_rate = [1, 1.0]", "each value of learning_rate once, not 1.0 twice"),
        ("", "a sweep must say at least one of recipe, seeds, .*, grid, not nothing"),
        ("# words\n[settings]\n[grid]\n", "a sweep must say at least one of"),
        ("recipe = ", "is no TOML file"),
        ("engine = 'native'\n[grid]\nnetwork = ['gru']", "engine native has no"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        grid.read(tmp_path / "own.toml")
    assert "own.toml" in str(caught.value)
