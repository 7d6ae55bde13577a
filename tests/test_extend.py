"""What one adds oneself: a task, a network, a study, a short file each, usable by every command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import longlag as longlag_package
from longlag.learning.recipe import Recipe, recipe
from longlag.settings import Registry
from longlag.studies.declaration import Study
from longlag.tasks.registry import TASKS
from longlag.tasks.task import Task

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
ADDED = {
    "own_task": ("--task", "own_task:FirstValue"),
    "own_network": ("--network", "own_network:EchoState"),
}


def longlag(
    *words: str, cwd: Path, allowed: str = "", beside: Path = EXAMPLES
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(beside), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "LONGLAG_PARTS": allowed}
    command = [sys.executable, "-m", "longlag", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", [*ADDED, "own_study"])
def test_an_example_is_short(name: str) -> None:
    lines = (EXAMPLES / f"{name}.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40


@pytest.mark.parametrize("name", ADDED)
def test_an_example_goes_through_the_commands(name: str, tmp_path: Path) -> None:
    settings = ("--min-length", "12", "--max-iterations", "40", "--test-every", "20")
    words = ("train", *ADDED[name], *settings, "--test-size", "64", "--save-dir", "run", "--quiet")
    trained = longlag(*words, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    for rest in (
        ("evaluate", "run", "--n", "100"),
        ("figures", "run"),
        ("animate", "run", "--n-frames", "2"),
        ("export", "run", "--format", "safetensors", "--out", "run.safetensors"),
        ("import", "run.safetensors", "--out", "again"),
        ("compare", "run", "again", "--n", "100"),
    ):
        done = longlag(*rest, cwd=tmp_path, allowed=name)
        assert done.returncode == 0, (rest, done.stderr)
    assert (tmp_path / "run" / "cell_state.png").exists()


NOISY = """
from dataclasses import dataclass
from longlag.settings import setting
from own_task import FirstValue

@dataclass(frozen=True)
class Noisy(FirstValue):
    '''With a setting of its own.'''
    name = "noisy"
    {setting}: float = setting(0.1, "how noisy", 0, 1)
