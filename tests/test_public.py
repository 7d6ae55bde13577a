"""The public functions: what they take beside the usual, and one sentence for whatever else."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import longlag
from longlag import checks, explorer, figures, interop, judging, movement
from longlag.learning.recipe import Recipe
from longlag.runs import directory as runs
from longlag.tasks.marked_pairs import MarkedPairs

TINY = {"min_length": 12, "hidden": 2, "max_iterations": 2, "test_every": 1, "test_size": 10}
RNG = np.random.default_rng(0)


def tiny(**changes: Any) -> Recipe:
    return longlag.recipe("robust", **{**TINY, **changes})


RUN = longlag.train(tiny(), engine="numpy")
ON_LINE = longlag.recipe("paper", min_length=12, max_sequences=20, window=5, test_size=10)
RUN_1997 = longlag.train(ON_LINE, engine="numpy")
BATCH = RUN.recipe.task.sample(3, RNG)


# -- names and paths ------------------------------------------------------------------------------


def test_a_recipes_name_is_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"robust": tiny(), "paper": ON_LINE}
    monkeypatch.setattr("longlag.learning.recipe.RECIPES", short)
    for name, run in (("robust", RUN), ("paper", RUN_1997)):
        again = longlag.train(name, engine="numpy")
        assert (again.recipe, again.score) == (run.recipe, run.score)


def test_a_runs_directory_is_a_run(tmp_path: Path) -> None:
    other = longlag.train(tiny(min_length=15), 4, engine="numpy")
    runs.put(other, tmp_path / "run")
    want = longlag.evaluate(other, 50, 3, engine="numpy")
    for path in (tmp_path / "run", str(tmp_path / "run")):
        assert longlag.evaluate(path, 50, 3, engine="numpy") == want
        for task in (path, other, other.recipe, other.recipe.task):
            got = longlag.judge(other.network.predict, task, 50, 3)
            assert got.mse == pytest.approx(want.mse, rel=1e-6)
        assert longlag.evaluate(RUN, 50, task=path) != longlag.evaluate(RUN, 50)


@pytest.mark.parametrize("name", longlag.RECIPES)
def test_a_recipes_name_is_its_task(name: str) -> None:
    made = longlag.RECIPES[name]
    if not isinstance(made.task, MarkedPairs):
        assert judging.task_of(name) == judging.task_of(made) == made.task.tested
        return
    want = longlag.judge(half, made.task.tested, 20)
    assert longlag.judge(half, made, 20) == longlag.judge(half, name, 20) == want
    assert longlag.evaluate(RUN, 20, task=name) == longlag.evaluate(RUN, 20, task=made)


def test_a_recipes_name_comes_before_a_directory(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    runs.put(RUN, "catalog")
    catalog = longlag.judge(half, "catalog", 20)
    assert catalog == longlag.judge(half, longlag.RECIPES["catalog"], 20)
    assert longlag.judge(half, Path("catalog"), 20) == longlag.judge(half, RUN, 20) != catalog


def half(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.full(len(lengths), 0.5)


# -- whatever else --------------------------------------------------------------------------------

PLANE = np.zeros((2, 3))
ODD = [object(), b"x", 1j, longlag, np.array([1, None]), {"a": 1}]  # what nobody takes
RAGGED = [[1.0], [1.0, 2.0]]
CELLS = np.zeros((3, 12, 2))
# What an argument of a kind must refuse.
WRONG: dict[str, list[Any]] = {
    "recipe": [None, 3, 2.5, "nonsense", "", ["robust"], PLANE, RUN, RUN.recipe.task, *ODD],
    "run": [None, 3, [RUN], half, RUN.recipe, PLANE, *ODD],
    "run or path": [None, 3, "nowhere", "robust", [RUN], half, RUN.recipe, PLANE, *ODD],
    "task": [3, 2.5, "nonsense", "", Path("nowhere"), [RUN.recipe.task], half, PLANE, *ODD],
    "seed": [None, -1, 2.5, "0", [0], True, 10**30, PLANE, *ODD],
    "count": [None, 0, -1, 2.5, np.nan, "3", [3], True, 10**30, PLANE, *ODD],
    "length": [0, 5, 2.5, "20", [20], True, PLANE, *ODD],
    "lengths or one": ["30", "nonsense", ["a"], RAGGED, half, True, *ODD],
    "name": [None, 3, ["robust"], PLANE, *ODD],
    "cells": [None, 3, "gru", [], {}, half, *ODD[:5]],
    "flag": [0, 1, "no", [True], PLANE, *ODD],
    "word": [None, 3, "", "nonsense", ["numpy"], PLANE, *ODD],
    "callable": [None, 3, "nonsense", [half], PLANE, RUN, *ODD],
    "path": [None, 3, 2.5, ["a"], PLANE, *ODD],
    "existing": [None, 3, 2.5, ["a"], "nowhere", "", PLANE, *ODD],
    "numbers": [None, 3, "nonsense", ["a"], [], [0.5] * 3, RAGGED, PLANE, half, *ODD],
    "depths": [None, 3, "nonsense", ["a"], [0], [1.5], RAGGED, PLANE, half, *ODD],
    "numbers or lists": [None, "nonsense", ["a"], [1.0, None], half, *ODD],
    "number": [None, "nonsense", [0.5], PLANE, half, *ODD],
    "generator": [None, 0, "nonsense", np.random, np.random.RandomState(0), PLANE, *ODD],
    "inputs": [None, 3, "nonsense", CELLS.tolist(), PLANE, CELLS[:, :, :1], CELLS[:0], *ODD]
    + [CELLS.astype(dtype) for dtype in (str, complex, object)],
    "lengths": [3, "nonsense", [1, 2], [1, 1, 14], [0, 1, 1], [1.0, 1.0, 1.0], RAGGED, PLANE, *ODD],
    "settings": [None, 3, "hidden", ["hidden"], {"hiden": 3}, {3: 3}, {"hidden": "3"}, PLANE],
    "vector": [None, 3, "nonsense", [0.5], PLANE, *ODD],
    "trace": [None, 3, "nonsense", (PLANE, 2), PLANE, half, *ODD],
    "bytes": [None, 3, "nonsense", b"", b"nonsense", PLANE, object()],
    "snapshot": [None, 7, -1, 0.5, "0", [0], PLANE, *ODD],
    "module": [3, "nonsense", [RUN], half, PLANE, *ODD],
    "runs": [None, 3, "run", [RUN], RUN, {}, {"a": None}, dict.fromkeys("abc", RUN), PLANE],
}


class Call(NamedTuple):
    """A call that works, and the kind of each argument.

    says: what a refusal names in place of the argument, where that is another word.
    """

    function: Callable[..., Any]
    arguments: dict[str, Any]
    kinds: dict[str, str]
    says: dict[str, str] = {}  # noqa: RUF012 - never changed


SEQUENCES = {"inputs": BATCH.inputs, "lengths": BATCH.lengths}
FROM = {"inputs": "inputs", "lengths": "lengths"}
DRAWN = {"n": 3, "rng": np.random.default_rng(0)}
RULES = {"kind": "adding", "rules": "paper", "min_length": 20, "max_length": 20}
TRACE = movement.record(lambda x, y: x + y, 1.0, 2.0)
ENGINE = {"engine": "word", "threads": "count"}
SILENT = {"progress": False, "callback": print}
HEARD = {"progress": "flag", "callback": "callable"}
TASK = RUN.recipe.task
CALLS = {
    "train": Call(
        longlag.train,
        {"recipe": tiny(), "seed": 0, "engine": "numpy", "threads": 1, **SILENT},
        {"recipe": "recipe", "seed": "seed", **ENGINE, **HEARD},
    ),
    "evaluate": Call(
        longlag.evaluate,
        {"run": RUN, "n": 3, "seed": 0, "task": None, "engine": "numpy", "threads": 1} | SILENT,
        {"run": "run or path", "n": "count", "seed": "seed", "task": "task", **ENGINE, **HEARD},
    ),
    "judge": Call(
        longlag.judge,
        {"predict": half, "task": None, "n": 3, "seed": 0, "batch_size": 3, "show": False},
        {"predict": "callable", "task": "task", "n": "count", "seed": "seed"}
        | {"batch_size": "count", "show": "flag"},
    ),
    "load": Call(
        longlag.load, {"directory": "saved"}, {"directory": "existing", "module": "module"}
    ),
    "recipe": Call(longlag.recipe, {"name": "robust"}, {"name": "word"}, {"name": "recipe"}),
    "score": Call(
        longlag.score,
        {"predictions": [0.5, 0.5], "targets": np.array([1, 0])},
        {"predictions": "numbers", "targets": "numbers"},
    ),
    "study": Call(
        lambda **options: longlag.study(**{"name": "lag", **options}),
        {},  # takes seconds; test_studies.py has it
        {"name": "word", "trials": "count", "seed": "seed", "out": "path", "ledger": "path"}
        | {"engine": "word", "quick": "flag", "full": "flag", "max_sequences": "count"}
        | {"lengths": "lengths or one", **HEARD},
        {"name": "study"},
    ),
    "compare": Call(
        lambda **options: longlag.compare(**{"cells": {"gru": "gru"}, **options}),
        {},  # takes seconds; test_study_cells.py has it
        {"cells": "cells", "trials": "count", "seed": "seed", "out": "path"}
        | {"lengths": "lengths or one", **HEARD},
        {"lengths": "lengths", "cells": "cell"},
    ),
    "movement.measure": Call(
        lambda function, array, bytes_per_element: movement.measure(
            function, array, bytes_per_element=bytes_per_element
        ),
        {"function": lambda x: x, "array": [1.0], "bytes_per_element": 4},
        {"function": "callable", "array": "numbers or lists", "bytes_per_element": "count"},
        {"array": "arguments"},
    ),
    "movement.record": Call(movement.record, {"function": lambda: None}, {"function": "callable"}),
    "movement.stack_depths": Call(movement.stack_depths, {"trace": TRACE}, {"trace": "trace"}),
    "movement.price": Call(
        movement.price, {"depths": [1, 2], "width": 4}, {"depths": "depths", "width": "count"}
    ),
    **{
        f"movement.{name}": Call(getattr(movement, name), {"x": 0.5}, {"x": "number"})
        for name in ("sigmoid", "sqrt", "tanh")
    },
    "interop.write": Call(
        interop.write,
        {"run": RUN, "path": "new", "format": "safetensors"},
        {"run": "run", "path": "path", "format": "word"},
    ),
    "interop.read": Call(
        interop.read, {"path": "exported"}, {"path": "existing"}, {"path": "file|path"}
    ),
    "interop.recognise": Call(
        interop.recognise,
        {"data": b"PK\3\4"},
        {"data": "bytes"},
        {"data": "empty|of no known kind|bytes"},
    ),
    "runs.put": Call(
        runs.put,
        {"run": RUN, "directory": "put", "overwrite": True},
        {"run": "run", "directory": "path", "overwrite": "flag"},
    ),
    "runs.save": Call(lambda run: runs.save(run, Path("saved")), {"run": RUN}, {"run": "run"}),
    "figures.write_figures": Call(
        figures.write_figures, {"run": RUN, "out": "figures"}, {"run": "run", "out": "path"}
    ),
    "figures.write_animation": Call(
        lambda run, out, n_frames, fps: figures.write_animation(
            run, out, n_frames=n_frames, fps=fps
        ),
        {"run": RUN, "out": "a.gif", "n_frames": 2, "fps": 8},
        {"run": "run", "out": "path", "n_frames": "count", "fps": "count"},
    ),
    "explorer.write_page": Call(
        explorer.write_page,
        {"runs": {"a": RUN}, "out": "page.html"},
        {"runs": "runs", "out": "path"},
        {"runs": "run"},
    ),
    "explorer.page": Call(explorer.page, {"runs": {"a": RUN}}, {"runs": "runs"}, {"runs": "run"}),
    "MarkedPairs": Call(
        MarkedPairs,
        {**RULES, "first_mark": "shown"},
        {"kind": "word", "rules": "word", "min_length": "count", "max_length": "count"}
        | {"first_mark": "word"},
        {"kind": "task"},
    ),
    "MarkedPairs.at_length": Call(TASK.at_length, {"length": 20}, {"length": "length"}),
    "MarkedPairs.sample": Call(TASK.sample, DRAWN, {"n": "count", "rng": "generator"}),
    "MarkedPairs.draw": Call(TASK.draw, DRAWN, {"n": "count", "rng": "generator"}),
    "MarkedPairs.sample_in_order": Call(
        TASK.sample_in_order, DRAWN, {"n": "count", "rng": "generator"}
    ),
    "MarkedPairs.sequence": Call(
        TASK.sequence,
        {"rng": DRAWN["rng"], "length": 20},
        {"rng": "generator", "length": "length"},
    ),
    "task": Call(
        longlag.task,
        {"name": "adding", "min_length": 20},
        {"name": "word", "min_length": "count"},
        {"name": "task"},
    ),
    "Recipe.with_settings": Call(
        tiny().with_settings,
        {"settings": {"hidden": 4}},
        {"settings": "settings"},
        {"settings": "setting|hidden|unknown task"},
    ),
    "Recipe.of": Call(
        Recipe.of,
        {"name": "robust", "settings": tiny().settings()},
        {"name": "name", "settings": "settings", "trusted": "flag", "network": "module"},
        {"settings": "setting|hidden|unknown task"},
    ),
    "Recipe.learner": Call(tiny().learner, {"seed": 0}, {"seed": "seed", "own": "module"}),
    "Recipe.network_of": Call(
        tiny().network_of, {"weights": RUN.snapshots[0]}, {"weights": "vector"}
    ),
    "Run.network_at": Call(RUN.network_at, {"iteration": 0}, {"iteration": "snapshot"}),
    **{
        f"{type(run.network).__name__}.{name}": Call(getattr(run.network, name), SEQUENCES, FROM)
        for run in (RUN, RUN_1997)
        for name in ("predict", "states")
    },
}
# Containers, registries, and what a computation is made of while it is measured.
APART = {
    "RECIPES",
    "TASKS",
    "Task",
    "Batch",
    "History",
    "Run",
    "Score",
    "Recipe",
    "interop",
    "movement",
}
# What figures ask a task about a sequence that it drew.
APART |= {f"MarkedPairs.{name}" for name in ("explain", "drawing", "is_special", "is_telling")}
APART |= {f"movement.{name}" for name in ("VARIANT", "Movement", "Recorder", "Scalar", "Trace")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what the calls read."""
    monkeypatch.chdir(tmp_path)
    runs.put(RUN, "saved")
    interop.write(RUN, "exported", "safetensors")
    return tmp_path


