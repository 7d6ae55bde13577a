"""Parts of a recipe: frozen dataclasses whose fields are settings, and registries of them.

A field made by `setting` is a setting: the command line has a flag of its name, and it is checked
against its type and range on construction. An `Option` says the same of what is no part's: a flag
of a command, an argument of a call. A registry holds parts, or other things that have a name; an
entry may also be a `module:Class` of the user's, which is imported when it is used.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import (
    Any,
    Generic,
    Literal,
    Protocol,
    Self,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from longlag import checks, files

Scalar = str | int | float | bool


def setting(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with its meaning and its allowed range, both ends included."""
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True)
class Part:
    """What has settings; see the module's docstring.

    Raises:
        ValueError: a setting of another type or out of its range; the message names it, its value
            and what is allowed.
    """

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for f in setting_fields(type(self)):
            value = _checked(f.name, getattr(self, f.name), hints[f.name], f.metadata)
            object.__setattr__(self, f.name, value)

    @property
    def name(self) -> str:
        """The name under which the part is registered."""
        raise NotImplementedError

    def settings(self) -> dict[str, Scalar]:
        """Every setting by its name."""
        return {f.name: getattr(self, f.name) for f in setting_fields(type(self))}

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """A copy with some settings changed.

        Raises:
            ValueError: an unknown setting (the nearest is suggested) or a value out of range.
        """
        for name in settings:
            if name not in self.settings():
                raise ValueError(
                    f"{self.name} has no setting {name!r}{checks.nearest(name, self.settings())}"
                )
        return replace(self, **settings)


def setting_fields(kind: type[Part]) -> list[Any]:
    """The dataclass fields of a kind of part that are settings."""
    return [f for f in fields(kind) if "help" in f.metadata]


@functools.cache
def _hints(kind: type[Part]) -> dict[str, Any]:
    return get_type_hints(kind)


def _checked(name: str, value: Any, kind: Any, limits: Mapping[str, Any]) -> Any:
    """A value as a plain Python one, refused where its type or range is wrong."""
    if get_origin(kind) is Literal:
        return checks.one_of(name, value, get_args(kind))
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        return tuple(_checked(name, one, item, limits) for one in checks.several(name, value))
    plain = {bool: checks.flag, Path: checks.path, str: checks.text}
    if kind in plain:
        return plain[kind](name, value)
    check = checks.whole if kind is int else checks.number
    return check(name, value, limits["low"], limits["high"])


@dataclass(frozen=True)
class Option:
    """A value that a user may give: a flag of a command, an argument of a call.

    kind: int, float, bool, str, Path, a Literal of words, or list[int] or list[str], whose values
    are tuples; text: what it means; default: what holds where it is not given; low, high: its
    range, both ends included; shown: the default as the help shows it; otherwise: in words, what
    holds where there is no default; metavar: what the help calls a value, where its kind does not
    say it; part: of the help, in which it stands.
    """

    name: str
    kind: Any
    text: str
    default: Any = None
    low: float = 1
    high: float = checks.LARGEST
    shown: str = ""
    otherwise: str = ""
    metavar: str = ""
    part: str = "options"

    def checked(self, value: Any) -> Any:
        """A value as a plain Python one; the default for None.

        Raises:
            ValueError: another type, or out of range; the message names it, its value and what is
                allowed.
        """
        return self.default if value is None else _checked(self.name, value, self.kind, vars(self))


def imported(where: str) -> Any:
    """What a `module:name` names; a module that is nowhere else may be in the current directory.

    Raises:
        ImportError: there is no such module, or it raises something.
        AttributeError: it has no such name.
    """
    module, _, name = where.partition(":")
    if module not in sys.modules:
        found_file(module)
    try:
        held = importlib.import_module(module)
    except ImportError:
        raise
    except Exception as error:  # whatever a user's file raises
        raise ImportError(f"{type(error).__name__}: {error}") from error
    return getattr(held, name)


def found_file(module: str) -> Path | None:
    """A module's file, without importing it; None where it has none.

    Of what is nowhere else the current directory is searched, last: it then stays on the path, so
    that the workers of this machine, which are given that, find the module too.
    """
    top = module.partition(".")[0]
    try:
        if importlib.util.find_spec(top) is None and (here := os.getcwd()) not in sys.path:
            sys.path.append(here)
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, OSError):  # none, or one that is no file, as __main__
        return None
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def own_files(parts: Iterable[object]) -> dict[str, str]:
    """Digests of the files of the user's modules that hold some parts, as these may be edited.

    Args:
        parts: names of parts; those of longlag and of modules without a file have none.
    """
    modules = {part.partition(":")[0] for part in map(str, parts) if ":" in part}
    found = {name: found_file(name) for name in modules if name.partition(".")[0] != "longlag"}
    return {
        name: file_digest(path)
        for name, path in sorted(found.items())
        if path is not None and path.is_file()
    }


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