"""


def test_settings_of_ones_own_class_are_flags(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY.format(setting="noise"))
    words = ("train", "--task=noisy:Noisy", "--noise", "0.3", "--min-length", "12", "--quiet")
    told = longlag(*words, "--help", cwd=tmp_path)
    assert "--noise X" in told.stdout, told.stderr
    done = longlag(*words, "--max-iterations", "2", "--test-every", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "history.json").read_text())["config"]
    assert config["noise"] == 0.3
    refused = longlag(*words[:3], "2", cwd=tmp_path)
    assert refused.stderr == "longlag: noise must be a number from 0 to 1, not 2.0\n"
    (tmp_path / "noisy.py").write_text(NOISY.format(setting="seed"))
    refused = longlag(*words, cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (
        2,
        "longlag: train has another flag --seed: seed needs a name of its own\n",
    )
    (tmp_path / "noisy.py").write_text(NOISY.format(setting="function"))
    refused = longlag(*words, cwd=tmp_path)
    assert refused.stderr == ("longlag: function cannot be the name of a setting: choose another\n")
    (tmp_path / "noisy.py").write_text(NOISY.format(setting="noise"))
    shown = longlag("tasks", "--n", "1", "noisy:Noisy", "--noise", "0.5", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr


STUDY = ("study", "own_study:STUDY", "--quick", "--sizes", "2,3,4", "--lengths", "12")


def test_a_study_of_ones_own_is_a_command(tmp_path: Path) -> None:
    done = longlag(*STUDY, "--trials", "1", "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert [row["recipe"] for row in content["rows"]] == ["2 cells", "3 cells", "4 cells"]
    assert {row["trials"] for row in content["rows"]} == {1}
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"figure.png", "table.md", "trials.csv", "ledger.sqlite"} <= files
    page = (tmp_path / "out" / "table.md").read_text()
    assert "\nCommand: `longlag study own_study:STUDY --quick" in page
    told = longlag(*STUDY[:2], "--help", cwd=tmp_path)
    assert "--sizes N,N,...         cells of the networks (default: 4,8)" in told.stdout


def test_the_command_of_a_study_in_another_directory_names_that(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    shutil.copy(EXAMPLES / "own_study.py", tmp_path / "own")
    words = (*STUDY, "--trials", "1", "--out", "out")
    done = longlag(*words, cwd=tmp_path, beside=tmp_path / "own")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "table.md").read_text()
    assert "\nCommand: `PYTHONPATH=own longlag study own_study:STUDY --quick" in page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--sizes", "0"), "sizes must be a whole number from 1 to 128, not 0"),
        (("--size", "2"), "study own_study:STUDY has no flag --size; did you mean --sizes?"),
    ],
)
def test_the_options_of_a_study_of_ones_own_are_checked(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    done = longlag(*STUDY, *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"longlag: {says}\n")
    assert not list(tmp_path.iterdir())


def test_a_study_of_ones_own_joins_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from own_study import STUDY  # type: ignore[import-not-found]

    registry: Registry[Study] = Registry("study", Study)
    assert registry.register(STUDY) is registry["sizes"] is registry["own_study:STUDY"]
    with pytest.raises(ValueError, match="a study must be a Study"):
        registry.register(recipe("robust"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be a Study, not Option"):
        registry["own_study:SIZES"]
    asked = {"quick": True, "sizes": 2, "lengths": [12], "workers": 1}
    result = longlag_package.study(STUDY, **asked, out=tmp_path)
    assert [(row["recipe"], row["T"]) for row in result.rows] == [("2 cells", 12)]
    assert "longlag.study('sizes', quick=True, sizes=2" in (tmp_path / "table.md").read_text()
    with pytest.raises(ValueError, match="did you mean 'sizes'"):
        longlag_package.study("own_study:STUDY", size=2)


def test_no_module_is_imported_because_a_file_says_so(tmp_path: Path) -> None:
    settings = ("--min-length", "12", "--max-iterations", "4", "--test-every", "2", "--quiet")
    longlag("train", *ADDED["own_task"], *settings, "--save-dir", "run", cwd=tmp_path)
    done = longlag("evaluate", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "own_task:FirstValue" in done.stderr
    assert "LONGLAG_PARTS=own_task" in done.stderr


def test_a_gradient_of_the_example_is_that_of_finite_differences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    made = recipe("robust", network="own_network:EchoState", hidden=5, min_length=12)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=made.network.size(made.task))
    batch = made.task.sample(3, rng)
    loss = lambda w: made.network_of(w).gradient(*batch)[0]  # noqa: E731
    _, (given,) = made.network_of(weights).gradient(*batch)
    steps = 1e-4 * np.eye(len(weights))
    numeric = [(loss(weights + step) - loss(weights - step)) / 2e-4 for step in steps]
    np.testing.assert_allclose(given.ravel(), numeric, rtol=1e-3, atol=1e-5)


def test_a_class_of_ones_own_joins_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from own_task import FirstValue  # type: ignore[import-not-found]

    registry: Registry[Task] = Registry("task", Task, *TASKS.values())  # type: ignore[type-abstract]
    registry.register(FirstValue())
    assert registry["first-value"].with_settings({"min_length": 20}).max_length == 22
    with pytest.raises(ValueError, match="did you mean 'first-value'"):
        registry["firstvalue"]
    with pytest.raises(ValueError, match="a task must be a Task"):
        registry.register(recipe("robust").network)  # type: ignore[arg-type]


def test_a_recipe_with_ones_own_part_is_found_again_by_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    made = recipe("robust", task="own_task:FirstValue", min_length=20)
    assert made.settings()["task"] == "own_task:FirstValue"
    assert Recipe.of("robust", made.settings()) == made
