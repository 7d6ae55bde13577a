"""The files that commands write."""

from __future__ import annotations

from pathlib import Path

from longlag.runs import directory as runs


def output(path: Path, *inputs: Path) -> Path:
    """A file to write, whose directory is made.

    Raises:
        ValueError: it is one of the files that are read, or its directory cannot be written to.
    """
    if path.resolve() in [given.resolve() for given in inputs]:
        raise ValueError(f"{path} is the input itself: choose another --out")
    runs.writable(path.parent)
    return path


def files_of(run: Path) -> list[Path]:
    """The files of a run directory."""
    return [run / name for name in runs.ALL_FILES]