def test_no_public_function_escapes() -> None:
    known = CALLS.keys() | APART
    assert set(longlag.__all__) <= known
    assert {f"movement.{name}" for name in movement.__all__} <= known
    assert {f"interop.{name}" for name in functions(interop)} <= known
    for kind in (MarkedPairs, Recipe, longlag.Run):
        assert {f"{kind.__name__}.{name}" for name in functions(kind)} <= known
    for call in CALLS.values():
        parameters = inspect.signature(call.function).parameters.values()
        plain = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        assert plain <= call.kinds.keys()


def functions(of: Any) -> set[str]:
    """Names of the public functions with arguments of a module or class, its own."""
    home = of.__name__ if inspect.ismodule(of) else of.__module__
    return {
        name
        for name, one in inspect.getmembers(of, inspect.isfunction)
        if not name.startswith("_") and one.__module__ == home
        if inspect.signature(one).parameters.keys() != {"self"}
    }


@pytest.mark.parametrize("name", CALLS)
def test_what_a_function_cannot_take_is_refused_in_one_sentence(name: str, here: Path) -> None:
    call = CALLS[name]
    if call.arguments:
        call.function(**call.arguments)
    before = sorted(here.rglob("*"))
    for argument, kind in call.kinds.items():
        for wrong in WRONG[kind]:
            if wrong is None and name in ("study", "compare") and argument not in ("cells", *HEARD):
                continue  # what was left open
            with pytest.raises(ValueError, match=call.says.get(argument, argument)) as caught:
                call.function(**{**call.arguments, argument: wrong})
            said = str(caught.value)
            assert "\n" not in said
            assert len(said) < 500
    assert sorted(here.rglob("*")) == before


