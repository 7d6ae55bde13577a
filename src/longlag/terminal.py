"""Words for whoever sits at the terminal: plain lines on standard error."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any


class Messages:
    """Standard error, of which a failure loses the messages alone: its reader may have gone."""

    def write(self, text: str) -> int:
        try:
            if sys.stderr is not None:
                sys.stderr.write(text)
        except (OSError, ValueError):  # ValueError: it was closed
            pass
        return len(text)

    def flush(self) -> None:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
        except (OSError, ValueError):
            pass

    def isatty(self) -> bool:
        try:
            return sys.stderr is not None and sys.stderr.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        return sys.stderr.fileno()

    @property
    def encoding(self) -> str:
        return getattr(sys.stderr, "encoding", None) or "utf-8"


MESSAGES = Messages()


def say(text: str) -> None:
    """Prints a line on standard error, at once; see `one_line`."""
    print(one_line(text), file=MESSAGES, flush=True)


def results_alone() -> contextlib.AbstractContextManager[Any]:
    """What a user's module prints goes to standard error: standard output has results alone."""
    return contextlib.redirect_stdout(sys.stderr)


def one_line(words: str | os.PathLike[str]) -> str:
    """A sentence or a path; what is no visible character in it, such as a newline, is escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in os.fspath(words))


def replace_what_is_lacking() -> None:
    """Characters that the terminal's encoding lacks are written as `?`, and no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