EXTRAS = ("torch", "jax")  # libraries of the extras of the same name


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=Named)


class Registry(Mapping[str, P], Generic[P]):
    """Parts of one sort by name: what `recipe(name, task=...)` and the command line choose from.

    Args:
        sort: what the parts are, in a word: it stands in messages.
        parts: their defaults.
        adapt: makes a part of what a user's `module:name` names, where that is none itself; it
            has this `module:name` as its name.
    """

    def __init__(
        self, sort: str, base: type[P], *parts: P, adapt: Callable[[str, Any], Any] | None = None
    ) -> None:
        self.sort: str = sort
        self.base: type[P] = base
        self._adapt = adapt
        self._parts: dict[str, P | str] = {}
        for part in parts:
            self.register(part)

    def register(self, part: P) -> P:
        """Adds a part, with its settings as the defaults, under its own name.

        Raises:
            ValueError: something else than such a part, or a name that another kind has.
        """
        if not isinstance(part, self.base):
            raise ValueError(f"a {self.sort} must be a {self.base.__name__}, not {part!r}")
        known = self._parts.get(part.name)
        if known is not None and type(known) is not type(part):
            raise ValueError(f"there is another {self.sort} of the name {part.name!r}")
        self._parts[part.name] = part
        return part

    def later(self, name: str, where: str) -> None:
        """Adds a part `module:Class`, imported when it is used, since it takes time or an extra."""
        self._parts.setdefault(name, where)

    def get(self, name: str, default: Any = None) -> Any:
        """The part of that name among those registered; the default where there is none."""
        if name not in self:
            return default
        return self[name]

    def __getitem__(self, name: str) -> P:
        """The part of that name, or of that `module:Class`, which is imported.

        Raises:
            ValueError: there is none.
        """
        known = self._parts.get(name) if isinstance(name, str) else None
        if known is None and isinstance(name, str) and ":" in name:
            known = name
        if isinstance(known, str):
            return self._imported(known)
        if known is None:
            raise ValueError(
                f"unknown {self.sort} {checks.shown(name)}{checks.nearest(name, self._parts)}"
            )
        return known

    def from_file(self, name: Any) -> P:
        """The same of a name that a file gives: no module is imported because a file says so.

        Raises:
            ValueError: there is none.
            Untrusted: its module was not imported and is not named in the environment variable
                LONGLAG_PARTS (names separated by commas).
        """
        name = str(name)
        module = name.partition(":")[0]
        trusted = {*sys.modules, *os.environ.get("LONGLAG_PARTS", "").split(",")}
        if ":" in name and module not in trusted:
            raise files.Untrusted(
                f"its {self.sort} is {name}: import {module} first, or allow it by "
                f"LONGLAG_PARTS={module} in the environment"
            )
        return self[name]

    def kind(self, part: Named) -> str:
        """The name by which a part is found again: as registered, or its `module:Class`."""
        known = self._parts.get(part.name)
        where = f"{type(part).__module__}:{type(part).__qualname__}"
        if known == where or type(known) is type(part) or ":" in part.name:
            return part.name
        return where

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def ready(self) -> list[str]:
        """Names of the parts that need no extra."""
        return [name for name, part in self._parts.items() if not isinstance(part, str)]

    def _imported(self, where: str) -> P:
        """The part of a class `module:Class`, with its own defaults, or that `module:PART` itself.

        Raises:
            Unloadable: it cannot be imported.
            ValueError: it is no such part.
        """
        try:
            made = self._made(where, imported(where))
        except (ImportError, AttributeError, TypeError) as error:
            lacking = getattr(error, "name", None) if isinstance(error, ImportError) else None
            extra = f": pip install 'longlag[{lacking}]'" if lacking in EXTRAS else ""
            reason = f"{self.sort} {where!r} cannot be loaded: {error}{extra}"
            raise files.Unloadable(reason) from error
        if not isinstance(made, self.base):
            raise ValueError(f"{where} must be a {self.base.__name__}, not {type(made).__name__}")
        return made

    def _made(self, where: str, found: Any) -> Any:
        part = isinstance(found, type) and issubclass(found, self.base)
        if self._adapt is not None and not part and not isinstance(found, self.base):
            return self._adapt(where, found)
        return found() if isinstance(found, type) else found
