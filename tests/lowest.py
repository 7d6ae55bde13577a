"""The lowest version of everything that pyproject.toml requires, as pip's constraints, a line each.

    python tests/lowest.py > constraints.txt; pip install -c constraints.txt '.[test]'

`make test-lowest` does so with every extra. Needs nothing but Python.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w.-]+)(?:>=|==)([\w.]+)")  # name>=lowest, or ==


def requirements() -> Iterator[str]:
    """Of the package, of each of its extras, and of its build."""
    content = tomllib.loads(PROJECT.read_text())
    yield from content["build-system"]["requires"]
    yield from content["project"]["dependencies"]
    for extra in content["project"]["optional-dependencies"].values():
        yield from extra


def lowest(requirement: str) -> str:
    """`name>=version` with its version alone: `name==version`.

    Raises:
        ValueError: a requirement of another form, such as one without a lower bound.
    """
    found = REQUIREMENT.fullmatch(requirement)
    if found is None:
        raise ValueError(f"requirement {requirement!r} must be name>=version or name==version")
    return "==".join(found.groups())


def extras() -> str:
    """The names of all extras, separated by commas."""
    return ",".join(tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"])


if __name__ == "__main__":
    print("\n".join(dict.fromkeys(map(lowest, requirements()))))
