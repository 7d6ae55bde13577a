"""Studies: a question a module, its cases, its table beside the paper's, its figure.

`study(name)` answers one from Python, as `longlag study NAME` does from the command line.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longlag import checks

if TYPE_CHECKING:
    from longlag.studies.frame import Request
    from longlag.studies.result import Result


def study(name: str, **options: Any) -> Result:
    """Answers a question with many trials, and writes its table, figure and data.

    >>> longlag.study("seeds", trials=2, quick=True, out="seeds")  # doctest: +SKIP

    Args:
        name: `table8`, `table7`, `seeds`, `forget-gate`, `lag`, `register` or `movement`.
        options: the command's flags, with underscores: trials, seed, out, quick, full, ...; the
            files go under study/ where `out` is not given. Stopped by Ctrl-C and called again, it
            goes on (all but `movement`, which takes a minute).

    Raises:
        ValueError: an unknown study or option (the nearest is suggested), a value that is not
            allowed, a directory that cannot be written to.
    """
    if not isinstance(name, str) or name not in STUDIES:
        raise ValueError(f"unknown study {checks.shown(name)}{checks.nearest(name, STUDIES)}")
    return STUDIES[name](name, {key: _option(key, value) for key, value in options.items()})


def _option(name: str, value: Any) -> Any:
    """An option's value, refused where its type is wrong; numbers are checked by their study."""
    if value is None:
        return None
    if name in ("out", "ledger"):
        return checks.path(name, value)
    if name in ("quick", "full"):
        return checks.flag(name, value)
    if name == "scheduler" and not isinstance(value, str):
        raise ValueError(f"scheduler must be an address, not {checks.shown(value)}")
    if name == "lengths":
        checks.numbers(name, value)
    return value


def _online(name: str, options: Mapping[str, Any]) -> Result:
    from longlag.studies import online_study

    of_recipe = online_study.READING
    own = _names(online_study.Request) - {"settings", "lengths"}
    _check(name, options, {*own, *of_recipe})
    request = online_study.Request(
        **{key: value for key, value in options.items() if key in own},
        settings={key: value for key, value in options.items() if key in of_recipe},
        command=_call(name, options),
    )
    return online_study.run(module(name).STUDY, request)


def _sweep(name: str, options: Mapping[str, Any]) -> Result:
    from longlag.studies import frame as sweep_study

    return sweep_study.run(module(name).STUDY, _sweep_request(name, options))


def _sweep_request(name: str, options: Mapping[str, Any]) -> Request:
    from longlag.studies import frame as sweep_study

    _check(name, options, _names(sweep_study.Request))
    given = options.get("lengths")
    lengths = () if given is None else tuple(np.atleast_1d(given).tolist())
    return sweep_study.Request(**{**options, "lengths": lengths, "command": _call(name, options)})


def _register(name: str, options: Mapping[str, Any]) -> Result:
    from longlag.studies import register

    return register.run(_sweep_request(name, options))


def _movement(name: str, options: Mapping[str, Any]) -> Result:
    from longlag.studies import movement

    _check(name, options, _names(movement.Request))
    return movement.run(movement.Request(**options))


STUDIES = {
    "table8": _online,
    "table7": _online,
    "seeds": _sweep,
    "forget-gate": _sweep,
    "lag": _sweep,
    "register": _register,
    "movement": _movement,
}


def module(name: str) -> Any:
    """The module that answers the question of that name."""
    return importlib.import_module(f"longlag.studies.{name.replace('-', '_')}")


def _names(request: type) -> set[str]:
    return {f.name for f in fields(request)} - {"command"}


def _check(name: str, options: Collection[str], known: Collection[str]) -> None:
    for option in options:
        if option not in known:
            hint = checks.nearest(option, sorted(known))
            raise ValueError(f"study {name} has no option {option!r}{hint}")


def _call(name: str, options: Mapping[str, Any]) -> str:
    """The call, for the page that the study writes."""
    words = [repr(name), *(f"{key}={_plain(value)!r}" for key, value in options.items())]
    return f"longlag.study({', '.join(words)})"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
