"""The recipe catalog, to the digit: its documented commands and its table of five seeds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import longlag
from fuzzing import digests
from longlag.runs import directory as runs

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = (
    "multiplication_problem.py",
    "visualize_multiplication_problem.py",
    "make_multiplication_problem_gif.py",
)
# What the scripts may not need: all but numpy and matplotlib.
MISSING = ["shtab", "tqdm", "distributed", "longlag._kernel"]
BARE = f"import sys; sys.modules.update(dict.fromkeys({MISSING}))"


def script(name: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script as a bare environment with numpy and matplotlib alone would."""
    path = str(ROOT / name)
    code = f"{BARE}; import runpy; sys.argv = {[path, *args]!r}; sys.path.insert(0, {str(ROOT)!r})"
    code += f"; runpy.run_path({path!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)


PUBLISHED = [
    (0, 96_000, 0.00275, 0.00285, "target"),
    (1, 256_000, 0.04725, 0.04735, "max_iterations"),
    (2, 16_000, 0.02675, 0.02685, "target"),
    (3, 48_000, 0.00735, 0.00745, "target"),
    (4, 256_000, 0.04505, 0.04515, "max_iterations"),
]
TAKES_LONG = 50_000  # sequences


@pytest.mark.parametrize(
    ("seed", "sequences", "low", "high", "stopped_by"),
    [
        pytest.param(*row, marks=[pytest.mark.long] if row[1] > TAKES_LONG else [])
        for row in PUBLISHED
    ],
)
def test_the_published_table(
    seed: int, sequences: int, low: float, high: float, stopped_by: str
) -> None:
    recipe = longlag.recipe("catalog", max_iterations=8000)
    run = longlag.train(recipe, seed, engine="numpy")
    assert run.sequences == sequences
    assert run.stopped_by == stopped_by
    assert low <= run.score.mse < high


def test_the_training_script(tmp_path: Path) -> None:
    args = ("--seed", "2", "--max-iters", "6000")
    done = script("multiplication_problem.py", *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = runs.load(tmp_path / "run")
    assert (run.engine, run.recipe) == ("numpy", longlag.recipe("catalog"))
    assert f"{run.score.mse:.4f}" == "0.0268"
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["sequences"] == 16_000


def test_the_training_scripts_flags(tmp_path: Path) -> None:
    flags = {
        "--max-iters": "6",
        "--T-min": "15",
        "--T-max": "18",
        "--hidden": "3",
        "--lr": "0.01",
        "--batch-size": "5",
        "--target-test-mse": "0.5",
        "--save-dir": "elsewhere",
        "--recipe": "catalog",
    }
    words = [word for pair in flags.items() for word in pair]
    done = script("multiplication_problem.py", *words, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    expected = longlag.recipe(
        "catalog",
        **{"max_iterations": 6, "min_length": 15, "max_length": 18, "hidden": 3},
        **{"learning_rate": 0.01, "batch_size": 5, "target_test_mse": 0.5},
    )
    assert runs.load(tmp_path / "elsewhere").recipe == expected


def test_the_picture_scripts(tmp_path: Path) -> None:
    done = script(SCRIPTS[1], "--max-iters", "12", "--out", "pictures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = {p.name for p in (tmp_path / "pictures").glob("*.png")}
    assert drawn == {f"{name}.png" for name in runs.FIGURES}
    done = script(SCRIPTS[2], "--max-iters", "30", "--n-frames", "3", "--T", "24", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "multiplication_problem.gif").read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize(
    ("name", "into"),
    [
        (SCRIPTS[0], ["--save-dir", "run"]),
        (SCRIPTS[1], ["--out", "run"]),
        (SCRIPTS[2], ["--out", "run/animation.gif"]),
    ],
)
def test_a_script_writes_over_another_trainings_run_when_told_to(
    name: str, into: list[str], tmp_path: Path
) -> None:
    few = ("--max-iters", "12", "--quiet", *(["--n-frames", "3"] if name == SCRIPTS[2] else []))
    assert script(SCRIPTS[0], *few[:3], cwd=tmp_path).returncode == 0
    held = digests(str(tmp_path / "run"))
    for other in (["--seed", "1"], ["--hidden", "3"], ["--max-iters", "13"]):
        done = script(name, *few, *other, *into, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(
            rf"{name}: run holds a finished run .*--overwrite \(overwrite=True\)\n", done.stderr
        )
        assert digests(str(tmp_path / "run")) == held
    for again in ([], ["--seed", "1", "--overwrite"]):
        done = script(name, *few, *again, *into, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert digests(str(tmp_path / "run")) != held


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--recipe", "catalogue"], "did you mean 'catalog'?"),
        (["--recipe", "paper"], "recipe paper learns on-line: run `longlag train` for it"),
        (["--T-min", "5", "--T-max", "9"], "min_length must be at least 12 steps"),
        (["--T-max", "15"], "max_length must be at least min_length (20), not 15"),
        (["--seed", "-1"], "seed must be a whole number"),
        (["--hidden", "0"], "hidden must be a whole number"),
        (["--seed", "x"], "--seed must be a whole number, not 'x'"),
        (["--seed"], "--seed is missing its value"),
        (["--sed", "3"], "there is no flag --sed; did you mean --seed?"),
        (["now"], "'now' is one argument too many; usage:"),
    ],
)
def test_bad_input_to_a_script(name: str, args: list[str], said: str, tmp_path: Path) -> None:
    done = script(name, *args, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith(f"{name}: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("run/*"))


def test_without_an_installed_package_the_scripts_take_the_sources(tmp_path: Path) -> None:
    hidden = f"""
import importlib.util, runpy, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == 'longlag' else found(name, *rest)
sys.path.insert(0, {str(ROOT)!r})
import multiplication_problem
print(sys.path[0])
"""
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert done.stdout.strip() == str(ROOT / "src"), done.stderr


@pytest.mark.long
def test_a_bare_environment_runs_the_documented_commands(tmp_path: Path) -> None:
    """numpy and matplotlib, nothing else; the three commands of catalog."""
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "numpy", "matplotlib"]
    subprocess.run(install, check=True)
    outputs = ("run", "viz", "multiplication_problem.gif")
    iterations = ("6000", "6000", "4000")
    for name, output, n in zip(SCRIPTS, outputs, iterations, strict=True):
        flag = "--save-dir" if output == "run" else "--out"
        args = ["--seed", "0", "--max-iters", n, flag, tmp_path / output]
        done = subprocess.run([python, ROOT / name, *args], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / output).exists()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert f"{history['final_test_mse']:.4f}" == "0.0028"