def test_a_run_of_a_module_is_no_file_of_one_network(here: Path) -> None:
    torch = pytest.importorskip("torch")

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))

        def forward(self, inputs: Any, lengths: Any) -> Any:
            return inputs[torch.arange(len(lengths)), lengths - 1] @ self.weight

    run: Any = longlag.train_torch(Last(), tiny())
    with pytest.raises(ValueError, match=r"^run is of Last, .* one file cannot name: .*directory$"):
        interop.write(run, "new", "torch")
    assert not (here / "new").exists()
    runs.put(run, "put")
    assert longlag.load("put", Last()).score == run.score
    assert longlag.evaluate(run, 50).n == 50
    for wrong in WRONG["recipe"]:
        with pytest.raises(ValueError, match="recipe") as caught:
            longlag.train_torch(Last(), wrong)
        assert "\n" not in str(caught.value)
    for wrong in (None, 3, "lstm", "nonsense", "", [Last()], PLANE, Last, *ODD):
        with pytest.raises(ValueError, match=r"PyTorch module|network") as caught:
            longlag.train_torch(wrong, tiny())
        assert "\n" not in str(caught.value)
    data = longlag.torch.Sequences
    assert data("catalog").task == longlag.RECIPES["catalog"].task
    for wrong in (3, "nonsense", "", ["robust"], PLANE, RUN, *ODD):
        with pytest.raises(ValueError, match=r"task|recipe"):
            data(wrong)


def test_a_value_in_a_message_is_short_and_on_one_line() -> None:
    for value in (np.zeros((50, 50)), "x" * 10_000, [["a"] * 100] * 100, 10**4000):
        said = checks.shown(value)
        assert "\n" not in said
        assert len(said) < 300
    assert checks.shown("a  b\n") == "'a  b\\n'"
    assert checks.shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"


def test_the_version_is_the_same_wherever_it_stands() -> None:
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["version"] == longlag.__version__
    cited = root / "CITATION.cff"
    assert not cited.exists() or f"\nversion: {longlag.__version__}\n" in cited.read_text()
