"""The lowest version of everything that pyproject.toml requires: `name==version`, a line each.

    python tests/lowest.py > lowest.txt; pip install -r lowest.txt .

Of the package, of each of its extras, and of its build. Needs nothing but Python; see
`make test-lowest`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w.-]+)(?:>=|==)([\w.]+)")


def requirements() -> Iterator[str]:
    """As pyproject.toml has them."""
    content = tomllib.loads(PROJECT.read_text())
    yield from content["build-system"]["requires"]
    yield from content["project"]["dependencies"]
    for extra in content["project"]["optional-dependencies"].values():
        yield from extra


def lowest(requirement: str) -> str:
    """Of `name>=version`, or of `name==version`: `name==version`.

    Raises:
        ValueError: a requirement of another form, such as one without a lower bound.
    """
    found = REQUIREMENT.fullmatch(requirement)
    if found is None:
        raise ValueError(f"requirement {requirement!r} must be name>=version or name==version")
    return "==".join(found.groups())


if __name__ == "__main__":
    print("\n".join(dict.fromkeys(map(lowest, requirements()))))
