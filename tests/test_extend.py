"""What one adds oneself: a task and a network, a short file each, usable by every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from longlag.learning.recipe import Recipe, recipe
from longlag.settings import Registry
from longlag.tasks.registry import TASKS
from longlag.tasks.task import Task

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
ADDED = {
    "own_task": ("--task", "own_task:FirstValue"),
    "own_network": ("--network", "own_network:EchoState"),
}


def longlag(*words: str, cwd: Path, allowed: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(EXAMPLES), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "LONGLAG_PARTS": allowed}
    command = [sys.executable, "-m", "longlag", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", ADDED)
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
