"""The lower bounds of pyproject.toml, which `make test-lowest` installs and runs the tests with."""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lowest import PROJECT, lowest, requirements


def named(content: Any, key: str = "") -> Iterator[str]:
    """Every text in a list of requirements, wherever it stands in pyproject.toml."""
    if isinstance(content, dict):
        for name, part in content.items():
            yield from named(part, name if key != "optional-dependencies" else key)
    elif isinstance(content, list) and key in ("requires", "dependencies", "optional-dependencies"):
        yield from content


def test_none_is_missed() -> None:
    assert set(named(tomllib.loads(PROJECT.read_text()))) == set(requirements())
    assert len(set(requirements())) > 20


@pytest.mark.parametrize("text", sorted(set(requirements())))
def test_the_lowest_version_is_the_lowest_that_is_allowed(text: str) -> None:
    required, found = Requirement(text), Requirement(lowest(text))
    (bound,) = found.specifier
    assert (found.name, bound.operator) == (required.name, "==")
    assert required.specifier.contains(bound.version, prereleases=True)
    assert not required.specifier.contains(f"{bound.version}.dev0", prereleases=True)


def test_a_package_has_one_lower_bound() -> None:
    bounds: dict[str, set[str]] = {}
    for text in requirements():
        name, version = lowest(text).split("==")
        bounds.setdefault(canonicalize_name(name), set()).add(version)
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}


@pytest.mark.parametrize("text", ["numpy", "numpy<3", "numpy>1", "numpy>=1,<3", "numpy[x]>=1"])
def test_a_requirement_without_a_plain_lower_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be name>=version or name==version"):
        lowest(text)


def test_the_lowest_versions_are_those_in_use() -> None:
    if Path(sys.prefix) != PROJECT.parent / "build" / "lowest":
        pytest.skip("not in the environment of make test-lowest")
    for name, version in (lowest(text).split("==") for text in requirements()):
        installed = Version(importlib.metadata.version(name))
        assert Version(installed.public) == Version(version), name
