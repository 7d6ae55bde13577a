"""The files that commands write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from longlag.runs import directory as runs


def output(path: Path, *inputs: Path) -> Path:
    """A file to write; its directory is made when it is written (`files.write_anew`).

    Raises:
        ValueError: it is a directory or one of the files that are read, or its directory cannot be
            written to.
    """
    if path.is_dir():
        raise ValueError(f"--out must be a file, and {path} is a directory")
    if path.resolve() in [given.resolve() for given in inputs]:
        raise ValueError(f"{path} is the input itself: choose another --out")
    if path.is_file() or not path.exists():  # and no pipe or device
        runs.writable(next(place for place in path.parents if place.exists()))
    return path


def form(path: Path, endings: Mapping[str, str], otherwise: str = "") -> str:
    """The format that a file's name says.

    Args:
        endings: the formats that there are, by ending.
        otherwise: what else the user can do, as a sentence's end.

    Raises:
        ValueError: another ending.
    """
    if (ending := path.suffix.lower()) not in endings:
        *others, last = endings
        known = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"--out must end with {known}, not be {path}{otherwise}")
    return endings[ending]


def files_of(run: Path) -> list[Path]:
    """The files of a run directory."""
    return [run / name for name in runs.ALL_FILES]
