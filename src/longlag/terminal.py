"""Words for whoever sits at the terminal: plain lines on standard error."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Prints a line on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def one_line(sentence: str) -> str:
    """The sentence, with what is no visible character, such as a path's newline, escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence)
