"""The commands that ask one question with many trials."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from longlag import files, studies
from longlag.cli import progress
from longlag.studies import frame, online_study
from longlag.studies.result import Result
from longlag.terminal import say

WORK = ("ledger", "workers", "scheduler", "engine", "quick", "full")


def of_1997(args: Namespace) -> int:
    """A study of the LSTM of 1997."""
    settings = _given(args, online_study.READING)
    common = _given(args, ("trials", "max_sequences", "seed", "out", *WORK))
    request = online_study.Request(settings=settings, command=args.command, **common)
    with progress.of_sweep() as observe:
        result = online_study.run(_module(args).STUDY, request, observe)
    return _printed(result, args.json)


def sweep(args: Namespace) -> int:
    """A study that is a sweep."""
    return _swept(args, lambda *asked: frame.run(_module(args).STUDY, *asked))


def register(args: Namespace) -> int:
    return _swept(args, _module(args).run)


def movement(args: Namespace) -> int:
    module = _module(args)
    return _printed(module.run(module.Request(args.out, args.quick), say), args.json)


def _swept(args: Namespace, run: Callable[..., Result]) -> int:
    common = _given(args, ("trials", "max_sequences", "seed", "lengths", "out", *WORK))
    common |= {"lengths": tuple(common.get("lengths", ()))}
    with progress.of_sweep() as observe:
        result = run(frame.Request(command=args.command, **common), observe)
    return _printed(result, args.json)


def _given(args: Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """The arguments of those names that have a value."""
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def _module(args: Namespace) -> Any:
    """The study's own module."""
    return studies.module(args.name)


def _printed(result: Result, as_json: bool) -> int:
    print(files.to_json(result.content) if as_json else result)
    return 0
