"""How a program ends: what goes wrong becomes one sentence and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from longlag import checks
from longlag.progress import moment
from longlag.runs import session
from longlag.runs.contents import Edited
from longlag.signals import Ended, signals_raised
from longlag.terminal import replace_what_is_lacking, say

FAILED, BAD_INPUT = 1, 2
BY_SIGNAL = 128  # and the number of the signal: 130 after Ctrl-C, 143 after SIGTERM


def exit_status(program: str, command: Callable[[], int]) -> int:
    """Runs a command; what goes wrong is said in one sentence, which begins with the program."""
    replace_what_is_lacking()
    try:
        with signals_raised(), _edits_told(program):
            status = _ended(command)
        print(end="", flush=True)  # what cannot be written is noticed here, not after the end
        return status
    except ValueError as error:
        say(f"{program}: {error}")
        return BAD_INPUT
    except session.Interrupted as stop:
        say(f"{program}: interrupted at {moment(stop.training)}; --resume continues")
        return BY_SIGNAL + stop.number
    except KeyboardInterrupt as stop:
        say(f"{program}: interrupted" + (f"; {stop}" if str(stop) else ""))
        return BY_SIGNAL + (stop.number if isinstance(stop, Ended) else signal.SIGINT)
    except BrokenPipeError:  # whoever read the output has gone
        _give_up_output()
        return FAILED
    except OSError as error:
        reason = error.strerror or str(error)
        say(f"{program}: {error.filename or 'a file'} could not be used: {reason}")
        return FAILED
    except MemoryError:
        say(f"{program}: not enough memory; fewer or shorter sequences at a time need less")
        return FAILED


def _ended(command: Callable[[], int]) -> int:
    """The status of a command, 0 after its help.

    Raises:
        ValueError: a module of the user's ends the program.
    """
    try:
        return command()
    except SystemExit as stop:
        if stop.code in (None, 0):
            return 0
        shown = checks.shown(stop.code)
        raise ValueError(f"a module of yours ends the program, by sys.exit({shown})") from stop


@contextmanager
def _edits_told(program: str) -> Iterator[None]:
    """Warnings about edited files are sentences, and others stay what they are."""

    def told(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, Edited):
            say(f"{program}: {message}")
        else:
            usual(message, category, *place, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", Edited)
        usual, warnings.showwarning = warnings.showwarning, told
        yield


def _give_up_output() -> None:
    """Lets what is still to be written go nowhere, so that Python's own end is silent."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
