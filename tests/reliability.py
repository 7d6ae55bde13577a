"""The table of what was tried and survived: `pytest --reliability FILE`, as `make test-long` does.

A test with the marker `survives(what, outcome)` is a line of the table; tests with the same line
add up. A test that tries more than once says how often, with the fixture `tally`.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import longlag

HEAD = """# What was tried, and survived

Written by `make test-long` on {date}: longlag {version}, Python {python}, numpy {numpy},
{system}, {cores} cores. Seconds include what the tests themselves do to compare; other work may
have run on the machine beside them.
"""


SURVIVED = "survived"  # a property of a test's report: what `Record._add` takes


@dataclass
class Line:
    """One thing that was tried."""

    times: int = 0
    seconds: float = 0.0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """How often the present test has tried, and what else it measured."""

    times: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, times: int = 1) -> None:
        self.times += times

    def note(self, words: str) -> None:
        """Something measured, for the line's outcome."""
        self.notes.append(words)


class Record:
    """The plugin."""

    def __init__(self, path: Path | None) -> None:
        # A test that fails may do so in another working directory.
        self.path, self.tally = path and path.resolve(), Tally()
        self.sections: dict[str, dict[tuple[str, str], Line]] = {}
        self.notes: dict[str, list[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        marker = item.get_closest_marker("survives")
        if marker is not None and (report.when == "call" or not report.passed):
            section = item.module.__doc__.strip().splitlines()[0].rstrip(".")  # type: ignore[attr-defined]
            seen = (section, *marker.args, self.tally.times, [*self.tally.notes])
            report.user_properties.append((SURVIVED, seen))
        if report.when == "teardown":
            self.tally.times = 0
            self.tally.notes.clear()
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds a test to the table, in the process that reports come to."""
        for name, seen in report.user_properties:
            if name == SURVIVED:
                self._add(report, *seen)  # type: ignore[misc]

    def _add(
        self,
        report: pytest.TestReport,
        section: str,
        what: str,
        outcome: str,
        times: int,
        notes: list[str],
    ) -> None:
        line = self.sections.setdefault(section, {}).setdefault((what, outcome), Line())
        self.notes.setdefault(what, []).extend(notes)
        line.seconds += report.duration
        if report.skipped:
            line.skipped.append(report.longrepr[2] if report.longrepr else "")  # type: ignore[index]
        else:
            line.times += times or 1
            line.failed += report.failed
        if self.path is not None:  # at once: a run that is cut short leaves what it had
            self.path.write_text(self.page())

    def page(self) -> str:
        """The table, a section a test module."""
        parts = [
            HEAD.format(
                date=datetime.datetime.now(datetime.UTC).date(),
                version=longlag.__version__,
                python=platform.python_version(),
                numpy=np.__version__,
                system=f"{platform.system()} {platform.machine()}",
                cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
            )
        ]
        for section, lines in sorted(self.sections.items()):
            parts.append(f"\n## {section}\n\n| what | times | what came of it | seconds |")
            parts.append("|---|--:|---|--:|")
            for (what, outcome), line in lines.items():
                said = "; ".join([outcome, *self.notes.get(what, [])])
                if line.failed:
                    said = f"**{line.failed} failed**; expected: {outcome}"
                elif not line.times:
                    said = f"not tried here: {line.skipped[0].removeprefix('Skipped: ')}"
                parts.append(f"| {what} | {line.times:,} | {said} | {line.seconds:,.0f} |")
        return "\n".join(parts) + "\n"


RECORD = pytest.StashKey[Record]()
