"""The rooms of the package: who may import whom, held against the code's own imports."""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "longlag"
# From the ground up: a module imports from its own floor and those below it.
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        *("version", "checks", "settings", "files", "signals", "terminal", "machine"),
        *("statistics", "kernel", "_kernel"),
    ),
    ("tasks",),
    ("networks",),
    ("learning",),
    ("movement",),
    ("figures", "runs", "sweeps"),
    ("words", "interop", "explorer", "progress"),
    ("studies", "bench", "training", "judging", "torch", "jax_training"),
    ("notebook",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
# What needs an extra is imported when it is asked for; so is what a command alone needs.
LAZY = {"torch", "jax", "distributed", "tqdm", "shtab", "pyarrow", "onnx", "safetensors", "fcntl"}


def floor(module: str) -> int:
    """The floor of `longlag.x.y`, by its x."""
    room = [*module.split("."), "__init__"][1]
    return next(k for k, rooms in enumerate(FLOORS) if room in rooms)


def module_of(path: Path) -> str:
    parts = ("longlag", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def known() -> set[str]:
    return {module_of(path) for path in files()}


def files() -> list[Path]:
    return [path for path in SOURCE.rglob("*.py") if "benchmarks" not in path.parts]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module of ours that a file imports, and whether within a function."""
    tree, modules = ast.parse(path.read_text()), known()
    within = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "longlag":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield (whole if whole in modules else str(node.module)), id(node) in within
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "longlag":
                    yield name.name, id(node) in within


@pytest.mark.parametrize("path", files(), ids=module_of)
def test_no_import_runs_back_up(path: Path) -> None:
    own = module_of(path)
    upward = [other for other, _ in imports(path) if floor(other) > floor(own)]
    assert not upward, f"{own} imports what stands above it: {', '.join(upward)}"


@pytest.mark.parametrize("path", files(), ids=module_of)
def test_nothing_of_ours_is_imported_within_a_function(path: Path) -> None:
    """But what needs an extra, which such a module of ours imports at its top."""
    lazy = [other for other, within in imports(path) if within and not needs_an_extra(other)]
    assert not lazy, f"{module_of(path)} imports within a function: {', '.join(lazy)}"


def needs_an_extra(module: str) -> bool:
    """Whether a module imports one of LAZY at its top, or one that does."""
    path = SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    path = path if path.exists() else path.with_suffix("") / "__init__.py"
    for node in ast.parse(path.read_text()).body:
        for inner in ast.walk(node) if isinstance(node, ast.Try) else (node,):
            names = [n.name for n in inner.names] if isinstance(inner, ast.Import) else []
            names += [str(inner.module)] if isinstance(inner, ast.ImportFrom) else []
            if any(name.split(".")[0] in LAZY for name in names):
                return True
            if any(name.startswith("longlag.networks.torch") for name in names):
                return True
    return False


def test_there_is_no_circle() -> None:
    arrows = {module_of(path): {other for other, _ in imports(path)} for path in files()}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"a circle: {' -> '.join((*way, module))}"
        if module in done:
            return
        for other in arrows.get(module, ()):
            if other != module:
                visit(other, (*way, module))
        done.add(module)

    sys.setrecursionlimit(10_000)
    for module in arrows:
        visit(module, ())


def test_a_task_and_a_network_are_named_in_their_own_files_alone() -> None:
    """What is peculiar to the marked-pair task stands in its file, the registry, and recipes."""
    naming = {
        module_of(path)
        for path in files()
        if any(
            isinstance(node, ast.Constant) and node.value == "multiplication"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert naming <= {"longlag.tasks.marked_pairs", "longlag.tasks.registry"}


def test_the_picture_of_the_rooms_is_the_order_of_the_imports() -> None:
    place = SOURCE.parents[1] / "docs" / "explanation"
    drawn = runpy.run_path(str(place / "rooms.py"))
    assert (place / "rooms.svg").read_text(encoding="utf-8") == drawn["drawing"]()
    shown = [[name for name, _ in rooms] for _, rooms in reversed(drawn["FLOORS"])]
    floors = [[room for room in rooms if not room.startswith("_")] for rooms in FLOORS]
    assert set(shown[0]) < set(floors[0])
    assert shown[1:] == [rooms for rooms in floors[1:] if rooms]
