"""Checks of what users give: each returns the plain Python value or refuses in one sentence."""

from __future__ import annotations

import difflib
import os
import re
import reprlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 10**9  # of any count that has no smaller limit
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 200


def shown(value: Any) -> str:
    """`value` for a message: on one line, and not endless."""
    return re.sub(r"\s*\n\s*", " ", _SHORT.repr(value))


def whole(name: str, value: Any, low: int, high: int = LARGEST) -> int:
    """`value` as an int between `low` and `high`, both included; numpy's integers will do.

    Raises:
        ValueError: it is no such number; the message names it, its value and the range.
    """
    if (
        isinstance(value, (int, np.integer))
        and not isinstance(value, bool)
        and low <= value <= high
    ):
        return int(value)
    limit = "2**63 - 1" if high == 2**63 - 1 else f"{high:,}"
    raise ValueError(f"{name} must be a whole number from {low} to {limit}, not {shown(value)}")


def number(name: str, value: Any, low: float, high: float) -> float:
    """`value` as a float between `low` and `high`, both included.

    Raises:
        ValueError: it is no such number; the message names it, its value and the range.
    """
    kinds = (int, float, np.integer, np.floating)
    if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {shown(value)}")


def one_of(name: str, value: Any, allowed: Collection[str]) -> str:
    """`value`, which must be one of some words.

    Raises:
        ValueError: it is none of them; the message names it, its value and the words.
    """
    if isinstance(value, str) and value in allowed:
        return value
    raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {shown(value)}")


def label(name: str, value: Any) -> str:
    """`value`, which must be a name that a list, a table and a line of text can hold.

    Raises:
        ValueError: it is none; the message names it, its value and what is allowed.
    """
    text = value if isinstance(value, str) else ""
    if text and text.isprintable() and text == text.strip() and not set(text) & set(",=:|"):
        return text
    raise ValueError(
        f"{name} must be printable characters without , = : | or spaces around them, "
        f"not {shown(value)}"
    )


def near(name: Any, known: Collection[str]) -> str | None:
    """The known name that a misspelt one is close to, or the beginning of; None: there is none."""
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    begun = [other for other in known if len(str(name)) > 1 and other.startswith(str(name))]
    return next(iter([*close, *begun]), None)


def nearest(name: Any, known: Collection[str]) -> str:
    """A hint for a misspelt name: the end of a sentence that refuses it."""
    meant = near(name, known)
    return f"; did you mean {meant!r}?" if meant else f"; known are {', '.join(known)}"


def flag(name: str, value: Any) -> bool:
    """`value`, which must be True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(f"{name} must be True or False, not {shown(value)}")


def function(name: str, value: Any) -> Callable[..., Any]:
    """`value`, which must be a callable."""
    if callable(value):
        return value
    raise ValueError(f"{name} must be a callable, not {shown(value)}")


def path(name: str, value: Any) -> Path:
    """`value`, a string or a path, as a Path.

    Raises:
        ValueError: it is neither, or empty.
    """
    if isinstance(value, (str, os.PathLike)) and isinstance(os.fspath(value), str) and value != "":
        return Path(value)
    raise ValueError(f"{name} must be a path, not {shown(value)}")


def text(name: str, value: Any) -> str:
    """`value`, which must be a string, and not empty."""
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"{name} must be text, not {shown(value)}")


def several(name: str, value: Any) -> list[Any]:
    """One value or a row of them (a list, an array), as a list of plain values.

    Raises:
        ValueError: rows of rows.
    """
    if isinstance(value, str):
        return [value]
    try:
        found = np.atleast_1d(value)
    except (TypeError, ValueError, RuntimeError):  # lists of several lengths, a foreign array
        found = np.empty((0, 0))
    if found.ndim == 1:
        return found.tolist()
    raise ValueError(f"{name} must be one value or a list of them, not {shown(value)}")


def generator(name: str, value: Any) -> np.random.Generator:
    """`value`, which must be a source of random numbers: numpy's, or one that stands for it.

    Raises:
        ValueError: it is something else, such as a seed, or numpy's old RandomState.
    """
    if callable(getattr(value, "integers", None)):
        return value
    raise ValueError(
        f"{name} must be a generator, such as numpy.random.default_rng(0), not {shown(value)}"
    )


def numbers(name: str, value: Any) -> np.ndarray:
    """`value`, numbers in (nested) lists or an array, as an array of any shape.

    Raises:
        ValueError: it is not made of real numbers.
    """
    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # lists of several lengths, a foreign array
        found = None
    if found is None or found.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be an array of real numbers, not {shown(value)}")
    return found


def array(name: str, value: Any, dtype: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """`value` as it is: an array of this type and shape, where None fits any length.

    Raises:
        ValueError: it has another type or shape, or is no array.
    """
    found = np.shape(value)
    fits = len(found) == len(shape) and all(
        b in (a, None) for a, b in zip(found, shape, strict=True)
    )
    if not isinstance(value, np.ndarray) or value.dtype != dtype or not fits:
        kind = getattr(value, "dtype", type(value).__name__)
        raise ValueError(
            f"{name} must be {np.dtype(dtype)} of {len(shape)} axes, not {kind} {found}"
        )
    return value
