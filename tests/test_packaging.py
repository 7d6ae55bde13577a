"""Installations: from an sdist, in fresh environments, on every Python there is"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from reliability import Tally

ROOT = Path(__file__).parent.parent
OLDEST = (3, 11)
SMOKE = """
import longlag
run = longlag.train(longlag.recipe("robust", min_length=12, max_iterations=20, test_every=10))
batch = run.recipe.task.sample(8, __import__("numpy").random.default_rng(0))
assert run.network.predict(batch.inputs, batch.lengths).shape == (8,)
print(run.engine)
"""


def interpreters() -> dict[str, str]:
    """Every Python from 3.11 on that is installed here, by its version."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], 30)]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    paths = [shutil.which(name) for name in names] + [*map(str, versions.glob("*/bin/python3"))]
    found: dict[str, str] = {}
    for path in filter(None, [sys.executable, *paths]):
        words = [path, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2], sep='.')"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        version = done.stdout.strip()
        if done.returncode == 0 and tuple(map(int, version.split("."))) >= OLDEST:
            found.setdefault(version, path)
    return dict(sorted(found.items()))


def run(*words: object, **options: object) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this checkout."""
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--outdir", out, ROOT)
    (made,) = out.glob("*.tar.gz")
    return made


@pytest.mark.survives("an sdist", "all that a build and a user need, and no results")
def test_what_the_sdist_holds(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    kept = run("git", "-C", ROOT, "ls-files", "src", "kernel", "benchmarks", "tests", "docs")
    assert set(kept.splitlines()) <= held
    assert {"pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md", "PKG-INFO"} <= held
    assert not [name for name in held if re.match(r"results/|viz/|\.ci|.*\.(so|gif|pyc)$", name)]


@pytest.mark.survives(
    "the sdist built into a wheel, installed in a fresh environment, warnings being errors",
    "the native kernel is in use, a training runs, types and benchmarks are there",
)
@pytest.mark.parametrize("version", interpreters())
def test_a_wheel_from_the_sdist(sdist: Path, tmp_path: Path, version: str, tally: Tally) -> None:
    run(interpreters()[version], "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, sdist)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    for name in run("git", "-C", ROOT, "ls-files", "src/longlag", "benchmarks").splitlines():
        assert name.removeprefix("src/").replace("benchmarks/", "longlag/benchmarks/") in held
    assert "longlag/py.typed" in held
    run(python, "-m", "pip", "install", wheel)
    command = tmp_path / "venv" / "bin" / "longlag"
    doctor = json.loads(run(command, "doctor", "--json", cwd=tmp_path))
    assert doctor["engine"] == "native"
    assert run(python, "-W", "error", "-c", SMOKE, cwd=tmp_path) == "native\n"
    tiny = ("--min-length", "12", "--max-iterations", "20", "--json", "--quiet")
    trained = json.loads(run(command, "train", *tiny, "--save-dir", "run", cwd=tmp_path))
    assert trained["isa"] == doctor["isa"]
    run(python, "-W", "error", "-m", "longlag.cli", "figures", "run", cwd=tmp_path)
    tally.note(f"Python {version}")


# Programs, not to be imported; traced scalars, whose operators are made by a function.
APART = ("longlag.benchmarks.", "longlag.cli.", "longlag.movement.tracing.")


def test_the_public_interface_is_complete_in_types(tmp_path: Path) -> None:
    bin_ = Path(sys.executable).parent
    here = {**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    words = [bin_ / "pyright", "--verifytypes", "longlag", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=here)
    found = json.loads(done.stdout)["typeCompleteness"]
    assert found["pyTypedPath"], "py.typed is missing"
    assert len(found["symbols"]) > 500
    wrong = [
        f"{symbol['name']}: {about['message']}"
        for symbol in found["symbols"]
        for about in symbol["diagnostics"]
        if about["severity"] == "error" and not symbol["name"].startswith(APART)
    ]
    assert not wrong, "\n".join(wrong)
