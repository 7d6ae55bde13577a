"""Settings and fixtures that the tests share.

Hypothesis draws the same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy; the arrays are tiny
os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch's

import pytest
from hypothesis import HealthCheck, settings

from fuzzing import furnish
from longlag.learning.recipe import Recipe, recipe
from plain import Plain, compiled
from reliability import RECORD, Record, Tally

_SLOW = (HealthCheck.too_slow,)
settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=40, suppress_health_check=_SLOW
)
settings.register_profile(
    "explore", deadline=None, max_examples=400, print_blob=True, suppress_health_check=_SLOW
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reliability", type=Path, help="write the table of what was survived here")


def pytest_configure(config: pytest.Config) -> None:
    # Behind `nohup` and `&` these are ignored, and so they would be in what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Of several processes the one that reports come to writes the table.
    writes = not hasattr(config, "workerinput")
    record = Record(config.getoption("--reliability") if writes else None)
    config.stash[RECORD] = record
    config.pluginmanager.register(record)


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """Counts what a test tries more than once."""
    return request.config.stash[RECORD].tally


class Disk:
    """A file system in memory, of a size of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=4m", "tmpfs")

    def _mount(self, *words: str) -> None:
        done = subprocess.run(["mount", *words, str(self.path)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("file systems cannot be mounted here")

    def resize(self, kilobytes: int) -> None:
        self._mount("-o", f"remount,size={kilobytes}k")

    def read_only(self) -> None:
        self._mount("-o", "remount,ro")

    def fill(self) -> None:
        """Leaves no room at all."""
        with (self.path / BALLAST).open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    return

    def free(self) -> None:
        """Undoes `fill`."""
        (self.path / BALLAST).unlink()

    def close(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True)


BALLAST = "ballast"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small example of everything that longlag reads."""
    directory = tmp_path_factory.mktemp("small") / "furnished"
    directory.mkdir()
    furnish(directory)
    return directory


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system that can be filled, or made read-only; root heeds no permission bits."""
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    made = Disk(tmp_path / "disk")
    yield made
    made.close()


@pytest.fixture
def tiny() -> Recipe:
    """A recipe that trains in some milliseconds, with tests and the strict rule."""
    return recipe(
        "robust",
        min_length=11,
        hidden=3,
        batch_size=4,
        max_iterations=23,
        test_every=6,
        test_size=40,
        clip=1.0,
        average_decay=0.0,
    )


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """The plain form of the kernels."""
    return compiled(tmp_path_factory.mktemp("plain"))
