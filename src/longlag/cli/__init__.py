"""The command line, `longlag ...`.

Words and progress go to standard error; standard output carries the result, with `--json` exactly
one JSON object. Exit status: 0 done, 1 it failed, 2 bad input, 130 interrupted, 143 terminated, 129
hung up.

`parser` defines the commands and their flags, and `flags` reads a command line. Each command is a
function of what was read, in a module that is imported only when the command is given.
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence

from longlag.cli.exit import exit_status
from longlag.cli.parser import parser
from longlag.settings import imported

__all__ = ["main", "parse", "parser"]


def parse(words: Sequence[str]) -> Namespace:
    """What the words of a command line ask for.

    Returns:
        The arguments of the command, its `function`, and the `command` line itself.

    Raises:
        ValueError: what is wrong with them, in one sentence.
        SystemExit: after --help or --version.
    """
    for word in words:
        _check_text(word)
    args = parser(words).read(words)
    args.command = shlex.join(["longlag", *(word for word in words if word != "--json")])
    return args


def _check_text(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ValueError(f"an argument must be UTF-8, not {word!r}") from None


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status.

    words: by default those of the command line; then PyTorch computes with one thread unless
        OMP_NUM_THREADS is set, since more threads delay networks as small as these.
    """
    if words is None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # before a part of a recipe imports PyTorch
    given = sys.argv[1:] if words is None else words
    return exit_status("longlag", lambda: _run(given))


def _run(words: Sequence[str]) -> int:
    args = parse(words)
    return imported(f"longlag.cli.{args.function}")(args)
